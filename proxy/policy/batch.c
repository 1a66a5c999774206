/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/policy/batch.h"

#include "proxy/policy/array.h"
#include "proxy/policy/yaml.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static int add_resource(struct batch *batch, const struct resource *resource)
{
	struct resource *resources = array_room(batch->resources, batch->count, &batch->capacity, sizeof *resources);

	if (resources == NULL)
		return -ENOMEM;
	batch->resources = resources;
	resources[batch->count++] = *resource;
	return 0;
}

static int read_one(struct batch *batch, struct reader *r, const struct node *root)
{
	struct resource resource;

	if (batch->count == BATCH_RESOURCE_MAX) {
		reader_error(r, "", "more than %u resources in one file", BATCH_RESOURCE_MAX);
		batch->has_unreadable = true;
		return 0;
	}
	r->failed = false;
	switch (resource_read(r, root, &resource)) {
	case RESOURCE_OTHER:
		return 0;
	case RESOURCE_REFUSED:
		if (resource.name == NULL || *resource.name == '\0') {
			batch->has_unreadable = true;
			return 0;
		}
		break;
	case RESOURCE_READ:
		break;
	}
	return add_resource(batch, &resource);
}

/* A document is one resource, or a list of them. */
static int read_root(struct batch *batch, struct reader *r, const struct node *root)
{
	const struct node *items = resource_list_items(root);
	int rc = 0;

	if (items == NULL)
		return read_one(batch, r, root);
	for (const struct node_item *item = items->first; item != NULL && rc == 0; item = item->next)
		rc = read_one(batch, r, item->value);
	return rc;
}

static int read_document(struct batch *batch, struct reader *r, const struct yaml_document *document)
{
	struct report_place place = {.file = batch->path, .line = document->line};
	struct arena scratch = {.pieces = NULL};
	struct node *root = NULL;
	struct error e;
	int rc = yaml_read(document, &scratch, &root, &place.line, &e);

	if (rc < 0 && rc != -ENOMEM) {
		report_add(r->report, REPORT_ERROR, &place, "%s", e.text);
		batch->has_unreadable = true;
		rc = 0;
	} else if (rc == 0 && root != NULL && !node_is_null(root)) {
		rc = read_root(batch, r, root);
	}
	arena_free(&scratch);
	return rc;
}

struct batch *batch_read(const char *path, const char *text, size_t length, const char *namespace_, struct report *report)
{
	struct yaml_cursor cursor = yaml_begin(text, length);
	struct batch *batch = calloc(1, sizeof *batch);
	struct yaml_document document;
	struct reader r = {.report = report, .file = path, .namespace_ = namespace_};
	int rc = 0;

	if (batch == NULL)
		return NULL;
	atomic_init(&batch->references, 1);
	batch->path = arena_copy(&batch->arena, path, strlen(path));
	r.arena = &batch->arena;
	while (rc == 0 && batch->path != NULL && yaml_next(&cursor, &document))
		rc = read_document(batch, &r, &document);
	batch->resources = array_fit(batch->resources, batch->count, &batch->capacity, sizeof *batch->resources);
	/* What could not be read for want of memory was not refused for what it says. */
	if (rc < 0 || batch->path == NULL || r.no_memory) {
		batch_unref(batch);
		return NULL;
	}
	return batch;
}

struct batch *batch_ref(struct batch *batch)
{
	atomic_fetch_add_explicit(&batch->references, 1, memory_order_relaxed);
	return batch;
}

void batch_unref(struct batch *batch)
{
	if (batch == NULL || atomic_fetch_sub_explicit(&batch->references, 1, memory_order_acq_rel) > 1)
		return;
	arena_free(&batch->arena);
	free(batch->resources);
	free(batch);
}
