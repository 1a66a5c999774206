/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the admin socket tells of the configuration that is in force.
 */
#ifndef WEIR_PROXY_ADMIN_H
#define WEIR_PROXY_ADMIN_H

#include "proxy/dns/resolver.h"
#include "proxy/net/configuration.h"

#include <stdio.h>

/* Writes the mesh settings and every cluster as JSON. `source` may be NULL: everything passes. */
void admin_write_configuration(struct configuration_source *source, FILE *out);

/*
 * Writes each cluster's addresses, one a line: "cluster::address:port", and names that have none; before them limits,
 * and what of them is in use.
 */
void admin_write_clusters(struct configuration_source *source, struct resolver *resolver, FILE *out);

#endif
