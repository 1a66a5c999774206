/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exchange as a whole: answers of the proxy's own, what happens when either side does not keep to its part, retries,
 * tunnels, and what is held in memory meanwhile.
 */
#include "tests/unit/http_pilot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define DATE "date: " PILOT_DATE "\r\n"
#define SERVER "server: envoy\r\n"
#define CLOSE "connection: close\r\n"
#define EMPTY "content-length: 0\r\n\r\n"
#define TAIL "x-forwarded-proto: http\r\nx-request-id: " PILOT_ID "\r\nx-envoy-attempt-count: 1\r\n"
#define RETRIED(n) "x-forwarded-proto: http\r\nx-request-id: " PILOT_ID "\r\nx-envoy-attempt-count: " n "\r\n"
#define LINE(start, middle) "\"" start "\" " middle " \"-\" \"-\" \"" PILOT_ID "\" \"h\"\n"
#define GET "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
#define POST "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\n"
#define UP_GET "GET / HTTP/1.1\r\nhost: h\r\n" TAIL "\r\n"
#define UP_POST "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 6\r\n" TAIL "\r\n"
#define OK "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
#define TOLD_OK "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-envoy-upstream-service-time: 7\r\n" DATE SERVER "\r\nok"
#define BEFORE "upstream connect error or disconnect/reset before headers. "

static const struct http_forward plain;

static void client(struct pilot *pilot, const char *text)
{
	pilot_client(pilot, text, strlen(text));
}

static void upstream(struct pilot *pilot, const char *text)
{
	assert_int_equal(pilot_upstream(pilot, text, strlen(text)), 0);
}

static void expect(const struct pilot *pilot, const char *to_upstream, const char *to_client, const char *log)
{
	assert_string_equal(pilot->to_upstream.data, to_upstream);
	assert_string_equal(pilot->to_client.data, to_client);
	assert_string_equal(pilot->log.data, log);
}

/* --- answers of the proxy's own */

