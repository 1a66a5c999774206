/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules as the text that nft loads.
 */
#ifndef WEIR_NFT_TEXT_H
#define WEIR_NFT_TEXT_H

#include "redirect/plan/ruleset.h"

#include <stdio.h>

/*
 * Writes the ruleset as input for `nft -f`; loaded, it replaces whatever table of weir's is there, in one transaction.
 * What is needed beside the table stands behind it in comments, as commands of ip(8). With `want` NULL, writes what
 * removes the table. The caller looks at ferror(out).
 */
void nft_text_write(const struct ruleset *want, FILE *out);

#endif
