/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/link.h"

#include "proxy/net/queue.h"
#include "redirect/base/fnv.h"

#include <string.h>

struct link_key link_key(const char *cluster_name, const struct endpoint *target)
{
	uint64_t cluster = cluster_name != NULL ? fnv_add(FNV_START, cluster_name, strlen(cluster_name)) : 0;

	return (struct link_key){.cluster = cluster, .target = *target};
}

bool link_key_equal(const struct link_key *a, const struct link_key *b)
{
	return a->cluster == b->cluster && endpoint_equal(&a->target, &b->target);
}

size_t link_key_list(const struct link_key *key, size_t lists)
{
	uint8_t last = key->target.address.bytes[sizeof key->target.address.bytes - 1];

	return (key->cluster ^ key->target.port ^ last) & (lists - 1);
}

bool link_is_usable(const struct link *link, int64_t now)
{
	return link->left > 0 && now < link->ends_at;
}

void link_close(struct link *link)
{
	struct queue *queue = link->queue;
	struct circuit_share share = link->share;

	tls_stream_free(link->tls);
	*link = (struct link){.tls = NULL};
	if (queue != NULL)
		queue_close(queue, &share);
}
