/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a DestinationRule's connectionPool says of single connections to a cluster (NULL: none), or what holds where it
 * says nothing. Times are in milliseconds. For what it says of all of them together there is the circuit.
 */
#ifndef WEIR_PROXY_LIMIT_H
#define WEIR_PROXY_LIMIT_H

#include "proxy/net/configuration.h"
#include "proxy/net/side.h"

#include <stdint.h>

/* For ever. */
#define LIMIT_NEVER INT64_MAX

/* How long connecting may take. The configuration may be NULL. */
int64_t limit_connect_timeout(const struct configuration *configuration, const struct policy_cluster *cluster);

/* How long a connection that is relayed may be idle, and one that waits for the next request. */
int64_t limit_tcp_idle_time(const struct policy_cluster *cluster);
int64_t limit_http_idle_time(const struct policy_cluster *cluster);

/* How long a connection may last. */
int64_t limit_duration(const struct policy_cluster *cluster);

/* How many requests it may carry; UINT32_MAX: any number. */
uint32_t limit_requests(const struct policy_cluster *cluster);

/* Makes a socket probe its peer as the cluster says. Returns whether it says so. */
bool limit_keep_alive(const struct policy_cluster *cluster, const struct side *side);

#endif
