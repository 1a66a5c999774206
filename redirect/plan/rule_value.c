/* SPDX-License-Identifier: Apache-2.0 */
#include "redirect/plan/rule_value.h"

#include "redirect/base/address.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static uint32_t key_number(const uint8_t *key, size_t size)
{
	uint32_t number = 0;

	for (size_t i = 0; i < size; i++)
		number = number << 8 | key[i];
	return number;
}

static void format_address(char out[ADDRESS_TEXT_SIZE], enum rule_field field, const uint8_t *key)
{
	struct address address = {.bytes = {[10] = 0xff, [11] = 0xff}};

	if (rule_field_size(field) == 4)
		memcpy(address.bytes + 12, key, 4);
	else
		memcpy(address.bytes, key, 16);
	(void)address_format(out, &address);
}

/* The prefix length of an interval that is one CIDR, or -1. */
static int cidr_prefix(const struct interval *interval, size_t size)
{
	size_t i = 0;
	int prefix;
	unsigned differ;

	while (i < size && interval->first[i] == interval->last[i])
		i++;
	prefix = (int)i * 8;
	if (i == size)
		return prefix;
	/* In the byte where they part, the differing bits must be the low ones: 0 to 1 in each. */
	differ = (unsigned)(interval->first[i] ^ interval->last[i]);
	if ((differ & (differ + 1)) != 0 || (interval->first[i] & differ) != 0)
		return -1;
	for (; differ != 0; differ >>= 1)
		prefix--;
	prefix += 8;
	while (++i < size)
		if (interval->first[i] != 0 || interval->last[i] != 0xff)
			return -1;
	return prefix;
}

static void format_addresses(char out[RULE_VALUE_SIZE], enum rule_field field, const struct interval *interval)
{
	size_t size = rule_field_size(field);
	int prefix = cidr_prefix(interval, size);
	char first[ADDRESS_TEXT_SIZE];
	char last[ADDRESS_TEXT_SIZE];

	format_address(first, field, interval->first);
	format_address(last, field, interval->last);
	if (prefix == (int)size * 8)
		(void)snprintf(out, RULE_VALUE_SIZE, "%.46s", first);
	else if (prefix >= 0)
		(void)snprintf(out, RULE_VALUE_SIZE, "%.46s/%d", first, prefix);
	else
		(void)snprintf(out, RULE_VALUE_SIZE, "%.46s-%.46s", first, last);
}

/* A name that ends before its padding is exact; else it is a beginning of names. */
static void format_name(char out[RULE_VALUE_SIZE], const struct interval *interval)
{
	bool pattern = interval->last[INTERVAL_KEY_MAX - 1] == 0xff;

	(void)snprintf(out, RULE_VALUE_SIZE, "\"%.16s%s\"", (const char *)interval->first, pattern ? "*" : "");
}

static void format_numbers(char out[RULE_VALUE_SIZE], enum rule_field field, const struct interval *interval)
{
	size_t size = rule_field_size(field);
	uint32_t first = key_number(interval->first, size);
	uint32_t last = key_number(interval->last, size);

	if (first == last)
		(void)snprintf(out, RULE_VALUE_SIZE, "%u", first);
	else
		(void)snprintf(out, RULE_VALUE_SIZE, "%u-%u", first, last);
}

const char *rule_value_format(char out[RULE_VALUE_SIZE], enum rule_field field, const struct interval *interval)
{
	switch (field) {
	case RULE_FIELD_OIFNAME:
	case RULE_FIELD_IIFNAME:
		format_name(out, interval);
		break;
	case RULE_FIELD_L4PROTO:
		(void)snprintf(out, RULE_VALUE_SIZE, "%s", interval->first[0] == IPPROTO_TCP ? "tcp" : "udp");
		break;
	/* The only bits and directions that rules name. */
	case RULE_FIELD_TCP_FLAGS:
		(void)snprintf(out, RULE_VALUE_SIZE, "syn");
		break;
	case RULE_FIELD_CT_STATE:
		(void)snprintf(out, RULE_VALUE_SIZE, "invalid");
		break;
	case RULE_FIELD_CT_DIRECTION:
		(void)snprintf(out, RULE_VALUE_SIZE, "%s",
			interval->first[0] == RULE_CT_DIRECTION_REPLY ? "reply" : "original");
		break;
	case RULE_FIELD_IPV4_SADDR:
	case RULE_FIELD_IPV4_DADDR:
	case RULE_FIELD_IPV6_SADDR:
	case RULE_FIELD_IPV6_DADDR:
		format_addresses(out, field, interval);
		break;
	default:
		format_numbers(out, field, interval);
		break;
	}
	return out;
}
