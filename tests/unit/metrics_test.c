/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is counted, under which labels, and where it ends.
 */
#include "proxy/log/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEXT(literal) {(literal), sizeof(literal) - 1}

static struct metrics metrics;

static int start(void **state)
{
	(void)state;
	metrics_init(&metrics);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	metrics_free(&metrics);
	return 0;
}

/* All of the text, to be freed. */
static char *written(void)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	metrics_write(&metrics, 0, out);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void expect_line(const char *line)
{
	char *text = written();
	const char *found = strstr(text, line);

	if (found == NULL || (found > text && found[-1] != '\n') || found[strlen(line)] != '\n')
		fail_msg("no line %s in\n%s", line, text);
	free(text);
}

static void expect_nothing_of(const char *word)
{
	char *text = written();

	if (strstr(text, word) != NULL)
		fail_msg("%s in\n%s", word, text);
	free(text);
}

static size_t count_lines(const char *prefix)
{
	char *text = written();
	size_t count = 0;

	for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
		line += *line == '\n';
		count += strncmp(line, prefix, strlen(prefix)) == 0;
	}
	free(text);
	return count;
}

static void count_request(const char *cluster, const char *route, const char *authority, uint16_t status, const char *flag)
{
	struct facts_http http = {.authority = {authority, authority != NULL ? strlen(authority) : 0}, .status = status,
		.route = route, .flags = {flag}, .flag_count = flag != NULL};
	const struct facts facts = {.duration = 3, .received = 0, .sent = 600, .cluster = cluster, .http = &http};

	metrics_request(&metrics, &facts);
}

#define LABELS(service, name, protocol) \
	"{reporter=\"source\",destination_service=\"" service "\",destination_service_name=\"" name "\",request_protocol=\"" \
	protocol "\","
#define REST ",connection_security_policy=\"unknown\"} "

static void requests_by_destination(void **state)
{
	(void)state;
	count_request("outbound|80||httpbin.org", "default", "HTTPBIN.org:80", 200, NULL);
	count_request("outbound|80|v1|httpbin.org", "default", "httpbin.org", 200, NULL);
	count_request("outbound|80||httpbin.org", "default", "httpbin.org", 504, "UT");
	count_request(FACTS_PASSTHROUGH, "allow_any", "Example.com:8080", 200, NULL);
	count_request(NULL, "block_all", "evil.example", 502, NULL);
	count_request(NULL, NULL, NULL, 400, "DPE");
	expect_line("istio_requests_total" LABELS("httpbin.org", "httpbin.org", "http")
		"response_code=\"200\",response_flags=\"-\"" REST "2");
	expect_line("istio_requests_total" LABELS("httpbin.org", "httpbin.org", "http")
		"response_code=\"504\",response_flags=\"UT\"" REST "1");
	expect_line("istio_requests_total" LABELS("example.com", "PassthroughCluster", "http")
		"response_code=\"200\",response_flags=\"-\"" REST "1");
	expect_line("istio_requests_total" LABELS("evil.example", "BlackHoleCluster", "http")
		"response_code=\"502\",response_flags=\"-\"" REST "1");
	expect_line("istio_requests_total" LABELS("unknown", "unknown", "http")
		"response_code=\"400\",response_flags=\"DPE\"" REST "1");
	expect_nothing_of("istio_tcp_connections_opened_total{");
}

static void several_flags_are_one_label(void **state)
{
	struct facts_http http = {.authority = TEXT("a.example"), .status = 503, .flags = {"URX", "UF"}, .flag_count = 2,
		.is_grpc = true};
	struct facts facts = {.cluster = FACTS_PASSTHROUGH, .http = &http};

	(void)state;
	metrics_request(&metrics, &facts);
	expect_line("istio_requests_total" LABELS("a.example", "PassthroughCluster", "grpc")
		"response_code=\"503\",response_flags=\"URX,UF\"" REST "1");
	/* More than there is room for. */
	http.flag_count = 4;
	http.flags[0] = http.flags[1] = http.flags[2] = http.flags[3] = "UMSDRUMSDR";
	metrics_request(&metrics, &facts);
	expect_line("istio_requests_total" LABELS("a.example", "PassthroughCluster", "grpc")
		"response_code=\"503\",response_flags=\"UMSDRUMSDR,UMSDRUMSDR\"" REST "1");
}

