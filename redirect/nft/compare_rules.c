/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One chain's rules, as asked for and as they are in the kernel, are aligned like two versions of a text: the longest
 * row of rules that both have in the same order stays; what is left over on either side was moved, changed, taken
 * away or added. So a single tampering is told as a single difference, about the rule that it was done to.
 *
 * Two rules are equal when their comments and their expressions are. Of an expression, the attributes of its kind are
 * compared one by one; an expression of a kind that weir never writes is a difference by its name alone. Counters are
 * expressions without compared attributes.
 */
#include "redirect/nft/compare_rules.h"

#include "redirect/nft/attribute.h"
#include "redirect/nft/encode.h"
#include "redirect/nft/userdata.h"

#include <assert.h>
#include <errno.h>
#include <libnftnl/udata.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <string.h>

/* Attributes of one kind of expression that are compared. */
#define EXPRESSION_ATTRIBUTE_MAX 6

static const struct expression_kind {
	const char *name;
	uint16_t attributes[EXPRESSION_ATTRIBUTE_MAX]; /* ends at 0 */
	uint16_t data[2]; /* those that are nests of data (NFTA_DATA_*), or 0 */
} expression_kinds[] = {
	{"meta", {NFTA_META_KEY, NFTA_META_DREG, NFTA_META_SREG}, {0}},
	{"payload", {NFTA_PAYLOAD_DREG, NFTA_PAYLOAD_BASE, NFTA_PAYLOAD_OFFSET, NFTA_PAYLOAD_LEN, NFTA_PAYLOAD_SREG}, {0}},
	{"cmp", {NFTA_CMP_SREG, NFTA_CMP_OP}, {NFTA_CMP_DATA}},
	{"byteorder", {NFTA_BYTEORDER_DREG, NFTA_BYTEORDER_SREG, NFTA_BYTEORDER_OP, NFTA_BYTEORDER_LEN, NFTA_BYTEORDER_SIZE},
		{0}},
	{"bitwise", {NFTA_BITWISE_SREG, NFTA_BITWISE_DREG, NFTA_BITWISE_LEN}, {NFTA_BITWISE_MASK, NFTA_BITWISE_XOR}},
	{"ct", {NFTA_CT_KEY, NFTA_CT_DREG, NFTA_CT_SREG, NFTA_CT_DIRECTION}, {0}},
	{"lookup", {NFTA_LOOKUP_SREG, NFTA_LOOKUP_SET, NFTA_LOOKUP_DREG, NFTA_LOOKUP_FLAGS}, {0}},
	{"counter", {0}, {0}},
	{"immediate", {NFTA_IMMEDIATE_DREG}, {NFTA_IMMEDIATE_DATA}},
	{"redir", {NFTA_REDIR_REG_PROTO_MIN, NFTA_REDIR_REG_PROTO_MAX, NFTA_REDIR_FLAGS}, {0}},
	{"tproxy", {NFTA_TPROXY_FAMILY, NFTA_TPROXY_REG_ADDR, NFTA_TPROXY_REG_PORT}, {0}},
};

static const struct expression_kind *find_kind(const char *name)
{
	for (size_t i = 0; i < sizeof expression_kinds / sizeof *expression_kinds; i++)
		if (strcmp(expression_kinds[i].name, name) == 0)
			return &expression_kinds[i];
	return NULL;
}

/* A value, or a verdict with its chain. */
static bool data_equal(const struct nlattr *a, const struct nlattr *b)
{
	const struct nlattr *verdict_a = nft_attribute_find_in(a, NFTA_DATA_VERDICT);
	const struct nlattr *verdict_b = nft_attribute_find_in(b, NFTA_DATA_VERDICT);

	return nft_attribute_equal(nft_attribute_find_in(a, NFTA_DATA_VALUE), nft_attribute_find_in(b, NFTA_DATA_VALUE)) &&
	       nft_attribute_equal(nft_attribute_find_in(verdict_a, NFTA_VERDICT_CODE),
		       nft_attribute_find_in(verdict_b, NFTA_VERDICT_CODE)) &&
	       nft_attribute_equal(nft_attribute_find_in(verdict_a, NFTA_VERDICT_CHAIN),
		       nft_attribute_find_in(verdict_b, NFTA_VERDICT_CHAIN));
}

static bool expression_equal(const struct nlattr *a, const struct nlattr *b)
{
	const struct nlattr *in_a = nft_attribute_find_in(a, NFTA_EXPR_DATA);
	const struct nlattr *in_b = nft_attribute_find_in(b, NFTA_EXPR_DATA);
	const char *name = nft_attribute_text(nft_attribute_find_in(a, NFTA_EXPR_NAME));
	const struct expression_kind *kind = find_kind(name);

	if (kind == NULL || strcmp(name, nft_attribute_text(nft_attribute_find_in(b, NFTA_EXPR_NAME))) != 0)
		return false;
	for (size_t i = 0; i < EXPRESSION_ATTRIBUTE_MAX && kind->attributes[i] != 0; i++)
		if (!nft_attribute_equal(nft_attribute_find_in(in_a, kind->attributes[i]),
			    nft_attribute_find_in(in_b, kind->attributes[i])))
			return false;
	for (size_t i = 0; i < sizeof kind->data / sizeof *kind->data && kind->data[i] != 0; i++)
		if (!data_equal(nft_attribute_find_in(in_a, kind->data[i]), nft_attribute_find_in(in_b, kind->data[i])))
			return false;
	return true;
}

