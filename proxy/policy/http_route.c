/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parents, matches, backends and timeouts. What a filter does is in http_route_filter.c.
 */
#include "proxy/policy/http_route.h"

#include "proxy/policy/check.h"
#include "proxy/policy/time_span.h"

#include <string.h>

#define FIELD_COUNT(fields) (sizeof(fields) / sizeof *(fields))

#define ISTIO_GROUP "networking.istio.io"

/* --- parents */

bool http_route_parent_is_entry(const struct http_route_parent *parent)
{
	return strcmp(parent->kind, "ServiceEntry") == 0 && strcmp(parent->group, ISTIO_GROUP) == 0;
}

static void read_parent(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"group", reader_text, offsetof(struct http_route_parent, group)},
		{"kind", reader_text, offsetof(struct http_route_parent, kind)},
		{"name", reader_text, offsetof(struct http_route_parent, name)},
		{"namespace", reader_text, offsetof(struct http_route_parent, namespace_)},
		{"port", reader_integer, offsetof(struct http_route_parent, port)},
		{"sectionName", NULL, 0},
	};
	struct http_route_parent *parent = target;

	parent->group = "gateway.networking.k8s.io";
	parent->kind = "Gateway";
	parent->name = "";
	reader_object(r, node, fields, FIELD_COUNT(fields), parent);
	if (r->no_memory)
		return;
	if (*parent->name == '\0')
		reader_error(r, "name", "name is required");
	if (parent->port != 0)
		check_port(r, "port", parent->port);
	if (!http_route_parent_is_entry(parent))
		reader_warn(r, "", "parent %s of group \"%s\" has no effect in a pod: a ServiceEntry of group " ISTIO_GROUP " has",
			parent->kind, parent->group);
}

static void read_parents(struct reader *r, const struct node *node, void *target)
{
	struct http_route *route = target;

	route->parents = reader_items(r, node, sizeof *route->parents, read_parent, "parentRef may not be null",
		&route->parent_count);
}

/* --- matches */

struct raw_value {
	const char *type;
	const char *name;
	const char *value;
};

static void finish_value(struct reader *r, const struct raw_value *raw, const char *where, struct string_match *match)
{
	match->text = raw->value;
	if (strcmp(raw->type, "Exact") == 0) {
		match->type = MATCH_EXACT;
	} else if (strcmp(raw->type, "RegularExpression") == 0) {
		match->type = MATCH_REGEX;
		match->pattern = route_compile(r, where, raw->value);
	} else {
		reader_error(r, "type", "unknown value \"%.100s\"; valid: Exact, RegularExpression", raw->type);
	}
}

static void read_path(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"type", reader_text, offsetof(struct raw_value, type)},
		{"value", reader_text, offsetof(struct raw_value, value)},
	};
	struct raw_value raw = {.type = "PathPrefix", .value = "/"};
	struct string_match *match = target;
	size_t length;

	reader_object(r, node, fields, FIELD_COUNT(fields), &raw);
	if (r->no_memory)
		return;
	if (strcmp(raw.type, "RegularExpression") != 0 && *raw.value != '/')
		reader_error(r, "value", "value must be an absolute path and start with '/'");
	if (strcmp(raw.type, "PathPrefix") != 0) {
		finish_value(r, &raw, "path", match);
		return;
	}
	/* "/a/" means the segment "a", as "/a" does. */
	length = strlen(raw.value);
	match->type = MATCH_PATH_PREFIX;
	match->text = length > 1 && raw.value[length - 1] == '/' ? arena_copy(r->arena, raw.value, length - 1) : raw.value;
	if (match->text == NULL)
		(void)reader_no_memory(r);
}

