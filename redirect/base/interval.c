/* SPDX-License-Identifier: Apache-2.0 */
#include "redirect/base/interval.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Items of the first allocation. */
#define INITIAL_CAPACITY 8u

void interval_list_init(struct interval_list *list, size_t key_size)
{
	assert(key_size >= 1 && key_size <= INTERVAL_KEY_MAX);
	*list = (struct interval_list){.key_size = key_size};
}

void interval_list_free(struct interval_list *list)
{
	free(list->items);
	list->items = NULL;
	list->count = 0;
	list->capacity = 0;
}

static int make_room(struct interval_list *list)
{
	size_t capacity = list->capacity == 0 ? INITIAL_CAPACITY : list->capacity * 2;
	struct interval *items;

	if (list->count < list->capacity)
		return 0;
	if (list->count >= INTERVAL_COUNT_MAX)
		return -E2BIG;
	items = realloc(list->items, capacity * sizeof *items);
	if (items == NULL)
		return -ENOMEM;
	list->items = items;
	list->capacity = capacity;
	return 0;
}

int interval_list_add(struct interval_list *list, const uint8_t *first, const uint8_t *last)
{
	int rc = make_room(list);
	struct interval *item;

	if (rc < 0)
		return rc;
	assert(memcmp(first, last, list->key_size) <= 0);
	item = &list->items[list->count++];
	*item = (struct interval){0};
	memcpy(item->first, first, list->key_size);
	memcpy(item->last, last, list->key_size);
	return 0;
}

static void number_to_key(uint8_t *key, size_t key_size, uint32_t number)
{
	for (size_t i = key_size; i > 0; i--) {
		key[i - 1] = (uint8_t)number;
		number >>= 8;
	}
}

int interval_list_add_numbers(struct interval_list *list, uint32_t first, uint32_t last)
{
	uint8_t first_key[INTERVAL_KEY_MAX];
	uint8_t last_key[INTERVAL_KEY_MAX];

	number_to_key(first_key, list->key_size, first);
	number_to_key(last_key, list->key_size, last);
	return interval_list_add(list, first_key, last_key);
}

bool interval_key_next(uint8_t *key, size_t key_size)
{
	size_t i = key_size;

	while (i > 0 && key[i - 1] == 0xff)
		i--;
	if (i == 0)
		return false;
	key[i - 1]++;
	memset(key + i, 0, key_size - i);
	return true;
}

bool interval_key_previous(uint8_t *key, size_t key_size)
{
	size_t i = key_size;

	while (i > 0 && key[i - 1] == 0)
		i--;
	if (i == 0)
		return false;
	key[i - 1]--;
	memset(key + i, 0xff, key_size - i);
	return true;
}

/* The bytes behind key_size are zero in every item, so comparing whole keys needs no size. */
static int compare_first(const void *a, const void *b)
{
	const struct interval *x = a;
	const struct interval *y = b;

	return memcmp(x->first, y->first, sizeof x->first);
}

static bool is_sorted(const struct interval_list *list)
{
	for (size_t i = 1; i < list->count; i++)
		if (compare_first(&list->items[i - 1], &list->items[i]) > 0)
			return false;
	return true;
}

/* Whether `next`, which does not begin before `item`, is to become one with it. */
static bool belongs_to(const struct interval_list *list, const struct interval *item, const struct interval *next)
{
	uint8_t limit[INTERVAL_KEY_MAX];

	memcpy(limit, item->last, sizeof limit);
	if (!list->keep_apart && !interval_key_next(limit, list->key_size))
		return true;
	return memcmp(next->first, limit, list->key_size) <= 0;
}

/* One pass of the sort below. Returns false, with nothing moved, where all items have the same byte there. */
static bool sort_by_byte(const struct interval *from, struct interval *to, size_t count, size_t byte)
{
	size_t places[256] = {0};
	size_t place = 0;

	for (size_t i = 0; i < count; i++)
		places[from[i].first[byte]]++;
	if (places[from[0].first[byte]] == count)
		return false;
	for (size_t value = 0; value < 256; value++) {
		size_t here = places[value];

		places[value] = place;
		place += here;
	}
	for (size_t i = 0; i < count; i++)
		to[places[from[i].first[byte]]++] = from[i];
	return true;
}

/*
 * By the keys' bytes, the last one first, each pass keeping the order of the one before: for four bytes a fifth of the
 * work of comparing. Without memory for a second array, the library sorts.
 */
static void sort(struct interval_list *list)
{
	struct interval *spare = malloc(list->count * sizeof *spare);

	if (spare == NULL) {
		qsort(list->items, list->count, sizeof *list->items, compare_first);
		return;
	}
	for (size_t byte = list->key_size; byte-- > 0;) {
		if (sort_by_byte(list->items, spare, list->count, byte)) {
			struct interval *items = list->items;

			list->items = spare;
			spare = items;
			list->capacity = list->count;
		}
	}
	free(spare);
}

void interval_list_merge(struct interval_list *list)
{
	size_t kept = 0;

	if (list->count < 2)
		return;
	/* Published lists mostly come sorted, and finding that out is cheaper than sorting them again. */
	if (!is_sorted(list))
		sort(list);
	for (size_t i = 1; i < list->count; i++) {
		struct interval *current = &list->items[kept];
		const struct interval *next = &list->items[i];

		if (!belongs_to(list, current, next))
			list->items[++kept] = *next;
		else if (memcmp(next->last, current->last, list->key_size) > 0)
			memcpy(current->last, next->last, sizeof current->last);
	}
	list->count = kept + 1;
}

bool interval_list_equal(const struct interval_list *a, const struct interval_list *b)
{
	if (a->key_size != b->key_size || a->count != b->count)
		return false;
	return a->count == 0 || memcmp(a->items, b->items, a->count * sizeof *a->items) == 0;
}

const struct interval *interval_list_find(const struct interval_list *list, const uint8_t *key)
{
	size_t low = 0;
	size_t high = list->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct interval *item = &list->items[middle];

		if (memcmp(key, item->first, list->key_size) < 0)
			high = middle;
		else if (memcmp(key, item->last, list->key_size) > 0)
			low = middle + 1;
		else
			return item;
	}
	return NULL;
}
