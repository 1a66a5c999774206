/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way on, for a connection that was decided about: an address, a socket that connects, and the next address where
 * that fails.
 */
#ifndef WEIR_PROXY_UPSTREAM_H
#define WEIR_PROXY_UPSTREAM_H

#include "proxy/net/connection.h"
#include "proxy/net/dial.h"

/*
 * Finds the address for the connection's cluster (facts.upstream). Where a name of it has never been answered, a lookup is
 * begun, and connection_resolved() follows.
 */
enum dial_result upstream_find(struct connection *connection, struct connection_context *context);

/*
 * Connects to facts.upstream, with the socket in `*spare` if that is one of its family (it is -1 afterwards), or a new
 * one. Returns 0, or -errno when that failed at once.
 */
int upstream_connect(struct connection *connection, const struct connection_context *context, int *spare);

/* What became of connecting, by epoll's events: 0, or an errno value. */
int upstream_result(const struct connection *connection, uint32_t events);

/* Closes the upstream's socket, so that another address can be tried. */
void upstream_drop(struct connection *connection);

/* Ends the wait for a name, if there is one. */
void upstream_forget_lookup(struct connection *connection, const struct connection_context *context);

/* Begins to look a name up, for whoever asks for it later. Without memory, or a resolver, nobody does. */
void upstream_lookup(struct connection *connection, struct connection_context *context, const char *name);

/*
 * Whether the address that was dialled is one of a name's. `*ret_unknown`: nobody has answered for the name yet.
 */
bool upstream_is_of(const struct connection *connection, const struct connection_context *context, const char *name,
	bool *ret_unknown);

/* The place and generation of the connection that a wait, which is over, belongs to. */
struct resolver_wait;
void upstream_waiter(const struct resolver_wait *wait, uint32_t *ret_index, uint32_t *ret_generation);

#endif
