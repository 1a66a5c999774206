/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts and wildcards, each with a port, and what belongs to them. Looking up a name costs a probe for each of its
 * labels, however many hosts there are.
 */
#ifndef WEIR_POLICY_HOST_INDEX_H
#define WEIR_POLICY_HOST_INDEX_H

#include "proxy/policy/key_index.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* {0} is an empty index. */
struct host_index {
	struct key_index keys; /* hosts in small letters, and "*" in front of a wildcard; borrowed */
	bool has_partial;      /* a wildcard that does not end with its label, as "*x.example.com" */
};

/* Frees the index, not the values. */
void host_index_free(struct host_index *index);

/* Adds a host that is not there yet. Returns 0 or -ENOMEM. */
int host_index_add(struct host_index *index, const char *host, uint16_t port, void *value);

/* The value of exactly this host, or of exactly this wildcard; NULL when there is none. */
void *host_index_get(const struct host_index *index, const char *host, uint16_t port);

/*
 * The value of the host that a name is, or else of the longest wildcard that it falls under; NULL when there is none. The
 * name is in small letters, without a dot at the end. Adds the slots that were looked at to `*probes`.
 */
void *host_index_find(const struct host_index *index, const char *name, size_t length, uint16_t port, unsigned *probes);

/* The same for a host that may itself be a wildcard: what stands for all that it stands for. */
void *host_index_cover(const struct host_index *index, const char *host, uint16_t port);

#endif
