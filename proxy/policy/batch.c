/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/policy/batch.h"

#include "proxy/policy/array.h"
#include "proxy/policy/yaml.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Bytes that most documents' trees fit into, so that what stays of them does not lie between what goes. */
#define TREE_SIZE (16u << 10)

/* A file on its way into a batch. */
struct reading {
	struct batch *batch;
	struct reader reader;
	struct arena scratch;       /* of the document's tree */
	struct resource *resources; /* owned, until there are no more */
	size_t count;
	size_t capacity;
};

static int add_resource(struct reading *reading, const struct resource *resource)
{
	struct resource *resources = array_room(reading->resources, reading->count, &reading->capacity, sizeof *resources);

	if (resources == NULL)
		return -ENOMEM;
	reading->resources = resources;
	resources[reading->count++] = *resource;
	return 0;
}

static int read_one(struct reading *reading, const struct node *root)
{
	struct batch *batch = reading->batch;
	struct resource resource;

	if (reading->count == BATCH_RESOURCE_MAX) {
		reader_error(&reading->reader, "", "more than %u resources in one file", BATCH_RESOURCE_MAX);
		batch->has_unreadable = true;
		return 0;
	}
	reading->reader.failed = false;
	switch (resource_read(&reading->reader, root, &resource)) {
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
	return add_resource(reading, &resource);
}

/* A document is one resource, or a list of them. */
static int read_root(struct reading *reading, const struct node *root)
{
	const struct node *items = resource_list_items(root);
	int rc = 0;

	if (items == NULL)
		return read_one(reading, root);
	for (const struct node_item *item = items->first; item != NULL && rc == 0; item = item->next)
		rc = read_one(reading, item->value);
	return rc;
}

static int read_document(struct reading *reading, const struct yaml_document *document)
{
	struct report_place place = {.file = reading->batch->path, .line = document->line};
	struct node *root = NULL;
	struct error e;
	int rc = yaml_read(document, &reading->scratch, &root, &place.line, &e);

	if (rc < 0 && rc != -ENOMEM) {
		report_add(reading->reader.report, REPORT_ERROR, &place, "%s", e.text);
		reading->batch->has_unreadable = true;
		rc = 0;
	} else if (rc == 0 && root != NULL && !node_is_null(root)) {
		rc = read_root(reading, root);
	}
	arena_clear(&reading->scratch);
	return rc;
}

static int keep_resources(struct batch *batch, const struct reading *reading)
{
	batch->resources = arena_array(&batch->arena, reading->count, sizeof *batch->resources);
	if (batch->resources == NULL)
		return -ENOMEM;
	if (reading->count > 0)
		memcpy(batch->resources, reading->resources, reading->count * sizeof *batch->resources);
	batch->count = reading->count;
	return 0;
}

static int read_documents(struct reading *reading, const char *text, size_t length)
{
	struct yaml_cursor cursor = yaml_begin(text, length);
	struct yaml_document document;
	int rc = 0;

	while (rc == 0 && yaml_next(&cursor, &document))
		rc = read_document(reading, &document);
	/* What could not be read for want of memory was not refused for what it says. */
	if (rc == 0 && reading->reader.no_memory)
		rc = -ENOMEM;
	return rc == 0 ? keep_resources(reading->batch, reading) : rc;
}

struct batch *batch_read(const char *path, const char *text, size_t length, const char *namespace_, struct report *report)
{
	struct batch *batch = calloc(1, sizeof *batch);
	struct reading reading = {.batch = batch, .scratch = {.first = TREE_SIZE},
		.reader = {.report = report, .file = path, .namespace_ = namespace_}};
	int rc = -ENOMEM;

	if (batch == NULL)
		return NULL;
	atomic_init(&batch->references, 1);
	reading.reader.arena = &batch->arena;
	batch->path = arena_copy(&batch->arena, path, strlen(path));
	if (batch->path != NULL)
		rc = read_documents(&reading, text, length);
	arena_free(&reading.scratch);
	free(reading.resources);
	if (rc < 0) {
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
	free(batch);
}
