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
	if (probe->oif[0] != '\0')
		memcpy(key, probe->oif, INTERVAL_KEY_MAX);
	else if (address_is_loopback(&probe->destination.address))
		memcpy(key, "lo", 2);
	return key[0] != '\0';
}

/* The probe's value of a field, as a zeroed key. Returns false when it has none. */
static bool take_field(const struct explain_probe *probe, enum rule_field field, uint8_t key[INTERVAL_KEY_MAX])
{
	const struct address *address = &probe->destination.address;

	switch (field) {
	case RULE_FIELD_L4PROTO:
		key[0] = IPPROTO_TCP;
		return true;
	case RULE_FIELD_OIFNAME:
		return put_oif(probe, key);
	case RULE_FIELD_SKUID:
		return probe->has_uid && put_number(key, probe->uid);
	case RULE_FIELD_SKGID:
		return probe->has_gid && put_number(key, probe->gid);
	case RULE_FIELD_TCP_DPORT:
		key[0] = (uint8_t)(probe->destination.port >> 8);
		key[1] = (uint8_t)probe->destination.port;
		return true;
	case RULE_FIELD_IPV4_DADDR:
		memcpy(key, address->bytes + 12, 4);
		return address_is_ipv4(address);
	case RULE_FIELD_IPV6_DADDR:
		memcpy(key, address->bytes, 16);
		return !address_is_ipv4(address);
	/* The kernel chooses it; only a program that binds to the passthrough address has that one. */
	case RULE_FIELD_IPV4_SADDR:
	case RULE_FIELD_IPV6_SADDR:
	case RULE_FIELD_COUNT:
		break;
	}
	return false;
}

/* Whether a rule's match holds. What a set held is left in `ret`. */
static bool holds(const struct ruleset *ruleset, const struct rule_match *match, const struct explain_probe *probe,
	struct explanation *ret)
{
	size_t size = rule_field_size(match->field);
	uint8_t key[INTERVAL_KEY_MAX] = {0};
	const struct interval *element;

	if (!take_field(probe, match->field, key))
		return false;
	switch (match->op) {
	case RULE_IS:
		return memcmp(key, match->value.first, size) == 0;
	case RULE_IS_NOT:
		return memcmp(key, match->value.first, size) != 0;
	case RULE_WITHIN:
		return memcmp(key, match->value.first, size) >= 0 && memcmp(key, match->value.last, size) <= 0;
	case RULE_IN_SET:
		ret->set = ruleset_find_set(ruleset, match->set);
		assert(ret->set != NULL);
		element = interval_list_find(ret->set->elements, key);
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

void explain_walk(const struct ruleset *ruleset, const struct explain_probe *probe, struct explanation *ret)
{
	const struct rule_chain *chain = &ruleset->chains[0];

	*ret = (struct explanation){.verdict = RULE_RETURN, .chain = chain};
	for (size_t i = 0; i < chain->rule_count; i++) {
		const struct rule *rule = &chain->rules[i];

		if (!applies(ruleset, rule, probe, ret))
			continue;
		ret->rule = rule;
		ret->place = i + 1;
		ret->port = rule->port;
		if (rule->verdict == RULE_CONTINUE)
			continue;
		ret->verdict = rule->verdict;
		return;
	}
	/* The last rule of a chain applies to all that came so far. */
	assert(ret->rule != NULL);
}
