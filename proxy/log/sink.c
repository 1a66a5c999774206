/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writing thread sleeps until a queue has lines, lets more of them gather for FLUSH_DELAY, unless one is filling up,
 * and then takes each queue's text by exchanging it for an empty one. Since it alone writes, lines of several workers
 * never mix, also where a pipe takes only a part.
 */
#include "proxy/log/sink.h"

#include "proxy/log/warn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* How long lines gather, in milliseconds. */
#define FLUSH_DELAY 250

/* From this many bytes on, a queue is emptied without delay. */
#define FLUSH_SIZE (32u << 10)

/* At the end, how long a file that takes nothing is waited for, in milliseconds. */
#define LAST_WAIT 500

/* How often a file that takes nothing is asked again, in milliseconds. */
#define RETRY_DELAY 100

static int open_path(const char *path)
{
	return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);
}

/* A fresh description of stdout or stderr: their own may be shared with programs that expect it to block. */
static int open_fresh(const char *path)
{
	return open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

/* Their own, where a fresh one is not allowed: the pipe belongs to another user. */
static int open_own(int number)
{
	int fd = fcntl(number, F_DUPFD_CLOEXEC, 3);

	if (fd >= 0)
		(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	return fd;
}

static const char *const standard_paths[] = {"/dev/stdout", "/dev/stderr"};

/* Which of the two a path is; -1: a file's. */
static int find_standard(const char *path)
{
	for (int i = 0; i < 2; i++)
		if (strcmp(path, standard_paths[i]) == 0)
			return i;
	return -1;
}

static int open_nowhere(void)
{
	return open("/dev/null", O_WRONLY | O_CLOEXEC);
}

/* A descriptor of its own for what was opened at the beginning, or a file. Returns it or -errno. */
static int open_target(const struct sink *sink, const char *path)
{
	int standard = find_standard(path);
	int fd;

	if (standard == 1 && sink->standard[1] < 0)
		fd = open_own(STDERR_FILENO);
	else if (standard >= 0)
		fd = fcntl(sink->standard[standard], F_DUPFD_CLOEXEC, 3);
	else
		fd = *path != '\0' ? open_path(path) : fcntl(sink->nowhere, F_DUPFD_CLOEXEC, 3);
	return fd >= 0 ? fd : -errno;
}

static int make_queues(struct sink *sink, size_t count, struct error *e)
{
	sink->queues = calloc(count, sizeof *sink->queues);
	sink->taken = malloc(SINK_QUEUE_SIZE);
	if (sink->queues == NULL || sink->taken == NULL)
		return error_set(e, ENOMEM, "no memory for the access log");
	for (; sink->queue_count < count; sink->queue_count++) {
		struct sink_queue *queue = &sink->queues[sink->queue_count];

		queue->text = malloc(SINK_QUEUE_SIZE);
		if (queue->text == NULL)
			return error_set(e, ENOMEM, "no memory for the access log");
		(void)pthread_mutex_init(&queue->lock, NULL);
	}
	return 0;
}

void sink_init(struct sink *sink)
{
	pthread_condattr_t monotonic;

	*sink = (struct sink){.fd = -1, .standard = {-1, -1}, .nowhere = -1};
	(void)pthread_mutex_init(&sink->lock, NULL);
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&sink->changed, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
}

int sink_open(struct sink *sink, const char *path, size_t queue_count, struct error *e)
{
	/* stderr's own stays as it is, unless the log is to go there. */
	sink->standard[0] = open_fresh("/proc/self/fd/1");
	if (sink->standard[0] < 0)
		sink->standard[0] = open_own(STDOUT_FILENO);
	sink->standard[1] = open_fresh("/proc/self/fd/2");
	sink->nowhere = open_nowhere();
	sink->path = strdup(path);
	if (sink->path == NULL)
		return error_set(e, ENOMEM, "no memory for the access log");
	sink->is_off = *path == '\0';
	sink->fd = open_target(sink, path);
	if (sink->fd < 0)
		return error_set_errno(e, -sink->fd, "cannot open the access log %s", path);
	return make_queues(sink, queue_count, e);
}

static void wake_writer(struct sink *sink, bool urgent)
{
	(void)pthread_mutex_lock(&sink->lock);
	sink->has_lines = true;
	sink->is_urgent |= urgent;
	(void)pthread_cond_signal(&sink->changed);
	(void)pthread_mutex_unlock(&sink->lock);
}

/* --- another file */

/* Puts a file in the place of the old one. Where there is to be none, the writer does it when all is written. */
static int replace(struct sink *sink, const char *path)
{
	bool is_off = *path == '\0';
	int fresh = is_off ? -1 : open_target(sink, path);
	int rc = 0;

	if (!is_off && fresh < 0)
		return fresh;
	(void)pthread_mutex_lock(&sink->lock);
	if (!is_off && dup3(fresh, sink->fd, O_CLOEXEC) < 0)
		rc = -errno;
	if (rc == 0)
		atomic_store(&sink->is_off, is_off);
	sink->changes++;
	(void)pthread_mutex_unlock(&sink->lock);
	if (fresh >= 0)
		(void)close(fresh);
	if (is_off)
		wake_writer(sink, true);
	return rc;
}

int sink_reopen(struct sink *sink, const char *path, struct error *e)
{
	bool is_same = path == NULL || strcmp(path, sink->path) == 0;
	char *kept = NULL;
	int rc;

	if (is_same)
		path = sink->path;
	if (is_same && (*path == '\0' || find_standard(path) >= 0))
		return 0;
	if (!is_same && (kept = strdup(path)) == NULL)
		return error_set(e, ENOMEM, "no memory for the access log");
	rc = replace(sink, path);
	if (rc < 0) {
		(void)error_set_errno(e, -rc, "cannot open the access log %s%s, and go on with the old one", path,
			is_same ? " anew" : "");
		free(kept);
	} else if (kept != NULL) {
		free(sink->path);
		sink->path = kept;
	}
	return rc;
}

/* --- the workers' side */

void sink_add(struct sink *sink, size_t index, const char *line, size_t length)
{
	struct sink_queue *queue = &sink->queues[index];
	size_t before;
	bool fits;

	if (atomic_load_explicit(&sink->is_off, memory_order_relaxed))
		return;
	(void)pthread_mutex_lock(&queue->lock);
	before = queue->used;
	fits = length <= SINK_QUEUE_SIZE - before;
	if (fits) {
		memcpy(queue->text + before, line, length);
		queue->used += length;
	} else {
		queue->dropped++;
	}
	(void)pthread_mutex_unlock(&queue->lock);
	/* The first line, and the one that makes it much: in between, the writer knows already. */
	if (fits && (before == 0 || (before < FLUSH_SIZE && before + length >= FLUSH_SIZE)))
		wake_writer(sink, before + length >= FLUSH_SIZE);
}

void sink_drop(struct sink *sink, size_t index)
{
	struct sink_queue *queue = &sink->queues[index];

	(void)pthread_mutex_lock(&queue->lock);
	queue->dropped++;
	(void)pthread_mutex_unlock(&queue->lock);
}

uint64_t sink_dropped(struct sink *sink)
{
	uint64_t dropped = 0;

	for (size_t i = 0; i < sink->queue_count; i++) {
		(void)pthread_mutex_lock(&sink->queues[i].lock);
		dropped += sink->queues[i].dropped;
		(void)pthread_mutex_unlock(&sink->queues[i].lock);
	}
	return dropped;
}

/* --- the writer's side */

static bool is_stopping(struct sink *sink)
{
	bool stopping;

	(void)pthread_mutex_lock(&sink->lock);
	stopping = sink->stopping;
	(void)pthread_mutex_unlock(&sink->lock);
	return stopping;
}

/* Waits until the file may take more. Returns false when that is hopeless: at the end, after LAST_WAIT in all. */
static bool wait_for_file(struct sink *sink, int code, int *waited)
{
	struct pollfd ready = {.fd = sink->fd, .events = POLLOUT};

	/* A full disk would say that it is writable. */
	(void)poll(&ready, code == EAGAIN ? 1 : 0, RETRY_DELAY);
	if (is_stopping(sink))
		*waited += RETRY_DELAY;
	return *waited <= LAST_WAIT;
}

static void write_text(struct sink *sink, const char *text, size_t size, int *waited)
{
	size_t lost = 0;

	while (size > 0) {
		ssize_t n = write(sink->fd, text, size);

		if (n >= 0) {
			text += n;
			size -= (size_t)n;
		} else if (errno != EINTR && !wait_for_file(sink, errno, waited)) {
			break;
		}
	}
	for (size_t i = 0; i < size; i++)
		lost += text[i] == '\n';
	if (lost > 0)
		warn("the access log takes nothing: %zu lines lost at the end", lost);
}

static void write_queue(struct sink *sink, struct sink_queue *queue, int *waited)
{
	size_t size;

	(void)pthread_mutex_lock(&queue->lock);
	size = queue->used;
	if (size > 0) {
		char *text = queue->text;

		queue->text = sink->taken;
		queue->used = 0;
		sink->taken = text;
	}
	(void)pthread_mutex_unlock(&queue->lock);
	write_text(sink, sink->taken, size, waited);
}

static unsigned count_changes(struct sink *sink)
{
	unsigned changes;

	(void)pthread_mutex_lock(&sink->lock);
	changes = sink->changes;
	(void)pthread_mutex_unlock(&sink->lock);
	return changes;
}

/* Lets go of the file when there is to be none any more, and has not been since what was queued was written. */
static void close_if_off(struct sink *sink, unsigned changes)
{
	(void)pthread_mutex_lock(&sink->lock);
	if (atomic_load(&sink->is_off) && sink->changes == changes)
		(void)dup3(sink->nowhere, sink->fd, O_CLOEXEC);
	(void)pthread_mutex_unlock(&sink->lock);
}

static void write_all(struct sink *sink)
{
	unsigned changes = count_changes(sink);
	uint64_t dropped;
	int waited = 0;

	for (size_t i = 0; i < sink->queue_count; i++)
		write_queue(sink, &sink->queues[i], &waited);
	close_if_off(sink, changes);
	dropped = sink_dropped(sink);
	if (dropped > sink->told)
		warn("the access log was full: %llu lines dropped", (unsigned long long)(dropped - sink->told));
	sink->told = dropped;
}

/* Waits for lines, and for more of them. Returns whether it is the end. */
static bool wait_for_lines(struct sink *sink)
{
	struct timespec until;
	bool stopping;

	(void)pthread_mutex_lock(&sink->lock);
	while (!sink->has_lines && !sink->stopping)
		(void)pthread_cond_wait(&sink->changed, &sink->lock);
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += FLUSH_DELAY * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	while (!sink->is_urgent && !sink->stopping &&
		pthread_cond_timedwait(&sink->changed, &sink->lock, &until) != ETIMEDOUT)
		;
	sink->has_lines = false;
	sink->is_urgent = false;
	stopping = sink->stopping;
	(void)pthread_mutex_unlock(&sink->lock);
	return stopping;
}

void sink_run(struct sink *sink)
{
	bool last;

	do {
		last = wait_for_lines(sink);
		write_all(sink);
	} while (!last);
}

void sink_stop(struct sink *sink)
{
	(void)pthread_mutex_lock(&sink->lock);
	sink->stopping = true;
	(void)pthread_cond_signal(&sink->changed);
	(void)pthread_mutex_unlock(&sink->lock);
}

void sink_free(struct sink *sink)
{
	for (size_t i = 0; i < sink->queue_count; i++) {
		free(sink->queues[i].text);
		(void)pthread_mutex_destroy(&sink->queues[i].lock);
	}
	free(sink->queues);
	free(sink->taken);
	(void)pthread_cond_destroy(&sink->changed);
	(void)pthread_mutex_destroy(&sink->lock);
	free(sink->path);
	for (size_t i = 0; i < 4; i++) {
		int fd = (const int[]){sink->fd, sink->standard[0], sink->standard[1], sink->nowhere}[i];

		if (fd >= 0)
			(void)close(fd);
	}
}
