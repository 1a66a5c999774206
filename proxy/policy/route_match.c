/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a route's conditions are, as a VirtualService writes them.
 */
#include "proxy/policy/check.h"
#include "proxy/policy/name.h"
#include "proxy/policy/route.h"

#include <errno.h>
#include <string.h>

#define FIELD_COUNT(fields) (sizeof(fields) / sizeof *(fields))

const struct pattern *route_compile(struct reader *r, const char *where, const char *expression)
{
	const struct pattern *pattern = NULL;
	struct error e;
	int rc;

	if (*expression == '\0') {
		reader_error(r, "", "\"%s\": regex string match should not be empty", where);
		return NULL;
	}
	rc = pattern_compile(r->arena, expression, &pattern, &e);
	if (rc == -ENOMEM)
		return reader_no_memory(r);
	if (rc < 0)
		reader_error(r, "", "\"%s\": %s%s", where, e.text, rc == -EINVAL ? "; Istio uses RE2 style regex-based match "
			"(https://github.com/google/re2/wiki/Syntax)" : "");
	return rc == 0 ? pattern : NULL;
}

/* --- one text */

struct raw_match {
	const char *exact;
	const char *prefix;
	const char *regex;
};

/* Without any of the three, Istio asks for nothing but presence. */
static void read_string(struct reader *r, const struct node *node, const char *where, bool empty_prefix,
	struct string_match *match)
{
	static const struct reader_field fields[] = {
		{"exact", reader_text, offsetof(struct raw_match, exact)},
		{"prefix", reader_text, offsetof(struct raw_match, prefix)},
		{"regex", reader_text, offsetof(struct raw_match, regex)},
	};
	struct raw_match raw = {NULL, NULL, NULL};

	reader_object(r, node, fields, FIELD_COUNT(fields), &raw);
	if ((raw.exact != NULL) + (raw.prefix != NULL) + (raw.regex != NULL) > 1)
		reader_error(r, "", "only one of exact, prefix and regex may be set");
	match->type = MATCH_PRESENT;
	if (raw.exact != NULL) {
		match->type = MATCH_EXACT;
		match->text = raw.exact;
	} else if (raw.prefix != NULL) {
		match->type = MATCH_PREFIX;
		match->text = raw.prefix;
		if (*raw.prefix == '\0' && !empty_prefix)
			reader_error(r, "", "\"%s\": prefix string match should not be empty", where);
	} else if (raw.regex != NULL && strcmp(raw.regex, "*") != 0) {
		match->type = MATCH_REGEX;
		match->text = raw.regex;
		match->pattern = route_compile(r, where, raw.regex);
	}
}

static void read_uri(struct reader *r, const struct node *node, void *target)
{
	read_string(r, node, "uri", true, target);
}

static void read_scheme(struct reader *r, const struct node *node, void *target)
{
	read_string(r, node, "scheme", false, target);
}

static void read_method(struct reader *r, const struct node *node, void *target)
{
	read_string(r, node, "method", false, target);
}

static void read_authority(struct reader *r, const struct node *node, void *target)
{
	read_string(r, node, "authority", false, target);
}

/* --- by name */

static void read_named(struct reader *r, const struct node *node, const char *where, struct named_matches *matches)
{
	size_t i = 0;

	if (node->type != NODE_MAP) {
		reader_error(r, "", "must be an object of matches");
		return;
	}
	if (node->count == 0)
		return;
	matches->items = reader_alloc(r, node->count, sizeof *matches->items);
	if (matches->items == NULL)
		return;
	for (const struct node_item *item = node->first; item != NULL; item = item->next, i++) {
		reader_enter(r, item->key);
		matches->items[i].name = reader_copy(r, item->key);
		matches->items[i].value.type = MATCH_PRESENT;
		if (!node_is_null(item->value))
			read_string(r, item->value, where, false, &matches->items[i].value);
		else if (strcmp(where, "headers") == 0)
			reader_error(r, "", "header match %s cannot be null", item->key);
		reader_leave(r);
	}
	matches->count = node->count;
}

/* Istio has methods and paths of their own; as headers they are never there. */
static void check_names(struct reader *r, const struct named_matches *matches)
{
	static const char *const others[] = {"uri", "scheme", "method", "authority"};

	for (size_t i = 0; i < matches->count; i++) {
		for (size_t j = 0; j < FIELD_COUNT(others); j++)
			if (strcmp(matches->items[i].name, others[j]) == 0)
				reader_warn(r, others[j], "a header of this name is meant, not the field %s of match", others[j]);
		check_header_name(r, matches->items[i].name, matches->items[i].name, true);
	}
}

static void read_header_matches(struct reader *r, const struct node *node, void *target)
{
	read_named(r, node, "headers", target);
	check_names(r, target);
}

static void read_without_headers(struct reader *r, const struct node *node, void *target)
{
	read_named(r, node, "withoutHeaders", target);
	check_names(r, target);
}

static void read_queries(struct reader *r, const struct node *node, void *target)
{
	read_named(r, node, "queryParams", target);
}

/* --- one match, and all of them */

static void read_match(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"name", reader_text, offsetof(struct http_match, name)},
		{"uri", read_uri, offsetof(struct http_match, uri)},
		{"scheme", read_scheme, offsetof(struct http_match, scheme)},
		{"method", read_method, offsetof(struct http_match, method)},
		{"authority", read_authority, offsetof(struct http_match, authority)},
		{"headers", read_header_matches, offsetof(struct http_match, headers)},
		{"withoutHeaders", read_without_headers, offsetof(struct http_match, without_headers)},
		{"queryParams", read_queries, offsetof(struct http_match, queries)},
		{"ignoreUriCase", reader_boolean, offsetof(struct http_match, ignore_uri_case)},
		{"port", reader_integer, offsetof(struct http_match, port)},
		{"sourceLabels", reader_pairs, offsetof(struct http_match, source_labels)},
		{"sourceNamespace", reader_text, offsetof(struct http_match, source_namespace)},
		{"gateways", reader_texts, offsetof(struct http_match, gateways)},
		{"statPrefix", NULL, 0},
	};
	struct http_match *match = target;

	reader_object(r, node, fields, FIELD_COUNT(fields), match);
	match->uri.ignore_case = match->ignore_uri_case;
	if (match->ignore_uri_case && match->uri.type == MATCH_REGEX)
		reader_warn(r, "ignoreUriCase", "has no effect with a regex: write (?i) into it");
	if (match->port != 0)
		check_port(r, "port", match->port);
	if (match->source_namespace != NULL && !name_is_label(match->source_namespace))
		reader_error(r, "sourceNamespace", "sourceNamespace match %s is invalid", match->source_namespace);
}

void route_read_matches(struct reader *r, const struct node *node, void *target)
{
	struct http_rule *rule = target;

	rule->matches = reader_items(r, node, sizeof *rule->matches, read_match, "http match may not be nil",
		&rule->match_count);
}
