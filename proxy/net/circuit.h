/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much of a destination is in use, and how much of it may be (connectionPool of a DestinationRule): the circuit
 * breaker of a cluster. There is one for each cluster's name that has limits, for all workers and all versions of the
 * configuration; a cluster without limits has none, and costs nothing.
 *
 * The newest version's limits hold for everybody, also for who began under another one. Limits that are taken away
 * leave the circuit with those who still have something of it.
 */
#ifndef WEIR_PROXY_CIRCUIT_H
#define WEIR_PROXY_CIRCUIT_H

#include "proxy/policy/policy.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum circuit_resource {
	CIRCUIT_CONNECTIONS,
	CIRCUIT_PENDING,  /* requests that wait for a connection */
	CIRCUIT_REQUESTS, /* requests that have one */
	CIRCUIT_RETRIES,  /* requests that are tried once more */
	CIRCUIT_RESOURCE_COUNT
};

/* No limit, as Envoy writes it. */
#define CIRCUIT_UNLIMITED UINT32_MAX

struct circuit {
	struct circuit *next; /* of the circuits */
	_Atomic unsigned references;
	uint64_t version; /* of the limits; for circuits_update() alone */
	_Atomic uint32_t limits[CIRCUIT_RESOURCE_COUNT];
	_Atomic uint32_t used[CIRCUIT_RESOURCE_COUNT];
	_Atomic uint64_t refused[CIRCUIT_RESOURCE_COUNT];
	char name[]; /* of the cluster */
};

/* All of them; {0} are none. For one thread alone. */
struct circuits {
	struct circuit *first;
	uint64_t version;
};

/*
 * Finds the circuits of a policy's clusters, by their numbers from 1, or makes them, and gives them the policy's
 * limits. The array is the caller's, and each circuit in it a reference. Those that nobody needs any more are freed.
 * Returns 0, or -ENOMEM, and nothing has changed.
 */
int circuits_update(struct circuits *circuits, const struct policy *policy, struct circuit ***ret_array);

/* Gives the references back. */
void circuits_free(struct circuits *circuits);

/* Takes a reference more, or gives one back; NULL is allowed. */
struct circuit *circuit_ref(struct circuit *circuit);
void circuit_unref(struct circuit *circuit);

/* Whether there is more of a resource. */
bool circuit_has_room(struct circuit *circuit, enum circuit_resource resource);

/* What somebody has of a circuit: one of each resource at most. All zero: nothing. Only its owner may touch it. */
struct circuit_share {
	struct circuit *circuit; /* reference; NULL: there are no limits */
	unsigned held;           /* bits */
};

/* Begins with nothing of a circuit, which may be NULL. */
void circuit_join(struct circuit_share *share, struct circuit *circuit);

/* Takes one of a resource, unless the share has one. Returns false, and counts a refusal, when there is none left. */
bool circuit_take(struct circuit_share *share, enum circuit_resource resource);

/* The same, but beyond the limit, too. */
void circuit_force(struct circuit_share *share, enum circuit_resource resource);

/* Gives it back, if the share has one. */
void circuit_give(struct circuit_share *share, enum circuit_resource resource);

/* Gives everything back, and the reference. */
void circuit_leave(struct circuit_share *share);

#endif
