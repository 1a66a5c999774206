/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker's idle connections to upstreams, for the next request to the same cluster and address.
 */
#ifndef WEIR_PROXY_POOL_H
#define WEIR_PROXY_POOL_H

#include "proxy/net/link.h"
#include "proxy/net/side.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Idle connections of one worker; one more closes the oldest. */
#define POOL_SIZE 512u

/* Lists that they are spread over, by their keys; a power of two. */
#define POOL_LISTS 64u

struct pool_entry {
	struct side side; /* fd -1: free */
	struct link link;
	struct endpoint local;
	int64_t since;
	uint32_t generation;
	struct pool_entry *next; /* of its list, or of the free ones */
	struct pool_entry *previous;
};

struct pool {
	struct pool_entry *entries; /* owned; POOL_SIZE of them, once there is one */
	struct pool_entry *free;
	struct pool_entry *lists[POOL_LISTS]; /* each with the latest first */
	size_t count;
};

/*
 * Takes an idle connection over, the one that was used last, which the caller watches anew. Returns false when there is
 * none.
 */
bool pool_take(struct pool *pool, const struct link_key *key, int64_t now, struct side *ret_side, struct link *ret_link,
	struct endpoint *ret_local);

/*
 * Gives a connection into the pool. Returns its place, under which it is to be watched for whatever comes; or -1, and the
 * connection is closed.
 */
int pool_give(struct pool *pool, const struct side *side, const struct link *link, const struct endpoint *local,
	int64_t now);

/* The generation of a place, for the reference of its events. */
uint32_t pool_generation(const struct pool *pool, size_t place);

/* Something came on an idle connection: its end, or what nobody asked for. It is closed. */
void pool_event(struct pool *pool, size_t place, uint32_t generation);

/* Closes those that have been idle too long, or are too old; with `now` INT64_MAX all of them. */
void pool_check_time(struct pool *pool, int64_t now);

/* Closes and frees everything. */
void pool_free(struct pool *pool);

#endif
