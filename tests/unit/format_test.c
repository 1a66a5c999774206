/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Formats: each operator, JSON, and what is wrong with a format.
 */
#include "proxy/log/access_log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define TEXT(literal) {(literal), sizeof(literal) - 1}

#define ENTRY "{\"kind\": \"ServiceEntry\"}"

static struct endpoint endpoint(const char *text, uint16_t port)
{
	struct endpoint e = {.port = port};

	assert_int_equal(address_parse(text, strlen(text), &e.address), 0);
	return e;
}

/* The request's "x-mood" and the response's "x-age", and nothing else. */
static struct facts_text header(const void *context, bool of_response, struct facts_text name)
{
	const char *known = of_response ? "x-age" : "x-mood";

	if (name.size != strlen(known) || memcmp(name.data, known, name.size) != 0)
		return (struct facts_text){.data = NULL};
	return (struct facts_text){context, strlen(context)};
}

static const struct facts_http usual_http = {
	.method = TEXT("GET"),
	.path = TEXT("/a?b=\"c\""),
	.sent_path = TEXT("/new"),
	.authority = TEXT("example.com:80"),
	.user_agent = TEXT(""),
	.request_id = TEXT("84961386"),
	.minor = 1,
	.status = 503,
	.flag_count = 2,
	.flags = {"URX", "UF"},
	.details = "upstream_reset_before_response_started",
	.reason = "remote connection failure",
	.failure = "delayed connect error: Connection refused",
	.route = "default",
	.attempts = 3,
	.has_service_time = true,
	.has_response_duration = true,
	.service_time = 80,
	.response_duration = 51,
	.header = header,
	.context = "fine",
};

static struct facts usual(const struct facts_http *http)
{
	return (struct facts){
		.started = 1769862896789, /* Saturday, 2026-01-31T12:34:56.789Z */
		.duration = 55,
		.source = endpoint("2001:db8::9", 41018),
		.destination = endpoint("93.184.216.34", 80),
		.upstream = endpoint("93.184.216.35", 8080),
		.upstream_local = endpoint("10.244.0.9", 41020),
		.has_upstream = true,
		.has_upstream_local = true,
		.received = 782,
		.sent = 4712,
		.cluster = "outbound|80||example.com",
		.http = http,
	};
}

static void expect(enum format_encoding encoding, const char *text, const struct facts *facts, const char *expected)
{
	struct error e = {.text = ""};
	struct format *format;
	char line[2048];
	size_t length;

	if (format_new(encoding, text, &format, &e) < 0)
		fail_msg("%s: %s", text, e.text);
	length = access_log_format(format, line, sizeof line - 1, facts);
	assert_true(length < sizeof line);
	line[length] = '\0';
	assert_string_equal(line, expected);
	format_unref(format);
}

