/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DNS servers, and how they are asked, as resolv.conf(5) says it. Pure: the file's text is an argument.
 *
 * Its search list and ndots are for other names than the policy's, which are absolute; of its options those count that
 * are about servers: timeout, attempts, rotate and use-vc.
 */
#ifndef WEIR_PROXY_SERVERS_H
#define WEIR_PROXY_SERVERS_H

#include "redirect/base/address.h"
#include "redirect/base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* Servers that are asked: as many as anywhere (resolv.conf(5), MAXNS). */
#define SERVERS_MAX 3

/* Bytes of an interface's name with its NUL. */
#define SERVERS_SCOPE_SIZE 16

#define SERVERS_PORT 53

/* Seconds for a server's first answer (then twice as long), and how often each is asked: by default, and at most. */
#define SERVERS_TIMEOUT 2
#define SERVERS_TIMEOUT_MAX 30
#define SERVERS_ATTEMPTS 2
#define SERVERS_ATTEMPTS_MAX 5

struct server {
	struct endpoint endpoint;
	char scope[SERVERS_SCOPE_SIZE]; /* of a link-local address: the interface's name or number; else empty */
};

struct servers {
	struct server items[SERVERS_MAX];
	size_t count; /* at least one */
	unsigned timeout;
	unsigned attempts;
	bool rotate; /* they take turns */
	bool tcp;    /* no question goes over UDP */
	bool is_default; /* nobody is named */
};

/* What holds without a file: 127.0.0.1. */
void servers_default(struct servers *ret_servers);

/*
 * Reads the text of a file. Beside an address as usual, "ADDRESS:PORT" and "[ADDRESS]:PORT" are understood. A text
 * without servers means 127.0.0.1. Returns 0; or 1, where the text has something that is not taken as it stands: `e`
 * says what that is, the first of it.
 */
int servers_read(const char *text, size_t length, struct servers *ret_servers, struct error *e);

#endif
