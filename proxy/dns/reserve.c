/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/dns/reserve.h"

#include <malloc.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* In front of each piece. */
struct piece {
	alignas(max_align_t) size_t size;
};

static struct {
	pthread_mutex_t lock;
	uint8_t *memory; /* NULL: there is none */
	size_t used;
	size_t pieces; /* that somebody has */
} reserve = {.lock = PTHREAD_MUTEX_INITIALIZER};

void reserve_open(void)
{
	void *memory = mmap(NULL, RESERVE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory != MAP_FAILED)
		reserve.memory = memory;
}

static bool is_of_reserve(const void *memory)
{
	uintptr_t start = (uintptr_t)reserve.memory;

	return start != 0 && (uintptr_t)memory >= start && (uintptr_t)memory - start < RESERVE_SIZE;
}

static void *take(size_t size)
{
	size_t rounded = (size + sizeof(struct piece) - 1) / sizeof(struct piece) * sizeof(struct piece);
	struct piece *piece = NULL;

	(void)pthread_mutex_lock(&reserve.lock);
	if (reserve.memory != NULL && size <= RESERVE_SIZE && rounded + sizeof *piece <= RESERVE_SIZE - reserve.used) {
		piece = (void *)(reserve.memory + reserve.used);
		piece->size = size;
		reserve.used += sizeof *piece + rounded;
		reserve.pieces++;
	}
	(void)pthread_mutex_unlock(&reserve.lock);
	return piece != NULL ? piece + 1 : NULL;
}

void *reserve_malloc(size_t size)
{
	void *memory = malloc(size);

	if (memory == NULL)
		memory = take(size);
	return memory;
}

static size_t size_of(void *memory)
{
	return is_of_reserve(memory) ? ((struct piece *)memory - 1)->size : malloc_usable_size(memory);
}

void *reserve_realloc(void *memory, size_t size)
{
	/* No bytes are one: realloc() would free what it was given. */
	size_t wanted = size > 0 ? size : 1;
	bool is_ours = is_of_reserve(memory);
	void *larger = is_ours ? malloc(wanted) : realloc(memory, wanted);
	size_t kept;

	if (larger != NULL && !is_ours)
		return larger;
	if (larger == NULL)
		larger = take(wanted);
	if (larger == NULL || memory == NULL)
		return larger;
	kept = size_of(memory);
	memcpy(larger, memory, kept < wanted ? kept : wanted);
	reserve_free(memory);
	return larger;
}

void reserve_free(void *memory)
{
	if (!is_of_reserve(memory)) {
		free(memory);
		return;
	}
	(void)pthread_mutex_lock(&reserve.lock);
	reserve.pieces--;
	if (reserve.pieces == 0)
		reserve.used = 0;
	(void)pthread_mutex_unlock(&reserve.lock);
}
