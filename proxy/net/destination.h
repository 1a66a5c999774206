/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a redirected connection was going, and whether it is one of the proxy's own that came back.
 */
#ifndef WEIR_PROXY_DESTINATION_H
#define WEIR_PROXY_DESTINATION_H

#include "redirect/base/address.h"

#include <stdbool.h>

/*
 * Asks the kernel for the destination that an accepted socket had before it was redirected (SO_ORIGINAL_DST, netfilter);
 * `source` is its peer. Where nobody redirected it, that is the socket's own address. Returns 0 or -errno.
 */
int destination_original(int fd, const struct endpoint *source, struct endpoint *ret_destination);

/* Remembers a connection that the proxy makes, until destination_forget(). Any thread may call. */
void destination_remember(const struct endpoint *local, const struct endpoint *remote);
void destination_forget(const struct endpoint *local);

/* Whether a connection from `source` to `destination` is one that the proxy itself makes. */
bool destination_is_own(const struct endpoint *source, const struct endpoint *destination);

#endif