static bool expressions_equal(const struct nlmsghdr *a, const struct nlmsghdr *b)
{
	const struct nlattr *list_a = nft_attribute_find(a, NFTA_RULE_EXPRESSIONS);
	const struct nlattr *list_b = nft_attribute_find(b, NFTA_RULE_EXPRESSIONS);
	const struct nlattr *x = nft_attribute_first(list_a);
	const struct nlattr *y = nft_attribute_first(list_b);

	while (x != NULL && y != NULL && expression_equal(x, y)) {
		x = nft_attribute_next(list_a, x);
		y = nft_attribute_next(list_b, y);
	}
	return x == NULL && y == NULL;
}

static const char *rule_comment(const struct nlmsghdr *rule)
{
	uint32_t size;
	const uint8_t *data = nft_attribute_bytes(nft_attribute_find(rule, NFTA_RULE_USERDATA), &size);

	return nft_userdata_comment(data, size, NFTNL_UDATA_RULE_COMMENT);
}

static bool rule_equal(const struct nlmsghdr *a, const struct nlmsghdr *b)
{
	return strcmp(rule_comment(a), rule_comment(b)) == 0 && expressions_equal(a, b);
}

/* --- the alignment */

/* What has become of a rule, on either side. */
enum fate {
	FATE_OPEN,     /* not known yet */
	FATE_IN_PLACE, /* the other side has it in the same order */
	FATE_TOLD,     /* its difference has been told */
};

struct rows {
	const char *chain;
	struct nlmsghdr *want[RULESET_CHAIN_RULE_MAX]; /* owned */
	enum fate want_fate[RULESET_CHAIN_RULE_MAX];
	size_t want_count;
	const struct nlmsghdr **have; /* of this chain; the array is owned, the rules are not */
	enum fate *have_fate;     /* owned */
	size_t have_count;
	uint8_t *longest; /* owned; (want_count + 1) rows of (have_count + 1): the longest common row from there on */
};
static_assert(RULESET_CHAIN_RULE_MAX <= UINT8_MAX, "the length of a common row fits a byte");

static uint8_t *longest_from(const struct rows *rows, size_t i, size_t j)
{
	return &rows->longest[i * (rows->have_count + 1) + j];
}

static void find_longest(struct rows *rows)
{
	for (size_t i = rows->want_count; i-- > 0;) {
		for (size_t j = rows->have_count; j-- > 0;) {
			uint8_t skip_want = *longest_from(rows, i + 1, j);
			uint8_t skip_have = *longest_from(rows, i, j + 1);

			*longest_from(rows, i, j) = rule_equal(rows->want[i], rows->have[j])
							    ? (uint8_t)(*longest_from(rows, i + 1, j + 1) + 1)
						    : skip_want > skip_have ? skip_want
									    : skip_have;
		}
	}
}

/* Takes what is in its place out of the question: the rules of one longest common row. */
static void settle_common(struct rows *rows)
{
	size_t i = 0;
	size_t j = 0;

	while (i < rows->want_count && j < rows->have_count) {
		uint8_t here = *longest_from(rows, i, j);

		if (here == *longest_from(rows, i + 1, j)) {
			i++;
		} else if (here == *longest_from(rows, i, j + 1)) {
			j++;
		} else {
			rows->want_fate[i++] = FATE_IN_PLACE;
			rows->have_fate[j++] = FATE_IN_PLACE;
		}
	}
}

static void settle_moved(struct rows *rows, struct nft_differences *differences)
{
	for (size_t i = 0; i < rows->want_count; i++) {
		for (size_t j = 0; rows->want_fate[i] == FATE_OPEN && j < rows->have_count; j++) {
			if (rows->have_fate[j] != FATE_OPEN || !rule_equal(rows->want[i], rows->have[j]))
				continue;
			nft_difference_tell(differences, NFT_CHANGED,
				"chain %s: rule %zu (\"%s\") is not in its place, but at place %zu", rows->chain, i + 1,
				rule_comment(rows->want[i]), j + 1);
			rows->want_fate[i] = rows->have_fate[j] = FATE_TOLD;
		}
	}
}

/* What lies between two rules that are in their places, on both sides: from an index to the one behind the last. */
struct gap {
	size_t want, want_end;
	size_t have, have_end;
};

