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
 * Copies names, `max` of them at most. What is not a name is left out, since nobody could be asked for it. Returns 0; 1
 * where there are more, as `e` says; or -ENOMEM. The caller frees it with free().
 */
int wanted_new(const char *const *names, size_t count, size_t max, struct wanted **ret_wanted, struct error *e);

#endif