/* Envoy's buckets: each holds all that is not more than its bound. */
static void histograms(void **state)
{
	static const struct row {
		uint64_t value;
		const char *first; /* bucket that it is in */
		const char *before; /* the one that it is not in; NULL: none */
	} rows[] = {
		{0, "0.5", NULL}, {1, "1", "0.5"}, {2, "5", "1"}, {5, "5", "1"}, {6, "10", "5"}, {25, "25", "10"}, {50, "50", "25"},
		{100, "100", "50"}, {250, "250", "100"}, {500, "500", "250"}, {501, "1000", "500"}, {2500, "2500", "1000"},
		{5000, "5000", "2500"}, {10000, "10000", "5000"}, {30000, "30000", "10000"}, {60000, "60000", "30000"},
		{300000, "300000", "60000"}, {600000, "600000", "300000"}, {1800000, "1800000", "600000"},
		{3600000, "3600000", "1800000"}, {3600001, "+Inf", "3600000"}, {INT64_MAX, "+Inf", "3600000"},
	};
	static const char labels[] = LABELS("a", "a", "http") "response_code=\"200\",response_flags=\"-\",connection_security_policy=\"unknown\"";

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct facts_http http = {.status = 200};
		struct facts facts = {.duration = (int64_t)rows[i].value, .received = rows[i].value, .sent = rows[i].value,
			.cluster = "outbound|80||a", .http = &http};
		static const char *const names[] = {"istio_request_duration_milliseconds", "istio_request_bytes", "istio_response_bytes"};
		char line[512];

		metrics_free(&metrics);
		metrics_init(&metrics);
		metrics_request(&metrics, &facts);
		for (size_t j = 0; j < 3; j++) {
			(void)snprintf(line, sizeof line, "%s_bucket%s,le=\"%s\"} 1", names[j], labels, rows[i].first);
			expect_line(line);
			(void)snprintf(line, sizeof line, "%s_bucket%s,le=\"+Inf\"} 1", names[j], labels);
			expect_line(line);
			(void)snprintf(line, sizeof line, "%s_bucket%s,le=\"%s\"} 0", names[j], labels, rows[i].before);
			if (rows[i].before != NULL)
				expect_line(line);
			(void)snprintf(line, sizeof line, "%s_sum%s} %llu", names[j], labels, (unsigned long long)rows[i].value);
			expect_line(line);
			(void)snprintf(line, sizeof line, "%s_count%s} 1", names[j], labels);
			expect_line(line);
		}
	}
	assert_int_equal(count_lines("istio_request_bytes_bucket"), 20);
}

static void connections_by_cluster(void **state)
{
	struct facts_names names = {.server_name = (char[]){"WWW.Example.com"}};
	struct facts facts = {.cluster = "outbound|443||www.example.com", .protocol = FACTS_TLS, .names = &names, .received = 5,
		.sent = 7};
	struct metrics_share share = {.series = NULL};

	(void)state;
	metrics_open(&metrics, &share, &facts);
	metrics_open(&metrics, &share, &facts);
	metrics_progress(&share, &facts);
	facts.received = 9;
	metrics_close(&metrics, &share, &facts);
	expect_line("istio_tcp_connections_opened_total" LABELS("www.example.com", "www.example.com", "tcp")
		"response_flags=\"-\"" REST "1");
	expect_line("istio_tcp_received_bytes_total" LABELS("www.example.com", "www.example.com", "tcp")
		"response_flags=\"-\"" REST "9");
	expect_line("istio_tcp_sent_bytes_total" LABELS("www.example.com", "www.example.com", "tcp")
		"response_flags=\"-\"" REST "7");
	facts.cluster = FACTS_BLACKHOLE;
	facts.end = FACTS_END_BLOCKED;
	share.series = NULL;
	metrics_close(&metrics, &share, &facts);
	/* Another end with the same flags is the same series. */
	facts.end = FACTS_END_NO_ENDPOINT;
	share.series = NULL;
	metrics_close(&metrics, &share, &facts);
	expect_line("istio_tcp_connections_closed_total" LABELS("www.example.com", "BlackHoleCluster", "tcp")
		"response_flags=\"UH\"" REST "2");
	expect_nothing_of("istio_requests_total{");
}

