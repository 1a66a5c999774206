/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests as the origin sees them: golden bytes, in any cut. The expected bytes are what Envoy was seen to send.
 */
#include "tests/unit/http_pilot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Up to what size pieces of every size are tried; larger messages are cut in a few ways. */
#define EVERY_CUT_MAX 400

static const char response[] = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#define OWN "x-forwarded-proto: http\r\nx-request-id: " PILOT_ID "\r\n"
#define COUNT "x-envoy-attempt-count: 1\r\n"
#define TAIL OWN COUNT "\r\n"

static const struct http_operation operations[] = {
	{HTTP_SET, HTTP_TEXT("X-Set"), HTTP_TEXT("s")},
	{HTTP_ADD, HTTP_TEXT("X-Addd"), HTTP_TEXT("a")},
	{HTTP_SET, HTTP_TEXT("user-agent"), HTTP_TEXT("vs")},
	{HTTP_REMOVE, HTTP_TEXT("x-gone"), {NULL, 0}},
};

static const struct http_forward plain;
static const struct http_forward registered = {.decorator = HTTP_TEXT("httpbin.org:80/*")};
static const struct http_forward timed = {.decorator = HTTP_TEXT("httpbin.org:80/*"), .timeout = 3000};
static const struct http_forward rewritten = {
	.authority = HTTP_TEXT("newhost"),
	.path = HTTP_TEXT("/new/"),
	.path_cut = sizeof "/rewrite/" - 1,
	.decorator = HTTP_TEXT("httpbin.org:80/*"),
	.timeout = 3000,
	.request = {operations, sizeof operations / sizeof *operations},
};

static void expect_cut(const struct http_forward *route, const char *client, size_t piece, const char *upstream,
	const char *log)
{
	struct pilot pilot;

	pilot_start(&pilot, route);
	pilot_fly(&pilot, client, strlen(client), piece, response, sizeof response - 1, sizeof response, false);
	assert_string_equal(pilot.to_upstream.data, upstream);
	if (log != NULL)
		assert_string_equal(pilot.log.data, log);
	pilot_end(&pilot);
}

/* Where a chunked body is cut decides about the chunks; there, only whole ones are compared. */
static void expect(const struct http_forward *route, const char *client, const char *upstream, const char *log)
{
	bool chunked = strstr(upstream, "transfer-encoding: chunked") != NULL;
	size_t size = strlen(client);

	expect_cut(route, client, size, upstream, log);
	for (size_t piece = 1; piece < size && !chunked; piece += size <= EVERY_CUT_MAX ? 1 : size / 7)
		expect_cut(route, client, piece, upstream, log);
}

static void the_proxy_adds_its_own(void **state)
{
	(void)state;
	expect(&plain, "GET / HTTP/1.1\r\nHost: x.y\r\n\r\n", "GET / HTTP/1.1\r\nhost: x.y\r\n" TAIL,
		"\"GET / HTTP/1.1\" 200 - via_upstream \"-\" 0 2 7 \"-\" \"-\" \"" PILOT_ID "\" \"x.y\"\n");
	expect(&registered, "GET / HTTP/1.1\r\nHost: reg\r\n\r\n",
		"GET / HTTP/1.1\r\nhost: reg\r\n" OWN "x-envoy-decorator-operation: httpbin.org:80/*\r\n" COUNT "\r\n", NULL);
	expect(&timed, "GET / HTTP/1.1\r\nHost: reg\r\n\r\n",
		"GET / HTTP/1.1\r\nhost: reg\r\n" OWN "x-envoy-decorator-operation: httpbin.org:80/*\r\n"
		"x-envoy-expected-rq-timeout-ms: 3000\r\n" COUNT "\r\n",
		NULL);
	/* Of an application's own, what is passed on keeps its place. */
	expect(&registered,
		"GET / HTTP/1.1\r\nHost: reg\r\nA: b\r\nX-Envoy-Decorator-Operation: bad\r\nX-Envoy-Attempt-Count: 9\r\n"
		"X-Request-Id: mine\r\nX-Forwarded-Proto: https\r\nz: z\r\n\r\n",
		"GET / HTTP/1.1\r\nhost: reg\r\na: b\r\nx-envoy-decorator-operation: httpbin.org:80/*\r\n"
		"x-envoy-attempt-count: 1\r\nx-request-id: mine\r\nx-forwarded-proto: https\r\nz: z\r\n\r\n",
		"\"GET / HTTP/1.1\" 200 - via_upstream \"-\" 0 2 7 \"-\" \"-\" \"mine\" \"reg\"\n");
	expect(&plain, "GET / HTTP/1.1\r\nHost: x\r\nx-envoy-decorator-operation: bad\r\nx-request-id:\r\nz: z\r\n\r\n",
		"GET / HTTP/1.1\r\nhost: x\r\nx-envoy-decorator-operation: bad\r\nx-request-id: " PILOT_ID
		"\r\nz: z\r\nx-forwarded-proto: http\r\n" COUNT "\r\n",
		NULL);
}

