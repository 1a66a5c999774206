/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Golden lines: each kind of end, in Istio's default text format.
 */
#include "proxy/log/access_log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct format *text_format;

static int make_formats(void **state)
{
	(void)state;
	return format_new(FORMAT_TEXT, NULL, &text_format, NULL);
}

static int free_formats(void **state)
{
	(void)state;
	format_unref(text_format);
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
		.started = 1769862896789, /* 2026-01-31T12:34:56.789Z */
		.duration = 55,
		.source = endpoint("10.244.0.9", 41018),
		.destination = endpoint("93.184.216.34", 443),
		.upstream = endpoint("93.184.216.34", 443),
		.cluster = FACTS_PASSTHROUGH,
		.upstream_local = endpoint("10.244.0.9", 41020),
		.has_upstream = true,
		.has_upstream_local = true,
		.received = 782,
		.sent = 4712,
	};
}

static void expect_line(const struct facts *facts, const char *expected)
{
	char line[1024];
	size_t length = access_log_format(text_format, line, sizeof line, facts);

	assert_true(length < sizeof line);
	line[length] = '\0';
	assert_string_equal(line, expected);
	/* A buffer that is too small gets nothing past its end, and the same length. */
	memset(line, 'Z', sizeof line);
	assert_int_equal(access_log_format(text_format, line, 10, facts), length);
	assert_int_equal(line[10], 'Z');
}

static void each_end_has_its_line(void **state)
{
	struct facts_names tls = {.server_name = (char[]){"www.example.com"}};
	struct facts facts = usual();

	(void)state;
	expect_line(&facts, "[2026-01-31T12:34:56.789Z] \"- - -\" 0 - - - \"-\" 782 4712 55 - \"-\" \"-\" \"-\" \"-\" "
			    "\"93.184.216.34:443\" PassthroughCluster 10.244.0.9:41020 93.184.216.34:443 10.244.0.9:41018 - -\n");
	facts.names = &tls;
	facts.end = FACTS_END_UPSTREAM_RESET;
	expect_line(&facts, "[2026-01-31T12:34:56.789Z] \"- - -\" 0 UR - - \"-\" 782 4712 55 - \"-\" \"-\" \"-\" \"-\" "
			    "\"93.184.216.34:443\" PassthroughCluster 10.244.0.9:41020 93.184.216.34:443 10.244.0.9:41018 "
			    "www.example.com -\n");
	facts = usual();
	facts.has_upstream_local = false;
	facts.received = facts.sent = 0;
	facts.end = FACTS_END_CONNECT_FAILED;
	facts.error = ECONNREFUSED;
	expect_line(&facts, "[2026-01-31T12:34:56.789Z] \"- - -\" 0 UF,URX - - "
			    "\"delayed_connect_error:_Connection_refused\" 0 0 55 - \"-\" \"-\" \"-\" \"-\" \"93.184.216.34:443\" "
			    "PassthroughCluster - 93.184.216.34:443 10.244.0.9:41018 - -\n");
	facts.end = FACTS_END_CONNECT_TIMEOUT;
	expect_line(&facts, "[2026-01-31T12:34:56.789Z] \"- - -\" 0 UF,URX - - \"-\" 0 0 55 - \"-\" \"-\" "
			    "\"-\" \"-\" \"93.184.216.34:443\" PassthroughCluster - 93.184.216.34:443 10.244.0.9:41018 - -\n");
	facts.has_upstream_local = true;
	facts.end = FACTS_END_MEMORY;
	expect_line(&facts, "[2026-01-31T12:34:56.789Z] \"- - -\" 0 OM - out_of_memory \"-\" 0 0 55 - \"-\" \"-\" \"-\" \"-\" "
			    "\"93.184.216.34:443\" PassthroughCluster 10.244.0.9:41020 93.184.216.34:443 10.244.0.9:41018 - -\n");
	facts.end = FACTS_END_DRAIN;
	facts.protocol = FACTS_HTTP2;
	expect_line(&facts, "[2026-01-31T12:34:56.789Z] \"- - HTTP/2\" 0 - - drain_time_over \"-\" 0 0 55 - \"-\" \"-\" \"-\" "
			    "\"-\" \"93.184.216.34:443\" PassthroughCluster 10.244.0.9:41020 93.184.216.34:443 10.244.0.9:41018 "
			    "- -\n");
	facts.protocol = FACTS_TLS;
	facts.has_ech = true;
	expect_line(&facts, "[2026-01-31T12:34:56.789Z] \"- - -\" 0 - - drain_time_over,ech \"-\" 0 0 55 - \"-\" \"-\" \"-\" "
			    "\"-\" \"93.184.216.34:443\" PassthroughCluster 10.244.0.9:41020 93.184.216.34:443 10.244.0.9:41018 "
			    "- -\n");
	facts.end = FACTS_END_PLAIN;
	expect_line(&facts, "[2026-01-31T12:34:56.789Z] \"- - -\" 0 - - ech \"-\" 0 0 55 - \"-\" \"-\" \"-\" \"-\" "
			    "\"93.184.216.34:443\" PassthroughCluster 10.244.0.9:41020 93.184.216.34:443 10.244.0.9:41018 - -\n");
	facts = usual();
	facts.received = facts.sent = 0;
	facts.has_upstream_local = false;
	facts.has_upstream = false;
	facts.cluster = NULL;
	facts.end = FACTS_END_DIRECT;
	expect_line(&facts, "[2026-01-31T12:34:56.789Z] \"- - -\" 0 NR - direct_dial \"-\" 0 0 55 - \"-\" \"-\" \"-\" \"-\" "
			    "\"-\" - - 93.184.216.34:443 10.244.0.9:41018 - -\n");
	facts.end = FACTS_END_LOOP;
	expect_line(&facts, "[2026-01-31T12:34:56.789Z] \"- - -\" 0 NR - loop \"-\" 0 0 55 - \"-\" \"-\" \"-\" \"-\" "
			    "\"-\" - - 93.184.216.34:443 10.244.0.9:41018 - -\n");
}

