/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ServiceEntry that would allow what is unknown.
 */
#ifndef WEIR_POLICY_SUGGEST_H
#define WEIR_POLICY_SUGGEST_H

#include "proxy/policy/decide.h"

/* Bytes of a suggestion with its NUL: room for the longest host, twice. */
#define SUGGEST_SIZE 1024u

/*
 * Writes a document, in JSON on one line, that, put into the directory as it is, lets such a connection or request through under
 * REGISTRY_ONLY: by its name, bound to what the name resolves to; or, where it tells none that can be declared, by its
 * address. Returns `out`.
 */
const char *policy_suggest(char out[SUGGEST_SIZE], const struct policy_facts *facts);

#endif
