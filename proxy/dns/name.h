/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A name as it is asked for in DNS: lower case, without a dot at its end, always meant as absolute.
 */
#ifndef WEIR_PROXY_DNS_NAME_H
#define WEIR_PROXY_DNS_NAME_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of a name with its NUL (RFC 1035 section 2.3.4, less the wire's own first and last byte). */
#define NAME_SIZE 254

/*
 * Writes the name's usual form. Returns its length, or -EINVAL for what cannot be a host's name: labels of 1 to 63
 * letters, digits, `-` and `_`, the last one not a number, since that is an address (or a mistyped one).
 */
int name_normalize(const char *text, char out[NAME_SIZE]);

/* Whether the text is what name_normalize() would make of it. */
bool name_is_normal(const char *text);

#endif
