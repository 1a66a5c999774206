/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the proxy is allowed to do, and gives up before it meets a byte of anybody's. The stages, in this order:
 *
 *     1  sandbox_check    before anything is opened: not as root, unless asked for
 *     -                   the log, the listeners and the admin socket are opened
 *     2  sandbox_drop     another user, no capabilities, no_new_privs: nothing can be regained
 *     3  sandbox_paths    no file but the access log's, for opening it anew, and for reading the configuration's and
 *                         resolv.conf (Landlock, where the kernel has it)
 *     -                   the threads are started, and wait
 *     4  sandbox_calls    no system call but those of the relay, for all threads at once (seccomp)
 *     -                   the threads go on
 */
#ifndef WEIR_PROXY_SANDBOX_H
#define WEIR_PROXY_SANDBOX_H

#include "redirect/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Refuses to be root, unless `run_as` or `allow_root` says otherwise. Returns 0 or -EPERM. */
int sandbox_check(bool run_as, bool allow_root, struct error *e);

/*
 * Becomes the user and group (only when `run_as`), and drops every capability for good, also for programs that it could
 * execute. Returns 0 or -errno.
 */
int sandbox_drop(bool run_as, uint32_t uid, uint32_t gid, struct error *e);

/* What is opened later, too. Each may be NULL. */
struct sandbox_files {
	const char *log;          /* its folder stays, for writing; "", "/dev/stdout" and "/dev/stderr" need none */
	bool log_moves;           /* a reload may name another file, wherever: writing is left to the files' own permissions */
	const char *mesh_config;  /* the folders of these stay, for reading: a file may be replaced */
	const char *certificates;
	const char *config_dir;   /* a folder; with the one that it is in, since it may be a link, or made anew */
	const char *resolv_conf;  /* its folder, and the one that it is linked into; it alone, where it is mounted */
	const char *const *others; /* files that are read again; a folder that cannot be had now is left out */
	size_t other_count;
};

/*
 * Leaves no path but those, and no TCP port to bind. A kernel without Landlock is no error. Needs no_new_privs. Returns 0
 * or -errno.
 */
int sandbox_paths(const struct sandbox_files *files, struct error *e);

/*
 * Leaves no system call but those that a running proxy makes; any other fails with EPERM, in every thread. Needs
 * no_new_privs. Returns 0 or -errno.
 */
int sandbox_calls(struct error *e);

#endif
