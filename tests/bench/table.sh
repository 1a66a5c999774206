# SPDX-License-Identifier: Apache-2.0
#
# Sourced by tests/bench/run: the figures that were noted, and the table of them. A figure is a line "NAME VALUE" in
# $notes; one that was noted several times counts with its median.

# note NAME VALUE
note() { printf '%s %s\n' "$1" "$2" >>"$notes"; }

# median NAME - prints nothing where there is no such figure.
median() {
	awk -v name="$1" '$1 == name { print $2 }' "$notes" | sort -g | awk '{ v[NR] = $1 } END { if (NR) print v[int((NR + 1) / 2)] }'
}

# A figure for people. Units: us, kB, B (bytes).
format() {
	awk -v value="$1" -v unit="$2" 'BEGIN {
		if (value == "") { print "-"; exit }
		if (unit == "us" && value >= 1000000) { value /= 1000000; unit = "s" }
		if (unit == "us" && value >= 1000) { value /= 1000; unit = "ms" }
		if (unit == "kB" && value >= 10240) { value /= 1024; unit = "MB" }
		if (unit == "B" && value >= 10240) { value /= 1024; unit = "kB" }
		digits = value >= 100 ? 0 : value >= 10 ? 1 : 2
		printf "%.*f %s\n", digits, value, unit
	}'
}

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { if (a == "" || b == "" || b <= 0) print "-"; else printf "%.2f\n", a / b }'; }

print_line() { printf '%-44s %10s   %-28s %10s %7s   %s\n' "$@"; }

# row WHAT FIGURE UNIT PEER PEER-FIGURE [TARGET] - nothing where one of the two has no figure, for it was not there.
row() {
	local ours theirs
	ours=$(median "$2")
	theirs=$(median "$5")
	[ -n "$ours" ] && [ -n "$theirs" ] || return 0
	print_line "$1" "$(format "$ours" "$3")" "$4" "$(format "$theirs" "$3")" "$(ratio "$ours" "$theirs")" "${6-}"
}

# title TEXT
title() { printf '\n%s\n' "$1"; }

print_machine() {
	printf '%s cores (%s), Linux %s, load %s\n' "$(nproc)" \
		"$(awk -F': ' '/^model name/ { print $2; exit }' /proc/cpuinfo)" "$(uname -r)" "$(cut -d' ' -f1 /proc/loadavg)"
	printf '%s; %s; %s; %s; wrk %s%s\n' "$(nft --version | cut -d' ' -f1,2)" "$(iptables-restore --version)" \
		"$(haproxy -v | sed -nE '1s/^(HAProxy) version ([^ ]+).*/\1 \2/p')" "$(nginx -v 2>&1 | sed 's/.*: //')" \
		"$(wrk -v 2>&1 | sed -nE '1s/^wrk ([^ ]+).*/\1/p')" \
		"$(command -v envoy >/dev/null && envoy --version | sed -nE 's,.*version: [0-9a-f]+/([^/]+)/.*,; envoy \1,p')"
}

print_head() {
	printf '\n'
	print_line what weir peer peer ratio target
}

print_legend() {
	cat <<-'EOF'

		ratio: weir / peer, smaller is better. Times of programs are wall time, from starting the process to having
		waited for it, each on a fresh network namespace; medians, unless p99 is said. floor: reads stdin, enters the
		namespace, makes one netlink round trip. nft -f loads what weir-init --dry-run prints, without the deletion
		at its head, which would make it wait. kernel's share: sending the prepared transaction and reading the
		acknowledgements, nothing else. CPU is what the proxy's threads ran, by schedstat; access logs are on. Added
		latency is what the same load takes longer than without a proxy, which "direct" is. nginx cannot know where a
		redirected connection was going: its upstream is fixed.
	EOF
}
