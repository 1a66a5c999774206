/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Responses as the client sees them: golden bytes, in any cut. The expected bytes are what Envoy was seen to send.
 */
#include "tests/unit/http_pilot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define TIME "x-envoy-upstream-service-time: 7\r\n"
#define DATE "date: " PILOT_DATE "\r\n"
#define END TIME DATE "server: envoy\r\n"
#define ERROR_502 \
	"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 87\r\ncontent-type: text/plain\r\n" DATE "server: envoy\r\n\r\n" \
	"upstream connect error or disconnect/reset before headers. reset reason: protocol error"
#define PROTOCOL "502 UPE upstream_reset_before_response_started{protocol_error}"
#define CUT_SHORT "200 UPE upstream_reset_after_response_started{protocol_error}"

static const struct http_operation operations[] = {
	{HTTP_SET, HTTP_TEXT("X-Rset"), HTTP_TEXT("s")},
	{HTTP_ADD, HTTP_TEXT("X-Radd"), HTTP_TEXT("a")},
	{HTTP_SET, HTTP_TEXT("content-type"), HTTP_TEXT("text/vs")},
	{HTTP_SET, HTTP_TEXT("server"), HTTP_TEXT("x")},
	{HTTP_REMOVE, HTTP_TEXT("x-rgone"), {NULL, 0}},
};

static const struct http_forward plain;
static const struct http_forward changing = {.response = {operations, sizeof operations / sizeof *operations}};

struct row {
	const char *request; /* its first line, and headers without the Host */
	const char *response;
	bool closes; /* the origin ends the connection */
	const char *client;
	const char *log; /* status, flags and details */
	bool client_closed;
	bool upstream_reusable;
};

/* Chunks of one body made one chunk: where it was cut decides about them. */
static void merge_chunks(char *text)
{
	char *body = strstr(text, "transfer-encoding: chunked\r\n\r\n");
	static char merged[PILOT_TEXT_SIZE];
	char *next;
	size_t size = 0;

	if (body == NULL)
		return;
	body = strstr(body, "\r\n\r\n") + 4;
	for (next = body; *next != '\0';) {
		char *data;
		size_t chunk = strtoul(next, &data, 16);

		assert_memory_equal(data, "\r\n", 2);
		memcpy(merged + size, data + 2, chunk);
		size += chunk;
		assert_memory_equal(data + 2 + chunk, "\r\n", 2);
		next = data + 4 + chunk;
		if (chunk == 0)
			break;
	}
	assert_string_equal(next, "");
	if (size > 0)
		(void)sprintf(body, "%zx\r\n%.*s\r\n%s", size, (int)size, merged, strstr(next - 5, "0\r\n\r\n") == next - 5 ? "0\r\n\r\n" : "");
}

static void expect_cut(const struct http_forward *route, const struct row *row, size_t piece)
{
	struct pilot pilot;
	char request[512];
	char log[256];

	(void)snprintf(request, sizeof request, "%s\r\nHost: h\r\n\r\n", row->request);
	pilot_start(&pilot, route);
	pilot_fly(&pilot, request, strlen(request), 1024, row->response, strlen(row->response), piece, row->closes);
	merge_chunks(pilot.to_client.data);
	assert_string_equal(pilot.to_client.data, row->client);
	(void)snprintf(log, sizeof log, "\" %s \"", row->log);
	if (strstr(pilot.log.data, log) == NULL)
		assert_string_equal(pilot.log.data, log);
	assert_int_equal(pilot.client_closed, row->client_closed);
	assert_int_equal(pilot.upstream_reusable, row->upstream_reusable);
	pilot_end(&pilot);
}

static void expect(const struct http_forward *route, const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (size_t piece = strlen(rows[i].response) + 1; piece > 0; piece--)
			expect_cut(route, &rows[i], piece);
}

#define OK "200 - via_upstream"
#define GET "GET / HTTP/1.1"

