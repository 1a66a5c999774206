/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Golden lines: what Istio's text and JSON print of each way that a request or a connection can take. Times, addresses
 * and ids are the same everywhere; what tells lines apart stands in the rows.
 */
#include "proxy/log/access_log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TEXT(literal) {(literal), sizeof(literal) - 1}

#define HTTPBIN "outbound|80||httpbin.org"
#define CLIENT "\"-\" \"curl/8.5.0\" \"84961386-6d84-929d-98bd-c5aee93b5c88\" "
#define DIALLED "\"54.205.1.9:80\" "
#define ADDRESSES "10.244.0.9:41000 54.205.1.9:80 10.244.0.9:40998 "
#define ADDRESSES_BUT_LOCAL "- 54.205.1.9:80 10.244.0.9:40998 "
#define RESET_BEFORE "upstream_reset_before_response_started"
#define REFUSED "delayed connect error: Connection refused"

static struct format *formats[2];

static int make_formats(void **state)
{
	(void)state;
	return format_new(FORMAT_TEXT, NULL, &formats[FORMAT_TEXT], NULL) < 0 ||
	       format_new(FORMAT_JSON, "", &formats[FORMAT_JSON], NULL) < 0;
}

static int free_formats(void **state)
{
	(void)state;
	format_unref(formats[FORMAT_TEXT]);
	format_unref(formats[FORMAT_JSON]);
	return 0;
}

static struct endpoint endpoint(const char *text, uint16_t port)
{
	struct endpoint e = {.port = port};

	assert_int_equal(address_parse(text, strlen(text), &e.address), 0);
	return e;
}

static struct facts usual(void)
{
	return (struct facts){
		.started = 1767225600000,
		.duration = 81,
		.source = endpoint("10.244.0.9", 40998),
		.destination = endpoint("54.205.1.9", 80),
		.upstream = endpoint("54.205.1.9", 80),
		.upstream_local = endpoint("10.244.0.9", 41000),
		.has_upstream = true,
		.has_upstream_local = true,
		.sent = 551,
		.cluster = HTTPBIN,
	};
}

static struct facts_http usual_http(void)
{
	return (struct facts_http){
		.method = TEXT("GET"),
		.path = TEXT("/headers"),
		.authority = TEXT("httpbin.org"),
		.user_agent = TEXT("curl/8.5.0"),
		.request_id = TEXT("84961386-6d84-929d-98bd-c5aee93b5c88"),
		.minor = 1,
		.status = 200,
		.details = "via_upstream",
		.route = "default",
		.has_service_time = true,
		.service_time = 80,
	};
}

static void expect(enum format_encoding encoding, const struct facts *facts, const char *expected)
{
	char line[2048];
	size_t length = access_log_format(formats[encoding], line, sizeof line - 1, facts);

	assert_true(length < sizeof line);
	line[length] = '\0';
	assert_string_equal(line, expected);
}

static void expect_text(const struct facts *facts, const char *expected)
{
	char line[2048];

	(void)snprintf(line, sizeof line, "[2026-01-01T00:00:00.000Z] %s\n", expected);
	expect(FORMAT_TEXT, facts, line);
}

/* --- requests that are passed on: cluster and route name */

static void requests_by_route(void **state)
{
	static const struct row {
		const char *cluster;
		const char *route;
		const char *last; /* column */
	} rows[] = {
		{HTTPBIN, "default", "default"},                                         /* a ServiceEntry */
		{HTTPBIN, NULL, "-"},                                                    /* a VirtualService without names */
		{"outbound|80|v1|httpbin.org", NULL, "-"},                               /* and with a subset */
		{HTTPBIN, "slow.delayed", "slow.delayed"},                               /* with names */
		{HTTPBIN, "default.httpbin-ext.0", "default.httpbin-ext.0"},             /* an HTTPRoute */
		{FACTS_PASSTHROUGH, "allow_any", "allow_any"},                           /* nobody declares it */
	};

	(void)state;
	for (const struct row *row = rows; row < rows + sizeof rows / sizeof *rows; row++) {
		struct facts_http http = usual_http();
		struct facts facts = usual();
		char line[1024];

		http.route = row->route;
		facts.http = &http;
		facts.cluster = row->cluster;
		(void)snprintf(line, sizeof line,
			"\"GET /headers HTTP/1.1\" 200 - via_upstream - \"-\" 0 551 81 80 " CLIENT "\"httpbin.org\" " DIALLED
			"%s " ADDRESSES "- %s", row->cluster, row->last);
		expect_text(&facts, line);
	}
}

