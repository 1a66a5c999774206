/* SPDX-License-Identifier: Apache-2.0 */
#include "redirect/nft/text.h"

#include "redirect/plan/rule_value.h"

#include <assert.h>
#include <string.h>

/* A line of elements is wrapped behind this many columns. */
#define ELEMENT_COLUMNS 96

static const struct field_text {
	const char *match; /* in a rule */
	const char *type;  /* of a set; NULL where no set has it */
} field_texts[] = {
	[RULE_FIELD_L4PROTO] = {"meta l4proto", NULL},
	[RULE_FIELD_OIFNAME] = {"oifname", "ifname"},
	[RULE_FIELD_IIFNAME] = {"iifname", "ifname"},
	[RULE_FIELD_SKUID] = {"meta skuid", "uid"},
	[RULE_FIELD_SKGID] = {"meta skgid", "gid"},
	[RULE_FIELD_MARK] = {"meta mark", NULL},
	[RULE_FIELD_TH_DPORT] = {"th dport", "inet_service"},
	[RULE_FIELD_TCP_DPORT] = {"tcp dport", "inet_service"},
	[RULE_FIELD_TCP_FLAGS] = {"tcp flags", NULL},
	[RULE_FIELD_UDP_DPORT] = {"udp dport", "inet_service"},
	[RULE_FIELD_UDP_SPORT] = {"udp sport", "inet_service"},
	[RULE_FIELD_IPV4_SADDR] = {"ip saddr", "ipv4_addr"},
	[RULE_FIELD_IPV4_DADDR] = {"ip daddr", "ipv4_addr"},
	[RULE_FIELD_IPV6_SADDR] = {"ip6 saddr", "ipv6_addr"},
	[RULE_FIELD_IPV6_DADDR] = {"ip6 daddr", "ipv6_addr"},
	[RULE_FIELD_CT_MARK] = {"ct mark", NULL},
	[RULE_FIELD_CT_DIRECTION] = {"ct direction", NULL},
	[RULE_FIELD_CT_STATE] = {"ct state", NULL},
};
static_assert(sizeof field_texts / sizeof *field_texts == RULE_FIELD_COUNT, "every field has a text");

static void write_elements(const struct rule_set *set, FILE *out)
{
	int column = 0;

	(void)fputs("\t\telements = { ", out);
	for (size_t i = 0; i < set->elements->count; i++) {
		char text[RULE_VALUE_SIZE];

		(void)rule_value_format(text, set->field, &set->elements->items[i]);
		if (i > 0)
			(void)fputs(column > ELEMENT_COLUMNS ? ",\n\t\t\t" : ", ", out);
		column = column > ELEMENT_COLUMNS ? 0 : column;
		column += fprintf(out, "%s", text) + 2;
	}
	(void)fputs(" }\n", out);
}

static void write_set(const struct rule_set *set, FILE *out)
{
	(void)fprintf(out, "\tset %s {\n\t\ttype %s\n%s\t\tcomment \"%s\"\n", set->name, field_texts[set->field].type,
		rule_set_is_plain(set) ? "" : "\t\tflags interval\n", set->comment);
	write_elements(set, out);
	(void)fputs("\t}\n\n", out);
}

/* Both ends, even of what is a CIDR: of that nft would make other expressions than netlink is given. */
static void write_bounds(const struct rule_match *match, FILE *out)
{
	struct interval first = match->value;
	struct interval last = match->value;
	char text[RULE_VALUE_SIZE];

	memcpy(first.last, first.first, sizeof first.last);
	memcpy(last.first, last.last, sizeof last.first);
	(void)fprintf(out, "%s-", rule_value_format(text, match->field, &first));
	(void)fprintf(out, "%s ", rule_value_format(text, match->field, &last));
}

static void write_match(const struct rule_match *match, FILE *out)
{
	char text[RULE_VALUE_SIZE];

	(void)fprintf(out, "%s ", field_texts[match->field].match);
	if (match->op == RULE_IN_SET || match->op == RULE_NOT_IN_SET)
		(void)fprintf(out, "%s@%s ", match->op == RULE_NOT_IN_SET ? "!= " : "", match->set);
	else if (match->op == RULE_WITHIN)
		write_bounds(match, out);
	else
		(void)fprintf(out, "%s%s ", match->op == RULE_IS_NOT ? "!= " : "",
			rule_value_format(text, match->field, &match->value));
}

