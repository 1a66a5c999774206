/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two hash tables of chained links. A table doubles when it has twice as many links as buckets; without the memory for
 * that, its chains are longer.
 */
#include "proxy/dns/index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define BUCKETS_MIN 64
#define LINKS_PER_BUCKET 2

/* --- a table */

static int table_init(struct index_table *table)
{
	*table = (struct index_table){.buckets = calloc(BUCKETS_MIN, sizeof(struct index_link *)),
		.bucket_count = BUCKETS_MIN};
	return table->buckets != NULL ? 0 : -ENOMEM;
}

static struct index_link **bucket_of(const struct index_table *table, uint64_t hash)
{
	return &table->buckets[hash & (table->bucket_count - 1)];
}

static void put(const struct index_table *table, struct index_link *link)
{
	struct index_link **bucket = bucket_of(table, link->hash);

	link->next = *bucket;
	*bucket = link;
}

static void grow(struct index_table *table)
{
	struct index_table old = *table;
	struct index_link **buckets = calloc(old.bucket_count * 2, sizeof(struct index_link *));

	if (buckets == NULL)
		return;
	table->buckets = buckets;
	table->bucket_count *= 2;
	for (size_t i = 0; i < old.bucket_count; i++) {
		struct index_link *link = old.buckets[i];

		while (link != NULL) {
			struct index_link *next = link->next;

			put(table, link);
			link = next;
		}
	}
	free(old.buckets);
}

static void table_add(struct index_table *table, struct index_link *link)
{
	if (table->count >= table->bucket_count * LINKS_PER_BUCKET)
		grow(table);
	put(table, link);
	table->count++;
}

static void table_remove(struct index_table *table, const struct index_link *link)
{
	struct index_link **at = bucket_of(table, link->hash);

	while (*at != link)
		at = &(*at)->next;
	*at = link->next;
	table->count--;
}

/* --- the index */

int index_init(struct index *index)
{
	int rc;

	*index = (struct index){0};
	if (getrandom(&index->key, sizeof index->key, 0) != sizeof index->key)
		return -EIO;
	rc = table_init(&index->names);
	return rc == 0 ? table_init(&index->addresses) : rc;
}

void index_free(struct index *index)
{
	free(index->names.buckets);
	free(index->addresses.buckets);
	*index = (struct index){0};
}

static uint64_t hash_text(const struct index *index, const char *text)
{
	return hash_bytes(&index->key, text, strlen(text));
}

static uint64_t hash_address(const struct index *index, const struct address *address)
{
	return hash_bytes(&index->key, address->bytes, sizeof address->bytes);
}

static void remove_addresses(struct index *index, const struct index_name *name)
{
	for (size_t i = 0; i < name->link_count; i++)
		table_remove(&index->addresses, &name->links[i]);
}

void index_add(struct index *index, struct index_name *name, const struct answer *answer)
{
	*name = (struct index_name){.answer = answer,
		.self = {.owner = name, .hash = hash_text(index, answer_name(answer))}};
	table_add(&index->names, &name->self);
}

void index_remove(struct index *index, struct index_name *name)
{
	remove_addresses(index, name);
	table_remove(&index->names, &name->self);
	free(name->links);
	answer_unref(name->answer);
}

static size_t address_count(const struct answer *answer)
{
	return (size_t)answer->count + answer->recent_count;
}

struct index_link *index_links(const struct index *index, struct index_name *name, const struct answer *answer)
{
	size_t count = address_count(answer);
	struct index_link *links = count > 0 ? calloc(count, sizeof *links) : NULL;

	for (size_t i = 0; links != NULL && i < count; i++)
		links[i] = (struct index_link){.owner = name, .hash = hash_address(index, &answer->addresses[i])};
	return links;
}

void index_replace(struct index *index, struct index_name *name, const struct answer **answer,
	struct index_link **links)
{
	const struct answer *old_answer = name->answer;
	struct index_link *old_links = name->links;

	remove_addresses(index, name);
	name->answer = *answer;
	name->links = *links;
	name->link_count = address_count(*answer);
	for (size_t i = 0; i < name->link_count; i++)
		table_add(&index->addresses, &name->links[i]);
	*answer = old_answer;
	*links = old_links;
}

struct index_name *index_find(const struct index *index, const char *text)
{
	uint64_t hash = hash_text(index, text);

	for (const struct index_link *link = *bucket_of(&index->names, hash); link != NULL; link = link->next)
		if (link->hash == hash && strcmp(answer_name(link->owner->answer), text) == 0)
			return link->owner;
	return NULL;
}

size_t index_find_address(const struct index *index, const struct address *address, const struct answer **out,
	size_t max)
{
	uint64_t hash = hash_address(index, address);
	size_t count = 0;

	for (const struct index_link *link = *bucket_of(&index->addresses, hash); link != NULL && count < max;
		link = link->next)
		if (link->hash == hash && answer_has(link->owner->answer, address))
			out[count++] = link->owner->answer;
	return count;
}
