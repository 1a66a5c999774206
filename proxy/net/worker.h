/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker: one thread, one epoll, its own listening sockets, its own connections.
 */
#ifndef WEIR_PROXY_WORKER_H
#define WEIR_PROXY_WORKER_H

#include "proxy/dns/resolver.h"
#include "proxy/log/format.h"
#include "proxy/log/metrics.h"
#include "proxy/log/sink.h"
#include "proxy/net/connection.h"
#include "proxy/net/listener.h"
#include "proxy/net/table.h"
#include "redirect/base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* Bytes of the buffer that a worker reads into. Only what is used of it becomes memory. */
#define WORKER_BUFFER_SIZE (512u << 10)

/* What all workers have in common. */
struct worker_options {
	uint16_t port;
	int64_t drain_time; /* milliseconds that a drain takes at most, or with drain_to_zero, at least */
	bool drain_to_zero; /* a drain lasts until no worker has a connection */
	struct sink *sink;
	struct metrics *metrics;
	struct configuration_source *source; /* NULL: there is no configuration, everything passes */
	struct resolver *resolver;           /* the same */
};

struct worker {
	struct worker_options options;
	size_t number; /* its queue of the sink */
	int listeners[LISTENER_COUNT];
	int upstreams[LISTENER_COUNT]; /* a socket each for the next connection: what is accepted can be dialled; or -1 */
	int wake;                      /* an eventfd: the drain has begun */
	bool accepting;                /* false while descriptors or memory are out */
	_Atomic bool drain_asked;
	int64_t drain_until;           /* monotonic milliseconds; 0: not draining */
	int64_t refused;               /* when accepting last failed */
	struct connection_context context;
	struct resolver_client resolved;
	bool has_resolved;
	struct table table;
	struct format *format; /* of the access log, where no configuration has one; a reference */
};

/* Opens the worker's sockets and memory. Returns 0 or -errno; worker_free() is due in either case. */
int worker_init(struct worker *worker, const struct worker_options *options, size_t number, struct error *e);

/* Serves until it has drained. Every connection's line is then written. */
void worker_run(struct worker *worker);

/* Tells a worker, from any thread, to drain. */
void worker_drain(struct worker *worker);

/* Tells a worker, from any thread, that there is a new configuration. */
void worker_reconfigure(const struct worker *worker);

/* Closes and frees everything. */
void worker_free(struct worker *worker);

#endif
