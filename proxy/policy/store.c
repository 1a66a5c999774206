/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/policy/store.h"

#include "proxy/policy/array.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int store_init(struct store *store, const char *namespace_)
{
	*store = (struct store){.namespace_ = strdup(namespace_)};
	return store->namespace_ != NULL ? 0 : -ENOMEM;
}

static void free_items(struct store_file *file)
{
	for (size_t i = 0; i < file->count; i++)
		batch_unref(file->items[i].batch);
	free(file->items);
	file->items = NULL;
	file->count = 0;
}

void store_free(struct store *store)
{
	for (size_t i = 0; i < store->count; i++) {
		free_items(&store->files[i]);
		free(store->files[i].path);
	}
	free(store->files);
	free(store->namespace_);
	*store = (struct store){.files = NULL};
}

/* --- files by path */

static_assert(offsetof(struct store_file, path) == 0, "files are found by their paths");

static struct store_file *find_file(const struct store *store, const char *path, size_t *ret_place)
{
	struct store_file *files = store->files;

	return array_find(files, store->count, sizeof *files, path, ret_place) ? &files[*ret_place] : NULL;
}

static int make_file(struct store *store, const char *path, struct store_file **ret_file)
{
	struct store_file *files;
	size_t place;
	char *copy;

	*ret_file = find_file(store, path, &place);
	if (*ret_file != NULL)
		return 0;
	if (store->count == STORE_FILE_MAX)
		return -E2BIG;
	files = array_room(store->files, store->count, &store->capacity, sizeof *files);
	if (files == NULL)
		return -ENOMEM;
	store->files = files;
	copy = strdup(path);
	if (copy == NULL)
		return -ENOMEM;
	memmove(&files[place + 1], &files[place], (store->count - place) * sizeof *files);
	files[place] = (struct store_file){.path = copy};
	store->count++;
	*ret_file = &files[place];
	return 0;
}

bool store_remove(struct store *store, const char *path)
{
	size_t place;
	struct store_file *file = find_file(store, path, &place);

	if (file == NULL)
		return false;
	free_items(file);
	free(file->path);
	memmove(file, file + 1, (store->count - place - 1) * sizeof *file);
	store->count--;
	return true;
}

/* --- a file's new content */

static int compare_items(const void *a, const void *b)
{
	const struct store_item *x = a;
	const struct store_item *y = b;
	int order = resource_compare(x->resource, y->resource);

	if (order == 0)
		order = (x->since > y->since) - (x->since < y->since);
	return order;
}

static int compare_identity(const void *a, const void *b)
{
	const struct store_item *x = a;
	const struct store_item *y = b;

	return resource_compare(x->resource, y->resource);
}

static const struct store_item *find_item(const struct store_item *items, size_t count, const struct resource *resource)
{
	struct store_item key = {.resource = resource};

	return count > 0 ? bsearch(&key, items, count, sizeof *items, compare_identity) : NULL;
}

/* New resources, the last good versions of refused ones, and, as long as the file cannot be read whole, the rest. */
struct merge {
	struct store_item *items;
	size_t count;
	size_t capacity;
	uint64_t sequence;
};

static void add_item(struct merge *merge, const struct resource *resource, struct batch *batch, uint64_t since)
{
	merge->items[merge->count++] = (struct store_item){resource, batch, since};
}

static void take_new(struct merge *merge, struct batch *batch, const struct store_file *file)
{
	for (size_t i = 0; i < batch->count; i++) {
		const struct resource *resource = &batch->resources[i];
		const struct store_item *old = find_item(file->items, file->count, resource);

		if (!resource->refused)
			add_item(merge, resource, batch, old != NULL ? old->since : ++merge->sequence);
		else if (old != NULL)
			add_item(merge, old->resource, old->batch, old->since);
	}
}

static bool is_mentioned(const struct merge *merge, size_t count, const struct resource *resource)
{
	return find_item(merge->items, count, resource) != NULL;
}

/* `merge` is sorted as far as it goes. */
static void keep_rest(struct merge *merge, const struct store_file *file)
{
	size_t sorted = merge->count;

	for (size_t i = 0; i < file->count; i++)
		if (!is_mentioned(merge, sorted, file->items[i].resource))
			add_item(merge, file->items[i].resource, file->items[i].batch, file->items[i].since);
}

static void report_twice(struct report *report, const char *path, const struct resource *kept,
	const struct resource *refused)
{
	struct report_place place = {.file = path, .line = refused->line};

	report_add(report, REPORT_ERROR, &place, "%s %s/%s is already in line %u of the same file",
		resource_kind_name(refused->kind), refused->namespace_, refused->name, kept->line);
}

