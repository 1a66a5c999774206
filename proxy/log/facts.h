/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of one connection. The record travels with it; each stage writes its own part, and the access log
 * prints all of it.
 */
#ifndef WEIR_PROXY_FACTS_H
#define WEIR_PROXY_FACTS_H

#include "redirect/base/address.h"

#include <stdbool.h>
#include <stdint.h>

/* What the client's first bytes were. */
enum facts_protocol { FACTS_OPAQUE, FACTS_TLS, FACTS_HTTP, FACTS_HTTP2 };

/* How a connection ended, as far as the log has a word for it. */
enum facts_end {
	FACTS_END_PLAIN,           /* both sides closed, or an idle one was */
	FACTS_END_CONNECT_FAILED,  /* `error` says why; ETIMEDOUT may be the proxy's own limit */
	FACTS_END_CONNECT_TIMEOUT, /* the proxy's own limit */
	FACTS_END_UPSTREAM_RESET,
	FACTS_END_DIRECT, /* nobody redirected it here: the proxy's own port was dialled */
	FACTS_END_LOOP,   /* the proxy's own connection came back to it */
	FACTS_END_MEMORY, /* there was none to go on with */
	FACTS_END_DRAIN,  /* it was still open when the drain was over */
	FACTS_END_COUNT
};

/* The names that a client told; allocated only where there are any, each NUL-terminated and owned. */
struct facts_names {
	char *server_name; /* TLS: as it is to be logged */
	char *method;      /* HTTP: these four, as received */
	char *path;
	char *version;
	char *host;
};

struct facts {
	int64_t started;  /* milliseconds of real time */
	int64_t duration; /* milliseconds, by a clock that nobody sets */
	struct endpoint source;
	struct endpoint destination;
	struct endpoint upstream_local;
	bool has_upstream;       /* it was dialled */
	bool has_upstream_local; /* and got through */
	enum facts_protocol protocol;
	bool has_ech; /* TLS: an Encrypted ClientHello came along, so the server name may be a cover */
	enum facts_end end;
	int error; /* errno value */
	uint64_t received; /* from the client */
	uint64_t sent;     /* to the client */
	struct facts_names *names; /* owned; NULL: none */
};

/* Frees the names. */
void facts_free(struct facts *facts);

#endif