static void each_operator_has_its_value(void **state)
{
	static const struct row {
		const char *text;
		const char *of_request;
		const char *of_connection;
	} rows[] = {
		{"%START_TIME%", "2026-01-31T12:34:56.789Z", "2026-01-31T12:34:56.789Z"},
		{"%START_TIME(%Y/%m/%dT%H:%M:%S%z)%", "2026/01/31T12:34:56+0000", "2026/01/31T12:34:56+0000"},
		{"%START_TIME(%s.%3f %6f %f %1f)%", "1769862896.789 789000 789000000 7", "1769862896.789 789000 789000000 7"},
		{"%START_TIME(%a %A %b %B %e %y %F %T %R %D %Z %%)%",
			"Sat Saturday Jan January 31 26 2026-01-31 12:34:56 12:34 01/31/26 UTC %",
			"Sat Saturday Jan January 31 26 2026-01-31 12:34:56 12:34 01/31/26 UTC %"},
		{"%REQ(:METHOD)%", "GET", "-"},
		{"%REQ(:PATH)%", "/new", "-"},
		{"%REQ(X-ENVOY-ORIGINAL-PATH)%", "/a?b=\\\"c\\\"", "-"},
		{"%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%", "/a?b=\\\"c\\\"", "-"},
		{"%REQ(X-ENVOY-ORIGINAL-PATH?:PATH):4%", "/a?b", "-"},
		{"%REQ(:AUTHORITY)%", "example.com:80", "-"},
		{"%REQ(Host)%", "example.com:80", "-"},
		{"%REQ(:SCHEME)%", "http", "-"},
		{"%REQ(User-Agent)%", "", "-"},
		{"%REQ(X-REQUEST-ID)%", "84961386", "-"},
		{"%REQ(X-FORWARDED-FOR)%", "-", "-"},
		{"%REQ(X-Mood)%", "fine", "-"},
		{"%REQ(X-Mood):2%", "fi", "-"},
		{"%REQ(X-Age)%", "-", "-"},
		{"%REQ(X-Age?X-Mood)%", "fine", "-"},
		{"%RESP(X-Age)%", "fine", "-"},
		{"%RESP(:STATUS)%", "503", "-"},
		{"%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%", "80", "-"},
		{"%TRAILER(X)%", "-", "-"},
		{"%PROTOCOL%", "HTTP/1.1", "-"},
		{"%RESPONSE_CODE%", "503", "0"},
		{"%RESPONSE_CODE_DETAILS%", "upstream_reset_before_response_started{remote_connection_failure|"
			"delayed_connect_error:_Connection_refused}", "-"},
		{"%RESPONSE_FLAGS%", "URX,UF", "UF,URX"},
		{"%RESPONSE_FLAGS_LONG%", "UpstreamRetryLimitExceeded,UpstreamConnectionFailure",
			"UpstreamConnectionFailure,UpstreamRetryLimitExceeded"},
		{"%CONNECTION_TERMINATION_DETAILS%", "-", "-"},
		{"%UPSTREAM_TRANSPORT_FAILURE_REASON%", "delayed_connect_error:_Connection_refused",
			"delayed_connect_error:_No_route_to_host"},
		{"%BYTES_RECEIVED% %BYTES_SENT% %DURATION%", "782 4712 55", "782 4712 55"},
		{"%REQUEST_DURATION% %RESPONSE_DURATION% %RESPONSE_TX_DURATION%", "- 51 4", "- - -"},
		{"%UPSTREAM_REQUEST_ATTEMPT_COUNT%", "3", "0"},
		{"%UPSTREAM_HOST% %UPSTREAM_REMOTE_ADDRESS%", "93.184.216.35:8080 93.184.216.35:8080",
			"93.184.216.35:8080 93.184.216.35:8080"},
		{"%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %UPSTREAM_REMOTE_PORT%", "93.184.216.35 8080", "93.184.216.35 8080"},
		{"%UPSTREAM_LOCAL_ADDRESS% %UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %UPSTREAM_LOCAL_PORT%",
			"10.244.0.9:41020 10.244.0.9 41020", "10.244.0.9:41020 10.244.0.9 41020"},
		{"%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_LOCAL_PORT%",
			"93.184.216.34:80 93.184.216.34 80", "93.184.216.34:80 93.184.216.34 80"},
		{"%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_REMOTE_PORT%",
			"[2001:db8::9]:41018 2001:db8::9 41018", "[2001:db8::9]:41018 2001:db8::9 41018"},
		{"%DOWNSTREAM_DIRECT_REMOTE_ADDRESS% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%",
			"[2001:db8::9]:41018 2001:db8::9", "[2001:db8::9]:41018 2001:db8::9"},
		{"%DOWNSTREAM_DIRECT_REMOTE_PORT%", "41018", "41018"},
		{"%UPSTREAM_CLUSTER% %UPSTREAM_CLUSTER_RAW%", "outbound|80||example.com outbound|80||example.com",
			"outbound|80||example.com outbound|80||example.com"},
		{"%REQUESTED_SERVER_NAME%", "-", "-"},
		{"%ROUTE_NAME%", "default", "-"},
		{"%HOSTNAME% %ENVIRONMENT(WEIR_TEST)% %ENVIRONMENT(WEIR_TEST):3% %ENVIRONMENT(WEIR_NONE)%", "pod-0 value val -",
			"pod-0 value val -"},
		{"%DYNAMIC_METADATA(istio.mixer:status)% %FILTER_STATE(x:PLAIN):9% %CLUSTER_METADATA(x)% %UPSTREAM_METADATA(x)%",
			"- - - -", "- - - -"},
		{"%VIRTUAL_CLUSTER_NAME% %DOWNSTREAM_TLS_VERSION% %DOWNSTREAM_TLS_CIPHER%", "- - -", "- - -"},
		{"%DOWNSTREAM_PEER_URI_SAN%%DOWNSTREAM_PEER_SUBJECT%%DOWNSTREAM_LOCAL_URI_SAN%%DOWNSTREAM_LOCAL_SUBJECT%", "----",
			"----"},
		{"100%% \"%REQ(:METHOD)%\"\n", "100% \"GET\"\n", "100% \"-\"\n"},
		{"no operator", "no operator", "no operator"},
	};

	(void)state;
	assert_int_equal(setenv("WEIR_TEST", "value", 1), 0);
	assert_int_equal(setenv("HOSTNAME", "pod-0", 1), 0);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct facts facts = usual(&usual_http);

		expect(FORMAT_TEXT, rows[i].text, &facts, rows[i].of_request);
		facts.http = NULL;
		facts.end = FACTS_END_CONNECT_FAILED;
		facts.error = EHOSTUNREACH;
		expect(FORMAT_TEXT, rows[i].text, &facts, rows[i].of_connection);
	}
}

