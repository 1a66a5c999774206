/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/policy/loader.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A write within this many seconds before a read may have a sister with the same time stamp. */
#define YOUNG_SECONDS 2

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
	if (names->count == STORE_FILE_MAX)
		return -E2BIG;
	if (names->count == names->capacity) {
		size_t capacity = names->capacity == 0 ? 16 : names->capacity * 2;
		char **items = realloc(names->items, capacity * sizeof *items);

		if (items == NULL)
			return -ENOMEM;
		names->items = items;
		names->capacity = capacity;
	}
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

/* The place of a file, or the place where it would be. */
static size_t find_place(const struct loader *loader, const char *name)
{
	size_t low = 0;
	size_t high = loader->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(loader->files[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct loader_file *find_file(const struct loader *loader, const char *name)
{
	size_t place = find_place(loader, name);

	return place < loader->count && strcmp(loader->files[place].name, name) == 0 ? &loader->files[place] : NULL;
}

static struct loader_file *add_file(struct loader *loader, const char *name)
{
	size_t place = find_place(loader, name);
	char *copy;

	if (loader->count == loader->capacity) {
		size_t capacity = loader->capacity == 0 ? 16 : loader->capacity * 2;
		struct loader_file *files = realloc(loader->files, capacity * sizeof *files);

		if (files == NULL)
			return NULL;
		loader->files = files;
		loader->capacity = capacity;
	}
	copy = strdup(name);
	if (copy == NULL)
		return NULL;
	memmove(&loader->files[place + 1], &loader->files[place], (loader->count - place) * sizeof *loader->files);
	loader->files[place] = (struct loader_file){.name = copy, .young = true};
	loader->count++;
	return &loader->files[place];
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static uint64_t hash(const char *text, size_t length)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < length; i++)
		sum = (sum ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
	return sum;
}

/* --- reading */

static int read_whole(int fd, size_t size, char *text)
{
	size_t used = 0;

	while (used < size) {
		ssize_t got = read(fd, text + used, size - used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		/* Somebody is writing it: the next scan sees a new size. */
		if (got == 0)
			return -EAGAIN;
		used += (size_t)got;
	}
	return 0;
}

/* Reads an open file. What it is like is noted before it is read, so that a write in between is a change. */
static int read_file(int fd, struct stat *ret_seen, char **ret_text)
{
	char *text;
	int rc;

	if (fstat(fd, ret_seen) < 0)
		return -errno;
	if (!S_ISREG(ret_seen->st_mode))
		return -EINVAL;
	if (ret_seen->st_size > (off_t)LOADER_FILE_SIZE_MAX)
		return -EFBIG;
	text = malloc((size_t)ret_seen->st_size + 1);
	if (text == NULL)
		return -ENOMEM;
	rc = read_whole(fd, (size_t)ret_seen->st_size, text);
	if (rc < 0)
		free(text);
	else
		*ret_text = text;
	return rc;
}

static void report_broken(struct loader_file *file, const char *path, int code, struct report *report)
{
	struct report_place place = {.file = path};

	if (file->broken)
		return;
	file->broken = true;
	report_add(report, REPORT_ERROR, &place, "cannot be read: %s; what it said before holds", strerror(code));
}

/* Puts one file's content into the store, if it is new. Returns 1, 0 or -errno as loader_scan(). */
static int put_file(struct loader_file *file, const char *path, int fd, struct store *store, struct report *report)
{
	struct timespec now;
	struct stat seen = {.st_size = 0};
	char *text = NULL;
	uint64_t content;
	int rc = read_file(fd, &seen, &text);

	if (rc == -ENOMEM)
		return rc;
	if (rc < 0) {
		report_broken(file, path, -rc, report);
		return 0;
	}
	assert(text != NULL);
	content = hash(text, (size_t)seen.st_size);
	rc = file->seen.st_ino == 0 || file->content != content || file->broken ? 1 : 0;
	if (rc == 1 && store_put(store, path, text, (size_t)seen.st_size, report) < 0)
		rc = -ENOMEM;
	free(text);
	if (rc < 0)
		return rc;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	file->young = now.tv_sec - seen.st_mtim.tv_sec < YOUNG_SECONDS;
	file->seen = seen;
	file->content = content;
	file->broken = false;
	return rc;
}

static int scan_file(struct loader *loader, int directory, const char *name, struct store *store, struct report *report)
{
	struct loader_file *file = find_file(loader, name);
	char path[4096];
	struct stat now;
	int fd;
	int rc;

	if (file == NULL)
		file = add_file(loader, name);
	if (file == NULL)
		return -ENOMEM;
	file->present = true;
	if (!file->young && fstatat(directory, name, &now, 0) == 0 && is_same(&now, &file->seen))
		return 0;
	(void)snprintf(path, sizeof path, "%s/%s", loader->directory, name);
	fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT) {
		file->present = false;
		return 0;
	}
	if (fd < 0) {
		report_broken(file, path, errno, report);
		return 0;
	}
	rc = put_file(file, path, fd, store, report);
	(void)close(fd);
	return rc;
}

/* Withdraws the files that this scan did not see. Returns whether there were any. */
static bool remove_absent(struct loader *loader, struct store *store)
{
	bool changed = false;
	size_t kept = 0;

	for (size_t i = 0; i < loader->count; i++) {
		struct loader_file *file = &loader->files[i];
		char path[4096];

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
