/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which address to dial for a cluster.
 */
#ifndef WEIR_PROXY_DIAL_H
#define WEIR_PROXY_DIAL_H

#include "proxy/dns/resolver.h"
#include "proxy/policy/decide.h"

enum dial_result {
	DIAL_READY,
	DIAL_UNKNOWN, /* no name of it has been answered yet: ask again soon */
	DIAL_NOWHERE  /* it has no address */
};

/*
 * The address for a cluster (NULL: none): the application's own, with resolution NONE or without a cluster, or one of the
 * cluster's. Those take turns, by `turn`: the next number gives the next address. `resolver` may be NULL: then no name is
 * known.
 */
enum dial_result dial_pick(const struct policy_cluster *cluster, const struct endpoint *destination,
	struct resolver *resolver, unsigned turn, struct endpoint *ret_target);

/* How many addresses dial_pick() has to choose from. */
unsigned dial_count(const struct policy_cluster *cluster, struct resolver *resolver);

#endif
