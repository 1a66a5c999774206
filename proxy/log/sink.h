/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where access-log lines go. The file is shared by all workers; each has a buffer of its own, and writes whole lines.
 *
 * A sink that takes nothing (a full pipe, a full disk) never holds up a worker: lines that do not fit into the buffer
 * are dropped and counted, and the count is told on stderr when there is room again.
 */
#ifndef WEIR_PROXY_SINK_H
#define WEIR_PROXY_SINK_H

#include "redirect/base/error.h"

#include <stddef.h>

/* Bytes that one worker's buffer holds before it drops lines; it is allocated with the first line. */
#define SINK_BUFFER_SIZE (256u << 10)

/* From this many bytes on the buffer is written at once, without waiting for the next second. */
#define SINK_FLUSH_SIZE (32u << 10)

struct sink {
	int fd;       /* shared; -1: no log */
	char *buffer; /* owned */
	size_t start; /* of what is not written yet */
	size_t end;
	unsigned long long dropped;
};

/*
 * Opens the log's file, without ever blocking on it: stdout for "/dev/stdout", no log for "". Returns the descriptor
 * (-1 for no log) in `*ret_fd`, and 0 or -errno.
 */
int sink_open(const char *path, int *ret_fd, struct error *e);

/* Opens the file anew and puts it in place of the old one, for all workers at once. Returns 0 or -errno. */
int sink_reopen(const char *path, int fd, struct error *e);

/* Starts a worker's sink on the shared descriptor. */
void sink_init(struct sink *sink, int fd);

/* Adds one line with its newline. */
void sink_write(struct sink *sink, const char *line, size_t length);

/* Writes as much of the buffer as the file takes. */
void sink_flush(struct sink *sink);

/* Whether lines wait to be written. */
int sink_is_waiting(const struct sink *sink);

/* Writes what it can and frees the buffer. */
void sink_free(struct sink *sink);

#endif
