/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir's table in the kernel, in the network namespace of the calling thread: applied, checked, removed.
 *
 * Each call opens its own netlink socket. Nothing outside the table `inet weir` is touched. An application is one
 * transaction: at any instant the kernel holds the old table or the new one.
 *
 * Errors of all calls: -EPROTONOSUPPORT where the kernel has no nf_tables (or lacks nat in the inet family), else
 * -errno as the kernel refused, with the object it refused and its own words in the text.
 */
#ifndef WEIR_NFT_TABLE_H
#define WEIR_NFT_TABLE_H

#include "redirect/base/error.h"
#include "redirect/nft/difference.h"
#include "redirect/plan/ruleset.h"

#include <stdbool.h>

enum nft_outcome {
	NFT_UNCHANGED, /* what was asked for was there already */
	NFT_CREATED,
	NFT_REPLACED,
	NFT_REMOVED,
};

/* The outcome in a word. */
const char *nft_outcome_name(enum nft_outcome outcome);

/*
 * Makes the kernel's table what `want` says; with `want` NULL, removes it. The table is created exclusively; one that
 * is there already is compared, and left alone when it is equal, unless `force` is set, else replaced whole.
 */
int nft_table_apply(const struct ruleset *want, bool force, enum nft_outcome *ret_outcome, struct error *e);

/*
 * Reads the table back and tells how it differs from `want` (NULL: there should be none), as nft_compare() does. A table
 * of weir's name in another family than inet is told, too: weir makes none, and leaves it alone. `differences` is told
 * about one consistent reading only.
 */
int nft_table_check(const struct ruleset *want, struct nft_differences *differences, struct error *e);

#endif
