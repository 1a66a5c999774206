/* SPDX-License-Identifier: Apache-2.0 */
#include "redirect/base/address.h"

#include "redirect/base/decimal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool address_is_ipv4(const struct address *address)
{
	return memcmp(address->bytes, mapped_prefix, sizeof mapped_prefix) == 0;
}

bool address_is_loopback(const struct address *address)
{
	static const uint8_t loopback6[16] = {[15] = 1};

	if (address_is_ipv4(address))
		return address->bytes[12] == 127;
	return memcmp(address->bytes, loopback6, sizeof loopback6) == 0;
}

int address_parse(const char *text, size_t length, struct address *ret_address)
{
	char buffer[INET6_ADDRSTRLEN];
	struct address address;

	if (length >= sizeof buffer || memchr(text, '\0', length) != NULL)
		return -EINVAL;
	memcpy(buffer, text, length);
	buffer[length] = '\0';
	memcpy(address.bytes, mapped_prefix, sizeof mapped_prefix);
	if (inet_pton(AF_INET, buffer, address.bytes + 12) != 1 && inet_pton(AF_INET6, buffer, address.bytes) != 1)
		return -EINVAL;
	*ret_address = address;
	return 0;
}

/* Returns where the text ends; there is no NUL. */
static char *write_address(char *out, const struct address *address)
{
	if (!address_is_ipv4(address)) {
		(void)inet_ntop(AF_INET6, address->bytes, out, INET6_ADDRSTRLEN);
		return out + strlen(out);
	}
	for (size_t i = 12; i < 16; i++) {
		out = decimal_write(out, address->bytes[i], 1);
		if (i < 15)
			*out++ = '.';
	}
	return out;
}

const char *address_format(char out[ADDRESS_TEXT_SIZE], const struct address *address)
{
	*write_address(out, address) = '\0';
	return out;
}

const char *endpoint_format(char out[ADDRESS_TEXT_SIZE], const struct endpoint *endpoint)
{
	bool ipv4 = address_is_ipv4(&endpoint->address);
	char *next = out;

	if (!ipv4)
		*next++ = '[';
	next = write_address(next, &endpoint->address);
	if (!ipv4)
		*next++ = ']';
	*next++ = ':';
	*decimal_write(next, endpoint->port, 1) = '\0';
	return out;
}

int endpoint_from_sockaddr(const struct sockaddr_storage *from, struct endpoint *ret_endpoint)
{
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;

	switch (from->ss_family) {
	case AF_INET:
		memcpy(&in4, from, sizeof in4);
		memcpy(ret_endpoint->address.bytes, mapped_prefix, sizeof mapped_prefix);
		memcpy(ret_endpoint->address.bytes + 12, &in4.sin_addr, 4);
		ret_endpoint->port = ntohs(in4.sin_port);
		return 0;
	case AF_INET6:
		memcpy(&in6, from, sizeof in6);
		memcpy(ret_endpoint->address.bytes, &in6.sin6_addr, 16);
		ret_endpoint->port = ntohs(in6.sin6_port);
		return 0;
	default:
		return -EAFNOSUPPORT;
	}
}

socklen_t endpoint_to_sockaddr(const struct endpoint *endpoint, struct sockaddr_storage *ret_to)
{
	struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(endpoint->port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(endpoint->port)};

	memset(ret_to, 0, sizeof *ret_to);
	if (address_is_ipv4(&endpoint->address)) {
		memcpy(&in4.sin_addr, endpoint->address.bytes + 12, 4);
		memcpy(ret_to, &in4, sizeof in4);
		return sizeof in4;
	}
	memcpy(&in6.sin6_addr, endpoint->address.bytes, 16);
	memcpy(ret_to, &in6, sizeof in6);
	return sizeof in6;
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && memcmp(a->address.bytes, b->address.bytes, sizeof a->address.bytes) == 0;
}