static bool next_gap(const struct rows *rows, struct gap *gap)
{
	size_t i = gap->want_end;
	size_t j = gap->have_end;

	while (i < rows->want_count && j < rows->have_count && rows->want_fate[i] == FATE_IN_PLACE &&
		rows->have_fate[j] == FATE_IN_PLACE)
		i++, j++;
	*gap = (struct gap){i, i, j, j};
	while (gap->want_end < rows->want_count && rows->want_fate[gap->want_end] != FATE_IN_PLACE)
		gap->want_end++;
	while (gap->have_end < rows->have_count && rows->have_fate[gap->have_end] != FATE_IN_PLACE)
		gap->have_end++;
	return gap->want_end > gap->want || gap->have_end > gap->have;
}

static void settle_changed(struct rows *rows, size_t i, size_t j, struct nft_differences *differences)
{
	nft_difference_tell(differences, NFT_CHANGED, "chain %s: rule %zu (\"%s\") is changed", rows->chain, i + 1,
		rule_comment(rows->want[i]));
	rows->want_fate[i] = rows->have_fate[j] = FATE_TOLD;
}

/* A rule that kept its comment was changed. */
static void settle_by_comment(struct rows *rows, const struct gap *gap, struct nft_differences *differences)
{
	for (size_t i = gap->want; i < gap->want_end; i++)
		for (size_t j = gap->have; rows->want_fate[i] == FATE_OPEN && j < gap->have_end; j++)
			if (rows->have_fate[j] == FATE_OPEN &&
				strcmp(rule_comment(rows->want[i]), rule_comment(rows->have[j])) == 0)
				settle_changed(rows, i, j, differences);
}

static size_t count_open(const enum fate *fates, size_t from, size_t end)
{
	size_t count = 0;

	for (; from < end; from++)
		count += fates[from] == FATE_OPEN;
	return count;
}

/* What is left: as many on either side were changed one by one, comment and all; else some are missing, others added. */
static void settle_rest(struct rows *rows, const struct gap *gap, struct nft_differences *differences)
{
	bool one_by_one = count_open(rows->want_fate, gap->want, gap->want_end) ==
			  count_open(rows->have_fate, gap->have, gap->have_end);
	size_t j = gap->have;

	for (size_t i = gap->want; i < gap->want_end; i++) {
		if (rows->want_fate[i] != FATE_OPEN)
			continue;
		while (one_by_one && rows->have_fate[j] != FATE_OPEN)
			j++;
		if (one_by_one)
			settle_changed(rows, i, j, differences);
		else
			nft_difference_tell(differences, NFT_MISSING, "chain %s: rule %zu (\"%s\")", rows->chain, i + 1,
				rule_comment(rows->want[i]));
	}
	for (; j < gap->have_end; j++)
		if (rows->have_fate[j] == FATE_OPEN)
			nft_difference_tell(differences, NFT_ADDED, "chain %s: the rule at place %zu (\"%s\")", rows->chain,
				j + 1, rule_comment(rows->have[j]));
}

static void compare(struct rows *rows, struct nft_differences *differences)
{
	struct gap gap = {0};

	find_longest(rows);
	settle_common(rows);
	settle_moved(rows, differences);
	while (next_gap(rows, &gap)) {
		settle_by_comment(rows, &gap, differences);
		settle_rest(rows, &gap, differences);
	}
}

/* --- both sides */

static int take_want(struct rows *rows, const struct ruleset *ruleset, const struct rule_chain *chain)
{
	for (size_t i = 0; i < chain->rule_count; i++) {
		rows->want[i] = nft_encode_rule(ruleset, chain, &chain->rules[i]);
		if (rows->want[i] == NULL)
			return -ENOMEM;
		rows->want_count++;
	}
	return 0;
}

static int take_have(struct rows *rows, const struct nft_state *have)
{
	rows->have = calloc(have->rule_count + 1, sizeof(const struct nlmsghdr *));
	rows->have_fate = calloc(have->rule_count + 1, sizeof *rows->have_fate);
	if (rows->have == NULL || rows->have_fate == NULL)
		return -ENOMEM;
	for (size_t j = 0; j < have->rule_count; j++)
		if (strcmp(nft_attribute_text(nft_attribute_find(have->rules[j], NFTA_RULE_CHAIN)), rows->chain) == 0)
			rows->have[rows->have_count++] = have->rules[j];
	return 0;
}

int nft_compare_rules(const struct ruleset *ruleset, const struct rule_chain *chain, const struct nft_state *have,
	struct nft_differences *differences)
{
	struct rows rows = {.chain = chain->name};
	int rc = take_want(&rows, ruleset, chain);

	if (rc == 0)
		rc = take_have(&rows, have);
	if (rc == 0) {
		rows.longest = calloc(rows.want_count + 1, rows.have_count + 1);
		rc = rows.longest != NULL ? 0 : -ENOMEM;
	}
	if (rc == 0)
		compare(&rows, differences);
	for (size_t i = 0; i < rows.want_count; i++)
		free(rows.want[i]);
	free((void *)rows.have);
	free(rows.have_fate);
	free(rows.longest);
	return rc;
}
