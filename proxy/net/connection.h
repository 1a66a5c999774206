/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection through the proxy: the client's socket, the upstream's, and what passes between them.
 */
#ifndef WEIR_PROXY_CONNECTION_H
#define WEIR_PROXY_CONNECTION_H

#include "proxy/log/facts.h"
#include "proxy/log/metrics.h"
#include "proxy/net/side.h"
#include "proxy/net/sniff.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum connection_state {
	CONNECTION_FREE,
	CONNECTION_CONNECTING,
	CONNECTION_RELAYING,
	CONNECTION_ENDED, /* its line is due, and its place is free after the batch of events */
};

struct connection {
	uint32_t index; /* its place in the worker's table */
	uint32_t generation; /* counts the place's uses, so that a late event is not taken for another's */
	enum connection_state state;
	bool keeps_alive; /* the upstream's socket sends probes; the client's has it from the listener */
	bool keeps_half;  /* both send them, and often */
	uint32_t next_free;
	int64_t began;  /* milliseconds of monotonic time */
	int64_t active; /* the same: when bytes last passed, or the connecting began */
	struct side client;
	struct side upstream;
	struct sniff sniff;
	struct facts facts;
	struct metrics_share share;
};

/* What a worker lends its connections. */
struct connection_context {
	int epoll;
	uint8_t *buffer; /* the worker's one large buffer */
	size_t buffer_size;
	int64_t now;             /* monotonic, milliseconds */
	int64_t real_now;        /* real, milliseconds */
	uint16_t port;           /* the proxy's own */
	struct metrics *metrics; /* borrowed */
	uint64_t (*reference)(const struct connection *connection, bool upstream); /* for epoll's data */
};

/*
 * Takes an accepted socket over and starts to dial its destination, with the socket of its family in `*upstream`, which
 * is -1 afterwards; one that is not dialled from stays there. Afterwards the state may already be ENDED.
 */
void connection_start(struct connection *connection, struct connection_context *context, int fd, int *upstream,
	const struct endpoint *source);

/* Acts on events of one of the two sockets. */
void connection_event(struct connection *connection, struct connection_context *context, bool upstream, uint32_t events);

/* Ends a connection that has waited too long, by `now`: connecting, or without a byte. */
void connection_check_time(struct connection *connection, struct connection_context *context);

/* Ends it whatever it is doing, as at the end of a drain. */
void connection_abort(struct connection *connection, struct connection_context *context);

/* Frees what an ENDED connection still holds; its facts are gone then. */
void connection_release(struct connection *connection);

#endif
