/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters that any thread adds to and takes from, without a lock. What is taken is added first, and taken back where
 * that went beyond the limit: of several that come at once to the last place, one gets it.
 */
#include "proxy/net/circuit.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- all of them */

struct circuit *circuit_ref(struct circuit *circuit)
{
	if (circuit != NULL)
		(void)atomic_fetch_add_explicit(&circuit->references, 1, memory_order_relaxed);
	return circuit;
}

void circuit_unref(struct circuit *circuit)
{
	if (circuit != NULL && atomic_fetch_sub_explicit(&circuit->references, 1, memory_order_acq_rel) == 1)
		free(circuit);
}

static struct circuit *new_circuit(const char *name)
{
	size_t size = strlen(name) + 1;
	struct circuit *circuit = calloc(1, sizeof *circuit + size);

	if (circuit == NULL)
		return NULL;
	circuit->references = 1;
	memcpy(circuit->name, name, size);
	return circuit;
}

static void set_limits(struct circuit *circuit, const struct destination_pool *pool)
{
	const struct number numbers[] = {
		[CIRCUIT_CONNECTIONS] = pool->max_connections,
		[CIRCUIT_PENDING] = pool->max_pending_requests,
		[CIRCUIT_REQUESTS] = pool->max_requests,
		[CIRCUIT_RETRIES] = pool->max_retries,
	};

	static_assert(sizeof numbers / sizeof *numbers == CIRCUIT_RESOURCE_COUNT, "every resource has its limit");
	for (size_t i = 0; i < CIRCUIT_RESOURCE_COUNT; i++) {
		uint32_t limit = numbers[i].value > 0 ? (uint32_t)numbers[i].value : CIRCUIT_UNLIMITED;

		atomic_store_explicit(&circuit->limits[i], limit, memory_order_relaxed);
	}
}

/* The circuits by their names. Returns 0 or -ENOMEM. */
static int index_names(const struct circuits *circuits, struct host_index *index)
{
	int rc = 0;

	for (struct circuit *circuit = circuits->first; circuit != NULL && rc == 0; circuit = circuit->next)
		rc = host_index_add(index, circuit->name, 0, circuit);
	return rc;
}

/* Finds each limited cluster's circuit, or makes it. Several clusters may have one name. Returns 0 or -ENOMEM. */
static int find_all(struct circuits *circuits, struct host_index *index, const struct policy *policy,
	struct circuit **array)
{
	for (size_t i = 0; i < policy->cluster_count; i++) {
		const struct policy_cluster *cluster = policy->clusters[i];
		struct circuit *circuit = cluster->circuit != 0 ? host_index_get(index, cluster->name, 0) : NULL;

		if (cluster->circuit == 0)
			continue;
		if (circuit == NULL) {
			circuit = new_circuit(cluster->name);
			if (circuit == NULL)
				return -ENOMEM;
			circuit->next = circuits->first;
			circuits->first = circuit;
			if (host_index_add(index, circuit->name, 0, circuit) < 0)
				return -ENOMEM;
		}
		array[cluster->circuit - 1] = circuit_ref(circuit);
	}
	return 0;
}

/* The rest of them has no limits any more, and goes as soon as nobody has anything of it. */
static void forget_others(struct circuits *circuits)
{
	static const struct destination_pool unlimited;
	struct circuit **at = &circuits->first;

	while (*at != NULL) {
		struct circuit *circuit = *at;

		if (circuit->version != circuits->version)
			set_limits(circuit, &unlimited);
		/* Only who has a reference can take another one. */
		if (atomic_load_explicit(&circuit->references, memory_order_acquire) == 1) {
			*at = circuit->next;
			circuit_unref(circuit);
		} else {
			at = &circuit->next;
		}
	}
}

static void apply(struct circuits *circuits, const struct policy *policy, struct circuit *const *array)
{
	circuits->version++;
	for (size_t i = 0; i < policy->cluster_count; i++) {
		const struct policy_cluster *cluster = policy->clusters[i];
		struct circuit *circuit = cluster->circuit != 0 ? array[cluster->circuit - 1] : NULL;

		if (circuit == NULL)
			continue;
		circuit->version = circuits->version;
		set_limits(circuit, cluster->traffic.pool);
	}
	forget_others(circuits);
}

int circuits_update(struct circuits *circuits, const struct policy *policy, struct circuit ***ret_array)
{
	struct circuit **array = calloc((size_t)policy->circuit_count + 1, sizeof(struct circuit *));
	struct host_index index = {0};
	int rc = array != NULL ? index_names(circuits, &index) : -ENOMEM;

	if (rc == 0)
		rc = find_all(circuits, &index, policy, array);
	host_index_free(&index);
	if (rc == 0) {
		apply(circuits, policy, array);
		*ret_array = array;
		return 0;
	}
	for (uint32_t i = 0; array != NULL && i < policy->circuit_count; i++)
		circuit_unref(array[i]);
	free(array);
	return rc;
}

void circuits_free(struct circuits *circuits)
{
	while (circuits->first != NULL) {
		struct circuit *circuit = circuits->first;

		circuits->first = circuit->next;
		circuit_unref(circuit);
	}
}

/* --- one of them */

bool circuit_has_room(struct circuit *circuit, enum circuit_resource resource)
{
	return atomic_load_explicit(&circuit->used[resource], memory_order_relaxed) <
	       atomic_load_explicit(&circuit->limits[resource], memory_order_relaxed);
}

void circuit_join(struct circuit_share *share, struct circuit *circuit)
{
	*share = (struct circuit_share){.circuit = circuit_ref(circuit)};
}

static bool has(const struct circuit_share *share, enum circuit_resource resource)
{
	return (share->held & 1u << resource) != 0;
}

bool circuit_take(struct circuit_share *share, enum circuit_resource resource)
{
	struct circuit *circuit = share->circuit;

	if (circuit == NULL || has(share, resource))
		return true;
	if (atomic_fetch_add_explicit(&circuit->used[resource], 1, memory_order_relaxed) >=
		atomic_load_explicit(&circuit->limits[resource], memory_order_relaxed)) {
		(void)atomic_fetch_sub_explicit(&circuit->used[resource], 1, memory_order_relaxed);
		(void)atomic_fetch_add_explicit(&circuit->refused[resource], 1, memory_order_relaxed);
		return false;
	}
	share->held |= 1u << resource;
	return true;
}

void circuit_force(struct circuit_share *share, enum circuit_resource resource)
{
	if (share->circuit == NULL || has(share, resource))
		return;
	(void)atomic_fetch_add_explicit(&share->circuit->used[resource], 1, memory_order_relaxed);
	share->held |= 1u << resource;
}

void circuit_give(struct circuit_share *share, enum circuit_resource resource)
{
	if (!has(share, resource))
		return;
	(void)atomic_fetch_sub_explicit(&share->circuit->used[resource], 1, memory_order_relaxed);
	share->held &= ~(1u << resource);
}

void circuit_leave(struct circuit_share *share)
{
	for (enum circuit_resource i = 0; share->held != 0 && i < CIRCUIT_RESOURCE_COUNT; i++)
		circuit_give(share, i);
	circuit_unref(share->circuit);
	*share = (struct circuit_share){.circuit = NULL};
}
