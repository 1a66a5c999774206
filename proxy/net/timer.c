/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/timer.h"

#include <errno.h>
#include <stdlib.h>

static void exchange(struct timers *timers, size_t a, size_t b)
{
	struct timer timer = timers->heap[a];

	timers->heap[a] = timers->heap[b];
	timers->heap[b] = timer;
}

int timers_add(struct timers *timers, const struct timer *timer)
{
	size_t at = timers->count;

	if (at == timers->capacity) {
		size_t capacity = at == 0 ? 64 : at * 2;
		struct timer *heap = realloc(timers->heap, capacity * sizeof *heap);

		if (heap == NULL)
			return -ENOMEM;
		timers->heap = heap;
		timers->capacity = capacity;
	}
	timers->heap[timers->count++] = *timer;
	for (; at > 0 && timers->heap[at].at < timers->heap[(at - 1) / 2].at; at = (at - 1) / 2)
		exchange(timers, at, (at - 1) / 2);
	return 0;
}

int64_t timers_next(const struct timers *timers)
{
	return timers->count > 0 ? timers->heap[0].at : INT64_MAX;
}

static void sink(struct timers *timers)
{
	size_t at = 0;

	for (;;) {
		size_t least = at;

		for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < timers->count; child++)
			if (timers->heap[child].at < timers->heap[least].at)
				least = child;
		if (least == at)
			return;
		exchange(timers, at, least);
		at = least;
	}
}

bool timers_take(struct timers *timers, int64_t now, struct timer *ret_timer)
{
	if (timers_next(timers) > now)
		return false;
	*ret_timer = timers->heap[0];
	timers->heap[0] = timers->heap[--timers->count];
	sink(timers);
	return true;
}

void timers_free(struct timers *timers)
{
	free(timers->heap);
	*timers = (struct timers){.heap = NULL};
}
