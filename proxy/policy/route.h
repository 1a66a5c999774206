/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes as VirtualService and HTTPRoute both mean them, and the reading of the parts that a VirtualService writes.
 */
#ifndef WEIR_POLICY_ROUTE_H
#define WEIR_POLICY_ROUTE_H

#include "proxy/policy/pattern.h"
#include "proxy/policy/reader.h"
#include "proxy/policy/subnet.h"

/* Status codes that one retryOn may name. */
#define ROUTE_RETRY_CODE_MAX 16u

enum match_type {
	MATCH_NONE,  /* no condition */
	MATCH_EXACT,
	MATCH_PREFIX,
	MATCH_PATH_PREFIX, /* whole segments: "/a" matches "/a/b", not "/ab" */
	MATCH_REGEX,
	MATCH_PRESENT
};

struct string_match {
	enum match_type type;
	bool ignore_case;
	const char *text;
	const struct pattern *pattern; /* MATCH_REGEX */
};

struct named_match {
	const char *name;
	struct string_match value;
};

struct named_matches {
	struct named_match *items;
	size_t count;
};

/* All conditions must hold. */
struct http_match {
	const char *name;
	struct string_match uri;
	struct string_match scheme;
	struct string_match method;
	struct string_match authority;
	struct named_matches headers;
	struct named_matches without_headers;
	struct named_matches queries;
	bool ignore_uri_case;
	int32_t port; /* 0: any */
	struct pairs source_labels;
	const char *source_namespace; /* NULL: any */
	struct texts gateways;
};

struct header_operations {
	struct pairs set;
	struct pairs add;
	struct texts remove;
};

struct route_headers {
	struct header_operations request;
	struct header_operations response;
};

struct destination {
	const char *host; /* NULL: a backend that cannot be one */
	const char *subset; /* NULL: none */
	int32_t port; /* 0: not given */
};

struct route_destination {
	struct destination destination;
	int32_t weight;
	const struct route_headers *headers; /* NULL: none */
};

struct route_destinations {
	struct route_destination *items;
	size_t count;
};

enum retry_on {
	RETRY_CONNECT_FAILURE = 1 << 0,
	RETRY_REFUSED_STREAM = 1 << 1,
	RETRY_UNAVAILABLE = 1 << 2,
	RETRY_CANCELLED = 1 << 3,
	RETRY_STATUS_CODES = 1 << 4, /* those of `codes` */
	RETRY_5XX = 1 << 5,
	RETRY_GATEWAY_ERROR = 1 << 6,
	RETRY_RESET = 1 << 7,
	RETRY_RETRIABLE_4XX = 1 << 8,
	RETRY_RESET_BEFORE_REQUEST = 1 << 9,
	RETRY_DEADLINE_EXCEEDED = 1 << 10,
	RETRY_INTERNAL = 1 << 11,
	RETRY_RESOURCE_EXHAUSTED = 1 << 12,
	RETRY_STATUS_CODE_HEADERS = 1 << 13, /* by what the answer's headers say: none are declared, so it never applies */
	RETRY_ENVOY_RATELIMITED = 1 << 14,
};

struct route_retries {
	int32_t attempts; /* after the first try; 0: none */
	struct duration per_try_timeout;
	const char *retry_on_text; /* as written; NULL: the default */
	unsigned retry_on; /* enum retry_on, or-ed */
	uint16_t codes[ROUTE_RETRY_CODE_MAX];
	unsigned code_count;
};

struct fault_percent {
	bool is_set;
	double value; /* of requests, 0 to 100 */
};

struct route_fault {
	bool has_delay;
	bool has_abort;
	struct fault_percent delay_percent;
	struct duration delay;
	struct fault_percent abort_percent;
	struct number abort_status; /* HTTP */
	struct number abort_grpc_status; /* where no HTTP status is set */
};

struct route_rewrite {
	const char *uri;       /* instead of what the route matched; NULL: none */
	const char *full_path; /* instead of the whole path; NULL: none */
	bool segments;         /* `uri` stands for whole segments, so that exactly one slash is between it and the rest */
	const char *authority; /* NULL: none */
	const struct pattern *pattern; /* what matches becomes `substitution`, in which \0 to \9 are groups; NULL: none */
	const char *substitution;
};

enum redirect_port { REDIRECT_PORT_DEFAULT, REDIRECT_PORT_REQUEST, REDIRECT_PORT_NUMBER };

struct route_redirect {
	const char *uri; /* NULL: none; "%PREFIX()%..." replaces what was matched */
	const struct route_rewrite *rewrite; /* the Gateway API's path of a redirect; NULL: none */
	const char *authority;
	const char *scheme;
	enum redirect_port port_kind;
	bool omits_default_port; /* a port that the scheme implies is not written (the Gateway API) */
	int32_t port;
	int32_t code; /* 0: 301 */
};

struct direct_response {
	int32_t status;
	const char *body; /* NULL: none */
	size_t body_length;
};

struct http_rule {
	const char *name; /* NULL: none */
	struct http_match *matches; /* any of them; none: always */
	size_t match_count;
	struct route_destinations route;
	struct duration timeout;
	const struct route_retries *retries; /* NULL: the default policy */
	const struct route_fault *fault;
	const struct route_rewrite *rewrite;
	const struct route_headers *headers;
	const struct route_redirect *redirect;
	const struct direct_response *response;
};

/* For TLS and TCP. */
struct stream_match {
	struct texts sni_hosts;
	struct texts destination_subnets;
	struct subnet *subnets; /* as many */
	int32_t port; /* 0: any */
	struct pairs source_labels;
	const char *source_namespace; /* NULL: any */
	struct texts gateways;
};

struct stream_rule {
	struct stream_match *matches;
	size_t match_count;
	struct route_destinations route;
};

/* Istio's policy where a route says nothing of retries. */
extern const struct route_retries route_default_retries;

/* Compiles a regular expression. Returns NULL after an error in Istio's words. */
const struct pattern *route_compile(struct reader *r, const char *where, const char *expression);

/* Readers of parts of an http route; the target's type is the first one named. */
void route_read_matches(struct reader *r, const struct node *node, void *target);      /* struct http_rule */
void route_read_destinations(struct reader *r, const struct node *node, void *target); /* struct route_destinations, of http */
void route_read_stream_destinations(struct reader *r, const struct node *node, void *target); /* the same, of tls and tcp */
void route_read_headers(struct reader *r, const struct node *node, void *target);  /* const struct route_headers * */
void route_read_retries(struct reader *r, const struct node *node, void *target);  /* const struct route_retries * */
void route_read_fault(struct reader *r, const struct node *node, void *target);    /* const struct route_fault * */
void route_read_rewrite(struct reader *r, const struct node *node, void *target);  /* const struct route_rewrite * */
void route_read_redirect(struct reader *r, const struct node *node, void *target); /* const struct route_redirect * */
void route_read_response(struct reader *r, const struct node *node, void *target); /* const struct direct_response * */

/* Checks names and values of header changes. */
void route_check_headers(struct reader *r, const struct route_headers *headers);

#endif
