/* SPDX-License-Identifier: Apache-2.0 */
#include "redirect/nft/attribute.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

/* An attribute at `place`, when one fits before `end`. */
static const struct nlattr *at(const void *place, const uint8_t *end)
{
	ptrdiff_t left = end - (const uint8_t *)place;

	return left >= (ptrdiff_t)sizeof(struct nlattr) && mnl_attr_ok(place, (int)left) ? place : NULL;
}

static const uint8_t *end_of_nest(const struct nlattr *nest)
{
	return (const uint8_t *)mnl_attr_get_payload(nest) + mnl_attr_get_payload_len(nest);
}

const struct nlattr *nft_attribute_first(const struct nlattr *nest)
{
	return nest != NULL ? at(mnl_attr_get_payload(nest), end_of_nest(nest)) : NULL;
}

const struct nlattr *nft_attribute_next(const struct nlattr *nest, const struct nlattr *attribute)
{
	return at(mnl_attr_next(attribute), end_of_nest(nest));
}

const struct nlattr *nft_attribute_find_in(const struct nlattr *nest, uint16_t type)
{
	const struct nlattr *attribute = nft_attribute_first(nest);

	while (attribute != NULL && mnl_attr_get_type(attribute) != type)
		attribute = nft_attribute_next(nest, attribute);
	return attribute;
}

const struct nlattr *nft_attribute_find_behind(const struct nlmsghdr *message, size_t header_size, uint16_t type)
{
	const uint8_t *end = (const uint8_t *)message + message->nlmsg_len;
	const struct nlattr *attribute = at(mnl_nlmsg_get_payload_offset(message, header_size), end);

	while (attribute != NULL && mnl_attr_get_type(attribute) != type)
		attribute = at(mnl_attr_next(attribute), end);
	return attribute;
}

const struct nlattr *nft_attribute_find(const struct nlmsghdr *message, uint16_t type)
{
	return nft_attribute_find_behind(message, sizeof(struct nfgenmsg), type);
}

uint32_t nft_attribute_number(const struct nlattr *attribute, uint32_t fallback)
{
	if (attribute == NULL || mnl_attr_get_payload_len(attribute) != sizeof(uint32_t))
		return fallback;
	return ntohl(mnl_attr_get_u32(attribute));
}

const char *nft_attribute_text(const struct nlattr *attribute)
{
	if (attribute == NULL || memchr(mnl_attr_get_payload(attribute), '\0', mnl_attr_get_payload_len(attribute)) == NULL)
		return "";
	return mnl_attr_get_str(attribute);
}

const uint8_t *nft_attribute_bytes(const struct nlattr *attribute, uint32_t *ret_size)
{
	*ret_size = attribute != NULL ? mnl_attr_get_payload_len(attribute) : 0;
	return attribute != NULL ? mnl_attr_get_payload(attribute) : NULL;
}

bool nft_attribute_equal(const struct nlattr *a, const struct nlattr *b)
{
	uint32_t size_a;
	uint32_t size_b;
	const uint8_t *bytes_a = nft_attribute_bytes(a, &size_a);
	const uint8_t *bytes_b = nft_attribute_bytes(b, &size_b);

	return (a == NULL) == (b == NULL) && size_a == size_b && (size_a == 0 || memcmp(bytes_a, bytes_b, size_a) == 0);
}