static void write_outcome(const struct rule *rule, FILE *out)
{
	switch (rule->verdict) {
	case RULE_CONTINUE:
		break;
	case RULE_RETURN:
		(void)fputs("return ", out);
		break;
	case RULE_REDIRECT:
		(void)fprintf(out, "redirect to :%u ", rule->port);
		break;
	case RULE_TPROXY:
		(void)fprintf(out, "tproxy to :%u meta mark set %u accept ", rule->port, rule->number);
		break;
	case RULE_DROP:
		(void)fputs("drop ", out);
		break;
	case RULE_GOTO:
		(void)fprintf(out, "goto %s ", rule->target);
		break;
	case RULE_SET_MARK:
		(void)fprintf(out, "meta mark set %u ", rule->number);
		break;
	case RULE_SET_CT_MARK:
		(void)fprintf(out, "ct mark set %u ", rule->number);
		break;
	case RULE_SET_ZONE:
		(void)fprintf(out, "ct zone set %u return ", rule->number);
		break;
	}
}

static void write_rule(const struct rule *rule, FILE *out)
{
	(void)fputs("\t\t", out);
	for (size_t i = 0; i < rule->match_count; i++)
		write_match(&rule->matches[i], out);
	if (rule->counted)
		(void)fputs("counter ", out);
	write_outcome(rule, out);
	(void)fprintf(out, "comment \"%s\"\n", rule->comment);
}

static void write_chain(const struct rule_chain *chain, FILE *out)
{
	static const char *const types[] = {
		[RULE_CHAIN_NAT] = "nat", [RULE_CHAIN_FILTER] = "filter", [RULE_CHAIN_ROUTE] = "route"};
	static const char *const hooks[] = {[RULE_HOOK_OUTPUT] = "output", [RULE_HOOK_PREROUTING] = "prerouting"};

	(void)fprintf(out, "\tchain %s {\n", chain->name);
	if (chain->type != RULE_CHAIN_REGULAR)
		(void)fprintf(out, "\t\ttype %s hook %s priority %d; policy accept;\n", types[chain->type],
			hooks[chain->hook],
			chain->priority);
	for (size_t i = 0; i < chain->rule_count; i++)
		write_rule(&chain->rules[i], out);
	(void)fputs("\t}\n", out);
}

static void write_routing(const struct rule_routing *routing, FILE *out)
{
	static const char *const families[] = {"-4", "-6"};

	for (size_t i = 0; routing->tproxy && i < 2; i++)
		(void)fprintf(out, "# ip %s rule add fwmark %u lookup %u protocol %d\n# ip %s route add local default dev lo table %u proto %d\n",
			families[i], routing->mark, routing->table, RULESET_ROUTE_OWNER, families[i], routing->table,
			RULESET_ROUTE_OWNER);
	if (routing->passthrough_address)
		(void)fprintf(out, "# where there is IPv6: ip -6 address add ::6/128 dev lo metric %d\n",
			RULESET_ROUTE_OWNER);
}

void nft_text_write(const struct ruleset *want, FILE *out)
{
	/* Adding before deleting makes the deletion succeed where there is no table. */
	(void)fputs("add table inet " RULESET_TABLE "\ndelete table inet " RULESET_TABLE "\n", out);
	if (want == NULL)
		return;
	(void)fprintf(out, "\ntable inet " RULESET_TABLE " {\n\tcomment \"%s\"\n\n", want->comment);
	for (size_t i = 0; i < want->set_count; i++)
		write_set(&want->sets[i], out);
	for (size_t i = 0; i < want->chain_count; i++) {
		(void)fputs(i > 0 ? "\n" : "", out);
		write_chain(&want->chains[i], out);
	}
	(void)fputs("}\n", out);
	write_routing(&want->routing, out);
}
