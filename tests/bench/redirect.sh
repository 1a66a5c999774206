# SPDX-License-Identifier: Apache-2.0
#
# Sourced by tests/bench/run: what programming the rules costs, and what a connection through them does.

add_rounds=200
burst=200
connect_rounds=2000
connect_ranges=50000
range_counts=(10000 100000)
list_items=1000

# The stdin of ADD as containerd sends it, for a pod with ordinary annotations.
write_stdin() {
	cat >"$work/stdin.json" <<-EOF
		{"capabilities":{"io.kubernetes.cri.pod-annotations":true,"portMappings":true},"cniVersion":"1.0.0",
		"logFile":"$work/cni.log","name":"pods","prevResult":{"cniVersion":"1.0.0","dns":{},"interfaces":[
		{"mac":"1a:25:48:3b:7d:0f","name":"cni0"},{"mac":"5e:ed:31:4e:6c:e6","name":"veth9c25fefc"},
		{"mac":"1a:c5:a4:c1:d2:50","name":"eth0","sandbox":"/var/run/netns/cni-41cc166d-c501-a838-cfe0-568a2e7f8475"}],
		"ips":[{"address":"10.91.0.2/24","gateway":"10.91.0.1","interface":2},
		{"address":"fd91::2/64","gateway":"fd91::1","interface":2}],"routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0"}]},
		"runtimeConfig":{"io.kubernetes.cri.pod-annotations":{"kubernetes.io/config.source":"api",
		"kubernetes.io/config.seen":"2026-11-23T09:00:00.000000000Z","prometheus.io/scrape":"true",
		"traffic.sidecar.istio.io/includeOutboundIPRanges":"*",
		"traffic.sidecar.istio.io/excludeOutboundIPRanges":"10.96.0.0/12,169.254.169.254/32,fd00:10:96::/112",
		"traffic.sidecar.istio.io/excludeOutboundPorts":"5432,6379"},
		"portMappings":[{"HostPort":18080,"ContainerPort":80,"Protocol":"tcp","HostIP":""}]},"type":"weir-cni"}
	EOF
}

# The same rules for iptables, as Istio's init container writes them, in one family.
write_iptables() {
	cat >"$work/ordinary.iptables" <<-'EOF'
		*nat
		:OUTPUT ACCEPT
		:ISTIO_REDIRECT -
		:ISTIO_OUTPUT -
		-A OUTPUT -p tcp -j ISTIO_OUTPUT
		-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001
		-A ISTIO_OUTPUT -p tcp --dport 5432 -j RETURN
		-A ISTIO_OUTPUT -p tcp --dport 6379 -j RETURN
		-A ISTIO_OUTPUT -o lo -j RETURN
		-A ISTIO_OUTPUT -m owner --uid-owner 1337 -j RETURN
		-A ISTIO_OUTPUT -m owner --gid-owner 1337 -j RETURN
		-A ISTIO_OUTPUT -d 10.96.0.0/12 -j RETURN
		-A ISTIO_OUTPUT -d 169.254.169.254/32 -j RETURN
		-A ISTIO_OUTPUT -j ISTIO_REDIRECT
		COMMIT
	EOF
}

# write_ranges COUNT - /24s that do not touch, so that nothing merges, in an order that is random but always the same.
write_ranges() {
	seq 0 $(($1 - 1)) | awk '{ a = 16777216 + $1 * 512; printf "%d.%d.%d.0/24\n", a / 16777216, a / 65536 % 256, a / 256 % 256 }' |
		shuf --random-source=<(yes) >"$work/ranges.$1"
}

# write_lists COUNT - numbers for ports and IDs, and names of interfaces, none of which touch.
write_lists() {
	seq 20000 2 $((19998 + 2 * $1)) >"$work/ports.$1"
	seq 100000 2 $((99998 + 2 * $1)) >"$work/ids.$1"
	seq 1 "$1" | sed 's/^/vif/' >"$work/names.$1"
}

# nft_text NAME WEIR-INIT-ARGUMENT... - in a file, what nft is to load for the same rules.
nft_text() {
	"$build/weir-init" --dry-run "${@:2}" >"$work/$1.all" || die "weir-init --dry-run failed"
	sed '/^add table inet weir$/d; /^delete table inet weir$/d' "$work/$1.all" >"$work/$1.nft"
}

# launch SECONDS ARGUMENT... - measures, and notes the figures.
launch() {
	bounded $(($1 + 60)) "$tools/launch" "${@:2}" >"$work/launch.out" || die "measuring failed"
	cat "$work/launch.out" >>"$notes"
	settle
}

