/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One address type for both families: 16 bytes in network order, IPv4 in its mapped form (::ffff:a.b.c.d, RFC 4291
 * section 2.5.5.2). An endpoint adds the TCP port.
 */
#ifndef WEIR_ADDRESS_H
#define WEIR_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* Bytes of "[address]:port" with its NUL, the longest form. */
#define ADDRESS_TEXT_SIZE 64

struct address {
	uint8_t bytes[16];
};

struct endpoint {
	struct address address;
	uint16_t port; /* host order */
};

/* Whether the address is IPv4. */
bool address_is_ipv4(const struct address *address);

/* Whether the address is in 127.0.0.0/8 or is ::1. */
bool address_is_loopback(const struct address *address);

/*
 * Reads an IPv4 address in dotted decimal or an IPv6 address (RFC 4291 section 2.2) from exactly `length` bytes.
 * Returns 0 or -EINVAL.
 */
int address_parse(const char *text, size_t length, struct address *ret_address);

/* Writes the address, without brackets, as inet_ntop(3) does. Returns `out`. */
const char *address_format(char out[ADDRESS_TEXT_SIZE], const struct address *address);

/* Writes "a.b.c.d:port" or "[address]:port". Returns `out`. */
const char *endpoint_format(char out[ADDRESS_TEXT_SIZE], const struct endpoint *endpoint);

/* Takes address and port out of an AF_INET or AF_INET6 socket address. Returns 0 or -EAFNOSUPPORT. */
int endpoint_from_sockaddr(const struct sockaddr_storage *from, struct endpoint *ret_endpoint);

/* Makes a socket address of the endpoint's own family. Returns its length. */
socklen_t endpoint_to_sockaddr(const struct endpoint *endpoint, struct sockaddr_storage *ret_to);

/* Whether address and port are the same. */
bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);

#endif
