/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each match becomes: what it depends on (the protocol of the port, the family of the address), unless the rule has
 * said that before; the load of its field into register 1; and the comparison or look-up. Sets of intervals hold their
 * keys in network order: IDs, which the kernel loads in host order, are turned before they are looked up. A plain set
 * holds them as the kernel loads them.
 */
#include "redirect/nft/expression.h"

#include "redirect/nft/userdata.h"

#include <arpa/inet.h>
#include <assert.h>
#include <libnftnl/rule.h>
#include <libnftnl/expr.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <netinet/in.h>
#include <string.h>

/* Where a field is loaded from. */
enum source { META, CT, NETWORK_HEADER, TRANSPORT_HEADER };

/* How a field is loaded, and what must hold before that makes sense. */
static const struct field {
	uint32_t key_type;   /* that nft gives a set of such keys; 0 where there is no such set */
	enum source source;
	uint32_t key;        /* NFT_META_*, NFT_CT_*, or bytes into the header */
	uint8_t needs_l4proto; /* 0: nothing */
	uint8_t needs_family;  /* 0: nothing */
	bool host_order;     /* the kernel loads a 32-bit number */
} fields[] = {
	[RULE_FIELD_L4PROTO] = {12, META, NFT_META_L4PROTO, 0, 0, false},
	[RULE_FIELD_OIFNAME] = {41, META, NFT_META_OIFNAME, 0, 0, false},
	[RULE_FIELD_IIFNAME] = {41, META, NFT_META_IIFNAME, 0, 0, false},
	[RULE_FIELD_SKUID] = {24, META, NFT_META_SKUID, 0, 0, true},
	[RULE_FIELD_SKGID] = {25, META, NFT_META_SKGID, 0, 0, true},
	[RULE_FIELD_MARK] = {19, META, NFT_META_MARK, 0, 0, true},
	[RULE_FIELD_TH_DPORT] = {13, TRANSPORT_HEADER, 2, 0, 0, false},
	[RULE_FIELD_TCP_DPORT] = {13, TRANSPORT_HEADER, 2, IPPROTO_TCP, 0, false},
	[RULE_FIELD_TCP_FLAGS] = {0, TRANSPORT_HEADER, 13, IPPROTO_TCP, 0, false},
	[RULE_FIELD_UDP_DPORT] = {13, TRANSPORT_HEADER, 2, IPPROTO_UDP, 0, false},
	[RULE_FIELD_UDP_SPORT] = {13, TRANSPORT_HEADER, 0, IPPROTO_UDP, 0, false},
	[RULE_FIELD_IPV4_SADDR] = {7, NETWORK_HEADER, 12, 0, NFPROTO_IPV4, false},
	[RULE_FIELD_IPV4_DADDR] = {7, NETWORK_HEADER, 16, 0, NFPROTO_IPV4, false},
	[RULE_FIELD_IPV6_SADDR] = {8, NETWORK_HEADER, 8, 0, NFPROTO_IPV6, false},
	[RULE_FIELD_IPV6_DADDR] = {8, NETWORK_HEADER, 24, 0, NFPROTO_IPV6, false},
	[RULE_FIELD_CT_MARK] = {0, CT, NFT_CT_MARK, 0, 0, true},
	[RULE_FIELD_CT_DIRECTION] = {0, CT, NFT_CT_DIRECTION, 0, 0, false},
	[RULE_FIELD_CT_STATE] = {0, CT, NFT_CT_STATE, 0, 0, true},
};
static_assert(sizeof fields / sizeof *fields == RULE_FIELD_COUNT, "every field has a row");

uint32_t nft_expression_key_type(enum rule_field field)
{
	return fields[field].key_type;
}

void nft_expression_host_key(uint8_t *key)
{
	uint32_t number;

	memcpy(&number, key, sizeof number);
	number = ntohl(number);
	memcpy(key, &number, sizeof number);
}

/* A rule being built. `ok` collects failures of memory, so that a rule is built in one go and asked once. */
struct writer {
	struct nftnl_rule *rule;
	const struct ruleset *ruleset;
	bool ok;
	uint8_t l4proto; /* that the rule has said, or 0 */
	uint8_t family;
};

