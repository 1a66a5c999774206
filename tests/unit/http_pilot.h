/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flies an exchange without sockets: a client's bytes in pieces of any size, an origin that answers each whole request
 * with the next response, and all that comes out as text. Every piece lies in memory of its own that is gone afterwards,
 * so that a sanitizer sees a slice that outlives it.
 */
#ifndef WEIR_TESTS_HTTP_PILOT_H
#define WEIR_TESTS_HTTP_PILOT_H

#include "proxy/http/exchange.h"

#include <stdio.h>
#include <stdlib.h>

#define PILOT_DATE "Tue, 24 Nov 2026 23:23:45 GMT"
#define PILOT_ID "00010203-0405-4607-8809-0a0b0c0d0e0f"
#define PILOT_TEXT_SIZE (1u << 20)

struct pilot_text {
	char *data; /* NUL-terminated */
	size_t size;
};

struct pilot {
	struct http_exchange exchange;
	struct http_io *io;
	/* what it is to do */
	const struct http_forward *route;
	const struct http_reply *reply; /* instead; NULL: route */
	unsigned retries;               /* of 503 and of failures */
	bool holds;                     /* nobody connects by itself */
	uint64_t service_time;
	const char *wanted; /* a header that the log asks for; NULL: none */
	/* what has come out */
	struct pilot_text to_client;
	struct pilot_text to_upstream;
	struct pilot_text log;
	struct pilot_text found; /* the wanted header, of each request and of its response: "one|other\n", "-" for none */
	struct pilot_text input; /* of the client's, not taken yet */
	unsigned requests;
	unsigned attempts;
	bool asked; /* the request is at the upstream, and it has not answered */
	bool client_closed;
	bool client_reset;
	bool upstream_reusable;
	bool no_memory;
};

static inline void pilot_text_add(struct pilot_text *text, const void *data, size_t size)
{
	text->data = realloc(text->data, text->size + size + 1);
	if (text->data == NULL || text->size + size > PILOT_TEXT_SIZE)
		abort();
	if (size > 0)
		memcpy(text->data + text->size, data, size);
	text->size += size;
	text->data[text->size] = '\0';
}

static inline void pilot_start(struct pilot *pilot, const struct http_forward *route)
{
	static struct http_io io; /* as a worker's, it serves one call after the other, whosever it is */

	*pilot = (struct pilot){.io = &io, .route = route, .service_time = 7};
	http_io_init(pilot->io);
	pilot->io->keeps_heads = true;
	http_date_write(pilot->io->date, 1795562625);
	for (unsigned i = 0; i < HTTP_RANDOM_SIZE; i++)
		pilot->io->random[i] = (uint8_t)i;
	pilot_text_add(&pilot->to_client, "", 0);
	pilot_text_add(&pilot->to_upstream, "", 0);
	pilot_text_add(&pilot->log, "", 0);
	pilot_text_add(&pilot->found, "", 0);
	pilot_text_add(&pilot->input, "", 0);
}

static inline void pilot_end(struct pilot *pilot)
{
	http_exchange_free(&pilot->exchange);
	free(pilot->to_client.data);
	free(pilot->to_upstream.data);
	free(pilot->log.data);
	free(pilot->found.data);
	free(pilot->input.data);
}

static inline void pilot_flush(struct pilot *pilot)
{
	struct http_io *io = pilot->io;

	for (unsigned i = 0; i < io->to_client.count; i++)
		pilot_text_add(&pilot->to_client, io->to_client.items[i].iov_base, io->to_client.items[i].iov_len);
	for (unsigned i = 0; i < io->to_upstream.count; i++)
		pilot_text_add(&pilot->to_upstream, io->to_upstream.items[i].iov_base, io->to_upstream.items[i].iov_len);
	http_io_reset(io);
}

