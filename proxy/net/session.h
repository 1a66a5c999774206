/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP on a client's connection: requests one after the other, each decided for itself, and the upstream connections that
 * carry them.
 *
 *     session.c          what happens to it, what is written, and the end
 *     session_read.c     what is read
 *     session_request.c  what becomes of a request: decision, answer, line
 *     session_try.c      attempts: what comes of one, and whether there is another
 *     session_upstream.c the upstream's connection of an attempt: a used one, a new one, or the wait for one
 *     session_verify.c   whether the address that was dialled is the host's
 *     session_tls.c      an upstream that is spoken to in TLS
 */
#ifndef WEIR_PROXY_SESSION_H
#define WEIR_PROXY_SESSION_H

#include "proxy/http/exchange.h"
#include "proxy/net/connection.h"
#include "proxy/net/queue.h"
#include "proxy/policy/decide.h"

/* Bytes that an idle session takes. */
#define SESSION_SIZE_MAX 248u

enum session_pause { SESSION_GOES_ON, SESSION_DELAYED, SESSION_BACKS_OFF };

/* What was decided about a request, what follows from it, and how far it is. */
struct session_request {
	struct configuration *configuration; /* reference */
	struct policy_decision decision;
	struct http_forward route;
	struct http_operation *operations; /* owned */
	char *text;                        /* owned: what a rewrite or a redirect makes */
	int64_t whole_at;    /* monotonic milliseconds: all of it had come; 0: not yet */
	int64_t answered_at; /* the same: its response began */
	int64_t deadline;    /* of the route's timeout; INT64_MAX: none */
	enum session_pause pause;
	int64_t pause_until;
	unsigned tries;        /* attempts so far */
	int64_t try_deadline;  /* per-try timeout, or of connecting; INT64_MAX: none */
	bool was_asked;        /* the host's addresses have been asked for */
	bool is_unjudged;      /* and not waited for: session_judge() is due when they come */
	bool is_waiting;       /* for a name, with which session_resolved() goes on */
	struct circuit_share share;        /* what it has of its cluster's circuit, but for a connection */
	struct queue_waiter waiter;        /* for a connection, with which session_take_turn() goes on */
	char reason[QUEUE_REASON_SIZE];    /* why connecting failed */
};

/* What a connection keeps between two requests is as little as it can be: thousands are idle. */
struct session {
	struct http_exchange exchange;
	char *left; /* owned: bytes of the client's that were read and not taken */
	size_t left_size;
	bool has_line;     /* a request of it was logged */
	bool is_ending;    /* the client's connection ends when everything is written */
	int64_t ends_at;   /* at the latest, then */
	/* of the request */
	struct session_request *request; /* owned; NULL: none has come whole */
	int64_t began;      /* monotonic milliseconds: its first byte; 0: there is none */
	int64_t started;    /* the same of real time */
	/* the upstream's connection, which stays for the next request */
	bool is_connecting;
	bool is_attached;
	bool is_reused; /* it has carried another request */
	struct link link;
};

/* Begins: the client's bytes are still in its socket. */
void session_start(struct connection *connection, struct connection_context *context);

/* Acts on events of one side, which the side has taken already. */
void session_event(struct connection *connection, struct connection_context *context, bool upstream, uint32_t events);

/* The name that an attempt waits for is known, or not. */
void session_resolved(struct connection *connection, struct connection_context *context);

/* Looks at the time. */
void session_check_time(struct connection *connection, struct connection_context *context);

/* Ends it, as at the end of a drain. */
void session_abort(struct connection *connection, struct connection_context *context);

/* Frees it, if there is one; the connection is ending. */
void session_free(struct connection *connection);

/* --- for the files above alone */

/* session.c: does what follows from an event. What is to be written stays in the pieces. */
void session_follow(struct connection *connection, struct connection_context *context, enum http_event event);

/* session.c: writes them. Of a connection that has ended they are forgotten: the pieces are the next one's, too. */
void session_write_out(struct connection *connection, struct connection_context *context);

