/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds method, target, version and Host in the head of an HTTP/1.x request (RFC 9112 sections 3 and 5). Pure.
 */
#ifndef WEIR_PROXY_SNIFF_HTTP_H
#define WEIR_PROXY_SNIFF_HTTP_H

#include "proxy/net/sniff.h"

/* Pieces of the head, inside the bytes that were looked at. */
struct sniff_http {
	const uint8_t *method;
	size_t method_length;
	const uint8_t *target;
	size_t target_length;
	const uint8_t *version; /* "HTTP/1.1" */
	size_t version_length;
	const uint8_t *host; /* NULL: the head has none */
	size_t host_length;
};

/*
 * Looks at the first bytes of a connection. SNIFF_MATCH as soon as the Host, or the end of the head, is there; with
 * SNIFF_MORE, `out` holds what is known already.
 */
enum sniff_result sniff_http(const uint8_t *data, size_t size, struct sniff_http *out);

/* Whether the first bytes are the preface of HTTP/2 with prior knowledge (RFC 9113 section 3.4). */
enum sniff_result sniff_http2(const uint8_t *data, size_t size);

#endif
