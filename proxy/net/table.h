/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker's connections: places that keep their address, grown by chunks, found by index and generation.
 */
#ifndef WEIR_PROXY_TABLE_H
#define WEIR_PROXY_TABLE_H

#include "proxy/net/connection.h"

#include <stddef.h>
#include <stdint.h>

/* Connections that one allocation holds, and chunks at most: a million connections. */
#define TABLE_CHUNK_SIZE 64u
#define TABLE_CHUNK_MAX 16384u

struct table {
	struct connection **chunks; /* owned */
	size_t chunk_count;
	uint32_t first_free; /* index, or TABLE_NONE */
	size_t active;
};

#define TABLE_NONE UINT32_MAX

/* Starts an empty table. */
void table_init(struct table *table);

/* Takes a free place. Returns NULL when memory is out, or the table full. */
struct connection *table_take(struct table *table);

/* Gives a place back, after connection_release(). */
void table_give(struct table *table, struct connection *connection);

/* The connection at an index, whatever it is; NULL beyond the end. To walk over all of them. */
struct connection *table_at(const struct table *table, size_t index);

/* Frees the memory. */
void table_free(struct table *table);

#endif
