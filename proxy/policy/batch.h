/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The resources that were read out of one file at one time. They share memory, which lives as long as anybody, in any
 * thread, refers to it: the store, and every snapshot that was made of it.
 */
#ifndef WEIR_POLICY_BATCH_H
#define WEIR_POLICY_BATCH_H

#include "proxy/policy/report.h"
#include "proxy/policy/resource.h"

/* Resources of one file. */
#define BATCH_RESOURCE_MAX 100000u

struct batch {
	struct arena arena;
	const char *path;
	struct resource *resources; /* in the arena; in the file's order */
	size_t count;
	bool has_unreadable; /* a document could not be read so far that its name is known */
	_Atomic unsigned references;
};

/*
 * Reads a file's text. `namespace_` is that of resources that do not say. Returns NULL only when memory is out; the caller
 * owns one reference.
 */
struct batch *batch_read(const char *path, const char *text, size_t length, const char *namespace_, struct report *report);

/* Takes a reference more. Returns the batch. */
struct batch *batch_ref(struct batch *batch);

/* Gives a reference back; NULL is allowed. */
void batch_unref(struct batch *batch);

#endif
