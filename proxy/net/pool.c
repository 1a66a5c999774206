/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/pool.h"

#include <stdlib.h>

struct pool_key pool_key(const char *cluster_name, const struct endpoint *target)
{
	struct pool_key key = {.cluster = 0, .target = *target};

	if (cluster_name == NULL)
		return key;
	/* FNV-1a */
	key.cluster = UINT64_C(14695981039346656037);
	for (; *cluster_name != '\0'; cluster_name++)
		key.cluster = (key.cluster ^ (uint8_t)*cluster_name) * UINT64_C(1099511628211);
	return key;
}

bool pool_key_equal(const struct pool_key *a, const struct pool_key *b)
{
	return a->cluster == b->cluster && endpoint_equal(&a->target, &b->target);
}

/* Forgets an entry, whose connection is somebody else's now. */
static void clear(struct pool *pool, struct pool_entry *entry)
{
	entry->tls = NULL;
	entry->side = (struct side){.fd = -1};
	entry->generation++;
	pool->count--;
}

static void close_entry(struct pool *pool, struct pool_entry *entry)
{
	side_close(&entry->side);
	tls_stream_free(entry->tls);
	clear(pool, entry);
}

bool pool_take(struct pool *pool, const struct pool_key *key, struct side *ret_side, struct tls_stream **ret_tls,
	struct endpoint *ret_local)
{
	struct pool_entry *best = NULL;

	for (size_t i = 0; pool->count > 0 && i < POOL_SIZE; i++) {
		struct pool_entry *entry = &pool->entries[i];

		if (entry->side.fd >= 0 && pool_key_equal(&entry->key, key) && (best == NULL || entry->since > best->since))
			best = entry;
	}
	if (best == NULL)
		return false;
	*ret_side = best->side;
	*ret_tls = best->tls;
	*ret_local = best->local;
	clear(pool, best);
	return true;
}

static struct pool_entry *find_place(struct pool *pool)
{
	struct pool_entry *oldest = &pool->entries[0];

	for (size_t i = 0; i < POOL_SIZE; i++) {
		struct pool_entry *entry = &pool->entries[i];

		if (entry->side.fd < 0)
			return entry;
		if (entry->since < oldest->since)
			oldest = entry;
	}
	close_entry(pool, oldest);
	return oldest;
}

int pool_give(struct pool *pool, const struct pool_key *key, const struct side *side, struct tls_stream *tls,
	const struct endpoint *local, int64_t now)
{
	struct side given = *side;
	struct pool_entry *entry;

	if (pool->entries == NULL) {
		pool->entries = calloc(POOL_SIZE, sizeof *pool->entries);
		if (pool->entries == NULL) {
			side_close(&given);
			tls_stream_free(tls);
			return -1;
		}
		for (size_t i = 0; i < POOL_SIZE; i++)
			pool->entries[i].side.fd = -1;
	}
	entry = find_place(pool);
	entry->side = given;
	entry->tls = tls;
	entry->key = *key;
	entry->local = *local;
	entry->since = now;
	pool->count++;
	return (int)(entry - pool->entries);
}

uint32_t pool_generation(const struct pool *pool, size_t place)
{
	return pool->entries[place].generation;
}

void pool_event(struct pool *pool, size_t place, uint32_t generation)
{
	struct pool_entry *entry = pool->entries != NULL && place < POOL_SIZE ? &pool->entries[place] : NULL;

	if (entry == NULL || entry->side.fd < 0 || entry->generation != generation)
		return;
	close_entry(pool, entry);
}

void pool_check_time(struct pool *pool, int64_t now)
{
	for (size_t i = 0; pool->count > 0 && i < POOL_SIZE; i++) {
		struct pool_entry *entry = &pool->entries[i];

		if (entry->side.fd < 0 || now - POOL_IDLE_TIME < entry->since)
			continue;
		close_entry(pool, entry);
	}
}

void pool_free(struct pool *pool)
{
	pool_check_time(pool, INT64_MAX);
	free(pool->entries);
	*pool = (struct pool){.entries = NULL};
}
