/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/policy/policy.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

static_assert(sizeof(struct policy_cluster) <= POLICY_CLUSTER_SIZE_MAX, "a cluster is small");
static_assert(sizeof(struct policy_host) <= POLICY_HOST_SIZE_MAX, "so is its place");

struct policy *policy_ref(struct policy *policy)
{
	atomic_fetch_add_explicit(&policy->references, 1, memory_order_relaxed);
	return policy;
}

void policy_unref(struct policy *policy)
{
	if (policy == NULL || atomic_fetch_sub_explicit(&policy->references, 1, memory_order_acq_rel) > 1)
		return;
	host_index_free(&policy->http);
	host_index_free(&policy->tls);
	host_index_free(&policy->tcp_names);
	host_index_free(&policy->http_names);
	prefix_index_free(&policy->addresses);
	prefix_index_free(&policy->http_addresses);
	for (size_t i = 0; i < policy->batch_count; i++)
		batch_unref(policy->batches[i]);
	free(policy->batches);
	free(policy->resolve);
	free(policy->clusters);
	arena_free(&policy->arena);
	free(policy);
}

unsigned policy_port_owners(const struct policy *policy, uint16_t port)
{
	const uint8_t *page = policy->ports[port >> 8];

	return page != NULL ? page[port & 255] : 0;
}

size_t policy_size(const struct policy *policy)
{
	return sizeof *policy + policy->arena.total + key_index_size(&policy->http.keys) + key_index_size(&policy->tls.keys) +
	       key_index_size(&policy->tcp_names.keys) + key_index_size(&policy->http_names.keys) +
	       key_index_size(&policy->addresses.keys) + key_index_size(&policy->http_addresses.keys) +
	       policy->batch_count * sizeof(struct batch *) + policy->resolve_count * sizeof *policy->resolve +
	       policy->cluster_count * sizeof(struct policy_cluster *);
}
