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

/*
 * Makes the namespace what `want` says (NULL: as if weir had never been there), as nft_table_apply() does. Routes come
 * before the rules that need them, and go after them, so whatever instant this is ended at, marked packets find home.
 * -EPROTONOSUPPORT is about nf_tables.
 */
int kernel_apply(const struct ruleset *want, bool force, enum nft_outcome *ret_outcome, struct error *e);

/* Tells every difference between `want` (NULL: nothing of weir's) and the namespace. Returns 0 or -errno. */
int kernel_check(const struct ruleset *want, struct nft_differences *differences, struct error *e);

#endif
