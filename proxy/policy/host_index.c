/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One table holds hosts and wildcards. A name is hashed from its end, so that one walk over it gives the hash of every
 * suffix that a wildcard may have, the longest last.
 */
#include "proxy/policy/host_index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SLOT_COUNT 16u

#define HASH_START UINT32_C(2166136261)

static uint32_t hash_byte(uint32_t hash, char byte)
{
	return (hash ^ (unsigned char)byte) * UINT32_C(16777619);
}

static uint32_t hash_end(uint32_t hash, uint16_t port, bool wildcard)
{
	hash ^= (uint32_t)port << 1 | (wildcard ? 1 : 0);
	hash *= UINT32_C(0x9e3779b1);
	return hash ^ hash >> 15;
}

/* What is hashed of a host: all of it, or what is behind the star. */
static const char *suffix_of(const char *host)
{
	return *host == '*' ? host + 1 : host;
}

static uint32_t hash_host(const char *host, uint16_t port)
{
	const char *suffix = suffix_of(host);
	uint32_t hash = HASH_START;

	for (size_t i = strlen(suffix); i > 0; i--)
		hash = hash_byte(hash, suffix[i - 1]);
	return hash_end(hash, port, *host == '*');
}

void host_index_free(struct host_index *index)
{
	free(index->entries);
	free(index->slots);
	*index = (struct host_index){.entries = NULL};
}

static void put_slot(struct host_index *index, uint32_t number)
{
	size_t mask = index->slot_count - 1;
	size_t slot = index->entries[number - 1].hash & mask;

	while (index->slots[slot] != 0)
		slot = (slot + 1) & mask;
	index->slots[slot] = number;
}

/* At most half of the slots are taken. */
static int grow(struct host_index *index)
{
	size_t slot_count = index->slot_count == 0 ? FIRST_SLOT_COUNT : index->slot_count * 2;
	struct host_index_entry *entries;
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

int host_index_add(struct host_index *index, const char *host, uint16_t port, void *value)
{
	int rc = grow(index);

	if (rc < 0)
		return rc;
	index->entries[index->count++] = (struct host_index_entry){host, value, hash_host(host, port), port};
	put_slot(index, (uint32_t)index->count);
	if (*host == '*' && host[1] != '.')
		index->has_partial = true;
	return 0;
}

static void *probe(const struct host_index *index, uint32_t hash, const char *suffix, size_t length, uint16_t port,
	bool wildcard, unsigned *probes)
{
	size_t mask = index->slot_count - 1;

	for (size_t slot = hash & mask;; slot = (slot + 1) & mask) {
		const struct host_index_entry *entry;

		++*probes;
		if (index->slots[slot] == 0)
			return NULL;
		entry = &index->entries[index->slots[slot] - 1];
		if (entry->hash == hash && entry->port == port && (*entry->host == '*') == wildcard &&
			strlen(suffix_of(entry->host)) == length && memcmp(suffix_of(entry->host), suffix, length) == 0)
			return entry->value;
	}
}

void *host_index_get(const struct host_index *index, const char *host, uint16_t port)
{
	const char *suffix = suffix_of(host);
	unsigned probes = 0;

	if (index->count == 0)
		return NULL;
	return probe(index, hash_host(host, port), suffix, strlen(suffix), port, *host == '*', &probes);
}

/* The longest wildcard whose suffix begins at `first` or behind it; `*ret_hash` is the hash of the whole name. */
static void *find_wildcard(const struct host_index *index, const char *name, size_t length, size_t first, uint16_t port,
	uint32_t *ret_hash, unsigned *probes)
{
	uint32_t hash = HASH_START;
	void *best = NULL;

	for (size_t i = length; i > 0; i--) {
		void *value;

		hash = hash_byte(hash, name[i - 1]);
		if (i - 1 < first || (name[i - 1] != '.' && !index->has_partial))
			continue;
		value = probe(index, hash_end(hash, port, true), name + i - 1, length - (i - 1), port, true, probes);
		best = value != NULL ? value : best;
	}
	*ret_hash = hash;
	return best;
}

void *host_index_find(const struct host_index *index, const char *name, size_t length, uint16_t port, unsigned *probes)
{
	uint32_t hash;
	void *exact;
	void *best;

	if (index->count == 0)
		return NULL;
	best = find_wildcard(index, name, length, 1, port, &hash, probes);
	exact = probe(index, hash_end(hash, port, false), name, length, port, false, probes);
	return exact != NULL ? exact : best;
}

void *host_index_cover(const struct host_index *index, const char *host, uint16_t port)
{
	unsigned probes = 0;
	uint32_t hash;

	if (*host != '*')
		return host_index_find(index, host, strlen(host), port, &probes);
	if (index->count == 0)
		return NULL;
	return find_wildcard(index, host + 1, strlen(host + 1), 0, port, &hash, &probes);
}
