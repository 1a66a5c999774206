/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both sides are compared as objects of libnftnl: what is wanted is built exactly as it would be sent, what is there
 * was read back. Of an expression, the attributes of its kind are compared one by one; an expression of a kind that
 * weir never writes is a difference by its name alone. Counters are expressions without compared attributes.
 */
#include "redirect/nft/compare.h"

#include "redirect/nft/encode.h"
#include "redirect/nft/text.h"

#include <assert.h>
#include <errno.h>
#include <libnftnl/expr.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdarg.h>
#include <stdio.h>
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
	{"lookup", {NFTNL_EXPR_LOOKUP_SREG, NFTNL_EXPR_LOOKUP_SET, NFTNL_EXPR_LOOKUP_DREG}},
	{"counter", {0}},
	{"immediate", {NFTNL_EXPR_IMM_DREG, NFTNL_EXPR_IMM_DATA, NFTNL_EXPR_IMM_VERDICT, NFTNL_EXPR_IMM_CHAIN}},
	{"redir", {NFTNL_EXPR_REDIR_REG_PROTO_MIN, NFTNL_EXPR_REDIR_REG_PROTO_MAX, NFTNL_EXPR_REDIR_FLAGS}},
};
static_assert(NFTNL_EXPR_META_KEY > 0 && NFTNL_EXPR_LOOKUP_SREG > 0, "0 can end a list of attributes");

static void tell(struct nft_differences *differences, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void tell(struct nft_differences *differences, const char *format, ...)
{
	va_list arguments;

	if (differences->count < NFT_DIFFERENCE_MAX) {
		va_start(arguments, format);
		(void)vsnprintf(differences->text[differences->count], NFT_DIFFERENCE_SIZE, format, arguments);
		va_end(arguments);
	}
	differences->count++;
}

/* --- rules */

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

/* The comment in userdata of types `type`; "" when there is none. */
static const char *find_comment(const uint8_t *data, uint32_t size, uint8_t type)
{
	if (data == NULL)
		return "";
	for (uint32_t i = 0; i + 2 <= size && i + 2 + data[i + 1] <= size; i += 2u + data[i + 1])
		if (data[i] == type && data[i + 1] > 0 && data[i + 1 + data[i + 1]] == '\0')
			return (const char *)&data[i + 2];
	return "";
}

static const char *rule_comment(const struct nftnl_rule *rule)
{
	uint32_t size = 0;
	const uint8_t *data = nftnl_rule_get_data(rule, NFTNL_RULE_USERDATA, &size);

	return find_comment(data, size, NFTNL_UDATA_RULE_COMMENT);
}

static bool rule_equal(const struct nftnl_rule *a, const struct nftnl_rule *b)
{
	return strcmp(rule_comment(a), rule_comment(b)) == 0 && expressions_equal(a, b);
}

/* One chain's rules on both sides. */
struct rule_rows {
	const char *chain;
	struct nftnl_rule *want[RULESET_RULE_MAX];
	size_t want_count;
	struct nftnl_rule *const *have; /* of all chains */
	size_t have_count;
};

/* The first rule of the chain at or behind index `from` of the kernel's; have_count when there is none. */
static size_t next_of_chain(const struct rule_rows *rows, size_t from)
{
	while (from < rows->have_count) {
		const char *chain = nftnl_rule_get_str(rows->have[from], NFTNL_RULE_CHAIN);

		if (chain != NULL && strcmp(chain, rows->chain) == 0)
			break;
		from++;
	}
	return from;
}

static bool is_wanted_later(const struct rule_rows *rows, size_t from, const struct nftnl_rule *rule)
{
	for (size_t i = from; i < rows->want_count; i++)
		if (rule_equal(rows->want[i], rule))
			return true;
	return false;
}

static bool is_there_later(const struct rule_rows *rows, size_t from, const struct nftnl_rule *rule)
{
	for (size_t j = next_of_chain(rows, from); j < rows->have_count; j = next_of_chain(rows, j + 1))
		if (rule_equal(rows->have[j], rule))
			return true;
	return false;
}

/* Walks both rows at once; where they part, looks ahead to tell a missing rule from an added and a changed one. */
static void compare_rule_rows(const struct rule_rows *rows, struct nft_differences *differences)
{
	size_t i = 0;
	size_t j = next_of_chain(rows, 0);
	size_t place = 1;

	while (i < rows->want_count || j < rows->have_count) {
		struct nftnl_rule *want = i < rows->want_count ? rows->want[i] : NULL;
		struct nftnl_rule *have = j < rows->have_count ? rows->have[j] : NULL;
		bool same = want != NULL && have != NULL && rule_equal(want, have);
		bool missing = want != NULL && (have == NULL || is_wanted_later(rows, i + 1, have));
		bool added = have != NULL && (want == NULL || is_there_later(rows, j + 1, want));

		if (same)
			;
		else if (missing && !added)
			tell(differences, "chain %s: rule %zu (\"%s\") is missing", rows->chain, i + 1, rule_comment(want));
		else if (added && !missing)
			tell(differences, "chain %s: the rule at place %zu (\"%s\") was added", rows->chain, place,
				rule_comment(have));
		else
			tell(differences, "chain %s: rule %zu (\"%s\") is %s", rows->chain, i + 1, rule_comment(want),
				missing ? "not in its place" : "changed");
		if (same || !missing || added) {
			j = next_of_chain(rows, j + 1);
			place++;
		}
		if (same || !added || missing)
			i++;
	}
}

static int compare_rules(const struct rule_chain *chain, const struct nft_state *have,
	struct nft_differences *differences)
{
	struct rule_rows rows = {.chain = chain->name, .have = have->rules, .have_count = have->rule_count};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < chain->rule_count; i++) {
		rows.want[i] = nft_encode_rule(chain, &chain->rules[i]);
		if (rows.want[i] == NULL)
			rc = -ENOMEM;
		else
			rows.want_count++;
	}
	if (rc == 0)
		compare_rule_rows(&rows, differences);
	for (size_t i = 0; i < rows.want_count; i++)
		nftnl_rule_free(rows.want[i]);
	return rc;
}

