/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queries on the wire, by c-ares, which only query.c and channel.c know: retries, the next server, TCP where an answer
 * was cut, and answers that belong to no question are its matter. Everything happens within query_serve() and
 * query_tick(); there are no threads.
 */
#ifndef WEIR_PROXY_QUERY_H
#define WEIR_PROXY_QUERY_H

#include "proxy/dns/record.h"
#include "proxy/dns/servers.h"
#include "redirect/base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* Questions to some servers, which stay the same. */
struct query {
	void *channel; /* c-ares's */
	int epoll;     /* borrowed */
	size_t asked;  /* questions that are not over */
	struct servers servers;
	unsigned scopes[SERVERS_MAX]; /* of link-local servers: the interfaces' numbers */
};

/* One query; its owner's until it is over. */
struct question {
	enum family family;
	/* What to call when it is over: maybe within query_ask(), and within query_close() at the latest. */
	void (*done)(struct question *question);
	void *owner;
	struct query *query; /* that it was asked by */
	struct reply reply;
};

/*
 * Makes one that asks these servers. Sockets will be watched by `epoll`, each with its number as data. Returns 0 or
 * -errno.
 */
int query_open(int epoll, const struct servers *servers, struct query **ret_query, struct error *e);

/* Ends all questions, and frees everything. NULL is allowed. */
void query_close(struct query *query);

/* Whether all questions are over. */
bool query_is_idle(const struct query *query);

/* Asks for the addresses of a name (proxy/dns/name.h). */
void query_ask(struct query *query, struct question *question, const char *name);

/* Reads a message that answers a question. Its addresses beyond ANSWER_FAMILY_MAX are left out. */
void query_read(enum family family, const unsigned char *bytes, int length, struct reply *ret_reply);

/* Serves a socket for which epoll has found events; one of another query's is nothing. */
void query_serve(struct query *query, int fd, uint32_t events);

/* Does what time has made due. */
void query_tick(struct query *query);

/* Milliseconds after which query_tick() is due; -1: never. */
int query_timeout(const struct query *query);

#endif
