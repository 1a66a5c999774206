/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What holds for single connections: what a DestinationRule says, and what is so where it says nothing.
 */
#include "proxy/net/limit.h"

#include "tests/unit/policy_fixture.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#define SECOND 1000

/* Makes a cluster with a connectionPool, or, NULL, without. */
static const struct policy_cluster *start(struct fixture *f, const char *pool)
{
	static const char entry[] =
		"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}\n"
		"spec: {hosts: [a.org], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}\n";
	char rule[512];

	fixture_start(f, MESH_REGISTRY_ONLY);
	fixture_put(f, "entry.yaml", entry);
	(void)snprintf(rule, sizeof rule, "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\n"
					  "spec: {host: a.org, trafficPolicy: {connectionPool: %s}}\n", pool != NULL ? pool : "");
	if (pool != NULL)
		fixture_put(f, "rule.yaml", rule);
	fixture_build(f);
	fixture_expect_clean(f);
	return fixture_cluster(f, "outbound|80||a.org");
}

static void times_and_numbers(void **state)
{
	static const struct row {
		const char *pool; /* NULL: none */
		int64_t connect;
		int64_t tcp_idle;
		int64_t http_idle;
		int64_t duration;
		uint32_t requests;
	} rows[] = {
		{NULL, 7 * SECOND, 3600 * SECOND, 3600 * SECOND, LIMIT_NEVER, UINT32_MAX},
		{"{tcp: {maxConnections: 1}}", 7 * SECOND, 3600 * SECOND, 3600 * SECOND, LIMIT_NEVER, UINT32_MAX},
		{"{tcp: {connectTimeout: 1s, idleTimeout: 2s, maxConnectionDuration: 3s}}", SECOND, 2 * SECOND, 3600 * SECOND, 3 * SECOND,
			UINT32_MAX},
		{"{http: {idleTimeout: 1h30m, maxRequestsPerConnection: 5}}", 7 * SECOND, 3600 * SECOND, 5400 * SECOND, LIMIT_NEVER, 5},
		{"{tcp: {idleTimeout: 0s}, http: {maxRequestsPerConnection: 0}}", 7 * SECOND, LIMIT_NEVER, 3600 * SECOND, LIMIT_NEVER,
			UINT32_MAX},
	};
	const struct configuration configuration = {.mesh = {.connect_timeout = INT64_C(7000000000)}};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct fixture f;
		const struct policy_cluster *cluster = start(&f, rows[i].pool);

		assert_int_equal(limit_connect_timeout(&configuration, cluster), rows[i].connect);
		assert_int_equal(limit_tcp_idle_time(cluster), rows[i].tcp_idle);
		assert_int_equal(limit_http_idle_time(cluster), rows[i].http_idle);
		assert_int_equal(limit_duration(cluster), rows[i].duration);
		assert_int_equal(limit_requests(cluster), rows[i].requests);
		fixture_end(&f);
	}
	/* Of what nobody declares. */
	assert_int_equal(limit_connect_timeout(&configuration, NULL), 7 * SECOND);
	assert_int_equal(limit_connect_timeout(NULL, NULL), 10 * SECOND);
	assert_int_equal(limit_tcp_idle_time(NULL), 3600 * SECOND);
	assert_int_equal(limit_http_idle_time(NULL), 300 * SECOND);
	assert_int_equal(limit_duration(NULL), LIMIT_NEVER);
	assert_int_equal(limit_requests(NULL), UINT32_MAX);
}

static int option(int fd, int level, int name)
{
	socklen_t length = sizeof(int);
	int value = -1;

	assert_int_equal(getsockopt(fd, level, name, &value, &length), 0);
	return value;
}

static void keepalive(void **state)
{
	static const struct row {
		const char *pool;
		int on;
		int time; /* 0: the kernel's */
		int interval;
		int probes;
	} rows[] = {
		{"{tcp: {maxConnections: 1}}", 0, 0, 0, 0},
		{"{tcp: {tcpKeepalive: {}}}", 1, 0, 0, 0},
		{"{tcp: {tcpKeepalive: {time: 77s}}}", 1, 77, 0, 0},
		{"{tcp: {tcpKeepalive: {time: 1h, interval: 75s, probes: 3}}}", 1, 3600, 75, 3},
		/* As little and as much as there is. */
		{"{tcp: {tcpKeepalive: {time: 1ms, interval: 24h, probes: 1000}}}", 1, 1, 32767, 127},
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int usual[] = {option(fd, IPPROTO_TCP, TCP_KEEPIDLE), option(fd, IPPROTO_TCP, TCP_KEEPINTVL),
		option(fd, IPPROTO_TCP, TCP_KEEPCNT)};

	(void)state;
	(void)close(fd);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct side side = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
		struct fixture f;
		const struct policy_cluster *cluster = start(&f, rows[i].pool);

		assert_int_equal(limit_keep_alive(cluster, &side), rows[i].on);
		assert_int_equal(option(side.fd, SOL_SOCKET, SO_KEEPALIVE), rows[i].on);
		assert_int_equal(option(side.fd, IPPROTO_TCP, TCP_KEEPIDLE), rows[i].time != 0 ? rows[i].time : usual[0]);
		assert_int_equal(option(side.fd, IPPROTO_TCP, TCP_KEEPINTVL), rows[i].interval != 0 ? rows[i].interval : usual[1]);
		assert_int_equal(option(side.fd, IPPROTO_TCP, TCP_KEEPCNT), rows[i].probes != 0 ? rows[i].probes : usual[2]);
		side_close(&side);
		fixture_end(&f);
	}
	assert_false(limit_keep_alive(NULL, &(struct side){.fd = -1}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_and_numbers),
		cmocka_unit_test(keepalive),
	};

	return cmocka_run_group_tests_name("limit", tests, NULL, NULL);
}
