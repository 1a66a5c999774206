/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which addresses of an answer are taken at all. A name that the policy lets through belongs to somebody else, who may
 * let it resolve to this pod, its node, or its network (DNS rebinding).
 */
#ifndef WEIR_PROXY_GUARD_H
#define WEIR_PROXY_GUARD_H

#include "redirect/base/address.h"

#include <stdbool.h>

/* Whether no connection should ever go there: "this network" (which means this host), multicast, broadcast. */
bool guard_is_unusable(const struct address *address);

/*
 * Whether the address is of no use on the internet (RFC 6890): loopback, link-local (so the clouds' metadata), private,
 * shared, unique local, and what leads to such a one through NAT64 or 6to4.
 */
bool guard_is_private(const struct address *address);

/*
 * Whether a name (proxy/dns/name.h) is one of the public DNS: it has a dot, and is under none of the domains that are
 * set apart for other uses, as `internal` or `cluster.local`.
 */
bool guard_is_public(const char *name);

#endif
