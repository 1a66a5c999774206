/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/policy/match.h"

#include <string.h>
#include <strings.h>

/* Plain HTTP is all that is looked into. */
#define SCHEME "http"

static bool equal(const char *a, const char *b, size_t length, bool ignore_case)
{
	return ignore_case ? strncasecmp(a, b, length) == 0 : memcmp(a, b, length) == 0;
}

/* MATCH_NONE wants nothing. */
static bool match_string(const struct string_match *wanted, const char *text, size_t length)
{
	const char *prefix = wanted->text != NULL ? wanted->text : "";
	size_t size = strlen(prefix);

	if (wanted->type == MATCH_NONE)
		return true;
	if (text == NULL)
		return false;
	switch (wanted->type) {
	case MATCH_EXACT:
		return length == size && equal(text, prefix, size, wanted->ignore_case);
	case MATCH_PREFIX:
		return length >= size && equal(text, prefix, size, wanted->ignore_case);
	case MATCH_PATH_PREFIX:
		if (size <= 1)
			return true;
		return length >= size && equal(text, prefix, size, wanted->ignore_case) && (length == size || text[size] == '/');
	case MATCH_REGEX:
		return pattern_matches(wanted->pattern, text, length);
	case MATCH_NONE:
	case MATCH_PRESENT:
		break;
	}
	return true;
}

size_t match_path_length(const char *path, size_t length)
{
	const char *query = length > 0 ? memchr(path, '?', length) : NULL;

	return query != NULL ? (size_t)(query - path) : length;
}

/* --- headers and queries */

/* What other matches say in fields of their own may also be asked for by the names of HTTP/2. */
static const char *find_header(const struct policy_facts *facts, const char *name, size_t *ret_length)
{
	if (strcasecmp(name, ":authority") == 0 || strcasecmp(name, "host") == 0) {
		*ret_length = facts->name_length;
		return facts->name;
	}
	if (strcmp(name, ":method") == 0) {
		*ret_length = facts->method_length;
		return facts->method;
	}
	if (strcmp(name, ":path") == 0) {
		*ret_length = facts->path_length;
		return facts->path;
	}
	*ret_length = 0;
	return facts->header != NULL ? facts->header(facts->context, name, ret_length) : NULL;
}

static bool match_header(const struct named_match *match, const struct policy_facts *facts)
{
	size_t length = 0;
	const char *value = find_header(facts, match->name, &length);

	return match_string(&match->value, value, length);
}

/* The first parameter of a name. Nothing is decoded, as in Envoy. */
static const char *find_query(const char *query, size_t length, const char *name, size_t *ret_length)
{
	size_t name_length = strlen(name);

	while (length > 0) {
		const char *end = memchr(query, '&', length);
		size_t size = end != NULL ? (size_t)(end - query) : length;
		const char *sign = memchr(query, '=', size);
		size_t key = sign != NULL ? (size_t)(sign - query) : size;

		if (key == name_length && memcmp(query, name, key) == 0) {
			*ret_length = sign != NULL ? size - key - 1 : 0;
			return sign != NULL ? sign + 1 : query + size;
		}
		if (end == NULL)
			return NULL;
		query = end + 1;
		length -= size + 1;
	}
	return NULL;
}

static bool match_queries(const struct named_matches *matches, const struct policy_facts *facts)
{
	size_t path = match_path_length(facts->path, facts->path_length);
	const char *query = path < facts->path_length ? facts->path + path + 1 : facts->path;
	size_t size = path < facts->path_length ? facts->path_length - path - 1 : 0;

	for (size_t i = 0; i < matches->count; i++) {
		size_t length = 0;
		const char *value = find_query(query, size, matches->items[i].name, &length);

		if (!match_string(&matches->items[i].value, value, length))
			return false;
	}
	return true;
}

/* --- the whole */

bool match_request(const struct http_match *match, const struct policy_facts *facts)
{
	/* A prefix may reach into the query; all else is about the path. */
	size_t length = match->uri.type == MATCH_PREFIX ? facts->path_length :
							  match_path_length(facts->path, facts->path_length);

	if (!match_string(&match->uri, facts->path, length) ||
		!match_string(&match->method, facts->method, facts->method_length) ||
		!match_string(&match->authority, facts->name, facts->name_length) ||
		!match_string(&match->scheme, SCHEME, strlen(SCHEME)))
		return false;
	for (size_t i = 0; i < match->headers.count; i++)
		if (!match_header(&match->headers.items[i], facts))
			return false;
	for (size_t i = 0; i < match->without_headers.count; i++)
		if (match_header(&match->without_headers.items[i], facts))
			return false;
	return match_queries(&match->queries, facts);
}

/* --- connections */

static bool is_under(const char *host, const char *name, size_t length)
{
	size_t size = strlen(host);

	if (*host != '*')
		return size == length && memcmp(host, name, size) == 0;
	return length > size - 1 && memcmp(host + 1, name + length - (size - 1), size - 1) == 0;
}

bool match_stream(const struct stream_match *match, const struct address *address, const char *name, size_t length)
{
	bool found = match->sni_hosts.count == 0;

	for (size_t i = 0; i < match->sni_hosts.count && !found; i++)
		found = name != NULL && is_under(match->sni_hosts.items[i], name, length);
	if (!found)
		return false;
	found = match->destination_subnets.count == 0;
	for (size_t i = 0; i < match->destination_subnets.count && !found; i++)
		found = subnet_contains(&match->subnets[i], address);
	return found;
}