/* --- chains */

static const struct nftnl_chain *find_chain(const struct nft_state *have, const char *name)
{
	for (size_t i = 0; i < have->chain_count; i++)
		if (strcmp(nftnl_chain_get_str(have->chains[i], NFTNL_CHAIN_NAME), name) == 0)
			return have->chains[i];
	return NULL;
}

static bool has_type(const struct nftnl_chain *chain, const char *type)
{
	const char *have = nftnl_chain_get_str(chain, NFTNL_CHAIN_TYPE);

	return have != NULL && strcmp(have, type) == 0;
}

static int compare_chain(const struct rule_chain *want, const struct nft_state *have,
	struct nft_differences *differences)
{
	const struct nftnl_chain *chain = find_chain(have, want->name);
	int priority;

	if (chain == NULL) {
		tell(differences, "chain %s is missing", want->name);
		return 0;
	}
	priority = nftnl_chain_get_s32(chain, NFTNL_CHAIN_PRIO);
	if (!has_type(chain, "nat") || !nftnl_chain_is_set(chain, NFTNL_CHAIN_HOOKNUM) ||
		nftnl_chain_get_u32(chain, NFTNL_CHAIN_HOOKNUM) != NF_INET_LOCAL_OUT)
		tell(differences, "chain %s is not of type nat at hook output", want->name);
	if (priority != want->priority)
		tell(differences, "chain %s has priority %d, not %d", want->name, priority, want->priority);
	if (nftnl_chain_get_u32(chain, NFTNL_CHAIN_POLICY) != NF_ACCEPT)
		tell(differences, "chain %s has policy drop, not accept", want->name);
	return compare_rules(want, have, differences);
}

static bool is_wanted_chain(const struct ruleset *want, const char *name)
{
	for (size_t i = 0; i < want->chain_count; i++)
		if (strcmp(want->chains[i].name, name) == 0)
			return true;
	return false;
}

/* --- sets */

static struct nft_state_set *find_set(struct nft_state *have, const char *name)
{
	for (size_t i = 0; i < have->set_count; i++)
		if (strcmp(nftnl_set_get_str(have->sets[i].object, NFTNL_SET_NAME), name) == 0)
			return &have->sets[i];
	return NULL;
}

