/* SPDX-License-Identifier: Apache-2.0 */
#include "redirect/plan/value.h"

#include "redirect/base/address.h"

#include <net/if.h>
#include <string.h>

/* Bits before the IPv4 part of an IPv4-mapped address. */
#define MAPPED_BITS 96

const char *value_read_number(const char *text, size_t length, uint32_t lowest, uint32_t highest, uint32_t *ret_number)
{
	uint64_t number = 0;

	if (length == 0)
		return "a number is missing";
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return "not a decimal number";
		number = number * 10 + (uint64_t)(text[i] - '0');
		if (number > highest)
			return "the number is too large";
	}
	/* iptables reads 010 as 8, others as 10: nobody can know what is meant. */
	if (length > 1 && text[0] == '0')
		return "a number must not begin with 0";
	if (number < lowest)
		return "the number is too small";
	*ret_number = (uint32_t)number;
	return NULL;
}

const char *value_read_numbers(const char *text, size_t length, uint32_t highest, uint32_t *ret_first,
	uint32_t *ret_last)
{
	size_t middle = 0;
	const char *problem;
	uint32_t first;
	uint32_t last;

	while (middle < length && text[middle] != '-' && text[middle] != ':')
		middle++;
	problem = value_read_number(text, middle, 0, highest, &first);
	if (problem != NULL)
		return problem;
	last = first;
	if (middle < length)
		problem = value_read_number(text + middle + 1, length - middle - 1, 0, highest, &last);
	if (problem != NULL)
		return problem;
	if (last < first)
		return "the range ends before it begins";
	*ret_first = first;
	*ret_last = last;
	return NULL;
}

/* Clears the bits behind the prefix in `first` and sets them in `last`. */
static void spread(struct interval *range, size_t key_size, unsigned prefix)
{
	for (size_t i = 0; i < key_size; i++) {
		unsigned bits = prefix >= (i + 1) * 8 ? 8 : prefix <= i * 8 ? 0 : prefix - (unsigned)i * 8;
		uint8_t mask = (uint8_t)(0xff00u >> bits);

		range->first[i] &= mask;
		range->last[i] = (uint8_t)(range->first[i] | (uint8_t)~mask);
	}
}

const char *value_read_range(const char *text, size_t length, struct value_range *ret_range)
{
	const char *slash = memchr(text, '/', length);
	size_t address_length = slash != NULL ? (size_t)(slash - text) : length;
	struct value_range result = {0};
	struct address address;
	uint32_t prefix;

	if (address_parse(text, address_length, &address) < 0)
		return "not an IP address or CIDR";
	/* Written with colons, a mapped address counts its prefix over 128 bits. */
	bool written_as_ipv6 = memchr(text, ':', address_length) != NULL;
	uint32_t bits = written_as_ipv6 ? 128 : 32;

	prefix = bits;
	if (slash != NULL && value_read_number(slash + 1, length - address_length - 1, 0, bits, &prefix) != NULL)
		return bits == 32 ? "the prefix length is not a number from 0 to 32"
				  : "the prefix length is not a number from 0 to 128";
	result.ipv4 = address_is_ipv4(&address) && !(written_as_ipv6 && prefix < MAPPED_BITS);
	result.loopback = address_is_loopback(&address);
	if (result.ipv4) {
		result.prefix = written_as_ipv6 ? prefix - MAPPED_BITS : prefix;
		memcpy(result.range.first, address.bytes + 12, 4);
		spread(&result.range, 4, result.prefix);
	} else {
		result.prefix = prefix;
		memcpy(result.range.first, address.bytes, 16);
		spread(&result.range, 16, prefix);
	}
	*ret_range = result;
	return NULL;
}

const char *value_read_interface(const char *text, size_t length, struct interval *ret_names)
{
	bool pattern = length > 0 && (text[length - 1] == '+' || text[length - 1] == '*');
	size_t name_length = pattern ? length - 1 : length;
	struct interval names = {0};

	if (length == 0)
		return "a name is missing";
	if (name_length == 0)
		return "this pattern is every interface";
	if (name_length >= IFNAMSIZ)
		return "the name is longer than 15 bytes";
	for (size_t i = 0; i < name_length; i++) {
		char c = text[i];

		if (c <= ' ' || c > '~' || strchr("/:\"\\*", c) != NULL)
			return "the name holds a byte that no interface name may have";
	}
	if (!pattern && ((length == 1 && text[0] == '.') || (length == 2 && text[0] == '.' && text[1] == '.')))
		return "\".\" and \"..\" are not interface names";
	memcpy(names.first, text, name_length);
	memcpy(names.last, text, name_length);
	if (pattern)
		memset(names.last + name_length, 0xff, sizeof names.last - name_length);
	*ret_names = names;
	return NULL;
}

const char *value_read_switch(const char *text, size_t length, bool *ret_on)
{
	static const char *const words[2][6] = {
		{"false", "0", "f", "F", "FALSE", "False"},
		{"true", "1", "t", "T", "TRUE", "True"},
	};

	for (size_t on = 0; on < 2; on++) {
		for (size_t i = 0; i < 6; i++) {
			if (length == strlen(words[on][i]) && memcmp(text, words[on][i], length) == 0) {
				*ret_on = on == 1;
				return NULL;
			}
		}
	}
	return "neither true nor false";
}
