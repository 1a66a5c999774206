/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the table back: a handful of dumps, which are one picture only if nothing was committed between them. The
 * generation number tells: it is asked for before and after.
 *
 * Elements are read straight from the messages, as they are written. The kernel gives the bounds of intervals in no
 * order that could be relied on; sorted, each start is followed by the end that belongs to it, or by the next start,
 * or by nothing, when the interval reaches the highest key. (nft puts an end at key zero in front of the first
 * interval; it means nothing.) A set without intervals gives its keys, and each is an interval of one.
 */
#include "redirect/nft/state.h"

#include "redirect/nft/attribute.h"
#include "redirect/nft/expression.h"
#include "redirect/plan/ruleset.h"

#include <assert.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>

/* Room for one request. */
#define REQUEST_SIZE 1024u

/* A bound of an interval, as one element of a set. */
struct bound {
	uint8_t key[INTERVAL_KEY_MAX];
	bool ends;
};

struct bounds {
	struct bound *items;
	size_t count;
	size_t capacity;
	size_t key_size;
	bool plain; /* keys, not bounds, in the host's order */
	bool odd;
};

struct request {
	uint8_t buffer[REQUEST_SIZE] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *message;
};

static struct nlmsghdr *request_init(struct request *request, uint16_t type, uint16_t flags)
{
	request->message = nft_message_init(request->buffer, type, flags, 0);
	return request->message;
}

/* --- generation and tables */

/* Whether an attribute of the message holds the name of our table. */
static bool is_ours(const struct nlmsghdr *message, uint16_t table_attribute)
{
	return strcmp(nft_attribute_text(nft_attribute_find(message, table_attribute)), RULESET_TABLE) == 0;
}

static uint8_t family_of(const struct nlmsghdr *message)
{
	const struct nfgenmsg *header = mnl_nlmsg_get_payload(message);

	return mnl_nlmsg_get_payload_len(message) >= sizeof *header ? header->nfgen_family : NFPROTO_UNSPEC;
}

static int read_generation(const struct nlmsghdr *message, void *context)
{
	uint32_t *id = context;

	*id = nft_attribute_number(nft_attribute_find(message, NFTA_GEN_ID), 0);
	return 0;
}

static int get_generation(struct nft_socket *socket, uint32_t *ret_id)
{
	struct request request;

	return nft_socket_read(socket, request_init(&request, NFT_MSG_GETGEN, NLM_F_ACK), read_generation, ret_id);
}

static const struct family {
	uint8_t number;
	const char *name;
} families[] = {
	{NFPROTO_INET, "inet"},
	{NFPROTO_IPV4, "ip"},
	{NFPROTO_IPV6, "ip6"},
	{NFPROTO_ARP, "arp"},
	{NFPROTO_BRIDGE, "bridge"},
	{NFPROTO_NETDEV, "netdev"},
};
static_assert(sizeof families / sizeof *families == NFT_STATE_FAMILY_COUNT, "every family has a place");

const char *nft_state_family_name(size_t i)
{
	return families[i].name;
}

static int read_table(const struct nlmsghdr *message, void *context)
{
	struct nft_state *state = context;
	uint8_t family = family_of(message);

	if (!is_ours(message, NFTA_TABLE_NAME))
		return 0;
	if (family == NFPROTO_INET) {
		state->exists = true;
		state->table_flags = nft_attribute_number(nft_attribute_find(message, NFTA_TABLE_FLAGS), 0);
		return 0;
	}
	for (size_t i = 0; i < NFT_STATE_FAMILY_COUNT; i++)
		if (families[i].number == family)
			state->namesakes[i] = true;
	return 0;
}

/* The tables of all families. */
static int get_tables(struct nft_socket *socket, struct nft_state *state)
{
	struct request request;
	struct nfgenmsg *header = mnl_nlmsg_get_payload(request_init(&request, NFT_MSG_GETTABLE, NLM_F_DUMP));

	header->nfgen_family = NFPROTO_UNSPEC;
	return nft_socket_read(socket, request.message, read_table, state);
}

