/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTPRoute of the Gateway API, with a ServiceEntry as its parent.
 */
#ifndef WEIR_POLICY_HTTP_ROUTE_H
#define WEIR_POLICY_HTTP_ROUTE_H

#include "proxy/policy/reader.h"
#include "proxy/policy/route.h"

struct http_route_parent {
	const char *group;
	const char *kind;
	const char *name;
	const char *namespace_; /* NULL: the route's own */
	int32_t port;           /* 0: all ports */
};

/* Rules are as a VirtualService has them; a destination without a host is a backend that cannot be one. */
struct http_route {
	struct http_route_parent *parents;
	size_t parent_count;
	struct http_rule *rules;
	size_t rule_count;
};

/* Reads the spec of an HTTPRoute into a struct http_route, and checks it. */
void http_route_read(struct reader *r, const struct node *node, void *target);

/* Whether a parent is a ServiceEntry. */
bool http_route_parent_is_entry(const struct http_route_parent *parent);

/* Reads a list of filters into a struct http_rule; for http_route.c. */
void http_route_read_filters(struct reader *r, const struct node *node, void *target);

/* Reads the filters of a backend into a const struct route_headers *; for http_route.c. */
void http_route_read_backend_filters(struct reader *r, const struct node *node, void *target);

#endif
