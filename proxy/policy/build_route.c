/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules become routes: one for each match that can be for this pod and port, in the order in which they are tried, with
 * their destinations looked up.
 */
#include "proxy/policy/build.h"
#include "proxy/policy/check.h"
#include "proxy/policy/virtual_service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What answers where a destination is not declared: a VirtualService's, and an HTTPRoute's. */
#define MISSING_IN_SERVICE 503
#define MISSING_IN_ROUTE 500

/* --- destinations */

static void warn_of_missing(struct builder *b, const struct store_item *item, const struct destination *destination,
	uint16_t port, uint16_t status)
{
	if (destination->host == NULL)
		return;
	if (status == MISSING_IN_ROUTE)
		build_warn(b, item, "backend(%s) not found", destination->host);
	else
		build_warn(b, item, "destination host %s%s%s, port %u is not declared", destination->host,
			destination->subset != NULL ? ", subset " : "", destination->subset != NULL ? destination->subset : "",
			destination->port != 0 ? (unsigned)destination->port : port);
}

static int make_shares(struct builder *b, const struct store_item *item, const struct route_destinations *route,
	uint16_t port, uint16_t missing_status, struct policy_shares *out)
{
	struct policy_share *shares;

	*out = (struct policy_shares){.items = NULL};
	if (route->count == 0)
		return 0;
	shares = arena_array(&b->policy->arena, route->count, sizeof *shares);
	if (shares == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < route->count; i++) {
		const struct route_destination *destination = &route->items[i];
		int rc = build_destination(b, &destination->destination, port, &shares[i].cluster);

		if (rc < 0)
			return rc;
		if (shares[i].cluster == NULL)
			warn_of_missing(b, item, &destination->destination, port, missing_status);
		shares[i].weight = (uint32_t)destination->weight;
		shares[i].headers = destination->headers;
		out->total += shares[i].weight;
	}
	out->items = shares;
	out->count = route->count;
	return 0;
}

/* In Istio the only destination needs no weight; in the Gateway API its weight may be zero, and then it gets nothing. */
static void weigh_single(struct policy_shares *shares)
{
	if (shares->count == 1 && shares->total == 0)
		shares->total = 1;
}

/* --- what a match asks of the pod, and of the port */

static bool is_for_pod(const struct builder *b, const struct pairs *labels, const char *namespace_,
	const struct texts *gateways)
{
	return check_labels_match(labels, &b->options->labels) && virtual_service_is_mesh(gateways) &&
	       (namespace_ == NULL || strcmp(namespace_, b->options->namespace_) == 0);
}

static bool is_for(const struct builder *b, const struct http_match *match, uint16_t port)
{
	return (match->port == 0 || match->port == port) &&
	       is_for_pod(b, &match->source_labels, match->source_namespace, &match->gateways);
}

/* --- the operation that the destination is told */

static const char *describe(struct builder *b, const struct policy_route *route, const char *service_name, uint16_t port)
{
	const struct string_match *uri = route->match != NULL ? &route->match->uri : NULL;
	bool single = route->shares.count == 1 && route->shares.items[0].cluster != NULL;
	const char *host = single ? route->shares.items[0].cluster->host : service_name;
	unsigned number = single ? route->shares.items[0].cluster->port : port;
	const char *path = "/*";
	const char *star = "";

	if (uri != NULL && uri->type == MATCH_PREFIX) {
		path = uri->text;
		star = "*";
	} else if (uri != NULL && (uri->type == MATCH_EXACT || uri->type == MATCH_REGEX)) {
		path = uri->text;
	}
	return arena_format(&b->policy->arena, "%s:%u%s%s", host, number, path, star);
}

/* --- VirtualServices */

static int name_route(struct builder *b, struct policy_route *route)
{
	const char *rule = route->rule->name;
	const char *match = route->match != NULL ? route->match->name : NULL;

	route->name = rule;
	if (match != NULL && *match != '\0')
		route->name = arena_format(&b->policy->arena, "%s.%s", rule != NULL ? rule : "", match);
	if (route->name != NULL && *route->name == '\0')
		route->name = NULL;
	return match == NULL || *match == '\0' || route->name != NULL ? 0 : -ENOMEM;
}