measure_add() {
	local static=() ordinary nft iptables
	nft=$(command -v nft)
	iptables=$(command -v iptables-restore)
	# shellcheck disable=SC2054 # weir-init's lists have commas
	ordinary=(-u 1337 -g 1337 -i '*' -x '10.96.0.0/12,169.254.169.254/32,fd00:10:96::/112' -o 5432,6379)
	write_stdin
	write_iptables
	nft_text ordinary "${ordinary[@]}"
	[ ! -x "$build/static/weir-cni" ] || static=(-- add.static cni "$work/stdin.json" "$build/static/weir-cni")
	launch 30 "$add_rounds" 30 \
		-- add.floor cni "$work/stdin.json" "$tools/floor" \
		-- add.floor-static cni "$work/stdin.json" "$tools/floor-static" \
		-- add.weir cni "$work/stdin.json" "$build/weir-cni" \
		-- add.init in /dev/null "$build/weir-init" "${ordinary[@]}" \
		-- add.backend in /dev/null "$build/weir-init" --backend iptables "${ordinary[@]}" \
		-- add.nft in /dev/null "$nft" -f "$work/ordinary.nft" \
		-- add.iptables in /dev/null "$iptables" "$work/ordinary.iptables" "${static[@]}"
}

measure_burst() {
	local plugin=$build/weir-cni floor=$tools/floor
	[ ! -x "$build/static/weir-cni" ] || plugin=$build/static/weir-cni floor=$tools/floor-static
	launch 30 -a "$burst" 30 \
		-- burst.floor cni "$work/stdin.json" "$floor" \
		-- burst.weir cni "$work/stdin.json" "$plugin" \
		-- burst.nft in /dev/null "$(command -v nft)" -f "$work/ordinary.nft"
	burst_single=$([ "$plugin" = "$build/weir-cni" ] && echo add.weir || echo add.static)
}

# Programs the rules, then prints how many microseconds a command takes with them. Arguments: weir-init, its list, command.
# shellcheck disable=SC2016 # bash's own dollars
with_rules='"$1" -i "*" -x "$2" 2>/dev/null || exit
	shift 2
	start=${EPOCHREALTIME/./}
	"$@" >/dev/null 2>&1 || exit
	echo $((${EPOCHREALTIME/./} - start))'

# measure_ranges COUNT ROUNDS SECONDS
measure_ranges() {
	local init=$build/weir-init list=@$work/ranges.$1
	[ ! -x "$build/static/weir-init" ] || init=$build/static/weir-init
	write_ranges "$1"
	nft_text "ranges.$1" -i '*' -x "$list"
	launch "$3" "$2" "$3" \
		-- "ranges$1.weir" in /dev/null "$init" -i '*' -x "$list" \
		-- "ranges$1.nft" in /dev/null "$(command -v nft)" -f "$work/ranges.$1.nft" \
		-- "ranges$1.kernel" told /dev/null "$tools/replay" "$work/ranges.$1" \
		-- "check$1.weir" told /dev/null bash -c "$with_rules" bash "$init" "$list" "$init" --check -i '*' -x "$list" \
		-- "check$1.nft" told /dev/null bash -c "$with_rules" bash "$init" "$list" nft list table inet weir
}

# Every list that there is, long: ranges, ports, IDs, interfaces, both directions.
measure_lists() {
	local init=$build/weir-init
	[ ! -x "$build/static/weir-init" ] || init=$build/static/weir-init
	write_ranges "$list_items"
	write_lists "$list_items"
	lists=(-i '*' -x "@$work/ranges.$list_items" -o "@$work/ports.$list_items" -c "@$work/names.$list_items" \
		-u "@$work/ids.$list_items" -g "@$work/ids.$list_items" -b '*' -d "@$work/ports.$list_items")
	nft_text lists "${lists[@]}"
	launch 30 20 30 \
		-- lists.weir in /dev/null "$init" "${lists[@]}" \
		-- lists.nft in /dev/null "$(command -v nft)" -f "$work/lists.nft" \
		-- lists.backend in /dev/null "$init" --backend iptables "${lists[@]}"
}

# A way to anywhere, for the kernel looks for a route before it redirects; nobody is at the other end.
add_connect_namespace() {
	add_namespace "$1"
	configure "$namespace" <<-'EOF'
		link add up0 type veth peer name up1
		link set up1 up
		link set up0 up
		address add 10.79.0.2/24 dev up0
		route add default via 10.79.0.1
	EOF
}

