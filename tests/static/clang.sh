#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# clang sees other warnings than gcc: everything compiles with it, too, with warnings as errors.
set -u
cd "$(dirname "$0")/../.." || exit 1

echo "1..1"
if output=$(make --no-print-directory -j"$(nproc)" CC=clang B=build/clang WERROR=1 all check-tests 2>&1); then
	echo "ok 1 - clang compiles everything without a warning"
else
	printf '%s\n' "$output" | tail -40 | sed 's/^/# /'
	echo "not ok 1 - clang compiles everything without a warning"
	exit 1
fi