/* Of two of one name in a file the first one holds. */
static void drop_repeated(struct merge *merge, const char *path, struct report *report)
{
	size_t kept = 0;

	for (size_t i = 1; i < merge->count; i++) {
		const struct resource *last = merge->items[kept].resource;
		const struct resource *next = merge->items[i].resource;

		if (resource_compare(last, next) != 0)
			merge->items[++kept] = merge->items[i];
		else if (last != next)
			report_twice(report, path, last->line <= next->line ? last : next, last->line <= next->line ? next : last);
	}
	merge->count = merge->count > 0 ? kept + 1 : 0;
}

/* Within a file, lines break what `since` leaves equal. */
static int compare_in_file(const void *a, const void *b)
{
	const struct store_item *x = a;
	const struct store_item *y = b;
	int order = compare_items(a, b);

	return order != 0 ? order : (x->resource->line > y->resource->line) - (x->resource->line < y->resource->line);
}

static void sort_in_file(struct merge *merge)
{
	if (merge->count > 1)
		qsort(merge->items, merge->count, sizeof *merge->items, compare_in_file);
}

static void replace_items(struct store_file *file, struct merge *merge)
{
	for (size_t i = 0; i < merge->count; i++)
		(void)batch_ref(merge->items[i].batch);
	free_items(file);
	file->items = array_fit(merge->items, merge->count, &merge->capacity, sizeof *merge->items);
	file->count = merge->count;
}

int store_put(struct store *store, const char *path, const char *text, size_t length, struct report *report)
{
	struct merge merge = {.sequence = store->sequence};
	struct store_file *file;
	struct batch *batch;
	int rc;

	batch = batch_read(path, text, length, store->namespace_, report);
	if (batch == NULL)
		return -ENOMEM;
	rc = make_file(store, path, &file);
	if (rc == 0) {
		merge.capacity = batch->count + file->count + 1;
		merge.items = malloc(merge.capacity * sizeof *merge.items);
		rc = merge.items != NULL ? 0 : -ENOMEM;
	}
	if (rc == 0) {
		take_new(&merge, batch, file);
		sort_in_file(&merge);
		drop_repeated(&merge, path, report);
		if (batch->has_unreadable) {
			keep_rest(&merge, file);
			sort_in_file(&merge);
		}
		replace_items(file, &merge);
		store->sequence = merge.sequence;
	}
	batch_unref(batch);
	return rc;
}

/* --- all files */

static int compare_pointers(const void *a, const void *b)
{
	return compare_items(*(const struct store_item *const *)a, *(const struct store_item *const *)b);
}

static int compare_ages(const void *a, const void *b)
{
	const struct store_item *x = *(const struct store_item *const *)a;
	const struct store_item *y = *(const struct store_item *const *)b;

	return (x->since > y->since) - (x->since < y->since);
}

static void report_duplicate(struct report *report, const struct store_item *kept, const struct store_item *refused)
{
	const struct resource *resource = refused->resource;
	struct report_place place = {.file = refused->batch->path, .line = resource->line};

	report_add(report, REPORT_ERROR, &place, "%s %s/%s is already in %s, line %u, which holds",
		resource_kind_name(resource->kind), resource->namespace_, resource->name, kept->batch->path, kept->resource->line);
}

static size_t drop_duplicates(const struct store_item **items, size_t count, struct report *report)
{
	size_t kept = 0;

	for (size_t i = 1; i < count; i++) {
		if (resource_compare(items[kept]->resource, items[i]->resource) == 0)
			report_duplicate(report, items[kept], items[i]);
		else
			items[++kept] = items[i];
	}
	return count > 0 ? kept + 1 : 0;
}

int store_collect(const struct store *store, struct report *report, const struct store_item ***ret_items,
	size_t *ret_count)
{
	const struct store_item **items;
	size_t count = 0;

	for (size_t i = 0; i < store->count; i++)
		count += store->files[i].count;
	items = malloc((count > 0 ? count : 1) * sizeof(struct store_item *));
	if (items == NULL)
		return -ENOMEM;
	count = 0;
	for (size_t i = 0; i < store->count; i++)
		for (size_t j = 0; j < store->files[i].count; j++)
			items[count++] = &store->files[i].items[j];
	if (count > 1)
		qsort(items, count, sizeof(struct store_item *), compare_pointers);
	count = drop_duplicates(items, count, report);
	if (count > 1)
		qsort(items, count, sizeof(struct store_item *), compare_ages);
	*ret_items = items;
	*ret_count = count;
	return 0;
}
