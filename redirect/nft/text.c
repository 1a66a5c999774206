/* SPDX-License-Identifier: Apache-2.0 */
#include "redirect/nft/text.h"

#include "redirect/base/address.h"

#include <assert.h>
#include <netinet/in.h>
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

static uint32_t key_number(const uint8_t *key, size_t size)
{
	uint32_t number = 0;

	for (size_t i = 0; i < size; i++)
		number = number << 8 | key[i];
	return number;
}

static void format_address(char out[ADDRESS_TEXT_SIZE], enum rule_field field, const uint8_t *key)
{
	struct address address = {.bytes = {[10] = 0xff, [11] = 0xff}};

	if (rule_field_size(field) == 4)
		memcpy(address.bytes + 12, key, 4);
	else
		memcpy(address.bytes, key, 16);
	(void)address_format(out, &address);
}

/* The prefix length of an interval that is one CIDR, or -1. */
static int cidr_prefix(const struct interval *interval, size_t size)
{
	size_t i = 0;
	int prefix;
	unsigned differ;

	while (i < size && interval->first[i] == interval->last[i])
		i++;
	prefix = (int)i * 8;
	if (i == size)
		return prefix;
	/* In the byte where they part, the differing bits must be the low ones: 0 to 1 in each. */
	differ = (unsigned)(interval->first[i] ^ interval->last[i]);
	if ((differ & (differ + 1)) != 0 || (interval->first[i] & differ) != 0)
		return -1;
	for (; differ != 0; differ >>= 1)
		prefix--;
	prefix += 8;
	while (++i < size)
		if (interval->first[i] != 0 || interval->last[i] != 0xff)
			return -1;
	return prefix;
}

static void format_addresses(char out[NFT_TEXT_ELEMENT_SIZE], enum rule_field field, const struct interval *interval)
{
	size_t size = rule_field_size(field);
	int prefix = cidr_prefix(interval, size);
	char first[ADDRESS_TEXT_SIZE];
	char last[ADDRESS_TEXT_SIZE];

	format_address(first, field, interval->first);
	format_address(last, field, interval->last);
	if (prefix == (int)size * 8)
		(void)snprintf(out, NFT_TEXT_ELEMENT_SIZE, "%.46s", first);
	else if (prefix >= 0)
		(void)snprintf(out, NFT_TEXT_ELEMENT_SIZE, "%.46s/%d", first, prefix);
	else
		(void)snprintf(out, NFT_TEXT_ELEMENT_SIZE, "%.46s-%.46s", first, last);
}

/* A name that ends before its padding is exact; else it is a beginning of names. */
static void format_name(char out[NFT_TEXT_ELEMENT_SIZE], const struct interval *interval)
{
	bool pattern = interval->last[INTERVAL_KEY_MAX - 1] == 0xff;

	(void)snprintf(out, NFT_TEXT_ELEMENT_SIZE, "\"%.16s%s\"", (const char *)interval->first, pattern ? "*" : "");
}

static void format_numbers(char out[NFT_TEXT_ELEMENT_SIZE], enum rule_field field, const struct interval *interval)
{
	size_t size = rule_field_size(field);
	uint32_t first = key_number(interval->first, size);
	uint32_t last = key_number(interval->last, size);

	if (first == last)
		(void)snprintf(out, NFT_TEXT_ELEMENT_SIZE, "%u", first);
	else
		(void)snprintf(out, NFT_TEXT_ELEMENT_SIZE, "%u-%u", first, last);
}

const char *nft_text_format(char out[NFT_TEXT_ELEMENT_SIZE], enum rule_field field, const struct interval *interval)
{
	switch (field) {
	case RULE_FIELD_OIFNAME:
		format_name(out, interval);
		break;
	case RULE_FIELD_L4PROTO:
		(void)snprintf(out, NFT_TEXT_ELEMENT_SIZE, "%s", interval->first[0] == IPPROTO_TCP ? "tcp" : "udp");
		break;
	case RULE_FIELD_IPV4_SADDR:
	case RULE_FIELD_IPV4_DADDR:
	case RULE_FIELD_IPV6_SADDR:
	case RULE_FIELD_IPV6_DADDR:
		format_addresses(out, field, interval);
		break;
	default:
		format_numbers(out, field, interval);
		break;
	}
	return out;
}

static void write_elements(const struct rule_set *set, FILE *out)
{
	int column = 0;

	(void)fputs("\t\telements = { ", out);
	for (size_t i = 0; i < set->elements->count; i++) {
		char text[NFT_TEXT_ELEMENT_SIZE];

		(void)nft_text_format(text, set->field, &set->elements->items[i]);
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
	char text[NFT_TEXT_ELEMENT_SIZE];

	memcpy(first.last, first.first, sizeof first.last);
	memcpy(last.first, last.last, sizeof last.first);
	(void)fprintf(out, "%s-", nft_text_format(text, match->field, &first));
	(void)fprintf(out, "%s ", nft_text_format(text, match->field, &last));
}

static void write_match(const struct rule_match *match, FILE *out)
{
	char text[NFT_TEXT_ELEMENT_SIZE];

	(void)fprintf(out, "%s ", field_texts[match->field].match);
	if (match->op == RULE_IN_SET)
		(void)fprintf(out, "@%s ", match->set);
	else if (match->op == RULE_WITHIN)
		write_bounds(match, out);
	else
		(void)fprintf(out, "%s%s ", match->op == RULE_IS_NOT ? "!= " : "",
			nft_text_format(text, match->field, &match->value));
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
