/* SPDX-License-Identifier: Apache-2.0 */
#include "redirect/kernel/kernel.h"

#include "redirect/kernel/route.h"

static bool needs_routing(const struct ruleset *want)
{
	return want != NULL && (want->routing.tproxy || want->routing.passthrough_address);
}

int kernel_apply(const struct ruleset *want, bool force, enum nft_outcome *ret_outcome, struct error *e)
{
	bool changed = false;
	int rc = 0;

	if (needs_routing(want))
		rc = route_add(&want->routing, &changed, e);
	if (rc == 0)
		rc = nft_table_apply(want, force, ret_outcome, e);
	/* Where there was no table, nothing is left of an older one, and a fresh namespace is not to wait for the look. */
	if (rc == 0 && (*ret_outcome != NFT_CREATED || needs_routing(want)))
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
