/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker's requests that wait for a connection to one address of a cluster that has a circuit, in the order of their
 * coming, and how many connections to there the worker has.
 *
 * Where the circuit has no room, a request waits for one of these connections: somebody calls it when one has come
 * free, or is gone. A worker without any opens one in any case, so there always is something to wait for. Calling is
 * no more than a timer that is due: one connection's session never runs within another's.
 */
#ifndef WEIR_PROXY_QUEUE_H
#define WEIR_PROXY_QUEUE_H

#include "proxy/http/failure.h"
#include "proxy/net/circuit.h"
#include "proxy/net/link.h"
#include "proxy/net/timer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of a reason why connecting failed. */
#define QUEUE_REASON_SIZE 128

/* Lists that the queues are spread over; a power of two. */
#define QUEUE_LISTS 64u

/* A place in a queue. All zero: in none. It stays where it is while it is in one. */
struct queue_waiter {
	struct queue *queue; /* NULL: it is in none */
	struct queue_waiter *next;
	struct queue_waiter *previous;
	uint32_t index; /* of its connection, as a timer has them */
	uint32_t generation;
	bool is_called;  /* it is its turn */
	bool has_failed; /* so is this: connecting has failed, as the queue says */
};

struct queue {
	struct queue *next; /* of its list */
	struct queues *queues;
	struct circuit *circuit; /* reference */
	struct link_key key;
	uint32_t connections; /* the worker's */
	struct queue_waiter *first;
	struct queue_waiter *last;
	enum http_failure failure;      /* the latest one of connecting */
	char reason[QUEUE_REASON_SIZE]; /* "": none is told */
};

/* A worker's. */
struct queues {
	struct queue *lists[QUEUE_LISTS];
	struct timers *timers; /* borrowed */
};

/* The queue of an address, or NULL: it has neither connections nor waiters. */
struct queue *queue_find(const struct queues *queues, const struct link_key *key);

/* The same, but makes it; NULL without memory. One that is made goes by itself, once it has had something. */
struct queue *queue_make(struct queues *queues, struct circuit *circuit, const struct link_key *key);

/* --- connections */

/* Counts one more in `*share`, which is of the queue's circuit. Returns false where there must not be any more. */
bool queue_open(struct queue *queue, struct circuit_share *share);

/* Counts one that is there already. */
void queue_adopt(struct queue *queue, struct circuit_share *share);

/* A connection is closed: gives its share back, and calls the next one. */
void queue_close(struct queue *queue, struct circuit_share *share);

/* Connecting has failed: everybody who waits is told, as they would fail one after the other. `reason` may be NULL. */
void queue_fail(struct queue *queue, enum http_failure failure, const char *reason);

/* --- waiters */

/* Whether one more connection may be opened just now. */
bool queue_has_room(const struct queue *queue);

/* Goes to the end of the queue. */
void queue_wait(struct queue *queue, struct queue_waiter *waiter);

/* Calls the first who has not been called. */
void queue_call(struct queue *queue);

/*
 * Whether it is a waiter's turn: it was called, or is the first and there is room, which nobody may have noticed: there are
 * other limits now, or another worker's connection has ended. To be asked once a second.
 */
bool queue_is_due(const struct queue_waiter *waiter);

/* Leaves, if it is in one. It is the next one's turn if it was this one's still (`is_called`), or if there is room. */
void queue_leave(struct queue_waiter *waiter);

#endif