static void routes_change_requests(void **state)
{
	(void)state;
	expect(&rewritten,
		"GET /rewrite/a?q HTTP/1.1\r\nHost: misc\r\nX-Set: 1\r\nx-addd: 2\r\nUser-Agent: c\r\nX-Gone: 1\r\n"
		"x-envoy-original-path: /evil\r\nX-last: 1\r\n\r\n",
		"GET /new/a?q HTTP/1.1\r\nhost: newhost\r\nx-addd: 2\r\nx-last: 1\r\n" OWN
		"x-envoy-decorator-operation: httpbin.org:80/*\r\nx-envoy-expected-rq-timeout-ms: 3000\r\nx-set: s\r\n"
		"user-agent: vs\r\nx-addd: a\r\nx-envoy-original-host: misc\r\nx-envoy-original-path: /rewrite/a?q\r\n" COUNT "\r\n",
		"\"GET /rewrite/a?q HTTP/1.1\" 200 - via_upstream \"-\" 0 2 7 \"-\" \"vs\" \"" PILOT_ID "\" \"newhost\"\n");
	expect(&rewritten, "POST /rewrite/ HTTP/1.1\r\nHost: misc\r\n\r\n",
		"POST /new/ HTTP/1.1\r\nhost: newhost\r\n" OWN
		"x-envoy-decorator-operation: httpbin.org:80/*\r\nx-envoy-expected-rq-timeout-ms: 3000\r\nx-set: s\r\n"
		"user-agent: vs\r\nx-addd: a\r\nx-envoy-original-host: misc\r\nx-envoy-original-path: /rewrite/\r\n" COUNT
		"content-length: 0\r\n\r\n",
		NULL);
}

