/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/policy/loader.h"

#include "proxy/policy/array.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_SIZE 4096

int loader_init(struct loader *loader, const char *directory)
{
	*loader = (struct loader){.directory = strdup(directory)};
	return loader->directory != NULL ? 0 : -ENOMEM;
}

void loader_free(struct loader *loader)
{
	for (size_t i = 0; i < loader->count; i++)
		free(loader->files[i].name);
	free(loader->files);
	free(loader->directory);
	*loader = (struct loader){.files = NULL};
}

/* --- names */

static bool is_wanted(const char *name)
{
	const char *dot = strrchr(name, '.');

	return *name != '.' && dot != NULL &&
	       (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0 || strcmp(dot, ".json") == 0);
}

/* Names come in the directory's order; what is loaded first holds, so they are sorted first. */
static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

struct names {
	char **items;
	size_t count;
	size_t capacity;
};

static void free_names(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->items[i]);
	free(names->items);
}

static int add_name(struct names *names, const char *name)
{
	char **items;

	if (names->count == STORE_FILE_MAX)
		return -E2BIG;
	items = array_room(names->items, names->count, &names->capacity, sizeof *items);
	if (items == NULL)
		return -ENOMEM;
	names->items = items;
	names->items[names->count] = strdup(name);
	return names->items[names->count++] != NULL ? 0 : -ENOMEM;
}

static int list_names(DIR *directory, struct names *names)
{
	const struct dirent *entry;
	int rc = 0;

	errno = 0;
	while (rc == 0 && (entry = readdir(directory)) != NULL) {
		if (is_wanted(entry->d_name))
			rc = add_name(names, entry->d_name);
		errno = 0;
	}
	if (rc == 0 && errno != 0)
		rc = -errno;
	if (rc == 0 && names->count > 1)
		qsort(names->items, names->count, sizeof *names->items, compare_names);
	return rc;
}

/* --- what is known of a file */

static_assert(offsetof(struct loader_file, name) == 0, "files are found by their names");

/* Makes it known, if it is not. Returns NULL when memory is out. */
static struct loader_file *know_file(struct loader *loader, const char *name)
{
	struct loader_file *files = loader->files;
	size_t place;
	char *copy;

	if (array_find(files, loader->count, sizeof *files, name, &place))
		return &files[place];
	files = array_room(files, loader->count, &loader->capacity, sizeof *files);
	if (files == NULL)
		return NULL;
	loader->files = files;
	copy = strdup(name);
	if (copy == NULL)
		return NULL;
	memmove(&files[place + 1], &files[place], (loader->count - place) * sizeof *files);
	files[place] = (struct loader_file){.name = copy};
	loader->count++;
	return &files[place];
}

/* --- scanning */

/* Brings the store up to one file. Returns 1, 0 or -errno as loader_scan(). */
static int scan_file(struct loader *loader, int directory, const char *name, struct store *store, struct report *report)
{
	struct loader_file *file = know_file(loader, name);
	char path[PATH_SIZE];
	struct report_place place = {.file = path};
	char *text = NULL;
	size_t length = 0;
	int rc;

	if (file == NULL)
		return -ENOMEM;
	(void)snprintf(path, sizeof path, "%s/%s", loader->directory, name);
	rc = watch_read(&file->watch, directory, name, &text, &length);
	if (rc == -ENOMEM)
		return rc;
	/* A link that leads nowhere is a file that is not there. */
	file->present = file->watch.error != ENOENT;
	if (rc < 0 && file->present)
		report_add(report, REPORT_ERROR, &place, "cannot be read: %s; what it said before holds", strerror(-rc));
	if (rc <= 0)
		return 0;
	rc = store_put(store, path, text, length, report);
	free(text);
	if (rc < 0)
		watch_forget(&file->watch);
	return rc < 0 ? rc : 1;
}

/* Withdraws the files that this scan did not see. Returns whether there were any. */
static bool remove_absent(struct loader *loader, struct store *store)
{
	bool changed = false;
	size_t kept = 0;

	for (size_t i = 0; i < loader->count; i++) {
		struct loader_file *file = &loader->files[i];
		char path[PATH_SIZE];

		if (file->present) {
			loader->files[kept++] = *file;
			continue;
		}
		(void)snprintf(path, sizeof path, "%s/%s", loader->directory, file->name);
		changed = store_remove(store, path) || changed;
		free(file->name);
	}
	loader->count = kept;
	return changed;
}

static int scan_names(struct loader *loader, int directory, const struct names *names, struct store *store,
	struct report *report)
{
	bool changed = false;

	for (size_t i = 0; i < loader->count; i++)
		loader->files[i].present = false;
	for (size_t i = 0; i < names->count; i++) {
		int rc = scan_file(loader, directory, names->items[i], store, report);

		if (rc < 0)
			return rc;
		changed = changed || rc == 1;
	}
	changed = remove_absent(loader, store) || changed;
	return changed ? 1 : 0;
}

int loader_scan(struct loader *loader, struct store *store, struct report *report, struct error *e)
{
	struct names names = {.items = NULL};
	DIR *directory = opendir(loader->directory);
	int rc;

	if (directory == NULL)
		return error_set_errno(e, errno, "%s", loader->directory);
	rc = list_names(directory, &names);
	if (rc == 0)
		rc = scan_names(loader, dirfd(directory), &names, store, report);
	free_names(&names);
	(void)closedir(directory);
	return rc < 0 ? error_set_errno(e, -rc, "%s", loader->directory) : rc;
}
