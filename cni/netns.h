/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pod's network namespace. It is entered once, for good: the process ends with the verb.
 */
#ifndef WEIR_CNI_NETNS_H
#define WEIR_CNI_NETNS_H

#include "redirect/base/error.h"

/*
 * Enters the network namespace that is bound to `path`. Refuses what is no network namespace (-EINVAL), and the host's
 * own, which is the plugin's or that of process 1 (-EPERM). Returns 0 or -errno; -ENOENT where nothing is there.
 */
int netns_enter(const char *path, struct error *e);

/* Moves the process into a fresh network namespace of its own. Returns 0 or -errno. */
int netns_enter_new(struct error *e);

#endif
