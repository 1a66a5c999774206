/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a destination is spoken to in TLS: a DestinationRule's `tls` block, made ready. A context is built when the
 * policy is loaded, is shared by all workers, and lives as long as any policy or stream refers to it. It remembers
 * sessions, so that the next connection to a name need not begin from nothing.
 *
 * Nothing of OpenSSL runs, allocates or is initialised before the first context is made. Files are read by
 * tls_context_new() alone; streams open none.
 */
#ifndef WEIR_PROXY_TLS_CONTEXT_H
#define WEIR_PROXY_TLS_CONTEXT_H

#include "redirect/base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* Names whose sessions a context remembers; the one that was used longest ago makes room. */
#define TLS_CONTEXT_SESSIONS 64

struct tls_context;

/* Modes SIMPLE and MUTUAL; the latter has a certificate. All is borrowed, and copied where it is kept. */
struct tls_settings {
	const char *sni;              /* the name that is asked for, instead of the stream's; NULL: the stream's */
	const char *ca_file;          /* who is trusted, in PEM; NULL: whom the system trusts */
	const char *certificate_file; /* our own, with its chain, in PEM; NULL: none */
	const char *key_file;         /* its key, in PEM; NULL without a certificate */
	const char *const *subject_alt_names; /* the certificate must carry one of them, instead of the name */
	size_t subject_alt_name_count;
	const char *alpn; /* the protocol that is offered, such as "http/1.1"; NULL: none */
	bool insecure;    /* insecureSkipVerify: any certificate will do */
};

/*
 * Reads the files and makes a context, with one reference. Returns 0, or -errno: -EINVAL for what a file holds, or
 * settings that contradict each other.
 */
int tls_context_new(const struct tls_settings *settings, struct tls_context **ret_context, struct error *e);

/* Takes another reference, from any thread. Returns the context. */
struct tls_context *tls_context_ref(struct tls_context *context);

/* Gives a reference back, from any thread. NULL is fine. */
void tls_context_unref(struct tls_context *context);

/*
 * Where the certificates of whom the system trusts are: SSL_CERT_FILE of the environment, else the first of the usual
 * places that can be read; NULL where there is none. For whoever has to keep the right to read it.
 */
const char *tls_context_system_file(void);

#endif