/* One limit for all series; what is beyond it is still counted. */
static void series_have_a_limit(void **state)
{
	struct facts_names names = {.host = (char[]){"late.example"}};
	struct facts facts = {.cluster = FACTS_PASSTHROUGH, .names = &names};
	struct metrics_share share = {.series = NULL};

	(void)state;
	for (unsigned i = 0; i < SERIES_MAX; i++) {
		char host[32];

		(void)snprintf(host, sizeof host, "host%u.example", i / 4);
		count_request(FACTS_PASSTHROUGH, "allow_any", host, (uint16_t)(200 + i % 4), NULL);
	}
	assert_int_equal(count_lines("istio_requests_total{"), SERIES_MAX);
	count_request(FACTS_PASSTHROUGH, "allow_any", "more.example", 204, NULL);
	count_request(FACTS_PASSTHROUGH, "allow_any", "more.example", 502, "UF");
	count_request(FACTS_PASSTHROUGH, "allow_any", "more.example", 599, NULL);
	count_request(FACTS_PASSTHROUGH, "allow_any", "more.example", 999, NULL);
	count_request(FACTS_PASSTHROUGH, "allow_any", "more.example", 0, "DC");
	count_request(FACTS_PASSTHROUGH, "allow_any", "host0.example", 200, NULL);
	metrics_close(&metrics, &share, &facts);
	assert_int_equal(count_lines("istio_requests_total{"), SERIES_MAX + 3);
	expect_line("istio_requests_total" LABELS("other", "other", "http") "response_code=\"2xx\",response_flags=\"-\"" REST "1");
	expect_line("istio_requests_total" LABELS("other", "other", "http") "response_code=\"5xx\",response_flags=\"-\"" REST "3");
	expect_line("istio_requests_total" LABELS("other", "other", "http") "response_code=\"0\",response_flags=\"-\"" REST "1");
	expect_line("istio_requests_total" LABELS("host0.example", "PassthroughCluster", "http")
		"response_code=\"200\",response_flags=\"-\"" REST "2");
	expect_line("istio_tcp_connections_opened_total" LABELS("other", "other", "tcp") "response_flags=\"-\"" REST "1");
}

static void names_are_bounded(void **state)
{
	char longest[SERIES_HOST_SIZE + 100];

	(void)state;
	memset(longest, 'a', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	count_request(FACTS_PASSTHROUGH, "allow_any", longest, 200, NULL);
	longest[SERIES_HOST_SIZE] = '\0';
	count_request(FACTS_PASSTHROUGH, "allow_any", longest, 200, NULL);
	expect_line("istio_requests_total" LABELS("other", "other", "http") "response_code=\"2xx\",response_flags=\"-\"" REST "2");
	longest[SERIES_HOST_SIZE - 1] = '\0';
	count_request(FACTS_PASSTHROUGH, "allow_any", longest, 200, NULL);
	assert_int_equal(count_lines("istio_requests_total{"), 2);
	count_request(FACTS_PASSTHROUGH, "allow_any", "[2001:DB8::1]:80", 200, NULL);
	expect_line("istio_requests_total" LABELS("[2001:db8::1]", "PassthroughCluster", "http")
		"response_code=\"200\",response_flags=\"-\"" REST "1");
	count_request(FACTS_PASSTHROUGH, "allow_any", "a\"b\\c\n\x80", 200, NULL);
	expect_line("istio_requests_total" LABELS("a\\\"b\\\\c\\n\\\\x80", "PassthroughCluster", "http")
		"response_code=\"200\",response_flags=\"-\"" REST "1");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(requests_by_destination),
		TEST(several_flags_are_one_label),
		TEST(histograms),
		TEST(connections_by_cluster),
		TEST(series_have_a_limit),
		TEST(names_are_bounded),
	};

	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
