/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters of an HTTPRoute: header changes, redirects and rewrites, as routes have them.
 */
#include "proxy/policy/check.h"
#include "proxy/policy/http_route.h"

#include <string.h>

#define FIELD_COUNT(fields) (sizeof(fields) / sizeof *(fields))

/* --- headers */

static void read_header(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"name", reader_text, offsetof(struct pair, name)},
		{"value", reader_text, offsetof(struct pair, value)},
	};
	struct pair *pair = target;

	pair->name = pair->value = "";
	reader_object(r, node, fields, FIELD_COUNT(fields), pair);
}

static void read_headers(struct reader *r, const struct node *node, void *target)
{
	struct pairs *pairs = target;

	pairs->items = reader_items(r, node, sizeof *pairs->items, read_header, "header may not be null", &pairs->count);
}

static void read_operations(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"set", read_headers, offsetof(struct header_operations, set)},
		{"add", read_headers, offsetof(struct header_operations, add)},
		{"remove", reader_texts, offsetof(struct header_operations, remove)},
	};

	reader_object(r, node, fields, FIELD_COUNT(fields), target);
}

/* --- paths and hosts */

struct raw_path {
	const char *type;
	const char *full;
	const char *prefix;
};

static void read_path(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"type", reader_text, offsetof(struct raw_path, type)},
		{"replaceFullPath", reader_text, offsetof(struct raw_path, full)},
		{"replacePrefixMatch", reader_text, offsetof(struct raw_path, prefix)},
	};
	struct raw_path raw = {.type = ""};
	struct route_rewrite *rewrite = target;

	reader_object(r, node, fields, FIELD_COUNT(fields), &raw);
	if (r->no_memory)
		return;
	if (strcmp(raw.type, "ReplaceFullPath") == 0 && raw.full != NULL) {
		rewrite->full_path = raw.full;
	} else if (strcmp(raw.type, "ReplacePrefixMatch") == 0 && raw.prefix != NULL) {
		rewrite->uri = raw.prefix;
		rewrite->segments = true;
	} else {
		reader_error(r, "type", "must be ReplaceFullPath or ReplacePrefixMatch, with the field of that name");
	}
}

static void read_url(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"hostname", reader_text, offsetof(struct route_rewrite, authority)},
		{"path", read_path, 0},
	};

	reader_object(r, node, fields, FIELD_COUNT(fields), target);
}

struct raw_redirect {
	const char *scheme;
	const char *hostname;
	struct route_rewrite path;
	struct number port;
	struct number code;
};

/* Without port and scheme, the request's port stays. */
static void finish_redirect(struct reader *r, const struct raw_redirect *raw, struct route_redirect *redirect)
{
	static const int codes[] = {301, 302, 303, 307, 308};
	bool known = !raw->code.is_set;

	redirect->omits_default_port = true;
	redirect->scheme = raw->scheme;
	redirect->authority = raw->hostname;
	redirect->code = raw->code.is_set ? raw->code.value : 302;
	if (raw->port.is_set) {
		redirect->port_kind = REDIRECT_PORT_NUMBER;
		redirect->port = raw->port.value;
		check_port(r, "port", redirect->port);
	} else if (raw->scheme == NULL) {
		redirect->port_kind = REDIRECT_PORT_REQUEST;
	}
	if (raw->scheme != NULL && strcmp(raw->scheme, "http") != 0 && strcmp(raw->scheme, "https") != 0)
		reader_error(r, "scheme", "invalid redirect scheme, must be \"http\" or \"https\"");
	for (size_t i = 0; i < FIELD_COUNT(codes); i++)
		known = known || codes[i] == redirect->code;
	if (!known)
		reader_error(r, "statusCode", "%d is not a valid redirect code, must be 301, 302, 303, 307 or 308", redirect->code);
}

static void read_redirect(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"scheme", reader_text, offsetof(struct raw_redirect, scheme)},
		{"hostname", reader_text, offsetof(struct raw_redirect, hostname)},
		{"path", read_path, offsetof(struct raw_redirect, path)},
		{"port", reader_number, offsetof(struct raw_redirect, port)},
		{"statusCode", reader_number, offsetof(struct raw_redirect, code)},
	};
	struct route_redirect *redirect = target;
	struct raw_redirect raw = {.scheme = NULL};
	struct route_rewrite *path;

	reader_object(r, node, fields, FIELD_COUNT(fields), &raw);
	finish_redirect(r, &raw, redirect);
	if (raw.path.uri == NULL && raw.path.full_path == NULL)
		return;
	path = reader_alloc(r, 1, sizeof *path);
	if (path != NULL)
		*path = raw.path;
	redirect->rewrite = path;
}

