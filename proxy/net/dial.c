/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cluster's addresses are those of its endpoints, one after the other: an endpoint with an address is one, an endpoint
 * with a name is as many as the name has now. An endpoint's weight is how often it stands in that row.
 */
#include "proxy/net/dial.h"

/* More turns than that a weight does not give: the row is walked. */
#define WEIGHT_MAX 100u

static unsigned weight_of(const struct policy_endpoint *endpoint)
{
	if (endpoint->weight == 0)
		return 1;
	return endpoint->weight < WEIGHT_MAX ? endpoint->weight : WEIGHT_MAX;
}

/* The addresses of one endpoint, the one at `place` in *ret. Returns how many there are; `*unknown` if nobody knows. */
static unsigned look(const struct policy_endpoint *endpoint, bool first_only, struct resolver *resolver, unsigned place,
	struct address *ret, bool *unknown)
{
	const struct answer *answer;
	unsigned count;

	if (endpoint->name == NULL) {
		*ret = endpoint->address;
		return 1;
	}
	answer = resolver != NULL ? resolver_find(resolver, endpoint->name) : NULL;
	*unknown |= answer == NULL || answer->state == ANSWER_NONE;
	count = answer != NULL ? answer->count : 0;
	if (first_only && count > 1)
		count = 1;
	if (count > 0)
		*ret = answer->addresses[place % count];
	answer_unref(answer);
	return count;
}

/* Walks the row. With `ret_target`, up to `place`, which is less than the row is long. */
static unsigned walk(const struct policy_cluster *cluster, struct resolver *resolver, unsigned place,
	struct endpoint *ret_target, bool *unknown)
{
	bool first_only = cluster->resolution == SERVICE_DNS_ROUND_ROBIN;
	unsigned passed = 0;

	for (uint32_t i = 0; i < cluster->endpoint_count; i++) {
		const struct policy_endpoint *endpoint = &cluster->endpoints[i];
		unsigned weight = weight_of(endpoint);
		struct address address;
		unsigned count = look(endpoint, first_only, resolver, (place - passed) / weight, &address, unknown);

		if (ret_target != NULL && place - passed < count * weight) {
			*ret_target = (struct endpoint){.address = address, .port = endpoint->port};
			return passed;
		}
		passed += count * weight;
	}
	return passed;
}

static bool is_as_dialled(const struct policy_cluster *cluster)
{
	return cluster == NULL || cluster->resolution == SERVICE_NONE;
}

unsigned dial_count(const struct policy_cluster *cluster, struct resolver *resolver)
{
	bool unknown = false;

	return is_as_dialled(cluster) ? 1 : walk(cluster, resolver, 0, NULL, &unknown);
}

enum dial_result dial_pick(const struct policy_cluster *cluster, const struct endpoint *destination,
	struct resolver *resolver, unsigned turn, struct endpoint *ret_target)
{
	bool unknown = false;
	unsigned count;

	if (is_as_dialled(cluster)) {
		*ret_target = *destination;
		if (cluster != NULL && cluster->target_port != 0)
			ret_target->port = cluster->target_port;
		return DIAL_READY;
	}
	count = walk(cluster, resolver, 0, NULL, &unknown);
	if (count == 0)
		return unknown ? DIAL_UNKNOWN : DIAL_NOWHERE;
	*ret_target = (struct endpoint){.port = 0};
	(void)walk(cluster, resolver, turn % count, ret_target, &unknown);
	/* An answer that became shorter in between. */
	return ret_target->port != 0 ? DIAL_READY : DIAL_UNKNOWN;
}
