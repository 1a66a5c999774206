/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An expression on its way; for pattern.c and pattern_class.c alone.
 */
#ifndef WEIR_POLICY_PATTERN_COMPILER_H
#define WEIR_POLICY_PATTERN_COMPILER_H

#include "proxy/policy/pattern.h"

/* Classes of one expression. */
#define PATTERN_CLASS_MAX 256u

struct pattern_compiler {
	const char *next;
	bool fold;    /* (?i) */
	bool newline; /* (?s) */
	struct pattern_op ops[PATTERN_OP_MAX];
	unsigned op_count;
	struct pattern_class classes[PATTERN_CLASS_MAX];
	unsigned class_count;
	unsigned group_count;
	const char *problem; /* NULL: none so far */
	bool no_memory;
};

/* Notes what is wrong. Returns -EINVAL. */
int pattern_fail(struct pattern_compiler *c, const char *problem);

/* Appends an instruction. Returns 0 or -EINVAL. */
int pattern_emit(struct pattern_compiler *c, enum pattern_code code, uint8_t byte, int x, int y);

/* Compiles a class in brackets; `c->next` is behind the first one. Returns 0 or -EINVAL. */
int pattern_compile_class(struct pattern_compiler *c);

/* Compiles \d, \w, \s or an opposite; `c->next` is at the letter. Returns 1 when it is another letter, 0 or -EINVAL. */
int pattern_compile_named(struct pattern_compiler *c);

/* The byte that an escape stands for; `c->next` is behind the backslash. Returns it or -EINVAL. */
int pattern_escaped_byte(struct pattern_compiler *c);

#endif
