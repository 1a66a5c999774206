/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names are never removed, so a slot that is taken stays as it is: looking one up needs no lock, and a connection may
 * keep a pointer to its counters.
 */
#include "proxy/log/metrics.h"

#include "proxy/log/access_log.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static_assert((METRICS_SLOT_COUNT & (METRICS_SLOT_COUNT - 1)) == 0 && METRICS_NAME_MAX < METRICS_SLOT_COUNT,
	"a look-up ends at a free slot");

/* Longer ones are no host names, and count as "other". */
#define NAME_SIZE 256

static void add(_Atomic uint64_t *counter, uint64_t n)
{
	(void)atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static uint64_t read_counter(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void metrics_init(struct metrics *metrics)
{
	memset(metrics, 0, sizeof *metrics);
	(void)pthread_mutex_init(&metrics->lock, NULL);
	metrics->unnamed.name = "unknown";
	metrics->other.name = "other";
}

/* --- names */

/* The host that a connection named, lower case, without a port. Returns its length; 0: none; NAME_SIZE: too long. */
static size_t name_of(const struct facts *facts, char out[NAME_SIZE])
{
	const char *text = NULL;
	size_t length;

	if (facts->names != NULL)
		text = facts->names->server_name != NULL ? facts->names->server_name : facts->names->host;
	if (text == NULL)
		return 0;
	length = *text == '[' ? strcspn(text, "]") + 1 : strcspn(text, ":");
	/* A server name with a wrong byte begins with "invalid:". */
	if (facts->protocol == FACTS_TLS || length > strlen(text))
		length = strlen(text);
	if (length >= NAME_SIZE)
		return NAME_SIZE;
	for (size_t i = 0; i < length; i++)
		out[i] = (char)tolower((unsigned char)text[i]);
	out[length] = '\0';
	return length;
}

/* FNV-1a */
static uint32_t hash(const char *name)
{
	uint32_t h = 2166136261u;

	for (; *name != '\0'; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return h;
}

/* The name's slot, or the free one where it would go. */
static struct metrics_destination *_Atomic *find(struct metrics *metrics, const char *name)
{
	for (uint32_t i = hash(name);; i++) {
		struct metrics_destination *_Atomic *slot = &metrics->slots[i & (METRICS_SLOT_COUNT - 1)];
		const struct metrics_destination *there = atomic_load_explicit(slot, memory_order_acquire);

		if (there == NULL || strcmp(there->name, name) == 0)
			return slot;
	}
}

static struct metrics_destination *make_destination(const char *name)
{
	size_t size = strlen(name) + 1;
	struct metrics_destination *destination = calloc(1, sizeof *destination + size);

	if (destination != NULL)
		destination->name = memcpy(destination + 1, name, size);
	return destination;
}

/* Adds a name. Where there is no place, or no memory, it is one of the others. */
static struct metrics_destination *add_name(struct metrics *metrics, const char *name)
{
	struct metrics_destination *_Atomic *slot;
	struct metrics_destination *destination;

	(void)pthread_mutex_lock(&metrics->lock);
	slot = find(metrics, name);
	destination = atomic_load_explicit(slot, memory_order_relaxed);
	if (destination == NULL && metrics->name_count < METRICS_NAME_MAX)
		destination = make_destination(name);
	if (destination != NULL && atomic_load_explicit(slot, memory_order_relaxed) == NULL) {
		metrics->name_count++;
		atomic_store_explicit(slot, destination, memory_order_release);
	}
	(void)pthread_mutex_unlock(&metrics->lock);
	return destination != NULL ? destination : &metrics->other;
}

static struct metrics_destination *destination_of(struct metrics *metrics, const struct facts *facts)
{
	char name[NAME_SIZE];
	size_t length = name_of(facts, name);
	struct metrics_destination *known;

	if (length == 0)
		return &metrics->unnamed;
	if (length >= NAME_SIZE)
		return &metrics->other;
	known = atomic_load_explicit(find(metrics, name), memory_order_acquire);
	return known != NULL ? known : add_name(metrics, name);
}

/* --- counting */

void metrics_open(struct metrics *metrics, struct metrics_share *share, const struct facts *facts)
{
	if (share->destination != NULL)
		return;
	share->destination = destination_of(metrics, facts);
	add(&share->destination->opened, 1);
}

void metrics_progress(struct metrics_share *share, const struct facts *facts)
{
	if (share->destination == NULL)
		return;
	if (facts->received != share->received)
		add(&share->destination->received, facts->received - share->received);
	if (facts->sent != share->sent)
		add(&share->destination->sent, facts->sent - share->sent);
	share->received = facts->received;
	share->sent = facts->sent;
}

/* The flags are the label, and a series stands for all ends that have them. */
static enum facts_end first_alike(enum facts_end end)
{
	enum facts_end first = 0;

	while (strcmp(access_log_flags(first), access_log_flags(end)) != 0)
		first++;
	return first;
}

void metrics_close(struct metrics *metrics, struct metrics_share *share, const struct facts *facts)
{
	metrics_open(metrics, share, facts);
	metrics_progress(share, facts);
	add(&share->destination->closed[first_alike(facts->end)], 1);
}

/* --- writing */

static void write_label(FILE *out, const char *value)
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

static void write_sample(FILE *out, const char *metric, const char *name, const char *flags, uint64_t value)
{
	(void)fprintf(out, "%s{reporter=\"source\",destination_service=\"", metric);
	write_label(out, name);
	(void)fprintf(out,
		"\",destination_service_name=\"PassthroughCluster\",request_protocol=\"tcp\",response_flags=\"%s\","
		"connection_security_policy=\"unknown\"} %llu\n",
		flags, (unsigned long long)value);
}

static void write_type(FILE *out, const char *metric, const char *type, const char *help)
{
	(void)fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", metric, help, metric, type);
}

static void write_closed(FILE *out, const char *metric, const struct metrics_destination *destination)
{
	for (enum facts_end end = 0; end < FACTS_END_COUNT; end++) {
		uint64_t closed = read_counter(&destination->closed[end]);

		if (closed > 0)
			write_sample(out, metric, destination->name, access_log_flags(end), closed);
	}
}

static void write_opened(FILE *out, const char *metric, const struct metrics_destination *destination)
{
	write_sample(out, metric, destination->name, "-", read_counter(&destination->opened));
}

static void write_received(FILE *out, const char *metric, const struct metrics_destination *destination)
{
	write_sample(out, metric, destination->name, "-", read_counter(&destination->received));
}

static void write_sent(FILE *out, const char *metric, const struct metrics_destination *destination)
{
	write_sample(out, metric, destination->name, "-", read_counter(&destination->sent));
}

static void write_destinations(struct metrics *metrics, FILE *out, const char *metric,
	void (*write_one)(FILE *out, const char *metric, const struct metrics_destination *destination))
{
	if (read_counter(&metrics->unnamed.opened) > 0)
		write_one(out, metric, &metrics->unnamed);
	if (read_counter(&metrics->other.opened) > 0)
		write_one(out, metric, &metrics->other);
	for (size_t i = 0; i < METRICS_SLOT_COUNT; i++) {
		const struct metrics_destination *there = atomic_load_explicit(&metrics->slots[i], memory_order_acquire);

		if (there != NULL)
			write_one(out, metric, there);
	}
}

void metrics_write(struct metrics *metrics, uint64_t dropped, FILE *out)
{
	static const struct family {
		const char *name;
		const char *help;
		void (*write_one)(FILE *out, const char *metric, const struct metrics_destination *destination);
	} families[] = {
		{"istio_tcp_connections_opened_total", "Connections that the proxy accepted.", write_opened},
		{"istio_tcp_connections_closed_total", "Connections that have ended, by the access log's flags.", write_closed},
		{"istio_tcp_received_bytes_total", "Bytes from clients.", write_received},
		{"istio_tcp_sent_bytes_total", "Bytes to clients.", write_sent},
	};
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

	for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
		write_type(out, families[i].name, "counter", families[i].help);
		write_destinations(metrics, out, families[i].name, families[i].write_one);
	}
	for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
		write_type(out, own[i].name, own[i].type, own[i].help);
		(void)fprintf(out, "%s %llu\n", own[i].name, (unsigned long long)own[i].value);
	}
}

void metrics_free(struct metrics *metrics)
{
	for (size_t i = 0; i < METRICS_SLOT_COUNT; i++)
		free(metrics->slots[i]);
	(void)pthread_mutex_destroy(&metrics->lock);
}