static void heads_are_rewritten(void **state)
{
	static const struct row rows[] = {
		{GET, "HTTP/1.1 200 OK\r\nServer: o\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nok", false,
			"HTTP/1.1 200 OK\r\nserver: envoy\r\ncontent-type: a/b\r\ncontent-length: 2\r\n" TIME DATE "\r\nok", OK, false, true},
		{GET, "HTTP/1.1 200 Fine Thanks\r\nContent-Length: 2\r\n\r\nok", false,
			"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n" END "\r\nok", OK, false, true},
		{GET, "HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\n\r\n", false,
			"HTTP/1.1 418 Unknown\r\ncontent-length: 0\r\n" END "\r\n", "418 - via_upstream", false, true},
		{GET, "HTTP/1.1 999\r\nContent-Length: 0\r\n\r\n", false, "HTTP/1.1 999 Unknown\r\ncontent-length: 0\r\n" END "\r\n",
			"999 - via_upstream", false, true},
		{GET,
			"HTTP/1.1 404 X\r\nserver: a\r\nDate: b\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: x\r\n"
			"Proxy-Connection: y\r\nUpgrade: foo\r\nTE: x\r\nTrailer: q\r\nX-Envoy-Decorator-Operation: a\r\n"
			"x-envoy-upstream-service-time: 5\r\nx-envoy-peer-metadata: s\r\nx-envoy-overloaded: true\r\n"
			"x-request-id: q\r\nvia: v\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nX_u: \xe9\r\ncontent-length: 0\r\n\r\n",
			false,
			"HTTP/1.1 404 Not Found\r\nserver: envoy\r\ndate: b\r\nx-hop: 1\r\nte: x\r\ntrailer: q\r\n" TIME
			"x-envoy-overloaded: true\r\nx-request-id: q\r\nvia: v\r\nset-cookie: a\r\nset-cookie: b\r\nx_u: \xe9\r\n"
			"content-length: 0\r\n\r\n",
			"404 - via_upstream", false, false},
		{GET,
			"HTTP/1.1 200 OK\r\ncontent-type: a\r\nContent-Type: b\r\nServer: a\r\nserver: b\r\nDate: a\r\ndate: b\r\n"
			"Vary: a\r\nVary: b\r\ncontent-length: 0\r\nX: 1\r\nx: 2\r\nx: \r\n\r\n",
			false,
			"HTTP/1.1 200 OK\r\ncontent-type: a,b\r\nserver: envoy\r\ndate: a,b\r\nvary: a,b\r\ncontent-length: 0\r\nx: 1\r\n"
			"x: 2\r\nx: \r\n" TIME "\r\n",
			OK, false, true},
		{GET, "HTTP/1.1 200 OK\r\nx: a\r\n b \r\n\tc\r\ncontent-length: 2\r\n\r\nok", false,
			"HTTP/1.1 200 OK\r\nx: a b \tc\r\ncontent-length: 2\r\n" END "\r\nok", OK, false, true},
		{GET, "HTTP/1.1 200 OK\nx: a\ncontent-length: 2\n\nok", false,
			"HTTP/1.1 200 OK\r\nx: a\r\ncontent-length: 2\r\n" END "\r\nok", OK, false, true},
	};
	static const struct row changed[] = {
		{GET,
			"HTTP/1.1 200 OK\r\nX-Rset: o\r\nContent-Type: a/b\r\nServer: o\r\nX-Rgone: 1\r\n"
			"X-Envoy-Upstream-Service-Time: 77\r\ncontent-length: 2\r\n\r\nok",
			false,
			"HTTP/1.1 200 OK\r\n" TIME "content-length: 2\r\nx-rset: s\r\ncontent-type: text/vs\r\nserver: envoy\r\n"
			"x-radd: a\r\n" DATE "\r\nok",
			OK, false, true},
		{GET, "HTTP/1.1 200 OK\r\n\r\nok", true,
			"HTTP/1.1 200 OK\r\n" TIME "x-rset: s\r\ncontent-type: text/vs\r\nserver: envoy\r\nx-radd: a\r\n" DATE
			"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
			OK, false, false},
	};

	(void)state;
	expect(&plain, rows, sizeof rows / sizeof *rows);
	expect(&changing, changed, sizeof changed / sizeof *changed);
}

