/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection through the proxy: the client's socket, the upstream's, and what passes between them.
 *
 *     connection.c         its life: accepted, decided about, ended
 *     detect.c             what the client speaks, where a decision depends on it
 *     connection_verify.c  whether the address that was dialled is the name's
 *     upstream.c           the way on: an address, a socket, the next address
 *     relay.c              bytes both ways, as they are
 *     session.c            HTTP, request by request
 */
#ifndef WEIR_PROXY_CONNECTION_H
#define WEIR_PROXY_CONNECTION_H

#include "proxy/http/io.h"
#include "proxy/log/facts.h"
#include "proxy/log/metrics.h"
#include "proxy/net/configuration.h"
#include "proxy/net/pool.h"
#include "proxy/net/queue.h"
#include "proxy/net/side.h"
#include "proxy/net/sniff.h"
#include "proxy/net/timer.h"
#include "proxy/policy/suggest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that the kernel is asked for at once: as many as it gives whole, also to one that a signal interrupts. */
#define RANDOM_POOL_SIZE 256u

enum connection_state {
	CONNECTION_FREE,
	CONNECTION_DETECTING,  /* the client's first bytes are awaited; they stay in its socket */
	CONNECTION_RESOLVING,  /* where to is known, but not at which address */
	CONNECTION_CONNECTING,
	CONNECTION_RELAYING,
	CONNECTION_HTTP, /* the session has the connection */
	CONNECTION_ENDED, /* its line is due, and its place is free after the batch of events */
};

struct session;
struct lookup;

struct connection {
	uint32_t index; /* its place in the worker's table */
	uint32_t generation; /* counts the place's uses, so that a late event is not taken for another's */
	enum connection_state state;
	bool keeps_alive; /* the upstream's socket sends probes; the client's has it from the listener */
	bool keeps_half;  /* both send them, and often */
	bool silent;      /* it has no line: its requests have */
	bool was_asked;   /* the name's addresses have been asked for */
	bool is_unjudged; /* nobody has waited for them: whether the dialled one is among them is seen when they come */
	uint8_t verify;   /* enum mesh_verify */
	uint8_t tries;      /* addresses that were dialled */
	uint32_t seen;      /* bytes that detect() has last found in the client's socket */
	uint32_t next_free;
	int64_t began;    /* milliseconds of monotonic time */
	int64_t active;   /* the same: when bytes last passed, or the state began */
	int64_t deadline; /* the same: when the state has lasted too long; INT64_MAX: never. Or when it is revoked */
	struct side client;
	struct side upstream;
	struct sniff sniff;
	struct facts facts;
	struct metrics_share share;
	struct configuration *configuration; /* reference; NULL: everything passes */
	const struct policy_cluster *cluster; /* of the configuration; NULL: as dialled */
	struct circuit_share circuit;         /* of the cluster's, where bytes are passed on as they are */
	int64_t due;                          /* relay.c: when it has last asked to be woken */
	struct lookup *lookup;   /* owned; a name that is being waited for */
	struct session *session; /* owned; HTTP */
};

/* What a worker lends its connections. */
struct connection_context {
	int epoll;
	uint8_t *buffer; /* the worker's one large buffer */
	size_t buffer_size;
	uint8_t *plain; /* with a configuration: where TLS comes out, and where it goes in, of tls_size each */
	uint8_t *wire;
	size_t tls_size;
	int64_t now;             /* monotonic, milliseconds */
	int64_t real_now;        /* real, milliseconds */
	int64_t dated;           /* real, seconds: of io->date */
	uint16_t port;           /* the proxy's own */
	bool draining;
	unsigned turn;           /* counts up, for addresses that take turns */
	uint64_t random_state;   /* for weights; not for secrets */
	uint8_t random[RANDOM_POOL_SIZE]; /* the kernel's, for the requests' ids */
	size_t random_left;               /* bytes at its beginning that no request has had */
	char suggestion[SUGGEST_SIZE]; /* of the line that is written next */
	struct metrics *metrics; /* borrowed */
	struct configuration *configuration; /* the newest version: a reference of the worker's; NULL: none */
	struct resolver *resolver;           /* borrowed; NULL: none */
	struct resolver_client *resolved;    /* for lookups of this worker's */
	struct timers timers;
	struct pool pool;
	struct queues queues;
	struct http_io *io; /* owned; NULL without a configuration */
	uint64_t (*reference)(const struct connection *connection, bool upstream); /* for epoll's data */
	uint64_t (*idle_reference)(const struct pool *pool, size_t place);
	void (*write_line)(struct connection_context *context, struct facts *facts);
};

/*
 * Takes an accepted socket over and starts to dial its destination, with the socket of its family in `*upstream`, which
 * is -1 afterwards; one that is not dialled from stays there. Afterwards the state may already be ENDED.
 */
void connection_start(struct connection *connection, struct connection_context *context, int fd, int *upstream,
	const struct endpoint *source);

/* Acts on events of one of the two sockets. */
void connection_event(struct connection *connection, struct connection_context *context, bool upstream, uint32_t events);

/* A name that it has been waiting for is known, or not. */
void connection_resolved(struct connection *connection, struct connection_context *context);

/* Looks at the time: at least once a second, and when a moment has come that it asked for with connection_wake(). */
void connection_check_time(struct connection *connection, struct connection_context *context);

/* There is a new configuration: a connection that it does not allow any more has a little time left. */
void connection_reconsider(struct connection *connection, struct connection_context *context);

/* Ends it whatever it is doing, as at the end of a drain. */
void connection_abort(struct connection *connection, struct connection_context *context);

/* Frees what an ENDED connection still holds; its facts are gone then. */
void connection_release(struct connection *connection);

/* --- for the files above alone */

/* Asks for connection_check_time() at a moment. */
void connection_wake(struct connection *connection, struct connection_context *context, int64_t at);

/* Ends it, in good order or with resets to both sides. */
void connection_end(struct connection *connection, struct connection_context *context, enum facts_end how);
void connection_end_with_reset(struct connection *connection, struct connection_context *context, enum facts_end how);

/* Goes over to another state, which lasts until `deadline` at most. */
void connection_set_state(struct connection *connection, struct connection_context *context, enum connection_state state,
	int64_t deadline);

/* connection_verify.c: the name that the client told, or NULL. */
const char *connection_name(const struct connection *connection);

/*
 * connection_verify.c: checks the dialled address where that is asked for. Returns false when the connection waits for what
 * the name resolves to, or has ended.
 */
bool connection_verify(struct connection *connection, struct connection_context *context);

/* connection_verify.c: where nobody has waited for that, looks whether it is known by now. */
void connection_judge(struct connection *connection, const struct connection_context *context);

/* Watches a side, or asks again. Returns 0 or -errno. */
int connection_watch(struct connection *connection, const struct connection_context *context, bool upstream,
	uint32_t events);

#endif
