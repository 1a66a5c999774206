/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's side of one TLS connection, without a socket: the server's bytes are fed in, what comes out is for the
 * application or for the wire. One thread at a time.
 *
 * A stream keeps nothing but an unfinished record of the server's, at most: whoever calls lends the memory for what
 * comes out. Bytes on the way in are taken as far as that memory reaches; with TLS_STREAM_ROOM() of it, all of them
 * are.
 *
 *     tls_stream_new      ->  tls_stream_feed() with no bytes: the hello
 *     bytes from a server ->  tls_stream_feed(): to the application `plain`, and mostly nothing, to the `wire`
 *     from an application ->  tls_stream_write(), once it is TLS_OPEN
 *     its end             ->  tls_stream_end(); what the server still sends can be read
 *     the server's end    ->  TLS_ENDED; what is written still goes out. A socket that ends before: it was cut off
 *
 * No system call but for memory, and getrandom() and clock reads.
 */
#ifndef WEIR_PROXY_TLS_STREAM_H
#define WEIR_PROXY_TLS_STREAM_H

#include "proxy/tls/context.h"

#include <stddef.h>
#include <stdint.h>

/* The most that a record carries, and what it and messages of the protocol's own add to that. */
#define TLS_STREAM_RECORD (16u << 10)
#define TLS_STREAM_OVERHEAD 512u

/* Memory that holds what comes out for `size` bytes that go in, either way, after the handshake. */
#define TLS_STREAM_ROOM(size) \
	((size) + ((size) / TLS_STREAM_RECORD + 2) * (size_t)TLS_STREAM_OVERHEAD + TLS_STREAM_RECORD)

/* Bytes of a failure's text with its NUL. */
#define TLS_STREAM_FAILURE_SIZE 256

enum tls_state {
	TLS_HANDSHAKE, /* nothing can be written yet */
	TLS_OPEN,
	TLS_ENDED,  /* the server has said that its last byte was sent (close_notify) */
	TLS_FAILED, /* for good; an alert may wait on the wire: send it before closing */
};

struct tls_stream;

/* Bytes on their way in: what has been taken is behind. */
struct tls_input {
	const uint8_t *data;
	size_t size;
};

/* Room for bytes that come out. */
struct tls_output {
	uint8_t *data;
	size_t capacity;
	size_t size; /* bytes so far */
};

/*
 * Makes a stream to the server that is called `name`, without a port: a DNS name, for SNI and the certificate, or an IP
 * address, for the certificate only. Returns 0, -EINVAL for a name that cannot be one, or -ENOMEM.
 */
int tls_stream_new(struct tls_context *context, const char *name, struct tls_stream **ret_stream);

/* Frees it; NULL is fine. */
void tls_stream_free(struct tls_stream *stream);

/*
 * Takes the server's bytes. Returns the state; where an output is full, or bytes were not taken, call again with more
 * room. In TLS_ENDED and TLS_FAILED what follows is of no meaning and is not taken.
 */
enum tls_state tls_stream_feed(
	struct tls_stream *stream, struct tls_input *wire, struct tls_output *plain, struct tls_output *to_wire);

/*
 * Takes the application's bytes, as many as there is room for on the wire: whole records, so that nothing is kept.
 * Returns the state; nothing is taken in TLS_HANDSHAKE and TLS_FAILED.
 */
enum tls_state tls_stream_write(struct tls_stream *stream, struct tls_input *plain, struct tls_output *to_wire);

/* Says that no more will be written (close_notify), once; needs TLS_STREAM_OVERHEAD of room. */
void tls_stream_end(struct tls_stream *stream, struct tls_output *to_wire);

/* The state as the last call left it. */
enum tls_state tls_stream_state(const struct tls_stream *stream);

/*
 * Why it failed, as Envoy's UPSTREAM_TRANSPORT_FAILURE_REASON says it before its blanks are replaced:
 *
 *     TLS_error:|268435703:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end
 *
 * What Envoy's library has a number for is given by that number and name. The rest is given by OpenSSL's own, with
 * `OpenSSL` in the place of `OPENSSL_internal`. Empty while nothing has failed, and where Envoy has no text either: a
 * server that ends in the handshake.
 */
const char *tls_stream_failure(const struct tls_stream *stream);

/* The same in words for people: "certificate has expired", say. Empty while there is nothing to add. */
const char *tls_stream_detail(const struct tls_stream *stream);

#endif
