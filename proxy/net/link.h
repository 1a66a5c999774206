/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An upstream's connection beside its socket: what goes with it from request to request.
 */
#ifndef WEIR_PROXY_LINK_H
#define WEIR_PROXY_LINK_H

#include "proxy/net/circuit.h"
#include "proxy/tls/stream.h"
#include "redirect/base/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What makes two connections the same: a cluster's name, in whatever version of the configuration, and an address. */
struct link_key {
	uint64_t cluster; /* a hash; 0: PassthroughCluster */
	struct endpoint target;
};

struct queue;

/* All zero: there is none. */
struct link {
	struct link_key key;
	struct tls_stream *tls;     /* owned; NULL: it is spoken to in the clear */
	struct queue *queue;        /* counts it; NULL: its cluster has no circuit */
	struct circuit_share share; /* of that circuit */
	int64_t idle_time; /* milliseconds that it may be idle */
	int64_t ends_at;   /* monotonic milliseconds: when it is too old for another request */
	uint32_t left;     /* requests that it may still carry */
};

/* The key of a cluster's name (NULL: PassthroughCluster) and an address. */
struct link_key link_key(const char *cluster_name, const struct endpoint *target);
bool link_key_equal(const struct link_key *a, const struct link_key *b);

/* Which of so many lists a key belongs to; a power of two. */
size_t link_key_list(const struct link_key *key, size_t lists);

/* Whether it may carry another request, by what it has carried and its age. */
bool link_is_usable(const struct link *link, int64_t now);

/* Its socket is closed, or there never was one: frees what there is, and is all zero then. */
void link_close(struct link *link);

#endif
