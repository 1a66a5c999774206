/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One rule as the kernel's expressions.
 */
#ifndef WEIR_NFT_EXPRESSION_H
#define WEIR_NFT_EXPRESSION_H

#include "redirect/plan/ruleset.h"

#include <stdint.h>

struct nftnl_rule;

/* Makes a rule of a chain. The caller frees it with nftnl_rule_free(). Returns NULL when memory is out. */
struct nftnl_rule *nft_expression_make_rule(const struct ruleset *ruleset, const struct rule_chain *chain,
	const struct rule *rule);

/* The type that nft gives a set whose elements are compared with this field. */
uint32_t nft_expression_key_type(enum rule_field field);

/* Turns a key of 4 bytes, a number in network order, into the host's order, or back. */
void nft_expression_host_key(uint8_t *key);

#endif
