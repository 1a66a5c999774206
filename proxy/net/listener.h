/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening sockets.
 */
#ifndef WEIR_PROXY_LISTENER_H
#define WEIR_PROXY_LISTENER_H

#include "redirect/base/address.h"
#include "redirect/base/error.h"

#include <stdint.h>

/* One socket a family. */
enum { LISTENER_IPV4, LISTENER_IPV6, LISTENER_COUNT };

/*
 * Opens non-blocking sockets on all addresses of both families; each worker opens its own (SO_REUSEPORT). What they
 * accept inherits TCP_NODELAY and SO_KEEPALIVE. A kernel without IPv6 has none: its place is -1. Returns 0 or -errno.
 */
int listener_open(uint16_t port, int ret_fds[LISTENER_COUNT], struct error *e);

/*
 * Takes one waiting connection, and its peer. Returns its descriptor, non-blocking, or -errno: -EAGAIN when none waits,
 * -EMFILE and the like when it cannot be taken now.
 */
int listener_accept(int fd, struct endpoint *ret_source);

#endif
