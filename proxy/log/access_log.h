/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection as a line of Istio's default text format.
 */
#ifndef WEIR_PROXY_ACCESS_LOG_H
#define WEIR_PROXY_ACCESS_LOG_H

#include "proxy/log/facts.h"

#include <stddef.h>

/*
 * Writes the line with its newline to `out`, not NUL-terminated. Bytes that the client sent are escaped, so that the
 * columns hold. Returns the line's length, also where that is more than `size`: then nothing usable was written.
 */
size_t access_log_format(char *out, size_t size, const struct facts *facts);

/* RESPONSE_FLAGS of an end, as the line prints them. */
const char *access_log_flags(enum facts_end end);

#endif
