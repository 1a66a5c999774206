/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a configuration gives cause to say, told on stderr once for as long as it holds, through any number of reloads;
 * and once more when it has gone and comes back.
 */
#ifndef WEIR_PROXY_NOTICES_H
#define WEIR_PROXY_NOTICES_H

#include "proxy/policy/report.h"

/* {0}: nothing was told yet. */
struct notices {
	struct report told; /* in the order of their texts */
};

/*
 * Tells of a report's problems those that were not in the last one. Returns how many of these are errors. The report is
 * taken over, and left empty.
 */
size_t notices_tell(struct notices *notices, struct report *report);

/* Frees what was told. */
void notices_free(struct notices *notices);

#endif
