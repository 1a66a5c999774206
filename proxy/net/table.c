/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/table.h"

#include <stdlib.h>

void table_init(struct table *table)
{
	*table = (struct table){.first_free = TABLE_NONE};
}

static struct connection *place(const struct table *table, size_t index)
{
	return &table->chunks[index / TABLE_CHUNK_SIZE][index % TABLE_CHUNK_SIZE];
}

static int grow(struct table *table)
{
	size_t first = table->chunk_count * TABLE_CHUNK_SIZE;
	struct connection **chunks;

	if (table->chunk_count == TABLE_CHUNK_MAX)
		return -1;
	chunks = realloc(table->chunks, (table->chunk_count + 1) * sizeof(struct connection *));
	if (chunks == NULL)
		return -1;
	table->chunks = chunks;
	chunks[table->chunk_count] = calloc(TABLE_CHUNK_SIZE, sizeof(struct connection));
	if (chunks[table->chunk_count] == NULL)
		return -1;
	table->chunk_count++;
	for (size_t i = TABLE_CHUNK_SIZE; i > 0; i--) {
		struct connection *connection = place(table, first + i - 1);

		connection->index = (uint32_t)(first + i - 1);
		connection->next_free = table->first_free;
		table->first_free = connection->index;
	}
	return 0;
}

struct connection *table_take(struct table *table)
{
	struct connection *connection;

	if (table->first_free == TABLE_NONE && grow(table) < 0)
		return NULL;
	connection = place(table, table->first_free);
	table->first_free = connection->next_free;
	table->active++;
	return connection;
}

void table_give(struct table *table, struct connection *connection)
{
	connection->next_free = table->first_free;
	table->first_free = connection->index;
	table->active--;
}

struct connection *table_at(const struct table *table, size_t index)
{
	return index < table->chunk_count * TABLE_CHUNK_SIZE ? place(table, index) : NULL;
}

void table_free(struct table *table)
{
	for (size_t i = 0; i < table->chunk_count; i++)
		free(table->chunks[i]);
	free(table->chunks);
	table_init(table);
}
