/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the proxy is allowed to do, and gives up before it meets a byte of anybody's.
 */
#ifndef WEIR_PROXY_PRIVILEGE_H
#define WEIR_PROXY_PRIVILEGE_H

#include "redirect/base/error.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Stage 1, before anything is opened: refuses to be root, unless `run_as` or `allow_root` says otherwise.
 * Returns 0 or -EPERM.
 */
int privilege_check(bool run_as, bool allow_root, struct error *e);

/*
 * Stage 2, when the log and the listeners are open, and before the workers' threads exist: becomes the user and group
 * (only when `run_as`), and drops every capability for good. After it nothing can be regained, also not by executing
 * a set-user-ID program. Returns 0 or -errno.
 */
int privilege_drop(bool run_as, uint32_t uid, uint32_t gid, struct error *e);

#endif
