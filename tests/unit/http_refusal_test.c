/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that are refused, and how: what could be read in two ways, what is no HTTP, what is too much. The same
 * vectors pass with every version of llhttp, in any cut, and nothing of such a request reaches an upstream.
 */
#include "tests/unit/http_pilot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define DATE "date: " PILOT_DATE "\r\n"
#define TEXT(status, size, text) \
	"HTTP/1.1 " status "\r\ncontent-length: " size "\r\ncontent-type: text/plain\r\n" DATE \
	"server: envoy\r\nconnection: close\r\n\r\n" text
#define BAD_REQUEST TEXT("400 Bad Request", "11", "Bad Request")
#define UNREAD(status, details, sent) "\"- - HTTP/1.1\" " status " DPE " details " \"-\" 0 " sent " - \"-\" \"-\" \"-\" \"-\"\n"

static const struct http_forward plain;

static void expect_cut(const char *client, size_t size, size_t piece, const char *answer, const char *log, bool closes)
{
	static const char response[] = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
	struct pilot pilot;

	pilot_start(&pilot, &plain);
	pilot_fly(&pilot, client, size, piece, response, sizeof response - 1, sizeof response, false);
	pilot_client_ends(&pilot);
	assert_string_equal(pilot.to_upstream.data, "");
	assert_string_equal(pilot.to_client.data, answer);
	assert_string_equal(pilot.log.data, log);
	assert_int_equal(pilot.client_closed, closes);
	pilot_end(&pilot);
}

static void expect(const char *client, size_t size, const char *answer, const char *log, bool closes)
{
	for (size_t piece = size; piece > 0; piece = piece > 2000 ? piece / 3 : piece - 1)
		expect_cut(client, size, piece, answer, log, closes);
}

/* Whether it is our own check that refuses a head, before llhttp has seen it. */
static void expect_own(const char *client, size_t size)
{
	static struct http_head head;
	static char bytes[HTTP_REQUEST_HEAD_MAX];
	struct http_writer scratch = {.data = bytes, .capacity = sizeof bytes};
	struct http_request request;
	enum http_problem problem = http_head_read_request(&head, client, size);

	if (problem == HTTP_FINE)
		problem = http_request_read(&request, &head, &scratch);
	assert_true(problem > HTTP_MORE);
}

struct vector {
	const char *text;
	size_t size; /* 0: the text has no NUL inside */
};

#define WITH_NUL(literal) {(literal), sizeof(literal) - 1}

static void expect_each(const struct vector *vectors, size_t count, const char *details)
{
	char log[256];

	(void)snprintf(log, sizeof log, UNREAD("400", "%s", "11"), details);
	for (size_t i = 0; i < count; i++) {
		size_t size = vectors[i].size > 0 ? vectors[i].size : strlen(vectors[i].text);

		expect_own(vectors[i].text, size);
		expect(vectors[i].text, size, BAD_REQUEST, log, true);
	}
}

