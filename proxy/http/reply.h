/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of the proxy's own, as Envoy writes them. Pure.
 */
#ifndef WEIR_PROXY_HTTP_REPLY_H
#define WEIR_PROXY_HTTP_REPLY_H

#include "proxy/http/problem.h"
#include "proxy/http/response.h"

/* What is answered, and what the log says of it. What it points to outlives the request. */
struct http_reply {
	uint16_t status;
	bool has_grpc_status; /* to gRPC: this one, instead of what `status` stands for */
	uint8_t grpc_status;
	struct http_text body;     /* text/plain, unless an operation says otherwise */
	struct http_text location; /* of a redirect */
	bool overloaded;           /* x-envoy-overloaded */
	const struct http_operations *operations; /* NULL: none */
	const char *flag;    /* RESPONSE_FLAGS; NULL: none */
	const char *details; /* RESPONSE_CODE_DETAILS */
};

/* What a policy says by itself: the host is not allowed; no route fits; the route's destination is not known. */
extern const struct http_reply http_reply_blocked;
extern const struct http_reply http_reply_no_route;
extern const struct http_reply http_reply_no_cluster;

/* The answer of a fault that aborts. */
struct http_reply http_reply_fault(uint16_t status);

/* The answer to a request that has a problem. */
struct http_reply http_reply_to_problem(enum http_problem problem);

/* Bytes that http_reply_write() can need. */
size_t http_reply_bound(const struct http_reply *reply);

/*
 * Writes an answer's head, to gRPC (is_grpc) in its own form. Returns whether the body is to follow.
 */
bool http_reply_write(struct http_writer *to, const struct http_reply *reply, bool is_grpc,
	const struct http_client *client);

#endif
