/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What became of a request, as plain data for the access log, and for whoever owns the connections.
 */
#ifndef WEIR_PROXY_HTTP_OUTCOME_H
#define WEIR_PROXY_HTTP_OUTCOME_H

#include "proxy/http/request.h"

/* Flags that a request can collect. */
#define HTTP_FLAGS_MAX 4

/* Bytes of flags and details as text, with their NUL. */
#define HTTP_FLAGS_SIZE 32
#define HTTP_DETAILS_SIZE 256

struct http_outcome {
	struct http_names names;
	uint8_t minor;   /* PROTOCOL: HTTP/1.minor */
	uint16_t status; /* RESPONSE_CODE; 0: no response began */
	unsigned flag_count;
	const char *flags[HTTP_FLAGS_MAX]; /* in the order of setting */
	const char *details; /* NULL: none */
	const char *reason;  /* behind the details, in braces; NULL: none */
	const char *transport; /* why connecting failed, with blanks; NULL: it did not */
	uint64_t received;     /* bytes of the request's body, and of the response's */
	uint64_t sent;
	bool has_service_time;
	uint64_t service_time; /* x-envoy-upstream-service-time */
	unsigned attempts;
	bool closes_client;       /* its connection ends when all has been written */
	bool resets_client;       /* with a reset, since an orderly end would make a part look whole */
	bool upstream_is_reusable; /* its connection can carry another request */
};

/* Adds a flag, once. */
void http_outcome_add_flag(struct http_outcome *outcome, const char *flag);

/* Writes RESPONSE_FLAGS: "URX,UF", or "-". Returns `out`. */
const char *http_outcome_flags(const struct http_outcome *outcome, char out[HTTP_FLAGS_SIZE]);

/*
 * Writes RESPONSE_CODE_DETAILS: "upstream_reset_before_response_started{connection_termination}", or "-". Returns `out`.
 */
const char *http_outcome_details(const struct http_outcome *outcome, char out[HTTP_DETAILS_SIZE]);

/* Writes UPSTREAM_TRANSPORT_FAILURE_REASON, or "-". Returns `out`. */
const char *http_outcome_transport(const struct http_outcome *outcome, char out[HTTP_DETAILS_SIZE]);

#endif
