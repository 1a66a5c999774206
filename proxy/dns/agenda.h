/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is due when: a binary heap. An item is part of its owner, and knows its place, so that it can be moved and taken
 * out.
 */
#ifndef WEIR_PROXY_AGENDA_H
#define WEIR_PROXY_AGENDA_H

#include <stddef.h>
#include <stdint.h>

struct agenda_item {
	int64_t due;  /* monotonic milliseconds */
	size_t place; /* from 1 on; 0: not in the agenda */
};

struct agenda {
	struct agenda_item **heap; /* owned; [0] is not used */
	size_t count;
	size_t max;
};

/* Makes an agenda for up to `max` items. Of its memory, only what is ever used is taken. Returns 0 or -ENOMEM. */
int agenda_init(struct agenda *agenda, size_t max);

/* Frees the agenda, not its items. */
void agenda_free(struct agenda *agenda);

/* Puts an item in, or moves it. */
void agenda_set(struct agenda *agenda, struct agenda_item *item, int64_t due);

/* Takes an item out, if it is in. */
void agenda_remove(struct agenda *agenda, struct agenda_item *item);

/* What is due first; NULL: nothing. */
struct agenda_item *agenda_first(const struct agenda *agenda);

#endif
