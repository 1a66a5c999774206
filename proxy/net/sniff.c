/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/sniff.h"

#include "proxy/net/sniff_http.h"
#include "proxy/net/sniff_tls.h"

#include <stdlib.h>
#include <string.h>

/* What a client sent may hold NUL bytes; a name in the log ends before one. Without memory there is no name. */
static char *copy(const uint8_t *text, size_t length)
{
	return text != NULL ? strndup((const char *)text, length) : NULL;
}

static void name_tls(const struct sniff_tls *hello, struct facts *facts)
{
	facts->protocol = FACTS_TLS;
	facts->has_ech = hello->has_ech;
	facts->names = hello->name[0] != '\0' ? calloc(1, sizeof *facts->names) : NULL;
	if (facts->names != NULL)
		facts->names->server_name = strdup(hello->name);
}

static void name_http(const struct sniff_http *head, struct facts *facts)
{
	facts->protocol = FACTS_HTTP;
	facts->names = calloc(1, sizeof *facts->names);
	if (facts->names == NULL)
		return;
	facts->names->method = copy(head->method, head->method_length);
	facts->names->path = copy(head->target, head->target_length);
	facts->names->version = copy(head->version, head->version_length);
	facts->names->host = copy(head->host, head->host_length);
}

/*
 * Tells what the bytes are. SNIFF_MORE, with how many more in `*ret_missing`, where that is open; but when these are the
 * `last` bytes, what is known of them has to do.
 */
static enum sniff_result look(const uint8_t *data, size_t size, bool last, struct facts *facts, size_t *ret_missing)
{
	struct sniff_tls hello;
	struct sniff_http head = {.method = NULL};
	enum sniff_result tls = sniff_tls(data, size, &hello);
	enum sniff_result http = tls == SNIFF_NOT ? sniff_http(data, size, &head) : SNIFF_NOT;
	enum sniff_result http2 = tls == SNIFF_NOT ? sniff_http2(data, size) : SNIFF_NOT;

	if (tls == SNIFF_MATCH || (tls == SNIFF_MORE && last && hello.name[0] != '\0'))
		name_tls(&hello, facts);
	else if (http == SNIFF_MATCH || (http == SNIFF_MORE && last && head.method != NULL))
		name_http(&head, facts);
	else if (http2 == SNIFF_MATCH)
		facts->protocol = FACTS_HTTP2;
	else if (tls == SNIFF_MORE || http == SNIFF_MORE || http2 == SNIFF_MORE) {
		*ret_missing = tls == SNIFF_MORE ? hello.missing : 1;
		return last ? SNIFF_NOT : SNIFF_MORE;
	}
	return SNIFF_MATCH;
}

/* Keeps the bytes for the next time. Returns false when there is no memory. */
static bool keep(struct sniff *sniff, const uint8_t *data, size_t size)
{
	if (sniff->size + size > sniff->capacity) {
		size_t capacity = (sniff->size + size) * 2;
		uint8_t *larger = realloc(sniff->data, capacity);

		if (larger == NULL)
			return false;
		sniff->data = larger;
		sniff->capacity = (uint32_t)capacity;
	}
	memcpy(sniff->data + sniff->size, data, size);
	sniff->size += (uint32_t)size;
	return true;
}

static void forget(struct sniff *sniff)
{
	free(sniff->data);
	*sniff = (struct sniff){.done = true};
}

void sniff_feed(struct sniff *sniff, const uint8_t *data, size_t size, struct facts *facts)
{
	bool kept = sniff->size > 0;
	bool last;
	size_t missing = 0;

	if (sniff->done || size == 0)
		return;
	if (size > SNIFF_SIZE_MAX - sniff->size)
		size = SNIFF_SIZE_MAX - sniff->size;
	if (kept && !keep(sniff, data, size)) {
		sniff_end(sniff, facts);
		return;
	}
	if (kept) {
		data = sniff->data;
		size = sniff->size;
	}
	last = size == SNIFF_SIZE_MAX;
	/* A hello in thousands of tiny pieces is not read from its start for each of them. */
	if (size < sniff->wanted && !last)
		return;
	if (look(data, size, last, facts, &missing) != SNIFF_MORE || (!kept && !keep(sniff, data, size)))
		forget(sniff);
	else
		sniff->wanted = (uint32_t)(size + missing);
}

void sniff_end(struct sniff *sniff, struct facts *facts)
{
	size_t missing;

	if (!sniff->done && sniff->size > 0)
		(void)look(sniff->data, sniff->size, true, facts, &missing);
	forget(sniff);
}
