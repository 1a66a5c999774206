/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker's moments to come: a heap of who wants to be woken, and when. An entry is never taken back; whoever is woken
 * too early, or is somebody else by then, goes on sleeping.
 */
#ifndef WEIR_PROXY_TIMER_H
#define WEIR_PROXY_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer {
	int64_t at; /* monotonic milliseconds */
	uint32_t index;
	uint32_t generation;
};

/* All zero to begin with. */
struct timers {
	struct timer *heap; /* owned */
	size_t count;
	size_t capacity;
};

/* Adds a moment. Returns 0 or -ENOMEM. */
int timers_add(struct timers *timers, const struct timer *timer);

/* The earliest moment, or INT64_MAX. */
int64_t timers_next(const struct timers *timers);

/* Takes one that has come. Returns false when there is none by `now`. */
bool timers_take(struct timers *timers, int64_t now, struct timer *ret_timer);

/* Frees the memory. */
void timers_free(struct timers *timers);

#endif
