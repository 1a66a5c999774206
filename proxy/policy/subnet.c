/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/policy/subnet.h"

#include <errno.h>
#include <string.h>

#define IPV4_OFFSET 96u

/* A decimal of at most three digits, without a leading zero. Returns -1 for anything else. */
static int parse_bits(const char *text)
{
	int bits = 0;
	size_t length = strlen(text);

	if (length == 0 || length > 3 || (length > 1 && *text == '0'))
		return -1;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		bits = bits * 10 + (*text - '0');
	}
	return bits;
}

int subnet_parse(const char *text, struct subnet *ret_subnet, struct error *e)
{
	const char *slash = strchr(text, '/');
	struct subnet subnet;
	bool ipv4;
	int bits;

	if (address_parse(text, slash != NULL ? (size_t)(slash - text) : strlen(text), &subnet.address) < 0)
		return error_set(e, EINVAL, slash != NULL ? "%s is not a valid CIDR block" : "%s is not a valid IP", text);
	/* The mapped form written out is IPv6 to its writer, and a prefix of it counts from the front. */
	ipv4 = address_is_ipv4(&subnet.address) && memchr(text, ':', strlen(text)) == NULL;
	bits = slash != NULL ? parse_bits(slash + 1) : (int)(ipv4 ? SUBNET_BITS_MAX - IPV4_OFFSET : SUBNET_BITS_MAX);
	if (bits < 0 || (unsigned)bits > (ipv4 ? SUBNET_BITS_MAX - IPV4_OFFSET : SUBNET_BITS_MAX))
		return error_set(e, EINVAL, "%s is not a valid CIDR block", text);
	subnet.bits = (uint8_t)((unsigned)bits + (ipv4 ? IPV4_OFFSET : 0));
	subnet_mask(&subnet.address, subnet.bits);
	*ret_subnet = subnet;
	return 0;
}

void subnet_mask(struct address *address, unsigned bits)
{
	for (unsigned i = 0; i < sizeof address->bytes; i++) {
		unsigned keep = bits > 8 * i ? bits - 8 * i : 0;

		if (keep < 8)
			address->bytes[i] &= (uint8_t)(0xff00u >> keep);
	}
}

bool subnet_contains(const struct subnet *subnet, const struct address *address)
{
	struct address masked = *address;

	subnet_mask(&masked, subnet->bits);
	return memcmp(masked.bytes, subnet->address.bytes, sizeof masked.bytes) == 0;
}
