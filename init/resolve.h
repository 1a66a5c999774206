/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What settings leave to the container that the program runs in: IDs of names of users and groups, and DNS servers.
 */
#ifndef WEIR_INIT_RESOLVE_H
#define WEIR_INIT_RESOLVE_H

#include "redirect/base/error.h"
#include "redirect/plan/setting.h"

/* Texts that were made: the proxy's users and groups, owner groups to include and exclude, DNS servers. */
#define RESOLVE_TEXT_MAX 5

/* Bytes of resolv.conf that are read; the C library looks at three servers, and a file is a few lines. */
#define RESOLVE_CONF_SIZE_MAX 65536u

struct resolved {
	char *texts[RESOLVE_TEXT_MAX]; /* owned; the settings borrow them */
	size_t count;
};

/*
 * Puts IDs in the place of names (from /etc/passwd and /etc/group), and the servers of /etc/resolv.conf where DNS is
 * captured and no servers are given. resolved_free() must be called, after the settings were used, whatever is
 * returned: 0, or -ENOMEM.
 */
int resolve_settings(struct settings *settings, struct resolved *ret_resolved, struct error *e);

/* The addresses of a resolv.conf's servers, separated by commas. The caller frees the text. NULL: no memory. */
char *resolve_servers(const char *path);

/* Frees the texts. */
void resolved_free(struct resolved *resolved);

#endif
