/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/log/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* At the end, how long a sink that takes nothing is waited for, in milliseconds. */
#define LAST_FLUSH_WAIT 500

static int open_path(const char *path)
{
	return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);
}

/*
 * stdout's own description may be shared with programs that expect it to block; a fresh one may not be allowed, when
 * the pipe belongs to another user.
 */
static int open_stdout(void)
{
	int fd = open("/proc/self/fd/1", O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd >= 0)
		return fd;
	fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	if (fd >= 0)
		(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	return fd;
}

int sink_open(const char *path, int *ret_fd, struct error *e)
{
	int fd = -1;

	if (*path != '\0') {
		fd = strcmp(path, "/dev/stdout") == 0 ? open_stdout() : open_path(path);
		if (fd < 0)
			return error_set_errno(e, errno, "cannot open the access log %s", path);
	}
	*ret_fd = fd;
	return 0;
}

int sink_reopen(const char *path, int fd, struct error *e)
{
	int fresh;

	if (fd < 0 || strcmp(path, "/dev/stdout") == 0)
		return 0;
	fresh = open_path(path);
	if (fresh < 0 || dup3(fresh, fd, O_CLOEXEC) < 0)
		return error_set_errno(e, errno, "cannot open the access log %s anew", path);
	(void)close(fresh);
	return 0;
}

void sink_init(struct sink *sink, int fd)
{
	*sink = (struct sink){.fd = fd};
}

int sink_is_waiting(const struct sink *sink)
{
	return sink->end > sink->start;
}

static void tell_dropped(struct sink *sink)
{
	if (sink->dropped == 0)
		return;
	(void)fprintf(stderr, "weir-proxy: the access log was full: %llu lines dropped\n", sink->dropped);
	sink->dropped = 0;
}

void sink_flush(struct sink *sink)
{
	while (sink_is_waiting(sink)) {
		ssize_t n = write(sink->fd, sink->buffer + sink->start, sink->end - sink->start);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;
		sink->start += (size_t)n;
	}
	sink->start = 0;
	sink->end = 0;
	tell_dropped(sink);
}

void sink_write(struct sink *sink, const char *line, size_t length)
{
	if (sink->fd < 0)
		return;
	if (sink->buffer == NULL)
		sink->buffer = malloc(SINK_BUFFER_SIZE);
	if (sink->buffer != NULL && SINK_BUFFER_SIZE - sink->end < length && sink->start > 0) {
		memmove(sink->buffer, sink->buffer + sink->start, sink->end - sink->start);
		sink->end -= sink->start;
		sink->start = 0;
	}
	if (sink->buffer == NULL || SINK_BUFFER_SIZE - sink->end < length) {
		sink->dropped++;
		return;
	}
	memcpy(sink->buffer + sink->end, line, length);
	sink->end += length;
	if (sink->end - sink->start >= SINK_FLUSH_SIZE)
		sink_flush(sink);
}

void sink_free(struct sink *sink)
{
	struct pollfd ready = {.fd = sink->fd, .events = POLLOUT};

	sink_flush(sink);
	if (sink_is_waiting(sink) && poll(&ready, 1, LAST_FLUSH_WAIT) > 0)
		sink_flush(sink);
	if (sink_is_waiting(sink))
		(void)fprintf(stderr, "weir-proxy: the access log takes nothing: %zu bytes of lines lost\n",
			sink->end - sink->start);
	tell_dropped(sink);
	free(sink->buffer);
	sink->buffer = NULL;
}
