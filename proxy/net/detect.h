/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client speaks, where a decision depends on it. Its bytes are looked at and stay in the socket, so that whoever
 * goes on with the connection reads them from the beginning.
 */
#ifndef WEIR_PROXY_DETECT_H
#define WEIR_PROXY_DETECT_H

#include "proxy/net/connection.h"

enum detect_result {
	DETECT_MORE,   /* it may be several things yet */
	DETECT_KNOWN,  /* facts.protocol, and the names of TLS and of HTTP/2; nothing of HTTP/1 */
	DETECT_FAILED  /* the client is gone */
};

/*
 * Looks at the client's bytes. With `last`, no more are waited for, and what cannot be told is opaque. `near_http`: what
 * is meant to be HTTP, and is not quite, counts as HTTP.
 */
enum detect_result detect(struct connection *connection, const struct connection_context *context, bool near_http,
	bool last);

#endif
