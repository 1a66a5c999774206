/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names that the policy wants, on their way from the thread that has read the policy to the resolver's.
 */
#ifndef WEIR_PROXY_WANTED_H
#define WEIR_PROXY_WANTED_H

#include "redirect/base/error.h"

#include <stddef.h>

struct wanted {
	size_t count;
	char names[]; /* each with its NUL, in its normal form (proxy/dns/name.h) */
};

/*
 * Copies names. Returns 0, -E2BIG when there are more than `max`, -EINVAL for what is not a name, or -ENOMEM. The
 * caller frees it with free().
 */
int wanted_new(const char *const *names, size_t count, size_t max, struct wanted **ret_wanted, struct error *e);

#endif