/* Some second of every day from 1970 to 2050. */
static void times_are_those_of_the_library(void **state)
{
	static const char parts[] = "%Y %m %d %e %b %B %a %A %H %M %S %F %T %R %s";
	struct facts facts = usual(NULL);
	struct format *format;
	char text[128];

	(void)state;
	(void)snprintf(text, sizeof text, "%%START_TIME(%s)%%", parts);
	assert_int_equal(format_new(FORMAT_TEXT, text, &format, NULL), 0);
	assert_int_equal(setenv("TZ", "UTC", 1), 0);
	for (int64_t day = 0; day < 29000; day++) {
		time_t seconds = (time_t)(day * 86400 + day * 7919 % 86400);
		char expected[256];
		char line[256];
		struct tm utc;
		size_t length;

		facts.started = (int64_t)seconds * 1000;
		(void)gmtime_r(&seconds, &utc);
		assert_true(strftime(expected, sizeof expected, parts, &utc) > 0);
		length = access_log_format(format, line, sizeof line - 1, &facts);
		line[length] = '\0';
		assert_string_equal(line, expected);
	}
	format_unref(format);
}

static void json_keeps_types(void **state)
{
	static const struct facts_http sent = {.method = TEXT("GET"), .path = TEXT("/\"\\\t\x01\x7f<&>"),
		.user_agent = TEXT("caf\xc3\xa9"), .forwarded_for = TEXT("caf\xe9 \xc3"), .request_id = TEXT("")};
	struct facts facts = usual(&sent);

	(void)state;
	expect(FORMAT_JSON, "{\"a\":\"%REQ(:PATH)%\",\"b\":\"%REQ(USER-AGENT)%\",\"c\":\"%REQ(X-FORWARDED-FOR)%\","
			    "\"d\":\"%REQ(X-REQUEST-ID)%\",\"e\":\"%REQ(:AUTHORITY)%\"}",
		&facts, "{\"a\":\"/\\\"\\\\\\t\\u0001\x7f<&>\",\"b\":\"caf\xc3\xa9\",\"c\":\"caf\\u00e9 \\u00c3\",\"d\":\"\",\"e\":null}\n");
	facts.http = &usual_http;
	expect(FORMAT_JSON, " { \"n\" : \"%RESPONSE_CODE%\" , \"t\":\"%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%\",\n\"m\":"
			    "\"code %RESPONSE_CODE% %REQ(X)% 5%%\", \"f\": \"%RESPONSE_FLAGS%\", \"%PROTOCOL%\": \"\"}  ",
		&facts, "{\"n\":503,\"t\":\"80\",\"m\":\"code 503 - 5%\",\"f\":\"URX,UF\",\"%PROTOCOL%\":\"\"}\n");
	expect(FORMAT_JSON, "{\"o\":{\"l\":[1, -2.5e+3, 0.1, true, false, null, \"%DURATION%\", {}, []]},\"e\":\"\\u00e9\\n\\/\"}", &facts,
		"{\"o\":{\"l\":[1,-2.5e+3,0.1,true,false,null,55,{},[]]},\"e\":\"\\u00e9\\n\\/\"}\n");
	expect(FORMAT_JSON, "{\"p\":\"%UPSTREAM_LOCAL_PORT%\",\"q\":\"%DURATION%%DURATION%\"}", &facts,
		"{\"p\":41020,\"q\":\"5555\"}\n");
	expect(FORMAT_JSON, "{}", &facts, "{}\n");
}

