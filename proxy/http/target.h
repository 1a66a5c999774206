/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The request target in its four forms (RFC 9112 section 3.2), and its path made the one that everybody means. Pure.
 */
#ifndef WEIR_PROXY_HTTP_TARGET_H
#define WEIR_PROXY_HTTP_TARGET_H

#include "proxy/http/writer.h"

struct http_target {
	struct http_text path;      /* with the query, as it came; may begin with "?" or be empty behind an authority */
	struct http_text authority; /* of the absolute form and of CONNECT; without a user */
};

/* Takes a target apart. Returns HTTP_FINE, HTTP_BAD_URL, HTTP_BAD_SCHEME, HTTP_BAD_AUTHORITY or HTTP_BAD_SYNTAX. */
enum http_problem http_target_read(struct http_text method, struct http_text target, struct http_target *ret_target);

/* Whether an authority has only bytes that may be in one. An empty one has. */
bool http_authority_is_valid(struct http_text authority);

/*
 * Writes a path with its query as Envoy's option normalize_path makes it: dot segments gone, "\" is "/", an escape of a
 * byte that needs none is that byte, and a byte that needs one is escaped; the query as it is, and no fragment. Writes
 * nothing where the path is so already, or "*". Returns HTTP_FINE or HTTP_BAD_PATH.
 */
enum http_problem http_path_normalise(struct http_writer *to, struct http_text path);

#endif
