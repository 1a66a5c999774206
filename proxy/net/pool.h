/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker's idle connections to upstreams, for the next request to the same cluster and address.
 */
#ifndef WEIR_PROXY_POOL_H
#define WEIR_PROXY_POOL_H

#include "proxy/net/side.h"
#include "proxy/tls/stream.h"
#include "redirect/base/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Idle connections of one worker; one more closes the oldest. */
#define POOL_SIZE 512u

/* Milliseconds that one may be idle. */
#define POOL_IDLE_TIME (300 * 1000)

/* What makes two connections the same: a cluster's name, in whatever version of the configuration, and an address. */
struct pool_key {
	uint64_t cluster; /* a hash; 0: PassthroughCluster */
	struct endpoint target;
};

struct pool_entry {
	struct side side; /* fd -1: free */
	struct tls_stream *tls; /* owned; NULL: none */
	struct pool_key key;
	struct endpoint local;
	int64_t since;
	uint32_t generation;
};

struct pool {
	struct pool_entry *entries; /* owned; POOL_SIZE of them, once there is one */
	size_t count;
};

/* The key of a cluster's name (NULL: PassthroughCluster) and an address. */
struct pool_key pool_key(const char *cluster_name, const struct endpoint *target);
bool pool_key_equal(const struct pool_key *a, const struct pool_key *b);

/*
 * Takes an idle connection over, the one that was used last, which the caller watches anew. Returns false when there is
 * none.
 */
bool pool_take(struct pool *pool, const struct pool_key *key, struct side *ret_side, struct tls_stream **ret_tls,
	struct endpoint *ret_local);

/*
 * Gives a connection into the pool. Returns its place, under which it is to be watched for whatever comes; or -1, and the
 * connection is closed.
 */
int pool_give(struct pool *pool, const struct pool_key *key, const struct side *side, struct tls_stream *tls,
	const struct endpoint *local, int64_t now);

/* The generation of a place, for the reference of its events. */
uint32_t pool_generation(const struct pool *pool, size_t place);

/* Something came on an idle connection: its end, or what nobody asked for. It is closed. */
void pool_event(struct pool *pool, size_t place, uint32_t generation);

/* Closes those that have been idle too long; with `now` INT64_MAX all of them. */
void pool_check_time(struct pool *pool, int64_t now);

/* Closes and frees everything. */
void pool_free(struct pool *pool);

#endif
