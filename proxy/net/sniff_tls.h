/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the server name in a TLS ClientHello (RFC 8446 section 4.1.2, RFC 6066 section 3). Pure.
 */
#ifndef WEIR_PROXY_SNIFF_TLS_H
#define WEIR_PROXY_SNIFF_TLS_H

#include "proxy/net/sniff.h"

/* A hello that claims to be longer is none that weir reads. */
#define SNIFF_TLS_HELLO_MAX 65536u

/* Bytes of a server name with its NUL, "invalid:" included. */
#define SNIFF_TLS_NAME_SIZE 272

/*
 * Looks at the first bytes of a connection, which may hold the hello in any number of records. On SNIFF_MATCH, `out`
 * holds the name as it is logged: lower case; "invalid:" in front and "_" for each byte where a byte is no letter,
 * digit, "-" or "."; empty when the hello names nobody.
 */
enum sniff_result sniff_tls(const uint8_t *data, size_t size, char out[SNIFF_TLS_NAME_SIZE]);

#endif
