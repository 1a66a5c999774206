/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regular expressions in RE2's syntax, over bytes.
 *
 * The texts come from applications, so matching takes time in proportion to the text and to the expression, whatever
 * they are: the C library's engine promises nothing of the kind. What is missing of RE2: \p, \C, \Q, and bytes over 0x7f
 * inside brackets; "." and "[^x]" take one byte. All of that is refused, but for the last.
 */
#ifndef WEIR_POLICY_PATTERN_H
#define WEIR_POLICY_PATTERN_H

#include "proxy/policy/arena.h"
#include "redirect/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of an expression, as Istio allows them, and instructions that one may become. */
#define PATTERN_LENGTH_MAX 1024u
#define PATTERN_OP_MAX 4096u

/* Groups whose text a rewrite can use, the whole match included: \0 to \9. */
#define PATTERN_GROUP_MAX 10u

/* Repetitions that {n,m} may ask for. */
#define PATTERN_REPEAT_MAX 1000

enum pattern_code {
	PATTERN_BYTE,       /* `byte` */
	PATTERN_LETTER,     /* `byte` in either case */
	PATTERN_ANY,        /* any but a newline */
	PATTERN_EVERY,      /* any */
	PATTERN_CLASS,      /* one of classes[x] */
	PATTERN_SPLIT,      /* go on at x, or else at y, both counted from here */
	PATTERN_JUMP,       /* go on at x, counted from here */
	PATTERN_SAVE,       /* note the place as the x-th */
	PATTERN_BEGIN,      /* only at the text's beginning */
	PATTERN_END,        /* only at its end */
	PATTERN_BOUNDARY,   /* only between a word and something else */
	PATTERN_NO_BOUNDARY,
	PATTERN_MATCH
};

struct pattern_op {
	uint8_t code;
	uint8_t byte;
	int16_t x;
	int16_t y;
};

struct pattern_class {
	uint32_t bits[8];
};

/* A compiled expression; plain data in an arena. */
struct pattern {
	const struct pattern_op *ops;
	const struct pattern_class *classes;
	unsigned op_count;
	unsigned class_count;
	unsigned group_count; /* the whole match included */
};

struct pattern_span {
	size_t start;
	size_t end; /* SIZE_MAX: the group took no part */
};

/* Compiles an expression into the arena. Returns 0, -EINVAL with what is wrong, -E2BIG or -ENOMEM. */
int pattern_compile(struct arena *arena, const char *expression, const struct pattern **ret_pattern, struct error *e);

/* Whether the whole text matches. */
bool pattern_matches(const struct pattern *pattern, const char *text, size_t length);

/*
 * Finds the leftmost match from byte `from` on. Returns 1 with its groups, 0 when there is none, or -ENOMEM.
 */
int pattern_search(const struct pattern *pattern, const char *text, size_t length, size_t from,
	struct pattern_span groups[PATTERN_GROUP_MAX]);

#endif
