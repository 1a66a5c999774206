/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each match becomes: what it depends on (the protocol of the port, the family of the address), the load of its field
 * into register 1, and the comparison or look-up. Sets are interval sets throughout, and so hold their keys in network
 * order: IDs, which the kernel loads in host order, are turned before they are looked up.
 *
 * Elements are copied into the message from a pattern, because there may be a hundred thousand of them: one that starts
 * an interval, one flagged that ends it behind its last key; an interval that reaches the highest key has no end.
 */
#include "redirect/nft/encode.h"

#include "redirect/nft/userdata.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of a rule's message: some twenty expressions of at most a hundred bytes, and a comment. */
#define RULE_SIZE_MAX 4096

/* Bytes that one element of a set may take: three attributes' headers, a key, flags. */
#define ELEMENT_SIZE_MAX 64

/* An element list's attribute must stay below the 16 bits of its length. */
#define ELEMENTS_SIZE_MAX (NFT_MESSAGE_MAX - 4096u)

/* How a field is loaded, and what must hold before that makes sense. */
static const struct field {
	uint32_t key_type;
	bool payload;
	uint32_t key_or_base; /* NFT_META_*, or the header that the offset counts from */
	uint32_t offset;
	uint8_t needs_l4proto; /* 0: nothing */
	uint8_t needs_family;  /* 0: nothing */
	bool host_order;       /* the kernel loads a 32-bit number */
} fields[] = {
	[RULE_FIELD_L4PROTO] = {12, false, NFT_META_L4PROTO, 0, 0, 0, false},
	[RULE_FIELD_OIFNAME] = {41, false, NFT_META_OIFNAME, 0, 0, 0, false},
	[RULE_FIELD_SKUID] = {24, false, NFT_META_SKUID, 0, 0, 0, true},
	[RULE_FIELD_SKGID] = {25, false, NFT_META_SKGID, 0, 0, 0, true},
	[RULE_FIELD_TCP_DPORT] = {13, true, NFT_PAYLOAD_TRANSPORT_HEADER, 2, IPPROTO_TCP, 0, false},
	[RULE_FIELD_IPV4_SADDR] = {7, true, NFT_PAYLOAD_NETWORK_HEADER, 12, 0, NFPROTO_IPV4, false},
	[RULE_FIELD_IPV4_DADDR] = {7, true, NFT_PAYLOAD_NETWORK_HEADER, 16, 0, NFPROTO_IPV4, false},
	[RULE_FIELD_IPV6_SADDR] = {8, true, NFT_PAYLOAD_NETWORK_HEADER, 8, 0, NFPROTO_IPV6, false},
	[RULE_FIELD_IPV6_DADDR] = {8, true, NFT_PAYLOAD_NETWORK_HEADER, 24, 0, NFPROTO_IPV6, false},
};
static_assert(sizeof fields / sizeof *fields == RULE_FIELD_COUNT, "every field has a row");

uint32_t nft_encode_key_type(enum rule_field field)
{
	return fields[field].key_type;
}

/* --- expressions. `ok` collects failures of memory, so that a rule is built in one go and asked once. */

static struct nftnl_expr *add_expression(struct nftnl_rule *rule, const char *name, bool *ok)
{
	struct nftnl_expr *expression = *ok ? nftnl_expr_alloc(name) : NULL;

	if (expression == NULL)
		*ok = false;
	else
		nftnl_rule_add_expr(rule, expression);
	return expression;
}

