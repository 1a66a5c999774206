/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/pool.h"

#include <stdlib.h>

/* Forgets an entry, whose connection is somebody else's now. */
static void clear(struct pool *pool, struct pool_entry *entry)
{
	entry->link = (struct link){.tls = NULL};
	entry->side = (struct side){.fd = -1};
	entry->generation++;
	pool->count--;
}

static void close_entry(struct pool *pool, struct pool_entry *entry)
{
	struct link link = entry->link;

	side_close(&entry->side);
	clear(pool, entry);
	link_close(&link);
}

static bool is_over(const struct pool_entry *entry, int64_t now)
{
	return now - entry->link.idle_time >= entry->since || !link_is_usable(&entry->link, now);
}

bool pool_take(struct pool *pool, const struct link_key *key, int64_t now, struct side *ret_side, struct link *ret_link,
	struct endpoint *ret_local)
{
	struct pool_entry *best = NULL;

	for (size_t i = 0; pool->count > 0 && i < POOL_SIZE; i++) {
		struct pool_entry *entry = &pool->entries[i];

		if (entry->side.fd < 0 || !link_key_equal(&entry->link.key, key))
			continue;
		if (is_over(entry, now))
			close_entry(pool, entry);
		else if (best == NULL || entry->since > best->since)
			best = entry;
	}
	if (best == NULL)
		return false;
	*ret_side = best->side;
	*ret_link = best->link;
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

int pool_give(struct pool *pool, const struct side *side, const struct link *link, const struct endpoint *local,
	int64_t now)
{
	struct side given = *side;
	struct link given_link = *link;
	struct pool_entry *entry;

	if (pool->entries == NULL) {
		pool->entries = calloc(POOL_SIZE, sizeof *pool->entries);
		if (pool->entries == NULL) {
			side_close(&given);
			link_close(&given_link);
			return -1;
		}
		for (size_t i = 0; i < POOL_SIZE; i++)
			pool->entries[i].side.fd = -1;
	}
	entry = find_place(pool);
	entry->side = given;
	entry->link = given_link;
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

		if (entry->side.fd >= 0 && is_over(entry, now))
			close_entry(pool, entry);
	}
}

void pool_free(struct pool *pool)
{
	pool_check_time(pool, INT64_MAX);
	free(pool->entries);
	*pool = (struct pool){.entries = NULL};
}
