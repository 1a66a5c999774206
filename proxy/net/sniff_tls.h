/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the server name in a TLS ClientHello (RFC 8446 section 4.1.2, RFC 6066 section 3), and notices an Encrypted
 * ClientHello (RFC 9849 section 5), whose sender may really want another server. Pure.
 */
#ifndef WEIR_PROXY_SNIFF_TLS_H
#define WEIR_PROXY_SNIFF_TLS_H

#include "proxy/net/sniff.h"

/* A hello that claims to be longer is none that weir reads. */
#define SNIFF_TLS_HELLO_MAX 65536u

/* Bytes of a server name with its NUL, "invalid:" included. */
#define SNIFF_TLS_NAME_SIZE 272

struct sniff_tls {
	/*
	 * As it is logged: lower case; "invalid:" in front and "_" for each byte where a byte is no letter, digit, "-"
	 * or "."; empty when the hello names nobody.
	 */
	char name[SNIFF_TLS_NAME_SIZE];
	bool has_ech;   /* also where it is only there so that others do not stand out (GREASE) */
	size_t missing; /* on SNIFF_MORE: so many more bytes are needed at least */
};

/*
 * Looks at the first bytes of a connection, which may hold the hello in any number of records. SNIFF_MATCH when it has
 * been read to its end, or cannot be read on behind the name; with SNIFF_MORE, `out` holds what is known already.
 */
enum sniff_result sniff_tls(const uint8_t *data, size_t size, struct sniff_tls *out);

#endif
