/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Elements are copied into the message from a pattern, because there may be a hundred thousand of them: one that starts
 * an interval, one flagged that ends it behind its last key; an interval that reaches the highest key has no end. A
 * plain set has one element a key.
 */
#include "redirect/nft/encode.h"

#include "redirect/nft/expression.h"
#include "redirect/nft/userdata.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <libnftnl/chain.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of a rule's message: some twenty expressions of at most a hundred bytes, and a comment. */
#define RULE_SIZE_MAX 4096

/* Bytes that one element of a set may take: three attributes' headers, a key, flags. */
#define ELEMENT_SIZE_MAX 64

/* An element list's attribute must stay below the 16 bits of its length. */
#define ELEMENTS_SIZE_MAX (NFT_MESSAGE_MAX - 4096u)

struct nlmsghdr *nft_encode_rule(const struct ruleset *ruleset, const struct rule_chain *chain, const struct rule *rule)
{
	struct nftnl_rule *r = nft_expression_make_rule(ruleset, chain, rule);
	void *buffer = r != NULL ? malloc(RULE_SIZE_MAX) : NULL;
	struct nlmsghdr *message = NULL;

	if (buffer != NULL) {
		message = nft_message_init(buffer, NFT_MSG_NEWRULE, 0, 0);
		nftnl_rule_nlmsg_build_payload(message, r);
		assert(message->nlmsg_len <= RULE_SIZE_MAX);
	}
	if (r != NULL)
		nftnl_rule_free(r);
	return message;
}

static struct nftnl_set *make_set(const struct rule_set *set)
{
	struct nftnl_set *s = nftnl_set_alloc();
	uint8_t userdata[NFT_USERDATA_SIZE];
	bool plain = rule_set_is_plain(set);
	uint32_t length = plain ? nft_userdata_put_host_order(userdata) : 0;

	if (s == NULL)
		return NULL;
	length += nft_userdata_put_comment(userdata + length, NFTNL_UDATA_SET_COMMENT, set->comment);
	nftnl_set_set_u32(s, NFTNL_SET_FAMILY, NFPROTO_INET);
	nftnl_set_set_u32(s, NFTNL_SET_FLAGS, plain ? 0 : NFT_SET_INTERVAL);
	nftnl_set_set_u32(s, NFTNL_SET_KEY_TYPE, nft_expression_key_type(set->field));
	nftnl_set_set_u32(s, NFTNL_SET_KEY_LEN, (uint32_t)rule_field_size(set->field));
	if (nftnl_set_set_str(s, NFTNL_SET_TABLE, RULESET_TABLE) < 0 ||
		nftnl_set_set_str(s, NFTNL_SET_NAME, set->name) < 0 ||
		nftnl_set_set_data(s, NFTNL_SET_USERDATA, userdata, length) < 0) {
		nftnl_set_free(s);
		return NULL;
	}
	return s;
}

static const char *const chain_types[] = {
	[RULE_CHAIN_NAT] = "nat", [RULE_CHAIN_FILTER] = "filter", [RULE_CHAIN_ROUTE] = "route"};
static const uint32_t hooks[] = {
	[RULE_HOOK_OUTPUT] = NF_INET_LOCAL_OUT, [RULE_HOOK_PREROUTING] = NF_INET_PRE_ROUTING};

const char *nft_encode_chain_type(const struct rule_chain *chain)
{
	return chain_types[chain->type];
}

uint32_t nft_encode_hook(const struct rule_chain *chain)
{
	return hooks[chain->hook];
}

static int set_hook(struct nftnl_chain *c, const struct rule_chain *chain)
{
	nftnl_chain_set_u32(c, NFTNL_CHAIN_HOOKNUM, nft_encode_hook(chain));
	nftnl_chain_set_s32(c, NFTNL_CHAIN_PRIO, chain->priority);
	nftnl_chain_set_u32(c, NFTNL_CHAIN_POLICY, NF_ACCEPT);
	return nftnl_chain_set_str(c, NFTNL_CHAIN_TYPE, nft_encode_chain_type(chain));
}

static struct nftnl_chain *make_chain(const struct rule_chain *chain)
{
	struct nftnl_chain *c = nftnl_chain_alloc();

