/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What host_index.h and prefix_index.h have in common: keys, each with a port, found by their hash. The entries are an
 * array in the order of adding; a table of their numbers, at most half full, is what is looked into.
 */
#ifndef WEIR_POLICY_KEY_INDEX_H
#define WEIR_POLICY_KEY_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct key_index_entry {
	const void *key; /* borrowed */
	void *value;
	uint32_t hash;
	uint16_t port;
	uint8_t kind; /* of the key: two of different kinds are never the same */
};

/* {0} is an empty index. */
struct key_index {
	struct key_index_entry *entries; /* owned */
	uint32_t *slots;                 /* owned; the entry's number from 1, or 0 */
	size_t count;
	size_t capacity;
	size_t slot_count; /* a power of two, or 0 */
};

/* What is looked for. */
struct key_index_wanted {
	const void *key;
	size_t length; /* of the key, if the comparison wants to know */
	uint32_t hash;
	uint16_t port;
	uint8_t kind;
};

/* Whether an entry's key, of the same kind, is the wanted one. */
typedef bool key_index_equal(const void *key, const struct key_index_wanted *wanted);

/* Frees the index, not the values. */
void key_index_free(struct key_index *index);

/* Adds a key that is not there yet. Returns 0 or -ENOMEM. */
int key_index_add(struct key_index *index, const struct key_index_wanted *key, void *value);

/* Gives back the room that growing has left, when everything has been added. */
void key_index_fit(struct key_index *index);

/* The value of a key, or NULL. Adds the slots that were looked at to `*probes`. */
void *key_index_find(const struct key_index *index, const struct key_index_wanted *wanted, key_index_equal *equal,
	unsigned *probes);

/* Bytes of memory that the index takes. */
size_t key_index_size(const struct key_index *index);

#endif
