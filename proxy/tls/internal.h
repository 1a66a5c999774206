/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of this folder know of each other, and nobody else.
 */
#ifndef WEIR_PROXY_TLS_INTERNAL_H
#define WEIR_PROXY_TLS_INTERNAL_H

#include "proxy/tls/context.h"
#include "proxy/tls/stream.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ssl_ctx_st;
struct ssl_session_st;
struct x509_store_ctx_st;
struct x509_store_st;

/* A session by the name of its server. */
struct tls_session {
	struct ssl_session_st *session; /* owned; NULL: the place is free */
	char *name;                     /* owned */
	uint64_t used;                  /* by the context's own count */
};

struct tls_context {
	atomic_uint references;
	bool insecure;
	struct ssl_ctx_st *ctx; /* owned */
	struct x509_store_st *system; /* one of its owners; NULL: a file of its own is trusted */
	char *sni;                /* owned; NULL: the stream's name */
	char **subject_alt_names; /* owned */
	size_t subject_alt_name_count;
	pthread_mutex_t lock; /* of what follows */
	uint64_t uses;
	struct tls_session sessions[TLS_CONTEXT_SESSIONS];
};

/* OpenSSL's question whether the server's certificate will do, with the context as `context`. Returns 1 if so. */
int tls_peer_check(struct x509_store_ctx_st *check, void *context);

/* Whether a name can go to the wire and be looked for in a certificate: one of DNS, or an address. 0 or -EINVAL. */
int tls_name_check(const char *name, size_t length);

/* The server's name, without a last dot. */
const char *tls_stream_name(const struct tls_stream *stream);

/* A session to resume with the server, or NULL; the caller's. */
struct ssl_session_st *tls_session_take(struct tls_context *context, const char *name);

/* Remembers a session, and owns it. */
void tls_session_put(struct tls_context *context, const char *name, struct ssl_session_st *session);

/* Writes OpenSSL's errors as Envoy would, and empties their queue. Without any, the text is empty. */
void tls_failure_format(char out[TLS_STREAM_FAILURE_SIZE]);

#endif
