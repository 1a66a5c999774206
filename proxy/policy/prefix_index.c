/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/policy/prefix_index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SLOT_COUNT 16u

static uint32_t hash_subnet(const struct subnet *subnet, uint16_t port)
{
	uint32_t hash = UINT32_C(2166136261);

	for (size_t i = 0; i < sizeof subnet->address.bytes; i++)
		hash = (hash ^ subnet->address.bytes[i]) * UINT32_C(16777619);
	hash ^= (uint32_t)port << 8 | subnet->bits;
	hash *= UINT32_C(0x9e3779b1);
	return hash ^ hash >> 15;
}

void prefix_index_free(struct prefix_index *index)
{
	free(index->entries);
	free(index->slots);
	*index = (struct prefix_index){.entries = NULL};
}

static void put_slot(struct prefix_index *index, uint32_t number)
{
	const struct prefix_index_entry *entry = &index->entries[number - 1];
	size_t mask = index->slot_count - 1;
	size_t slot = hash_subnet(&entry->subnet, entry->port) & mask;

	while (index->slots[slot] != 0)
		slot = (slot + 1) & mask;
	index->slots[slot] = number;
}

/* At most half of the slots are taken. */
static int grow(struct prefix_index *index)
{
	size_t slot_count = index->slot_count == 0 ? FIRST_SLOT_COUNT : index->slot_count * 2;
	struct prefix_index_entry *entries;
	uint32_t *slots;

	if (index->count < index->capacity)
		return 0;
	entries = realloc(index->entries, slot_count / 2 * sizeof *entries);
	if (entries == NULL)
		return -ENOMEM;
	index->entries = entries;
	slots = calloc(slot_count, sizeof *slots);
	if (slots == NULL)
		return -ENOMEM;
	free(index->slots);
	index->slots = slots;
	index->slot_count = slot_count;
	index->capacity = slot_count / 2;
	for (size_t i = 0; i < index->count; i++)
		put_slot(index, (uint32_t)i + 1);
	return 0;
}

static void note_length(struct prefix_index *index, uint8_t bits)
{
	size_t place = 0;

	while (place < index->length_count && index->lengths[place] > bits)
		place++;
	if (place < index->length_count && index->lengths[place] == bits)
		return;
	memmove(&index->lengths[place + 1], &index->lengths[place], index->length_count - place);
	index->lengths[place] = bits;
	index->length_count++;
}

int prefix_index_add(struct prefix_index *index, const struct subnet *subnet, uint16_t port, void *value)
{
	int rc = grow(index);

	if (rc < 0)
		return rc;
	index->entries[index->count++] = (struct prefix_index_entry){*subnet, port, value};
	put_slot(index, (uint32_t)index->count);
	note_length(index, subnet->bits);
	return 0;
}

static void *probe(const struct prefix_index *index, const struct subnet *subnet, uint16_t port, unsigned *probes)
{
	size_t mask = index->slot_count - 1;

	for (size_t slot = hash_subnet(subnet, port) & mask;; slot = (slot + 1) & mask) {
		const struct prefix_index_entry *entry;

		++*probes;
		if (index->slots[slot] == 0)
			return NULL;
		entry = &index->entries[index->slots[slot] - 1];
		if (entry->port == port && entry->subnet.bits == subnet->bits &&
			memcmp(entry->subnet.address.bytes, subnet->address.bytes, sizeof subnet->address.bytes) == 0)
			return entry->value;
	}
}

void *prefix_index_get(const struct prefix_index *index, const struct subnet *subnet, uint16_t port)
{
	unsigned probes = 0;

	return index->count > 0 ? probe(index, subnet, port, &probes) : NULL;
}

void *prefix_index_find(const struct prefix_index *index, const struct address *address, uint16_t port, unsigned *probes)
{
	for (size_t i = 0; i < index->length_count; i++) {
		struct subnet subnet = {.address = *address, .bits = index->lengths[i]};
		void *value;

		subnet_mask(&subnet.address, subnet.bits);
		value = probe(index, &subnet, port, probes);
		if (value != NULL)
			return value;
	}
	return NULL;
}
