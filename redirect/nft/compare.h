/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table that should be there, against the one that is.
 */
#ifndef WEIR_NFT_COMPARE_H
#define WEIR_NFT_COMPARE_H

#include "redirect/nft/difference.h"
#include "redirect/nft/state.h"
#include "redirect/plan/ruleset.h"

/*
 * Tells every difference: table flags, chains, every rule and its place, sets, every element. Counters and the table's
 * comment take no part. With `want` NULL, the table's existence is the difference. Returns 0 or -ENOMEM.
 */
int nft_compare(const struct ruleset *want, const struct nft_state *have, struct nft_differences *differences);

#endif
