/* SPDX-License-Identifier: Apache-2.0 */
#include "redirect/kernel/kernel.h"

#include "redirect/kernel/route.h"

static bool needs_routing(const struct ruleset *want)
{
	return want != NULL && (want->routing.tproxy || want->routing.passthrough_address);
}

static int apply_table(const struct ruleset *want, bool force, bool *ret_changed, enum nft_outcome *ret_outcome,
	struct error *e)
{
	route_added added = 0;
	int rc = 0;

	if (needs_routing(want))
		rc = route_add(&want->routing, &added, e);
	if (rc == 0) {
		rc = nft_table_apply(want, force, ret_outcome, e);
		if (rc < 0 && added != 0)
			route_undo(&want->routing, added);
	}
	*ret_changed = added != 0;
	return rc;
}

int kernel_apply(const struct ruleset *want, enum kernel_how how, enum nft_outcome *ret_outcome, struct error *e)
{
	bool changed = false;
	int rc = apply_table(want, how == KERNEL_FORCE, &changed, ret_outcome, e);

	if (rc == 0 && (*ret_outcome != NFT_CREATED || how != KERNEL_FRESH || needs_routing(want)))
		rc = route_remove(want != NULL ? &want->routing : NULL, &changed, e);
	if (rc == 0 && changed && *ret_outcome == NFT_UNCHANGED)
		*ret_outcome = want != NULL ? NFT_REPLACED : NFT_REMOVED;
	return rc;
}

int kernel_check(const struct ruleset *want, struct nft_differences *differences, struct error *e)
{
	int rc = nft_table_check(want, differences, e);

	return rc == 0 ? route_check(want != NULL ? &want->routing : NULL, differences, e) : rc;
}
