/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP on a client's connection: requests one after the other, each decided for itself, and the upstream connections that
 * carry them.
 *
 *     session.c          bytes between the sockets and the exchange, and the end
 *     session_request.c  what becomes of a request: decision, answer, line
 *     session_try.c      attempts: an upstream, its failure, another one
 *     session_tls.c      an upstream that is spoken to in TLS
 */
#ifndef WEIR_PROXY_SESSION_H
#define WEIR_PROXY_SESSION_H

#include "proxy/http/exchange.h"
#include "proxy/net/connection.h"
#include "proxy/policy/decide.h"

/* Bytes of a reason why connecting failed. */
#define SESSION_REASON_SIZE 128

enum session_pause { SESSION_GOES_ON, SESSION_DELAYED, SESSION_BACKS_OFF };

struct session {
	struct http_exchange exchange;
	char *left; /* owned: bytes of the client's that were read and not taken */
	size_t left_size;
	bool has_line;     /* a request of it was logged */
	bool is_ending;    /* the client's connection ends when everything is written */
	int64_t ends_at;   /* at the latest, then */
	/* of the request */
	struct configuration *configuration; /* reference */
	struct policy_decision decision;
	struct http_forward route;
	struct http_operation *operations; /* owned */
	char *text;                        /* owned: what a rewrite or a redirect makes */
	int64_t began;      /* monotonic milliseconds: its first byte; 0: there is none */
	int64_t started;    /* the same of real time */
	int64_t whole_at;   /* all of it had come; 0: not yet */
	int64_t sent_at;    /* and was sent; 0: not yet */
	int64_t answered_at; /* its response began; 0: not yet */
	int64_t deadline;   /* of the route's timeout; INT64_MAX: none */
	enum session_pause pause;
	int64_t pause_until;
	/* of the attempt */
	unsigned tries;
	bool was_asked;  /* the host's addresses have been asked for */
	bool is_waiting; /* for a name, with which session_resolved() goes on */
	bool is_connecting;
	bool is_reused; /* its connection has carried another request */
	int64_t try_deadline; /* per-try timeout, or of connecting; INT64_MAX: none */
	char reason[SESSION_REASON_SIZE];
	/* the upstream's connection, which stays for the next request */
	bool is_attached;
	struct tls_stream *tls; /* owned; NULL: it is spoken to in the clear */
	struct pool_key key;
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

/* --- for the files above alone; they return the exchange's next event */

/* session_request.c: a request is there. */
enum http_event session_take_request(struct connection *connection, struct connection_context *context);

/* session_request.c: a fault's delay is over. */
enum http_event session_end_delay(struct connection *connection, struct connection_context *context);

/* session_request.c: the request has its outcome. Logs it and makes ready for the next one. */
void session_finish_request(struct connection *connection, struct connection_context *context);

/* session_try.c: begins an attempt. */
enum http_event session_try(struct connection *connection, struct connection_context *context);

/*
 * session_verify.c: whether the attempt may go to the address that was dialled. False: what goes on is in `*ret_event`, or
 * session_resolved() does.
 */
bool session_verify(struct connection *connection, struct connection_context *context, enum http_event *ret_event);

/* session_try.c: a response's head is there. */
enum http_event session_take_response(struct connection *connection, struct connection_context *context);

/* session_try.c: an attempt has failed; `code` is the errno value of connecting, -1 where `reason` says why, or 0. */
enum http_event session_take_failure(struct connection *connection, struct connection_context *context,
	enum http_failure failure, int code);

/* session_try.c: the upstream's socket has connected, or not. */
enum http_event session_connected(struct connection *connection, struct connection_context *context, uint32_t events);

/* session_try.c: lets go of the upstream's connection; into the pool if it is reusable. */
void session_detach(struct connection *connection, struct connection_context *context, bool reusable);

/* session_try.c: the upstream's connection can be used. */
enum http_event session_use(struct connection *connection, struct connection_context *context, bool reused);

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
