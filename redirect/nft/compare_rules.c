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

#include "redirect/nft/encode.h"
#include "redirect/nft/userdata.h"

#include <assert.h>
#include <errno.h>
#include <libnftnl/expr.h>
#include <libnftnl/udata.h>
#include <stdlib.h>
#include <string.h>

/* Attributes of one kind of expression that are compared. */
#define EXPRESSION_ATTRIBUTE_MAX 6

static const struct expression_kind {
	const char *name;
	uint16_t attributes[EXPRESSION_ATTRIBUTE_MAX]; /* ends at 0 */
} expression_kinds[] = {
	{"meta", {NFTNL_EXPR_META_KEY, NFTNL_EXPR_META_DREG, NFTNL_EXPR_META_SREG}},
	{"payload", {NFTNL_EXPR_PAYLOAD_DREG, NFTNL_EXPR_PAYLOAD_BASE, NFTNL_EXPR_PAYLOAD_OFFSET,
			    NFTNL_EXPR_PAYLOAD_LEN, NFTNL_EXPR_PAYLOAD_SREG}},
	{"cmp", {NFTNL_EXPR_CMP_SREG, NFTNL_EXPR_CMP_OP, NFTNL_EXPR_CMP_DATA}},
	{"byteorder", {NFTNL_EXPR_BYTEORDER_DREG, NFTNL_EXPR_BYTEORDER_SREG, NFTNL_EXPR_BYTEORDER_OP,
			      NFTNL_EXPR_BYTEORDER_LEN, NFTNL_EXPR_BYTEORDER_SIZE}},
	{"lookup", {NFTNL_EXPR_LOOKUP_SREG, NFTNL_EXPR_LOOKUP_SET, NFTNL_EXPR_LOOKUP_DREG, NFTNL_EXPR_LOOKUP_FLAGS}},
	{"counter", {0}},
	{"immediate", {NFTNL_EXPR_IMM_DREG, NFTNL_EXPR_IMM_DATA, NFTNL_EXPR_IMM_VERDICT, NFTNL_EXPR_IMM_CHAIN}},
	{"redir", {NFTNL_EXPR_REDIR_REG_PROTO_MIN, NFTNL_EXPR_REDIR_REG_PROTO_MAX, NFTNL_EXPR_REDIR_FLAGS}},
};
static_assert(NFTNL_EXPR_META_KEY > 0 && NFTNL_EXPR_LOOKUP_SREG > 0, "0 can end a list of attributes");

static const struct expression_kind *find_kind(const char *name)
{
	for (size_t i = 0; i < sizeof expression_kinds / sizeof *expression_kinds; i++)
		if (name != NULL && strcmp(expression_kinds[i].name, name) == 0)
			return &expression_kinds[i];
	return NULL;
}

static bool attribute_equal(const struct nftnl_expr *a, const struct nftnl_expr *b, uint16_t attribute)
{
	uint32_t size_a = 0;
	uint32_t size_b = 0;
	const void *value_a = nftnl_expr_is_set(a, attribute) ? nftnl_expr_get(a, attribute, &size_a) : NULL;
	const void *value_b = nftnl_expr_is_set(b, attribute) ? nftnl_expr_get(b, attribute, &size_b) : NULL;

	if (value_a == NULL || value_b == NULL)
		return value_a == value_b;
	return size_a == size_b && memcmp(value_a, value_b, size_a) == 0;
}

static bool expression_equal(const struct nftnl_expr *a, const struct nftnl_expr *b)
{
	const char *name = nftnl_expr_get_str(a, NFTNL_EXPR_NAME);
	const char *other = nftnl_expr_get_str(b, NFTNL_EXPR_NAME);
	const struct expression_kind *kind = find_kind(name);

	if (kind == NULL || other == NULL || strcmp(name, other) != 0)
		return false;
	for (size_t i = 0; i < EXPRESSION_ATTRIBUTE_MAX && kind->attributes[i] != 0; i++)
		if (!attribute_equal(a, b, kind->attributes[i]))
			return false;
	return true;
}

static bool expressions_equal(const struct nftnl_rule *a, const struct nftnl_rule *b)
{
	struct nftnl_expr_iter *i = nftnl_expr_iter_create(a);
	struct nftnl_expr_iter *j = nftnl_expr_iter_create(b);
	bool equal = i != NULL && j != NULL;

	while (equal) {
		const struct nftnl_expr *x = nftnl_expr_iter_next(i);
		const struct nftnl_expr *y = nftnl_expr_iter_next(j);

		if (x == NULL || y == NULL) {
			equal = x == y;
			break;
		}
		equal = expression_equal(x, y);
	}
	if (i != NULL)
		nftnl_expr_iter_destroy(i);
	if (j != NULL)
		nftnl_expr_iter_destroy(j);
	return equal;
}

static const char *rule_comment(const struct nftnl_rule *rule)
{
	uint32_t size = 0;
	const uint8_t *data = nftnl_rule_get_data(rule, NFTNL_RULE_USERDATA, &size);

	return nft_userdata_comment(data, size, NFTNL_UDATA_RULE_COMMENT);
}

static bool rule_equal(const struct nftnl_rule *a, const struct nftnl_rule *b)
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
	struct nftnl_rule *want[RULESET_RULE_MAX]; /* owned */
	enum fate want_fate[RULESET_RULE_MAX];
	size_t want_count;
	struct nftnl_rule **have; /* of this chain; the array is owned, the rules are not */
	enum fate *have_fate;     /* owned */
	size_t have_count;
	uint8_t *longest; /* owned; (want_count + 1) rows of (have_count + 1): the longest common row from there on */
};
static_assert(RULESET_RULE_MAX <= UINT8_MAX, "the length of a common row fits a byte");

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

static int take_want(struct rows *rows, const struct rule_chain *chain)
{
	for (size_t i = 0; i < chain->rule_count; i++) {
		rows->want[i] = nft_encode_rule(chain, &chain->rules[i]);
		if (rows->want[i] == NULL)
			return -ENOMEM;
		rows->want_count++;
	}
	return 0;
}

static int take_have(struct rows *rows, const struct nft_state *have)
{
	rows->have = calloc(have->rule_count + 1, sizeof(struct nftnl_rule *));
	rows->have_fate = calloc(have->rule_count + 1, sizeof *rows->have_fate);
	if (rows->have == NULL || rows->have_fate == NULL)
		return -ENOMEM;
	for (size_t j = 0; j < have->rule_count; j++) {
		const char *chain = nftnl_rule_get_str(have->rules[j], NFTNL_RULE_CHAIN);

		if (chain != NULL && strcmp(chain, rows->chain) == 0)
			rows->have[rows->have_count++] = have->rules[j];
	}
	return 0;
}

int nft_compare_rules(const struct rule_chain *chain, const struct nft_state *have,
	struct nft_differences *differences)
{
	struct rows rows = {.chain = chain->name};
	int rc = take_want(&rows, chain);

	if (rc == 0)
		rc = take_have(&rows, have);
	if (rc == 0) {
		rows.longest = calloc(rows.want_count + 1, rows.have_count + 1);
		rc = rows.longest != NULL ? 0 : -ENOMEM;
	}
	if (rc == 0)
		compare(&rows, differences);
	for (size_t i = 0; i < rows.want_count; i++)
		nftnl_rule_free(rows.want[i]);
	free(rows.have);
	free(rows.have_fate);
	free(rows.longest);
	return rc;
}
