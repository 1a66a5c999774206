/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A match asks one field of the probe, as the kernel asks the packet: a field that the probe does not have (an address
 * of the other family, a user that was not given) matches nothing, and nothing negated either.
 */
#include "redirect/plan/explain.h"

#include "redirect/plan/value.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

int explain_read_destination(const char *text, struct endpoint *ret_destination, struct error *e)
{
	const char *colon = strrchr(text, ':');
	bool bracketed = *text == '[' && colon != NULL && colon > text && colon[-1] == ']';
	const char *address = text + bracketed;
	size_t length = colon == NULL ? 0 : (size_t)(colon - address) - bracketed;
	char quote[ERROR_QUOTE_SIZE];
	uint32_t port;

	/* Without brackets nobody can tell where an IPv6 address ends. */
	if (colon == NULL || (!bracketed && memchr(address, ':', length) != NULL) ||
		address_parse(address, length, &ret_destination->address) < 0 ||
		value_read_number(colon + 1, strlen(colon + 1), 0, UINT16_MAX, &port) != NULL)
		return error_set(e, EINVAL, "%s is no destination; valid: ADDRESS:PORT, [IPV6-ADDRESS]:PORT",
			error_quote(quote, text, strlen(text)));
	ret_destination->port = (uint16_t)port;
	return 0;
}

static bool put_number(uint8_t *key, uint32_t number)
{
	for (size_t i = 0; i < 4; i++)
		key[i] = (uint8_t)(number >> (24 - 8 * i));
	return true;
}

static bool put_oif(const struct explain_probe *probe, uint8_t key[INTERVAL_KEY_MAX])
{
	if (explain_is_inbound(probe))
		return false;
	if (probe->oif[0] != '\0')
		memcpy(key, probe->oif, INTERVAL_KEY_MAX);
	else if (address_is_loopback(&probe->destination.address))
		memcpy(key, "lo", 2);
	return key[0] != '\0';
}

static bool put_port(uint16_t port, uint8_t *key)
{
	key[0] = (uint8_t)(port >> 8);
	key[1] = (uint8_t)port;
	return true;
}

static bool put_address(const struct address *address, bool ipv4, uint8_t *key)
{
	if (ipv4)
		memcpy(key, address->bytes + 12, 4);
	else
		memcpy(key, address->bytes, 16);
	return address_is_ipv4(address) == ipv4;
}

/* The probe's value of a field, as a zeroed key. Returns false when it has none. */
static bool take_field(const struct explain_probe *probe, enum rule_field field, uint8_t key[INTERVAL_KEY_MAX])
{
	bool inbound = explain_is_inbound(probe);

	switch (field) {
	case RULE_FIELD_L4PROTO:
		key[0] = probe->udp ? IPPROTO_UDP : IPPROTO_TCP;
		return true;
	case RULE_FIELD_OIFNAME:
		return put_oif(probe, key);
	case RULE_FIELD_IIFNAME:
		memcpy(key, probe->iif, INTERVAL_KEY_MAX);
		return inbound;
	case RULE_FIELD_SKUID:
		return !inbound && probe->has_uid && put_number(key, probe->uid);
	case RULE_FIELD_SKGID:
		return !inbound && probe->has_gid && put_number(key, probe->gid);
	case RULE_FIELD_MARK:
		return put_number(key, probe->mark);
	case RULE_FIELD_TH_DPORT:
		return put_port(probe->destination.port, key);
	case RULE_FIELD_TCP_DPORT:
		return !probe->udp && put_port(probe->destination.port, key);
	case RULE_FIELD_UDP_DPORT:
		return probe->udp && put_port(probe->destination.port, key);
	case RULE_FIELD_TCP_FLAGS:
		key[0] = RULE_TCP_FLAG_SYN;
		return !probe->udp;
	/* Where none is said, the kernel chooses; only a program that binds to the passthrough address has that one. */
	case RULE_FIELD_IPV4_SADDR:
		return probe->has_source && put_address(&probe->source, true, key);
	case RULE_FIELD_IPV6_SADDR:
		return probe->has_source && put_address(&probe->source, false, key);
	case RULE_FIELD_IPV4_DADDR:
		return put_address(&probe->destination.address, true, key);
	case RULE_FIELD_IPV6_DADDR:
		return put_address(&probe->destination.address, false, key);
	/* A new connection: no mark, no bit of a state that rules ask for, and its first packet is no answer. */
	case RULE_FIELD_CT_MARK:
	case RULE_FIELD_CT_STATE:
	case RULE_FIELD_CT_DIRECTION:
		return true;
	case RULE_FIELD_UDP_SPORT:
	case RULE_FIELD_COUNT:
		break;
	}
	return false;
}

