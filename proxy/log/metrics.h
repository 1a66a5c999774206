/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the proxy counts, for Prometheus: connections, requests and bytes by destination, with Istio's metric names and
 * labels where Istio has them (the "Istio Standard Metrics"), and a few of its own.
 *
 * Names and status codes come from clients and servers, so there is a limit to them: what has none of the first
 * SERIES_MAX series (proxy/log/series.h) counts as "other". Workers count without a lock; only what begins a
 * series takes one.
 */
#ifndef WEIR_PROXY_METRICS_H
#define WEIR_PROXY_METRICS_H

#include "proxy/log/facts.h"
#include "proxy/log/series.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

struct metrics {
	struct series_table table;
	_Atomic uint64_t active; /* connections at this moment */
	_Atomic uint64_t pauses; /* of accepting, for want of descriptors or memory */
};

/* What of a connection has been counted. All zero at its beginning. */
struct metrics_share {
	struct series *series; /* NULL: it has not been named yet */
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

/*
 * Counts a connection as opened, by the name and the cluster that its facts have by now; only the first call does. One
 * whose requests are counted for themselves is none of these.
 */
void metrics_open(struct metrics *metrics, struct metrics_share *share, const struct facts *facts);

/* Counts the bytes that have passed since the last time. Nothing before metrics_open(). */
void metrics_progress(struct metrics_share *share, const struct facts *facts);

/* Counts a connection that has ended, and all that has not been counted of it. */
void metrics_close(struct metrics *metrics, struct metrics_share *share, const struct facts *facts);

/* Counts a request that has ended; its facts have `http`. */
void metrics_request(struct metrics *metrics, const struct facts *facts);

/* Writes all of it in Prometheus' text format, version 0.0.4. `dropped` are the lines that the access log lost. */
void metrics_write(struct metrics *metrics, uint64_t dropped, FILE *out);

/* Frees the names. */
void metrics_free(struct metrics *metrics);

#endif
