/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the rules need beside the table, in the network namespace of the calling thread: for TPROXY, in either family, a
 * policy rule that sends marked packets to a route table, and the route there that makes them the pod's own; for
 * inbound capture of a pod that has IPv6, Istio's passthrough address ::6 on lo.
 *
 * Everything that weir adds carries its own mark (RULESET_ROUTE_OWNER), so that it is known again
 * whatever the settings were, and nothing of somebody else's is ever taken away.
 */
#ifndef WEIR_ROUTE_H
#define WEIR_ROUTE_H

#include "redirect/base/error.h"
#include "redirect/nft/difference.h"
#include "redirect/plan/ruleset.h"

#include <stdbool.h>

/* What route_add() added, one bit for each thing that is needed. */
typedef unsigned route_added;

/* Adds what `want` needs and is not there: all of it, or, when it fails, nothing. Returns 0 or -errno. */
int route_add(const struct rule_routing *want, route_added *ret_added, struct error *e);

/* Takes away what an addition for `want` has added, as far as that can be done. */
void route_undo(const struct rule_routing *want, route_added added);

/* Removes what weir has added and `want` (NULL: nothing) does not need. `*ret_changed` is set, never cleared. Returns 0 or -errno. */
int route_remove(const struct rule_routing *want, bool *ret_changed, struct error *e);

/* Tells what is missing, and what is weir's and not needed. Returns 0 or -errno. */
int route_check(const struct rule_routing *want, struct nft_differences *differences, struct error *e);

#endif
