/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/policy/key_index.h"

#include "proxy/policy/array.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define FIRST_SLOT_COUNT 16u

/* There are tens of thousands of them. */
#define ENTRY_SIZE_MAX 24u

static_assert(sizeof(struct key_index_entry) <= ENTRY_SIZE_MAX, "an entry is small");

void key_index_free(struct key_index *index)
{
	free(index->entries);
	free(index->slots);
	*index = (struct key_index){.entries = NULL};
}

static void put_slot(struct key_index *index, uint32_t number)
{
	size_t mask = index->slot_count - 1;
	size_t slot = index->entries[number - 1].hash & mask;

	while (index->slots[slot] != 0)
		slot = (slot + 1) & mask;
	index->slots[slot] = number;
}

/* At most half of the slots are taken. */
static int grow_slots(struct key_index *index)
{
	size_t slot_count = index->slot_count == 0 ? FIRST_SLOT_COUNT : index->slot_count * 2;
	uint32_t *slots;

	if (index->count < index->slot_count / 2)
		return 0;
	slots = calloc(slot_count, sizeof *slots);
	if (slots == NULL)
		return -ENOMEM;
	free(index->slots);
	index->slots = slots;
	index->slot_count = slot_count;
	for (size_t i = 0; i < index->count; i++)
		put_slot(index, (uint32_t)i + 1);
	return 0;
}

int key_index_add(struct key_index *index, const struct key_index_wanted *key, void *value)
{
	struct key_index_entry *entries = array_room(index->entries, index->count, &index->capacity, sizeof *entries);

	if (entries == NULL)
		return -ENOMEM;
	index->entries = entries;
	if (grow_slots(index) < 0)
		return -ENOMEM;
	entries[index->count++] = (struct key_index_entry){key->key, value, key->hash, key->port, key->kind};
	put_slot(index, (uint32_t)index->count);
	return 0;
}

void key_index_fit(struct key_index *index)
{
	index->entries = array_fit(index->entries, index->count, &index->capacity, sizeof *index->entries);
}

void *key_index_find(const struct key_index *index, const struct key_index_wanted *wanted, key_index_equal *equal,
	unsigned *probes)
{
	size_t mask = index->slot_count - 1;

	if (index->count == 0)
		return NULL;
	for (size_t slot = wanted->hash & mask;; slot = (slot + 1) & mask) {
		const struct key_index_entry *entry;

		++*probes;
		if (index->slots[slot] == 0)
			return NULL;
		entry = &index->entries[index->slots[slot] - 1];
		if (entry->hash == wanted->hash && entry->port == wanted->port && entry->kind == wanted->kind &&
			equal(entry->key, wanted))
			return entry->value;
	}
}

size_t key_index_size(const struct key_index *index)
{
	return index->capacity * sizeof *index->entries + index->slot_count * sizeof *index->slots;
}
