/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arrays that grow by an item at a time.
 */
#ifndef WEIR_POLICY_ARRAY_H
#define WEIR_POLICY_ARRAY_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The array, with room for an item behind its `count`: it doubles where there is none. Returns NULL when memory is out;
 * the array is then as it was.
 */
void *array_room(void *items, size_t count, size_t *capacity, size_t size);

/* The array, without the room that nobody will need: it has grown as far as it will. */
void *array_fit(void *items, size_t count, size_t *capacity, size_t size);

/*
 * Whether a name is among items that begin with a pointer to theirs, in the order of strcmp(). `*ret_place` is where it is,
 * or would be.
 */
bool array_find(const void *items, size_t count, size_t size, const char *name, size_t *ret_place);

#endif
