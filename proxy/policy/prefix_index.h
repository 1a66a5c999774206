/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses and ranges, each with a port, and what belongs to them. Looking up an address costs a probe for each length
 * of prefix that is in use, however many ranges there are.
 */
#ifndef WEIR_POLICY_PREFIX_INDEX_H
#define WEIR_POLICY_PREFIX_INDEX_H

#include "proxy/policy/key_index.h"
#include "proxy/policy/subnet.h"

#include <stddef.h>

/* {0} is an empty index. */
struct prefix_index {
	struct key_index keys; /* addresses, borrowed; their kind is the length of the prefix */
	uint8_t lengths[SUBNET_BITS_MAX + 1]; /* in use, the longest first */
	size_t length_count;
};

/* Frees the index, not the values. */
void prefix_index_free(struct prefix_index *index);

/*
 * Adds a range that is not there yet: an address, which is borrowed, without bits behind the prefix. Returns 0 or -ENOMEM.
 */
int prefix_index_add(struct prefix_index *index, const struct address *address, uint8_t bits, uint16_t port, void *value);

/* The value of exactly this range, or NULL. */
void *prefix_index_get(const struct prefix_index *index, const struct address *address, uint8_t bits, uint16_t port);

/* The value of the narrowest range that has the address, or NULL. Adds the slots that were looked at to `*probes`. */
void *prefix_index_find(const struct prefix_index *index, const struct address *address, uint16_t port, unsigned *probes);

#endif
