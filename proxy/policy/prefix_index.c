/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/policy/prefix_index.h"

#include <string.h>

static struct key_index_wanted key_of(const struct address *address, uint8_t bits, uint16_t port)
{
	uint32_t hash = UINT32_C(2166136261);

	for (size_t i = 0; i < sizeof address->bytes; i++)
		hash = (hash ^ address->bytes[i]) * UINT32_C(16777619);
	hash ^= (uint32_t)port << 8 | bits;
	hash *= UINT32_C(0x9e3779b1);
	return (struct key_index_wanted){.key = address, .length = sizeof *address, .hash = hash ^ hash >> 15, .port = port,
		.kind = bits};
}

void prefix_index_free(struct prefix_index *index)
{
	key_index_free(&index->keys);
	index->length_count = 0;
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

int prefix_index_add(struct prefix_index *index, const struct address *address, uint8_t bits, uint16_t port, void *value)
{
	const struct key_index_wanted key = key_of(address, bits, port);
	int rc = key_index_add(&index->keys, &key, value);

	if (rc == 0)
		note_length(index, bits);
	return rc;
}

static bool is_equal(const void *key, const struct key_index_wanted *wanted)
{
	return memcmp(key, wanted->key, wanted->length) == 0;
}

static void *find(const struct prefix_index *index, const struct address *address, uint8_t bits, uint16_t port,
	unsigned *probes)
{
	const struct key_index_wanted wanted = key_of(address, bits, port);

	return key_index_find(&index->keys, &wanted, is_equal, probes);
}

void *prefix_index_get(const struct prefix_index *index, const struct address *address, uint8_t bits, uint16_t port)
{
	unsigned probes = 0;

	return find(index, address, bits, port, &probes);
}

void *prefix_index_find(const struct prefix_index *index, const struct address *address, uint16_t port, unsigned *probes)
{
	for (size_t i = 0; i < index->length_count; i++) {
		struct address masked = *address;
		void *value;

		subnet_mask(&masked, index->lengths[i]);
		value = find(index, &masked, index->lengths[i], port, probes);
		if (value != NULL)
			return value;
	}
	return NULL;
}
