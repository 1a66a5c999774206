/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that weir keeps in a network namespace: the table, and what the rules need of routing. The one door of the
 * programs to the kernel.
 */
#ifndef WEIR_KERNEL_H
#define WEIR_KERNEL_H

#include "redirect/base/error.h"
#include "redirect/nft/difference.h"
#include "redirect/nft/table.h"
#include "redirect/plan/ruleset.h"

#include <stdbool.h>

enum kernel_how {
	KERNEL_FRESH,    /* a namespace without a table is a new one: nothing else is looked for there */
	KERNEL_THOROUGH, /* what may be left of weir's beside a table is looked for in any case */
	KERNEL_FORCE,    /* the same, and a table that is as it should be is replaced all the same */
};

/*
 * Makes the namespace what `want` says (NULL: as if weir had never been there), as nft_table_apply() does. Routes come
 * before the rules that need them, and go after them, so whatever instant this is ended at, marked packets find home.
 * When it fails, the namespace is as it was. -EPROTONOSUPPORT is about nf_tables.
 */
int kernel_apply(const struct ruleset *want, enum kernel_how how, enum nft_outcome *ret_outcome, struct error *e);

/* Tells every difference between `want` (NULL: nothing of weir's) and the namespace. Returns 0 or -errno. */
int kernel_check(const struct ruleset *want, struct nft_differences *differences, struct error *e);

#endif
