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

static enum sniff_result try_tls(const uint8_t *data, size_t size, struct facts *facts)
{
	char name[SNIFF_TLS_NAME_SIZE];
	enum sniff_result result = sniff_tls(data, size, name);

	if (result != SNIFF_MATCH)
		return result;
	facts->protocol = FACTS_TLS;
	facts->names = name[0] != '\0' ? calloc(1, sizeof *facts->names) : NULL;
	if (facts->names != NULL)
		facts->names->server_name = strdup(name);
	return result;
}

static enum sniff_result try_http(const uint8_t *data, size_t size, struct facts *facts)
{
	struct sniff_http head;
	enum sniff_result result = sniff_http(data, size, &head);

	/* Of a head that is too long, what came before is known all the same. */
	if (result == SNIFF_MORE && size >= SNIFF_HTTP_HEAD_MAX && head.method != NULL)
		result = SNIFF_MATCH;
	if (result != SNIFF_MATCH)
		return result;
	facts->protocol = FACTS_HTTP;
	facts->names = calloc(1, sizeof *facts->names);
	if (facts->names != NULL) {
		facts->names->method = copy(head.method, head.method_length);
		facts->names->path = copy(head.target, head.target_length);
		facts->names->version = copy(head.version, head.version_length);
		facts->names->host = copy(head.host, head.host_length);
	}
	return result;
}

/* Keeps the bytes for the next time. Returns false when there are too many, or no memory. */
static bool keep(struct sniff *sniff, const uint8_t *data, size_t size)
{
	if (sniff->size + size > sniff->capacity) {
		size_t capacity = (sniff->size + size) * 2;
		uint8_t *larger = sniff->size + size <= SNIFF_SIZE_MAX ? realloc(sniff->data, capacity) : NULL;

		if (larger == NULL)
			return false;
		sniff->data = larger;
		sniff->capacity = capacity;
	}
	memcpy(sniff->data + sniff->size, data, size);
	sniff->size += size;
	return true;
}

void sniff_feed(struct sniff *sniff, const uint8_t *data, size_t size, struct facts *facts)
{
	bool kept = sniff->size > 0;

	if (sniff->done || size == 0)
		return;
	if (size > SNIFF_SIZE_MAX - sniff->size)
		size = SNIFF_SIZE_MAX - sniff->size;
	if (kept && !keep(sniff, data, size)) {
		sniff_end(sniff);
		return;
	}
	if (kept) {
		data = sniff->data;
		size = sniff->size;
	}
	if ((try_tls(data, size, facts) == SNIFF_MORE || try_http(data, size, facts) == SNIFF_MORE) &&
		size < SNIFF_SIZE_MAX && (kept || keep(sniff, data, size)))
		return;
	sniff_end(sniff);
}

void sniff_end(struct sniff *sniff)
{
	free(sniff->data);
	*sniff = (struct sniff){.done = true};
}
