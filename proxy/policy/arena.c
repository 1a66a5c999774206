/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/policy/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Enough for pointers and 64-bit numbers, which is all that is kept here. */
#define ALIGNMENT 8u

struct arena_piece {
	struct arena_piece *next;
	alignas(ALIGNMENT) unsigned char data[];
};

/* Bytes of a piece that are malloc's, or the list's: with them it is a power of two, and another arena's hole fits it. */
#define OVERHEAD (sizeof(struct arena_piece) + sizeof(size_t))

static struct arena_piece *new_piece(struct arena *arena, size_t size)
{
	struct arena_piece *piece = calloc(1, sizeof *piece + size);

	if (piece != NULL)
		arena->total += sizeof *piece + size;
	return piece;
}

/* A piece of its own for what is larger than a piece: it goes behind the newest, whose rest stays in use. */
static void *alloc_alone(struct arena *arena, size_t size)
{
	struct arena_piece *piece = new_piece(arena, size);

	if (piece == NULL)
		return NULL;
	if (arena->pieces == NULL) {
		arena->pieces = piece;
		arena->used = arena->size = size;
	} else {
		piece->next = arena->pieces->next;
		arena->pieces->next = piece;
	}
	return piece->data;
}

static size_t next_size(const struct arena *arena, size_t wanted)
{
	size_t whole = ARENA_PIECE_MIN;

	if (arena->pieces == NULL && arena->first > 0)
		whole = arena->first;
	while (whole < ARENA_PIECE_MAX && (whole * 2 <= arena->total / ARENA_PIECE_SHARE || whole < wanted + OVERHEAD))
		whole *= 2;
	return whole - OVERHEAD;
}

static int add_piece(struct arena *arena, size_t wanted)
{
	size_t size = next_size(arena, wanted);
	struct arena_piece *piece = new_piece(arena, size);

	if (piece == NULL)
		return -1;
	piece->next = arena->pieces;
	arena->pieces = piece;
	arena->used = 0;
	arena->size = size;
	return 0;
}

static void *take(struct arena *arena, size_t size, size_t alignment)
{
	size_t start = (arena->used + alignment - 1) & ~(alignment - 1);
	void *memory;

	if (size > ARENA_PIECE_MAX / 2)
		return alloc_alone(arena, size);
	if (start + size > arena->size) {
		if (add_piece(arena, size) < 0)
			return NULL;
		start = 0;
	}
	memory = arena->pieces->data + start;
	arena->used = start + size;
	return memory;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	if (size > SIZE_MAX / 2)
		return NULL;
	return take(arena, size, ALIGNMENT);
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes))
		return NULL;
	return arena_alloc(arena, bytes);
}

char *arena_copy(struct arena *arena, const char *text, size_t length)
{
	char *copy = length < SIZE_MAX / 2 ? take(arena, length + 1, 1) : NULL;

	if (copy == NULL)
		return NULL;
	memcpy(copy, text, length);
	copy[length] = '\0';
	return copy;
}

char *arena_format(struct arena *arena, const char *format, ...)
{
	va_list arguments;
	int length;
	char *text;

	va_start(arguments, format);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	text = length >= 0 ? take(arena, (size_t)length + 1, 1) : NULL;
	if (text == NULL)
		return NULL;
	va_start(arguments, format);
	(void)vsnprintf(text, (size_t)length + 1, format, arguments);
	va_end(arguments);
	return text;
}

void arena_clear(struct arena *arena)
{
	if (arena->pieces == NULL || arena->pieces->next != NULL) {
		arena_free(arena);
		return;
	}
	memset(arena->pieces->data, 0, arena->used);
	arena->used = 0;
}

void arena_free(struct arena *arena)
{
	struct arena_piece *piece = arena->pieces;

	while (piece != NULL) {
		struct arena_piece *next = piece->next;

		free(piece);
		piece = next;
	}
	*arena = (struct arena){.first = arena->first};
}
