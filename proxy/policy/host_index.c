/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One table holds hosts and wildcards. A name is hashed from its end, so that one walk over it gives the hash of every
 * suffix that a wildcard may have, the longest last.
 */
#include "proxy/policy/host_index.h"

#include <string.h>

#define HASH_START UINT32_C(2166136261)

/* Kinds of keys. */
enum { HOST, WILDCARD };

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
	key_index_free(&index->keys);
	index->has_partial = false;
}

static struct key_index_wanted key_of(const char *host, uint16_t port)
{
	const char *suffix = suffix_of(host);

	return (struct key_index_wanted){.key = suffix, .length = strlen(suffix), .hash = hash_host(host, port), .port = port,
		.kind = *host == '*' ? WILDCARD : HOST};
}

int host_index_add(struct host_index *index, const char *host, uint16_t port, void *value)
{
	struct key_index_wanted key = key_of(host, port);
	int rc;

	key.key = host;
	rc = key_index_add(&index->keys, &key, value);
	if (rc == 0 && *host == '*' && host[1] != '.')
		index->has_partial = true;
	return rc;
}

static bool is_equal(const void *key, const struct key_index_wanted *wanted)
{
	const char *suffix = suffix_of(key);

	return strlen(suffix) == wanted->length && memcmp(suffix, wanted->key, wanted->length) == 0;
}

void *host_index_get(const struct host_index *index, const char *host, uint16_t port)
{
	struct key_index_wanted wanted;
	unsigned probes = 0;

	if (index->keys.count == 0)
		return NULL;
	wanted = key_of(host, port);
	return key_index_find(&index->keys, &wanted, is_equal, &probes);
}

/* The longest wildcard whose suffix begins at `first` or behind it; `*ret_hash` is the hash of the whole name. */
static void *find_wildcard(const struct host_index *index, const char *name, size_t length, size_t first, uint16_t port,
	uint32_t *ret_hash, unsigned *probes)
{
	struct key_index_wanted wanted = {.port = port, .kind = WILDCARD};
	uint32_t hash = HASH_START;
	void *best = NULL;

	for (size_t i = length; i > 0; i--) {
		void *value;

		hash = hash_byte(hash, name[i - 1]);
		if (i - 1 < first || (name[i - 1] != '.' && !index->has_partial))
			continue;
		wanted.key = name + i - 1;
		wanted.length = length - (i - 1);
		wanted.hash = hash_end(hash, port, true);
		value = key_index_find(&index->keys, &wanted, is_equal, probes);
		best = value != NULL ? value : best;
	}
	*ret_hash = hash;
	return best;
}

void *host_index_find(const struct host_index *index, const char *name, size_t length, uint16_t port, unsigned *probes)
{
	struct key_index_wanted wanted = {.key = name, .length = length, .port = port, .kind = HOST};
	uint32_t hash;
	void *exact;
	void *best;

	if (index->keys.count == 0)
		return NULL;
	best = find_wildcard(index, name, length, 1, port, &hash, probes);
	wanted.hash = hash_end(hash, port, false);
	exact = key_index_find(&index->keys, &wanted, is_equal, probes);
	return exact != NULL ? exact : best;
}

void *host_index_cover(const struct host_index *index, const char *host, uint16_t port)
{
	unsigned probes = 0;
	uint32_t hash;

	if (*host != '*')
		return host_index_find(index, host, strlen(host), port, &probes);
	if (index->keys.count == 0)
		return NULL;
	return find_wildcard(index, host + 1, strlen(host + 1), 0, port, &hash, &probes);
}