static void replies(void **state)
{
	static const struct http_operation operations[] = {
		{HTTP_ADD, HTTP_TEXT("X-Add"), HTTP_TEXT("v")}, {HTTP_SET, HTTP_TEXT("Content-Type"), HTTP_TEXT("text/html")}};
	static const struct http_operations changes = {operations, 2};
	static const struct http_reply text = {.status = 403, .body = HTTP_TEXT("no entry"), .details = "direct_response"};
	static const struct http_reply html = {
		.status = 200, .body = HTTP_TEXT("hi"), .operations = &changes, .details = "direct_response"};
	static const struct http_reply moved = {
		.status = 301, .location = HTTP_TEXT("http://other/a?b"), .details = "direct_response"};
	static const struct http_reply nothing = {.status = 204, .details = "direct_response"};
	struct http_reply fault = http_reply_fault(555);
	const struct {
		const struct http_reply *reply;
		const char *request;
		const char *answer;
		const char *log; /* status, flags, details, bytes */
		bool closes;
	} rows[] = {
		{&http_reply_blocked, GET, "HTTP/1.1 502 Bad Gateway\r\n" DATE SERVER EMPTY, "502 - direct_response \"-\" 0 0 ", false},
		{&http_reply_blocked, "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
			"HTTP/1.1 502 Bad Gateway\r\n" DATE SERVER "transfer-encoding: chunked\r\n\r\n", "502 - direct_response \"-\" 0 0 ",
			false},
		/* One that has a body, or that wants to become something else, ends the connection. */
		{&http_reply_blocked, POST "abcdef", "HTTP/1.1 502 Bad Gateway\r\n" DATE SERVER CLOSE EMPTY, "502 - direct_response \"-\" 0 0 ",
			true},
		{&http_reply_blocked, "POST / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 502 Bad Gateway\r\n" DATE SERVER EMPTY,
			"502 - direct_response \"-\" 0 0 ", false},
		{&http_reply_blocked, "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
			"HTTP/1.1 502 Bad Gateway\r\n" DATE SERVER CLOSE EMPTY, "502 - direct_response \"-\" 0 0 ", true},
		{&http_reply_blocked, "GET / HTTP/1.0\r\nHost: h\r\n\r\n", "HTTP/1.0 502 Bad Gateway\r\n" DATE SERVER CLOSE EMPTY,
			"502 - direct_response \"-\" 0 0 ", true},
		{&http_reply_blocked, "GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n",
			"HTTP/1.0 502 Bad Gateway\r\n" DATE SERVER "connection: keep-alive\r\n" EMPTY, "502 - direct_response \"-\" 0 0 ",
			false},
		{&http_reply_blocked, "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/grpc\r\n\r\n",
			"HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 14\r\n" DATE SERVER EMPTY,
			"200 - direct_response \"-\" 0 0 ", false},
		{&text, GET, "HTTP/1.1 403 Forbidden\r\ncontent-length: 8\r\ncontent-type: text/plain\r\n" DATE SERVER "\r\nno entry",
			"403 - direct_response \"-\" 0 8 ", false},
		{&text, "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
			"HTTP/1.1 403 Forbidden\r\ncontent-length: 8\r\ncontent-type: text/plain\r\n" DATE SERVER "\r\n",
			"403 - direct_response \"-\" 0 0 ", false},
		{&text, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
			"HTTP/1.1 403 Forbidden\r\ncontent-length: 8\r\ncontent-type: text/plain\r\n" DATE SERVER CLOSE "\r\nno entry",
			"403 - direct_response \"-\" 0 8 ", true},
		{&text, "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/grpc+proto\r\n\r\n",
			"HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 7\r\ngrpc-message: no entry\r\n" DATE SERVER EMPTY,
			"200 - direct_response \"-\" 0 0 ", false},
		{&text, "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/grpc-web\r\n\r\n",
			"HTTP/1.1 403 Forbidden\r\ncontent-length: 8\r\ncontent-type: text/plain\r\n" DATE SERVER "\r\nno entry",
			"403 - direct_response \"-\" 0 8 ", false},
		{&html, GET, "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nx-add: v\r\ncontent-length: 2\r\n" DATE SERVER "\r\nhi",
			"200 - direct_response \"-\" 0 2 ", false},
		{&html, "HEAD / HTTP/1.1\r\nHost: h\r\nContent-Type: application/grpc\r\n\r\n",
			"HTTP/1.1 200 OK\r\nx-add: v\r\ncontent-type: application/grpc\r\ngrpc-status: 2\r\n" DATE SERVER
			"transfer-encoding: chunked\r\n\r\n",
			"200 - direct_response \"-\" 0 0 ", false},
		{&moved, GET, "HTTP/1.1 301 Moved Permanently\r\nlocation: http://other/a?b\r\n" DATE SERVER EMPTY,
			"301 - direct_response \"-\" 0 0 ", false},
		{&nothing, GET, "HTTP/1.1 204 No Content\r\n" DATE SERVER "\r\n", "204 - direct_response \"-\" 0 0 ", false},
		{&http_reply_no_route, GET, "HTTP/1.1 404 Not Found\r\n" DATE SERVER EMPTY, "404 NR route_not_found \"-\" 0 0 ", false},
		{&http_reply_no_cluster, GET, "HTTP/1.1 503 Service Unavailable\r\n" DATE SERVER EMPTY,
			"503 NC cluster_not_found \"-\" 0 0 ", false},
		{&fault, GET, "HTTP/1.1 555 Unknown\r\ncontent-length: 18\r\ncontent-type: text/plain\r\n" DATE SERVER
			      "\r\nfault filter abort",
			"555 FI fault_filter_abort \"-\" 0 18 ", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		for (size_t piece = 1; piece <= strlen(rows[i].request); piece++) {
			struct pilot pilot;

			pilot_start(&pilot, &plain);
			pilot.reply = rows[i].reply;
			pilot_fly(&pilot, rows[i].request, strlen(rows[i].request), piece, "", 0, 1, false);
			assert_string_equal(pilot.to_client.data, rows[i].answer);
			assert_non_null(strstr(pilot.log.data, rows[i].log));
			assert_int_equal(pilot.client_closed, rows[i].closes);
			pilot_end(&pilot);
		}
	}
}

/* Each of a hundred in one read gets its answer, and its line. */
static void blocked_requests_in_a_row(void **state)
{
	static const char answer[] = "HTTP/1.1 502 Bad Gateway\r\n" DATE SERVER EMPTY;
	struct pilot pilot;
	char requests[100 * sizeof GET];

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		memcpy(requests + i * (sizeof GET - 1), GET, sizeof GET);
	pilot_start(&pilot, &plain);
	pilot.reply = &http_reply_blocked;
	client(&pilot, requests);
	assert_int_equal(pilot.to_client.size, 100 * (sizeof answer - 1));
	for (unsigned i = 0; i < 100; i++)
		assert_memory_equal(pilot.to_client.data + i * (sizeof answer - 1), answer, sizeof answer - 1);
	assert_int_equal(pilot.requests, 100);
	assert_false(pilot.client_closed);
	pilot_end(&pilot);
}

/* As they went out, the first of a name; of a head that could not be read, the answer's alone. */
static void headers_for_the_log(void **state)
{
	static const struct {
		const char *wanted;
		const char *requests;
		const char *response;
		const char *found;
	} rows[] = {
		{"x-a", "GET / HTTP/1.1\r\nHost: h\r\nX-A:  one \r\nX-A: two\r\n\r\n", "HTTP/1.1 200 OK\r\nX-a: other\r\nContent-Length: 0\r\n\r\n",
			"one|other\n"},
		{"x-a", "GET / HTTP/1.1\r\nHost: h\r\nX-AB: one\r\nX: x-a: no\r\n\r\n", "HTTP/1.1 200 OK\r\nX-A:\r\nContent-Length: 0\r\n\r\n", "-|\n"},
		{"server", GET, "HTTP/1.1 200 OK\r\nServer: origin\r\nContent-Length: 0\r\n\r\n", "-|envoy\n"},
		{":path", "GET /a/../b?c HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "/b?c|-\n"},
		{"content-length", "GET / HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n", "", "-|11\n"},
		{"host", "GET / HTTP/1.1\r\nHost: H.example\r\n\r\n", "junk\r\n\r\n", "H.example|-\n"},
		{"", GET, OK, "-|-\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct pilot pilot;

		pilot_start(&pilot, &plain);
		pilot.wanted = rows[i].wanted;
		client(&pilot, rows[i].requests);
		if (*rows[i].response != '\0')
			(void)pilot_upstream(&pilot, rows[i].response, strlen(rows[i].response));
		assert_string_equal(pilot.found.data, rows[i].found);
		pilot_end(&pilot);
	}
}

static void nothing_stands_between_requests(void **state)
{
	struct pilot pilot;

	(void)state;
	pilot_start(&pilot, &plain);
	client(&pilot, GET);
	upstream(&pilot, OK);
	client(&pilot, "\r\n" GET);
	assert_non_null(strstr(pilot.to_client.data, "\r\n\r\nokHTTP/1.1 400 Bad Request\r\n"));
	assert_true(pilot.client_closed);
	/* What comes behind it is of no interest. */
	client(&pilot, GET);
	assert_int_equal(pilot.requests, 1);
	pilot_end(&pilot);
}

/* --- failures */

static void failures_before_a_response(void **state)
{
	static const struct {
		enum http_failure failure;
		const char *transport;
		bool exhausted;
		const char *status;
		const char *body;
		const char *extra;
		const char *log;
	} rows[] = {
		{HTTP_FAILURE_NO_UPSTREAM, NULL, false, "503 Service Unavailable", "no healthy upstream", "",
			"503 UH no_healthy_upstream \"-\" "},
		{HTTP_FAILURE_CONNECT, "delayed connect error: Connection refused", false, "503 Service Unavailable",
			BEFORE "reset reason: remote connection failure, transport failure reason: delayed connect error: "
			       "Connection refused",
			"",
			"503 UF upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_"
			"refused} \"delayed_connect_error:_Connection_refused\" "},
		{HTTP_FAILURE_CONNECT, "delayed connect error: Connection refused", true, "503 Service Unavailable",
			BEFORE "retried and the latest reset reason: remote connection failure, transport failure reason: delayed "
			       "connect error: Connection refused",
			"",
			"503 URX,UF upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_"
			"Connection_refused} \"delayed_connect_error:_Connection_refused\" "},
		{HTTP_FAILURE_CONNECT_TIMEOUT, NULL, false, "503 Service Unavailable", BEFORE "reset reason: connection timeout", "",
			"503 UF upstream_reset_before_response_started{connection_timeout} \"-\" "},
		{HTTP_FAILURE_CLOSED, NULL, false, "503 Service Unavailable", BEFORE "reset reason: connection termination", "",
			"503 UC upstream_reset_before_response_started{connection_termination} \"-\" "},
		{HTTP_FAILURE_CLOSED, NULL, true, "503 Service Unavailable",
			BEFORE "retried and the latest reset reason: connection termination", "",
			"503 URX,UC upstream_reset_before_response_started{connection_termination} \"-\" "},
		{HTTP_FAILURE_PROTOCOL, NULL, false, "502 Bad Gateway", BEFORE "reset reason: protocol error", "",
			"502 UPE upstream_reset_before_response_started{protocol_error} \"-\" "},
		{HTTP_FAILURE_OVERFLOW, NULL, false, "503 Service Unavailable", BEFORE "reset reason: overflow",
			"x-envoy-overloaded: true\r\n", "503 UO upstream_reset_before_response_started{overflow} \"-\" "},
		{HTTP_FAILURE_TIMEOUT, NULL, false, "504 Gateway Timeout", "upstream request timeout", "",
			"504 UT response_timeout \"-\" "},
		{HTTP_FAILURE_TRY_TIMEOUT, NULL, true, "504 Gateway Timeout", "upstream request timeout", "",
			"504 URX,UT upstream_per_try_timeout \"-\" "},
	};
	/* As long as Envoy's. */
	static const size_t sizes[] = {19, 167, 190, 91, 95, 118, 87, 81, 24, 24};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct pilot pilot;
		char answer[512];

		assert_int_equal(strlen(rows[i].body), sizes[i]);
		(void)snprintf(answer, sizeof answer,
			"HTTP/1.1 %s\r\n%scontent-length: %zu\r\ncontent-type: text/plain\r\n" DATE SERVER "\r\n%s", rows[i].status,
			rows[i].extra, strlen(rows[i].body), rows[i].body);
		pilot_start(&pilot, &plain);
		pilot.holds = true;
		client(&pilot, GET);
		assert_true(pilot_act(&pilot, http_exchange_fail(&pilot.exchange, pilot.io, rows[i].failure, rows[i].transport,
							 rows[i].exhausted)));
		assert_string_equal(pilot.to_client.data, answer);
		assert_memory_equal(pilot.log.data, "\"GET / HTTP/1.1\" ", 17);
		assert_memory_equal(pilot.log.data + 17, rows[i].log, strlen(rows[i].log));
		assert_false(pilot.client_closed);
		pilot_end(&pilot);
	}
}

/* The connection stays when the request has come whole, also while nobody was there to take it. */
static void failures_with_a_body(void **state)
{
	static const char whole[] = POST "abcdef";

	(void)state;
	for (size_t size = sizeof POST - 1; size < sizeof whole; size++) {
		struct pilot pilot;

		pilot_start(&pilot, &plain);
		pilot.holds = true;
		pilot_client(&pilot, whole, size);
		(void)pilot_act(&pilot, http_exchange_fail(&pilot.exchange, pilot.io, HTTP_FAILURE_NO_UPSTREAM, NULL, false));
		assert_int_equal(strstr(pilot.to_client.data, "connection: close") == NULL, size == sizeof whole - 1);
		assert_int_equal(pilot.client_closed, size != sizeof whole - 1);
		pilot_end(&pilot);
	}
}

static void failures_in_a_response(void **state)
{
	struct pilot pilot;

	(void)state;
	pilot_start(&pilot, &plain);
	client(&pilot, GET);
	upstream(&pilot, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab");
	(void)pilot_act(&pilot, http_exchange_fail(&pilot.exchange, pilot.io, HTTP_FAILURE_TIMEOUT, NULL, false));
	assert_string_equal(pilot.log.data, LINE("GET / HTTP/1.1", "200 UT response_timeout \"-\" 0 2 7"));
	assert_true(pilot.client_closed && !pilot.client_reset && !pilot.upstream_reusable);
	pilot_end(&pilot);
	/* To a client that only the connection's end tells of the body's, an orderly one would be a lie. */
	pilot_start(&pilot, &plain);
	client(&pilot, "GET / HTTP/1.0\r\nHost: h\r\n\r\n");
	upstream(&pilot, "HTTP/1.1 200 OK\r\n\r\nab");
	pilot_upstream_ends(&pilot, true);
	assert_true(pilot.client_closed && pilot.client_reset);
	pilot_end(&pilot);
}

/* --- the client does not keep to its part */

static void clients_that_leave(void **state)
{
	struct pilot pilot;

	(void)state;
	/* between requests: nothing to tell */
	pilot_start(&pilot, &plain);
	pilot_client_ends(&pilot);
	assert_string_equal(pilot.log.data, "");
	pilot_end(&pilot);
	/* in a head */
	pilot_start(&pilot, &plain);
	client(&pilot, "GET / HTTP/1.1\r\nHo");
	pilot_client_ends(&pilot);
	expect(&pilot, "", "", "\"- - HTTP/1.1\" 0 DC downstream_remote_disconnect \"-\" 0 0 - \"-\" \"-\" \"-\" \"-\"\n");
	pilot_end(&pilot);
	/* in a body */
	pilot_start(&pilot, &plain);
	client(&pilot, POST "abc");
	pilot_client_ends(&pilot);
	expect(&pilot, UP_POST "abc", "", LINE("POST / HTTP/1.1", "0 DC downstream_remote_disconnect \"-\" 3 0 -"));
	pilot_end(&pilot);
	/* in the response */
	pilot_start(&pilot, &plain);
	client(&pilot, GET);
	upstream(&pilot, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab");
	(void)pilot_act(&pilot, http_exchange_abort(&pilot.exchange));
	assert_string_equal(pilot.log.data, LINE("GET / HTTP/1.1", "200 DC downstream_remote_disconnect \"-\" 0 2 7"));
	assert_true(pilot.client_closed);
	pilot_end(&pilot);
}

/* The end of its input is not the end of its interest. */
static void clients_that_only_listen(void **state)
{
	struct pilot pilot;

	(void)state;
	pilot_start(&pilot, &plain);
	client(&pilot, GET);
	pilot_client_ends(&pilot);
	upstream(&pilot, OK);
	expect(&pilot, UP_GET,
		"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-envoy-upstream-service-time: 7\r\n" DATE SERVER CLOSE "\r\nok",
		LINE("GET / HTTP/1.1", "200 - via_upstream \"-\" 0 2 7"));
	assert_true(pilot.client_closed && pilot.upstream_reusable);
	pilot_end(&pilot);
}

/* --- responses that come early, late, or not asked for */

static void early_responses(void **state)
{
	struct pilot pilot;

	(void)state;
	pilot_start(&pilot, &plain);
	client(&pilot, POST "abc");
	upstream(&pilot, OK);
	expect(&pilot, UP_POST "abc", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n" DATE SERVER CLOSE "\r\nok",
		LINE("POST / HTTP/1.1", "200 - via_upstream \"-\" 3 2 -"));
	assert_true(pilot.client_closed && !pilot.upstream_reusable);
	client(&pilot, "def" GET);
	assert_int_equal(pilot.requests, 1);
	pilot_end(&pilot);
	/* The request may also end while the response goes on; to the client, that is told by then. */
	pilot_start(&pilot, &plain);
	client(&pilot, POST "abc");
	upstream(&pilot, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no");
	client(&pilot, "def");
	upstream(&pilot, "k");
	assert_string_equal(pilot.to_upstream.data, UP_POST "abcdef");
	assert_true(pilot.client_closed && pilot.upstream_reusable);
	pilot_end(&pilot);
}

static void bytes_that_nobody_asked_for(void **state)
{
	struct pilot pilot;

	(void)state;
	pilot_start(&pilot, &plain);
	client(&pilot, GET);
	assert_int_equal(pilot_upstream(&pilot, OK "junk", strlen(OK "junk")), 4);
	assert_string_equal(pilot.to_client.data, TOLD_OK);
	assert_int_equal(pilot_upstream(&pilot, OK, strlen(OK)), strlen(OK));
	assert_string_equal(pilot.to_client.data, TOLD_OK);
	pilot_end(&pilot);
}

static void continue_is_asked_and_told(void **state)
{
	struct pilot pilot;

	(void)state;
	pilot_start(&pilot, &plain);
	client(&pilot, "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 6\r\n\r\n");
	assert_string_equal(pilot.to_upstream.data,
		"POST / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 6\r\n" TAIL "\r\n");
	upstream(&pilot, "HTTP/1.1 100 Continue\r\n\r\n");
	assert_string_equal(pilot.to_client.data, "HTTP/1.1 100 Continue\r\n\r\n");
	client(&pilot, "abcdef");
	upstream(&pilot, OK);
	assert_string_equal(pilot.to_client.data, "HTTP/1.1 100 Continue\r\n\r\n" TOLD_OK);
	assert_false(pilot.client_closed);
	pilot_end(&pilot);
}

static void draining(void **state)
{
	struct pilot pilot;

	(void)state;
	pilot_start(&pilot, &plain);
	client(&pilot, GET);
	pilot.io->draining = true;
	upstream(&pilot, OK);
	assert_non_null(strstr(pilot.to_client.data, SERVER CLOSE "\r\nok"));
	assert_true(pilot.client_closed);
	pilot_end(&pilot);
}

/* --- retries */

static void retries_of_503(void **state)
{
	static const char refusal[] = "HTTP/1.1 503 No\r\ncontent-length: 2\r\n\r\nno";
	struct pilot pilot;

	(void)state;
	pilot_start(&pilot, &plain);
	pilot.retries = 2;
	client(&pilot, POST "abcdef");
	for (unsigned i = 0; i < 2; i++)
		(void)pilot_upstream(&pilot, refusal, sizeof refusal - 1);
	assert_string_equal(pilot.to_client.data, "");
	upstream(&pilot, OK);
	expect(&pilot,
		UP_POST "abcdef"
			"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 6\r\n" RETRIED("2") "\r\nabcdef"
			"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 6\r\n" RETRIED("3") "\r\nabcdef",
		TOLD_OK, LINE("POST / HTTP/1.1", "200 - via_upstream \"-\" 6 2 7"));
	pilot_end(&pilot);
	/* The last answer is passed on. */
	pilot_start(&pilot, &plain);
	pilot.retries = 1;
	client(&pilot, GET);
	for (unsigned i = 0; i < 2; i++)
		(void)pilot_upstream(&pilot, refusal, sizeof refusal - 1);
	assert_non_null(strstr(pilot.to_client.data, "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n"));
	pilot_end(&pilot);
}

/* A number with more digits moves what is behind it; the log's names move along. */
static void many_attempts(void **state)
{
	struct pilot pilot;

	(void)state;
	pilot_start(&pilot, &plain);
	pilot.retries = 11;
	client(&pilot, "GET / HTTP/1.1\r\nHost: h\r\nx-envoy-attempt-count: 5\r\nUser-Agent: me\r\n\r\n");
	for (unsigned i = 0; i < 11; i++)
		pilot_upstream_ends(&pilot, false);
	assert_non_null(strstr(pilot.to_upstream.data, "\r\nx-envoy-attempt-count: 12\r\nuser-agent: me\r\n"));
	upstream(&pilot, OK);
	assert_non_null(strstr(pilot.log.data, " \"me\" \"" PILOT_ID "\" \"h\"\n"));
	pilot_end(&pilot);
}

static void retries_in_chunks(void **state)
{
	struct pilot pilot;

	(void)state;
	pilot_start(&pilot, &plain);
	pilot.retries = 1;
	client(&pilot, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
	client(&pilot, "3\r\ndef\r\n");
	pilot_upstream_ends(&pilot, true);
	client(&pilot, "1\r\ng\r\n0\r\n\r\n");
	assert_string_equal(pilot.to_upstream.data,
		"POST / HTTP/1.1\r\nhost: h\r\n" TAIL "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n"
		"POST / HTTP/1.1\r\nhost: h\r\n" RETRIED("2") "transfer-encoding: chunked\r\n\r\n6\r\nabcdef\r\n1\r\ng\r\n0\r\n\r\n");
	upstream(&pilot, OK);
	assert_string_equal(pilot.to_client.data, TOLD_OK);
	pilot_end(&pilot);
}

/* What is too large to be kept is streamed, and cannot be sent again. */
static void large_bodies_are_not_kept(void **state)
{
	static char body[HTTP_KEPT_MAX + 10];
	struct pilot pilot;

	(void)state;
	memset(body, 'x', sizeof body);
	for (unsigned i = 0; i < 2; i++) {
		size_t size = HTTP_KEPT_MAX + i;
		char head[128];

		(void)snprintf(head, sizeof head, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", size);
		pilot_start(&pilot, &plain);
		pilot.retries = 1;
		client(&pilot, head);
		pilot_client(&pilot, body, size);
		assert_int_equal(http_exchange_can_retry(&pilot.exchange), i == 0);
		pilot_end(&pilot);
	}
	/* While there is no upstream, the client waits. */
	pilot_start(&pilot, &plain);
	pilot.holds = true;
	client(&pilot, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
	assert_true(http_exchange_reads(&pilot.exchange));
	pilot_client(&pilot, body, sizeof body);
	assert_false(http_exchange_reads(&pilot.exchange));
	assert_int_equal(pilot.input.size, sizeof body - HTTP_KEPT_MAX);
	(void)http_exchange_connected(&pilot.exchange, pilot.io);
	pilot_flush(&pilot);
	pilot_go_on(&pilot);
	assert_int_equal(pilot.input.size, 0);
	assert_int_equal(pilot.to_upstream.size, sizeof body + strlen("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 1000000\r\n" TAIL "\r\n"));
	pilot_end(&pilot);
}

/* --- tunnels */

#define WEBSOCKET "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
#define SWITCH "HTTP/1.1 101 Switching Protocols\r\nServer: o\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
#define TOLD_SWITCH \
	"HTTP/1.1 101 Switching Protocols\r\nserver: envoy\r\nupgrade: websocket\r\nconnection: Upgrade\r\n" DATE "\r\n"

static void tunnels(void **state)
{
	struct pilot pilot;

	(void)state;
	pilot_start(&pilot, &plain);
	client(&pilot, WEBSOCKET "ping");
	upstream(&pilot, SWITCH "hello");
	assert_true(http_exchange_is_tunnel(&pilot.exchange));
	upstream(&pilot, "HTTP/1.1");
	client(&pilot, "\r\n\r\n");
	assert_non_null(strstr(pilot.to_upstream.data, "\r\n\r\nping\r\n\r\n"));
	assert_string_equal(pilot.to_client.data, TOLD_SWITCH "helloHTTP/1.1");
	pilot_upstream_ends(&pilot, false);
	assert_string_equal(pilot.log.data,
		LINE("GET / HTTP/1.1", "101 UC upstream_reset_after_response_started{connection_termination} \"-\" 8 13 -"));
	assert_true(pilot.client_closed && !pilot.upstream_reusable);
	pilot_end(&pilot);
	/* The client ends first; the origin may still say something. */
	pilot_start(&pilot, &plain);
	client(&pilot, WEBSOCKET);
	upstream(&pilot, SWITCH);
	pilot_client_ends(&pilot);
	upstream(&pilot, "bye");
	pilot_upstream_ends(&pilot, false);
	expect(&pilot,
		"GET / HTTP/1.1\r\nhost: h\r\nconnection: Upgrade\r\nupgrade: websocket\r\n" TAIL "\r\n", TOLD_SWITCH "bye",
		LINE("GET / HTTP/1.1", "101 DC downstream_remote_disconnect \"-\" 0 3 -"));
	pilot_end(&pilot);
}

static void refused_upgrades(void **state)
{
	struct pilot pilot;

	(void)state;
	pilot_start(&pilot, &plain);
	client(&pilot, WEBSOCKET);
	assert_int_equal(pilot_upstream(&pilot, "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 2\r\n\r\nok", 46), 2);
	assert_string_equal(pilot.to_client.data, "HTTP/1.1 200 OK\r\nx: y\r\n" DATE SERVER CLOSE EMPTY);
	assert_string_equal(pilot.log.data, LINE("GET / HTTP/1.1", "200 - websocket_handshake_unsuccessful \"-\" 0 0 -"));
	assert_true(pilot.client_closed && !pilot.upstream_reusable);
	pilot_end(&pilot);
	pilot_start(&pilot, &plain);
	client(&pilot, WEBSOCKET);
	upstream(&pilot, "HTTP/1.1 401 No\r\nX: y\r\nContent-Length: 2\r\n\r\nok");
	assert_string_equal(pilot.to_client.data, "HTTP/1.1 401 Unauthorized\r\nx: y\r\ncontent-length: 2\r\n" DATE SERVER CLOSE "\r\nok");
	assert_string_equal(pilot.log.data, LINE("GET / HTTP/1.1", "401 - via_upstream \"-\" 0 2 -"));
	assert_true(pilot.client_closed);
	pilot_end(&pilot);
}

/* --- a fault after a delay; memory */

static void a_routed_request_can_still_be_answered(void **state)
{
	struct http_reply fault = http_reply_fault(418);
	struct pilot pilot;

	(void)state;
	pilot_start(&pilot, &plain);
	pilot.holds = true;
	client(&pilot, GET);
	http_exchange_flag(&pilot.exchange, "DI");
	(void)pilot_act(&pilot, http_exchange_reply(&pilot.exchange, pilot.io, &fault));
	assert_string_equal(pilot.log.data, LINE("GET / HTTP/1.1", "418 DI,FI fault_filter_abort \"-\" 0 18 -"));
	pilot_end(&pilot);
}

static void idle_connections_are_small(void **state)
{
	struct pilot pilot;

	(void)state;
	assert_true(sizeof pilot.exchange <= 64);
	pilot_start(&pilot, &plain);
	client(&pilot, GET);
	upstream(&pilot, OK);
	assert_null(pilot.exchange.now);
	assert_null(pilot.exchange.partial.data);
	pilot_end(&pilot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies),
		cmocka_unit_test(blocked_requests_in_a_row),
		cmocka_unit_test(headers_for_the_log),
		cmocka_unit_test(nothing_stands_between_requests),
		cmocka_unit_test(failures_before_a_response),
		cmocka_unit_test(failures_with_a_body),
		cmocka_unit_test(failures_in_a_response),
		cmocka_unit_test(clients_that_leave),
		cmocka_unit_test(clients_that_only_listen),
		cmocka_unit_test(early_responses),
		cmocka_unit_test(bytes_that_nobody_asked_for),
		cmocka_unit_test(continue_is_asked_and_told),
		cmocka_unit_test(draining),
		cmocka_unit_test(retries_of_503),
		cmocka_unit_test(many_attempts),
		cmocka_unit_test(retries_in_chunks),
		cmocka_unit_test(large_bodies_are_not_kept),
		cmocka_unit_test(tunnels),
		cmocka_unit_test(refused_upgrades),
		cmocka_unit_test(a_routed_request_can_still_be_answered),
		cmocka_unit_test(idle_connections_are_small),
	};

	return cmocka_run_group_tests_name("http_exchange", tests, NULL, NULL);
}