static void read_named_value(struct reader *r, const struct node *node, const char *where, struct named_match *match)
{
	static const struct reader_field fields[] = {
		{"type", reader_text, offsetof(struct raw_value, type)},
		{"name", reader_text, offsetof(struct raw_value, name)},
		{"value", reader_text, offsetof(struct raw_value, value)},
	};
	struct raw_value raw = {.type = "Exact", .name = "", .value = ""};

	reader_object(r, node, fields, FIELD_COUNT(fields), &raw);
	if (r->no_memory)
		return;
	match->name = raw.name;
	if (*raw.name == '\0')
		reader_error(r, "name", "name is required");
	finish_value(r, &raw, where, &match->value);
}

static void read_header_value(struct reader *r, const struct node *node, void *target)
{
	struct named_match *match = target;

	read_named_value(r, node, "headers", match);
	if (match->name != NULL && *match->name != '\0')
		check_header_name(r, "name", match->name, true);
}

static void read_query_value(struct reader *r, const struct node *node, void *target)
{
	read_named_value(r, node, "queryParams", target);
}

static void read_header_values(struct reader *r, const struct node *node, void *target)
{
	struct named_matches *matches = target;

	matches->items = reader_items(r, node, sizeof *matches->items, read_header_value, "match may not be null",
		&matches->count);
}

static void read_query_values(struct reader *r, const struct node *node, void *target)
{
	struct named_matches *matches = target;

	matches->items = reader_items(r, node, sizeof *matches->items, read_query_value, "match may not be null",
		&matches->count);
}

static void read_method(struct reader *r, const struct node *node, void *target)
{
	static const char *const words[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"};
	struct string_match *match = target;

	match->type = MATCH_EXACT;
	match->text = words[reader_word(r, node, words, FIELD_COUNT(words), 0)];
}

static void read_match(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"path", read_path, offsetof(struct http_match, uri)},
		{"headers", read_header_values, offsetof(struct http_match, headers)},
		{"queryParams", read_query_values, offsetof(struct http_match, queries)},
		{"method", read_method, offsetof(struct http_match, method)},
	};
	struct http_match *match = target;

	match->uri = (struct string_match){.type = MATCH_PATH_PREFIX, .text = "/"};
	reader_object(r, node, fields, FIELD_COUNT(fields), match);
}

static void read_matches(struct reader *r, const struct node *node, void *target)
{
	struct http_rule *rule = target;

	rule->matches = reader_items(r, node, sizeof *rule->matches, read_match, "match may not be null", &rule->match_count);
}

/* --- backends */

struct raw_backend {
	const char *group;
	const char *kind;
	const char *name;
	const char *namespace_;
	struct number port;
	struct number weight;
	const struct route_headers *headers;
};

/* A backend that is not there, or cannot be, answers its share of the requests with 500. */
static void finish_backend(struct reader *r, const struct raw_backend *raw, struct route_destination *destination)
{
	if (strcmp(raw->kind, "Hostname") == 0 && strcmp(raw->group, ISTIO_GROUP) == 0) {
		if (raw->namespace_ != NULL)
			reader_error(r, "namespace", "namespace may not be set with Hostname type");
		if (!raw->port.is_set)
			reader_error(r, "port", "port is required in backendRef");
		destination->destination.host = check_host(r, "name", raw->name, false);
	} else if (strcmp(raw->kind, "Service") == 0 && *raw->group == '\0') {
		reader_warn(r, "", "backend(%s.%s.svc.cluster.local) not found", raw->name,
			raw->namespace_ != NULL ? raw->namespace_ : r->namespace_);
	} else {
		reader_warn(r, "", "referencing unsupported backendRef: group \"%s\" kind \"%s\"", raw->group, raw->kind);
	}
	if (raw->port.is_set)
		check_port(r, "port", raw->port.value);
	if (raw->weight.is_set && (raw->weight.value < 0 || raw->weight.value > 1000000))
		reader_error(r, "weight", "weight %d is not in range 0..1000000", raw->weight.value);
	destination->destination.port = raw->port.value;
	destination->weight = raw->weight.is_set ? raw->weight.value : 1;
	destination->headers = raw->headers;
}

