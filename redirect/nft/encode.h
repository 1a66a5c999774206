/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules as nf_tables objects and messages. The order of a rule's expressions is the one that nft writes, so that any
 * nft lists them as the text that it would have loaded.
 */
#ifndef WEIR_NFT_ENCODE_H
#define WEIR_NFT_ENCODE_H

#include "redirect/nft/batch.h"
#include "redirect/plan/ruleset.h"

#include <libmnl/libmnl.h>

/* How the kernel calls a chain's type, and the number of its hook; not of a regular chain. */
const char *nft_encode_chain_type(const struct rule_chain *chain);
uint32_t nft_encode_hook(const struct rule_chain *chain);

/* Makes the message that the kernel is given, and that read-back is compared with. The caller frees it. NULL: no memory. */
struct nlmsghdr *nft_encode_rule(const struct ruleset *ruleset, const struct rule_chain *chain, const struct rule *rule);

/*
 * Appends the whole ruleset to a batch. With `exclusive`, the table is created and the transaction fails with -EEXIST
 * where it is there already. Returns 0 or -ENOMEM.
 */
int nft_encode_ruleset(const struct ruleset *want, bool exclusive, struct nft_batch *batch);

/* Appends the table's deletion, which takes all its objects along. Returns 0 or -ENOMEM. */
int nft_encode_delete(struct nft_batch *batch);

#endif
