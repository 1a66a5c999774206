/* SPDX-License-Identifier: Apache-2.0 */
/*
 * c-ares, set up for some servers. It is told everything, and reads no file: what it would guess where it cannot read,
 * or has no memory, is 127.0.0.1.
 */
#ifndef WEIR_PROXY_CHANNEL_H
#define WEIR_PROXY_CHANNEL_H

#include "proxy/dns/query.h"

/* Makes the query's channel, and notes what it is for. Returns 0 or -errno, then there is none. */
int channel_open(struct query *query, const struct servers *servers, struct error *e);

/* Ends its questions, and closes it. */
void channel_close(struct query *query);

#endif
