/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of one connection, or of one request on it. Each stage writes its own part, and the access log prints
 * all of it.
 *
 * A connection has one record, which travels with it. A request that is decided for itself has a record of its own, made
 * when its line is due: a copy of its connection's, with its own times, bytes and upstream, and with `http`, which is in
 * memory that only a request has. What a record points to belongs to somebody else and lives until the line is written,
 * except for the names.
 */
#ifndef WEIR_PROXY_FACTS_H
#define WEIR_PROXY_FACTS_H

#include "redirect/base/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Clusters that nobody declares. */
#define FACTS_PASSTHROUGH "PassthroughCluster"
#define FACTS_BLACKHOLE "BlackHoleCluster"

/* Response flags that a request can collect. */
#define FACTS_FLAGS_MAX 4

/* What the client's first bytes were. */
enum facts_protocol { FACTS_OPAQUE, FACTS_TLS, FACTS_HTTP, FACTS_HTTP2 };

/* How a connection ended, as far as the log has a word for it. */
enum facts_end {
	FACTS_END_PLAIN,           /* both sides closed, or an idle one was */
	FACTS_END_CONNECT_FAILED,  /* `error` says why, or names->failure; ETIMEDOUT may be the proxy's own limit */
	FACTS_END_CONNECT_TIMEOUT, /* the proxy's own limit */
	FACTS_END_UPSTREAM_RESET,
	FACTS_END_BLOCKED,     /* nobody declares it, and the cluster is FACTS_BLACKHOLE */
	FACTS_END_NO_ENDPOINT, /* its host has no address */
	FACTS_END_NO_CLUSTER,  /* a route names a destination that nobody declares */
	FACTS_END_OVERFLOW,    /* the destination's limit of connections is reached */
	FACTS_END_DURATION,    /* the destination's limit of a connection's life */
	FACTS_END_CLEARTEXT,   /* its bytes were to be encrypted, and are not of a kind that the proxy does that for */
	FACTS_END_MISMATCH,    /* the dialled address is none of the name's, and that is enforced */
	FACTS_END_REVOKED,     /* a reload no longer allows it */
	FACTS_END_DIRECT, /* nobody redirected it here: the proxy's own port was dialled */
	FACTS_END_LOOP,   /* the proxy's own connection came back to it */
	FACTS_END_MEMORY, /* there was none to go on with */
	FACTS_END_DRAIN,  /* it was still open when the drain was over */
	FACTS_END_COUNT
};

/* Bytes without a NUL behind them. No data: there is none, which is not the same as an empty one. */
struct facts_text {
	const char *data;
	size_t size;
};

/* The names that a client told; allocated only where there are any, each NUL-terminated and owned. */
struct facts_names {
	char *server_name; /* TLS: as it is to be logged */
	char *method;      /* HTTP: these four, as received */
	char *path;
	char *version;
	char *host;
	char *failure; /* why connecting failed, where there is no errno value for it: a text of TLS */
};

/* A header by its name, in small letters: of the request as it was sent on, or of the response. */
typedef struct facts_text facts_header(const void *context, bool of_response, struct facts_text name);

/* A request that was decided for itself. All zero: nothing is known. */
struct facts_http {
	struct facts_text method;
	struct facts_text path;      /* as it was before it was rewritten */
	struct facts_text sent_path; /* as it was sent on; none: it is the same */
	struct facts_text authority;
	struct facts_text user_agent;
	struct facts_text request_id;
	struct facts_text forwarded_for;
	uint8_t minor;   /* PROTOCOL: HTTP/1.minor */
	bool is_grpc;
	uint16_t status; /* 0: no response began */
	unsigned flag_count;
	const char *flags[FACTS_FLAGS_MAX]; /* in the order of setting */
	const char *details; /* RESPONSE_CODE_DETAILS; NULL: none */
	const char *reason;  /* behind them, in braces; NULL: none */
	const char *failure; /* why connecting failed; NULL: it did not */
	const char *route;   /* its name; NULL: none */
	unsigned attempts;
	bool has_service_time;
	bool has_request_duration;
	bool has_response_duration;
	uint64_t service_time;      /* milliseconds, as x-envoy-upstream-service-time says */
	uint64_t request_duration;  /* milliseconds from the start to the request's last byte */
	uint64_t response_duration; /* and to the first byte of the upstream's response */
	facts_header *header;       /* for a format that asks for further ones; NULL: there are none */
	const void *context;        /* of `header` */
};

struct facts {
	int64_t started;  /* milliseconds of real time */
	int64_t duration; /* milliseconds, by a clock that nobody sets */
	struct endpoint source;
	struct endpoint destination; /* where the application dialled */
	struct endpoint upstream;    /* where the proxy did */
	struct endpoint upstream_local;
	bool has_upstream;       /* it was dialled */
	bool has_upstream_local; /* and got through */
	bool has_ech;     /* TLS: an Encrypted ClientHello came along, so the server name may be a cover */
	bool would_block; /* AUDIT: REGISTRY_ONLY would not have let it through */
	bool is_mismatch; /* the dialled address is none of the name's, and that is only told */
	enum facts_protocol protocol;
	enum facts_end end; /* of a connection */
	int error; /* errno value */
	uint64_t received; /* from the client */
	uint64_t sent;     /* to the client */
	const char *cluster; /* "outbound|80||httpbin.org", or one of the two above; NULL: none was chosen */
	/* Of what was blocked, or would have been: the ServiceEntry that lets it through, on one line; NULL: none. */
	const char *suggestion;
	const struct facts_http *http; /* NULL: a connection */
	struct facts_names *names; /* owned; NULL: none */
};

/* Frees the names. */
void facts_free(struct facts *facts);

#endif