static void tell_element(struct nft_differences *differences, const struct rule_set *set,
	const struct interval *interval, const char *what)
{
	char text[NFT_TEXT_ELEMENT_SIZE];

	tell(differences, "set %s: %s %s", set->name, nft_text_format(text, set->field, interval), what);
}

/* Both lists are merged: walks them like two sorted files. */
static void compare_elements(const struct rule_set *want, const struct interval_list *have,
	struct nft_differences *differences)
{
	const struct interval_list *list = want->elements;
	size_t i = 0;
	size_t j = 0;

	while (i < list->count || j < have->count) {
		int order = i == list->count   ? 1
			    : j == have->count ? -1
					       : memcmp(&list->items[i], &have->items[j], sizeof(struct interval));

		if (order < 0)
			tell_element(differences, want, &list->items[i], "is missing");
		else if (order > 0)
			tell_element(differences, want, &have->items[j], "was added");
		i += order <= 0;
		j += order >= 0;
	}
}

static void compare_set(const struct rule_set *want, struct nft_state *have, struct nft_differences *differences)
{
	struct nft_state_set *found = find_set(have, want->name);
	const uint8_t *userdata;
	uint32_t size = 0;

	if (found == NULL) {
		tell(differences, "set %s is missing", want->name);
		return;
	}
	if (nftnl_set_get_u32(found->object, NFTNL_SET_FLAGS) != NFT_SET_INTERVAL ||
		nftnl_set_get_u32(found->object, NFTNL_SET_KEY_TYPE) != nft_encode_key_type(want->field) ||
		nftnl_set_get_u32(found->object, NFTNL_SET_KEY_LEN) != rule_field_size(want->field)) {
		tell(differences, "set %s has another type or other flags", want->name);
		return;
	}
	userdata = nftnl_set_get_data(found->object, NFTNL_SET_USERDATA, &size);
	if (strcmp(find_comment(userdata, size, NFTNL_UDATA_SET_COMMENT), want->comment) != 0)
		tell(differences, "set %s has another comment", want->name);
	if (found->odd)
		tell(differences, "set %s has an element that is no plain interval", want->name);
	/* nft may have split or joined neighbours; what counts is which keys are in. */
	found->elements.keep_apart = want->elements->keep_apart;
	interval_list_merge(&found->elements);
	compare_elements(want, &found->elements, differences);
}

static bool is_wanted_set(const struct ruleset *want, const char *name)
{
	for (size_t i = 0; i < want->set_count; i++)
		if (strcmp(want->sets[i].name, name) == 0)
			return true;
	return false;
}

static void tell_strangers(const struct ruleset *want, const struct nft_state *have,
	struct nft_differences *differences)
{
	for (size_t i = 0; i < have->chain_count; i++) {
		const char *name = nftnl_chain_get_str(have->chains[i], NFTNL_CHAIN_NAME);

		if (!is_wanted_chain(want, name))
			tell(differences, "chain %s was added", name);
	}
	for (size_t i = 0; i < have->set_count; i++) {
		const char *name = nftnl_set_get_str(have->sets[i].object, NFTNL_SET_NAME);

		if (!is_wanted_set(want, name))
			tell(differences, "set %s was added", name);
	}
	if (have->other_count > 0)
		tell(differences, "%zu other objects were added", have->other_count);
}

int nft_compare(const struct ruleset *want, struct nft_state *have, struct nft_differences *ret_differences)
{
	int rc = 0;

	ret_differences->count = 0;
	if (want == NULL || !have->exists) {
		if (want != NULL)
			tell(ret_differences, "the table inet " RULESET_TABLE " is missing");
		else if (have->exists)
			tell(ret_differences, "the table inet " RULESET_TABLE " is there, and should not be");
		return 0;
	}
	if (have->table_flags != 0)
		tell(ret_differences, "the table has flags (0x%x): dormant, or owned by a process", have->table_flags);
	for (size_t i = 0; i < want->set_count; i++)
		compare_set(&want->sets[i], have, ret_differences);
	for (size_t i = 0; rc == 0 && i < want->chain_count; i++)
		rc = compare_chain(&want->chains[i], have, ret_differences);
	tell_strangers(want, have, ret_differences);
	return rc;
}
