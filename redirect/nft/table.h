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
#include "redirect/plan/ruleset.h"

#include <stdbool.h>
#include <stddef.h>

/* Differences that are told one by one; more are only counted. */
#define NFT_DIFFERENCE_MAX 16
#define NFT_DIFFERENCE_SIZE 256

enum nft_outcome {
	NFT_UNCHANGED, /* what was asked for was there already */
	NFT_CREATED,
	NFT_REPLACED,
	NFT_REMOVED,
};

struct nft_differences {
	size_t count; /* may exceed NFT_DIFFERENCE_MAX */
	char text[NFT_DIFFERENCE_MAX][NFT_DIFFERENCE_SIZE];
};

/*
 * Makes the kernel's table what `want` says; with `want` NULL, removes it. The table is created exclusively; one that
 * is there already is compared, and left alone when it is equal, unless `force` is set, else replaced whole.
 */
int nft_table_apply(const struct ruleset *want, bool force, enum nft_outcome *ret_outcome, struct error *e);

/*
 * Reads the table back and compares it with `want` (NULL: there should be none), structure by structure: table flags,
 * chains, every rule and its place, sets, every element. Counters and the table's comment take no part.
 */
int nft_table_check(const struct ruleset *want, struct nft_differences *ret_differences, struct error *e);

#endif