static struct nftnl_expr *add_expression(struct writer *w, const char *name)
{
	struct nftnl_expr *expression = w->ok ? nftnl_expr_alloc(name) : NULL;

	if (expression == NULL)
		w->ok = false;
	else
		nftnl_rule_add_expr(w->rule, expression);
	return expression;
}

static void add_load_meta(struct writer *w, uint32_t key)
{
	struct nftnl_expr *x = add_expression(w, "meta");

	if (x == NULL)
		return;
	nftnl_expr_set_u32(x, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(x, NFTNL_EXPR_META_DREG, NFT_REG_1);
}

static void add_load_ct(struct writer *w, uint32_t key)
{
	struct nftnl_expr *x = add_expression(w, "ct");

	if (x == NULL)
		return;
	nftnl_expr_set_u32(x, NFTNL_EXPR_CT_KEY, key);
	nftnl_expr_set_u32(x, NFTNL_EXPR_CT_DREG, NFT_REG_1);
}

static void add_load_payload(struct writer *w, uint32_t base, uint32_t offset, uint32_t size)
{
	struct nftnl_expr *x = add_expression(w, "payload");

	if (x == NULL)
		return;
	nftnl_expr_set_u32(x, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
	nftnl_expr_set_u32(x, NFTNL_EXPR_PAYLOAD_BASE, base);
	nftnl_expr_set_u32(x, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	nftnl_expr_set_u32(x, NFTNL_EXPR_PAYLOAD_LEN, size);
}

static void add_compare(struct writer *w, uint32_t op, const void *data, uint32_t size)
{
	struct nftnl_expr *x = add_expression(w, "cmp");

	if (x == NULL)
		return;
	nftnl_expr_set_u32(x, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(x, NFTNL_EXPR_CMP_OP, op);
	w->ok = nftnl_expr_set(x, NFTNL_EXPR_CMP_DATA, data, size) == 0;
}

/* What the kernel would fill in is said, here and below: a rule read back must equal the one that was sent. */
static void add_mask(struct writer *w, const void *mask, uint32_t size)
{
	static const uint8_t zero[INTERVAL_KEY_MAX];
	struct nftnl_expr *x = add_expression(w, "bitwise");

	if (x == NULL)
		return;
	nftnl_expr_set_u32(x, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
	nftnl_expr_set_u32(x, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
	nftnl_expr_set_u32(x, NFTNL_EXPR_BITWISE_LEN, size);
	w->ok = nftnl_expr_set(x, NFTNL_EXPR_BITWISE_MASK, mask, size) == 0 &&
		nftnl_expr_set(x, NFTNL_EXPR_BITWISE_XOR, zero, size) == 0;
	add_compare(w, NFT_CMP_NEQ, zero, size);
}

static void add_to_network_order(struct writer *w)
{
	struct nftnl_expr *x = add_expression(w, "byteorder");

	if (x == NULL)
		return;
	nftnl_expr_set_u32(x, NFTNL_EXPR_BYTEORDER_SREG, NFT_REG_1);
	nftnl_expr_set_u32(x, NFTNL_EXPR_BYTEORDER_DREG, NFT_REG_1);
	nftnl_expr_set_u32(x, NFTNL_EXPR_BYTEORDER_OP, NFT_BYTEORDER_HTON);
	nftnl_expr_set_u32(x, NFTNL_EXPR_BYTEORDER_LEN, 4);
	nftnl_expr_set_u32(x, NFTNL_EXPR_BYTEORDER_SIZE, 4);
}

static void add_lookup(struct writer *w, const struct rule_match *match)
{
	const struct rule_set *set = ruleset_find_set(w->ruleset, match->set);
	struct nftnl_expr *x;

	assert(set != NULL);
	if (fields[match->field].host_order && !rule_set_is_plain(set))
		add_to_network_order(w);
	x = add_expression(w, "lookup");
	if (x == NULL)
		return;
	nftnl_expr_set_u32(x, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(x, NFTNL_EXPR_LOOKUP_FLAGS, match->op == RULE_NOT_IN_SET ? NFT_LOOKUP_F_INV : 0);
	w->ok = nftnl_expr_set_str(x, NFTNL_EXPR_LOOKUP_SET, match->set) == 0;
}

/* What must hold before a field can be looked at. */
static void add_needs(struct writer *w, const struct field *field)
{
	if (field->needs_l4proto != 0 && w->l4proto != field->needs_l4proto) {
		add_load_meta(w, NFT_META_L4PROTO);
		add_compare(w, NFT_CMP_EQ, &field->needs_l4proto, 1);
		w->l4proto = field->needs_l4proto;
	}
	if (field->needs_family != 0 && w->family != field->needs_family) {
		add_load_meta(w, NFT_META_NFPROTO);
		add_compare(w, NFT_CMP_EQ, &field->needs_family, 1);
		w->family = field->needs_family;
	}
}

static void add_load(struct writer *w, const struct field *field, uint32_t size)
{
	switch (field->source) {
	case META:
		add_load_meta(w, field->key);
		break;
	case CT:
		add_load_ct(w, field->key);
		break;
	case NETWORK_HEADER:
		add_load_payload(w, NFT_PAYLOAD_NETWORK_HEADER, field->key, size);
		break;
	case TRANSPORT_HEADER:
		add_load_payload(w, NFT_PAYLOAD_TRANSPORT_HEADER, field->key, size);
		break;
	}
}

static void add_match(struct writer *w, const struct rule_match *match)
{
	const struct field *field = &fields[match->field];
	uint32_t size = (uint32_t)rule_field_size(match->field);
	struct interval value = match->value;

	if (field->host_order) {
		nft_expression_host_key(value.first);
		nft_expression_host_key(value.last);
	}
	add_needs(w, field);
	add_load(w, field, size);
	switch (match->op) {
	case RULE_IS:
		add_compare(w, NFT_CMP_EQ, value.first, size);
		if (match->field == RULE_FIELD_L4PROTO)
			w->l4proto = value.first[0];
		break;
	case RULE_IS_NOT:
		add_compare(w, NFT_CMP_NEQ, value.first, size);
		break;
	case RULE_WITHIN:
		add_compare(w, NFT_CMP_GTE, value.first, size);
		add_compare(w, NFT_CMP_LTE, value.last, size);
		break;
	case RULE_HAS:
		add_mask(w, value.first, size);
		break;
	case RULE_IN_SET:
	case RULE_NOT_IN_SET:
		add_lookup(w, match);
		break;
	}
}

/* --- what becomes of a packet */

static void add_verdict(struct writer *w, int verdict, const char *chain)
{
	struct nftnl_expr *x = add_expression(w, "immediate");

	if (x == NULL)
		return;
	nftnl_expr_set_u32(x, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(x, NFTNL_EXPR_IMM_VERDICT, (uint32_t)verdict);
	if (chain != NULL)
		w->ok = nftnl_expr_set_str(x, NFTNL_EXPR_IMM_CHAIN, chain) == 0;
}

static void add_immediate(struct writer *w, const void *data, uint32_t size)
{
	struct nftnl_expr *x = add_expression(w, "immediate");

	if (x == NULL)
		return;
	nftnl_expr_set_u32(x, NFTNL_EXPR_IMM_DREG, NFT_REG_1);
	w->ok = nftnl_expr_set(x, NFTNL_EXPR_IMM_DATA, data, size) == 0;
}

static void add_port(struct writer *w, uint16_t port)
{
	uint16_t network_port = htons(port);

	add_immediate(w, &network_port, sizeof network_port);
}

static void add_redirect(struct writer *w, uint16_t port)
{
	struct nftnl_expr *x;

	add_port(w, port);
	x = add_expression(w, "redir");
	if (x == NULL)
		return;
	nftnl_expr_set_u32(x, NFTNL_EXPR_REDIR_REG_PROTO_MIN, NFT_REG_1);
	nftnl_expr_set_u32(x, NFTNL_EXPR_REDIR_REG_PROTO_MAX, NFT_REG_1);
	nftnl_expr_set_u32(x, NFTNL_EXPR_REDIR_FLAGS, NF_NAT_RANGE_PROTO_SPECIFIED);
}

static void add_set_mark(struct writer *w, uint32_t mark)
{
	struct nftnl_expr *x;

	add_immediate(w, &mark, sizeof mark);
	x = add_expression(w, "meta");
	if (x == NULL)
		return;
	nftnl_expr_set_u32(x, NFTNL_EXPR_META_KEY, NFT_META_MARK);
	nftnl_expr_set_u32(x, NFTNL_EXPR_META_SREG, NFT_REG_1);
}

static void add_set_ct(struct writer *w, uint32_t key, const void *data, uint32_t size)
{
	struct nftnl_expr *x;

	add_immediate(w, data, size);
	x = add_expression(w, "ct");
	if (x == NULL)
		return;
	nftnl_expr_set_u32(x, NFTNL_EXPR_CT_KEY, key);
	nftnl_expr_set_u32(x, NFTNL_EXPR_CT_SREG, NFT_REG_1);
}

static void add_tproxy(struct writer *w, const struct rule *rule)
{
	struct nftnl_expr *x;

	add_port(w, rule->port);
	x = add_expression(w, "tproxy");
	if (x == NULL)
		return;
	nftnl_expr_set_u32(x, NFTNL_EXPR_TPROXY_FAMILY, NFPROTO_UNSPEC);
	nftnl_expr_set_u32(x, NFTNL_EXPR_TPROXY_REG_PORT, NFT_REG_1);
	add_set_mark(w, rule->number);
	add_verdict(w, NF_ACCEPT, NULL);
}

static void add_outcome(struct writer *w, const struct rule *rule)
{
	uint16_t zone = (uint16_t)rule->number;

	switch (rule->verdict) {
	case RULE_CONTINUE:
		break;
	case RULE_RETURN:
		add_verdict(w, NFT_RETURN, NULL);
		break;
	case RULE_REDIRECT:
		add_redirect(w, rule->port);
		break;
	case RULE_TPROXY:
		add_tproxy(w, rule);
		break;
	case RULE_DROP:
		add_verdict(w, NF_DROP, NULL);
		break;
	case RULE_GOTO:
		add_verdict(w, NFT_GOTO, rule->target);
		break;
	case RULE_SET_MARK:
		add_set_mark(w, rule->number);
		break;
	case RULE_SET_CT_MARK:
		add_set_ct(w, NFT_CT_MARK, &rule->number, sizeof rule->number);
		break;
	case RULE_SET_ZONE:
		add_set_ct(w, NFT_CT_ZONE, &zone, sizeof zone);
		add_verdict(w, NFT_RETURN, NULL);
		break;
	}
}

struct nftnl_rule *nft_expression_make_rule(const struct ruleset *ruleset, const struct rule_chain *chain,
	const struct rule *rule)
{
	struct writer w = {.rule = nftnl_rule_alloc(), .ruleset = ruleset};
	uint8_t userdata[NFT_USERDATA_SIZE];
	uint32_t length;

	if (w.rule == NULL)
		return NULL;
	length = nft_userdata_put_comment(userdata, NFTNL_UDATA_RULE_COMMENT, rule->comment);
	nftnl_rule_set_u32(w.rule, NFTNL_RULE_FAMILY, NFPROTO_INET);
	w.ok = nftnl_rule_set_str(w.rule, NFTNL_RULE_TABLE, RULESET_TABLE) == 0 &&
	       nftnl_rule_set_str(w.rule, NFTNL_RULE_CHAIN, chain->name) == 0 &&
	       nftnl_rule_set_data(w.rule, NFTNL_RULE_USERDATA, userdata, length) == 0;
	for (size_t i = 0; i < rule->match_count; i++)
		add_match(&w, &rule->matches[i]);
	if (rule->counted)
		(void)add_expression(&w, "counter");
	add_outcome(&w, rule);
	if (!w.ok) {
		nftnl_rule_free(w.rule);
		return NULL;
	}
	return w.rule;
}