static inline void pilot_log(struct pilot *pilot)
{
	const struct http_outcome *outcome = http_exchange_outcome(&pilot->exchange);
	const struct http_text names[] = {outcome->names.method, outcome->names.path, outcome->names.forwarded_for,
		outcome->names.user_agent, outcome->names.request_id, outcome->names.authority};
	char flags[HTTP_FLAGS_SIZE];
	char details[HTTP_DETAILS_SIZE];
	char transport[HTTP_DETAILS_SIZE];
	char time[32] = "-";
	char *line;
	int length;

	if (outcome->has_service_time)
		(void)snprintf(time, sizeof time, "%llu", (unsigned long long)outcome->service_time);
#define NAME(i) (int)(names[i].data != NULL ? names[i].size : 1), names[i].data != NULL ? names[i].data : "-"
	length = asprintf(&line, "\"%.*s %.*s HTTP/1.%u\" %u %s %s \"%s\" %llu %llu %s \"%.*s\" \"%.*s\" \"%.*s\" \"%.*s\"\n",
		NAME(0), NAME(1), outcome->minor, outcome->status, http_outcome_flags(outcome, flags),
		http_outcome_details(outcome, details), http_outcome_transport(outcome, transport),
		(unsigned long long)outcome->received, (unsigned long long)outcome->sent, time, NAME(2), NAME(3), NAME(4), NAME(5));
#undef NAME
	if (length < 0)
		abort();
	pilot_text_add(&pilot->log, line, (size_t)length);
	free(line);
}

static inline void pilot_look_up(struct pilot *pilot)
{
	const struct http_text name = {pilot->wanted, pilot->wanted != NULL ? strlen(pilot->wanted) : 0};

	for (int of_response = 0; pilot->wanted != NULL && of_response < 2; of_response++) {
		struct http_text value = http_exchange_header(&pilot->exchange, of_response == 1, name);

		pilot_text_add(&pilot->found, value.data != NULL ? value.data : "-", value.data != NULL ? value.size : 1);
		pilot_text_add(&pilot->found, of_response == 1 ? "\n" : "|", 1);
	}
}

/* What follows from an event. Returns whether something may follow from it in turn. */
static inline bool pilot_act(struct pilot *pilot, enum http_event event)
{
	struct http_exchange *exchange = &pilot->exchange;
	struct http_io *io = pilot->io;
	bool tries = pilot->attempts <= pilot->retries && pilot->retries > 0;

	switch (event) {
	case HTTP_EVENT_REQUEST:
		pilot->requests++;
		pilot->attempts = 1;
		if (io->request.problem == HTTP_FINE && io->request.authority.data == NULL && pilot->route->authority.data == NULL)
			io->request.problem = HTTP_NO_HOST;
		if (io->request.problem != HTTP_FINE)
			return pilot_act(pilot, http_exchange_refuse(exchange, io));
		if (pilot->reply != NULL)
			return pilot_act(pilot, http_exchange_reply(exchange, io, pilot->reply));
		event = http_exchange_route(exchange, io, pilot->route, pilot->retries > 0);
		if (event == HTTP_EVENT_NONE && !pilot->holds)
			event = http_exchange_connected(exchange, io);
		pilot->asked = event == HTTP_EVENT_NONE;
		return pilot_act(pilot, event);
	case HTTP_EVENT_RESPONSE:
		if (io->status != 503 || !tries || !http_exchange_can_retry(exchange))
			return pilot_act(pilot, http_exchange_respond(exchange, io, pilot->service_time));
		pilot->attempts++;
		http_exchange_retry(exchange);
		pilot->asked = true;
		return pilot_act(pilot, http_exchange_connected(exchange, io));
	case HTTP_EVENT_FAILURE:
		if (!tries || !http_exchange_can_retry(exchange))
			return pilot_act(pilot, http_exchange_fail(exchange, io, io->failure, NULL, pilot->retries > 0));
		pilot->attempts++;
		http_exchange_retry(exchange);
		pilot->asked = true;
		return pilot_act(pilot, http_exchange_connected(exchange, io));
	case HTTP_EVENT_END:
		pilot_log(pilot);
		pilot_look_up(pilot);
		pilot->client_closed = http_exchange_outcome(exchange)->closes_client;
		pilot->client_reset = http_exchange_outcome(exchange)->resets_client;
		pilot->upstream_reusable = http_exchange_outcome(exchange)->upstream_is_reusable;
		pilot->asked = false;
		pilot_flush(pilot);
		http_exchange_next(exchange);
		return true;
	case HTTP_EVENT_NO_MEMORY:
		pilot->no_memory = true;
		return false;
	default:
		return false;
	}
}