static void what_the_client_sent(void **state)
{
	struct facts_http http = usual_http();
	struct facts facts = usual();

	(void)state;
	facts.http = &http;
	facts.received = 12;
	http.method = (struct facts_text)TEXT("POST");
	http.path = (struct facts_text)TEXT("/old?q=\"x\"");
	http.sent_path = (struct facts_text)TEXT("/new");
	http.forwarded_for = (struct facts_text)TEXT("1.1.1.1, 2.2.2.2");
	http.user_agent = (struct facts_text)TEXT("");
	http.request_id = (struct facts_text)TEXT("a\" \"b\\");
	http.minor = 0;
	expect_text(&facts, "\"POST /old?q=\\\"x\\\" HTTP/1.0\" 200 - via_upstream - \"-\" 12 551 81 80 \"1.1.1.1, 2.2.2.2\" \"\" "
			    "\"a\\\" \\\"b\\\\\" \"httpbin.org\" " DIALLED HTTPBIN " " ADDRESSES "- default");
}

/* --- requests that the proxy answers itself, or that fail */

static void requests_that_end_otherwise(void **state)
{
	static const struct row {
		uint16_t status;
		const char *flags[2];
		const char *details;
		const char *reason;
		const char *failure;
		const char *cluster;
		const char *route;
		bool has_upstream;
		bool has_upstream_local;
		const char *columns; /* from the code to the failure */
		const char *tail;    /* from the upstream on */
	} rows[] = {
		{502, {NULL}, "direct_response", NULL, NULL, NULL, "block_all", false, false,
			"502 - direct_response - \"-\"", "\"-\" - " ADDRESSES_BUT_LOCAL "- block_all"},
		{504, {"UT"}, "response_timeout", NULL, NULL, HTTPBIN, NULL, true, true,
			"504 UT response_timeout - \"-\"", DIALLED HTTPBIN " " ADDRESSES "- -"},
		{504, {"URX", "UT"}, "upstream_per_try_timeout", NULL, NULL, HTTPBIN, NULL, true, true,
			"504 URX,UT upstream_per_try_timeout - \"-\"", DIALLED HTTPBIN " " ADDRESSES "- -"},
		{503, {"URX", "UF"}, RESET_BEFORE, "remote_connection_failure", REFUSED, HTTPBIN, "default", true, false,
			"503 URX,UF " RESET_BEFORE "{remote_connection_failure|delayed_connect_error:_Connection_refused} - "
			"\"delayed_connect_error:_Connection_refused\"", DIALLED HTTPBIN " " ADDRESSES_BUT_LOCAL "- default"},
		{503, {"UF"}, RESET_BEFORE, "remote_connection_failure", REFUSED, FACTS_PASSTHROUGH, "allow_any", true, false,
			"503 UF " RESET_BEFORE "{remote_connection_failure|delayed_connect_error:_Connection_refused} - "
			"\"delayed_connect_error:_Connection_refused\"", DIALLED "PassthroughCluster " ADDRESSES_BUT_LOCAL "- allow_any"},
		{503, {"URX", "UF"}, RESET_BEFORE, "connection_timeout", NULL, HTTPBIN, "default", true, false,
			"503 URX,UF " RESET_BEFORE "{connection_timeout} - \"-\"", DIALLED HTTPBIN " " ADDRESSES_BUT_LOCAL "- default"},
		{503, {"UC"}, RESET_BEFORE, "connection_termination", NULL, HTTPBIN, "default", true, true,
			"503 UC " RESET_BEFORE "{connection_termination} - \"-\"", DIALLED HTTPBIN " " ADDRESSES "- default"},
		{502, {"UPE"}, RESET_BEFORE, "protocol_error", NULL, HTTPBIN, "default", true, true,
			"502 UPE " RESET_BEFORE "{protocol_error} - \"-\"", DIALLED HTTPBIN " " ADDRESSES "- default"},
		{200, {"UPE"}, "upstream_reset_after_response_started", "protocol_error", NULL, HTTPBIN, "default", true, true,
			"200 UPE upstream_reset_after_response_started{protocol_error} - \"-\"",
			DIALLED HTTPBIN " " ADDRESSES "- default"},
		{503, {"UH"}, "no_healthy_upstream", NULL, NULL, HTTPBIN, "default", false, false,
			"503 UH no_healthy_upstream - \"-\"", "\"-\" " HTTPBIN " " ADDRESSES_BUT_LOCAL "- default"},
		{503, {"URX"}, "via_upstream", NULL, NULL, HTTPBIN, "default", true, true,
			"503 URX via_upstream - \"-\"", DIALLED HTTPBIN " " ADDRESSES "- default"},
		{404, {"NR"}, "route_not_found", NULL, NULL, NULL, NULL, false, false,
			"404 NR route_not_found - \"-\"", "\"-\" - " ADDRESSES_BUT_LOCAL "- -"},
		{503, {"NC"}, "cluster_not_found", NULL, NULL, NULL, NULL, false, false,
			"503 NC cluster_not_found - \"-\"", "\"-\" - " ADDRESSES_BUT_LOCAL "- -"},
		{301, {NULL}, "direct_response", NULL, NULL, NULL, NULL, false, false,
			"301 - direct_response - \"-\"", "\"-\" - " ADDRESSES_BUT_LOCAL "- -"},
		{418, {"DI", "FI"}, "fault_filter_abort", NULL, NULL, HTTPBIN, NULL, false, false,
			"418 DI,FI fault_filter_abort - \"-\"", "\"-\" " HTTPBIN " " ADDRESSES_BUT_LOCAL "- -"},
		{403, {NULL}, "upgrade_failed", NULL, NULL, NULL, "block_all", false, false,
			"403 - upgrade_failed - \"-\"", "\"-\" - " ADDRESSES_BUT_LOCAL "- block_all"},
		{0, {"DC"}, "downstream_remote_disconnect", NULL, NULL, HTTPBIN, "default", true, true,
			"0 DC downstream_remote_disconnect - \"-\"", DIALLED HTTPBIN " " ADDRESSES "- default"},
		{101, {"UC"}, "upstream_reset_after_response_started", "connection_termination", NULL, HTTPBIN, "default", true, true,
			"101 UC upstream_reset_after_response_started{connection_termination} - \"-\"",
			DIALLED HTTPBIN " " ADDRESSES "- default"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct row *row = &rows[i];
		struct facts_http http = usual_http();
		struct facts facts = usual();
		char line[1024];

		http.status = row->status;
		for (size_t j = 0; j < 2 && row->flags[j] != NULL; j++)
			http.flags[http.flag_count++] = row->flags[j];
		http.details = row->details;
		http.reason = row->reason;
		http.failure = row->failure;
		http.route = row->route;
		http.has_service_time = false;
		facts.http = &http;
		facts.cluster = row->cluster;
		facts.has_upstream = row->has_upstream;
		facts.has_upstream_local = row->has_upstream_local;
		facts.sent = 0;
		(void)snprintf(line, sizeof line, "\"GET /headers HTTP/1.1\" %s 0 0 81 - " CLIENT "\"httpbin.org\" %s",
			row->columns, row->tail);
		expect_text(&facts, line);
	}
}

/* What is no HTTP tells nothing of itself, but for the protocol. */
static void codec_errors(void **state)
{
	struct facts_http http = {.minor = 1, .status = 400, .flags = {"DPE"}, .flag_count = 1, .details = "http1.codec_error"};
	struct facts facts = usual();

	(void)state;
	facts.http = &http;
	facts.cluster = NULL;
	facts.has_upstream = facts.has_upstream_local = false;
	facts.duration = 0;
	facts.sent = 11;
	expect_text(&facts, "\"- - HTTP/1.1\" 400 DPE http1.codec_error - \"-\" 0 11 0 - \"-\" \"-\" \"-\" \"-\" \"-\" - "
			    ADDRESSES_BUT_LOCAL "- -");
}

/* --- connections */

static void connections(void **state)
{
	struct facts_names tls = {.server_name = (char[]){"www.google.com"}};
	static const struct row {
		enum facts_end end;
		const char *cluster;
		bool has_upstream;
		bool has_upstream_local;
		bool has_name;
		const char *columns;
		const char *tail;
	} rows[] = {
		{FACTS_END_PLAIN, "outbound|443||www.google.com", true, true, true, "- - - \"-\"",
			DIALLED "outbound|443||www.google.com " ADDRESSES "www.google.com -"},
		{FACTS_END_PLAIN, "outbound|80||collect.external", true, true, false, "- - - \"-\"",
			DIALLED "outbound|80||collect.external " ADDRESSES "- -"},
		{FACTS_END_PLAIN, FACTS_PASSTHROUGH, true, true, true, "- - - \"-\"",
			DIALLED "PassthroughCluster " ADDRESSES "www.google.com -"},
		{FACTS_END_BLOCKED, FACTS_BLACKHOLE, false, false, true, "UH - - \"-\"",
			"\"-\" BlackHoleCluster " ADDRESSES_BUT_LOCAL "www.google.com -"},
		{FACTS_END_BLOCKED, FACTS_BLACKHOLE, false, false, false, "UH - - \"-\"",
			"\"-\" BlackHoleCluster " ADDRESSES_BUT_LOCAL "- -"},
		{FACTS_END_CONNECT_FAILED, FACTS_PASSTHROUGH, true, false, false,
			"UF,URX - - \"delayed_connect_error:_Connection_refused\"",
			DIALLED "PassthroughCluster " ADDRESSES_BUT_LOCAL "- -"},
		{FACTS_END_UPSTREAM_RESET, FACTS_PASSTHROUGH, true, true, false, "UR - - \"-\"",
			DIALLED "PassthroughCluster " ADDRESSES "- -"},
		{FACTS_END_NO_ENDPOINT, HTTPBIN, false, false, false, "UH - - \"-\"",
			"\"-\" " HTTPBIN " " ADDRESSES_BUT_LOCAL "- -"},
		{FACTS_END_NO_CLUSTER, NULL, false, false, false, "NC - - \"-\"", "\"-\" - " ADDRESSES_BUT_LOCAL "- -"},
		{FACTS_END_OVERFLOW, HTTPBIN, false, false, false, "UO - - \"-\"",
			"\"-\" " HTTPBIN " " ADDRESSES_BUT_LOCAL "- -"},
		{FACTS_END_DURATION, HTTPBIN, true, true, false, "DT - - \"-\"", DIALLED HTTPBIN " " ADDRESSES "- -"},
		{FACTS_END_CLEARTEXT, HTTPBIN, false, false, false, "UF,URX - cleartext_refused \"-\"",
			"\"-\" " HTTPBIN " " ADDRESSES_BUT_LOCAL "- -"},
		{FACTS_END_MISMATCH, HTTPBIN, false, false, true, "UH - address_mismatch \"-\"",
			"\"-\" " HTTPBIN " " ADDRESSES_BUT_LOCAL "www.google.com -"},
		{FACTS_END_REVOKED, FACTS_PASSTHROUGH, true, true, false, "- - no_longer_allowed \"-\"",
			DIALLED "PassthroughCluster " ADDRESSES "- -"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct facts facts = usual();
		char line[1024];

		facts.end = rows[i].end;
		facts.error = ECONNREFUSED;
		facts.cluster = rows[i].cluster;
		facts.has_upstream = rows[i].has_upstream;
		facts.has_upstream_local = rows[i].has_upstream_local;
		facts.names = rows[i].has_name ? &tls : NULL;
		(void)snprintf(line, sizeof line, "\"- - -\" 0 %s 0 551 81 - \"-\" \"-\" \"-\" \"-\" %s", rows[i].columns,
			rows[i].tail);
		expect_text(&facts, line);
	}
}

/* Why TLS with the upstream failed has no errno value. */
static void tls_origination_fails(void **state)
{
	struct facts_names names = {.failure = (char[]){"TLS_error: wrong version number"}};
	struct facts facts = usual();

	(void)state;
	facts.end = FACTS_END_CONNECT_FAILED;
	facts.names = &names;
	facts.sent = 0;
	expect_text(&facts, "\"- - -\" 0 UF,URX - - \"TLS_error:_wrong_version_number\" 0 0 81 - \"-\" \"-\" \"-\" \"-\" " DIALLED
			    HTTPBIN " " ADDRESSES "- -");
}

/* --- AUDIT, and what else is told beside Istio's columns */

static void audit_and_mismatch(void **state)
{
	struct facts_http http = usual_http();
	struct facts facts = usual();

	(void)state;
	facts.http = &http;
	facts.cluster = FACTS_PASSTHROUGH;
	http.route = "allow_any";
	facts.would_block = true;
	facts.suggestion = "{\"kind\": \"ServiceEntry\"}";
	expect_text(&facts, "\"GET /headers HTTP/1.1\" 200 - via_upstream would_block \"-\" 0 551 81 80 " CLIENT
			    "\"httpbin.org\" " DIALLED "PassthroughCluster " ADDRESSES "- allow_any {\"kind\": \"ServiceEntry\"}");
	facts.http = NULL;
	facts.has_ech = facts.is_mismatch = true;
	expect_text(&facts, "\"- - -\" 0 - - ech,address_mismatch,would_block \"-\" 0 551 81 - \"-\" \"-\" \"-\" \"-\" " DIALLED
			    "PassthroughCluster " ADDRESSES "- - {\"kind\": \"ServiceEntry\"}");
}

/* --- JSON */

static void json(void **state)
{
	struct facts_names tls = {.server_name = (char[]){"www.google.com"}};
	struct facts_http http = usual_http();
	struct facts facts = usual();

	(void)state;
	facts.http = &http;
	expect(FORMAT_JSON, &facts,
		"{\"authority\":\"httpbin.org\",\"bytes_received\":0,\"bytes_sent\":551,\"connection_termination_details\":null,"
		"\"downstream_local_address\":\"54.205.1.9:80\",\"downstream_remote_address\":\"10.244.0.9:40998\",\"duration\":81,"
		"\"method\":\"GET\",\"path\":\"/headers\",\"protocol\":\"HTTP/1.1\","
		"\"request_id\":\"84961386-6d84-929d-98bd-c5aee93b5c88\",\"requested_server_name\":null,\"response_code\":200,"
		"\"response_code_details\":\"via_upstream\",\"response_flags\":\"-\",\"route_name\":\"default\","
		"\"start_time\":\"2026-01-01T00:00:00.000Z\",\"upstream_cluster\":\"outbound|80||httpbin.org\","
		"\"upstream_host\":\"54.205.1.9:80\",\"upstream_local_address\":\"10.244.0.9:41000\",\"upstream_service_time\":\"80\","
		"\"upstream_transport_failure_reason\":null,\"user_agent\":\"curl/8.5.0\",\"x_forwarded_for\":null}\n");
	facts.http = NULL;
	facts.names = &tls;
	facts.cluster = FACTS_BLACKHOLE;
	facts.end = FACTS_END_BLOCKED;
	facts.has_upstream = facts.has_upstream_local = false;
	facts.sent = 0;
	facts.suggestion = "{\"kind\": \"ServiceEntry\"}";
	expect(FORMAT_JSON, &facts,
		"{\"authority\":null,\"bytes_received\":0,\"bytes_sent\":0,\"connection_termination_details\":null,"
		"\"downstream_local_address\":\"54.205.1.9:80\",\"downstream_remote_address\":\"10.244.0.9:40998\",\"duration\":81,"
		"\"method\":null,\"path\":null,\"protocol\":null,\"request_id\":null,\"requested_server_name\":\"www.google.com\","
		"\"response_code\":0,\"response_code_details\":null,\"response_flags\":\"UH\",\"route_name\":null,"
		"\"start_time\":\"2026-01-01T00:00:00.000Z\",\"upstream_cluster\":\"BlackHoleCluster\",\"upstream_host\":null,"
		"\"upstream_local_address\":null,\"upstream_service_time\":null,\"upstream_transport_failure_reason\":null,"
		"\"user_agent\":null,\"x_forwarded_for\":null,\"service_entry\":\"{\\\"kind\\\": \\\"ServiceEntry\\\"}\"}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_by_route),
		cmocka_unit_test(what_the_client_sent),
		cmocka_unit_test(requests_that_end_otherwise),
		cmocka_unit_test(codec_errors),
		cmocka_unit_test(connections),
		cmocka_unit_test(tls_origination_fails),
		cmocka_unit_test(audit_and_mismatch),
		cmocka_unit_test(json),
	};

	return cmocka_run_group_tests_name("access_log_http", tests, make_formats, free_formats);
}
