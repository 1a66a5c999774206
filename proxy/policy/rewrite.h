/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a route makes of a path, and where a redirect leads. Pure.
 */
#ifndef WEIR_POLICY_REWRITE_H
#define WEIR_POLICY_REWRITE_H

#include "proxy/policy/decide.h"

/*
 * The path that goes on to the destination, with its query, where decision->rewrite is there. Writes at most `size` bytes,
 * without NUL. Returns the length, -ENOSPC where it is more, or -ENOMEM.
 */
int rewrite_path(const struct policy_decision *decision, const struct policy_facts *facts, char *out, size_t size);

/* The location of a POLICY_REDIRECT. Writes and returns as rewrite_path(). */
int rewrite_location(const struct policy_decision *decision, const struct policy_facts *facts, char *out, size_t size);

#endif