static void hosts_and_targets(void **state)
{
	static const struct {
		const char *client;
		const char *path;
		const char *host;
	} rows[] = {
		{"GET / HTTP/1.1\r\nA: b\r\nHost: Reg:80\r\n", "/", "Reg:80"},
		{"GET http://user@reg:80?x=1#f HTTP/1.1\r\nHost: other\r\nA: b\r\n", "/?x=1", "reg:80"},
		{"GET http://reg HTTP/1.1\r\nA: b\r\n", "/", "reg"},
		{"GET http://reg/a?b HTTP/1.1\r\nA: b\r\n", "/a?b", "reg"},
		{"GET https://reg/a HTTP/1.1\r\nHost: z\r\nA: b\r\n", "/a", "reg"},
		{"GET HTTP://Reg/a HTTP/1.1\r\nHost: z\r\nA: b\r\n", "/a", "Reg"},
		{"GET http://reg#x/y HTTP/1.1\r\nHost: z\r\nA: b\r\n", "/", "reg"},
		{"GET /a#frag HTTP/1.1\r\nHost: reg\r\nA: b\r\n", "/a", "reg"},
		{"GET / HTTP/1.1\r\nHost: a,b\r\nA: b\r\n", "/", "a,b"},
		{"GET / HTTP/1.1\r\nHost:\r\nA: b\r\n", "/", ""},
		{"GET / HTTP/1.1\r\nHost: [::1]:80\r\nA: b\r\n", "/", "[::1]:80"},
		{"GET / HTTP/1.1\r\nHost: a_b\r\nA: b\r\n", "/", "a_b"},
		{"GET /a/../b?x=/../y HTTP/1.1\r\nHost: reg\r\nA: b\r\n", "/b?x=/../y", "reg"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char client[512];
		char upstream[1024];

		(void)snprintf(client, sizeof client, "%s\r\n", rows[i].client);
		(void)snprintf(upstream, sizeof upstream, "GET %s HTTP/1.1\r\nhost: %s\r\na: b\r\n" TAIL, rows[i].path,
			rows[i].host);
		expect(&plain, client, upstream, NULL);
	}
}

/* Headers in, and what is left of them. */
static void headers_of_the_connection_stay(void **state)
{
	static const struct {
		const char *in;
		const char *out;
	} rows[] = {
		{"TE: trailers, deflate\r\nKeep-Alive: 1\r\nProxy-Connection: x\r\nConnection: keep-alive, X-Foo, te\r\n"
		 "X-Foo: 1\r\nProxy-Authorization: p\r\nVia: v\r\nExpect: 100-continue\r\n",
			"te: trailers\r\nproxy-authorization: p\r\nvia: v\r\nexpect: 100-continue\r\n"},
		{"TE: deflate\r\n", ""},
		{"TE: deflate\r\nTE: trailers\r\n", "te: trailers\r\n"},
		{"x-empty:\r\nx-sp:   a  b \t \r\nx-tab: a\tb\r\n", "x-empty: \r\nx-sp: a  b\r\nx-tab: a\tb\r\n"},
		{"Connection: cookie\r\ncookie: a\r\nx: y\r\ncookie: b\r\n", "x: y\r\n"},
		{"Upgrade: foo\r\nx: y\r\n", "x: y\r\n"},
		{"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n", ""},
		{"Accept: a\r\nX: 1\r\naccept: b\r\nUser-Agent: a\r\nuser-agent: b\r\nx: 2\r\nCookie: a\r\nCookie: b\r\n",
			"accept: a,b\r\nx: 1\r\nuser-agent: a,b\r\nx: 2\r\ncookie: a\r\ncookie: b\r\n"},
		{"x-forwarded-for: 192.0.2.1, 10.4.5.6\r\nx-forwarded-for: 10.9.9.9\r\n",
			"x-forwarded-for: 192.0.2.1, 10.4.5.6,10.9.9.9\r\n"},
		{"x_y: a\r\n!#$%&'*+-.^_`|~9z: \xc3\xa9\xff\r\n", "x_y: a\r\n!#$%&'*+-.^_`|~9z: \xc3\xa9\xff\r\n"},
		{"x-envoy-internal: false\r\nx-envoy-expected-rq-timeout-ms: 55\r\nx-envoy-upstream-rq-timeout-ms: 777\r\n"
		 "x-envoy-max-retries: 1\r\nx-envoy-retry-on: 5xx\r\nx-envoy-force-trace: 1\r\nx-envoy-ip-tags: a\r\n"
		 "x-forwarded-client-cert: By=1\r\nx-envoy-upstream-alt-stat-name: q\r\nx-envoy-original-url: u\r\n"
		 "x-envoy-upstream-rq-per-try-timeout-ms: 99\r\nx-envoy-upstream-rq-timeout-alt-response: 1\r\n"
		 "x-envoy-retry-grpc-on: cancelled\r\nx-envoy-hedge-on-per-try-timeout: true\r\nx-envoy-peer-metadata: zz\r\n"
		 "x-envoy-retriable-status-codes: 5\r\nx-envoy-retriable-header-names: d\r\nx-envoy-peer-metadata-id: y\r\n"
		 "x-envoy-original-path: /evil\r\nx-envoy-original-host: h\r\nx-envoy-external-address: 1.1.1.1\r\n"
		 "traceparent: t\r\nforwarded: f\r\nx-forwarded-host: h\r\nx-b3-traceid: b\r\n",
			"x-envoy-original-host: h\r\nx-envoy-external-address: 1.1.1.1\r\ntraceparent: t\r\nforwarded: f\r\n"
			"x-forwarded-host: h\r\nx-b3-traceid: b\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char client[2048];
		char upstream[2048];

		(void)snprintf(client, sizeof client, "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n", rows[i].in);
		(void)snprintf(upstream, sizeof upstream, "GET / HTTP/1.1\r\nhost: h\r\n%s" TAIL, rows[i].out);
		expect(&plain, client, upstream, NULL);
	}
}

static void private_clients_are_trusted(void **state)
{
	static const char *const yes[] = {"10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "127.0.0.1", "fd12::1", "::1"};
	static const char *const no[] = {"11.1.2.3", "172.32.0.1", "192.169.1.1", "127.0.0.2", "2001:db8::1", "10.1.2.3, 10.1.2.4",
		"10.1.2.3:80", "x", ""};
	char client[512];
	char upstream[1024];

	(void)state;
	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
		(void)snprintf(client, sizeof client,
			"GET / HTTP/1.1\r\nHost: h\r\nx-forwarded-for: %s\r\nx-envoy-expected-rq-timeout-ms: 55\r\n"
			"x-envoy-upstream-rq-timeout-ms: 777\r\nx-envoy-ip-tags: a\r\n\r\n",
			yes[i]);
		(void)snprintf(upstream, sizeof upstream,
			"GET / HTTP/1.1\r\nhost: h\r\nx-forwarded-for: %s\r\nx-envoy-expected-rq-timeout-ms: 55\r\n"
			"x-envoy-ip-tags: a\r\nx-forwarded-proto: http\r\nx-envoy-internal: true\r\nx-request-id: " PILOT_ID
			"\r\n" COUNT "\r\n",
			yes[i]);
		expect(&plain, client, upstream, NULL);
	}
	for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
		(void)snprintf(client, sizeof client,
			"GET / HTTP/1.1\r\nHost: h\r\nx-forwarded-for: %s\r\nx-envoy-expected-rq-timeout-ms: 55\r\n\r\n", no[i]);
		(void)snprintf(upstream, sizeof upstream, "GET / HTTP/1.1\r\nhost: h\r\nx-forwarded-for: %s\r\n" TAIL, no[i]);
		expect(&plain, client, upstream, NULL);
	}
}

static void wishes(void **state)
{
	static const char trusted[] = "GET / HTTP/1.1\r\nHost: h\r\nx-forwarded-for: 10.0.0.1\r\n"
				      "x-envoy-upstream-rq-timeout-ms: 200\r\nx-envoy-max-retries: 1x\r\n\r\n";
	static struct http_head head;
	struct http_writer scratch = {.data = NULL};
	struct http_request request;
	uint64_t number = 0;

	(void)state;
	assert_int_equal(http_head_read_request(&head, trusted, sizeof trusted - 1), HTTP_FINE);
	assert_int_equal(http_request_read(&request, &head, &scratch), HTTP_FINE);
	assert_true(http_request_wish(&request, HTTP_NAME_X_ENVOY_UPSTREAM_RQ_TIMEOUT_MS, &number));
	assert_int_equal(number, 200);
	assert_false(http_request_wish(&request, HTTP_NAME_X_ENVOY_MAX_RETRIES, &number));
	assert_false(http_request_wish(&request, HTTP_NAME_X_ENVOY_UPSTREAM_RQ_PER_TRY_TIMEOUT_MS, &number));
	request.is_trusted = false;
	assert_false(http_request_wish(&request, HTTP_NAME_X_ENVOY_UPSTREAM_RQ_TIMEOUT_MS, &number));
}

static void bodies(void **state)
{
	static const char *const without[] = {"GET", "DELETE", "TRACE", "HEAD"};
	static const char *const with[] = {"POST", "PUT", "PATCH", "OPTIONS", "PURGE", "PROPFIND", "M-SEARCH", "LOCK"};
	char client[256];
	char upstream[512];

	(void)state;
	for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
		(void)snprintf(client, sizeof client, "%s / HTTP/1.1\r\nHost: h\r\n\r\n", without[i]);
		(void)snprintf(upstream, sizeof upstream, "%s / HTTP/1.1\r\nhost: h\r\n" TAIL, without[i]);
		expect(&plain, client, upstream, NULL);
	}
	for (size_t i = 0; i < sizeof with / sizeof *with; i++) {
		(void)snprintf(client, sizeof client, "%s / HTTP/1.1\r\nHost: h\r\n\r\n", with[i]);
		(void)snprintf(upstream, sizeof upstream, "%s / HTTP/1.1\r\nhost: h\r\n" OWN COUNT "content-length: 0\r\n\r\n", with[i]);
		expect(&plain, client, upstream, NULL);
	}
	expect(&plain, "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
		"GET / HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n" TAIL, NULL);
	expect(&plain, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 003\r\n\r\nabc",
		"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 003\r\n" TAIL "abc",
		"\"POST / HTTP/1.1\" 200 - via_upstream \"-\" 3 2 7 \"-\" \"-\" \"" PILOT_ID "\" \"h\"\n");
	expect(&plain,
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\nTrailer: x\r\n\r\n"
		"3;ext=1\r\nabc\r\n4\r\ndefg\r\n0\r\nX: y\r\n\r\n",
		"POST / HTTP/1.1\r\nhost: h\r\ntrailer: x\r\n" OWN COUNT "transfer-encoding: chunked\r\n\r\n7\r\nabcdefg\r\n0\r\n\r\n",
		"\"POST / HTTP/1.1\" 200 - via_upstream \"-\" 7 2 7 \"-\" \"-\" \"" PILOT_ID "\" \"h\"\n");
	expect(&plain, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nhost: h\r\n" OWN COUNT "transfer-encoding: chunked\r\n\r\n0\r\n\r\n", NULL);
}

static void upgrades(void **state)
{
	(void)state;
	expect(&plain,
		"GET / HTTP/1.1\r\nHost: h\r\nA: b\r\nConnection: keep-alive, Upgrade, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n"
		"TE: deflate\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: x\r\n\r\n",
		"GET / HTTP/1.1\r\nhost: h\r\na: b\r\nconnection: keep-alive, Upgrade, X-Hop\r\nx-hop: 1\r\nte: deflate\r\n"
		"upgrade: WebSocket\r\nsec-websocket-key: x\r\n" TAIL,
		NULL);
	/* With a body it is none. */
	expect(&plain,
		"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\nabc",
		"GET / HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n" TAIL "abc", NULL);
}

static void old_and_odd_clients(void **state)
{
	static const struct http_forward dialled = {.authority = HTTP_TEXT("192.0.2.1:80")};

	(void)state;
	expect(&plain, "GET / HTTP/1.0\r\nHost: h\r\n\r\n", "GET / HTTP/1.1\r\nhost: h\r\n" TAIL,
		"\"GET / HTTP/1.0\" 200 - via_upstream \"-\" 0 2 7 \"-\" \"-\" \"" PILOT_ID "\" \"h\"\n");
	/* Without a Host, the route says whom it is for. */
	expect(&dialled, "GET /x HTTP/1.0\r\n\r\n", "GET /x HTTP/1.1\r\nhost: 192.0.2.1:80\r\n" TAIL,
		"\"GET /x HTTP/1.0\" 200 - via_upstream \"-\" 0 2 7 \"-\" \"-\" \"" PILOT_ID "\" \"192.0.2.1:80\"\n");
	expect(&plain, "GET / HTTP/1.1\nHost: h\nA: b\n\n", "GET / HTTP/1.1\r\nhost: h\r\na: b\r\n" TAIL, NULL);
	expect(&plain, "GET / HTTP/1.1\r\nHost: h\nA: b\r\n\n", "GET / HTTP/1.1\r\nhost: h\r\na: b\r\n" TAIL, NULL);
}

/* One after the other, whatever is in one read; each decided for itself. */
static void pipelines(void **state)
{
	(void)state;
	expect(&plain,
		"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: b\r\nContent-Length: 3\r\n\r\nabc"
		"GET /3 HTTP/1.1\r\nHost: c\r\n\r\n",
		"GET /1 HTTP/1.1\r\nhost: a\r\n" TAIL "POST /2 HTTP/1.1\r\nhost: b\r\ncontent-length: 3\r\n" TAIL
		"abcGET /3 HTTP/1.1\r\nhost: c\r\n" TAIL,
		"\"GET /1 HTTP/1.1\" 200 - via_upstream \"-\" 0 2 7 \"-\" \"-\" \"" PILOT_ID "\" \"a\"\n"
		"\"POST /2 HTTP/1.1\" 200 - via_upstream \"-\" 3 2 7 \"-\" \"-\" \"" PILOT_ID "\" \"b\"\n"
		"\"GET /3 HTTP/1.1\" 200 - via_upstream \"-\" 0 2 7 \"-\" \"-\" \"" PILOT_ID "\" \"c\"\n");
}

/* As large as a head may be, and a request line of nothing but escapes. */
static void large_heads_pass(void **state)
{
	static char client[HTTP_REQUEST_HEAD_MAX + 1];
	static char upstream[2 * HTTP_REQUEST_HEAD_MAX];
	size_t size = (size_t)snprintf(client, sizeof client, "GET / HTTP/1.1\r\nHost: h\r\nA: ");

	(void)state;
	memset(client + size, 'x', sizeof client - 1 - size - 4);
	memcpy(client + sizeof client - 5, "\r\n\r\n", 5);
	(void)snprintf(upstream, sizeof upstream, "GET / HTTP/1.1\r\nhost: h\r\na: %.*s\r\n" TAIL,
		(int)(sizeof client - 1 - size - 4), client + size);
	expect(&plain, client, upstream, NULL);
	size = (size_t)snprintf(client, sizeof client, "GET /");
	while (size < 50000)
		size += (size_t)snprintf(client + size, sizeof client - size, "%%41\"");
	(void)snprintf(client + size, sizeof client - size, " HTTP/1.1\r\nHost: h\r\n\r\n");
	size = (size_t)snprintf(upstream, sizeof upstream, "GET /");
	for (size_t i = 5; client[i] == '%'; i += 4)
		size += (size_t)snprintf(upstream + size, sizeof upstream - size, "A%%22");
	(void)snprintf(upstream + size, sizeof upstream - size, " HTTP/1.1\r\nhost: h\r\n" TAIL);
	expect(&plain, client, upstream, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_proxy_adds_its_own),
		cmocka_unit_test(routes_change_requests),
		cmocka_unit_test(hosts_and_targets),
		cmocka_unit_test(headers_of_the_connection_stay),
		cmocka_unit_test(private_clients_are_trusted),
		cmocka_unit_test(wishes),
		cmocka_unit_test(bodies),
		cmocka_unit_test(upgrades),
		cmocka_unit_test(old_and_odd_clients),
		cmocka_unit_test(pipelines),
		cmocka_unit_test(large_heads_pass),
	};

	return cmocka_run_group_tests_name("http_request", tests, NULL, NULL);
}
