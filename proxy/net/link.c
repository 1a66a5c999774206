/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/link.h"

#include "proxy/net/queue.h"

struct link_key link_key(const char *cluster_name, const struct endpoint *target)
{
	struct link_key key = {.cluster = 0, .target = *target};

	if (cluster_name == NULL)
		return key;
	/* FNV-1a */
	key.cluster = UINT64_C(14695981039346656037);
	for (; *cluster_name != '\0'; cluster_name++)
		key.cluster = (key.cluster ^ (uint8_t)*cluster_name) * UINT64_C(1099511628211);
	return key;
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