static int note_existence(const struct nlmsghdr *message, void *context)
{
	bool *exists = context;

	(void)message;
	*exists = true;
	return 0;
}

int nft_state_find_foreign_chain(struct nft_socket *socket, const char *table, const char *chain, bool *ret_exists)
{
	static const uint8_t of[] = {NFPROTO_IPV4, NFPROTO_IPV6};
	int rc = 0;

	*ret_exists = false;
	for (size_t i = 0; rc == 0 && i < sizeof of; i++) {
		struct request request;
		struct nfgenmsg *header = mnl_nlmsg_get_payload(request_init(&request, NFT_MSG_GETCHAIN, NLM_F_ACK));

		header->nfgen_family = of[i];
		mnl_attr_put_strz(request.message, NFTA_CHAIN_TABLE, table);
		mnl_attr_put_strz(request.message, NFTA_CHAIN_NAME, chain);
		rc = nft_socket_read(socket, request.message, note_existence, ret_exists);
		rc = rc == -ENOENT ? 0 : rc;
	}
	return rc;
}

int nft_state_find_table(struct nft_socket *socket, bool *ret_exists, struct error *e)
{
	struct nft_state state = {.exists = false};
	struct request request;
	int rc;

	mnl_attr_put_strz(request_init(&request, NFT_MSG_GETTABLE, NLM_F_ACK), NFTA_TABLE_NAME, RULESET_TABLE);
	rc = nft_socket_read(socket, request.message, read_table, &state);
	*ret_exists = state.exists;
	if (rc < 0 && rc != -ENOENT)
		return error_set_errno(e, -rc, "cannot look for the table inet " RULESET_TABLE);
	return 0;
}

/* --- chains, rules, sets: dumps, of which only our table's objects are kept: old kernels ignore the filter */

static struct nlmsghdr *copy(const struct nlmsghdr *message)
{
	struct nlmsghdr *kept = malloc(message->nlmsg_len);

	if (kept != NULL)
		memcpy(kept, message, message->nlmsg_len);
	return kept;
}

static int read_chain(const struct nlmsghdr *message, void *context)
{
	struct nft_state *state = context;

	if (!is_ours(message, NFTA_CHAIN_TABLE))
		return 0;
	if (state->chain_count == NFT_STATE_OBJECT_MAX) {
		state->other_count++;
		return 0;
	}
	state->chains[state->chain_count] = copy(message);
	if (state->chains[state->chain_count] == NULL)
		return -ENOMEM;
	state->chain_count++;
	return 0;
}

static int read_rule(const struct nlmsghdr *message, void *context)
{
	struct nft_state *state = context;

	if (!is_ours(message, NFTA_RULE_TABLE))
		return 0;
	if (state->rule_count == state->rule_capacity) {
		size_t capacity = state->rule_capacity * 2 + 32;
		struct nlmsghdr **rules = realloc(state->rules, capacity * sizeof(struct nlmsghdr *));

		if (rules == NULL)
			return -ENOMEM;
		state->rules = rules;
		state->rule_capacity = capacity;
	}
	state->rules[state->rule_count] = copy(message);
	if (state->rules[state->rule_count] == NULL)
		return -ENOMEM;
	state->rule_count++;
	return 0;
}

static int read_set(const struct nlmsghdr *message, void *context)
{
	struct nft_state *state = context;

	if (!is_ours(message, NFTA_SET_TABLE))
		return 0;
	if (state->set_count == NFT_STATE_OBJECT_MAX) {
		state->other_count++;
		return 0;
	}
	state->sets[state->set_count].message = copy(message);
	if (state->sets[state->set_count].message == NULL)
		return -ENOMEM;
	state->set_count++;
	return 0;
}

static_assert((int)NFTA_OBJ_TABLE == (int)NFTA_FLOWTABLE_TABLE, "one reader finds the table of both");

