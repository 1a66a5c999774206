/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/dns/guard.h"

#include <string.h>

struct range {
	struct address first;
	unsigned bits;
};

#define IPV4(a, b, c, d, bits) \
	{ \
		{{[10] = 0xff, 0xff, (a), (b), (c), (d)}}, 96 + (bits) \
	}

static const struct range unusable[] = {
	IPV4(0, 0, 0, 0, 8),
	IPV4(224, 0, 0, 0, 4),
	IPV4(255, 255, 255, 255, 32),
	{{{0}}, 128},
	{{{0xff}}, 8},
};

static const struct range private_ranges[] = {
	IPV4(10, 0, 0, 0, 8),
	IPV4(100, 64, 0, 0, 10),
	IPV4(127, 0, 0, 0, 8),
	IPV4(169, 254, 0, 0, 16),
	IPV4(172, 16, 0, 0, 12),
	IPV4(192, 0, 0, 0, 24),
	IPV4(192, 168, 0, 0, 16),
	IPV4(198, 18, 0, 0, 15),
	{{{[15] = 1}}, 128},
	{{{0xfc}}, 7},
	{{{0xfe, 0x80}}, 10},
	{{{0xfe, 0xc0}}, 10}, /* what site-local was */
};

/* Where an IPv6 address has an IPv4 address in it: behind a prefix. */
static const struct {
	struct range range;
	unsigned at; /* the byte */
} embedding[] = {
	{{{{0}}, 96}, 12},                                  /* IPv4-compatible */
	{{{{0x00, 0x64, 0xff, 0x9b}}, 96}, 12},             /* NAT64, RFC 6052 */
	{{{{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}}, 48}, 12}, /* local NAT64, RFC 8215, with its longest prefix */
	{{{{0x20, 0x02}}, 16}, 2},                          /* 6to4 */
};

/* RFC 6761, 6762, 7686, 8375, 9476, and what ICANN and habit have set apart. */
static const char *const local_domains[] = {
	"local", "localhost", "internal", "home.arpa", "intranet", "private", "corp", "home", "lan", "test", "alt",
};

static bool is_in(const struct range *range, const struct address *address)
{
	unsigned whole = range->bits / 8;
	unsigned rest = range->bits % 8;

	if (memcmp(range->first.bytes, address->bytes, whole) != 0)
		return false;
	return rest == 0 || ((range->first.bytes[whole] ^ address->bytes[whole]) >> (8 - rest)) == 0;
}

bool guard_is_unusable(const struct address *address)
{
	for (size_t i = 0; i < sizeof unusable / sizeof *unusable; i++)
		if (is_in(&unusable[i], address))
			return true;
	return false;
}

static bool is_private_itself(const struct address *address)
{
	for (size_t i = 0; i < sizeof private_ranges / sizeof *private_ranges; i++)
		if (is_in(&private_ranges[i], address))
			return true;
	return false;
}

bool guard_is_private(const struct address *address)
{
	for (size_t i = 0; i < sizeof embedding / sizeof *embedding; i++) {
		struct range inner = IPV4(0, 0, 0, 0, 0);

		if (!is_in(&embedding[i].range, address))
			continue;
		memcpy(inner.first.bytes + 12, address->bytes + embedding[i].at, 4);
		if (is_private_itself(&inner.first) || guard_is_unusable(&inner.first))
			return true;
	}
	return is_private_itself(address);
}

bool guard_is_public(const char *name)
{
	size_t length = strlen(name);

	if (strchr(name, '.') == NULL)
		return false;
	for (size_t i = 0; i < sizeof local_domains / sizeof *local_domains; i++) {
		size_t under = strlen(local_domains[i]);

		if (length > under && name[length - under - 1] == '.' && strcmp(name + length - under, local_domains[i]) == 0)
			return false;
	}
	return true;
}
