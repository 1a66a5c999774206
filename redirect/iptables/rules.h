/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules as iptables has them: of one family, in chains of three tables, one line a rule, spelled as iptables-save
 * spells it, so that what is there can be compared with what is wanted line by line.
 *
 * A set becomes as many lines as it has elements, for ipset may not be there. Everything else is one line a rule, with
 * the rule's comment.
 */
#ifndef WEIR_IPTABLES_RULES_H
#define WEIR_IPTABLES_RULES_H

#include "redirect/plan/ruleset.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* All chains of weir's begin with this; no other does. */
#define IPTABLES_PREFIX "WEIR_"

/* Bytes of a chain's name with its NUL: iptables takes no more. */
#define IPTABLES_CHAIN_SIZE 29

/* Chains of one family: the ruleset's, and what some of their rules are split into. */
#define IPTABLES_CHAIN_MAX 24

enum iptables_family { IPTABLES_IPV4, IPTABLES_IPV6, IPTABLES_FAMILY_COUNT };
enum iptables_table { IPTABLES_NAT, IPTABLES_MANGLE, IPTABLES_RAW, IPTABLES_TABLE_COUNT };

struct iptables_chain {
	enum iptables_table table;
	char name[IPTABLES_CHAIN_SIZE];
	const char *hook; /* the built-in chain that jumps to it, or NULL */
};

struct iptables_line {
	size_t chain; /* its place in the rules' chains */
	char *text;   /* "-A CHAIN ..."; owned */
};

struct iptables_rules {
	struct iptables_chain chains[IPTABLES_CHAIN_MAX];
	size_t chain_count;
	struct iptables_line *lines; /* owned; in the order of decision within a chain */
	size_t line_count;
	size_t line_capacity;
};

/* Makes the rules of a family; with `want` NULL, none. The caller frees them, whatever is returned: 0 or -ENOMEM. */
int iptables_rules_build(const struct ruleset *want, enum iptables_family family, struct iptables_rules *ret_rules);

/* Frees the lines. */
void iptables_rules_free(struct iptables_rules *rules);

/* The names of a table, and of the line that hooks a chain: "-A OUTPUT ... -j WEIR_OUTBOUND" (what stands for -A). */
const char *iptables_table_name(enum iptables_table table);
void iptables_write_hook(const struct iptables_chain *chain, const char *command, FILE *out);

/* Writes what `iptables-restore --noflush` loads where nothing of weir's is. */
void iptables_rules_write(const struct iptables_rules *rules, FILE *out);

#endif