static void add_load_meta(struct nftnl_rule *rule, uint32_t key, bool *ok)
{
	struct nftnl_expr *x = add_expression(rule, "meta", ok);

	if (x == NULL)
		return;
	nftnl_expr_set_u32(x, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(x, NFTNL_EXPR_META_DREG, NFT_REG_1);
}

static void add_load_payload(struct nftnl_rule *rule, uint32_t base, uint32_t offset, uint32_t size, bool *ok)
{
	struct nftnl_expr *x = add_expression(rule, "payload", ok);

	if (x == NULL)
		return;
	nftnl_expr_set_u32(x, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
	nftnl_expr_set_u32(x, NFTNL_EXPR_PAYLOAD_BASE, base);
	nftnl_expr_set_u32(x, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	nftnl_expr_set_u32(x, NFTNL_EXPR_PAYLOAD_LEN, size);
}

static void add_compare(struct nftnl_rule *rule, uint32_t op, const void *data, uint32_t size, bool *ok)
{
	struct nftnl_expr *x = add_expression(rule, "cmp", ok);

	if (x == NULL)
		return;
	nftnl_expr_set_u32(x, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(x, NFTNL_EXPR_CMP_OP, op);
	*ok = nftnl_expr_set(x, NFTNL_EXPR_CMP_DATA, data, size) == 0;
}

static void add_to_network_order(struct nftnl_rule *rule, bool *ok)
{
	struct nftnl_expr *x = add_expression(rule, "byteorder", ok);

	if (x == NULL)
		return;
	nftnl_expr_set_u32(x, NFTNL_EXPR_BYTEORDER_SREG, NFT_REG_1);
	nftnl_expr_set_u32(x, NFTNL_EXPR_BYTEORDER_DREG, NFT_REG_1);
	nftnl_expr_set_u32(x, NFTNL_EXPR_BYTEORDER_OP, NFT_BYTEORDER_HTON);
	nftnl_expr_set_u32(x, NFTNL_EXPR_BYTEORDER_LEN, 4);
	nftnl_expr_set_u32(x, NFTNL_EXPR_BYTEORDER_SIZE, 4);
}

static void add_lookup(struct nftnl_rule *rule, const char *set, bool *ok)
{
	struct nftnl_expr *x = add_expression(rule, "lookup", ok);

	if (x == NULL)
		return;
	nftnl_expr_set_u32(x, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
	/* As in add_redirect(): what the kernel fills in is said. */
	nftnl_expr_set_u32(x, NFTNL_EXPR_LOOKUP_FLAGS, 0);
	*ok = nftnl_expr_set_str(x, NFTNL_EXPR_LOOKUP_SET, set) == 0;
}

static void add_match(struct nftnl_rule *rule, const struct rule_match *match, bool *ok)
{
	const struct field *field = &fields[match->field];
	uint32_t size = (uint32_t)rule_field_size(match->field);

	if (field->needs_l4proto != 0) {
		add_load_meta(rule, NFT_META_L4PROTO, ok);
		add_compare(rule, NFT_CMP_EQ, &field->needs_l4proto, 1, ok);
	}
	if (field->needs_family != 0) {
		add_load_meta(rule, NFT_META_NFPROTO, ok);
		add_compare(rule, NFT_CMP_EQ, &field->needs_family, 1, ok);
	}
	if (field->payload)
		add_load_payload(rule, field->key_or_base, field->offset, size, ok);
	else
		add_load_meta(rule, field->key_or_base, ok);
	switch (match->op) {
	case RULE_IS:
		add_compare(rule, NFT_CMP_EQ, match->value.first, size, ok);
		break;
	case RULE_IS_NOT:
		add_compare(rule, NFT_CMP_NEQ, match->value.first, size, ok);
		break;
	case RULE_WITHIN:
		add_compare(rule, NFT_CMP_GTE, match->value.first, size, ok);
		add_compare(rule, NFT_CMP_LTE, match->value.last, size, ok);
		break;
	case RULE_IN_SET:
		if (field->host_order)
			add_to_network_order(rule, ok);
		add_lookup(rule, match->set, ok);
		break;
	}
}

static void add_return(struct nftnl_rule *rule, bool *ok)
{
	struct nftnl_expr *x = add_expression(rule, "immediate", ok);

	if (x == NULL)
		return;
	nftnl_expr_set_u32(x, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(x, NFTNL_EXPR_IMM_VERDICT, (uint32_t)NFT_RETURN);
}

static void add_redirect(struct nftnl_rule *rule, uint16_t port, bool *ok)
{
	uint16_t network_port = htons(port);
	struct nftnl_expr *x = add_expression(rule, "immediate", ok);

	if (x == NULL)
		return;
	nftnl_expr_set_u32(x, NFTNL_EXPR_IMM_DREG, NFT_REG_1);
	*ok = nftnl_expr_set(x, NFTNL_EXPR_IMM_DATA, &network_port, sizeof network_port) == 0;
	x = add_expression(rule, "redir", ok);
	if (x == NULL)
		return;
	nftnl_expr_set_u32(x, NFTNL_EXPR_REDIR_REG_PROTO_MIN, NFT_REG_1);
	/* The kernel would fill this in, and a rule read back must equal the one that was sent. */
	nftnl_expr_set_u32(x, NFTNL_EXPR_REDIR_REG_PROTO_MAX, NFT_REG_1);
	nftnl_expr_set_u32(x, NFTNL_EXPR_REDIR_FLAGS, NF_NAT_RANGE_PROTO_SPECIFIED);
}

static struct nftnl_rule *make_rule(const struct rule_chain *chain, const struct rule *rule)
{
	struct nftnl_rule *r = nftnl_rule_alloc();
	uint8_t userdata[NFT_USERDATA_SIZE];
	uint32_t length;
	bool ok;

	if (r == NULL)
		return NULL;
	length = nft_userdata_put_comment(userdata, NFTNL_UDATA_RULE_COMMENT, rule->comment);
	nftnl_rule_set_u32(r, NFTNL_RULE_FAMILY, NFPROTO_INET);
	ok = nftnl_rule_set_str(r, NFTNL_RULE_TABLE, RULESET_TABLE) == 0 &&
	     nftnl_rule_set_str(r, NFTNL_RULE_CHAIN, chain->name) == 0 &&
	     nftnl_rule_set_data(r, NFTNL_RULE_USERDATA, userdata, length) == 0;
	for (size_t i = 0; i < rule->match_count; i++)
		add_match(r, &rule->matches[i], &ok);
	if (rule->counted)
		(void)add_expression(r, "counter", &ok);
	if (rule->verdict == RULE_RETURN)
		add_return(r, &ok);
	else if (rule->verdict == RULE_REDIRECT)
		add_redirect(r, rule->port, &ok);
	if (!ok) {
		nftnl_rule_free(r);
		return NULL;
	}
	return r;
}

struct nlmsghdr *nft_encode_rule(const struct rule_chain *chain, const struct rule *rule)
{
	struct nftnl_rule *r = make_rule(chain, rule);
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
	uint32_t length;

	if (s == NULL)
		return NULL;
	length = nft_userdata_put_comment(userdata, NFTNL_UDATA_SET_COMMENT, set->comment);
	nftnl_set_set_u32(s, NFTNL_SET_FAMILY, NFPROTO_INET);
	nftnl_set_set_u32(s, NFTNL_SET_FLAGS, NFT_SET_INTERVAL);
	nftnl_set_set_u32(s, NFTNL_SET_KEY_TYPE, fields[set->field].key_type);
	nftnl_set_set_u32(s, NFTNL_SET_KEY_LEN, (uint32_t)rule_field_size(set->field));
	if (nftnl_set_set_str(s, NFTNL_SET_TABLE, RULESET_TABLE) < 0 ||
		nftnl_set_set_str(s, NFTNL_SET_NAME, set->name) < 0 ||
		nftnl_set_set_data(s, NFTNL_SET_USERDATA, userdata, length) < 0) {
		nftnl_set_free(s);
		return NULL;
	}
	return s;
}

static struct nftnl_chain *make_chain(const struct rule_chain *chain)
{
	struct nftnl_chain *c = nftnl_chain_alloc();

	if (c == NULL)
		return NULL;
	nftnl_chain_set_u32(c, NFTNL_CHAIN_FAMILY, NFPROTO_INET);
	nftnl_chain_set_u32(c, NFTNL_CHAIN_HOOKNUM, NF_INET_LOCAL_OUT);
	nftnl_chain_set_s32(c, NFTNL_CHAIN_PRIO, chain->priority);
	nftnl_chain_set_u32(c, NFTNL_CHAIN_POLICY, NF_ACCEPT);
	if (nftnl_chain_set_str(c, NFTNL_CHAIN_TABLE, RULESET_TABLE) < 0 ||
		nftnl_chain_set_str(c, NFTNL_CHAIN_NAME, chain->name) < 0 ||
		nftnl_chain_set_str(c, NFTNL_CHAIN_TYPE, "nat") < 0) {
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

/* One message of elements, from `*next` on; moves `*next` behind what fitted. */
static int batch_elements(struct nft_batch *batch, const struct rule_set *set, size_t *next)
{
	struct nlmsghdr *message = nft_batch_message(batch, NFT_MSG_NEWSETELEM, NLM_F_CREATE,
		(struct nft_object){"elements of set", set->name, 0, NULL});
	size_t key_size = set->elements->key_size;
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
	while (*next < set->elements->count && message->nlmsg_len < ELEMENTS_SIZE_MAX)
		put_interval(message, &start, &end, &set->elements->items[(*next)++], key_size);
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

static int batch_rule(struct nft_batch *batch, const struct rule_chain *chain, size_t index)
{
	const struct rule *rule = &chain->rules[index];
	struct nlmsghdr *message;
	struct nftnl_rule *r = make_rule(chain, rule);

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
	for (size_t i = 0; rc == 0 && i < want->chain_count; i++) {
		const struct rule_chain *chain = &want->chains[i];

		rc = batch_chain(batch, chain);
		for (size_t j = 0; rc == 0 && j < chain->rule_count; j++)
			rc = batch_rule(batch, chain, j);
	}
	return rc;
}

int nft_encode_delete(struct nft_batch *batch)
{
	return batch_table(batch, NFT_MSG_DELTABLE, 0, NULL);
}
