/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structure is compared, never text: what is wanted is known as data, what is there is asked for by its attributes.
 */
#include "redirect/nft/compare.h"

#include "redirect/nft/attribute.h"
#include "redirect/nft/compare_rules.h"
#include "redirect/nft/encode.h"
#include "redirect/nft/expression.h"
#include "redirect/nft/userdata.h"
#include "redirect/plan/rule_value.h"

#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

/* --- chains */

static const char *chain_name(const struct nlmsghdr *chain)
{
	return nft_attribute_text(nft_attribute_find(chain, NFTA_CHAIN_NAME));
}

static const struct nlmsghdr *find_chain(const struct nft_state *have, const char *name)
{
	for (size_t i = 0; i < have->chain_count; i++)
		if (strcmp(chain_name(have->chains[i]), name) == 0)
			return have->chains[i];
	return NULL;
}

static void compare_hook(const struct rule_chain *want, const struct nlmsghdr *chain,
	struct nft_differences *differences)
{
	static const char *const hooks[] = {[RULE_HOOK_OUTPUT] = "output", [RULE_HOOK_PREROUTING] = "prerouting"};
	const struct nlattr *hook = nft_attribute_find(chain, NFTA_CHAIN_HOOK);
	int priority = (int)nft_attribute_number(nft_attribute_find_in(hook, NFTA_HOOK_PRIORITY), 0);

	if (want->type == RULE_CHAIN_REGULAR) {
		if (hook != NULL)
			nft_difference_tell(differences, NFT_CHANGED, "chain %s has a hook", want->name);
		return;
	}
	if (strcmp(nft_attribute_text(nft_attribute_find(chain, NFTA_CHAIN_TYPE)), nft_encode_chain_type(want)) != 0 ||
		nft_attribute_number(nft_attribute_find_in(hook, NFTA_HOOK_HOOKNUM), UINT32_MAX) != nft_encode_hook(want))
		nft_difference_tell(differences, NFT_CHANGED, "chain %s is not of type %s at hook %s", want->name,
			nft_encode_chain_type(want), hooks[want->hook]);
	if (priority != want->priority)
		nft_difference_tell(differences, NFT_CHANGED, "chain %s has priority %d, not %d", want->name, priority,
			want->priority);
	if (nft_attribute_number(nft_attribute_find(chain, NFTA_CHAIN_POLICY), NF_ACCEPT) != NF_ACCEPT)
		nft_difference_tell(differences, NFT_CHANGED, "chain %s has policy drop, not accept", want->name);
}

static int compare_chain(const struct ruleset *ruleset, const struct rule_chain *want, const struct nft_state *have,
	struct nft_differences *differences)
{
	const struct nlmsghdr *chain = find_chain(have, want->name);

	if (chain == NULL) {
		nft_difference_tell(differences, NFT_MISSING, "chain %s", want->name);
		return 0;
	}
	compare_hook(want, chain, differences);
	return nft_compare_rules(ruleset, want, have, differences);
}

static bool is_wanted_chain(const struct ruleset *want, const char *name)
{
	for (size_t i = 0; i < want->chain_count; i++)
		if (strcmp(want->chains[i].name, name) == 0)
			return true;
	return false;
}

/* --- sets */

static const char *set_name(const struct nft_state_set *set)
{
	return nft_attribute_text(nft_attribute_find(set->message, NFTA_SET_NAME));
}

static const struct nft_state_set *find_set(const struct nft_state *have, const char *name)
{
	for (size_t i = 0; i < have->set_count; i++)
		if (strcmp(set_name(&have->sets[i]), name) == 0)
			return &have->sets[i];
	return NULL;
}

static void tell_interval(const struct rule_set *set, const uint8_t *first, const uint8_t *last, enum nft_change change,
	struct nft_differences *differences)
{
	struct interval interval = {0};
	char text[RULE_VALUE_SIZE];

	memcpy(interval.first, first, rule_field_size(set->field));
	memcpy(interval.last, last, rule_field_size(set->field));
	nft_difference_tell(differences, change, "set %s: %s", set->name, rule_value_format(text, set->field, &interval));
}

/*
 * Tells the keys of `list` that are not in `other`, as intervals. Both are sorted and without overlaps. nft may have
 * split or joined neighbours; what counts is which keys are in.
 */