static void what_was_blocked_carries_its_entry(void **state)
{
	struct facts facts = usual(NULL);

	(void)state;
	facts.suggestion = ENTRY;
	expect(FORMAT_TEXT, "%PROTOCOL%\n", &facts, "-\n");
	facts.would_block = true;
	expect(FORMAT_TEXT, "%PROTOCOL%\n", &facts, "- " ENTRY "\n");
	expect(FORMAT_TEXT, "%PROTOCOL%", &facts, "- " ENTRY);
	expect(FORMAT_TEXT, "%PROTOCOL% %WEIR_SERVICE_ENTRY%\n", &facts, "- " ENTRY "\n");
	expect(FORMAT_JSON, "{\"p\":\"%PROTOCOL%\"}", &facts,
		"{\"p\":null,\"service_entry\":\"{\\\"kind\\\": \\\"ServiceEntry\\\"}\"}\n");
	expect(FORMAT_JSON, "{ }", &facts, "{\"service_entry\":\"{\\\"kind\\\": \\\"ServiceEntry\\\"}\"}\n");
	expect(FORMAT_JSON, "{\"e\":\"%WEIR_SERVICE_ENTRY%\"}", &facts, "{\"e\":\"{\\\"kind\\\": \\\"ServiceEntry\\\"}\"}\n");
	facts.suggestion = NULL;
	expect(FORMAT_JSON, "{\"e\":\"%WEIR_SERVICE_ENTRY%\"}", &facts, "{\"e\":null}\n");
	expect(FORMAT_TEXT, "%WEIR_SERVICE_ENTRY%\n", &facts, "-\n");
}