measure_connect() {
	write_ranges "$connect_ranges"
	add_connect_namespace empty
	add_connect_namespace set
	add_connect_namespace rules
	add_connect_namespace lists
	add_connect_namespace backend
	inside lists "$build/weir-init" "${lists[@]}" 2>"$work/init.log" || die "weir-init failed: $(cat "$work/init.log")"
	inside backend "$build/weir-init" --backend iptables -i '*' 2>"$work/init.log" ||
		die "weir-init failed: $(cat "$work/init.log")"
	inside empty "$build/weir-init" -i '*' 2>"$work/init.log" || die "weir-init failed: $(cat "$work/init.log")"
	inside set "$build/weir-init" -i '*' -x "@$work/ranges.$connect_ranges" 2>"$work/init.log" ||
		die "weir-init failed: $(cat "$work/init.log")"
	{
		printf '*nat\n'
		sed 's/.*/-A OUTPUT -p tcp -d & -j RETURN/' "$work/ranges.$connect_ranges"
		printf -- '-A OUTPUT -p tcp -j REDIRECT --to-ports 15001\nCOMMIT\n'
	} >"$work/rules.iptables"
	inside rules iptables-restore "$work/rules.iptables" || die "iptables-restore failed"
	settle
	bounded 60 "$tools/connect" "$connect_rounds" 198.18.0.1 80 15001 connect.empty "/run/netns/$prefix-empty" \
		connect.weir "/run/netns/$prefix-set" connect.rules "/run/netns/$prefix-rules" \
		connect.lists "/run/netns/$prefix-lists" connect.backend "/run/netns/$prefix-backend" >"$work/connect.out" ||
		die "connecting failed"
	cat "$work/connect.out" >>"$notes"
}

measure_redirect() {
	printf 'measuring: ADD, %s rounds\n' "$add_rounds" >&2
	measure_add
	printf 'measuring: %s ADDs at once\n' "$burst" >&2
	measure_burst
	printf 'measuring: many ranges\n' >&2
	measure_ranges "${range_counts[0]}" 20 15
	measure_ranges "${range_counts[1]}" 5 30
	printf 'measuring: long lists of everything\n' >&2
	measure_lists
	printf 'measuring: connections through %s ranges\n' "$connect_ranges" >&2
	measure_connect
}

print_redirect() {
	local count
	title "Redirection"
	row "ADD, whole process, static" add.static.median us "floor, static" add.floor-static.median "< 2 (and < 2 ms)"
	row "ADD, whole process" add.weir.median us floor add.floor.median "< 2 (static)"
	row "ADD, whole process" add.weir.median us "nft -f, same rules" add.nft.median
	row "ADD, whole process" add.weir.median us "iptables-restore, one family" add.iptables.median
	row "ADD, whole process, p99" add.weir.p99 us "nft -f, same rules" add.nft.p99
	row "ADD, CPU" add.weir.cpu us "nft -f, same rules" add.nft.cpu
	row "weir-init, whole process" add.init.median us "nft -f, same rules" add.nft.median
	row "weir-init --backend iptables, both families" add.backend.median us "iptables-restore, one family" add.iptables.median
	row "$burst ADDs at once, p99" burst.weir.p99 us "a single ADD" "$burst_single.median" "< 10"
	row "$burst ADDs at once, p99" burst.weir.p99 us "floor, $burst at once" burst.floor.p99
	row "$burst ADDs at once, p99" burst.weir.p99 us "nft -f, $burst at once" burst.nft.p99
	row "$burst ADDs at once, until the last is done" burst.weir.all us "nft -f, $burst at once" burst.nft.all
	for count in "${range_counts[@]}"; do
		row "$count ranges applied" "ranges$count.weir.median" us "nft -f, same rules" "ranges$count.nft.median" "< 0.4"
		row "$count ranges applied" "ranges$count.weir.median" us "kernel's share" "ranges$count.kernel.median" "< 1.15"
		row "$count ranges read back and compared" "check$count.weir.median" us "nft list table" "check$count.nft.median"
		row "$count ranges, memory at its peak" "ranges$count.weir.memory" kB "nft -f, same rules" "ranges$count.nft.memory"
	done
	row "seven lists of $list_items applied" lists.weir.median us "nft -f, same rules" lists.nft.median
	row "seven lists of $list_items, --backend iptables" lists.backend.median us "weir-init, nf_tables" lists.weir.median
	row "connection through seven lists of $list_items" connect.lists.median us "empty lists" connect.empty.median "< 1.10"
	row "connection, --backend iptables" connect.backend.median us "nf_tables" connect.empty.median
	row "connection through $connect_ranges ranges" connect.weir.median us "an empty list" connect.empty.median "< 1.10"
	row "connection through $connect_ranges ranges, p99" connect.weir.p99 us "an empty list" connect.empty.p99
	row "connection through $connect_ranges ranges" connect.weir.median us "one iptables rule each" connect.rules.median
}
