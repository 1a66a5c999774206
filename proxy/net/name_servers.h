/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file that names the DNS servers (--resolv-conf), read again whenever it changes. Like the configuration's files
 * it is read by one thread alone.
 */
#ifndef WEIR_PROXY_NAME_SERVERS_H
#define WEIR_PROXY_NAME_SERVERS_H

#include "proxy/dns/resolver.h"
#include "proxy/policy/watch.h"
#include "redirect/base/error.h"

#include <stdbool.h>

struct name_servers {
	const char *path; /* borrowed */
	struct watch watch;
	struct servers servers; /* as the file says */
	struct error note;      /* what of it is not taken, if `has_note` */
	bool has_note;
	bool is_due; /* the resolver does not have them yet */
	bool failed; /* to take them, which was said */
};

/*
 * Reads the file for the first time. Where it cannot be read, 127.0.0.1 is asked, as everywhere; that, and what of the
 * file is not taken, is told on stderr. Returns 0, or -ENOMEM.
 */
int name_servers_open(struct name_servers *name_servers, const char *path, struct error *e);

/*
 * Looks whether the file has changed, and gives the resolver what it says now. A file that is gone or cannot be used is
 * told once, and leaves the servers as they were.
 */
void name_servers_scan(struct name_servers *name_servers, struct resolver *resolver);

#endif