static void bodies_end_as_they_should(void **state)
{
	static const struct row rows[] = {
		{GET, "HTTP/1.1 204 No Content\r\n\r\n", false, "HTTP/1.1 204 No Content\r\n" END "\r\n", "204 - via_upstream", false, true},
		{GET, "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n", false, "HTTP/1.1 204 No Content\r\n" END "\r\n",
			"204 - via_upstream", false, true},
		{GET, "HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n", false, "HTTP/1.1 304 Not Modified\r\netag: x\r\n" END "\r\n",
			"304 - via_upstream", false, true},
		{GET, "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", false,
			"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n" END "\r\n", "304 - via_upstream", false, true},
		{"HEAD / HTTP/1.1", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", false,
			"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n" END "\r\n", OK, false, true},
		{"HEAD / HTTP/1.1", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", false,
			"HTTP/1.1 200 OK\r\n" END "transfer-encoding: chunked\r\n\r\n", OK, false, true},
		{"HEAD / HTTP/1.1", "HTTP/1.1 200 OK\r\n\r\n", false, "HTTP/1.1 200 OK\r\n" END "transfer-encoding: chunked\r\n\r\n",
			OK, false, true},
		{"HEAD / HTTP/1.1", "HTTP/1.1 304 OK\r\n\r\n", false, "HTTP/1.1 304 Not Modified\r\n" END "\r\n",
			"304 - via_upstream", false, true},
		{GET, "HTTP/1.1 200 OK\r\n\r\nhello", true,
			"HTTP/1.1 200 OK\r\n" END "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", OK, false, false},
		{GET, "HTTP/1.1 200 OK\r\n\r\n", true, "HTTP/1.1 200 OK\r\n" END "transfer-encoding: chunked\r\n\r\n0\r\n\r\n", OK,
			false, false},
		{GET, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", true, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n" END "\r\nok",
			OK, false, false},
		{GET, "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok", false,
			"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n" END "\r\nok", OK, false, true},
		{GET, "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nx: y\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nT: r\r\n\r\n",
			false, "HTTP/1.1 200 OK\r\nx: y\r\n" END "transfer-encoding: chunked\r\n\r\n7\r\nabcdefg\r\n0\r\n\r\n", OK, false, true},
		{GET "\r\nConnection: close", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false,
			"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n" END "connection: close\r\n\r\nok", OK, true, true},
		{GET "\r\nConnection: close", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false,
			"HTTP/1.1 200 OK\r\n" END "connection: close\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", OK, true, true},
	};

	(void)state;
	expect(&plain, rows, sizeof rows / sizeof *rows);
}

static void clients_of_http_10(void **state)
{
	static const struct row rows[] = {
		{"GET / HTTP/1.0", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", false,
			"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n" END "connection: close\r\n\r\nok", OK, true, true},
		{"GET / HTTP/1.0\r\nConnection: keep-alive", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", false,
			"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n" END "connection: keep-alive\r\n\r\nok", OK, false, true},
		{"GET / HTTP/1.0\r\nConnection: keep-alive",
			"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", false,
			"HTTP/1.0 200 OK\r\n" END "connection: close\r\n\r\nok", OK, true, true},
		{"HEAD / HTTP/1.0", "HTTP/1.1 200 OK\r\n\r\n", false, "HTTP/1.0 200 OK\r\n" END "connection: close\r\n\r\n", OK, true,
			true},
		{"GET / HTTP/1.0", "HTTP/1.1 204 OK\r\n\r\n", false, "HTTP/1.0 204 No Content\r\n" END "connection: close\r\n\r\n",
			"204 - via_upstream", true, true},
		{"GET / HTTP/1.0", "HTTP/1.1 200 OK\r\n\r\nhello", true, "HTTP/1.0 200 OK\r\n" END "connection: close\r\n\r\nhello", OK,
			true, false},
		/* It would take a 103 for the answer. */
		{"GET / HTTP/1.0", "HTTP/1.1 103 X\r\nLink: y\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", false,
			"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n" END "connection: close\r\n\r\n", OK, true, true},
	};

	(void)state;
	expect(&plain, rows, sizeof rows / sizeof *rows);
}

static void interim_responses_pass(void **state)
{
	static const struct row rows[] = {
		{GET,
			"HTTP/1.1 103 Early Hints\r\nLink: y\r\nServer: x\r\nConnection: keep-alive\r\nX-Hop: 1\r\n\r\n"
			"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
			false,
			"HTTP/1.1 103 Unknown\r\nlink: y\r\nserver: x\r\nx-hop: 1\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n" END
			"\r\nok",
			OK, false, true},
		{GET "\r\nExpect: 100-continue", "HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 102 X\r\n\r\nHTTP/1.1 204 X\r\n\r\n", false,
			"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Unknown\r\n\r\nHTTP/1.1 204 No Content\r\n" END "\r\n",
			"204 - via_upstream", false, true},
		/* Nobody has asked for it, so nothing is switched. */
		{GET, "HTTP/1.1 101 X\r\nupgrade: a\r\nconnection: upgrade\r\n\r\n", false,
			"HTTP/1.1 101 Switching Protocols\r\n" END "\r\n", "101 - via_upstream", false, false},
	};

	(void)state;
	expect(&plain, rows, sizeof rows / sizeof *rows);
}

