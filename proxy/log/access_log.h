/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection, or one request, as a line of the access log.
 *
 * What was blocked, or in mode AUDIT would have been, carries the ServiceEntry that lets it through (the facts'
 * `suggestion`): in JSON as one more key, "service_entry". In TEXT the line of what was blocked stays Istio's to the byte;
 * only AUDIT, a mode that Istio does not have, puts the entry behind the last column. A format that says
 * %WEIR_SERVICE_ENTRY% has it there in either case, and nowhere else.
 */
#ifndef WEIR_PROXY_ACCESS_LOG_H
#define WEIR_PROXY_ACCESS_LOG_H

#include "proxy/log/facts.h"
#include "proxy/log/format.h"

#include <stddef.h>

/*
 * Writes the line with its newline to `out`, not NUL-terminated. Bytes that the client sent are escaped, so that the
 * columns hold. Returns the length, also where that is more than `size`: then nothing usable was written.
 */
size_t access_log_format(const struct format *format, char *out, size_t size, const struct facts *facts);

/* RESPONSE_FLAGS of a connection's end, as the line prints them. */
const char *access_log_flags(enum facts_end end);

#endif
