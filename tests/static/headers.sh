#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Every header compiles alone, and every .c includes its own header first, so that no header leans on another's.
set -u
cd "$(dirname "$0")/../.." || exit 1

mapfile -t headers < <(git ls-files -co --exclude-standard '*.h')
read -ra flags < <(pkg-config --cflags json-c 2>/dev/null)
echo "1..2"

bad=0
for header in "${headers[@]}"; do
	if ! printf '#include "%s"\n' "$header" |
		"${CC:-gcc}" -std=gnu11 -D_GNU_SOURCE -I. "${flags[@]}" -Wall -Wextra -Werror -fsyntax-only -x c - 2>&1; then
		echo "# $header does not compile alone"
		bad=1
	fi
done
[ $bad -eq 0 ] && echo "ok 1 - headers compile alone" || echo "not ok 1 - headers compile alone"

bad=0
for header in "${headers[@]}"; do
	source=${header%.h}.c
	[ -e "$source" ] || continue
	first=$(grep -m1 '^#include' "$source")
	if [ "$first" != "#include \"$header\"" ]; then
		echo "# $source includes $first first"
		bad=1
	fi
done
[ $bad -eq 0 ] && echo "ok 2 - own header first" || echo "not ok 2 - own header first"
exit $bad
