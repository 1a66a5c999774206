/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http/partial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Bytes that the memory begins with. */
#define CAPACITY_START 1024u

/* Whether a head's last line is there, behind the first `from` bytes. */
static bool has_empty_line(const struct http_partial *partial, size_t from)
{
	const char *start = partial->data + (from > 2 ? from - 2 : 0);
	size_t size = (size_t)(partial->data + partial->size - start);

	return memmem(start, size, "\n\r\n", 3) != NULL || memmem(start, size, "\n\n", 2) != NULL;
}

static int make_room(struct http_partial *partial, size_t needed)
{
	size_t capacity = partial->capacity > 0 ? partial->capacity : CAPACITY_START;
	char *larger;

	if (needed <= partial->capacity)
		return 0;
	while (capacity < needed)
		capacity *= 2;
	larger = realloc(partial->data, capacity);
	if (larger == NULL)
		return -ENOMEM;
	partial->data = larger;
	partial->capacity = (uint32_t)capacity;
	return 0;
}

int http_partial_add(struct http_partial *partial, const char *data, size_t size, size_t most, size_t *ret_added,
	bool *ret_worth)
{
	size_t before = partial->size;
	int rc;

	size = size < most - before ? size : most - before;
	rc = make_room(partial, before + size);
	if (rc < 0)
		return rc;
	memcpy(partial->data + before, data, size);
	partial->size += (uint32_t)size;
	*ret_added = size;
	*ret_worth = partial->size >= 2 * partial->tried || partial->size == most || has_empty_line(partial, before);
	if (*ret_worth)
		partial->tried = partial->size;
	return 0;
}

void http_partial_forget(struct http_partial *partial)
{
	free(partial->data);
	*partial = (struct http_partial){.data = NULL};
}
