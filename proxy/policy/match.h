/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a request, or a connection, is what a route asks for. Pure.
 */
#ifndef WEIR_POLICY_MATCH_H
#define WEIR_POLICY_MATCH_H

#include "proxy/policy/decide.h"

/* Whether a request fulfils all conditions. */
bool match_request(const struct http_match *match, const struct policy_facts *facts);

/* The bytes of a path in front of its query. */
size_t match_path_length(const char *path, size_t length);

/*
 * Whether a connection fulfils a TLS or TCP match. `name` is its server name, in small letters and without a dot at the
 * end; NULL where there is none.
 */
bool match_stream(const struct stream_match *match, const struct address *address, const char *name, size_t length);

#endif
