/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules that should be there, against those that are.
 */
#ifndef WEIR_NFT_COMPARE_H
#define WEIR_NFT_COMPARE_H

#include "redirect/nft/state.h"
#include "redirect/nft/table.h"
#include "redirect/plan/ruleset.h"

/*
 * Tells every difference in words. With `want` NULL, the table's existence is the difference. Merges the lists of
 * elements in `have`. Returns 0 or -ENOMEM.
 */
int nft_compare(const struct ruleset *want, struct nft_state *have, struct nft_differences *ret_differences);

#endif
