/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names with their answers, to be found by the name and by an address.
 */
#ifndef WEIR_PROXY_INDEX_H
#define WEIR_PROXY_INDEX_H

#include "proxy/dns/answer.h"
#include "proxy/dns/hash.h"
#include "redirect/base/address.h"

#include <stddef.h>
#include <stdint.h>

struct index_link {
	struct index_link *next; /* in its bucket */
	struct index_name *owner;
	uint64_t hash;
};

/* One name; part of its owner. */
struct index_name {
	const struct answer *answer; /* owned; never NULL */
	struct index_link self;
	struct index_link *links; /* owned: one for each address */
	size_t link_count;
};

struct index_table {
	struct index_link **buckets; /* owned */
	size_t bucket_count;         /* a power of two */
	size_t count;
};

struct index {
	struct hash_key key;
	struct index_table names;
	struct index_table addresses;
};

/* Starts with nothing in it. Returns 0 or -errno. */
int index_init(struct index *index);

/* Frees the index, not what is in it. */
void index_free(struct index *index);

/* Takes a name in, whose answer (with a reference that is now the index's) has no address yet. */
void index_add(struct index *index, struct index_name *name, const struct answer *answer);

/* Takes a name out, and frees what it owns. */
void index_remove(struct index *index, struct index_name *name);

/* The links that an answer needs, for index_replace(); NULL: no memory, or no address. */
struct index_link *index_links(const struct index *index, struct index_name *name, const struct answer *answer);

/* Gives a name another answer, with its links. The caller gets the old ones in their place, and releases them. */
void index_replace(struct index *index, struct index_name *name, const struct answer **answer,
	struct index_link **links);

/* Returns NULL when the name is not there. */
struct index_name *index_find(const struct index *index, const char *text);

/* The answers with an address: at most `max`. Returns how many. They are the index's own. */
size_t index_find_address(const struct index *index, const struct address *address, const struct answer **out,
	size_t max);

#endif
