/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/log/metrics.h"

#include "proxy/log/access_log.h"

#include <string.h>

static void add(_Atomic uint64_t *counter, uint64_t n)
{
	(void)atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

void metrics_init(struct metrics *metrics)
{
	memset(metrics, 0, sizeof *metrics);
	series_init(&metrics->table);
}

void metrics_free(struct metrics *metrics)
{
	series_free(&metrics->table);
}

/* --- keys */

static struct facts_text text_of(const char *text)
{
	return (struct facts_text){text, text != NULL ? strlen(text) : 0};
}

/* The name that a client told; without the port that an authority may have. */
static struct facts_text told_name(const struct facts *facts)
{
	struct facts_text name = {.data = NULL};
	const char *end;

	if (facts->http != NULL)
		name = facts->http->authority;
	else if (facts->names != NULL && facts->names->server_name != NULL)
		return text_of(facts->names->server_name);
	else if (facts->names != NULL)
		name = text_of(facts->names->host);
	if (name.size == 0)
		return name;
	end = *name.data == '[' ? memchr(name.data, ']', name.size) : memchr(name.data, ':', name.size);
	if (end != NULL)
		name.size = (size_t)(end - name.data) + (*end == ']');
	return name;
}

static enum series_service service_of(const struct facts *facts)
{
	static const char blocked[] = "block_all";

	if (facts->cluster == NULL) {
		const char *route = facts->http != NULL ? facts->http->route : NULL;

		return route != NULL && strcmp(route, blocked) == 0 ? SERIES_BLACKHOLE : SERIES_UNKNOWN;
	}
	if (strcmp(facts->cluster, FACTS_PASSTHROUGH) == 0)
		return SERIES_PASSTHROUGH;
	return strcmp(facts->cluster, FACTS_BLACKHOLE) == 0 ? SERIES_BLACKHOLE : SERIES_HOST;
}

/*
 * Small letters and no dot at the end, as one host has many spellings; of a longer name, as much as shows that it is too
 * long.
 */
static const char *spell(char out[SERIES_HOST_SIZE + 1], struct facts_text name)
{
	size_t size = name.size <= SERIES_HOST_SIZE ? name.size : SERIES_HOST_SIZE;

	if (size > 1 && size == name.size && name.data[size - 1] == '.')
		size--;

	for (size_t i = 0; i < size; i++) {
		char c = name.data[i];

		out[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
	}
	out[size] = '\0';
	return out;
}

/* The host that a cluster's name ends with, or the name that the client told. */
static const char *host_of(char out[SERIES_HOST_SIZE + 1], const struct facts *facts, enum series_service service)
{
	struct facts_text name;

	if (service == SERIES_HOST) {
		const char *bar = strrchr(facts->cluster, '|');

		name = text_of(bar != NULL ? bar + 1 : facts->cluster);
	} else {
		name = told_name(facts);
	}
	return name.size > 0 ? spell(out, name) : "unknown";
}

static void write_flags(char out[SERIES_FLAGS_SIZE], const struct facts_http *http)
{
	size_t used = 0;

	out[used++] = '-';
	for (unsigned i = 0; i < http->flag_count; i++) {
		size_t length = strlen(http->flags[i]);

		if (used + length + 1 >= SERIES_FLAGS_SIZE)
			break;
		if (i == 0)
			used = 0;
		else
			out[used++] = ',';
		memcpy(out + used, http->flags[i], length);
		used += length;
	}
	out[used] = '\0';
}

/* --- counting */

void metrics_open(struct metrics *metrics, struct metrics_share *share, const struct facts *facts)
{
	char host[SERIES_HOST_SIZE + 1];
	struct series_key key = {.protocol = SERIES_TCP};

	if (share->series != NULL)
		return;
	key.service = service_of(facts);
	key.host = host_of(host, facts, key.service);
	share->series = series_find(&metrics->table, &key);
	add(&share->series->connections.opened, 1);
}

void metrics_progress(struct metrics_share *share, const struct facts *facts)
{
	if (share->series == NULL)
		return;
	if (facts->received != share->received)
		add(&share->series->connections.received, facts->received - share->received);
	if (facts->sent != share->sent)
		add(&share->series->connections.sent, facts->sent - share->sent);
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
	add(&share->series->connections.closed[first_alike(facts->end)], 1);
}

void metrics_request(struct metrics *metrics, const struct facts *facts)
{
	char host[SERIES_HOST_SIZE + 1];
	struct series_key key = {.protocol = SERIES_HTTP, .code = facts->http->status};
	struct series_requests *requests;

	if (facts->http->is_grpc)
		key.protocol = SERIES_GRPC;
	key.service = service_of(facts);
	key.host = host_of(host, facts, key.service);
	write_flags(key.flags, facts->http);
	requests = &series_find(&metrics->table, &key)->requests;
	series_observe(&requests->duration, (uint64_t)facts->duration);
	series_observe(&requests->received, facts->received);
	series_observe(&requests->sent, facts->sent);
}
