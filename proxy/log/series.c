/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/log/series.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static_assert((SERIES_SLOT_COUNT & (SERIES_SLOT_COUNT - 1)) == 0 && SERIES_MAX < SERIES_SLOT_COUNT,
	"a look-up ends at a free slot");

const uint64_t series_bounds[SERIES_BUCKET_COUNT] = {5, 10, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000,
	100000, 300000, 600000, 3000000, 6000000, 18000000, 36000000};

void series_init(struct series_table *table)
{
	memset(table, 0, sizeof *table);
	(void)pthread_mutex_init(&table->lock, NULL);
	table->rest = (struct series){.key = {.host = "other", .protocol = SERIES_TCP}, .is_rest = true};
	for (size_t i = 0; i < SERIES_CLASS_COUNT; i++)
		table->rests[i] = (struct series){.is_rest = true,
			.key = {.host = "other", .protocol = SERIES_HTTP, .code = (uint16_t)(i * 100), .flags = "-"}};
}

/* FNV-1a */
static uint32_t hash(const struct series_key *key)
{
	uint32_t h = 2166136261u;

	for (const char *c = key->host; *c != '\0'; c++)
		h = (h ^ (uint8_t)*c) * 16777619u;
	for (const char *c = key->flags; *c != '\0'; c++)
		h = (h ^ (uint8_t)*c) * 16777619u;
	h = (h ^ (uint32_t)key->service) * 16777619u;
	h = (h ^ (uint32_t)key->protocol) * 16777619u;
	return (h ^ key->code) * 16777619u;
}

static bool is_same(const struct series_key *a, const struct series_key *b)
{
	return a->code == b->code && a->service == b->service && a->protocol == b->protocol &&
	       strcmp(a->host, b->host) == 0 && strcmp(a->flags, b->flags) == 0;
}

/* The key's slot, or the free one where it would go. */
static struct series *_Atomic *find(struct series_table *table, const struct series_key *key)
{
	for (uint32_t i = hash(key);; i++) {
		struct series *_Atomic *slot = &table->slots[i & (SERIES_SLOT_COUNT - 1)];
		const struct series *there = atomic_load_explicit(slot, memory_order_acquire);

		if (there == NULL || is_same(&there->key, key))
			return slot;
	}
}

/* The name is behind the counters. */
static struct series *make(const struct series_key *key)
{
	size_t size = strlen(key->host) + 1;
	struct series *series = calloc(1, sizeof *series + size);

	if (series == NULL)
		return NULL;
	series->key = *key;
	series->key.host = memcpy(series + 1, key->host, size);
	return series;
}

static struct series *rest_of(struct series_table *table, const struct series_key *key)
{
	unsigned class = key->code / 100;

	if (key->protocol == SERIES_TCP)
		return &table->rest;
	return &table->rests[class < SERIES_CLASS_COUNT ? class : SERIES_CLASS_COUNT - 1];
}

/* Adds a key. Where there is no place, or no memory, it is one of the others. */
static struct series *add(struct series_table *table, const struct series_key *key)
{
	struct series *_Atomic *slot;
	struct series *series;

	(void)pthread_mutex_lock(&table->lock);
	slot = find(table, key);
	series = atomic_load_explicit(slot, memory_order_relaxed);
	if (series == NULL && table->count < SERIES_MAX) {
		series = make(key);
		table->count += series != NULL;
		atomic_store_explicit(slot, series, memory_order_release);
	}
	(void)pthread_mutex_unlock(&table->lock);
	return series != NULL ? series : rest_of(table, key);
}

struct series *series_find(struct series_table *table, const struct series_key *key)
{
	struct series *known;

	if (strlen(key->host) >= SERIES_HOST_SIZE)
		return rest_of(table, key);
	known = atomic_load_explicit(find(table, key), memory_order_acquire);
	return known != NULL ? known : add(table, key);
}

void series_observe(struct series_histogram *histogram, uint64_t value)
{
	size_t i = 0;

	while (i < SERIES_BUCKET_COUNT && (value > UINT64_MAX / 10 || value * 10 > series_bounds[i]))
		i++;
	(void)atomic_fetch_add_explicit(&histogram->buckets[i], 1, memory_order_relaxed);
	(void)atomic_fetch_add_explicit(&histogram->sum, value, memory_order_relaxed);
}

void series_free(struct series_table *table)
{
	for (size_t i = 0; i < SERIES_SLOT_COUNT; i++)
		free(table->slots[i]);
	(void)pthread_mutex_destroy(&table->lock);
}
