/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/pool.h"

#include <errno.h>
#include <stdlib.h>

static struct pool_entry **list_of(struct pool *pool, const struct link_key *key)
{
	return &pool->lists[link_key_list(key, POOL_LISTS)];
}

/* Forgets an entry, whose connection is somebody else's now. */
static void clear(struct pool *pool, struct pool_entry *entry)
{
	*(entry->previous != NULL ? &entry->previous->next : list_of(pool, &entry->link.key)) = entry->next;
	if (entry->next != NULL)
		entry->next->previous = entry->previous;
	entry->next = pool->free;
	pool->free = entry;
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
	struct pool_entry *entry = *list_of(pool, key);

	while (entry != NULL) {
		struct pool_entry *next = entry->next;

		if (link_key_equal(&entry->link.key, key) && !is_over(entry, now))
			break;
		if (is_over(entry, now))
			close_entry(pool, entry);
		entry = next;
	}
	if (entry == NULL)
		return false;
	*ret_side = entry->side;
	*ret_link = entry->link;
	*ret_local = entry->local;
	clear(pool, entry);
	return true;
}

static void close_oldest(struct pool *pool)
{
	struct pool_entry *oldest = &pool->entries[0];

	for (size_t i = 1; i < POOL_SIZE; i++)
		if (pool->entries[i].since < oldest->since)
			oldest = &pool->entries[i];
	close_entry(pool, oldest);
}

/* Makes the places, all of them free. Returns 0 or -ENOMEM. */
static int make_places(struct pool *pool)
{
	pool->entries = calloc(POOL_SIZE, sizeof *pool->entries);
	if (pool->entries == NULL)
		return -ENOMEM;
	for (size_t i = POOL_SIZE; i-- > 0;) {
		pool->entries[i].side.fd = -1;
		pool->entries[i].next = pool->free;
		pool->free = &pool->entries[i];
	}
	return 0;
}

int pool_give(struct pool *pool, const struct side *side, const struct link *link, const struct endpoint *local,
	int64_t now)
{
	struct side given = *side;
	struct link given_link = *link;
	struct pool_entry **list = list_of(pool, &link->key);
	struct pool_entry *entry;

	if (pool->entries == NULL && make_places(pool) < 0) {
		side_close(&given);
		link_close(&given_link);
		return -1;
	}
	if (pool->free == NULL)
		close_oldest(pool);
	entry = pool->free;
	pool->free = entry->next;
	entry->side = given;
	entry->link = given_link;
	entry->local = *local;
	entry->since = now;
	entry->previous = NULL;
	entry->next = *list;
	if (*list != NULL)
		(*list)->previous = entry;
	*list = entry;
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
