/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/dns/agenda.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

int agenda_init(struct agenda *agenda, size_t max)
{
	*agenda = (struct agenda){.heap = calloc(max + 1, sizeof(struct agenda_item *)), .max = max};
	return agenda->heap != NULL ? 0 : -ENOMEM;
}

void agenda_free(struct agenda *agenda)
{
	free(agenda->heap);
	*agenda = (struct agenda){0};
}

static void put(struct agenda *agenda, struct agenda_item *item, size_t place)
{
	agenda->heap[place] = item;
	item->place = place;
}

/* Moves an item up or down from its place to where it belongs. */
static void settle(struct agenda *agenda, struct agenda_item *item)
{
	size_t place = item->place;
	size_t child;

	for (; place > 1 && agenda->heap[place / 2]->due > item->due; place /= 2)
		put(agenda, agenda->heap[place / 2], place);
	for (; (child = 2 * place) <= agenda->count; place = child) {
		if (child < agenda->count && agenda->heap[child + 1]->due < agenda->heap[child]->due)
			child++;
		if (agenda->heap[child]->due >= item->due)
			break;
		put(agenda, agenda->heap[child], place);
	}
	put(agenda, item, place);
}

void agenda_set(struct agenda *agenda, struct agenda_item *item, int64_t due)
{
	item->due = due;
	if (item->place == 0) {
		assert(agenda->count < agenda->max);
		put(agenda, item, ++agenda->count);
	}
	settle(agenda, item);
}

void agenda_remove(struct agenda *agenda, struct agenda_item *item)
{
	size_t place = item->place;
	struct agenda_item *last;

	if (place == 0)
		return;
	last = agenda->heap[agenda->count--];
	item->place = 0;
	if (last == item)
		return;
	put(agenda, last, place);
	settle(agenda, last);
}

struct agenda_item *agenda_first(const struct agenda *agenda)
{
	return agenda->count > 0 ? agenda->heap[1] : NULL;
}
