/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request from its head to its outcome. For the exchange_*.c alone.
 */
#ifndef WEIR_PROXY_HTTP_TRANSACTION_H
#define WEIR_PROXY_HTTP_TRANSACTION_H

#include "proxy/http/exchange.h"

enum http_transaction_state {
	HTTP_STATE_WAITING, /* routed; there is no upstream yet, or not again */
	HTTP_STATE_SENDING, /* there is one */
	HTTP_STATE_TUNNEL,
	HTTP_STATE_ENDED,
};

struct http_transaction {
	enum http_transaction_state state;
	/* of the request */
	struct http_codec request;
	bool is_head;
	bool is_grpc;
	bool is_upgrade;
	bool keeps_alive; /* the client does */
	bool client_ended;
	bool may_retry;
	bool is_whole; /* all of the body so far is in `kept` */
	struct http_writer text; /* the head, behind this struct in the same memory */
	char *kept;              /* payload; where it is stays, since pieces point to it */
	uint32_t kept_size;
	const struct http_forward *route; /* NULL: it was answered without */
	/* of the response */
	struct http_codec response;
	bool has_response; /* its head has gone to the client */
	bool is_chunked;   /* for the client */
	bool ends_by_close;
	bool upstream_keeps_alive;
	struct http_partial partial;
	struct http_text answer; /* the head that the client got; none: nobody wants to know */
	char *answer_memory;     /* owned: what it is in */
	struct http_outcome outcome;
};

/* Begins a transaction with room for `bound` bytes of text. NULL: there is no memory. */
struct http_transaction *http_transaction_new(size_t bound);

void http_transaction_free(struct http_transaction *transaction);

/* What the client's connection makes of a response. */
struct http_client http_transaction_client(const struct http_transaction *transaction, const struct http_io *io);

/* Keeps the head that begins at `start` of the worker's memory, for the log, where that wants it (io->keeps_heads). */
void http_transaction_keep_answer(struct http_transaction *transaction, const struct http_io *io, size_t start);

/* Ends it with an answer of the proxy's own. */
enum http_event http_transaction_reply(struct http_exchange *exchange, struct http_io *io,
	const struct http_reply *reply);

/* Ends it in the middle of a response. */
enum http_event http_transaction_truncate(struct http_exchange *exchange, const char *flag, const char *details,
	const char *reason);

/* Ends it; with `closes`, the client's connection, too. */
enum http_event http_transaction_end(struct http_exchange *exchange, bool closes);

#endif