/* --- filters */

struct raw_filter {
	const char *type;
	const struct node *request_headers;
	const struct node *response_headers;
	const struct node *redirect;
	const struct node *rewrite;
};

static void take_node(struct reader *r, const struct node *node, void *target)
{
	(void)r;
	*(const struct node **)target = node;
}

static void read_raw(struct reader *r, const struct node *node, struct raw_filter *raw)
{
	static const struct reader_field fields[] = {
		{"type", reader_text, offsetof(struct raw_filter, type)},
		{"requestHeaderModifier", take_node, offsetof(struct raw_filter, request_headers)},
		{"responseHeaderModifier", take_node, offsetof(struct raw_filter, response_headers)},
		{"requestRedirect", take_node, offsetof(struct raw_filter, redirect)},
		{"urlRewrite", take_node, offsetof(struct raw_filter, rewrite)},
		{"requestMirror", reader_ignore, 0},
		{"extensionRef", reader_ignore, 0},
		{"cors", reader_ignore, 0},
	};

	*raw = (struct raw_filter){.type = ""};
	reader_object(r, node, fields, FIELD_COUNT(fields), raw);
	if (raw->type == NULL)
		raw->type = "";
}

/* Returns false where the type is another one. */
static bool read_modifier(struct reader *r, const struct raw_filter *raw, struct route_headers *headers)
{
	bool request = strcmp(raw->type, "RequestHeaderModifier") == 0;
	const struct node *node = request ? raw->request_headers : raw->response_headers;
	const char *field = request ? "requestHeaderModifier" : "responseHeaderModifier";

	if (!request && strcmp(raw->type, "ResponseHeaderModifier") != 0)
		return false;
	if (node == NULL) {
		reader_error(r, field, "is required with type %s", raw->type);
		return true;
	}
	reader_enter(r, field);
	read_operations(r, node, request ? &headers->request : &headers->response);
	reader_leave(r);
	return true;
}

static void read_redirect_filter(struct reader *r, const struct raw_filter *raw, struct http_rule *rule)
{
	if (raw->redirect == NULL) {
		reader_error(r, "requestRedirect", "is required with type %s", raw->type);
		return;
	}
	reader_enter(r, "requestRedirect");
	rule->redirect = reader_new(r, raw->redirect, sizeof *rule->redirect, read_redirect);
	reader_leave(r);
}

static void read_rewrite_filter(struct reader *r, const struct raw_filter *raw, struct http_rule *rule)
{
	if (raw->rewrite == NULL) {
		reader_error(r, "urlRewrite", "is required with type %s", raw->type);
		return;
	}
	reader_enter(r, "urlRewrite");
	rule->rewrite = reader_new(r, raw->rewrite, sizeof *rule->rewrite, read_url);
	reader_leave(r);
}

/* A filter that is not done must not be passed over: the request would go out as nobody wanted it. */
static void read_filter(struct reader *r, const struct node *node, struct http_rule *rule, struct route_headers *headers)
{
	struct raw_filter raw;

	read_raw(r, node, &raw);
	if (read_modifier(r, &raw, headers))
		return;
	if (rule != NULL && strcmp(raw.type, "RequestRedirect") == 0)
		read_redirect_filter(r, &raw, rule);
	else if (rule != NULL && strcmp(raw.type, "URLRewrite") == 0)
		read_rewrite_filter(r, &raw, rule);
	else if (strcmp(raw.type, "RequestMirror") == 0)
		reader_warn(r, "type", "RequestMirror is not supported, and has no effect");
	else
		reader_error(r, "type", "unsupported filter type \"%s\"", raw.type);
}

static const struct route_headers *read_list(struct reader *r, const struct node *node, struct http_rule *rule)
{
	struct route_headers *headers;
	size_t i = 0;

	if (node->type != NODE_LIST) {
		reader_error(r, "", "must be a list");
		return NULL;
	}
	headers = reader_alloc(r, 1, sizeof *headers);
	if (headers == NULL)
		return NULL;
	for (const struct node_item *item = node->first; item != NULL; item = item->next) {
		reader_enter_index(r, i++);
		read_filter(r, item->value, rule, headers);
		reader_leave(r);
	}
	if (!r->failed)
		route_check_headers(r, headers);
	return headers;
}

void http_route_read_filters(struct reader *r, const struct node *node, void *target)
{
	struct http_rule *rule = target;

	rule->headers = read_list(r, node, rule);
}

void http_route_read_backend_filters(struct reader *r, const struct node *node, void *target)
{
	*(const struct route_headers **)target = read_list(r, node, NULL);
}
