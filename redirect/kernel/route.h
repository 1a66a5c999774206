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
#include "redirect/nft/socket.h"
#include "redirect/plan/ruleset.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Things that one ruleset needs: a rule and a route in each family, and an address. */
#define ROUTE_WANTED_MAX 5

/* Things of weir's that one change takes away; there are five, and as many of other settings. */
#define ROUTE_STALE_MAX 32

enum route_kind { ROUTE_RULE, ROUTE_ROUTE, ROUTE_ADDRESS };

struct route_object {
	enum route_kind kind;
	uint8_t family;
	uint32_t mark; /* of a rule */
	uint32_t table;
};

/* What is there, as far as it is wanted or weir's. */
struct route_view {
	struct route_object wanted[ROUTE_WANTED_MAX];
	bool present[ROUTE_WANTED_MAX];
	size_t wanted_count;
	struct route_object stale[ROUTE_STALE_MAX]; /* weir's, and not wanted */
	size_t stale_count;
	bool ipv6;         /* lo has not been told to do without */
	bool ipv6_address; /* there is one beside those of lo and of the link */
	bool has_passthrough;
	bool owns_passthrough;
};

/* A change in the middle of which the rules change: what they need is there before, what they do not goes behind. */
struct route_change {
	struct nft_socket socket;
	struct route_view view;
	bool added[ROUTE_WANTED_MAX];
};

/*
 * Looks, and adds what `want` (NULL: nothing) needs: all of it, or, when it fails, nothing. Returns 0, and the caller
 * finishes or aborts the change; or -errno.
 */
int route_begin(const struct rule_routing *want, struct route_change *ret_change, struct error *e);

/* Removes what is weir's and not needed. `*ret_changed` is set when anything was added or removed. Returns 0 or -errno. */
int route_finish(struct route_change *change, bool *ret_changed, struct error *e);

/* Takes away what was added, as far as that can be done. */
void route_abort(struct route_change *change);

/* Tells what is missing, and what is weir's and not needed. Returns 0 or -errno. */
int route_check(const struct rule_routing *want, struct nft_differences *differences, struct error *e);

#endif
