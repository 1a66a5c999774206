/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules as the text that nft loads.
 */
#ifndef WEIR_NFT_TEXT_H
#define WEIR_NFT_TEXT_H

#include "redirect/plan/ruleset.h"

#include <stdio.h>

/* Bytes of one element as text with its NUL: two IPv6 addresses and a dash. */
#define NFT_TEXT_ELEMENT_SIZE 128

/*
 * Writes the ruleset as input for `nft -f`; loaded, it replaces whatever table of weir's is there, in one transaction.
 * With `want` NULL, writes what removes it. The caller looks at ferror(out).
 */
void nft_text_write(const struct ruleset *want, FILE *out);

/* Writes an interval of a field's values as nft does: an address, a CIDR, a number, a range, a quoted name. */
const char *nft_text_format(char out[NFT_TEXT_ELEMENT_SIZE], enum rule_field field, const struct interval *interval);

#endif