/* session.c: both. */
void session_handle(struct connection *connection, struct connection_context *context, enum http_event event);

/* session.c: the client is gone: what was under way has its line. */
void session_lose_client(struct connection *connection, struct connection_context *context);

/* session.c: ends the client's connection, in good order or with a reset. */
void session_end(struct connection *connection, struct connection_context *context, enum facts_end how, bool reset);

/* session_read.c: reads what there is, as long as somebody takes it. */
void session_pump(struct connection *connection, struct connection_context *context);

/* --- the same; these return the exchange's next event */

/* session_request.c: a request is there. */
enum http_event session_take_request(struct connection *connection, struct connection_context *context);

/* session_request.c: a fault's delay is over. */
enum http_event session_end_delay(struct connection *connection, struct connection_context *context);

/* session_request.c: frees what belongs to the request, if there is one. */
void session_free_request(struct session *session);

/* session_request.c: the request has its outcome. Logs it and makes ready for the next one. */
void session_finish_request(struct connection *connection, struct connection_context *context);

/* session_try.c: begins an attempt. */
enum http_event session_try(struct connection *connection, struct connection_context *context);

/*
 * session_verify.c: whether the attempt may go to the address that was dialled. False: what goes on is in `*ret_event`, or
 * session_resolved() does.
 */
bool session_verify(struct connection *connection, struct connection_context *context, enum http_event *ret_event);

/* session_verify.c: where nobody has waited for the host's addresses, looks whether they are known by now. */
void session_judge(struct connection *connection, const struct connection_context *context);

/* session_try.c: a response's head is there. */
enum http_event session_take_response(struct connection *connection, struct connection_context *context);

/* session_try.c: an attempt has failed; `code` is the errno value of connecting, -1 where `reason` says why, or 0. */
enum http_event session_take_failure(struct connection *connection, struct connection_context *context,
	enum http_failure failure, int code);

/* session_upstream.c: gets a connection to facts.upstream, at once, or by and by. */
enum http_event session_get_connection(struct connection *connection, struct connection_context *context);

/* session_upstream.c: it may be the request's turn, which has been waiting for a connection. */
enum http_event session_take_turn(struct connection *connection, struct connection_context *context);

/* session_upstream.c: the upstream's socket has connected, or not. */
enum http_event session_connected(struct connection *connection, struct connection_context *context, uint32_t events);

/* session_upstream.c: the upstream's connection can be used. */
enum http_event session_use(struct connection *connection, struct connection_context *context, bool reused);

/* session_upstream.c: lets go of the upstream's connection; into the pool if it is reusable. */
void session_detach(struct connection *connection, struct connection_context *context, bool reusable);

/* session_upstream.c: the same, where somebody else may be waiting for it. */
void session_hand_on(struct connection *connection, struct connection_context *context);

/* session_upstream.c: lets go of one that has been idle for too long. */
void session_check_idle(struct connection *connection, struct connection_context *context);

/* session_tls.c: whether the cluster wants TLS. */
bool session_wants_tls(const struct session *session);

/*
 * session_tls.c: what makes two connections in TLS the same beside their cluster and address: whose certificate was asked
 * for, and how it was checked. 0: no TLS.
 */
uint64_t session_tls_identity(const struct session *session);

/* session_tls.c: begins the handshake on a connection that is there. */
enum http_event session_start_tls(struct connection *connection, struct connection_context *context);

/*
 * session_tls.c: takes bytes of the server's. What they say is in context->plain, `*ret_size` bytes of it. Sets
 * `*ret_event` where the handshake is over, or has failed.
 */
void session_read_tls(struct connection *connection, struct connection_context *context, const uint8_t *data, size_t size,
	size_t *ret_size, enum http_event *ret_event);

/* session_tls.c: writes pieces. Returns 0 or -errno. */
int session_write_tls(struct connection *connection, struct connection_context *context, const struct http_pieces *pieces);

/* session_try.c: the attempt's time is over. */
enum http_event session_end_try(struct connection *connection, struct connection_context *context);

#endif
