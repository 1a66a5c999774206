/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/policy/watch.h"

#include "redirect/base/fnv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A write within this many seconds before a read may have a sister with the same time stamp. */
#define YOUNG_SECONDS 2

static bool is_same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool is_same(const struct stat *now, const struct watch_state *seen)
{
	return now->st_dev == seen->device && now->st_ino == seen->inode && now->st_size == seen->size &&
	       is_same_time(&now->st_mtim, &seen->modified) && is_same_time(&now->st_ctim, &seen->changed);
}

static int read_whole(int fd, size_t size, char *text)
{
	size_t used = 0;

	while (used < size) {
		ssize_t got = read(fd, text + used, size - used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		/* Somebody is writing it: the next look sees a new size. */
		if (got == 0)
			return -EAGAIN;
		used += (size_t)got;
	}
	return 0;
}

/* What the file is like is noted before it is read, so that a write in between is a change. */
static int read_open(int fd, struct stat *ret_seen, char **ret_text)
{
	char *text;
	int rc;

	if (fstat(fd, ret_seen) < 0)
		return -errno;
	if (!S_ISREG(ret_seen->st_mode))
		return -EINVAL;
	if (ret_seen->st_size > (off_t)WATCH_SIZE_MAX)
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

static int read_file(int directory, const char *name, struct stat *ret_seen, char **ret_text)
{
	int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int rc;

	if (fd < 0)
		return -errno;
	rc = read_open(fd, ret_seen, ret_text);
	(void)close(fd);
	return rc;
}

static int note_error(struct watch *watch, int rc)
{
	bool known = watch->error == -rc;

	if (rc == -ENOMEM)
		return rc;
	*watch = (struct watch){.error = -rc};
	return known ? 0 : rc;
}

/* Returns whether the content is another one. */
static bool note_content(struct watch *watch, const struct stat *seen, const char *text)
{
	uint64_t content = fnv_add(FNV_START, text, (size_t)seen->st_size);
	bool changed = !watch->known || watch->content != content;
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	*watch = (struct watch){
		.seen = {seen->st_dev, seen->st_ino, seen->st_size, seen->st_mtim, seen->st_ctim},
		.content = content,
		.known = true,
		.young = now.tv_sec - seen->st_mtim.tv_sec < YOUNG_SECONDS,
	};
	return changed;
}

int watch_read(struct watch *watch, int directory, const char *name, char **ret_text, size_t *ret_length)
{
	struct stat seen = {.st_size = 0};
	char *text = NULL;
	int rc;

	if (watch->known && !watch->young && fstatat(directory, name, &seen, 0) == 0 && is_same(&seen, &watch->seen))
		return 0;
	rc = read_file(directory, name, &seen, &text);
	if (rc < 0 || text == NULL)
		return note_error(watch, rc);
	if (!note_content(watch, &seen, text)) {
		free(text);
		return 0;
	}
	*ret_text = text;
	*ret_length = (size_t)seen.st_size;
	return 1;
}

void watch_forget(struct watch *watch)
{
	*watch = (struct watch){.known = false};
}
