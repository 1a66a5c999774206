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

/* A piece of its own for what is larger than a piece: it goes behind the newest, whose rest stays in use. */
static void *alloc_alone(struct arena *arena, size_t size)
{
	struct arena_piece *piece = calloc(1, sizeof *piece + size);

	if (piece == NULL)
		return NULL;
	if (arena->pieces == NULL) {
		arena->pieces = piece;
		arena->used = arena->size = size;
	} else {
		piece->next = arena->pieces->next;
		arena->pieces->next = piece;
	}
	arena->total += sizeof *piece + size;
	return piece->data;
}

static int add_piece(struct arena *arena, size_t size)
{
	size_t next = arena->total / ARENA_PIECE_SHARE;
	struct arena_piece *piece;

	if (next < ARENA_PIECE_MIN)
		next = ARENA_PIECE_MIN;
	if (next > ARENA_PIECE_MAX)
		next = ARENA_PIECE_MAX;
	if (next < size)
		next = size;
	piece = calloc(1, sizeof *piece + next);
	if (piece == NULL)
		return -1;
	piece->next = arena->pieces;
	arena->pieces = piece;
	arena->used = 0;
	arena->size = next;
	arena->total += sizeof *piece + next;
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

void arena_free(struct arena *arena)
{
	struct arena_piece *piece = arena->pieces;

	while (piece != NULL) {
		struct arena_piece *next = piece->next;

		free(piece);
		piece = next;
	}
	*arena = (struct arena){.pieces = NULL};
}
