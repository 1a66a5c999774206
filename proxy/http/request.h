/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request: what a decision is made of, and how it is passed on. Pure.
 *
 * What goes upstream is what Envoy 1.31 in Istio 1.23 sends: "host" first, then the client's headers in their order and
 * in lower case, without those that belong to the connection or steer a proxy, then the proxy's own. One that the client
 * has sent itself is overwritten in its place.
 */
#ifndef WEIR_PROXY_HTTP_REQUEST_H
#define WEIR_PROXY_HTTP_REQUEST_H

#include "proxy/http/framing.h"
#include "proxy/http/operations.h"

/* Bytes of randomness that an x-request-id takes. */
#define HTTP_RANDOM_SIZE 16

/* Elements that a Connection header may have, less one. */
#define HTTP_CONNECTION_ELEMENTS_MAX 9

/* Pieces of the bytes that were read; they live as long as those. */
struct http_request {
	enum http_problem problem;  /* a readable one: the request is to be refused */
	struct http_text method;
	struct http_text path;      /* normalised, with the query; none for CONNECT */
	struct http_text authority; /* none: HTTP/1.0 without Host; or the request has a problem */
	uint8_t minor;
	bool is_head;
	bool is_grpc;
	bool is_upgrade; /* to a websocket */
	bool is_trusted; /* it comes from a private address, as it says itself: its own x-envoy-* count */
	struct http_framing framing;
	struct http_dropped dropped;
	const struct http_head *head; /* its fields are for matching */
};

/* How a request is passed on. What it points to outlives the request. */
struct http_forward {
	struct http_text authority; /* instead of the client's; none: the client's */
	struct http_text path;      /* instead of the first `path_cut` bytes of the path; none: the client's */
	size_t path_cut;
	struct http_text decorator; /* x-envoy-decorator-operation; none: the client's stays */
	uint64_t timeout;           /* milliseconds, for x-envoy-expected-rq-timeout-ms; 0: none */
	struct http_operations request;
	struct http_operations response;
};

/* What the access log asks of a request; a text without data is "-". */
struct http_names {
	struct http_text method;
	struct http_text path; /* as it was before it was rewritten */
	struct http_text authority;
	struct http_text user_agent;
	struct http_text request_id;
	struct http_text forwarded_for;
};

/* Reads what a head means. `scratch` is for a path that has to be normalised. Returns HTTP_FINE or what is wrong. */
enum http_problem http_request_read(struct http_request *request, const struct http_head *head,
	struct http_writer *scratch);

/*
 * A trusted client's own wish in a header, such as HTTP_NAME_X_ENVOY_UPSTREAM_RQ_TIMEOUT_MS. Returns false where there is
 * none, where it is no number, or where the client is not trusted.
 */
bool http_request_wish(const struct http_request *request, enum http_name name, uint64_t *ret_number);

/* Bytes that http_request_write() can need, with a little left for http_request_count(). */
size_t http_request_bound(const struct http_request *request, const struct http_forward *route);

/*
 * Writes the head that goes upstream, for the first attempt, and tells where the names for the log are in it. Without
 * `random` it has no headers of the proxy's: it is for the log alone.
 */
void http_request_write(struct http_writer *to, const struct http_request *request, const struct http_forward *route,
	const uint8_t *random, struct http_names *ret_names);

/* Makes a head that was written one of a later attempt. */
void http_request_count(struct http_writer *written, unsigned attempt, struct http_names *names);

#endif
