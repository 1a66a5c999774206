/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP on one client's connection, request after request, without sockets: bytes go in, pieces to be written come out
 * (io.h), and where somebody else has to decide, an event.
 *
 *     feed_client --> REQUEST --+--> reply, refuse ---------------------------------------> END
 *                               +--> route, connected ... feed_upstream --> RESPONSE --+--> END
 *                                                              |               |       +--> a tunnel
 *                                                              +--> FAILURE -- | --> fail --> END
 *                                                                      |       |
 *                                                                      +--> retry, connected ...
 *
 * Behind END, the outcome is there for the log, until http_exchange_next(). A connection between requests owns no memory
 * but this struct. Where `closes_client` is set in an outcome, what the client still sends is taken and forgotten.
 */
#ifndef WEIR_PROXY_HTTP_EXCHANGE_H
#define WEIR_PROXY_HTTP_EXCHANGE_H

#include "proxy/http/io.h"
#include "proxy/http/outcome.h"
#include "proxy/http/partial.h"
#include "proxy/http/reply.h"

/* Bytes of a request's body that are kept until there is an upstream, and for another attempt. */
#define HTTP_KEPT_MAX (64u << 10)

enum http_event {
	HTTP_EVENT_NONE,
	HTTP_EVENT_REQUEST,  /* io->request: route it, reply to it, or refuse it where it has a problem */
	HTTP_EVENT_RESPONSE, /* io->status: respond, or retry */
	HTTP_EVENT_FAILURE,  /* io->failure, before a response: fail, or retry */
	HTTP_EVENT_END,      /* the outcome is there */
	HTTP_EVENT_NO_MEMORY, /* the connection has to be given up; if there is an outcome, it says 0 */
};

struct http_transaction;

/* All zero to begin with. */
struct http_exchange {
	struct http_transaction *now; /* the request that is being worked on */
	struct http_partial partial;  /* a head that has not come whole */
	bool closing;                 /* there is no further request */
};

/* Frees what there is. */
void http_exchange_free(struct http_exchange *exchange);

/* --- the client */

/*
 * Bytes from the client. `*ret_taken` of them are done with. As long as there are others and some are taken, it goes on
 * with those; else they are kept until http_exchange_reads() says that they are wanted. The head that a REQUEST is about
 * may lie in them: it is decided about before they go.
 */
enum http_event http_exchange_feed_client(struct http_exchange *exchange, struct http_io *io, const char *data,
	size_t size, size_t *ret_taken);

/* Whether bytes from the client would be taken now. If not, nothing is read from it. */
bool http_exchange_reads(const struct http_exchange *exchange);

/* The client's end of input. NONE: what is under way goes on, and an idle connection may be closed. */
enum http_event http_exchange_end_client(struct http_exchange *exchange, struct http_io *io);

/* The client is gone, or the connection has to go. END, or NONE when nothing was under way. */
enum http_event http_exchange_abort(struct http_exchange *exchange);

/* --- decisions */

/*
 * Passes the request on. What `route` points to lives until http_exchange_next(). A request without authority needs the
 * route's; where there is none, it can be given the problem HTTP_NO_HOST, and refused.
 */
enum http_event http_exchange_route(struct http_exchange *exchange, struct http_io *io, const struct http_forward *route,
	bool may_retry);

/* Answers the request: at once, or (a fault, after a delay) when it has been routed; before a response. */
enum http_event http_exchange_reply(struct http_exchange *exchange, struct http_io *io, const struct http_reply *reply);

/* Answers a request that has a problem. */
enum http_event http_exchange_refuse(struct http_exchange *exchange, struct http_io *io);

/* Adds a flag for the log: DI, when it was delayed; URX, before the last of several responses that were not wanted. */
void http_exchange_flag(struct http_exchange *exchange, const char *flag);

/* --- the upstream */

/* A connection to the upstream is there. */
enum http_event http_exchange_connected(struct http_exchange *exchange, struct http_io *io);

/* Bytes from the upstream. As http_exchange_feed_client(); but what is left behind an END, nobody has asked for. */
enum http_event http_exchange_feed_upstream(struct http_exchange *exchange, struct http_io *io, const char *data,
	size_t size, size_t *ret_taken);

/* The upstream's end of input, or a reset. */
enum http_event http_exchange_end_upstream(struct http_exchange *exchange, struct http_io *io, bool reset);

/* Passes the response on whose head has come. `service_time` in milliseconds. */
enum http_event http_exchange_respond(struct http_exchange *exchange, struct http_io *io, uint64_t service_time);

/* Whether the request can be sent once more: all that was sent of it is kept, and no response has begun. */
bool http_exchange_can_retry(const struct http_exchange *exchange);

/* Forgets the upstream, and pieces for it. The next connection gets the request from its beginning. */
void http_exchange_retry(struct http_exchange *exchange);

/*
 * Ends the request, because of something that FAILURE or the caller's clock has told. `transport` says why connecting
 * failed, in words (NULL: it did not), and outlives the outcome; `exhausted`: there were retries, and no more are left.
 */
enum http_event http_exchange_fail(struct http_exchange *exchange, struct http_io *io, enum http_failure failure,
	const char *transport, bool exhausted);

/* --- what there is */

/* Whether both sides are now relayed as they are. The ends of input are passed on by the caller. */
bool http_exchange_is_tunnel(const struct http_exchange *exchange);

/* Whether the whole request has come. */
bool http_exchange_has_request(const struct http_exchange *exchange);

/* Whether a response has begun. */
bool http_exchange_has_response(const struct http_exchange *exchange);

/* The outcome, which grows until END; NULL when there is no request. */
const struct http_outcome *http_exchange_outcome(const struct http_exchange *exchange);

/*
 * A header's first value, for the log: of the request as it is sent on (":path": its path), or, where io->keeps_heads was
 * set, of the response as the client got it. The name in small letters. No data: there is none. Lives until
 * http_exchange_next().
 */
struct http_text http_exchange_header(const struct http_exchange *exchange, bool of_response, struct http_text name);

/* Done with the outcome. */
void http_exchange_next(struct http_exchange *exchange);

#endif
