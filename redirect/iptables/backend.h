/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir's rules by iptables, for kernels without nf_tables, in the network namespace of the process.
 *
 * There are two flavours of iptables, whose rules are both in force when both have some. The one that already holds
 * weir's chains is used; else the one that holds anybody's rules; else the system's. Each table is changed in one
 * transaction of iptables-restore; both families are tried before either is changed; old rules stay in force until the
 * new ones are.
 */
#ifndef WEIR_IPTABLES_BACKEND_H
#define WEIR_IPTABLES_BACKEND_H

#include "redirect/base/error.h"
#include "redirect/nft/difference.h"
#include "redirect/nft/table.h"
#include "redirect/plan/ruleset.h"

#include <stdbool.h>
#include <stdio.h>

/*
 * Makes the namespace what `want` says (NULL: nothing of weir's, in either flavour), with what it needs of routing; a
 * table of weir's in nf_tables goes. `flavour` is "legacy", "nft", or NULL. Returns 0, -ENOENT where there is no
 * iptables, -EREMOTEIO with what iptables said, or -errno.
 */
int iptables_apply(const struct ruleset *want, const char *flavour, bool force, enum nft_outcome *ret_outcome,
	struct error *e);

/* Removes weir's rules from iptables, in either flavour, and nothing else. `*ret_changed` is set, never cleared. */
int iptables_remove(bool *ret_changed, struct error *e);

/* Tells every difference between `want` and what is there. Returns as above. */
int iptables_check(const struct ruleset *want, const char *flavour, struct nft_differences *differences,
	struct error *e);

/* Writes what iptables-restore and ip6tables-restore load where nothing of weir's is. Returns 0 or -ENOMEM. */
int iptables_write(const struct ruleset *want, FILE *out);

/* Whether there may be rules of weir's in iptables. Runs no program. */
bool iptables_is_suspected(void);

#endif