static void requests_and_ipv6(void **state)
{
	struct facts_names http = {.method = (char[]){"GET"}, .path = (char[]){"/p?q=1"}, .version = (char[]){"HTTP/1.1"},
		.host = (char[]){"example.com"}};
	struct facts facts = usual();

	(void)state;
	facts.names = &http;
	facts.source = endpoint("2001:db8::9", 40000);
	facts.destination = facts.upstream = endpoint("2001:db8::1", 80);
	facts.upstream_local = endpoint("2001:db8::9", 40001);
	expect_line(&facts, "[2026-01-31T12:34:56.789Z] \"GET /p?q=1 HTTP/1.1\" 0 - - - \"-\" 782 4712 55 - \"-\" \"-\" \"-\" "
			    "\"example.com\" \"[2001:db8::1]:80\" PassthroughCluster [2001:db8::9]:40001 [2001:db8::1]:80 "
			    "[2001:db8::9]:40000 - -\n");
}

static void client_bytes_are_escaped(void **state)
{
	struct facts_names http = {.method = (char[]){"GET"}, .path = (char[]){"/\"\\\t\x7f\xc3\xa9"},
		.version = (char[]){"HTTP/1.1"}, .host = (char[]){"a\" \"b\n"}};
	struct facts facts = usual();

	(void)state;
	facts.names = &http;
	expect_line(&facts, "[2026-01-31T12:34:56.789Z] \"GET /\\\"\\\\\\x09\\x7f\\xc3\\xa9 HTTP/1.1\" 0 - - - \"-\" 782 4712 55 - "
			    "\"-\" \"-\" \"-\" \"a\\\" \\\"b\\x0a\" \"93.184.216.34:443\" PassthroughCluster 10.244.0.9:41020 "
			    "93.184.216.34:443 10.244.0.9:41018 - -\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_end_has_its_line),
		cmocka_unit_test(requests_and_ipv6),
		cmocka_unit_test(client_bytes_are_escaped),
	};

	return cmocka_run_group_tests_name("access_log", tests, make_formats, free_formats);
}
