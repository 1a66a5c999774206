/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory of resources, and what changed in it. With watch.h, the only part of the policy that reads files.
 *
 * Files are those that end in .yaml, .yml or .json and do not begin with a dot; links are followed. A ConfigMap's volume
 * is such a directory: its names are links through "..data", which is exchanged whole.
 */
#ifndef WEIR_POLICY_LOADER_H
#define WEIR_POLICY_LOADER_H

#include "proxy/policy/store.h"
#include "proxy/policy/watch.h"
#include "redirect/base/error.h"

struct loader_file {
	char *name;
	struct watch watch;
	bool present; /* in the scan that is going on */
};

struct loader {
	char *directory;
	struct loader_file *files; /* by name */
	size_t count;
	size_t capacity;
};

/* Starts with a directory, of which nothing is read yet. Returns 0 or -ENOMEM. */
int loader_init(struct loader *loader, const char *directory);

/* Frees what the loader knows. */
void loader_free(struct loader *loader);

/*
 * Brings the store up to what the directory holds now. Returns 1 when anything was put or removed, 0, or -errno when the
 * directory cannot be read, or memory is out; the store then has what it had, or a part of the news. What is wrong with
 * files is reported, once.
 */
int loader_scan(struct loader *loader, struct store *store, struct report *report, struct error *e);

#endif