static void broken_responses_are_502(void **state)
{
	static const char *const heads[] = {
		"220 smtp.example ESMTP\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok",
		"HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\n\r\nok", "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\nok",
		"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nxx", "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nx : a\r\ncontent-length: 2\r\n\r\nok", "HTTP/1.1 200 OK\r\n: a\r\n\r\n",
		"HTTP/1.1 200 OK\r\nabc\r\n\r\n", "HTTP/1.1 200 OK\r\nx: a\x01\r\n\r\n", "HTTP/1.1 200 OK\r\nx: a\rb\r\n\r\n",
		"HTTP/1.1 99 OK\r\n\r\n", "HTTP/1.1 1000 OK\r\n\r\n", "http/1.1 200 OK\r\n\r\n", "\r\nHTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\nx", "H",
		"HTTP/1.1 204 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 204 OK\r\ncontent-length: 2\r\n\r\nok",
		"HTTP/1.1 100 OK\r\ncontent-length: 2\r\n\r\nok",
	};

	(void)state;
	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
		struct row row = {GET, heads[i], true, ERROR_502, PROTOCOL, false, false};

		expect(&plain, &row, 1);
	}
}

static void bodies_that_are_cut_short(void **state)
{
	static const struct row rows[] = {
		{GET, "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", true, "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n" END "\r\nabc",
			CUT_SHORT, true, false},
		{GET, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", true,
			"HTTP/1.1 200 OK\r\n" END "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", CUT_SHORT, true, false},
		{GET, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nbad line\r\n\r\n", false,
			"HTTP/1.1 200 OK\r\n" END "transfer-encoding: chunked\r\n\r\n", CUT_SHORT, true, false},
		{GET, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", false,
			"HTTP/1.1 200 OK\r\n" END "transfer-encoding: chunked\r\n\r\n", CUT_SHORT, true, false},
	};

	(void)state;
	expect(&plain, rows, sizeof rows / sizeof *rows);
}

static void heads_have_a_bound(void **state)
{
	static char response[HTTP_RESPONSE_HEAD_MAX + 4096];
	static char client[sizeof response + 4096];
	struct row row = {GET, response, true, ERROR_502, PROTOCOL, false, false};
	size_t size = (size_t)snprintf(response, sizeof response, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\na: ");

	(void)state;
	/* One that Envoy takes, too. */
	memset(response + size, 'x', 70000);
	memcpy(response + size + 70000, "\r\n\r\n", 5);
	(void)snprintf(client, sizeof client, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\na: %.70000s\r\n" END "\r\n", response + size);
	row = (struct row){GET, response, false, client, OK, false, true};
	expect_cut(&plain, &row, 1448);
	expect_cut(&plain, &row, 1u << 20);
	/* One of which there is no end. */
	memset(response + size, 'x', sizeof response - size - 1);
	row = (struct row){GET, response, true, ERROR_502, PROTOCOL, false, false};
	expect_cut(&plain, &row, 1448);
	expect_cut(&plain, &row, 1u << 20);
	/* As many headers as may be, and one more. */
	for (unsigned count = HTTP_HEADERS_MAX; count <= HTTP_HEADERS_MAX + 1; count++) {
		size = (size_t)snprintf(response, sizeof response, "HTTP/1.1 204 OK\r\n");
		for (unsigned i = 0; i < count; i++)
			size += (size_t)snprintf(response + size, sizeof response - size, "a: b\r\n");
		(void)snprintf(client, sizeof client, "HTTP/1.1 204 No Content\r\n%s" END "\r\n", response + strlen("HTTP/1.1 204 OK\r\n"));
		(void)snprintf(response + size, sizeof response - size, "\r\n");
		row = count == HTTP_HEADERS_MAX ? (struct row){GET, response, false, client, "204 - via_upstream", false, true}
						: (struct row){GET, response, false, ERROR_502, PROTOCOL, false, false};
		expect_cut(&plain, &row, 1448);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads_are_rewritten),
		cmocka_unit_test(bodies_end_as_they_should),
		cmocka_unit_test(clients_of_http_10),
		cmocka_unit_test(interim_responses_pass),
		cmocka_unit_test(broken_responses_are_502),
		cmocka_unit_test(bodies_that_are_cut_short),
		cmocka_unit_test(heads_have_a_bound),
	};

	return cmocka_run_group_tests_name("http_response", tests, NULL, NULL);
}
