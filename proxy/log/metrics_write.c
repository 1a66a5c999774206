/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prometheus' text format, version 0.0.4: a family's samples stand together, so every family goes over all series.
 */
#include "proxy/log/access_log.h"
#include "proxy/log/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

static uint64_t read_counter(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static void write_escaped(FILE *out, const char *value)
{
	for (; *value != '\0'; value++) {
		if (*value == '"' || *value == '\\')
			(void)fprintf(out, "\\%c", *value);
		else if (*value == '\n')
			(void)fputs("\\n", out);
		else if ((unsigned char)*value < 0x20 || (unsigned char)*value > 0x7e)
			(void)fprintf(out, "\\\\x%02x", (unsigned char)*value);
		else
			(void)fputc(*value, out);
	}
}

static void write_service(FILE *out, const struct series_key *key)
{
	static const char *const names[] = {
		[SERIES_UNKNOWN] = "unknown",
		[SERIES_PASSTHROUGH] = FACTS_PASSTHROUGH,
		[SERIES_BLACKHOLE] = FACTS_BLACKHOLE,
		[SERIES_HOST] = NULL,
	};
	static_assert(sizeof names / sizeof *names == SERIES_SERVICE_COUNT, "every service has its name");

	write_escaped(out, names[key->service] != NULL ? names[key->service] : key->host);
}

/* One sample, with its labels in Istio's order. `bound`: of a histogram's bucket, or NULL. */
static void write_sample(FILE *out, const char *metric, const char *suffix, const struct series *series,
	const char *flags, const char *bound, uint64_t value)
{
	static const char *const protocols[] = {[SERIES_TCP] = "tcp", [SERIES_HTTP] = "http", [SERIES_GRPC] = "grpc"};
	static_assert(sizeof protocols / sizeof *protocols == SERIES_PROTOCOL_COUNT, "every protocol has its name");

	(void)fprintf(out, "%s%s{reporter=\"source\",destination_service=\"", metric, suffix);
	write_escaped(out, series->key.host);
	(void)fputs("\",destination_service_name=\"", out);
	if (series->is_rest)
		(void)fputs("other", out);
	else
		write_service(out, &series->key);
	(void)fprintf(out, "\",request_protocol=\"%s\",", protocols[series->key.protocol]);
	if (series->key.protocol != SERIES_TCP && series->is_rest && series->key.code > 0)
		(void)fprintf(out, "response_code=\"%uxx\",", series->key.code / 100u);
	else if (series->key.protocol != SERIES_TCP)
		(void)fprintf(out, "response_code=\"%u\",", series->key.code);
	(void)fprintf(out, "response_flags=\"%s\",connection_security_policy=\"unknown\"", flags);
	if (bound != NULL)
		(void)fprintf(out, ",le=\"%s\"", bound);
	(void)fprintf(out, "} %" PRIu64 "\n", value);
}

/* --- connections */

static void write_opened(FILE *out, const char *metric, struct series *series)
{
	write_sample(out, metric, "", series, "-", NULL, read_counter(&series->connections.opened));
}

static void write_closed(FILE *out, const char *metric, struct series *series)
{
	for (enum facts_end end = 0; end < FACTS_END_COUNT; end++) {
		uint64_t closed = read_counter(&series->connections.closed[end]);

		if (closed > 0)
			write_sample(out, metric, "", series, access_log_flags(end), NULL, closed);
	}
}

static void write_received(FILE *out, const char *metric, struct series *series)
{
	write_sample(out, metric, "", series, "-", NULL, read_counter(&series->connections.received));
}

static void write_sent(FILE *out, const char *metric, struct series *series)
{
	write_sample(out, metric, "", series, "-", NULL, read_counter(&series->connections.sent));
}

/* --- requests */

static uint64_t count_of(const struct series_histogram *histogram)
{
	uint64_t count = 0;

	for (size_t i = 0; i <= SERIES_BUCKET_COUNT; i++)
		count += read_counter(&histogram->buckets[i]);
	return count;
}

static void write_requests(FILE *out, const char *metric, struct series *series)
{
	write_sample(out, metric, "", series, series->key.flags, NULL, count_of(&series->requests.duration));
}

static void write_histogram(FILE *out, const char *metric, const struct series *series,
	const struct series_histogram *histogram)
{
	const char *flags = series->key.flags;
	uint64_t count = 0;

	for (size_t i = 0; i < SERIES_BUCKET_COUNT; i++) {
		char bound[24];

		(void)snprintf(bound, sizeof bound, series_bounds[i] % 10 == 0 ? "%" PRIu64 : "%" PRIu64 ".5",
			series_bounds[i] / 10);
		count += read_counter(&histogram->buckets[i]);
		write_sample(out, metric, "_bucket", series, flags, bound, count);
	}
	count += read_counter(&histogram->buckets[SERIES_BUCKET_COUNT]);
	write_sample(out, metric, "_bucket", series, flags, "+Inf", count);
	write_sample(out, metric, "_sum", series, flags, NULL, read_counter(&histogram->sum));
	write_sample(out, metric, "_count", series, flags, NULL, count);
}

static void write_durations(FILE *out, const char *metric, struct series *series)
{
	write_histogram(out, metric, series, &series->requests.duration);
}

static void write_request_bytes(FILE *out, const char *metric, struct series *series)
{
	write_histogram(out, metric, series, &series->requests.received);
}

static void write_response_bytes(FILE *out, const char *metric, struct series *series)
{
	write_histogram(out, metric, series, &series->requests.sent);
}

/* --- all of it */

static const struct family {
	const char *name;
	const char *type;
	const char *help;
	bool is_tcp;
	void (*write_one)(FILE *out, const char *metric, struct series *series);
} families[] = {
	{"istio_tcp_connections_opened_total", "counter", "Connections that the proxy accepted.", true, write_opened},
	{"istio_tcp_connections_closed_total", "counter", "Connections that have ended, by the access log's flags.", true,
		write_closed},
	{"istio_tcp_received_bytes_total", "counter", "Bytes from clients.", true, write_received},
	{"istio_tcp_sent_bytes_total", "counter", "Bytes to clients.", true, write_sent},
	{"istio_requests_total", "counter", "Requests, by the access log's code and flags.", false, write_requests},
	{"istio_request_duration_milliseconds", "histogram", "From a request's first byte to its response's last.", false,
		write_durations},
	{"istio_request_bytes", "histogram", "Bytes of requests' bodies.", false, write_request_bytes},
	{"istio_response_bytes", "histogram", "Bytes of responses' bodies.", false, write_response_bytes},
};

static void write_type(FILE *out, const char *metric, const char *type, const char *help)
{
	(void)fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", metric, help, metric, type);
}

static void write_family(struct metrics *metrics, FILE *out, const struct family *family)
{
	struct series_table *table = &metrics->table;

	write_type(out, family->name, family->type, family->help);
	if (family->is_tcp && read_counter(&table->rest.connections.opened) > 0)
		family->write_one(out, family->name, &table->rest);
	for (size_t i = 0; !family->is_tcp && i < SERIES_CLASS_COUNT; i++)
		if (count_of(&table->rests[i].requests.duration) > 0)
			family->write_one(out, family->name, &table->rests[i]);
	for (size_t i = 0; i < SERIES_SLOT_COUNT; i++) {
		struct series *there = atomic_load_explicit(&table->slots[i], memory_order_acquire);

		if (there != NULL && (there->key.protocol == SERIES_TCP) == family->is_tcp)
			family->write_one(out, family->name, there);
	}
}

void metrics_write(struct metrics *metrics, uint64_t dropped, FILE *out)
{
	const struct {
		const char *name;
		const char *type;
		const char *help;
		uint64_t value;
	} own[] = {
		{"weir_connections_active", "gauge", "Connections at this moment.", read_counter(&metrics->active)},
		{"weir_accept_pauses_total", "counter", "How often accepting paused, for want of descriptors or memory.",
			read_counter(&metrics->pauses)},
		{"weir_access_log_dropped_lines_total", "counter", "Access-log lines that found no room.", dropped},
	};

	for (size_t i = 0; i < sizeof families / sizeof *families; i++)
		write_family(metrics, out, &families[i]);
	for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
		write_type(out, own[i].name, own[i].type, own[i].help);
		(void)fprintf(out, "%s %" PRIu64 "\n", own[i].name, own[i].value);
	}
}
