/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where access-log lines go: from each worker's queue, through one thread, into one file.
 *
 * A worker only ever copies a line into its queue. A file that takes nothing (a full pipe, a full or a stalled disk)
 * holds up that thread and no other; lines that do not fit into the queue meanwhile are dropped, counted, and the count
 * is told on stderr when lines go out again.
 */
#ifndef WEIR_PROXY_SINK_H
#define WEIR_PROXY_SINK_H

#include "redirect/base/error.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of lines that one worker's queue holds. Only what was ever used of it is memory. */
#define SINK_QUEUE_SIZE (256u << 10)

struct sink_queue {
	pthread_mutex_t lock;
	char *text; /* owned; SINK_QUEUE_SIZE bytes */
	size_t used;
	uint64_t dropped; /* lines, since the start */
};

/* The file's descriptor stays the same for life: what is opened later takes its place. */
struct sink {
	char *path; /* owned */
	int fd;
	int standard[2];     /* stdout and stderr, as they were at the beginning; -1: there is none */
	int nowhere;         /* /dev/null, the same */
	_Atomic bool is_off; /* lines are forgotten */
	struct sink_queue *queues; /* owned; one a worker */
	size_t queue_count;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	bool has_lines;
	bool is_urgent; /* a queue is filling up */
	bool stopping;
	unsigned changes; /* of the file */
	char *taken;   /* owned by the writing thread: the text that is on its way out */
	uint64_t told; /* dropped lines that stderr has heard of */
};

/* Starts without a file. */
void sink_init(struct sink *sink);

/*
 * Opens the log's file, without ever blocking on it (stdout for "/dev/stdout", no log for ""), and makes the queues.
 * Returns 0 or -errno; sink_free() is due in either case. What stdout and no log need later is opened here, too: in the
 * sandbox only folders of files can be.
 */
int sink_open(struct sink *sink, const char *path, size_t queue_count, struct error *e);

/* Adds one line with its newline to a worker's queue. Never waits for the file. */
void sink_add(struct sink *sink, size_t queue, const char *line, size_t length);

/* Counts a line that could not even be made. */
void sink_drop(struct sink *sink, size_t queue);

/* Lines that were dropped since the start. Any thread may ask. */
uint64_t sink_dropped(struct sink *sink);

/* Writes lines until sink_stop(): the life of a thread. A line is written within a quarter of a second. */
void sink_run(struct sink *sink);

/* Lets sink_run() end when what is queued now is written, or the file has taken nothing for half a second. */
void sink_stop(struct sink *sink);

/*
 * Opens a file anew, the same (NULL) or another one, and puts it in the place of the old one; lines that are still
 * queued go to the new one or, where there is to be no log any more, to the old one. One thread alone may call. Returns
 * 0, or -errno and goes on with the old one.
 */
int sink_reopen(struct sink *sink, const char *path, struct error *e);

/* Closes and frees. */
void sink_free(struct sink *sink);

#endif
