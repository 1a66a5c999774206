# SPDX-License-Identifier: Apache-2.0
#
# Sourced by tests/bench/run: what each proxy costs per request, per connection and per byte, idle and in memory.
#
#     pod namespace, one each             origin namespace
#     wrk -> [rules] -> proxy (uid 1337)  198.18.0.1:80  nginx: /1k, /16m
#     eth0 10.78.N.2 ---------- veth ---- 10.78.N.1
#
# All of them run throughout, each in a pod of its own behind weir-init's rules, and take turns with the load; "direct"
# is a pod without rules and proxy. A name ending in -2 is the proxy with two workers; weir-stuck logs into a pipe that
# nobody reads.

origin=198.18.0.1
origin_host='host-5.example'
idle_connections=1000
proxies=()
declare -A proxy_pid

write_origin() {
	mkdir "$work/www" "$work/origin"
	head -c 1024 /dev/zero | tr '\0' x >"$work/www/1k"
	truncate -s 16M "$work/www/16m"
	cat >"$work/origin.conf" <<-EOF
		daemon off; worker_processes 1; worker_rlimit_nofile 20000; user root;
		pid $work/origin/pid; error_log $work/origin/error.log;
		events { worker_connections 19000; }
		http {
			access_log off; sendfile on; tcp_nopush on; keepalive_timeout 1h; keepalive_requests 1000000000;
			client_header_timeout 1h; client_body_temp_path $work/origin/body; proxy_temp_path $work/origin/proxy;
			fastcgi_temp_path $work/origin/fastcgi; uwsgi_temp_path $work/origin/uwsgi; scgi_temp_path $work/origin/scgi;
			server { listen $origin:80 backlog=4096; root $work/www; }
		}
	EOF
}

# tune POD - a namespace whose ports are not used up by thousands of short connections.
tune() {
	inside "$1" sh -c 'cd /proc/sys/net
		echo 1024 65535 >ipv4/ip_local_port_range
		echo 15000-15100 >ipv4/ip_local_reserved_ports
		echo 1 >ipv4/tcp_tw_reuse
		if [ -e netfilter/nf_conntrack_tcp_timeout_time_wait ]; then
			echo 1 >netfilter/nf_conntrack_tcp_timeout_time_wait
		fi' || die "cannot tune the namespace $1"
}

start_origin() {
	write_origin
	add_namespace origin
	configure "$namespace" <<<"address add $origin/32 dev lo"
	tune origin
	start_inside origin "$(command -v nginx)" -p "$work" -c "$work/origin.conf" -e "$work/origin/error.log" \
		2>"$work/origin/stderr"
}

# add_pod NAME
add_pod() {
	pod_number=$((${pod_number:-0} + 1))
	add_namespace "$1"
	configure "$namespace" <<-EOF
		link add eth0 type veth peer name veth$pod_number netns $prefix-origin
		address add 10.78.$pod_number.2/24 dev eth0
		link set eth0 up
	EOF
	configure "$prefix-origin" <<-EOF
		address add 10.78.$pod_number.1/24 dev veth$pod_number
		link set veth$pod_number up
	EOF
	configure "$namespace" <<<"route add default via 10.78.$pod_number.1"
	tune "$1"
}

# proxy_command NAME - sets $command.
proxy_command() {
	case $1 in
	weirhttp* | weirmany*)
		command=("$build/weir-proxy" --access-log "$work/$1/log" --concurrency "$(workers_of "$1")"
			--mesh-config "$work/$1/mesh.yaml" --config-dir "$work/$1/resources")
		;;
	weir-stuck) command=("$build/weir-proxy" --access-log /dev/stdout) ;;
	weir*) command=("$build/weir-proxy" --access-log "$work/$1/log" --concurrency "$(workers_of "$1")") ;;
	haproxy*) command=("$(command -v haproxy)" -db -q -f "$work/$1/conf") ;;
	nginx*) command=("$(command -v nginx)" -p "$work/$1" -c "$work/$1/conf" -e "$work/$1/error.log") ;;
	envoy*) command=("$(command -v envoy)" -c "$work/$1/conf.yaml" --concurrency "$(workers_of "$1")" --use-dynamic-base-id
		-l error) ;;
	esac
}

# wait_until_ready NAME - until a request goes the whole way.
wait_until_ready() {
	for _ in $(seq 100); do
		[ "$1" = direct ] || is_running "${proxy_pid[$1]}" || break
		! inside "$1" curl -fs -o "$work/answer" -m 2 -H "Host: $origin_host" "http://$origin/1k" || return 0
		sleep 0.1
	done
	die "$1 does not pass a request on: $(tail -n 3 "$work/$1/stderr" "$work/origin/stderr" 2>&1)"
}

