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
	[RULE_FIELD_SKUID] = {"meta skuid", "uid"},
	[RULE_FIELD_SKGID] = {"meta skgid", "gid"},
	[RULE_FIELD_TCP_DPORT] = {"tcp dport", "inet_service"},
	[RULE_FIELD_IPV4_SADDR] = {"ip saddr", "ipv4_addr"},
	[RULE_FIELD_IPV4_DADDR] = {"ip daddr", "ipv4_addr"},
	[RULE_FIELD_IPV6_SADDR] = {"ip6 saddr", "ipv6_addr"},
	[RULE_FIELD_IPV6_DADDR] = {"ip6 daddr", "ipv6_addr"},
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
	(void)fprintf(out, "\tset %s {\n\t\ttype %s\n\t\tflags interval\n\t\tcomment \"%s\"\n", set->name,
		field_texts[set->field].type, set->comment);
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
	if (match->op == RULE_IN_SET)
		(void)fprintf(out, "@%s ", match->set);
	else if (match->op == RULE_WITHIN)
		write_bounds(match, out);
	else
		(void)fprintf(out, "%s%s ", match->op == RULE_IS_NOT ? "!= " : "",
			rule_value_format(text, match->field, &match->value));
}

static void write_rule(const struct rule *rule, FILE *out)
{
	(void)fputs("\t\t", out);
	for (size_t i = 0; i < rule->match_count; i++)
		write_match(&rule->matches[i], out);
	if (rule->counted)
		(void)fputs("counter ", out);
	if (rule->verdict == RULE_RETURN)
		(void)fputs("return ", out);
	else if (rule->verdict == RULE_REDIRECT)
		(void)fprintf(out, "redirect to :%u ", rule->port);
	(void)fprintf(out, "comment \"%s\"\n", rule->comment);
}

static void write_chain(const struct rule_chain *chain, FILE *out)
{
	(void)fprintf(out, "\tchain %s {\n\t\ttype nat hook output priority %d; policy accept;\n", chain->name,
		chain->priority);
	for (size_t i = 0; i < chain->rule_count; i++)
		write_rule(&chain->rules[i], out);
	(void)fputs("\t}\n", out);
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
	for (size_t i = 0; i < want->chain_count; i++)
		write_chain(&want->chains[i], out);
	(void)fputs("}\n", out);
}
