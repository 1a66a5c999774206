/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can be wrong with a message, and what a client that sends such a request is told.
 */
#ifndef WEIR_PROXY_HTTP_PROBLEM_H
#define WEIR_PROXY_HTTP_PROBLEM_H

#include <stdbool.h>
#include <stdint.h>

enum http_problem {
	HTTP_FINE,
	HTTP_MORE, /* nothing is wrong so far, and more bytes are needed */
	/* The request cannot be read; nothing of it is logged. */
	HTTP_BAD_SYNTAX,
	HTTP_BAD_CHARACTER,
	HTTP_BAD_URL,
	HTTP_BAD_SCHEME,
	HTTP_BAD_AUTHORITY,
	HTTP_BAD_CONNECTION, /* its Connection header names what it may not */
	HTTP_BAD_ENCODING,   /* a Transfer-Encoding other than chunked */
	HTTP_TWO_LENGTHS,    /* Content-Length and Transfer-Encoding */
	HTTP_TOO_MANY_HEADERS,
	HTTP_TOO_LARGE,
	/* It can, and is refused. */
	HTTP_NO_HOST,
	HTTP_BAD_PATH,
	HTTP_NO_PATH, /* OPTIONS * */
	HTTP_TUNNEL,  /* CONNECT */
	HTTP_BAD_UPGRADE,
	HTTP_PROBLEM_COUNT
};

struct http_problem_answer {
	uint16_t status;
	bool has_text;      /* the reason phrase is the body */
	bool closes;        /* the connection does not outlive the answer */
	const char *flag;   /* RESPONSE_FLAGS */
	const char *details; /* RESPONSE_CODE_DETAILS */
};

/* The answer to a request with a problem, which is neither HTTP_FINE nor HTTP_MORE. */
const struct http_problem_answer *http_problem_answer(enum http_problem problem);

/* Whether the request could be read all the same. */
bool http_problem_is_readable(enum http_problem problem);

#endif