start_proxy() {
	local name=$1 command=()
	mkdir "$work/$name"
	! declare -F "write_${name%-*}" >/dev/null || "write_${name%-*}" "$name"
	# Opened for reading, too, but never read: what is written stays, until nothing goes in any more.
	if [ "$name" = weir-stuck ]; then mkfifo "$work/$name/stdout"; else : >"$work/$name/stdout"; fi
	chown -R 1337:1337 "$work/$name"
	add_pod "$name"
	inside "$name" "$build/weir-init" -u 1337 -g 1337 -i '*' 2>"$work/$name/init" ||
		die "weir-init failed: $(cat "$work/$name/init")"
	proxy_command "$name"
	start_inside "$name" setpriv --reuid 1337 --regid 1337 --clear-groups "${command[@]}" \
		1<>"$work/$name/stdout" 2>"$work/$name/stderr"
	proxy_pid[$name]=$started
	wait_until_ready "$name"
	proxies+=("$name")
}

# --- reading a proxy's figures; a proxy may be more than one process

family() {
	printf '%s\n' "${proxy_pid[$1]}"
	pgrep -P "${proxy_pid[$1]}"
}

# Nanoseconds of CPU so far, of all threads.
cpu_of() {
	local pid
	[ "$1" != direct ] || { echo 0; return; }
	for pid in $(family "$1"); do
		cat "/proc/$pid"/task/*/schedstat
	done | awk '{ sum += $1 } END { printf "%.0f\n", sum }'
}

# kB of memory that is the proxy's own, shares of shared pages included.
pss_of() {
	local pid
	for pid in $(family "$1"); do
		cat "/proc/$pid/smaps_rollup"
	done | awk '/^Pss:/ { sum += $2 } END { print sum }'
}

# shellcheck disable=SC2016 # awk's own $1
received_by() { inside "$1" awk '$1 == "eth0:" { print $2 }' /proc/net/dev; }

# --- memory

# measure_memory NAME COUNT - of the proxy as it is, and of each of so many connections that wait.
measure_memory() {
	local name=$1 count=$2 before holder
	before=$(pss_of "$name")
	note "idle.$name" "$before"
	start_inside "$name" "$tools/idle" "$count" "$origin" 80 /1k "$origin_host" >"$work/$name/idle"
	holder=$started
	for _ in $(seq 200); do
		if [ -s "$work/$name/idle" ] || ! is_running "$holder"; then
			break
		fi
		sleep 0.1
	done
	[ -s "$work/$name/idle" ] || die "$name does not hold $count connections"
	sleep 0.5
	note "held.$name" "$(awk -v a="$before" -v b="$(pss_of "$name")" -v n="$count" \
		'BEGIN { print (b - a) * 1024 / n }')"
	kill "$holder"
	wait "$holder" 2>/dev/null
	unset 'pids[-1]'
}

# --- load

# wrk's report as "REQUESTS P50 P99 ERRORS", times in microseconds.
read_wrk() {
	awk '
		function us(t) { return t * (t ~ /us$/ ? 1 : t ~ /ms$/ ? 1000 : 1000000) }
		$1 == "50%" { p50 = us($2) }
		$1 == "99%" { p99 = us($2) }
		/requests in/ { requests = $1 }
		/Socket errors/ { gsub(",", ""); errors += $4 + $6 + $8 + $10 }
		/Non-2xx/ { errors += $NF }
		END { printf "%d %.1f %.1f %d\n", requests, p50, p99, errors }' "$1"
}

# load NAME KIND PATH CONNECTIONS [WRK-ARGUMENT...] - notes what one turn of the load said.
load() {
	local name=$1 kind=$2 cpu bytes requests p50 p99 errors
	cpu=$(cpu_of "$name")
	bytes=$(received_by "$name")
	bounded $((seconds + 30)) nsenter --net="/run/netns/$prefix-$name" wrk -t1 -c"$4" -d"${seconds}s" --latency \
		"${@:5}" "http://$origin$3" >"$work/wrk.out" 2>&1 || die "wrk failed with $name: $(tail -n 3 "$work/wrk.out")"
	read -r requests p50 p99 errors < <(read_wrk "$work/wrk.out")
	# Answers that wrk did not wait for are in the bytes, and in the CPU.
	cpu=$(($(cpu_of "$name") - cpu))
	bytes=$(($(received_by "$name") - bytes))
	[ "$requests" -gt 0 ] || die "$name passed no request on: $(cat "$work/wrk.out")"
	[ "$name" = direct ] || [ "$cpu" -gt 0 ] || die "the load did not go through $name"
	[ "$errors" -eq 0 ] || printf 'bench: %s, %s: wrk saw %s errors\n' "$name" "$kind" "$errors" >&2
	note "$kind.$name.rate" "$(awk -v n="$requests" -v s="$seconds" 'BEGIN { print n / s }')"
	note "$kind.$name.p50" "$p50"
	note "$kind.$name.p99" "$p99"
	[ "$name" != direct ] || return 0
	note "$kind.$name.cpu" "$(awk -v c="$cpu" -v n="$requests" 'BEGIN { print c / 1000 / n }')"
	note "$kind.$name.cpu16m" "$(awk -v c="$cpu" -v b="$bytes" 'BEGIN { print c / 1000 / (b / 16777216) }')"
}

# note_added KIND - what each proxy adds to the latency of the same load without one.
note_added() {
	local name figure
	for name in "${proxies[@]}"; do
		[ -n "$(median "$1.$name.p50")" ] || continue
		for figure in p50 p99; do
			note "$1.$name.added.$figure" "$(awk -v a="$(median "$1.$name.$figure")" -v b="$(median "$1.direct.$figure")" \
				'BEGIN { print a - b }')"
		done
	done
}

# The origin, and the pod without a proxy: once, for whichever parts want them.
start_direct() {
	[ ! -e "$work/direct" ] || return 0
	start_origin
	add_pod direct
	mkdir "$work/direct"
	wait_until_ready direct
}

measure_relay() {
	local name turn peers=(haproxy nginx)
	start_direct
	! command -v envoy >/dev/null || peers+=(envoy)
	local single=(weir "${peers[@]}") double=(weir-2 "${peers[@]/%/-2}")
	for name in "${single[@]}" weir-stuck "${double[@]}"; do
		start_proxy "$name"
	done
	printf 'measuring: memory of %s\n' "${single[*]}" >&2
	for name in "${single[@]}"; do
		measure_memory "$name" "$idle_connections"
	done
	for turn in $(seq "$rounds"); do
		printf 'measuring: relay, round %s of %s\n' "$turn" "$rounds" >&2
		for name in "${single[@]}" "${double[@]}" direct; do load "$name" keep /1k 64; done
		for name in "${single[@]}" weir-stuck "${double[@]}" direct; do load "$name" close /1k 64 -H 'Connection: close'; done
		for name in "${single[@]}" direct; do load "$name" bulk /16m 4; done
	done
	note_added keep
	note_added close
	for name in "${proxies[@]}"; do
		is_running "${proxy_pid[$name]}" || die "$name has ended: $(tail -n 3 "$work/$name/stderr")"
	done
}

# rows WHAT FIGURE UNIT [PEER TARGET] - one row for each peer; FIGURE has a % where the proxy's name stands, and %-2 for
# its two workers.
rows() {
	local what=$1 figure=$2 unit=$3 peer target
	for peer in haproxy nginx envoy direct; do
		target=
		[ "$peer" != "${4-}" ] || target=$5
		row "$what" "${figure/\%/weir}" "$unit" "$peer" "${figure/\%/$peer}" "$target"
	done
}

print_relay() {
	title "Relay (TCP, 1 worker)"
	rows "CPU per request, kept alive, 1 KiB, c=64" keep.%.cpu us haproxy "< 0.85"
	rows "CPU per new connection, c=64" close.%.cpu us haproxy "< 0.85"
	rows "CPU per 16 MiB, c=4" bulk.%.cpu16m us envoy "< 1"
	rows "added latency p50, kept alive" keep.%.added.p50 us haproxy "< 1"
	rows "added latency p99, kept alive" keep.%.added.p99 us haproxy "< 1"
	rows "added latency p50, new connection" close.%.added.p50 us
	rows "added latency p99, new connection" close.%.added.p99 us
	rows "requests/s, kept alive (more is better)" keep.%.rate /s
	rows "new connections/s (more is better)" close.%.rate /s
	row "latency p99, new connection, log stuck" close.weir-stuck.p99 us "weir, log in a file" close.weir.p99 "< 2"
	title "Relay (TCP, 2 workers)"
	rows "CPU per request, kept alive" keep.%-2.cpu us
	rows "CPU per new connection" close.%-2.cpu us
	rows "added latency p50, kept alive" keep.%-2.added.p50 us haproxy "< 1"
	rows "added latency p99, kept alive" keep.%-2.added.p99 us haproxy "< 1"
	rows "added latency p50, new connection" close.%-2.added.p50 us
	rows "added latency p99, new connection" close.%-2.added.p99 us
	title "Memory (PSS, 1 worker)"
	rows "idle" idle.% kB haproxy "weir: < 2 MB"
	rows "per idle connection, of $idle_connections" held.% B haproxy "weir: < 1 kB"
}
