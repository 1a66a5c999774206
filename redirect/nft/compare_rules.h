/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One chain's rules that should be there, against those that are.
 */
#ifndef WEIR_NFT_COMPARE_RULES_H
#define WEIR_NFT_COMPARE_RULES_H

#include "redirect/nft/difference.h"
#include "redirect/nft/state.h"
#include "redirect/plan/ruleset.h"

/* Tells every difference between the chain's rules and those of its name in `have`. Returns 0 or -ENOMEM. */
int nft_compare_rules(const struct ruleset *ruleset, const struct rule_chain *chain, const struct nft_state *have,
	struct nft_differences *differences);

#endif
