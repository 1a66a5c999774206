/* SPDX-License-Identifier: Apache-2.0 */
#include "redirect/plan/chain.h"

#include <assert.h>
#include <netinet/in.h>
#include <string.h>

void chain_begin(struct chain_builder *b, const char *name, enum rule_chain_type type, enum rule_hook hook,
	int priority)
{
	struct ruleset *ruleset = b->ruleset;

	assert(ruleset->chain_count < RULESET_CHAIN_MAX);
	b->chain = &ruleset->chains[ruleset->chain_count++];
	*b->chain = (struct rule_chain){
		.name = name, .type = type, .hook = hook, .priority = priority,
			.rules = &ruleset->rules[ruleset->rule_count]};
}

struct rule *chain_add(struct chain_builder *b, enum rule_verdict verdict, enum setting setting, const char *comment)
{
	struct rule *rule = &b->chain->rules[b->chain->rule_count++];

	b->ruleset->rule_count++;
	assert(b->ruleset->rule_count <= RULESET_RULE_MAX && b->chain->rule_count <= RULESET_CHAIN_RULE_MAX);
	assert(strlen(comment) <= RULESET_COMMENT_MAX);
	*rule = (struct rule){.counted = true, .verdict = verdict, .setting = setting, .comment = comment};
	return rule;
}

struct rule *chain_add_redirect(struct chain_builder *b, uint16_t port, enum setting setting, const char *comment)
{
	struct rule *rule = chain_add(b, RULE_REDIRECT, setting, comment);

	rule->port = port;
	return rule;
}

static struct rule_match *add_match(struct rule *rule, enum rule_field field, enum rule_operator op)
{
	struct rule_match *match = &rule->matches[rule->match_count++];

	assert(rule->match_count <= RULESET_MATCH_MAX);
	*match = (struct rule_match){.field = field, .op = op};
	return match;
}

void rule_match_key(struct rule *rule, enum rule_field field, enum rule_operator op, const void *key)
{
	struct rule_match *match = add_match(rule, field, op);

	memcpy(match->value.first, key, rule_field_size(field));
	memcpy(match->value.last, key, rule_field_size(field));
}

void rule_match_number(struct rule *rule, enum rule_field field, enum rule_operator op, uint32_t number)
{
	uint8_t key[4] = {0};

	for (size_t i = rule_field_size(field); i > 0; i--) {
		key[i - 1] = (uint8_t)number;
		number >>= 8;
	}
	rule_match_key(rule, field, op, key);
}

void rule_match_name(struct rule *rule, enum rule_field field, const char *name)
{
	uint8_t key[INTERVAL_KEY_MAX] = {0};

	memcpy(key, name, strlen(name));
	rule_match_key(rule, field, RULE_IS, key);
}

void rule_match_interval(struct rule *rule, enum rule_field field, const struct interval *interval)
{
	bool single = memcmp(interval->first, interval->last, rule_field_size(field)) == 0;

	add_match(rule, field, single ? RULE_IS : RULE_WITHIN)->value = *interval;
}

void rule_match_set(struct chain_builder *b, struct rule *rule, enum rule_field field, enum rule_operator op,
	enum plan_list list)
{
	add_match(rule, field, op)->set = ruleset_set_of(list)->name;
	b->used[list] = true;
}

void chain_add_bypass(struct chain_builder *b, enum plan_list list, enum rule_field field, const char *comment)
{
	if (b->plan->lists[list].count > 0)
		rule_match_set(b, chain_add(b, RULE_RETURN, ruleset_set_of(list)->setting, comment), field,
			RULE_IN_SET, list);
}

void chain_add_groups(struct chain_builder *b)
{
	const struct redirect_plan *plan = b->plan;

	if (plan->include_all_groups)
		chain_add_bypass(b, PLAN_EXCLUDED_GROUPS, RULE_FIELD_SKGID, "bypass: excludeOwnerGroups");
	else if (plan->lists[PLAN_INCLUDED_GROUPS].count == 0)
		(void)chain_add(b, RULE_RETURN, SETTING_INCLUDE_OWNER_GROUPS, "bypass: includeOwnerGroups is empty");
	else
		rule_match_set(b, chain_add(b, RULE_RETURN, SETTING_INCLUDE_OWNER_GROUPS,
			"bypass: not of includeOwnerGroups"),
			RULE_FIELD_SKGID, RULE_NOT_IN_SET, PLAN_INCLUDED_GROUPS);
}
