/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker: one thread, one epoll, its own listening sockets, its own connections.
 */
#ifndef WEIR_PROXY_WORKER_H
#define WEIR_PROXY_WORKER_H

#include "proxy/log/sink.h"
#include "proxy/net/connection.h"
#include "proxy/net/listener.h"
#include "proxy/net/ready.h"
#include "proxy/net/table.h"
#include "redirect/base/error.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Bytes of the buffer that a worker reads into. Only what is used of it becomes memory. */
#define WORKER_BUFFER_SIZE (512u << 10)

struct worker {
	pthread_t thread;
	int listeners[LISTENER_COUNT];
	int ready_listeners[LISTENER_COUNT]; /* of the first worker; else -1 */
	int wake;                            /* an eventfd: the drain has begun */
	bool accepting;                      /* false while descriptors or memory are out */
	int64_t drain_until;                 /* monotonic milliseconds; 0: not draining */
	int64_t drain_time;                  /* milliseconds */
	int64_t warned;
	struct connection_context context;
	struct table table;
	struct sink sink;
	struct ready *ready; /* owned; NULL but for the first worker */
};

/*
 * Opens the worker's sockets and memory. `ready_port` is 0 for all but the first. Returns 0 or -errno.
 */
int worker_init(struct worker *worker, uint16_t port, uint16_t ready_port, int log_fd, uint32_t drain_time,
	struct error *e);

/* Serves until it has drained. Every connection's line is then written. */
void worker_run(struct worker *worker);

/* Tells a worker, from any thread, to drain. */
void worker_drain(const struct worker *worker);

/* Closes and frees everything. */
void worker_free(struct worker *worker);

#endif
