/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/policy/array.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 8u

void *array_room(void *items, size_t count, size_t *capacity, size_t size)
{
	size_t larger = *capacity == 0 ? FIRST_CAPACITY : *capacity * 2;
	void *moved;

	if (count < *capacity)
		return items;
	moved = larger <= SIZE_MAX / 2 / size ? realloc(items, larger * size) : NULL;
	if (moved != NULL)
		*capacity = larger;
	return moved;
}

void *array_fit(void *items, size_t count, size_t *capacity, size_t size)
{
	void *moved = count > 0 && count < *capacity ? realloc(items, count * size) : NULL;

	if (moved == NULL)
		return items;
	*capacity = count;
	return moved;
}

bool array_find(const void *items, size_t count, size_t size, const char *name, size_t *ret_place)
{
	size_t low = 0;
	size_t high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const char *const *other = (const void *)((const char *)items + middle * size);
		int order = strcmp(*other, name);

		if (order == 0) {
			*ret_place = middle;
			return true;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_place = low;
	return false;
}