/* Gives the exchange what it takes of the client's bytes. */
static inline void pilot_go_on(struct pilot *pilot)
{
	bool goes_on = true;

	while (goes_on && pilot->input.size > 0 && !pilot->no_memory) {
		size_t size = pilot->input.size;
		char *copy = malloc(size);
		size_t taken;

		if (copy == NULL)
			abort();
		memcpy(copy, pilot->input.data, size);
		goes_on = pilot_act(pilot, http_exchange_feed_client(&pilot->exchange, pilot->io, copy, size, &taken));
		pilot_flush(pilot);
		free(copy);
		memmove(pilot->input.data, pilot->input.data + taken, size - taken);
		pilot->input.size -= taken;
		goes_on = goes_on || taken > 0;
	}
}

static inline void pilot_client(struct pilot *pilot, const char *data, size_t size)
{
	pilot_text_add(&pilot->input, data, size);
	pilot_go_on(pilot);
}

static inline void pilot_client_ends(struct pilot *pilot)
{
	(void)pilot_act(pilot, http_exchange_end_client(&pilot->exchange, pilot->io));
	pilot_flush(pilot);
}

/* Returns how much of it nobody wanted. */
static inline size_t pilot_upstream(struct pilot *pilot, const char *data, size_t size)
{
	unsigned attempts = pilot->attempts;
	bool goes_on = size > 0;

	while (goes_on && size > 0 && !pilot->no_memory) {
		char *copy = malloc(size);
		size_t taken;

		if (copy == NULL)
			abort();
		memcpy(copy, data, size);
		pilot->asked = false;
		(void)pilot_act(pilot, http_exchange_feed_upstream(&pilot->exchange, pilot->io, copy, size, &taken));
		pilot_flush(pilot);
		free(copy);
		data += taken;
		size -= taken;
		goes_on = taken > 0 && attempts == pilot->attempts && http_exchange_outcome(&pilot->exchange) != NULL;
	}
	pilot_go_on(pilot);
	return size;
}

static inline void pilot_upstream_ends(struct pilot *pilot, bool reset)
{
	(void)pilot_act(pilot, http_exchange_end_upstream(&pilot->exchange, pilot->io, reset));
	pilot_flush(pilot);
	pilot_go_on(pilot);
}

/* Whether the origin has a whole request before it. */
static inline bool pilot_asks(const struct pilot *pilot)
{
	return pilot->asked && http_exchange_has_request(&pilot->exchange);
}

/* All of a client's bytes, and a response to each whole request, in pieces of these sizes. */
static inline void pilot_fly(struct pilot *pilot, const char *client, size_t client_size, size_t client_piece,
	const char *response, size_t response_size, size_t response_piece, bool closes)
{
	for (size_t i = 0; i < client_size || pilot_asks(pilot);) {
		if (pilot_asks(pilot) && response_size > 0) {
			unsigned attempts = pilot->attempts;
			unsigned requests = pilot->requests;

			for (size_t j = 0; j < response_size && attempts == pilot->attempts && requests == pilot->requests;
				j += response_piece)
				(void)pilot_upstream(pilot, response + j,
					response_size - j < response_piece ? response_size - j : response_piece);
			if (closes && attempts == pilot->attempts && requests == pilot->requests &&
				!http_exchange_is_tunnel(&pilot->exchange))
				pilot_upstream_ends(pilot, false);
			if (attempts == pilot->attempts && requests == pilot->requests)
				pilot->asked = false;
			continue;
		}
		if (i >= client_size)
			break;
		pilot_client(pilot, client + i, client_size - i < client_piece ? client_size - i : client_piece);
		i += client_piece;
	}
}

#endif
