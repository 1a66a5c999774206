/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CHECK's differences on their way into an error: the first is its text, the first few are its details.
 */
#ifndef WEIR_CNI_DRIFT_H
#define WEIR_CNI_DRIFT_H

#include "cni/reply.h"
#include "redirect/nft/difference.h"

#include <stddef.h>

/* Differences that the details list; more are only counted. */
#define DRIFT_DETAIL_MAX 16

struct drift {
	struct nft_differences differences; /* to be compared with; knows where this is, which stays where it is */
	struct reply *reply;
	size_t used; /* bytes of the details */
};

/* Starts with no difference. `reply` is borrowed. */
void drift_begin(struct drift *drift, struct reply *reply);

/* Returns 0 when nothing differed, else -EUCLEAN with the reply filled in. */
int drift_end(struct drift *drift);

#endif
