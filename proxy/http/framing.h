/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a message ends, and whether its connection goes on (RFC 9112 sections 6 and 9). Pure.
 */
#ifndef WEIR_PROXY_HTTP_FRAMING_H
#define WEIR_PROXY_HTTP_FRAMING_H

#include "proxy/http/head.h"

enum http_body {
	HTTP_BODY_NONE,
	HTTP_BODY_LENGTH,
	HTTP_BODY_CHUNKED,
	HTTP_BODY_UNTIL_CLOSE, /* responses only */
};

struct http_framing {
	enum http_body body;
	uint64_t length;  /* of HTTP_BODY_LENGTH; what a Content-Length says where there is no body */
	bool has_length;  /* there is a Content-Length */
	bool keeps_alive; /* the sender takes another message on the connection */
};

/* Of a request. Returns HTTP_FINE, or what is wrong. */
enum http_problem http_framing_of_request(const struct http_head *head, struct http_framing *ret_framing);

/*
 * Of a response, to a HEAD or to another request. Returns HTTP_FINE, or HTTP_BAD_SYNTAX: to the one who asked, it makes
 * no difference what is wrong.
 */
enum http_problem http_framing_of_response(const struct http_head *head, bool to_head, struct http_framing *ret_framing);

#endif
