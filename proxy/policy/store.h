/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of resources, and what holds of them. Pure: it is given the files' contents.
 *
 * A resource that is refused leaves its last good version in force, and a document that cannot be read at all leaves
 * everything in force that its file said before and does not say any more. A file that is removed withdraws its
 * resources. Of two resources of one kind, namespace and name, the one that was there first holds.
 */
#ifndef WEIR_POLICY_STORE_H
#define WEIR_POLICY_STORE_H

#include "proxy/policy/batch.h"

#include <stdint.h>

/* Files of one store. */
#define STORE_FILE_MAX 20000u

struct store_item {
	const struct resource *resource;
	struct batch *batch; /* a reference */
	uint64_t since;      /* the store's count when the resource first was in this file */
};

struct store_file {
	char *path;
	struct store_item *items; /* by kind, namespace and name */
	size_t count;
};

struct store {
	char *namespace_;
	struct store_file *files; /* by path */
	size_t count;
	size_t capacity;
	uint64_t sequence;
};

/* Starts an empty store. `namespace_` is that of resources that do not say. Returns 0 or -ENOMEM. */
int store_init(struct store *store, const char *namespace_);

/* Frees everything that no snapshot refers to. */
void store_free(struct store *store);

/*
 * Takes a file's new content. What is wrong with it is reported; that is no failure. Returns 0, or -ENOMEM or -E2BIG, and
 * then the store is as before.
 */
int store_put(struct store *store, const char *path, const char *text, size_t length, struct report *report);

/* Withdraws a file. Returns whether it was there. */
bool store_remove(struct store *store, const char *path);

/*
 * The resources that hold, the oldest first; duplicates are reported. The array is the caller's, the items' references
 * are the store's. Returns 0 or -ENOMEM.
 */
int store_collect(const struct store *store, struct report *report, const struct store_item ***ret_items,
	size_t *ret_count);

#endif