	if (c == NULL)
		return NULL;
	nftnl_chain_set_u32(c, NFTNL_CHAIN_FAMILY, NFPROTO_INET);
	if (nftnl_chain_set_str(c, NFTNL_CHAIN_TABLE, RULESET_TABLE) < 0 ||
		nftnl_chain_set_str(c, NFTNL_CHAIN_NAME, chain->name) < 0 ||
		(chain->type != RULE_CHAIN_REGULAR && set_hook(c, chain) < 0)) {
		nftnl_chain_free(c);
		return NULL;
	}
	return c;
}

/* --- messages */

static int batch_table(struct nft_batch *batch, uint16_t type, uint16_t flags, const char *comment)
{
	uint8_t userdata[NFT_USERDATA_SIZE];
	struct nlmsghdr *message = nft_batch_message(batch, type, flags, (struct nft_object){"table", RULESET_TABLE, 0, NULL});

	if (message == NULL)
		return -ENOMEM;
	mnl_attr_put_strz(message, NFTA_TABLE_NAME, RULESET_TABLE);
	if (comment != NULL)
		mnl_attr_put(message, NFTA_TABLE_USERDATA,
			nft_userdata_put_comment(userdata, NFTNL_UDATA_TABLE_COMMENT, comment), userdata);
	nft_batch_finish_message(batch, message);
	return 0;
}

static int batch_set(struct nft_batch *batch, const struct rule_set *set)
{
	struct nlmsghdr *message;
	struct nftnl_set *s = make_set(set);

	if (s == NULL)
		return -ENOMEM;
	message = nft_batch_message(batch, NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL,
		(struct nft_object){"set", set->name, 0, NULL});
	if (message != NULL) {
		/* The kernel wants a number for the set within the transaction, although rules go by its name. */
		nftnl_set_set_u32(s, NFTNL_SET_ID, (uint32_t)batch->count);
		nftnl_set_nlmsg_build_payload(message, s);
		nft_batch_finish_message(batch, message);
	}
	nftnl_set_free(s);
	return message != NULL ? 0 : -ENOMEM;
}

/* An element of a set as it stands in a message; all of a set are alike but for their key. */
struct element {
	uint8_t bytes[ELEMENT_SIZE_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
	size_t size;
	size_t key; /* where the key stands */
};

static void element_init(struct element *element, size_t key_size, bool ends)
{
	static const uint8_t key[INTERVAL_KEY_MAX];
	uint8_t buffer[NLMSG_HDRLEN + ELEMENT_SIZE_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct nlattr *item = mnl_attr_nest_start(message, NFTA_LIST_ELEM);
	struct nlattr *data = mnl_attr_nest_start(message, NFTA_SET_ELEM_KEY);

	element->key = message->nlmsg_len + MNL_ATTR_HDRLEN - NLMSG_HDRLEN;
	mnl_attr_put(message, NFTA_DATA_VALUE, key_size, key);
	mnl_attr_nest_end(message, data);
	if (ends)
		mnl_attr_put_u32(message, NFTA_SET_ELEM_FLAGS, htonl(NFT_SET_ELEM_INTERVAL_END));
	mnl_attr_nest_end(message, item);
	element->size = message->nlmsg_len - NLMSG_HDRLEN;
	memcpy(element->bytes, buffer + NLMSG_HDRLEN, element->size);
}

static void put_element(struct nlmsghdr *message, const struct element *element, const uint8_t *key, size_t key_size)
{
	uint8_t *end = mnl_nlmsg_get_payload_tail(message);

	memcpy(end, element->bytes, element->size);
	memcpy(end + element->key, key, key_size);
	message->nlmsg_len += (uint32_t)element->size;
}

static void put_interval(struct nlmsghdr *message, const struct element *start, const struct element *end,
	const struct interval *interval, size_t key_size)
{
	uint8_t behind[INTERVAL_KEY_MAX];

	put_element(message, start, interval->first, key_size);
	memcpy(behind, interval->last, sizeof behind);
	if (interval_key_next(behind, key_size))
		put_element(message, end, behind, key_size);
}

/* A plain set's keys are IDs, and are looked up as the kernel loads them. */
static void put_single(struct nlmsghdr *message, const struct element *start, const uint8_t *key, size_t key_size)
{
	uint8_t host_key[INTERVAL_KEY_MAX];

	memcpy(host_key, key, sizeof host_key);
	nft_expression_host_key(host_key);
	put_element(message, start, host_key, key_size);
}

/* One message of elements, from `*next` on; moves `*next` behind what fitted. */
static int batch_elements(struct nft_batch *batch, const struct rule_set *set, size_t *next)
{
	struct nlmsghdr *message = nft_batch_message(batch, NFT_MSG_NEWSETELEM, NLM_F_CREATE,
		(struct nft_object){"elements of set", set->name, 0, NULL});
	size_t key_size = set->elements->key_size;
	bool plain = rule_set_is_plain(set);
	struct element start;
	struct element end;
	struct nlattr *list;

	if (message == NULL)
		return -ENOMEM;
	element_init(&start, key_size, false);
	element_init(&end, key_size, true);
	mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, RULESET_TABLE);
	mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, set->name);
	list = mnl_attr_nest_start(message, NFTA_SET_ELEM_LIST_ELEMENTS);
	while (*next < set->elements->count && message->nlmsg_len < ELEMENTS_SIZE_MAX) {
		const struct interval *item = &set->elements->items[(*next)++];

		if (plain)
			put_single(message, &start, item->first, key_size);
		else
			put_interval(message, &start, &end, item, key_size);
	}
	mnl_attr_nest_end(message, list);
	nft_batch_finish_message(batch, message);
	return 0;
}