static void what_is_no_http(void **state)
{
	static const struct vector vectors[] = {
		/* first lines */
		{"get / HTTP/1.1\r\nHost: h\r\n\r\n", 0},
		{"FOO / HTTP/1.1\r\nHost: h\r\n\r\n", 0},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0},
		{"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 0},
		{"GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n", 0},
		{"GET / HTTP/1.1 \r\nHost: h\r\n\r\n", 0},
		{"GET /  HTTP/1.1\r\nHost: h\r\n\r\n", 0},
		{"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", 0},
		{"GET /\xe9 HTTP/1.1\r\nHost: h\r\n\r\n", 0},
		{"GET /\x7f HTTP/1.1\r\nHost: h\r\n\r\n", 0},
		WITH_NUL("GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n"),
		{"GET / HTTP/1.2\r\nHost: h\r\n\r\n", 0},
		{"GET / HTTP/1.10\r\nHost: h\r\n\r\n", 0},
		{"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 0},
		{"GET / HTTP/0.9\r\nHost: h\r\n\r\n", 0},
		{"GET / HTTQ/1.1\r\nHost: h\r\n\r\n", 0},
		{"GET / http/1.1\r\nHost: h\r\n\r\n", 0},
		{"GET /\r\nHost: h\r\n\r\n", 0},
		{"GET / HTTP/1.1\r\r\nHost: h\r\n\r\n", 0},
		{"GET / HTTP/1.1\rHost: h\r\n\r\n", 0},
		{"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 0},
		{" GET / HTTP/1.1\r\nHost: h\r\n\r\n", 0},
		{"GET foo HTTP/1.1\r\nHost: h\r\n\r\n", 0},
		{"GET ?a HTTP/1.1\r\nHost: h\r\n\r\n", 0},
		/* headers */
		{"GET / HTTP/1.1\r\n Host: h\r\nHost: h\r\n\r\n", 0},
		{"GET / HTTP/1.1\r\nHost: h\r\nx: a\r\n b\r\n\r\n", 0},
		{"GET / HTTP/1.1\r\nHost: h\r\nx: a\r\n\tb\r\n\r\n", 0},
		{"GET / HTTP/1.1\r\nHost: h\r\nx:\r\n a\r\n\r\n", 0},
		{"GET / HTTP/1.1\r\nHost: h\r\nx: a\n b\r\n\r\n", 0},
		{"GET / HTTP/1.1\r\nHost: h\r\nx: a\rb\r\n\r\n", 0},
		{"GET / HTTP/1.1\r\nHost: h\r\nx: a\r\r\n\r\n", 0},
		{"GET / HTTP/1.1\r\nHost: h\r\n\rX", 0},
		{"GET / HTTP/1.1\r\nHost: h\rContent-Length: 3\r\n\r\nabc", 0},
		{"GET / HTTP/1.1\r\nHost: h\r\nx : a\r\n\r\n", 0},
		{"GET / HTTP/1.1\r\nHost: h\r\nx\t: a\r\n\r\n", 0},
		{"GET / HTTP/1.1\r\nHost: h\r\nContent-Length : 3\r\n\r\nabc", 0},
		{"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 0},
		{"GET / HTTP/1.1\r\nHost: h\r\n: a\r\n\r\n", 0},
		{"GET / HTTP/1.1\r\nHost: h\r\nxa\r\n\r\n", 0},
		{"GET / HTTP/1.1\r\nHost: h\r\nx(y: a\r\n\r\n", 0},
		{"GET / HTTP/1.1\r\nHost: h\r\n\xe9: a\r\n\r\n", 0},
		{"GET / HTTP/1.1\r\nHost: h\r\nx y: a\r\n\r\n", 0},
		{"GET / HTTP/1.1\r\nHost: h\r\n:path: /x\r\n\r\n", 0},
		WITH_NUL("GET / HTTP/1.1\r\nHost: h\r\nx\0: a\r\n\r\n"),
		/* lengths */
		{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 0},
		{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 0\r\n\r\nabc", 0},
		{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3, 3\r\n\r\nabc", 0},
		{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +3\r\n\r\nabc", 0},
		{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -3\r\n\r\nabc", 0},
		{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x3\r\n\r\nabc", 0},
		{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3 3\r\n\r\nabc", 0},
		{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\t3\r\n\r\nabc", 0},
		{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\nabc", 0},
		{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n", 0},
		{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551616\r\n\r\n", 0},
		{"POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0},
	};

	(void)state;
	expect_each(vectors, sizeof vectors / sizeof *vectors, "http1.codec_error");
}

static void bytes_that_no_header_has(void **state)
{
	static const struct vector vectors[] = {
		WITH_NUL("GET / HTTP/1.1\r\nHost: h\r\nx: a\0b\r\n\r\n"),
		{"GET / HTTP/1.1\r\nHost: h\r\nx: a\x01"
		 "b\r\n\r\n",
			0},
		{"GET / HTTP/1.1\r\nHost: h\r\nx: a\x7f"
		 "b\r\n\r\n",
			0},
		{"GET / HTTP/1.1\r\nHost: h\r\nx: a\x1b[31m and some more of it\r\n\r\n", 0},
		{"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \x0b"
		 "chunked\r\n\r\n0\r\n\r\n",
			0},
	};

	(void)state;
	expect_each(vectors, sizeof vectors / sizeof *vectors, "http1.invalid_characters");
}

static void targets_and_hosts(void **state)
{
	static const struct vector urls[] = {
		{"GET * HTTP/1.1\r\nHost: h\r\n\r\n", 0},
		{"GET http:///a HTTP/1.1\r\nHost: h\r\n\r\n", 0},
		{"GET http://user@/a HTTP/1.1\r\nHost: h\r\n\r\n", 0},
		{"CONNECT /foo HTTP/1.1\r\nHost: h\r\n\r\n", 0},
	};
	static const struct vector schemes[] = {
		{"GET ftp://h/a HTTP/1.1\r\nHost: h\r\n\r\n", 0},
		{"GET ws://h/a HTTP/1.1\r\nHost: h\r\n\r\n", 0},
	};
	static const struct vector authorities[] = {
		{"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 0},
		{"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 0},
		{"GET / HTTP/1.1\r\nHost: \"a\"\r\n\r\n", 0},
		{"GET / HTTP/1.1\r\nHost: \xe9\r\n\r\n", 0},
		{"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 0},
		{"GET / HTTP/1.1\r\nHost: a?b\r\n\r\n", 0},
		{"GET / HTTP/1.1\r\nHost: a#b\r\n\r\n", 0},
		{"GET / HTTP/1.1\r\nHost: a\\b\r\n\r\n", 0},
		{"GET / HTTP/1.1\r\nHost: a<b\r\n\r\n", 0},
		{"GET http://a|b/ HTTP/1.1\r\nHost: h\r\n\r\n", 0},
		/* Two of them, alike or not, and beside an absolute target. */
		{"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 0},
		{"GET / HTTP/1.1\r\nHost: httpbin.org\r\nX: y\r\nhost: evil.example\r\n\r\n", 0},
		{"GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 0},
	};
	static const struct vector connections[] = {
		{"GET / HTTP/1.1\r\nHost: h\r\nConnection: x-forwarded-proto\r\n\r\n", 0},
		{"GET / HTTP/1.1\r\nHost: h\r\nConnection: close, X-Forwarded-For\r\n\r\n", 0},
		{"GET / HTTP/1.1\r\nHost: h\r\nConnection: :path\r\n\r\n", 0},
		{"GET / HTTP/1.1\r\nHost: h\r\nConnection: host\r\n\r\n", 0},
		{"POST / HTTP/1.1\r\nHost: h\r\nConnection: content-length\r\nContent-Length: 3\r\n\r\nabc", 0},
		{"POST / HTTP/1.1\r\nHost: h\r\nConnection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0},
		{"GET / HTTP/1.1\r\nHost: h\r\nConnection: a,b,c,d,e,f,g,h,i,j\r\n\r\n", 0},
	};

	(void)state;
	expect_each(urls, sizeof urls / sizeof *urls, "http1.invalid_url");
	expect_each(schemes, sizeof schemes / sizeof *schemes, "http1.invalid_scheme");
	expect_each(authorities, sizeof authorities / sizeof *authorities, "http.invalid_authority");
	expect_each(connections, sizeof connections / sizeof *connections, "http1.connection_header_rejected");
}

static void two_lengths_and_encodings(void **state)
{
	static const struct vector lengths[] = {
		{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0},
		{"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n", 0},
	};
	static const char *const encodings[] = {"gzip", "chunked, gzip", "gzip, chunked", "\"chunked\"", "identity",
		"chunked,chunked", "", "chunked;q=1", "xchunked", "chunked\r\nTransfer-Encoding: chunked",
		"gzip\r\nTransfer-Encoding: chunked", "chunked\r\nTransfer-Encoding: identity"};

	(void)state;
	expect_each(lengths, sizeof lengths / sizeof *lengths, "http1.content_length_and_chunked_not_allowed");
	for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++) {
		char client[256];

		(void)snprintf(client, sizeof client, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: %s\r\n\r\n0\r\n\r\n", encodings[i]);
		expect(client, strlen(client), TEXT("501 Not Implemented", "15", "Not Implemented"),
			UNREAD("501", "http1.invalid_transfer_encoding", "15"), true);
	}
}

static void too_much(void **state)
{
	static char client[HTTP_REQUEST_HEAD_MAX + 4096];
	size_t size = (size_t)snprintf(client, sizeof client, "GET / HTTP/1.1\r\nHost: h\r\n");

	(void)state;
	for (unsigned i = 0; i < HTTP_HEADERS_MAX; i++)
		size += (size_t)snprintf(client + size, sizeof client - size, "a%u: b\r\n", i);
	size += (size_t)snprintf(client + size, sizeof client - size, "\r\n");
	expect(client, size, TEXT("431 Request Header Fields Too Large", "31", "Request Header Fields Too Large"),
		UNREAD("431", "http1.too_many_headers", "31"), true);
	size = (size_t)snprintf(client, sizeof client, "GET / HTTP/1.1\r\nHost: h\r\na: ");
	memset(client + size, 'x', sizeof client - size);
	memcpy(client + HTTP_REQUEST_HEAD_MAX - 3, "\r\n\r\n", 4);
	expect(client, HTTP_REQUEST_HEAD_MAX + 1, TEXT("431 Request Header Fields Too Large", "31", "Request Header Fields Too Large"),
		UNREAD("431", "http1.headers_too_large", "31"), true);
	memset(client + 5, 'x', sizeof client - 5);
	expect(client, sizeof client, TEXT("431 Request Header Fields Too Large", "31", "Request Header Fields Too Large"),
		UNREAD("431", "http1.headers_too_large", "31"), true);
}

/* These can be read: the log has what they say. */
static void what_is_refused_by_name(void **state)
{
	static const struct {
		const char *client;
		const char *answer;
		const char *log;
		bool closes;
	} rows[] = {
		{"GET /x HTTP/1.1\r\nUser-Agent: u\r\n\r\n", "400 Bad Request",
			"\"GET /x HTTP/1.1\" 400 - missing_host_header \"-\" 0 0 - \"-\" \"u\" \"-\" \"-\"\n", true},
		{"GET /%00 HTTP/1.1\r\nHost: h\r\n\r\n", "400 Bad Request",
			"\"GET /%00 HTTP/1.1\" 400 - path_normalization_failed \"-\" 0 0 - \"-\" \"-\" \"-\" \"h\"\n", true},
		{"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "404 Not Found",
			"\"OPTIONS * HTTP/1.1\" 404 - absolute_path_rejected \"-\" 0 0 - \"-\" \"-\" \"-\" \"h\"\n", false},
		{"CONNECT reg:80 HTTP/1.1\r\nHost: reg:80\r\n\r\n", "404 Not Found",
			"\"CONNECT - HTTP/1.1\" 404 NR route_not_found \"-\" 0 0 - \"-\" \"-\" \"" PILOT_ID "\" \"reg:80\"\n", true},
		{"CONNECT reg:80 HTTP/1.1\r\n\r\n", "404 Not Found",
			"\"CONNECT - HTTP/1.1\" 404 NR route_not_found \"-\" 0 0 - \"-\" \"-\" \"" PILOT_ID "\" \"reg:80\"\n", true},
		{"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n", "403 Forbidden",
			"\"GET / HTTP/1.1\" 403 - upgrade_failed \"-\" 0 0 - \"-\" \"-\" \"" PILOT_ID "\" \"h\"\n", true},
		{"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket, foo\r\n\r\n", "403 Forbidden",
			"\"GET / HTTP/1.1\" 403 - upgrade_failed \"-\" 0 0 - \"-\" \"-\" \"" PILOT_ID "\" \"h\"\n", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char answer[256];

		(void)snprintf(answer, sizeof answer, "HTTP/1.1 %s\r\n" DATE "server: envoy\r\n%scontent-length: 0\r\n\r\n",
			rows[i].answer, rows[i].closes ? "connection: close\r\n" : "");
		expect(rows[i].client, strlen(rows[i].client), answer, rows[i].log, rows[i].closes);
	}
}

/* Whether it is our own check that refuses a body. */
static void expect_own_chunks(const char *body, size_t size)
{
	struct http_chunk chunk = HTTP_CHUNK_START;
	enum http_problem problem = HTTP_FINE;
	size_t good = 1;

	for (size_t done = 0; problem == HTTP_FINE && good > 0; done += good) {
		unsigned runs = 1;
		bool hidden;

		problem = http_chunk_check(&chunk, body + done, size - done, &runs, &good, &hidden);
	}
	assert_int_equal(problem, HTTP_BAD_SYNTAX);
}

/* The head has gone upstream; the rest does not. */
static void bodies_in_bad_chunks(void **state)
{
	static const struct vector vectors[] = {
		{"x\r\n", 0}, {"-1\r\n", 0}, {"0x3\r\nabc\r\n0\r\n\r\n", 0}, {"+3\r\nabc\r\n0\r\n\r\n", 0}, {"3 \r\nabc\r\n0\r\n\r\n", 0},
		{"3\t\r\nabc\r\n0\r\n\r\n", 0}, {" 3\r\nabc\r\n0\r\n\r\n", 0}, {"3\nabc\r\n0\r\n\r\n", 0},
		{"3\r\nabc\n0\r\n\r\n", 0}, {"3\r\nabc0\r\n\r\n", 0}, {"3\r\nabcd\r\n0\r\n\r\n", 0}, {"3\rabc\r0\r\r", 0},
		{"FFFFFFFFFFFFFFFFF\r\n", 0}, {"FFFFFFFFFFFFFFFF\r\n", 0}, {"0000000000000000000003\r\nabc\r\n0\r\n\r\n", 0},
		{"\r\n3\r\nabc\r\n0\r\n\r\n", 0}, {";\r\n", 0}, {"3;a\nabc\r\n0\r\n\r\n", 0}, {"3;a\rb\r\nabc\r\n0\r\n\r\n", 0},
		{"3;a=\"x\ny\"\r\nabc\r\n0\r\n\r\n", 0}, WITH_NUL("3;a\0\r\nabc\r\n0\r\n\r\n"), {"3 ;a\r\nabc\r\n0\r\n\r\n", 0},
		{"0\r\n\n", 0}, {"0\n\n", 0}, {"0\r\nx y\r\n\r\n", 0}, {"0\r\nx: y\rz\r\n\r\n", 0}, {"0\r\nx: y\r\n z\r\n\r\n", 0},
		{"0\r\n: y\r\n\r\n", 0}, {"0\r\nx: y\n\r\n", 0}, {"0\r\n\rX", 0}, WITH_NUL("0\r\nx: \0\r\n\r\n"),
	};
	static const char head[] = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";

	(void)state;
	for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
		size_t size = vectors[i].size > 0 ? vectors[i].size : strlen(vectors[i].text);

		expect_own_chunks(vectors[i].text, size);
		for (size_t piece = 1; piece <= size; piece++) {
			struct pilot pilot;

			pilot_start(&pilot, &plain);
			pilot_client(&pilot, head, sizeof head - 1);
			for (size_t j = 0; j < size; j += piece)
				pilot_client(&pilot, vectors[i].text + j, size - j < piece ? size - j : piece);
			assert_string_equal(pilot.to_client.data, BAD_REQUEST);
			assert_non_null(strstr(pilot.log.data, "\"POST / HTTP/1.1\" 400 DPE http1.codec_error \"-\" "));
			assert_null(strstr(pilot.to_upstream.data, "0\r\n\r\n"));
			assert_true(pilot.client_closed && !pilot.upstream_reusable);
			pilot_end(&pilot);
		}
	}
}

/* What is well-formed and rare. */
static void bodies_in_odd_chunks(void **state)
{
	static const char *const bodies[] = {"3;a\r\nabc\r\n0\r\n\r\n", "3;a=b;c=\"d\"\r\nabc\r\n0;e\r\n\r\n", "003\r\nabc\r\n000\r\n\r\n",
		"1\r\na\r\n2\r\nbc\r\n0\r\nContent-Length: 5\r\nx:\r\ny: \t z\xe9\r\n\r\n", "A\r\n0123456789\r\na\r\nabcdefghij\r\n0\r\n\r\n"};
	static const char head[] = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";

	(void)state;
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		for (size_t piece = 1; piece <= strlen(bodies[i]); piece++) {
			struct pilot pilot;

			pilot_start(&pilot, &plain);
			pilot_client(&pilot, head, sizeof head - 1);
			for (size_t j = 0; j < strlen(bodies[i]); j += piece)
				pilot_client(&pilot, bodies[i] + j, strlen(bodies[i]) - j < piece ? strlen(bodies[i]) - j : piece);
			assert_true(pilot_asks(&pilot));
			assert_int_equal(http_exchange_outcome(&pilot.exchange)->received, i == 4 ? 20 : 3);
			assert_string_equal(pilot.to_upstream.data + pilot.to_upstream.size - 5, "0\r\n\r\n");
			pilot_end(&pilot);
		}
	}
}

static void endless_lines_of_chunks(void **state)
{
	static char body[HTTP_TRAILERS_MAX + 16];
	struct pilot pilot;
	static const char head[] = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		memset(body, 'x', sizeof body);
		memcpy(body, i == 0 ? "3;" : "0\r\n", i == 0 ? 2 : 3);
		pilot_start(&pilot, &plain);
		pilot_client(&pilot, head, sizeof head - 1);
		pilot_client(&pilot, body, sizeof body);
		assert_string_equal(pilot.to_client.data, BAD_REQUEST);
		pilot_end(&pilot);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_http),
		cmocka_unit_test(bytes_that_no_header_has),
		cmocka_unit_test(targets_and_hosts),
		cmocka_unit_test(two_lengths_and_encodings),
		cmocka_unit_test(too_much),
		cmocka_unit_test(what_is_refused_by_name),
		cmocka_unit_test(bodies_in_bad_chunks),
		cmocka_unit_test(bodies_in_odd_chunks),
		cmocka_unit_test(endless_lines_of_chunks),
	};

	return cmocka_run_group_tests_name("http_refusal", tests, NULL, NULL);
}
