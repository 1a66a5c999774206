# SPDX-License-Identifier: Apache-2.0
#
# Sourced by tests/bench/run: how the proxies that weir stands beside are set up. write_KIND NAME writes the
# configuration of the proxy NAME into its folder; all of them listen on 15001, go on to where the application dialled
# (nginx, which cannot, to the origin), and log.

workers_of() { case $1 in *-2) echo 2 ;; *) echo 1 ;; esac; }

# write_haproxy_mode NAME MODE CONNECTIONS [TIMEOUT]
write_haproxy_mode() {
	cat >"$work/$1/conf" <<-EOF
		global
		  nbthread $(workers_of "$1")
		  maxconn $3
		  log stdout format raw local0
		defaults
		  mode $2
		  log global
		  option ${2}log
		  timeout connect 10s
		  timeout client 1h
		  timeout server 1h
		  ${4-}
		frontend out
		  bind 0.0.0.0:15001
		  default_backend original
		backend original
		  server destination 0.0.0.0:0
	EOF
}

write_haproxy() { write_haproxy_mode "$1" tcp 4000; }
write_haproxyhttp() { write_haproxy_mode "$1" http 9500 'timeout http-keep-alive 1h'; }

write_nginx() {
	local module=/usr/lib/nginx/modules/ngx_stream_module.so
	cat >"$work/$1/conf" <<-EOF
		$([ ! -e $module ] || echo "load_module $module;")
		daemon off; worker_processes $(workers_of "$1"); worker_rlimit_nofile 20000;
		pid $work/$1/pid; error_log $work/$1/error.log;
		events { worker_connections 9500; }
		stream {
			log_format tcp '\$remote_addr [\$time_local] \$protocol \$status \$bytes_sent \$bytes_received \$session_time '
				'\$upstream_addr \$upstream_connect_time';
			access_log $work/$1/log tcp;
			proxy_timeout 1h;
			server { listen 15001 backlog=4096; proxy_pass $origin:80; }
		}
	EOF
}

# write_envoy_filter NAME FILTER TYPE SETTINGS [CLUSTER-SETTING] - with one filter; settings are in YAML's flow style.
write_envoy_filter() {
	local types=type.googleapis.com/envoy.extensions
	cat >"$work/$1/conf.yaml" <<-EOF
		static_resources:
		  listeners:
		  - name: out
		    address: {socket_address: {address: 0.0.0.0, port_value: 15001}}
		    listener_filters:
		    - name: envoy.filters.listener.original_dst
		      typed_config: {"@type": $types.filters.listener.original_dst.v3.OriginalDst}
		    filter_chains:
		    - filters:
		      - name: envoy.filters.network.$2
		        typed_config: {"@type": $types.filters.network.$2.v3.$3, stat_prefix: out, access_log: [{
		          name: envoy.access_loggers.file,
		          typed_config: {"@type": $types.access_loggers.file.v3.FileAccessLog, path: $work/$1/log}}], $4}
		  clusters:
		  - {name: original, type: ORIGINAL_DST, lb_policy: CLUSTER_PROVIDED, connect_timeout: 10s, ${5-}}
	EOF
}

write_envoy() { write_envoy_filter "$1" tcp_proxy TcpProxy 'cluster: original'; }

write_envoyhttp() {
	local host='{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: original, timeout: 0s}}]}'
	local type='type.googleapis.com/envoy.extensions.filters.http.router.v3.Router'
	local router="{name: envoy.filters.http.router, typed_config: {\"@type\": $type}}"
	write_envoy_filter "$1" http_connection_manager HttpConnectionManager \
		"route_config: {virtual_hosts: [$host]}, http_filters: [$router]" \
		'circuit_breakers: {thresholds: [{max_connections: 20000, max_pending_requests: 20000, max_requests: 20000}]}'
}
