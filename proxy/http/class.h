/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which bytes may stand where, a bit for each.
 */
#ifndef WEIR_PROXY_HTTP_CLASS_H
#define WEIR_PROXY_HTTP_CLASS_H

#include <stdbool.h>
#include <stdint.h>

struct http_class {
	uint64_t bits[4];
};

/* RFC 9110 section 5.6.2: letters, digits, !#$%&'*+-.^_`|~ */
static const struct http_class http_class_token = {{0x03ff6cfa00000000, 0x57ffffffc7fffffe, 0, 0}};
/* RFC 3986 section 3.2: what names a host, with port and user */
static const struct http_class http_class_authority = {{0x2fff7ff200000000, 0x47fffffeafffffff, 0, 0}};
/* RFC 3986 section 2.3: an escape of these says no more than the byte itself */
static const struct http_class http_class_unreserved = {{0x03ff600000000000, 0x47fffffe87fffffe, 0, 0}};

/* What stays as it is in a path, apart from dots */
static const struct http_class http_class_path = {{0x2fffffd200000000, 0x47fffffeafffffff, 0, 0}};

static inline bool http_class_has(const struct http_class *class, char c)
{
	return (class->bits[(uint8_t)c >> 6] >> ((uint8_t)c & 63) & 1) != 0;
}

#endif
