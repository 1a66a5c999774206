/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/drift.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

static_assert(DRIFT_DETAIL_MAX * (NFT_DIFFERENCE_SIZE + 1) < REPLY_DETAILS_SIZE, "the details hold all that is put there");

static void take_difference(void *context, const struct nft_difference *difference)
{
	struct drift *drift = context;
	struct reply *reply = drift->reply;
	char text[NFT_DIFFERENCE_SIZE];

	(void)nft_difference_format(text, difference);
	if (drift->differences.count == 1)
		(void)error_set(&reply->error, EUCLEAN, "weir: %s", text);
	if (drift->differences.count <= DRIFT_DETAIL_MAX)
		drift->used += (size_t)snprintf(reply->details + drift->used, sizeof reply->details - drift->used, "%s%s",
			drift->used > 0 ? "\n" : "", text);
}

void drift_begin(struct drift *drift, struct reply *reply)
{
	*drift = (struct drift){.differences = {.listener = take_difference, .context = drift}, .reply = reply};
}

int drift_end(struct drift *drift)
{
	struct reply *reply = drift->reply;
	size_t count = drift->differences.count;

	if (count == 0)
		return 0;
	/* A runtime shows both, one behind the other. */
	if (count == 1)
		reply->details[0] = '\0';
	if (count > DRIFT_DETAIL_MAX)
		(void)snprintf(reply->details + drift->used, sizeof reply->details - drift->used, "\nand %zu more",
			count - DRIFT_DETAIL_MAX);
	return reply_fail(reply, REPLY_DRIFT, -EUCLEAN);
}