/* A user or group that was not said is one that no set holds. */
static bool holds_unsaid(const struct rule_match *match, const struct explain_probe *probe)
{
	return match->op == RULE_NOT_IN_SET && !explain_is_inbound(probe) &&
	       (match->field == RULE_FIELD_SKUID || match->field == RULE_FIELD_SKGID);
}

static bool has_bits(const uint8_t *key, const uint8_t *bits, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if ((key[i] & bits[i]) != 0)
			return true;
	return false;
}

/* Whether a rule's match holds. What a set held is left in `ret`. */
static bool holds(const struct ruleset *ruleset, const struct rule_match *match, const struct explain_probe *probe,
	struct explanation *ret)
{
	size_t size = rule_field_size(match->field);
	uint8_t key[INTERVAL_KEY_MAX] = {0};
	const struct rule_set *set;
	const struct interval *element;

	if (!take_field(probe, match->field, key))
		return holds_unsaid(match, probe);
	switch (match->op) {
	case RULE_IS:
		return memcmp(key, match->value.first, size) == 0;
	case RULE_IS_NOT:
		return memcmp(key, match->value.first, size) != 0;
	case RULE_WITHIN:
		return memcmp(key, match->value.first, size) >= 0 && memcmp(key, match->value.last, size) <= 0;
	case RULE_HAS:
		return has_bits(key, match->value.first, size);
	case RULE_IN_SET:
	case RULE_NOT_IN_SET:
		set = ruleset_find_set(ruleset, match->set);
		assert(set != NULL);
		element = interval_list_find(set->elements, key);
		if (match->op == RULE_NOT_IN_SET)
			return element == NULL;
		ret->set = set;
		ret->element = element;
		return element != NULL;
	}
	return false;
}

static bool applies(const struct ruleset *ruleset, const struct rule *rule, const struct explain_probe *probe,
	struct explanation *ret)
{
	ret->set = NULL;
	ret->element = NULL;
	for (size_t i = 0; i < rule->match_count; i++)
		if (!holds(ruleset, &rule->matches[i], probe, ret))
			return false;
	return true;
}

/* Rules after which the packet goes on to the next one. */
static bool goes_on(const struct rule *rule)
{
	return rule->verdict == RULE_CONTINUE || rule->verdict == RULE_SET_MARK || rule->verdict == RULE_SET_CT_MARK;
}

/* Walks one chain, and those that its rules go to. */
static struct explanation walk(const struct ruleset *ruleset, const struct rule_chain *chain,
	const struct explain_probe *probe)
{
	struct explanation last = {.verdict = RULE_RETURN, .chain = chain};

	for (size_t i = 0; i < chain->rule_count; i++) {
		const struct rule *rule = &chain->rules[i];
		struct explanation now = {
			.verdict = rule->verdict, .port = rule->port, .chain = chain, .rule = rule, .place = i + 1};

		if (!applies(ruleset, rule, probe, &now))
			continue;
		if (rule->verdict == RULE_GOTO)
			return walk(ruleset, ruleset_find_chain(ruleset, rule->target), probe);
		if (!goes_on(rule))
			return now;
		now.verdict = RULE_RETURN;
		last = now;
	}
	return last;
}

/* What TPROXY leaves alone, redirection may still take: that of virtual machines. */
static struct explanation walk_inbound(const struct ruleset *ruleset, const struct explain_probe *probe)
{
	const struct rule_chain *tproxy = ruleset_find_chain(ruleset, "tproxy_inbound");
	const struct rule_chain *inbound = ruleset_find_chain(ruleset, "inbound");
	struct explanation first = {.verdict = RULE_RETURN};
	struct explanation second = {.verdict = RULE_RETURN};

	if (tproxy != NULL)
		first = walk(ruleset, tproxy, probe);
	if (first.verdict == RULE_TPROXY || inbound == NULL)
		return first;
	second = walk(ruleset, inbound, probe);
	return tproxy != NULL && second.chain == inbound && second.verdict == RULE_RETURN ? first : second;
}

bool explain_is_inbound(const struct explain_probe *probe)
{
	return probe->iif[0] != '\0';
}

void explain_walk(const struct ruleset *ruleset, const struct explain_probe *probe, struct explanation *ret)
{
	*ret = explain_is_inbound(probe) ? walk_inbound(ruleset, probe)
					 : walk(ruleset, ruleset_find_chain(ruleset, "outbound"), probe);
}