static void read_backend(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"group", reader_text, offsetof(struct raw_backend, group)},
		{"kind", reader_text, offsetof(struct raw_backend, kind)},
		{"name", reader_text, offsetof(struct raw_backend, name)},
		{"namespace", reader_text, offsetof(struct raw_backend, namespace_)},
		{"port", reader_number, offsetof(struct raw_backend, port)},
		{"weight", reader_number, offsetof(struct raw_backend, weight)},
		{"filters", http_route_read_backend_filters, offsetof(struct raw_backend, headers)},
	};
	struct raw_backend raw = {.group = "", .kind = "Service", .name = ""};

	reader_object(r, node, fields, FIELD_COUNT(fields), &raw);
	if (!r->no_memory)
		finish_backend(r, &raw, target);
}

static void read_backends(struct reader *r, const struct node *node, void *target)
{
	struct route_destinations *route = target;

	route->items = reader_items(r, node, sizeof *route->items, read_backend, "backendRef may not be null", &route->count);
}

/* --- rules */

static void read_gateway_duration(struct reader *r, const struct node *node, void *target)
{
	struct duration *duration = target;

	if (node->type != NODE_SCALAR || time_span_parse_gateway(node->text, &duration->nanoseconds) < 0)
		reader_error(r, "", "must be a duration of the Gateway API (GEP-2257), such as 3s, 1h30m or 500ms");
	else
		duration->is_set = true;
}

struct raw_timeouts {
	struct duration request;
	struct duration backend_request;
};

/* Without retries of its own, the time for a backend's answer is the time for the request. Zero is no limit. */
static void read_timeouts(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"request", read_gateway_duration, offsetof(struct raw_timeouts, request)},
		{"backendRequest", read_gateway_duration, offsetof(struct raw_timeouts, backend_request)},
	};
	struct raw_timeouts raw = {.request.is_set = false};
	struct duration *timeout = target;

	reader_object(r, node, fields, FIELD_COUNT(fields), &raw);
	if (raw.request.is_set && raw.backend_request.is_set && raw.request.nanoseconds != 0 &&
		raw.backend_request.nanoseconds > raw.request.nanoseconds)
		reader_error(r, "", "backendRequest timeout cannot be longer than request timeout");
	*timeout = raw.backend_request.is_set ? raw.backend_request : raw.request;
	if (timeout->nanoseconds == 0)
		timeout->is_set = false;
}

static void read_rule(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"name", reader_ignore, 0},
		{"matches", read_matches, 0},
		{"filters", http_route_read_filters, 0},
		{"backendRefs", read_backends, offsetof(struct http_rule, route)},
		{"timeouts", read_timeouts, offsetof(struct http_rule, timeout)},
		{"retry", NULL, 0},
		{"sessionPersistence", NULL, 0},
	};
	struct http_rule *rule = target;

	reader_object(r, node, fields, FIELD_COUNT(fields), rule);
	if (rule->redirect != NULL && rule->rewrite != NULL)
		reader_error(r, "filters", "May specify either httpRouteFilterRequestRedirect or httpRouteFilterRequestRewrite, but "
					   "not both");
	if (rule->redirect != NULL && rule->route.count > 0)
		reader_error(r, "backendRefs", "RequestRedirect filter must not be used together with backendRefs");
	if (rule->redirect == NULL && rule->route.count == 0)
		reader_warn(r, "", "without backendRefs requests get 500");
}

static void read_rules(struct reader *r, const struct node *node, void *target)
{
	struct http_route *route = target;

	route->rules = reader_items(r, node, sizeof *route->rules, read_rule, "rule may not be null", &route->rule_count);
}

void http_route_read(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"parentRefs", read_parents, 0},
		{"hostnames", reader_ignore, 0}, /* with a ServiceEntry as parent, its hosts count */
		{"rules", read_rules, 0},
	};
	const struct http_route *route = target;

	reader_object(r, node, fields, FIELD_COUNT(fields), target);
	if (route->parent_count == 0 && !r->failed)
		reader_warn(r, "parentRefs", "without a parent the route has no effect");
}
