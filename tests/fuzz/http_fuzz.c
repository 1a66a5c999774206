/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client's bytes and an origin's, whatever they are. An origin that has no more to say ends the connection. The first bytes say how both are cut into pieces and what else
 * happens; cutting makes no difference. What comes out, on both sides, is messages that our own strict reader takes, each
 * with one length; the log tells as many as there are; and no memory is held beyond its bounds.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/http_pilot.h"

#include <string.h>

/* The flag of the third byte. */
#define RETRIES 1u

struct flight {
	const char *client;
	size_t client_size;
	const char *origin;
	size_t origin_size;
	unsigned flags;
};

static struct http_head head;

/* Steps over a body in chunks, whose payload it appends; what is not there yet is no matter. */
static const char *skip_chunks(const char *next, const char *end, struct pilot_text *plain)
{
	while (next < end) {
		char *data;
		size_t size = strtoul(next, &data, 16);

		FUZZ_CHECK(data > next && data + 2 <= end && memcmp(data, "\r\n", 2) == 0);
		data += 2;
		FUZZ_CHECK(size == 0 || size + 2 <= (size_t)(end - data));
		pilot_text_add(plain, data, size);
		FUZZ_CHECK(memcmp(data + size, "\r\n", 2) == 0);
		next = data + size + 2;
		if (size == 0) {
			pilot_text_add(plain, "END", 3);
			return next;
		}
	}
	return next;
}

static const char *skip_body(const char *next, const char *end, const struct http_framing *framing,
	struct pilot_text *plain)
{
	size_t left = (size_t)(end - next);

	if (framing->body == HTTP_BODY_CHUNKED)
		return skip_chunks(next, end, plain);
	if (framing->body == HTTP_BODY_NONE)
		left = 0;
	else if (framing->body == HTTP_BODY_LENGTH && framing->length < left)
		left = (size_t)framing->length;
	pilot_text_add(plain, next, left);
	return next + left;
}

/* What went upstream, with the payload instead of chunks. */
static struct pilot_text read_requests(const struct pilot_text *text)
{
	struct pilot_text plain = {.data = NULL};
	const char *next = text->data;
	const char *end = text->data + text->size;

	pilot_text_add(&plain, "", 0);
	while (next < end) {
		struct http_framing framing;

		/* An attempt that was given up may be followed by another in the middle of its body; behind a tunnel, anything. */
		if (http_head_read_request(&head, next, (size_t)(end - next)) != HTTP_FINE) {
			pilot_text_add(&plain, next, (size_t)(end - next));
			break;
		}
		FUZZ_CHECK(head.regular && head.minor == 1 && http_head_count(&head, HTTP_NAME_HOST) == 1);
		FUZZ_CHECK(head.fields[0].known == HTTP_NAME_HOST);
		FUZZ_CHECK(http_framing_of_request(&head, &framing) == HTTP_FINE);
		pilot_text_add(&plain, next, head.size);
		next = skip_body(next + head.size, end, &framing, &plain);
	}
	return plain;
}

/* What went to the client, in the same way. The log has a line for each response, but for those that are followed. */
static struct pilot_text read_responses(const struct pilot_text *text, const struct pilot_text *log)
{
	struct pilot_text plain = {.data = NULL};
	const char *next = text->data;
	const char *end = text->data + text->size;
	const char *line = log->data;

	pilot_text_add(&plain, "", 0);
	while (next < end) {
		struct http_framing framing;

		FUZZ_CHECK(http_head_read_response(&head, next, (size_t)(end - next)) == HTTP_FINE && head.regular);
		pilot_text_add(&plain, next, head.size);
		next += head.size;
		if (head.status < 200 && head.status != 101)
			continue;
		FUZZ_CHECK(line != NULL && *line == '"');
		FUZZ_CHECK(http_framing_of_response(&head, strncmp(line, "\"HEAD ", 6) == 0, &framing) == HTTP_FINE);
		/* What follows a 101 is either nothing or anything. */
		if (head.status == 101 && strstr(line, "\" 101 - ") != strpbrk(line + 1, "\""))
			framing.body = HTTP_BODY_UNTIL_CLOSE;
		next = skip_body(next, end, &framing, &plain);
		line = strchr(line, '\n') + 1;
	}
	return plain;
}

static void check_bounds(const struct pilot *pilot)
{
	FUZZ_CHECK(!pilot->no_memory);
	FUZZ_CHECK(pilot->exchange.partial.size <= HTTP_REQUEST_HEAD_MAX);
	FUZZ_CHECK(pilot->exchange.now != NULL || pilot->exchange.closing || pilot->input.size == 0);
}

static void fly(struct pilot *pilot, const struct flight *flight, size_t client_piece, size_t origin_piece)
{
	static const struct http_forward route = {.decorator = HTTP_TEXT("h:80/*"), .timeout = 3000};

	pilot_start(pilot, &route);
	pilot->wanted = "x-a";
	pilot->retries = (flight->flags & RETRIES) != 0 ? 2 : 0;
	pilot_fly(pilot, flight->client, flight->client_size, client_piece, flight->origin, flight->origin_size, origin_piece,
		true);
	check_bounds(pilot);
	if (http_exchange_is_tunnel(&pilot->exchange))
		pilot_upstream_ends(pilot, false);
	/* A head that goes wrong is seen now at the latest. */
	pilot_client_ends(pilot);
	(void)pilot_act(pilot, http_exchange_abort(&pilot->exchange));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct flight flight = {.flags = 0};
	struct pilot whole;
	struct pilot cut;
	struct pilot_text whole_plain;
	struct pilot_text cut_plain;

	if (size < 5)
		return 0;
	flight.flags = data[2];
	flight.client = (const char *)data + 5;
	flight.client_size = (size_t)data[3] << 8 | data[4];
	if (flight.client_size > size - 5)
		flight.client_size = size - 5;
	flight.origin = flight.client + flight.client_size;
	flight.origin_size = size - 5 - flight.client_size;
	fly(&whole, &flight, size, size);
	fly(&cut, &flight, 1u + data[0], 1u + data[1]);

	FUZZ_CHECK(strcmp(whole.log.data, cut.log.data) == 0);
	FUZZ_CHECK(whole.client_closed == cut.client_closed && whole.client_reset == cut.client_reset);
	whole_plain = read_responses(&whole.to_client, &whole.log);
	cut_plain = read_responses(&cut.to_client, &cut.log);
	FUZZ_CHECK(whole_plain.size == cut_plain.size && memcmp(whole_plain.data, cut_plain.data, cut_plain.size) == 0);
	free(whole_plain.data);
	free(cut_plain.data);
	/* Of attempts that were given up, more or less may have gone out. */
	if ((flight.flags & RETRIES) == 0) {
		whole_plain = read_requests(&whole.to_upstream);
		cut_plain = read_requests(&cut.to_upstream);
		FUZZ_CHECK(whole_plain.size == cut_plain.size && memcmp(whole_plain.data, cut_plain.data, cut_plain.size) == 0);
		free(whole_plain.data);
		free(cut_plain.data);
	}
	pilot_end(&whole);
	pilot_end(&cut);
	return 0;
}
