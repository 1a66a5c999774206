# SPDX-License-Identifier: Apache-2.0
#
# Sourced by tests/bench/run: what a small request and its response cost in the HTTP code itself.

measure_http() {
	printf 'measuring: HTTP without sockets\n' >&2
	for _ in $(seq "$rounds"); do
		"$tools/http" 200000 >>"$notes" || die "the HTTP code does not run"
	done
}

print_http() {
	title "HTTP, without sockets"
	row "a small request and its response" http.request us "llhttp's part of it" http.llhttp
}