static int batch_chain(struct nft_batch *batch, const struct rule_chain *chain)
{
	struct nlmsghdr *message;
	struct nftnl_chain *c = make_chain(chain);

	if (c == NULL)
		return -ENOMEM;
	message = nft_batch_message(batch, NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL,
		(struct nft_object){"chain", chain->name, 0, NULL});
	if (message != NULL) {
		nftnl_chain_nlmsg_build_payload(message, c);
		nft_batch_finish_message(batch, message);
	}
	nftnl_chain_free(c);
	return message != NULL ? 0 : -ENOMEM;
}

static int batch_rule(struct nft_batch *batch, const struct ruleset *ruleset, const struct rule_chain *chain, size_t index)
{
	const struct rule *rule = &chain->rules[index];
	struct nlmsghdr *message;
	struct nftnl_rule *r = nft_expression_make_rule(ruleset, chain, rule);

	if (r == NULL)
		return -ENOMEM;
	message = nft_batch_message(batch, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND,
		(struct nft_object){"rule", chain->name, index + 1, rule->comment});
	if (message != NULL) {
		nftnl_rule_nlmsg_build_payload(message, r);
		nft_batch_finish_message(batch, message);
	}
	nftnl_rule_free(r);
	return message != NULL ? 0 : -ENOMEM;
}

int nft_encode_ruleset(const struct ruleset *want, bool exclusive, struct nft_batch *batch)
{
	uint16_t flags = exclusive ? NLM_F_CREATE | NLM_F_EXCL : NLM_F_CREATE;
	int rc = batch_table(batch, NFT_MSG_NEWTABLE, flags, want->comment);

	for (size_t i = 0; rc == 0 && i < want->set_count; i++) {
		size_t next = 0;

		rc = batch_set(batch, &want->sets[i]);
		while (rc == 0 && next < want->sets[i].elements->count)
			rc = batch_elements(batch, &want->sets[i], &next);
	}
	/* All chains before the first rule: some rules go on to another chain. */
	for (size_t i = 0; rc == 0 && i < want->chain_count; i++)
		rc = batch_chain(batch, &want->chains[i]);
	for (size_t i = 0; rc == 0 && i < want->chain_count; i++)
		for (size_t j = 0; rc == 0 && j < want->chains[i].rule_count; j++)
			rc = batch_rule(batch, want, &want->chains[i], j);
	return rc;
}

int nft_encode_delete(struct nft_batch *batch)
{
	return batch_table(batch, NFT_MSG_DELTABLE, 0, NULL);
}