static void what_is_wrong_is_told(void **state)
{
	static const struct row {
		enum format_encoding encoding;
		const char *text;
		const char *error; /* the beginning */
	} rows[] = {
		{FORMAT_TEXT, "abc %UPSTREAM_HOSTS%", "position 5: \"UPSTREAM_HOSTS\" is no operator; among those that are: UPSTREAM_HOST"},
		{FORMAT_TEXT, "%FOO%", "position 1: \"FOO\" is no operator; among those that are: FILTER_STATE"},
		{FORMAT_TEXT, "%WHAT%", "position 1: \"WHAT\" is no operator; among those that are: WEIR_SERVICE_ENTRY"},
		{FORMAT_TEXT, "100% sure", "position 4: % begins an operator; valid is "},
		{FORMAT_TEXT, "50%", "position 3: % begins an operator; valid is "},
		{FORMAT_TEXT, "%PROTOCOL", "position 1: an operator is not closed; valid is "},
		{FORMAT_TEXT, "%PROTOCOL %", "position 1: an operator is not closed; valid is "},
		{FORMAT_TEXT, "%REQ(x%", "position 1: a bracket is not closed; valid is "},
		{FORMAT_TEXT, "%REQ(x):%", "position 1: a limit is missing; valid is "},
		{FORMAT_TEXT, "%REQ(x):1234567%", "position 1: an operator is not closed; valid is "},
		{FORMAT_TEXT, "%REQ%", "position 1: REQ needs a name in brackets, as in %REQ(NAME)%"},
		{FORMAT_TEXT, "%REQ()%", "position 1: REQ: \"\" is no name of a header; valid is (NAME) or (NAME?OTHER)"},
		{FORMAT_TEXT, "%REQ(a?)%", "position 1: REQ: \"\" is no name of a header; valid is (NAME) or (NAME?OTHER)"},
		{FORMAT_TEXT, "%RESP(a b)%", "position 1: RESP: \"a b\" is no name of a header; valid is (NAME) or (NAME?OTHER)"},
		{FORMAT_TEXT, "%PROTOCOL(x)%", "position 1: PROTOCOL: it takes nothing in brackets"},
		{FORMAT_TEXT, "%PROTOCOL:5%", "position 1: PROTOCOL takes no limit"},
		{FORMAT_TEXT, "%START_TIME(%Q)%", "position 1: START_TIME: \"%Q\" is no part of a time; valid are %Y "},
		{FORMAT_TEXT, "%START_TIME(%)%", "position 1: START_TIME: \"%\" is no part of a time; valid are %Y "},
		{FORMAT_TEXT, "%START_TIME(%3)%", "position 1: START_TIME: \"%3\" is no part of a time; valid are %Y "},
		{FORMAT_TEXT, "%ENVIRONMENT()%", "position 1: ENVIRONMENT: a name is missing"},
		{FORMAT_JSON, "%PROTOCOL%", "position 1: the format has to be an object of JSON"},
		{FORMAT_JSON, "[]", "position 1: the format has to be an object of JSON"},
		{FORMAT_JSON, "{\"a\":\"%FOO%\"}", "position 7: \"FOO\" is no operator"},
		{FORMAT_JSON, "{\"a\":\"x", "position 8: a text is not closed"},
		{FORMAT_JSON, "{\"a\":\"\\x\"}", "position 7: no escape of JSON"},
		{FORMAT_JSON, "{\"a\":\"\\u00g0\"}", "position 7: no escape of JSON"},
		{FORMAT_JSON, "{\"a\":\"x\ny\"}", "position 8: a control character in a text of JSON"},
		{FORMAT_JSON, "{\"a\":\"%START_TIME(\\\"%Y\\\")%\"}", "position 7: an operator's argument cannot have quotes or backslashes"},
		{FORMAT_JSON, "{\"a\":1,}", "position 8: a name in quotes is missing"},
		{FORMAT_JSON, "{\"a\" 1}", "position 6: a colon is missing"},
		{FORMAT_JSON, "{\"a\":1 \"b\":2}", "position 8: a comma or a closing bracket is missing"},
		{FORMAT_JSON, "{\"a\":[1,]}", "position 9: no value of JSON"},
		{FORMAT_JSON, "{\"a\":01}", "position 7: a comma or a closing bracket is missing"},
		{FORMAT_JSON, "{\"a\":+1}", "position 6: no value of JSON"},
		{FORMAT_JSON, "{\"a\":yes}", "position 6: no value of JSON"},
		{FORMAT_JSON, "{\"a\":1", "position 7: a comma or a closing bracket is missing"},
		{FORMAT_JSON, "{} {}", "position 4: something follows the object"},
		{FORMAT_JSON, "{\"a\":[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]}", "position 21: objects lie too deep in one another"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		static const char prefix[] = "accessLogFormat: ";
		struct format *format = NULL;
		struct error e = {.text = ""};
		char begin[ERROR_TEXT_SIZE];

		assert_int_equal(format_new(rows[i].encoding, rows[i].text, &format, &e), -EINVAL);
		assert_null(format);
		assert_memory_equal(e.text, prefix, sizeof prefix - 1);
		(void)snprintf(begin, sizeof begin, "%.*s", (int)strlen(rows[i].error), e.text + sizeof prefix - 1);
		assert_string_equal(begin, rows[i].error);
	}
}

static void a_text_has_a_limit(void **state)
{
	size_t size = (64u << 10) + 1;
	char *text = malloc(size + 1);
	struct format *format;
	struct error e;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', size);
	text[size] = '\0';
	assert_int_equal(format_new(FORMAT_TEXT, text, &format, &e), -EINVAL);
	assert_string_equal(e.text, "accessLogFormat: it has 65537 bytes; up to 65536 are valid");
	text[size - 1] = '\0';
	assert_int_equal(format_new(FORMAT_TEXT, text, &format, &e), 0);
	format_unref(format);
	free(text);
}

/* The sanitizers would tell. */
static void workers_share_a_format(void **state)
{
	struct facts facts = usual(NULL);
	struct format *format;
	char line[64];

	(void)state;
	assert_int_equal(format_new(FORMAT_TEXT, "%DURATION%\n", &format, NULL), 0);
	assert_ptr_equal(format_ref(format), format);
	format_unref(format);
	assert_int_equal(access_log_format(format, line, sizeof line, &facts), 3);
	assert_memory_equal(line, "55\n", 3);
	format_unref(format);
	format_unref(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_operator_has_its_value),
		cmocka_unit_test(times_are_those_of_the_library),
		cmocka_unit_test(json_keeps_types),
		cmocka_unit_test(what_was_blocked_carries_its_entry),
		cmocka_unit_test(what_is_wrong_is_told),
		cmocka_unit_test(a_text_has_a_limit),
		cmocka_unit_test(workers_share_a_format),
	};

	return cmocka_run_group_tests_name("format", tests, NULL, NULL);
}
