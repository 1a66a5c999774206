/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can go wrong upstream, and what the client and the log are told.
 */
#ifndef WEIR_PROXY_HTTP_FAILURE_H
#define WEIR_PROXY_HTTP_FAILURE_H

#include <stdint.h>

enum http_failure {
	HTTP_FAILURE_NO_UPSTREAM,     /* there is no address to dial */
	HTTP_FAILURE_CONNECT,         /* it could not be dialled, or TLS with it failed */
	HTTP_FAILURE_CONNECT_TIMEOUT,
	HTTP_FAILURE_CLOSED,   /* it ended the connection */
	HTTP_FAILURE_PROTOCOL, /* what it says is no HTTP */
	HTTP_FAILURE_OVERFLOW, /* a limit of connections or requests is reached */
	HTTP_FAILURE_TIMEOUT,  /* of the route */
	HTTP_FAILURE_TRY_TIMEOUT, /* of the last attempt */
	HTTP_FAILURE_COUNT
};

struct http_failure_answer {
	uint16_t status;
	const char *flag;    /* RESPONSE_FLAGS */
	const char *details; /* RESPONSE_CODE_DETAILS; NULL: upstream_reset_before_response_started{reason} */
	const char *reason;  /* NULL: the text is the body */
	const char *text;    /* of the reason, in the body */
};

/* The answer where no response has begun. */
const struct http_failure_answer *http_failure_answer(enum http_failure failure);

#endif
