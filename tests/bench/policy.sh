# SPDX-License-Identifier: Apache-2.0
#
# Sourced by tests/bench/run, behind relay.sh whose pods, origin and load it uses: what a decision about every request
# costs, beside proxies that also read and log every request.
#
# weirhttp knows 10 ServiceEntries and is REGISTRY_ONLY, weirmany 10,000; haproxyhttp is haproxy in mode http and
# envoyhttp Envoy with its HTTP connection manager, both of which let everything through. All of them log a line a
# request. A request is for an entry in the middle of the 10, which weirmany has too.

few_entries=10
many_entries=10000
entries_per_file=100
idle_http_connections=9000
policy_seconds=10

# write_entries DIRECTORY COUNT
write_entries() {
	awk -v directory="$1" -v count="$2" -v per_file="$entries_per_file" 'BEGIN {
		for (i = 0; i < count; i++) {
			file = sprintf("%s/%03d.yaml", directory, i / per_file)
			printf "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: host-%d}\n" \
				"spec:\n  hosts: [host-%d.example]\n  location: MESH_EXTERNAL\n  resolution: NONE\n" \
				"  ports: [{number: 80, name: http, protocol: HTTP}]\n---\n", i, i >file
		}
	}'
}

# write_policy NAME COUNT
write_policy() {
	mkdir "$work/$1/resources"
	echo 'outboundTrafficPolicy: {mode: REGISTRY_ONLY}' >"$work/$1/mesh.yaml"
	write_entries "$work/$1/resources" "$2"
}

write_weirhttp() { write_policy "$1" "$few_entries"; }
write_weirmany() { write_policy "$1" "$many_entries"; }

# --- a change

answers() { [ "$(inside "$1" curl -s -o /dev/null -w '%{http_code}' -m 2 -H "Host: $2" "http://$origin/1k")" = "$3" ]; }

# measure_change NAME TURN - how long after a file was written its host is let through, and after it was deleted not any
# more; and what either costs the whole proxy.
measure_change() {
	local name=$1 turn=$2 host=added-$2.example file=$work/$1/resources/added.yaml cpu since want
	for want in 200 502; do
		cpu=$(cpu_of "$name")
		since=$EPOCHREALTIME
		if [ "$want" = 200 ]; then
			write_entries "$work/$name/new" 1
			sed "s/host-0/added-$turn/" "$work/$name/new/000.yaml" >"$work/$name/added"
			mv "$work/$name/added" "$file"
		else
			rm "$file"
		fi
		until answers "$name" "$host" "$want"; do
			[ "${EPOCHREALTIME%.*}" -lt $((${since%.*} + policy_seconds)) ] || die "$name does not take a change up"
			is_running "${proxy_pid[$name]}" || die "$name has ended: $(tail -n 3 "$work/$name/stderr")"
		done
		note "change.$name.seen" "$((${EPOCHREALTIME/./} - ${since/./}))"
		note "change.$name.cpu" "$((($(cpu_of "$name") - cpu) / 1000))"
	done
}

measure_policy() {
	local name turn peers=(haproxyhttp) single double
	start_direct
	! command -v envoy >/dev/null || peers+=(envoyhttp)
	single=(weirhttp weirmany "${peers[@]}")
	double=(weirhttp-2 "${peers[@]/%/-2}")
	for name in "${single[@]}" "${double[@]}"; do
		start_proxy "$name"
	done
	printf 'measuring: memory of %s\n' "${single[*]}" >&2
	for name in "${single[@]}"; do
		measure_memory "$name" "$idle_http_connections"
	done
	mkdir "$work/weirhttp/new" "$work/weirmany/new"
	for turn in $(seq "$rounds"); do
		printf 'measuring: policy, round %s of %s\n' "$turn" "$rounds" >&2
		for name in "${single[@]}" "${double[@]}" direct; do load "$name" http-keep /1k 64 -H "Host: $origin_host"; done
		for name in "${single[@]}" "${double[@]}" direct; do
			load "$name" http-close /1k 64 -H "Host: $origin_host" -H 'Connection: close'
		done
		for name in weirhttp weirmany; do measure_change "$name" "$turn"; done
	done
	note_added http-keep
	note_added http-close
	for name in "${proxies[@]}"; do
		is_running "${proxy_pid[$name]}" || die "$name has ended: $(tail -n 3 "$work/$name/stderr")"
	done
}

# policy_rows WHAT FIGURE UNIT [TARGET-OF-HAPROXY [TARGET-OF-ENVOY]] - as rows, of the proxies that read HTTP.
policy_rows() {
	row "$1" "${2/\%/weirhttp}" "$3" haproxy "${2/\%/haproxyhttp}" "${4-}"
	row "$1" "${2/\%/weirhttp}" "$3" envoy "${2/\%/envoyhttp}" "${5-}"
	row "$1" "${2/\%/weirhttp}" "$3" direct "${2/\%/direct}"
}

# many_row WHAT FIGURE UNIT [TARGET] - 10,000 entries beside 10.
many_row() { row "$1" "${2/\%/weirmany}" "$3" "$few_entries entries" "${2/\%/weirhttp}" "${4-}"; }

print_policy() {
	title "HTTP policy (REGISTRY_ONLY, $few_entries ServiceEntries, access log, 1 worker)"
	policy_rows "CPU per request, kept alive, 1 KiB, c=64" http-keep.%.cpu us "< 0.75" "< 0.3"
	policy_rows "CPU per new connection, c=64" http-close.%.cpu us
	policy_rows "added latency p50, kept alive" http-keep.%.added.p50 us "< 1"
	policy_rows "added latency p99, kept alive" http-keep.%.added.p99 us "< 1"
	policy_rows "added latency p50, new connection" http-close.%.added.p50 us
	policy_rows "added latency p99, new connection" http-close.%.added.p99 us
	policy_rows "requests/s, kept alive (more is better)" http-keep.%.rate /s
	policy_rows "memory, idle" idle.% kB
	policy_rows "per idle connection, of $idle_http_connections" held.% B
	title "HTTP policy (2 workers)"
	policy_rows "CPU per request, kept alive" http-keep.%-2.cpu us
	policy_rows "added latency p50, kept alive" http-keep.%-2.added.p50 us "< 1"
	policy_rows "added latency p99, kept alive" http-keep.%-2.added.p99 us "< 1"
	title "HTTP policy, $many_entries ServiceEntries"
	many_row "CPU per request, kept alive" http-keep.%.cpu us "1"
	many_row "CPU per new connection" http-close.%.cpu us "1"
	many_row "memory, idle" idle.% kB "weir: < 10 MB"
	many_row "a file written or deleted, until enforced" change.%.seen us "weir: < 1 s"
	many_row "CPU of that, with the requests that ask" change.%.cpu us
}
