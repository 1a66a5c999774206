/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is freed all at once: what one file says, and what one snapshot adds to it.
 */
#ifndef WEIR_POLICY_ARENA_H
#define WEIR_POLICY_ARENA_H

#include <stddef.h>

/*
 * Bytes of the first piece, and of the largest, powers of two. In between a piece is an eighth of what is there already,
 * or less: a file of one resource stays small, and of a large one there is little that nobody uses.
 */
#define ARENA_PIECE_MIN 512u
#define ARENA_PIECE_MAX (64u << 10)
#define ARENA_PIECE_SHARE 8u

struct arena_piece;

/* {0} is an empty arena. */
struct arena {
	size_t first;               /* bytes of the first piece, a power of two; 0: as few as can be */
	struct arena_piece *pieces; /* owned; the newest first */
	size_t used;                /* of the newest */
	size_t size;
	size_t total; /* bytes of all pieces */
};

/* Zeroed memory for an object of any type. Returns NULL when there is none. */
void *arena_alloc(struct arena *arena, size_t size);

/* Zeroed memory for `count` objects of `size` bytes. Returns NULL when there is none. */
void *arena_array(struct arena *arena, size_t count, size_t size);

/* A NUL-terminated copy of `length` bytes. Returns NULL when there is no memory. */
char *arena_copy(struct arena *arena, const char *text, size_t length);

/* A formatted text. Returns NULL when there is no memory. */
char *arena_format(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Forgets everything; what fitted into the first piece leaves that for what comes next. */
void arena_clear(struct arena *arena);

/* Frees everything, and leaves an empty arena. */
void arena_free(struct arena *arena);

#endif
