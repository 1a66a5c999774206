/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One record of facts as a line in a worker's queue of the access log.
 */
#ifndef WEIR_PROXY_LOG_LINE_H
#define WEIR_PROXY_LOG_LINE_H

#include "proxy/log/facts.h"
#include "proxy/log/format.h"
#include "proxy/log/sink.h"

/* Writes it, whatever its length. Without memory for a long one, what the client told is left out of it. */
void log_line_write(struct sink *sink, size_t queue, const struct format *format, const struct facts *facts);

#endif
