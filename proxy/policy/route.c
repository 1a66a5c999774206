/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a route leads, and what it does on the way.
 */
#include "proxy/policy/route.h"

#include "proxy/policy/check.h"
#include "proxy/policy/name.h"

#include <stdlib.h>
#include <string.h>

#define FIELD_COUNT(fields) (sizeof(fields) / sizeof *(fields))

/* --- destinations */

static void read_port_selector(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {{"number", reader_integer, 0}};
	int32_t *number = target;

	reader_object(r, node, fields, FIELD_COUNT(fields), number);
	check_port(r, "number", *number);
}

static void read_destination(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"host", reader_text, offsetof(struct destination, host)},
		{"subset", reader_text, offsetof(struct destination, subset)},
		{"port", read_port_selector, offsetof(struct destination, port)},
	};
	struct destination *destination = target;

	destination->host = "";
	reader_object(r, node, fields, FIELD_COUNT(fields), destination);
	if (destination->host == NULL)
		return;
	if (strcmp(destination->host, "*") == 0)
		reader_error(r, "host", "invalid destination host %s", destination->host);
	else
		destination->host = check_host(r, "host", destination->host, true);
	if (destination->subset != NULL && !name_is_label(destination->subset))
		reader_error(r, "subset", "subset name is invalid: %s", destination->subset);
}

static void check_weight(struct reader *r, const struct node *node, int32_t weight)
{
	if (node_is_null(node_get(node, "destination")))
		reader_error(r, "", "destination is required");
	if (weight < 0)
		reader_error(r, "weight", "weight %d < 0", weight);
}

static void read_http_destination(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"destination", read_destination, offsetof(struct route_destination, destination)},
		{"weight", reader_integer, offsetof(struct route_destination, weight)},
		{"headers", route_read_headers, offsetof(struct route_destination, headers)},
	};
	struct route_destination *destination = target;

	reader_object(r, node, fields, FIELD_COUNT(fields), destination);
	check_weight(r, node, destination->weight);
}

static void read_stream_destination(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"destination", read_destination, offsetof(struct route_destination, destination)},
		{"weight", reader_integer, offsetof(struct route_destination, weight)},
	};
	struct route_destination *destination = target;

	reader_object(r, node, fields, FIELD_COUNT(fields), destination);
	check_weight(r, node, destination->weight);
}

/* One destination without a weight gets everything. */
static void check_weights(struct reader *r, const struct route_destinations *destinations)
{
	int64_t total = 0;

	for (size_t i = 0; i < destinations->count; i++)
		total += destinations->items[i].weight;
	if (destinations->count > 1 && total == 0)
		reader_error(r, "", "total destination weight = 0");
	if (total > INT32_MAX)
		reader_error(r, "", "total destination weight %lld is too large", (long long)total);
}

void route_read_destinations(struct reader *r, const struct node *node, void *target)
{
	struct route_destinations *destinations = target;

	destinations->items = reader_items(r, node, sizeof *destinations->items, read_http_destination,
		"weight may not be nil", &destinations->count);
	check_weights(r, destinations);
}

void route_read_stream_destinations(struct reader *r, const struct node *node, void *target)
{
	struct route_destinations *destinations = target;

	destinations->items = reader_items(r, node, sizeof *destinations->items, read_stream_destination,
		"weight may not be nil", &destinations->count);
	check_weights(r, destinations);
}

/* --- headers */

static void read_operations(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"set", reader_pairs, offsetof(struct header_operations, set)},
		{"add", reader_pairs, offsetof(struct header_operations, add)},
		{"remove", reader_texts, offsetof(struct header_operations, remove)},
	};

	reader_object(r, node, fields, FIELD_COUNT(fields), target);
}

/* Bytes that would end the header, or begin another. */
static void check_header_values(struct reader *r, const struct pairs *pairs, bool authority)
{
	for (size_t i = 0; i < pairs->count; i++) {
		const char *value = pairs->items[i].value;

		check_header_name(r, pairs->items[i].name, pairs->items[i].name, authority);
		if (value == NULL)
			continue;
		if (value[strcspn(value, "\r\n")] != '\0')
			reader_error(r, pairs->items[i].name, "header value holds a line break");
		else if (strchr(value, '%') != NULL)
			reader_warn(r, pairs->items[i].name, "%% and what follows is sent as it is: Envoy's variables are not known");
	}
}

static void check_operations(struct reader *r, const char *field, const struct header_operations *operations,
	bool authority)
{
	reader_enter(r, field);
	reader_enter(r, "set");
	check_header_values(r, &operations->set, authority);
	reader_leave(r);
	reader_enter(r, "add");
	check_header_values(r, &operations->add, authority);
	reader_leave(r);
	for (size_t i = 0; i < operations->remove.count; i++)
		check_header_name(r, "remove", operations->remove.items[i], false);
	reader_leave(r);
}

void route_check_headers(struct reader *r, const struct route_headers *headers)
{
	check_operations(r, "request", &headers->request, true);
	check_operations(r, "response", &headers->response, false);
}

