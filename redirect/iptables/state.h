/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What iptables-save says is there, as far as it is weir's: its chains, their rules, and the rules that jump to them.
 */
#ifndef WEIR_IPTABLES_STATE_H
#define WEIR_IPTABLES_STATE_H

#include "redirect/iptables/rules.h"
#include "redirect/nft/difference.h"

struct iptables_present {
	enum iptables_table table;
	const char *text; /* a chain's name, or a line; in the state's text */
};

struct iptables_present_list {
	struct iptables_present *items; /* owned */
	size_t count;
	size_t capacity;
};

struct iptables_state {
	char *text;     /* owned */
	bool any_rules; /* anybody's */
	struct iptables_present_list chains;
	struct iptables_present_list hooks; /* "-A OUTPUT ... -j WEIR_OUTBOUND" */
	struct iptables_present_list lines; /* "-A WEIR_OUTBOUND ..." */
};

/* Takes over the text of iptables-save. The caller frees the state, whatever is returned: 0 or -ENOMEM. */
int iptables_state_parse(char *text, struct iptables_state *ret_state);

/* Whether any chain or hook is weir's. */
bool iptables_state_is_ours(const struct iptables_state *state);

/* Tells how the state differs from the rules; `tool` is what its user calls the family. Returns 0 or -ENOMEM. */
int iptables_state_compare(const struct iptables_rules *want, const struct iptables_state *state, const char *tool,
	struct nft_differences *differences);

/* Writes what makes the rules of the state, for iptables-restore --noflush: one transaction for each table. */
void iptables_state_write_change(const struct iptables_rules *want, const struct iptables_state *state, FILE *out);

/* Frees everything. */
void iptables_state_free(struct iptables_state *state);

#endif
