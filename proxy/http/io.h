/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker lends its exchanges, one after the other: what they have to say, as slices of what was read and small
 * pieces of memory in here, and what they ask about. Whoever writes the pieces, or keeps them, does so before what they
 * point to is used again, and then calls http_io_reset().
 */
#ifndef WEIR_PROXY_HTTP_IO_H
#define WEIR_PROXY_HTTP_IO_H

#include "proxy/http/codec.h"
#include "proxy/http/failure.h"
#include "proxy/http/request.h"
#include "proxy/http/response.h"

#include <sys/uio.h>

/* Pieces of one direction, and bytes of memory for those that the proxy makes. */
#define HTTP_PIECES_MAX 160
#define HTTP_MEMORY_SIZE (512u << 10)

struct http_pieces {
	struct iovec items[HTTP_PIECES_MAX];
	unsigned count;
	size_t size; /* bytes of all of them */
};

struct http_io {
	/* for the exchange */
	char date[HTTP_DATE_SIZE]; /* http_date_write(), once a second */
	uint8_t random[HTTP_RANDOM_SIZE]; /* for the next request; new ones after each */
	bool draining;            /* connections do not outlive their next response */
	bool keeps_heads;         /* the log will ask http_exchange_header() of responses */
	/* from the exchange */
	struct http_pieces to_client;
	struct http_pieces to_upstream;
	struct http_request request; /* of HTTP_EVENT_REQUEST */
	unsigned status;             /* of HTTP_EVENT_RESPONSE */
	enum http_failure failure;   /* of HTTP_EVENT_FAILURE */
	/* its own */
	struct http_head head;
	struct http_framing framing;
	struct http_codec codec;
	struct http_writer memory;
	char bytes[HTTP_MEMORY_SIZE];
};

/* Makes it empty, before its first use. The date and the randomness are the caller's to fill in. */
void http_io_init(struct http_io *io);

/* Forgets the pieces. */
void http_io_reset(struct http_io *io);

/* Whether there is room for whatever one call can bring. */
bool http_io_has_room(const struct http_io *io);

/* Adds a piece that lives elsewhere. */
void http_pieces_add(struct http_pieces *pieces, const void *data, size_t size);

/* Adds what has been written to the memory since it had `start` bytes. */
void http_pieces_add_written(struct http_pieces *pieces, const struct http_writer *memory, size_t start);

/* Adds payload, in one chunk if it is to be chunked, and with `last` the end of the chunks. */
void http_pieces_add_payload(struct http_pieces *pieces, struct http_io *io, const struct http_text *runs, unsigned count,
	bool chunked, bool last);

#endif
