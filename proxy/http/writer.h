/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes text into memory of a given size. What does not fit fails, once and for all, and writes nothing more.
 */
#ifndef WEIR_PROXY_HTTP_WRITER_H
#define WEIR_PROXY_HTTP_WRITER_H

#include "proxy/http/head.h"

struct http_writer {
	char *data;
	size_t size;
	size_t capacity;
	bool failed;
};

/* Makes room at the end. Returns it, or NULL. */
static inline char *http_writer_extend(struct http_writer *to, size_t size)
{
	char *room = to->data + to->size;

	if (to->failed || size > to->capacity - to->size) {
		to->failed = true;
		return NULL;
	}
	to->size += size;
	return room;
}

static inline void http_writer_put(struct http_writer *to, struct http_text text)
{
	char *room = http_writer_extend(to, text.size);

	if (room != NULL && text.size > 0)
		memcpy(room, text.data, text.size);
}

static inline void http_writer_put_byte(struct http_writer *to, char c)
{
	char *room = http_writer_extend(to, 1);

	if (room != NULL)
		*room = c;
}

void http_writer_put_number(struct http_writer *to, uint64_t number);

/* In lower case, for a name. */
void http_writer_put_lower(struct http_writer *to, struct http_text name);

/* A field's value, without the ends of lines in one that is folded. */
void http_writer_put_value(struct http_writer *to, const struct http_field *field);

/* "name: value" and the end of the line, the name in lower case. */
void http_writer_put_header(struct http_writer *to, struct http_text name, struct http_text value);

/*
 * The field at a place of a head, its name in lower case. With `joins` (an enum http_name_flags), all fields of a name
 * that has this flag are one, at the first one's place, and nothing at the others'.
 */
void http_writer_put_field(struct http_writer *to, const struct http_head *head, unsigned place, unsigned joins);

#endif