static int add_service_route(struct builder *b, const struct store_item *item, uint16_t port, const struct http_rule *rule,
	const struct http_match *match, struct policy_route *route)
{
	int rc;

	*route = (struct policy_route){.rule = rule, .match = match, .missing_status = MISSING_IN_SERVICE};
	rc = make_shares(b, item, &rule->route, port, MISSING_IN_SERVICE, &route->shares);
	weigh_single(&route->shares);
	if (rc == 0)
		rc = name_route(b, route);
	if (rc == 0 && route->shares.count > 0) {
		route->operation = describe(b, route, item->resource->name, port);
		rc = route->operation != NULL ? 0 : -ENOMEM;
	}
	return rc;
}

static size_t count_matches(const struct http_rule *rules, size_t count)
{
	size_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += rules[i].match_count > 0 ? rules[i].match_count : 1;
	return sum;
}

int build_service_routes(struct builder *b, const struct store_item *item, uint16_t port, struct policy_rules *rules)
{
	const struct virtual_service *service = item->resource->virtual_service;
	size_t most = count_matches(service->http, service->http_count);
	struct policy_route *routes = arena_array(&b->policy->arena, most, sizeof *routes);
	size_t count = 0;

	if (routes == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < service->http_count; i++) {
		const struct http_rule *rule = &service->http[i];
		int rc = 0;

		if (rule->match_count == 0)
			rc = add_service_route(b, item, port, rule, NULL, &routes[count++]);
		for (size_t j = 0; j < rule->match_count && rc == 0; j++)
			if (is_for(b, &rule->matches[j], port))
				rc = add_service_route(b, item, port, rule, &rule->matches[j], &routes[count++]);
		if (rc < 0)
			return rc;
	}
	rules->routes = routes;
	rules->route_count = count;
	return 0;
}

/* --- HTTPRoutes: all that a host has, in the Gateway API's order */

struct candidate {
	struct policy_route route;
	size_t order; /* of what is equal otherwise */
};

static int path_rank(const struct string_match *path)
{
	switch (path->type) {
	case MATCH_EXACT:
		return 3;
	case MATCH_PATH_PREFIX:
		return 2;
	case MATCH_REGEX:
		return 1;
	default:
		return 0;
	}
}

static int compare_sizes(size_t a, size_t b)
{
	return (a < b) - (a > b);
}

/* The closer match first: by path, its length, the method, headers, query parameters. */
static int compare_candidates(const void *x, const void *y)
{
	static const struct http_match always = {.uri = {.type = MATCH_PATH_PREFIX, .text = "/"}};
	const struct candidate *a = x;
	const struct candidate *b = y;
	const struct http_match *m = a->route.match != NULL ? a->route.match : &always;
	const struct http_match *n = b->route.match != NULL ? b->route.match : &always;
	int order = path_rank(&n->uri) - path_rank(&m->uri);

	if (order == 0 && m->uri.text != NULL && n->uri.text != NULL)
		order = compare_sizes(strlen(m->uri.text), strlen(n->uri.text));
	if (order == 0)
		order = (m->method.type == MATCH_NONE) - (n->method.type == MATCH_NONE);
	if (order == 0)
		order = compare_sizes(m->headers.count, n->headers.count);
	if (order == 0)
		order = compare_sizes(m->queries.count, n->queries.count);
	return order != 0 ? order : (a->order > b->order) - (a->order < b->order);
}

static int add_candidate(struct builder *b, const struct store_item *item, uint16_t port, size_t index,
	const struct http_match *match, struct policy_route *route)
{
	const struct http_rule *rule = &item->resource->http_route->rules[index];
	int rc;

	*route = (struct policy_route){.rule = rule, .match = match, .missing_status = MISSING_IN_ROUTE};
	rc = make_shares(b, item, &rule->route, port, MISSING_IN_ROUTE, &route->shares);
	if (rc < 0)
		return rc;
	route->name = arena_format(&b->policy->arena, "%s.%s.%zu", item->resource->namespace_, item->resource->name, index);
	if (route->shares.count > 0) {
		char *service = arena_format(&b->scratch, "%s-0-istio-autogenerated-k8s-gateway", item->resource->name);

		route->operation = service != NULL ? describe(b, route, service, port) : NULL;
	}
	return route->name != NULL && (route->operation != NULL || route->shares.count == 0) ? 0 : -ENOMEM;
}