/* Stateful objects and flow tables: weir makes none, so it is enough to know that there are some. */
static int read_other(const struct nlmsghdr *message, void *context)
{
	struct nft_state *state = context;

	state->other_count += is_ours(message, NFTA_OBJ_TABLE);
	return 0;
}

static int dump(struct nft_socket *socket, uint16_t type, uint16_t table_attribute, nft_object_reader *reader,
	struct nft_state *state)
{
	struct request request;

	mnl_attr_put_strz(request_init(&request, type, NLM_F_DUMP), table_attribute, RULESET_TABLE);
	return nft_socket_read(socket, request.message, reader, state);
}

/* --- elements */

static int keep_bound(struct bounds *bounds, const void *key, size_t size, uint32_t flags)
{
	struct bound *bound;

	if (bounds->count == bounds->capacity) {
		size_t capacity = bounds->capacity * 2 + 64;
		struct bound *items = realloc(bounds->items, capacity * sizeof *items);

		if (items == NULL)
			return -ENOMEM;
		bounds->items = items;
		bounds->capacity = capacity;
	}
	bound = &bounds->items[bounds->count++];
	*bound = (struct bound){.ends = (flags & NFT_SET_ELEM_INTERVAL_END) != 0};
	memcpy(bound->key, key, size);
	if (bounds->plain && size == sizeof(uint32_t))
		nft_expression_host_key(bound->key);
	return 0;
}

static bool is_plain(const struct nlattr *element)
{
	for (const struct nlattr *a = nft_attribute_first(element); a != NULL; a = nft_attribute_next(element, a)) {
		uint16_t type = mnl_attr_get_type(a);

		if (type != NFTA_SET_ELEM_KEY && type != NFTA_SET_ELEM_FLAGS && type != NFTA_SET_ELEM_USERDATA)
			return false;
	}
	return true;
}

static int read_element(const struct nlattr *element, struct bounds *bounds)
{
	const struct nlattr *key = nft_attribute_find_in(element, NFTA_SET_ELEM_KEY);
	uint32_t flags = nft_attribute_number(nft_attribute_find_in(element, NFTA_SET_ELEM_FLAGS), 0);
	uint32_t size;
	const uint8_t *value = nft_attribute_bytes(nft_attribute_find_in(key, NFTA_DATA_VALUE), &size);

	bounds->odd |= !is_plain(element) || size != bounds->key_size ||
		       (flags & ~(uint32_t)NFT_SET_ELEM_INTERVAL_END) != 0;
	return size == bounds->key_size ? keep_bound(bounds, value, size, flags) : 0;
}

static int read_elements(const struct nlmsghdr *message, void *context)
{
	const struct nlattr *list = nft_attribute_find(message, NFTA_SET_ELEM_LIST_ELEMENTS);
	int rc = 0;

	for (const struct nlattr *a = nft_attribute_first(list); rc == 0 && a != NULL; a = nft_attribute_next(list, a))
		rc = read_element(a, context);
	return rc;
}

/* By key; at the same key, an end comes before the start of the next interval. */
static int compare_bounds(const void *a, const void *b)
{
	const struct bound *x = a;
	const struct bound *y = b;
	int order = memcmp(x->key, y->key, sizeof x->key);

	return order != 0 ? order : (int)y->ends - (int)x->ends;
}

static int add_interval(struct interval_list *list, const struct bound *start, const struct bound *next)
{
	uint8_t last[INTERVAL_KEY_MAX];

	if (next == NULL) {
		memset(last, 0xff, sizeof last);
	} else {
		memcpy(last, next->key, sizeof last);
		/* Cannot fail: the next bound stands behind this one. */
		(void)interval_key_previous(last, list->key_size);
	}
	return interval_list_add(list, start->key, last);
}

