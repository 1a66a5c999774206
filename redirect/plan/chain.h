/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building the chains of a ruleset, rule by rule, and the chains themselves.
 */
#ifndef WEIR_CHAIN_H
#define WEIR_CHAIN_H

#include "redirect/plan/ruleset.h"

/* A chain being built. The sets that its rules look into are noted. */
struct chain_builder {
	struct ruleset *ruleset;
	const struct redirect_plan *plan;
	struct rule_chain *chain;
	bool used[PLAN_LIST_COUNT];
};

/* Begins the next chain; the rules that follow are its. */
void chain_begin(struct chain_builder *b, const char *name, enum rule_chain_type type, enum rule_hook hook,
	int priority);

/* Appends a rule that counts. The comment is borrowed for ever. */
struct rule *chain_add(struct chain_builder *b, enum rule_verdict verdict, enum setting setting, const char *comment);

/* Appends a rule that redirects to a port; what it matches must imply the protocol. */
struct rule *chain_add_redirect(struct chain_builder *b, uint16_t port, enum setting setting, const char *comment);

/* Adds a match to a rule. Keys are in network order, of the field's size. */
void rule_match_key(struct rule *rule, enum rule_field field, enum rule_operator op, const void *key);
void rule_match_number(struct rule *rule, enum rule_field field, enum rule_operator op, uint32_t number);
void rule_match_name(struct rule *rule, enum rule_field field, const char *name);
void rule_match_interval(struct rule *rule, enum rule_field field, const struct interval *interval);
void rule_match_set(struct chain_builder *b, struct rule *rule, enum rule_field field, enum rule_operator op,
	enum plan_list list);

/* Appends a rule that returns what is in one of the plan's lists; none where the list is empty. */
void chain_add_bypass(struct chain_builder *b, enum plan_list list, enum rule_field field, const char *comment);

/* Appends the rules that return what groups of users are not to be captured for. */
void chain_add_groups(struct chain_builder *b);

/* The chains that a plan needs, each with the condition for it. */
void chain_build_outbound(struct chain_builder *b);
void chain_build_inbound(struct chain_builder *b);
void chain_build_virtual(struct chain_builder *b);
void chain_build_tproxy(struct chain_builder *b);
void chain_build_invalid(struct chain_builder *b);
void chain_build_dns_zones(struct chain_builder *b);

#endif