static int add_candidates(struct builder *b, const struct store_item *item, uint16_t port, struct candidate *candidates,
	size_t *count)
{
	const struct http_route *route = item->resource->http_route;

	for (size_t i = 0; i < route->rule_count; i++) {
		const struct http_rule *rule = &route->rules[i];
		size_t matches = rule->match_count > 0 ? rule->match_count : 1;

		for (size_t j = 0; j < matches; j++) {
			struct candidate *candidate = &candidates[*count];
			int rc = add_candidate(b, item, port, i, rule->match_count > 0 ? &rule->matches[j] : NULL, &candidate->route);

			if (rc < 0)
				return rc;
			candidate->order = (*count)++;
		}
	}
	return 0;
}

static bool is_for_port(const struct build_attachment *attachment, uint16_t port)
{
	return attachment->port == 0 || attachment->port == port;
}

static int sort_candidates(struct builder *b, struct candidate *candidates, size_t count, struct policy_rules *rules)
{
	struct policy_route *routes = arena_array(&b->policy->arena, count, sizeof *routes);

	if (routes == NULL)
		return -ENOMEM;
	if (count > 1)
		qsort(candidates, count, sizeof *candidates, compare_candidates);
	for (size_t i = 0; i < count; i++)
		routes[i] = candidates[i].route;
	rules->routes = routes;
	rules->route_count = count;
	return 0;
}

int build_attached_routes(struct builder *b, const struct build_group *group, uint16_t port, struct policy_rules *rules)
{
	struct candidate *candidates;
	size_t most = 0;
	size_t count = 0;
	int rc = 0;

	for (const struct build_attachment *a = group->attachments; a != NULL; a = a->next)
		if (is_for_port(a, port))
			most += count_matches(a->item->resource->http_route->rules, a->item->resource->http_route->rule_count);
	if (most == 0)
		return 0;
	candidates = malloc(most * sizeof *candidates);
	if (candidates == NULL)
		return -ENOMEM;
	for (const struct build_attachment *a = group->attachments; a != NULL && rc == 0; a = a->next)
		if (is_for_port(a, port))
			rc = add_candidates(b, a->item, port, candidates, &count);
	if (rc == 0)
		rc = sort_candidates(b, candidates, count, rules);
	free(candidates);
	return rc;
}

/* --- TLS and TCP */

static int add_stream(struct builder *b, const struct store_item *item, uint16_t port, const struct stream_rule *rule,
	const struct stream_match *match, struct policy_stream *stream)
{
	int rc;

	stream->match = match;
	rc = make_shares(b, item, &rule->route, port, MISSING_IN_SERVICE, &stream->shares);
	weigh_single(&stream->shares);
	return rc;
}

static bool is_stream_for(const struct builder *b, const struct stream_match *match, uint16_t port)
{
	return (match->port == 0 || match->port == port) &&
	       is_for_pod(b, &match->source_labels, match->source_namespace, &match->gateways);
}

int build_streams(struct builder *b, const struct store_item *item, enum build_class class, uint16_t port,
	struct policy_rules *out)
{
	const struct virtual_service *service = item->resource->virtual_service;
	const struct stream_rule *rules = class == BUILD_TLS ? service->tls : service->tcp;
	size_t rule_count = class == BUILD_TLS ? service->tls_count : service->tcp_count;
	struct policy_stream *streams;
	size_t most = 0;
	size_t count = 0;

	for (size_t i = 0; i < rule_count; i++)
		most += rules[i].match_count > 0 ? rules[i].match_count : 1;
	streams = arena_array(&b->policy->arena, most, sizeof *streams);
	if (streams == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < rule_count; i++) {
		int rc = 0;

		if (rules[i].match_count == 0)
			rc = add_stream(b, item, port, &rules[i], NULL, &streams[count++]);
		for (size_t j = 0; j < rules[i].match_count && rc == 0; j++)
			if (is_stream_for(b, &rules[i].matches[j], port))
				rc = add_stream(b, item, port, &rules[i], &rules[i].matches[j], &streams[count++]);
		if (rc < 0)
			return rc;
	}
	out->streams = streams;
	out->stream_count = count;
	return 0;
}