/* Makes intervals of sorted bounds. Two equal starts, or an end without a start, is nothing that weir writes. */
static int pair_bounds(struct bounds *bounds, struct interval_list *list)
{
	for (size_t i = 0; i < bounds->count; i++) {
		const struct bound *next = i + 1 < bounds->count ? &bounds->items[i + 1] : NULL;
		int rc = 0;

		if (bounds->plain)
			rc = interval_list_add(list, bounds->items[i].key, bounds->items[i].key);
		else if (bounds->items[i].ends)
			continue;
		else if (next != NULL && memcmp(next->key, bounds->items[i].key, bounds->key_size) == 0)
			bounds->odd = true;
		else
			rc = add_interval(list, &bounds->items[i], next);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int get_elements(struct nft_socket *socket, struct nft_state_set *set)
{
	uint32_t key_size = nft_attribute_number(nft_attribute_find(set->message, NFTA_SET_KEY_LEN), 0);
	uint32_t flags = nft_attribute_number(nft_attribute_find(set->message, NFTA_SET_FLAGS), 0);
	struct bounds bounds = {.key_size = key_size, .plain = (flags & NFT_SET_INTERVAL) == 0};
	struct request request;
	int rc;

	if (key_size == 0 || key_size > INTERVAL_KEY_MAX)
		return 0; /* not ours; the comparison says so by its key */
	interval_list_init(&set->elements, key_size);
	mnl_attr_put_strz(request_init(&request, NFT_MSG_GETSETELEM, NLM_F_DUMP), NFTA_SET_ELEM_LIST_TABLE, RULESET_TABLE);
	mnl_attr_put_strz(request.message, NFTA_SET_ELEM_LIST_SET, nft_attribute_text(nft_attribute_find(set->message, NFTA_SET_NAME)));
	rc = nft_socket_read(socket, request.message, read_elements, &bounds);
	if (rc == 0 && bounds.count > 0)
		qsort(bounds.items, bounds.count, sizeof *bounds.items, compare_bounds);
	if (rc == 0)
		rc = pair_bounds(&bounds, &set->elements);
	set->odd = bounds.odd;
	free(bounds.items);
	return rc;
}

static int read_all(struct nft_socket *socket, struct nft_state *state)
{
	uint32_t before = 0;
	uint32_t after = 0;
	int rc = get_generation(socket, &before);

	if (rc == 0)
		rc = get_tables(socket, state);
	if (rc < 0 || !state->exists)
		return rc;
	rc = dump(socket, NFT_MSG_GETCHAIN, NFTA_CHAIN_TABLE, read_chain, state);
	if (rc == 0)
		rc = dump(socket, NFT_MSG_GETRULE, NFTA_RULE_TABLE, read_rule, state);
	if (rc == 0)
		rc = dump(socket, NFT_MSG_GETSET, NFTA_SET_TABLE, read_set, state);
	for (size_t i = 0; rc == 0 && i < state->set_count; i++)
		rc = get_elements(socket, &state->sets[i]);
	if (rc == 0)
		rc = dump(socket, NFT_MSG_GETOBJ, NFTA_OBJ_TABLE, read_other, state);
	if (rc == 0)
		rc = dump(socket, NFT_MSG_GETFLOWTABLE, NFTA_FLOWTABLE_TABLE, read_other, state);
	if (rc == 0)
		rc = get_generation(socket, &after);
	/* A set that vanished between two dumps is a change, too. */
	if (rc == -ENOENT || (rc == 0 && before != after))
		rc = -EINTR;
	return rc;
}

int nft_state_read(struct nft_socket *socket, struct nft_state *ret_state, struct error *e)
{
	int rc;

	*ret_state = (struct nft_state){.exists = false};
	rc = read_all(socket, ret_state);
	if (rc < 0)
		(void)error_set_errno(e, -rc, "cannot read the table inet " RULESET_TABLE " back");
	return rc;
}

void nft_state_free(struct nft_state *state)
{
	for (size_t i = 0; i < state->chain_count; i++)
		free(state->chains[i]);
	for (size_t i = 0; i < state->set_count; i++) {
		free(state->sets[i].message);
		interval_list_free(&state->sets[i].elements);
	}
	for (size_t i = 0; i < state->rule_count; i++)
		free(state->rules[i]);
	free(state->rules);
	*state = (struct nft_state){.exists = false};
}