static void read_headers(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"request", read_operations, offsetof(struct route_headers, request)},
		{"response", read_operations, offsetof(struct route_headers, response)},
	};

	reader_object(r, node, fields, FIELD_COUNT(fields), target);
	if (!r->failed)
		route_check_headers(r, target);
}

void route_read_headers(struct reader *r, const struct node *node, void *target)
{
	*(const struct route_headers **)target = reader_new(r, node, sizeof(struct route_headers), read_headers);
}

/* --- rewrite */

struct raw_regex {
	const char *match;
	const char *rewrite;
};

static void read_regex_rewrite(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"match", reader_text, offsetof(struct raw_regex, match)},
		{"rewrite", reader_text, offsetof(struct raw_regex, rewrite)},
	};
	struct raw_regex raw = {NULL, NULL};
	struct route_rewrite *rewrite = target;

	reader_object(r, node, fields, FIELD_COUNT(fields), &raw);
	if (raw.match == NULL || raw.rewrite == NULL || *raw.match == '\0' || *raw.rewrite == '\0') {
		reader_error(r, "", "UriRegexRewrite requires both Rewrite and Match fields to be specified");
		return;
	}
	rewrite->pattern = route_compile(r, "HTTPRewrite.UriRegexRewrite.Match", raw.match);
	rewrite->substitution = raw.rewrite;
}

static void read_rewrite(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"uri", reader_text, offsetof(struct route_rewrite, uri)},
		{"authority", reader_text, offsetof(struct route_rewrite, authority)},
		{"uriRegexRewrite", read_regex_rewrite, 0},
	};
	struct route_rewrite *rewrite = target;

	reader_object(r, node, fields, FIELD_COUNT(fields), rewrite);
	if (rewrite->uri != NULL && *rewrite->uri == '\0')
		rewrite->uri = NULL;
	if (rewrite->authority != NULL && *rewrite->authority == '\0')
		rewrite->authority = NULL;
	if (rewrite->uri != NULL && rewrite->substitution != NULL)
		reader_error(r, "", "rewrite may only contain one of URI or UriRegexRewrite");
	if (rewrite->uri == NULL && rewrite->authority == NULL && rewrite->substitution == NULL && !r->failed)
		reader_error(r, "", "rewrite must specify at least one of URI, UriRegexRewrite, or authority. Only one of URI or "
				    "UriRegexRewrite may be specified");
}

void route_read_rewrite(struct reader *r, const struct node *node, void *target)
{
	*(const struct route_rewrite **)target = reader_new(r, node, sizeof(struct route_rewrite), read_rewrite);
}

/* --- redirect */

static void read_derived_port(struct reader *r, const struct node *node, void *target)
{
	static const char *const words[] = {"FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"};
	struct route_redirect *redirect = target;

	redirect->port_kind = (enum redirect_port)reader_word(r, node, words, FIELD_COUNT(words), 0);
}

static void read_redirect_port(struct reader *r, const struct node *node, void *target)
{
	struct route_redirect *redirect = target;

	redirect->port_kind = REDIRECT_PORT_NUMBER;
	reader_integer(r, node, &redirect->port);
	check_port(r, "", redirect->port);
}

static void read_redirect(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"uri", reader_text, offsetof(struct route_redirect, uri)},
		{"authority", reader_text, offsetof(struct route_redirect, authority)},
		{"scheme", reader_text, offsetof(struct route_redirect, scheme)},
		{"port", read_redirect_port, 0},
		{"derivePort", read_derived_port, 0},
		{"redirectCode", reader_integer, offsetof(struct route_redirect, code)},
	};
	struct route_redirect *redirect = target;

	reader_object(r, node, fields, FIELD_COUNT(fields), redirect);
	if (redirect->uri == NULL && redirect->authority == NULL && redirect->scheme == NULL &&
		node_get(node, "port") == NULL && node_get(node, "derivePort") == NULL)
		reader_error(r, "", "redirect must specify URI, authority, scheme, or port");
	if (redirect->code != 0 && (redirect->code < 300 || redirect->code > 399))
		reader_error(r, "redirectCode", "%d is not a valid redirect code, must be 3xx", redirect->code);
	else if (redirect->code != 0 && redirect->code != 301 && redirect->code != 302 && redirect->code != 303 &&
		 redirect->code != 307 && redirect->code != 308)
		reader_warn(r, "redirectCode", "%d redirects nobody: 301, 302, 303, 307 and 308 do", redirect->code);
	if (redirect->scheme != NULL && strcmp(redirect->scheme, "http") != 0 && strcmp(redirect->scheme, "https") != 0)
		reader_error(r, "scheme", "invalid redirect scheme, must be \"http\" or \"https\"");
}

void route_read_redirect(struct reader *r, const struct node *node, void *target)
{
	*(const struct route_redirect **)target = reader_new(r, node, sizeof(struct route_redirect), read_redirect);
}
