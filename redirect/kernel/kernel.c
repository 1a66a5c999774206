/* SPDX-License-Identifier: Apache-2.0 */
#include "redirect/kernel/kernel.h"

#include "redirect/kernel/route.h"

static bool needs_routing(const struct ruleset *want)
{
	return want != NULL && (want->routing.tproxy || want->routing.passthrough_address);
}

static const struct rule_routing *routing_of(const struct ruleset *want)
{
	return want != NULL ? &want->routing : NULL;
}

/* Whether it was, or is to be, looked for what is beside the table. */
static bool looks_before(const struct ruleset *want, enum kernel_how how)
{
	return how != KERNEL_FRESH || needs_routing(want);
}

int kernel_apply(const struct ruleset *want, enum kernel_how how, enum nft_outcome *ret_outcome, struct error *e)
{
	struct route_change change = {.socket = {.mnl = NULL}};
	bool begun = looks_before(want, how);
	bool changed = false;
	int rc = begun ? route_begin(routing_of(want), &change, e) : 0;

	if (rc < 0)
		return rc;
	rc = nft_table_apply(want, how == KERNEL_FORCE, ret_outcome, e);
	if (rc < 0 && begun)
		route_abort(&change);
	/* A table of before may have had more beside it. */
	if (rc == 0 && !begun && *ret_outcome != NFT_CREATED) {
		rc = route_begin(routing_of(want), &change, e);
		begun = rc == 0;
	}
	if (rc == 0 && begun)
		rc = route_finish(&change, &changed, e);
	if (rc == 0 && changed && *ret_outcome == NFT_UNCHANGED)
		*ret_outcome = want != NULL ? NFT_REPLACED : NFT_REMOVED;
	return rc;
}

int kernel_check(const struct ruleset *want, struct nft_differences *differences, struct error *e)
{
	int rc = nft_table_check(want, differences, e);

	return rc == 0 ? route_check(routing_of(want), differences, e) : rc;
}
