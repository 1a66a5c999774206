/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the proxy counts, for Prometheus: connections and bytes by destination name, with Istio's metric names and labels
 * where Istio has them (the "Istio Standard Metrics" for TCP), and a few of its own.
 *
 * Names come from clients, so there is a limit to them: what has none of the first METRICS_NAME_MAX names counts as
 * "other". Workers count without a lock; only the first connection to a name takes one.
 */
#ifndef WEIR_PROXY_METRICS_H
#define WEIR_PROXY_METRICS_H

#include "proxy/log/facts.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

/* Destination names that are counted apart. */
#define METRICS_NAME_MAX 500u

/* Slots of the table of names: a power of two, with room to spare. */
#define METRICS_SLOT_COUNT 1024u

/* One destination's counters. */
struct metrics_destination {
	const char *name; /* lower case, without a port; behind the counters, or a constant */
	_Atomic uint64_t opened;
	_Atomic uint64_t closed[FACTS_END_COUNT]; /* ends with the same flags count as the first of them */
	_Atomic uint64_t received;
	_Atomic uint64_t sent;
};

struct metrics {
	pthread_mutex_t lock; /* of names being added */
	struct metrics_destination *_Atomic slots[METRICS_SLOT_COUNT]; /* owned */
	uint32_t name_count;
	struct metrics_destination unnamed; /* "unknown", as Istio says */
	struct metrics_destination other;
	_Atomic uint64_t active; /* connections at this moment */
	_Atomic uint64_t pauses; /* of accepting, for want of descriptors or memory */
};

/* What of a connection has been counted. All zero at its beginning. */
struct metrics_share {
	struct metrics_destination *destination; /* NULL: it has not been named yet */
	uint64_t received;
	uint64_t sent;
};

/* Adds to one of the proxy's own counters. */
static inline void metrics_count(_Atomic uint64_t *counter, int64_t n)
{
	(void)atomic_fetch_add_explicit(counter, (uint64_t)n, memory_order_relaxed);
}

/* Connections at this moment, of all workers. */
static inline uint64_t metrics_active(const struct metrics *metrics)
{
	return atomic_load_explicit(&metrics->active, memory_order_relaxed);
}

/* Starts with nothing counted. */
void metrics_init(struct metrics *metrics);

/* Counts a connection as opened, by the name that its facts have by now; only the first call does. */
void metrics_open(struct metrics *metrics, struct metrics_share *share, const struct facts *facts);

/* Counts the bytes that have passed since the last time. Nothing before metrics_open(). */
void metrics_progress(struct metrics_share *share, const struct facts *facts);

/* Counts a connection that has ended, and all that has not been counted of it. */
void metrics_close(struct metrics *metrics, struct metrics_share *share, const struct facts *facts);

/* Writes all of it in Prometheus' text format, version 0.0.4. `dropped` are the lines that the access log lost. */
void metrics_write(struct metrics *metrics, uint64_t dropped, FILE *out);

/* Frees the names. */
void metrics_free(struct metrics *metrics);

#endif
