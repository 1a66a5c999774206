/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of headers that a route asks for. As in Envoy, first what is removed or set goes from where it is, then what
 * is set comes behind, then what is added, each in the order of the list.
 */
#ifndef WEIR_PROXY_HTTP_OPERATIONS_H
#define WEIR_PROXY_HTTP_OPERATIONS_H

#include "proxy/http/writer.h"

enum http_operation_kind { HTTP_REMOVE, HTTP_SET, HTTP_ADD };

struct http_operation {
	enum http_operation_kind kind;
	struct http_text name;
	struct http_text value; /* none with HTTP_REMOVE */
};

/* Lives as long as whoever was given it says. */
struct http_operations {
	const struct http_operation *items;
	size_t count;
};

/* Which fields of a head are not passed on, a bit for each place. */
struct http_dropped {
	uint64_t bits[(HTTP_HEADERS_MAX + 63) / 64];
};

static inline void http_dropped_add(struct http_dropped *dropped, unsigned place)
{
	dropped->bits[place / 64] |= (uint64_t)1 << (place % 64);
}

static inline bool http_dropped_has(const struct http_dropped *dropped, unsigned place)
{
	return (dropped->bits[place / 64] >> (place % 64) & 1) != 0;
}

/* Drops all fields of a name. */
void http_dropped_add_name(struct http_dropped *dropped, const struct http_head *head, struct http_text name);

/* Drops the fields that the operations remove or set. */
void http_operations_drop(const struct http_operations *operations, const struct http_head *head,
	struct http_dropped *dropped);

/* Whether the operations remove or set a header of this name. */
bool http_operations_take(const struct http_operations *operations, struct http_text name);

/* Whether they set or add one; `operations` may be NULL. */
bool http_operations_give(const struct http_operations *operations, struct http_text name);

/* Bytes that the operations can add to a head. */
size_t http_operations_bound(const struct http_operations *operations);

#endif
