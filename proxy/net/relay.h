/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes both ways, as they are.
 */
#ifndef WEIR_PROXY_RELAY_H
#define WEIR_PROXY_RELAY_H

#include "proxy/net/connection.h"

/* Begins: the upstream is connected, and the client has mostly spoken. */
void relay_start(struct connection *connection, struct connection_context *context);

/* Acts on events of one side, which the side has taken already. */
void relay_event(struct connection *connection, struct connection_context *context, bool upstream, uint32_t events);

/* Looks at the time: probes, and the limit of idleness. */
void relay_check_time(struct connection *connection, struct connection_context *context);

#endif
