/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/policy/rewrite.h"

#include "proxy/policy/match.h"
#include "proxy/policy/name.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define PREFIX_MARK "%PREFIX()%"

/* Text that is put together; what does not fit is only counted. */
struct writer {
	char *out;
	size_t size;
	size_t used;
};

static void put(struct writer *w, const char *text, size_t length)
{
	size_t room = w->used < w->size ? w->size - w->used : 0;

	if (length > 0 && room > 0)
		memcpy(w->out + w->used, text, length < room ? length : room);
	w->used += length;
}

static void put_text(struct writer *w, const char *text)
{
	put(w, text, strlen(text));
}

static int finish(const struct writer *w)
{
	return w->used <= w->size && w->used <= INT_MAX ? (int)w->used : -ENOSPC;
}

/* --- paths */

/* "\1" in a substitution is the text of a group; "\\" is a backslash. */
static void put_substitution(struct writer *w, const char *substitution, const char *text,
	const struct pattern_span groups[PATTERN_GROUP_MAX])
{
	for (const char *c = substitution; *c != '\0'; c++) {
		if (c[0] != '\\' || c[1] == '\0') {
			put(w, c, 1);
			continue;
		}
		c++;
		if (*c < '0' || *c > '9')
			put(w, c, 1);
		else if (groups[*c - '0'].end != SIZE_MAX)
			put(w, text + groups[*c - '0'].start, groups[*c - '0'].end - groups[*c - '0'].start);
	}
}

/* Every match, from left to right. An empty one right behind another is none, as in RE2. */
static int put_replaced(struct writer *w, const struct route_rewrite *rewrite, const char *path, size_t length)
{
	struct pattern_span groups[PATTERN_GROUP_MAX];
	size_t copied = 0;
	size_t from = 0;
	size_t last = SIZE_MAX;

	while (from <= length) {
		int found = pattern_search(rewrite->pattern, path, length, from, groups);

		if (found < 0)
			return found;
		if (found == 0)
			break;
		if (groups[0].start == groups[0].end && groups[0].start == last) {
			from++;
			last = SIZE_MAX;
			continue;
		}
		put(w, path + copied, groups[0].start - copied);
		put_substitution(w, rewrite->substitution, path, groups);
		copied = last = groups[0].end;
		from = groups[0].end;
	}
	put(w, path + copied, length - copied);
	return 0;
}

/* Exactly one slash is between the new prefix and what follows, and a path is never empty. */
static void put_segments(struct writer *w, const char *prefix, const char *rest, size_t length)
{
	size_t size = strlen(prefix);

	while (size > 0 && prefix[size - 1] == '/')
		size--;
	put(w, prefix, size);
	if (length > 0 && *rest != '/')
		put(w, "/", 1);
	put(w, rest, length);
	if (size == 0 && length == 0)
		put(w, "/", 1);
}

static int put_path(struct writer *w, const struct route_rewrite *rewrite, size_t matched, const struct policy_facts *facts)
{
	size_t length = match_path_length(facts->path, facts->path_length);
	int rc = 0;

	if (rewrite->full_path != NULL) {
		put_text(w, rewrite->full_path);
	} else if (rewrite->pattern != NULL) {
		rc = put_replaced(w, rewrite, facts->path, length);
	} else if (rewrite->uri != NULL && matched > length) {
		/* The prefix reached into the query. */
		put_text(w, rewrite->uri);
		length = matched;
	} else if (rewrite->uri != NULL && rewrite->segments) {
		put_segments(w, rewrite->uri, facts->path + matched, length - matched);
	} else if (rewrite->uri != NULL) {
		put_text(w, rewrite->uri);
		put(w, facts->path + matched, length - matched);
	} else {
		put(w, facts->path, length);
	}
	put(w, facts->path + length, facts->path_length - length);
	return rc;
}

int rewrite_path(const struct policy_decision *decision, const struct policy_facts *facts, char *out, size_t size)
{
	struct writer w = {out, size, 0};
	int rc = put_path(&w, decision->rewrite, decision->matched, facts);

	return rc < 0 ? rc : finish(&w);
}

/* --- redirects */

/* The request's own host loses a port that the new scheme, or the new port, makes wrong. */
static void put_host(struct writer *w, const struct route_redirect *redirect, const struct policy_facts *facts, bool new_port)
{
	const char *name = facts->name != NULL ? facts->name : "";
	size_t length = facts->name != NULL ? facts->name_length : 0;
	size_t host = name_of_authority(name, length);
	bool new_scheme = redirect->scheme != NULL && strcmp(redirect->scheme, "http") != 0;
	bool drop = new_port || (new_scheme && length - host == 3 && memcmp(name + host, ":80", 3) == 0);

	if (redirect->authority != NULL && *redirect->authority != '\0')
		put_text(w, redirect->authority);
	else
		put(w, name, drop ? host : length);
}

static int put_redirect_path(struct writer *w, const struct policy_decision *decision, const struct policy_facts *facts)
{
	const struct route_redirect *redirect = decision->redirect;
	size_t path = match_path_length(facts->path, facts->path_length);
	struct route_rewrite rewrite = {.uri = NULL};

	if (redirect->rewrite != NULL)
		return put_path(w, redirect->rewrite, decision->matched, facts);
	if (redirect->uri == NULL || *redirect->uri == '\0') {
		put(w, facts->path, facts->path_length);
		return 0;
	}
	if (strncmp(redirect->uri, PREFIX_MARK, strlen(PREFIX_MARK)) == 0) {
		rewrite.uri = redirect->uri + strlen(PREFIX_MARK);
		return put_path(w, &rewrite, decision->matched, facts);
	}
	put_text(w, redirect->uri);
	/* A query of the new path stands instead of the request's. */
	if (strchr(redirect->uri, '?') == NULL)
		put(w, facts->path + path, facts->path_length - path);
	return 0;
}

/* The port that the location names; 0: none. */
static unsigned location_port(const struct route_redirect *redirect, const struct policy_facts *facts, const char *scheme)
{
	unsigned port = redirect->port_kind == REDIRECT_PORT_NUMBER ? (unsigned)redirect->port : facts->destination.port;
	bool implied = port == (strcmp(scheme, "https") == 0 ? 443u : 80u);

	if (redirect->port_kind == REDIRECT_PORT_DEFAULT || (redirect->omits_default_port && implied))
		return 0;
	return port;
}

int rewrite_location(const struct policy_decision *decision, const struct policy_facts *facts, char *out, size_t size)
{
	const struct route_redirect *redirect = decision->redirect;
	const char *scheme = redirect->scheme != NULL ? redirect->scheme : "http";
	unsigned port = location_port(redirect, facts, scheme);
	struct writer w = {out, size, 0};
	char text[12];
	int rc;

	put_text(&w, scheme);
	put_text(&w, "://");
	put_host(&w, redirect, facts, port != 0);
	if (port != 0) {
		(void)snprintf(text, sizeof text, ":%u", port);
		put_text(&w, text);
	}
	rc = put_redirect_path(&w, decision, facts);
	return rc < 0 ? rc : finish(&w);
}
