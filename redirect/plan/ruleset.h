/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules as plain data: one table, its sets, its chains, their rules. The order of the rules is the order of
 * decision. Everything that writes, compares or explains rules reads this and nothing else.
 *
 * A ruleset borrows the plan's lists: the plan must outlive it.
 */
#ifndef WEIR_RULESET_H
#define WEIR_RULESET_H

#include "redirect/plan/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RULESET_TABLE "weir"

/* Bytes of a comment without its NUL: nft and the kernel take no more. */
#define RULESET_COMMENT_MAX 128

/* nat chains run by priority; at -105 weir decides before the usual tables at -100, in whatever order they came. */
#define RULESET_PRIORITY_OUTBOUND (-105)

#define RULESET_MATCH_MAX 4
#define RULESET_RULE_MAX 24
#define RULESET_CHAIN_MAX 1
#define RULESET_SET_MAX PLAN_LIST_COUNT

/* What of a packet, or of its socket, a rule looks at. */
enum rule_field {
	RULE_FIELD_L4PROTO,
	RULE_FIELD_OIFNAME,
	RULE_FIELD_SKUID,
	RULE_FIELD_SKGID,
	RULE_FIELD_TCP_DPORT,
	RULE_FIELD_IPV4_SADDR,
	RULE_FIELD_IPV4_DADDR,
	RULE_FIELD_IPV6_SADDR,
	RULE_FIELD_IPV6_DADDR,
	RULE_FIELD_COUNT
};

enum rule_operator {
	RULE_IS,     /* the value's first key */
	RULE_IS_NOT, /* the same, negated */
	RULE_WITHIN, /* from the value's first key to its last */
	RULE_IN_SET,
};

struct rule_match {
	enum rule_field field;
	enum rule_operator op;
	struct interval value; /* for all but RULE_IN_SET: a key of the field's size */
	const char *set;       /* for RULE_IN_SET: its name */
};

enum rule_verdict {
	RULE_CONTINUE, /* only counts */
	RULE_RETURN,   /* not weir's: the packet goes its own way */
	RULE_REDIRECT, /* to `port` of the pod */
};

struct rule {
	struct rule_match matches[RULESET_MATCH_MAX];
	size_t match_count;
	bool counted;
	enum rule_verdict verdict;
	uint16_t port;
	enum setting setting; /* that asked for it; SETTING_COUNT: none, it is always there */
	const char *comment;
};

struct rule_set {
	const char *name;
	enum rule_field field; /* what its elements are compared with: gives their type */
	enum setting setting;  /* that filled it */
	const char *comment;
	const struct interval_list *elements; /* never empty */
};

struct rule_chain {
	const char *name;
	int priority; /* type nat, hook output, policy accept */
	struct rule rules[RULESET_RULE_MAX];
	size_t rule_count;
};

struct ruleset {
	char comment[RULESET_COMMENT_MAX + 1]; /* takes no part in any comparison */
	struct rule_set sets[RULESET_SET_MAX];
	size_t set_count;
	struct rule_chain chains[RULESET_CHAIN_MAX];
	size_t chain_count;
};

/* Bytes of a field's value, and of the keys of a set that it is looked up in. */
size_t rule_field_size(enum rule_field field);

/* The set that one of the plan's lists becomes, without elements. */
const struct rule_set *ruleset_set_of(enum plan_list list);

/* The ruleset's set of that name, or NULL. */
const struct rule_set *ruleset_find_set(const struct ruleset *ruleset, const char *name);

/*
 * Makes the rules of a plan that intercepts. `owner` names the pod in the table's comment, and may be NULL; what does
 * not fit into a comment is cut at a character, what nft could not quote is replaced.
 */
void ruleset_build(const struct redirect_plan *plan, const char *owner, struct ruleset *ret_ruleset);

#endif