static void tell_uncovered(const struct rule_set *set, const struct interval_list *list,
	const struct interval_list *other, enum nft_change change, struct nft_differences *differences)
{
	size_t size = list->key_size;
	size_t j = 0;

	for (size_t i = 0; i < list->count; i++) {
		const uint8_t *last = list->items[i].last;
		uint8_t from[INTERVAL_KEY_MAX];
		bool more = true;

		memcpy(from, list->items[i].first, sizeof from);
		while (j < other->count && memcmp(other->items[j].last, from, size) < 0)
			j++;
		for (size_t k = j; more && k < other->count && memcmp(other->items[k].first, last, size) <= 0; k++) {
			uint8_t before[INTERVAL_KEY_MAX];

			memcpy(before, other->items[k].first, sizeof before);
			if (memcmp(before, from, size) > 0 && interval_key_previous(before, size))
				tell_interval(set, from, before, change, differences);
			memcpy(from, other->items[k].last, sizeof from);
			more = memcmp(from, last, size) < 0 && interval_key_next(from, size);
		}
		if (more)
			tell_interval(set, from, last, change, differences);
	}
}

static bool has_number(const struct nft_state_set *set, uint16_t type, uint32_t number)
{
	return nft_attribute_number(nft_attribute_find(set->message, type), 0) == number;
}

static void compare_set(const struct rule_set *want, const struct nft_state *have,
	struct nft_differences *differences)
{
	const struct nft_state_set *found = find_set(have, want->name);
	const uint8_t *userdata;
	uint32_t size;

	if (found == NULL) {
		nft_difference_tell(differences, NFT_MISSING, "set %s", want->name);
		return;
	}
	if (!has_number(found, NFTA_SET_FLAGS, rule_set_is_plain(want) ? 0 : NFT_SET_INTERVAL) ||
		!has_number(found, NFTA_SET_KEY_TYPE, nft_expression_key_type(want->field)) ||
		!has_number(found, NFTA_SET_KEY_LEN, (uint32_t)rule_field_size(want->field))) {
		nft_difference_tell(differences, NFT_CHANGED, "set %s has another type or other flags", want->name);
		return;
	}
	userdata = nft_attribute_bytes(nft_attribute_find(found->message, NFTA_SET_USERDATA), &size);
	if (strcmp(nft_userdata_comment(userdata, size, NFTNL_UDATA_SET_COMMENT), want->comment) != 0)
		nft_difference_tell(differences, NFT_CHANGED, "set %s has another comment", want->name);
	if (found->odd)
		nft_difference_tell(differences, NFT_CHANGED, "set %s has an element that is no plain interval", want->name);
	tell_uncovered(want, want->elements, &found->elements, NFT_MISSING, differences);
	tell_uncovered(want, &found->elements, want->elements, NFT_ADDED, differences);
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
		const char *name = chain_name(have->chains[i]);

		if (!is_wanted_chain(want, name))
			nft_difference_tell(differences, NFT_ADDED, "chain %s", name);
	}
	for (size_t i = 0; i < have->set_count; i++) {
		const char *name = set_name(&have->sets[i]);

		if (!is_wanted_set(want, name))
			nft_difference_tell(differences, NFT_ADDED, "set %s", name);
	}
	if (have->other_count > 0)
		nft_difference_tell(differences, NFT_CHANGED,
			"the table holds %zu objects that weir does not make (counters, flow tables and the like)",
			have->other_count);
}

int nft_compare(const struct ruleset *want, const struct nft_state *have, struct nft_differences *differences)
{
	int rc = 0;

	if (want == NULL || !have->exists) {
		if (want != NULL)
			nft_difference_tell(differences, NFT_MISSING, "the table inet " RULESET_TABLE);
		else if (have->exists)
			nft_difference_tell(differences, NFT_ADDED, "the table inet " RULESET_TABLE);
		return 0;
	}
	if (have->table_flags != 0)
		nft_difference_tell(differences, NFT_CHANGED,
			"the table has flags (0x%x): dormant, or owned by a process", have->table_flags);
	for (size_t i = 0; i < want->set_count; i++)
		compare_set(&want->sets[i], have, differences);
	for (size_t i = 0; rc == 0 && i < want->chain_count; i++)
		rc = compare_chain(want, &want->chains[i], have, differences);
	tell_strangers(want, have, differences);
	return rc;
}
