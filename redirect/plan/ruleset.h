/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules as plain data: one table, its sets, its chains, their rules, and what TPROXY needs of routing. The order of
 * the rules is the order of decision. Everything that writes, compares or explains rules reads this and nothing else.
 *
 * A ruleset borrows the plan's lists: the plan must outlive it. It points into itself, and is not to be copied.
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

/*
 * Chains run by priority; weir's stand five before the usual ones (nat -100, mangle -150, raw -300), and so decide
 * before the tables of others, in whatever order they came.
 */
#define RULESET_PRIORITY_NAT (-105)
#define RULESET_PRIORITY_MANGLE (-155)
#define RULESET_PRIORITY_RAW (-305)

/*
 * What is weir's in routing is known by this number ('w'), which nobody else uses: the protocol of rules and routes, the
 * metric of an address.
 */
#define RULESET_ROUTE_OWNER 119

/* The conntrack zone of captured DNS over UDP. */
#define RULESET_DNS_ZONE 2

#define RULESET_MATCH_MAX 5
#define RULESET_CHAIN_RULE_MAX 32
#define RULESET_RULE_MAX 96 /* of all chains */
#define RULESET_CHAIN_MAX 8
#define RULESET_SET_MAX PLAN_LIST_COUNT

/* What of a packet, of its socket, or of its connection, a rule looks at. */
enum rule_field {
	RULE_FIELD_L4PROTO,
	RULE_FIELD_OIFNAME,
	RULE_FIELD_IIFNAME,
	RULE_FIELD_SKUID,
	RULE_FIELD_SKGID,
	RULE_FIELD_MARK,
	RULE_FIELD_TH_DPORT, /* of TCP or UDP, whichever it is */
	RULE_FIELD_TCP_DPORT,
	RULE_FIELD_TCP_FLAGS,
	RULE_FIELD_UDP_DPORT,
	RULE_FIELD_UDP_SPORT,
	RULE_FIELD_IPV4_SADDR,
	RULE_FIELD_IPV4_DADDR,
	RULE_FIELD_IPV6_SADDR,
	RULE_FIELD_IPV6_DADDR,
	RULE_FIELD_CT_MARK,
	RULE_FIELD_CT_DIRECTION,
	RULE_FIELD_CT_STATE,
	RULE_FIELD_COUNT
};

/* Bits of RULE_FIELD_TCP_FLAGS and RULE_FIELD_CT_STATE, and a value of RULE_FIELD_CT_DIRECTION. */
#define RULE_TCP_FLAG_SYN 0x02
#define RULE_CT_STATE_INVALID 0x01
#define RULE_CT_DIRECTION_REPLY 1

enum rule_operator {
	RULE_IS,     /* the value's first key */
	RULE_IS_NOT, /* the same, negated */
	RULE_WITHIN, /* from the value's first key to its last */
	RULE_HAS,    /* any of the bits of the value's first key */
	RULE_IN_SET,
	RULE_NOT_IN_SET,
};

struct rule_match {
	enum rule_field field;
	enum rule_operator op;
	struct interval value; /* for all but the sets: a key of the field's size */
	const char *set;       /* for RULE_IN_SET and RULE_NOT_IN_SET: its name */
};

enum rule_verdict {
	RULE_CONTINUE,    /* only counts */
	RULE_RETURN,      /* not this chain's: the packet goes its own way */
	RULE_REDIRECT,    /* to `port` of the pod */
	RULE_TPROXY,      /* to whoever listens transparently on `port`, and marked `number`; else the next rule */
	RULE_DROP,
	RULE_GOTO,        /* on to chain `target`, which decides */
	RULE_SET_MARK,    /* the packet is marked `number`, and goes on to the next rule */
	RULE_SET_CT_MARK, /* its connection is, and it goes on to the next rule */
	RULE_SET_ZONE,    /* it is put into conntrack zone `number`, and goes its own way */
};

struct rule {
	struct rule_match matches[RULESET_MATCH_MAX];
	size_t match_count;
	bool counted;
	enum rule_verdict verdict;
	uint16_t port;
	uint32_t number;
	const char *target;
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

enum rule_chain_type {
	RULE_CHAIN_NAT,
	RULE_CHAIN_FILTER,
	RULE_CHAIN_ROUTE,
	RULE_CHAIN_REGULAR, /* has no hook; rules go to it */
};

enum rule_hook { RULE_HOOK_OUTPUT, RULE_HOOK_PREROUTING };

struct rule_chain {
	const char *name;
	enum rule_chain_type type; /* policy accept */
	enum rule_hook hook;
	int priority;
	struct rule *rules; /* in the ruleset */
	size_t rule_count;
};

/* What is needed beside the table, in either family. */
struct rule_routing {
	bool tproxy; /* packets marked `mark` are the pod's own, by route table `table` */
	uint32_t mark;
	uint32_t table;
	bool passthrough_address; /* where the pod has IPv6, ::6 is on lo: Istio's proxy binds to it (127.0.0.6 always is) */
};

struct ruleset {
	struct rule_set sets[RULESET_SET_MAX];
	size_t set_count;
	struct rule_chain chains[RULESET_CHAIN_MAX];
	size_t chain_count;
	struct rule_routing routing;
	char comment[RULESET_COMMENT_MAX + 1]; /* takes no part in any comparison */
	size_t rule_count;
	struct rule rules[RULESET_RULE_MAX];
};

/* Bytes of a field's value, and of the keys of a set that it is looked up in. */
size_t rule_field_size(enum rule_field field);

/* The set that one of the plan's lists becomes, without elements. */
const struct rule_set *ruleset_set_of(enum plan_list list);

/* Whether the set holds single keys only: then it is a plain set, else one of intervals. */
bool rule_set_is_plain(const struct rule_set *set);

/* The ruleset's set, or chain, of that name; or NULL. */
const struct rule_set *ruleset_find_set(const struct ruleset *ruleset, const char *name);
const struct rule_chain *ruleset_find_chain(const struct ruleset *ruleset, const char *name);

/*
 * Makes the rules of a plan that intercepts. `owner` names the pod in the table's comment, and may be NULL; what does
 * not fit into a comment is cut at a character, what nft could not quote is replaced.
 */
void ruleset_build(const struct redirect_plan *plan, const char *owner, struct ruleset *ret_ruleset);

#endif
