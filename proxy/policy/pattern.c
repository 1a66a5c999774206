/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thompson's construction in one pass. Jumps count from their own place, so a piece of code can be moved and copied as
 * it is: an operator that comes behind its operand puts its instruction in front of it.
 */
#include "proxy/policy/pattern.h"

#include "proxy/policy/pattern_compiler.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static_assert(PATTERN_OP_MAX <= INT16_MAX, "a jump reaches everywhere");

static int compile_choice(struct pattern_compiler *c);

int pattern_fail(struct pattern_compiler *c, const char *problem)
{
	if (c->problem == NULL)
		c->problem = problem;
	return -EINVAL;
}

/* --- code */

int pattern_emit(struct pattern_compiler *c, enum pattern_code code, uint8_t byte, int x, int y)
{
	if (c->op_count == PATTERN_OP_MAX)
		return pattern_fail(c, "expression is too large");
	c->ops[c->op_count++] = (struct pattern_op){(uint8_t)code, byte, (int16_t)x, (int16_t)y};
	return 0;
}

static int insert(struct pattern_compiler *c, unsigned at, enum pattern_code code, int x, int y)
{
	if (pattern_emit(c, code, 0, 0, 0) < 0)
		return -EINVAL;
	memmove(&c->ops[at + 1], &c->ops[at], (c->op_count - 1 - at) * sizeof *c->ops);
	c->ops[at] = (struct pattern_op){(uint8_t)code, 0, (int16_t)x, (int16_t)y};
	return 0;
}

static int copy(struct pattern_compiler *c, const struct pattern_op *ops, unsigned count)
{
	if (count > PATTERN_OP_MAX - c->op_count)
		return pattern_fail(c, "expression is too large");
	memcpy(&c->ops[c->op_count], ops, count * sizeof *ops);
	c->op_count += count;
	return 0;
}

/* --- atoms */

static int emit_byte(struct pattern_compiler *c, int byte)
{
	bool letter = c->fold && isalpha(byte) != 0 && byte < 0x80;

	return pattern_emit(c, letter ? PATTERN_LETTER : PATTERN_BYTE, (uint8_t)(letter ? tolower(byte) : byte), 0, 0);
}

/* `c->next` is behind the backslash. */
static int compile_escape(struct pattern_compiler *c)
{
	int byte;

	switch (*c->next) {
	case 'b':
		c->next++;
		return pattern_emit(c, PATTERN_BOUNDARY, 0, 0, 0);
	case 'B':
		c->next++;
		return pattern_emit(c, PATTERN_NO_BOUNDARY, 0, 0, 0);
	case 'A':
		c->next++;
		return pattern_emit(c, PATTERN_BEGIN, 0, 0, 0);
	case 'z':
		c->next++;
		return pattern_emit(c, PATTERN_END, 0, 0, 0);
	default:
		break;
	}
	byte = pattern_compile_named(c);
	if (byte <= 0)
		return byte;
	byte = pattern_escaped_byte(c);
	return byte < 0 ? byte : emit_byte(c, byte);
}

/* The flags of "(?flags)" and "(?flags:...)". Multi-line matching has no use for one line. */
static int read_flags(struct pattern_compiler *c)
{
	bool on = true;

	for (; *c->next != ')' && *c->next != ':'; c->next++) {
		switch (*c->next) {
		case '-':
			on = false;
			break;
		case 'i':
			c->fold = on;
			break;
		case 's':
			c->newline = on;
			break;
		default:
			return pattern_fail(c, "invalid or unsupported Perl syntax");
		}
	}
	return 0;
}

/* What stands behind "(?". Returns 1 for a group that is none (flags for what follows), 0, or -EINVAL. */
static int read_group_kind(struct pattern_compiler *c, bool *ret_captures)
{
	*ret_captures = false;
	if (c->next[0] == '<' || (c->next[0] == 'P' && c->next[1] == '<')) {
		const char *end = strchr(c->next, '>');

		if (end == NULL || strchr("=!", c->next[1]) != NULL)
			return pattern_fail(c, "invalid or unsupported Perl syntax");
		c->next = end + 1;
		*ret_captures = true;
		return 0;
	}
	if (read_flags(c) < 0)
		return -EINVAL;
	return *c->next++ == ')' ? 1 : 0;
}

/* `c->next` is behind the parenthesis. Returns 1 where nothing was emitted. */
static int compile_group(struct pattern_compiler *c)
{
	bool fold = c->fold;
	bool newline = c->newline;
	bool captures = true;
	unsigned group;
	int rc = 0;

	if (*c->next == '?') {
		c->next++;
		rc = read_group_kind(c, &captures);
		if (rc != 0)
			return rc;
	}
	group = captures ? c->group_count++ : PATTERN_GROUP_MAX;
	if (group < PATTERN_GROUP_MAX)
		rc = pattern_emit(c, PATTERN_SAVE, 0, (int)(2 * group), 0);
	if (rc == 0)
		rc = compile_choice(c);
	if (rc == 0 && *c->next != ')')
		rc = pattern_fail(c, "missing closing )");
	if (rc < 0)
		return rc;
	c->next++;
	c->fold = fold;
	c->newline = newline;
	return group < PATTERN_GROUP_MAX ? pattern_emit(c, PATTERN_SAVE, 0, (int)(2 * group + 1), 0) : 0;
}

/* Returns 1 where nothing was emitted that could be repeated. */
static int compile_atom(struct pattern_compiler *c)
{
	char byte = *c->next++;

	switch (byte) {
	case '(':
		return compile_group(c);
	case '[':
		return pattern_compile_class(c);
	case '\\':
		return compile_escape(c);
	case '.':
		return pattern_emit(c, c->newline ? PATTERN_EVERY : PATTERN_ANY, 0, 0, 0);
	case '^':
		return pattern_emit(c, PATTERN_BEGIN, 0, 0, 0);
	case '$':
		return pattern_emit(c, PATTERN_END, 0, 0, 0);
	case '*':
	case '+':
	case '?':
		return pattern_fail(c, "missing argument to repetition operator");
	default:
		return emit_byte(c, (unsigned char)byte);
	}
}

/* --- repetition */

struct repeat {
	int least;
	int most; /* -1: no limit */
	bool lazy;
};

static int read_count(const char **text)
{
	int count = 0;

	if (isdigit((unsigned char)**text) == 0)
		return -1;
	for (; isdigit((unsigned char)**text) != 0; ++*text)
		count = count <= PATTERN_REPEAT_MAX ? count * 10 + (**text - '0') : count;
	return count;
}

/* "{n}", "{n,}" or "{n,m}"; braces around anything else are just bytes. */
static bool read_braces(const char **text, struct repeat *repeat)
{
	const char *next = *text + 1;

	repeat->least = repeat->most = read_count(&next);
	if (repeat->least < 0)
		return false;
	if (*next == ',') {
		next++;
		repeat->most = read_count(&next);
	}
	if (*next != '}')
		return false;
	*text = next + 1;
	return true;
}

static bool read_repeat(struct pattern_compiler *c, struct repeat *repeat)
{
	switch (*c->next) {
	case '*':
		*repeat = (struct repeat){0, -1, false};
		break;
	case '+':
		*repeat = (struct repeat){1, -1, false};
		break;
	case '?':
		*repeat = (struct repeat){0, 1, false};
		break;
	case '{':
		if (!read_braces(&c->next, repeat))
			return false;
		c->next--;
		break;
	default:
		return false;
	}
	c->next++;
	repeat->lazy = *c->next == '?';
	c->next += repeat->lazy ? 1 : 0;
	return true;
}

static int emit_split(struct pattern_compiler *c, unsigned at, int on, int past, bool lazy)
{
	return insert(c, at, PATTERN_SPLIT, lazy ? past : on, lazy ? on : past);
}

/* The code from `start` on, once, with a way back to its beginning. */
static int make_plus(struct pattern_compiler *c, unsigned start, bool lazy)
{
	int back = -(int)(c->op_count - start);

	return pattern_emit(c, PATTERN_SPLIT, 0, lazy ? 1 : back, lazy ? back : 1);
}

/* The code from `start` on becomes optional, with all that is behind it. */
static int make_optional(struct pattern_compiler *c, unsigned start, bool lazy)
{
	return emit_split(c, start, 1, (int)(c->op_count - start) + 1, lazy);
}

/* Puts a piece in front of the code from `at` on. */
static int copy_in_front(struct pattern_compiler *c, unsigned at, const struct pattern_op *piece, unsigned size)
{
	unsigned behind = c->op_count - at;

	if (copy(c, piece, size) < 0)
		return -EINVAL;
	memmove(&c->ops[at + size], &c->ops[at], behind * sizeof *c->ops);
	memcpy(&c->ops[at], piece, size * sizeof *piece);
	return 0;
}

/* x{2,4} is xx(x(x)?)?, made from the inside out. With x{0,2}, the innermost one is there already. */
static int make_optional_copies(struct pattern_compiler *c, unsigned start, const struct pattern_op *piece, unsigned size,
	const struct repeat *repeat)
{
	unsigned at = repeat->least > 0 ? c->op_count : start;
	int rc = 0;

	for (int i = repeat->least; i < repeat->most && rc == 0; i++) {
		if (i > 0)
			rc = copy_in_front(c, at, piece, size);
		if (rc == 0)
			rc = make_optional(c, at, repeat->lazy);
	}
	return rc;
}

static int repeat_piece(struct pattern_compiler *c, unsigned start, const struct pattern_op *piece, unsigned size,
	const struct repeat *repeat)
{
	unsigned last = start;
	int rc = 0;

	for (int i = 1; i < repeat->least && rc == 0; i++) {
		last = c->op_count;
		rc = copy(c, piece, size);
	}
	if (rc < 0 || repeat->most == repeat->least)
		return rc;
	if (repeat->most > 0)
		return make_optional_copies(c, start, piece, size, repeat);
	rc = make_plus(c, last, repeat->lazy);
	return rc == 0 && repeat->least == 0 ? make_optional(c, start, repeat->lazy) : rc;
}

static int compile_repeat(struct pattern_compiler *c, unsigned start, const struct repeat *repeat)
{
	unsigned size = c->op_count - start;
	struct pattern_op *piece;
	int rc;

	if (repeat->least > PATTERN_REPEAT_MAX || repeat->most > PATTERN_REPEAT_MAX ||
		(repeat->most >= 0 && repeat->most < repeat->least))
		return pattern_fail(c, "invalid repeat count");
	if (repeat->most == 0) {
		c->op_count = start;
		return 0;
	}
	piece = malloc((size > 0 ? size : 1) * sizeof *piece);
	if (piece == NULL) {
		c->no_memory = true;
		return -ENOMEM;
	}
	memcpy(piece, &c->ops[start], size * sizeof *piece);
	rc = repeat_piece(c, start, piece, size, repeat);
	free(piece);
	return rc;
}

/* --- sequences and alternatives */

static int compile_sequence(struct pattern_compiler *c)
{
	while (*c->next != '\0' && *c->next != '|' && *c->next != ')') {
		unsigned start = c->op_count;
		struct repeat repeat;
		int rc = compile_atom(c);

		if (rc < 0)
			return rc;
		if (!read_repeat(c, &repeat))
			continue;
		if (rc == 1)
			return pattern_fail(c, "missing argument to repetition operator");
		rc = compile_repeat(c, start, &repeat);
		if (rc == 0 && (strchr("*+?", *c->next) == NULL || *c->next == '\0'))
			continue;
		return rc < 0 ? rc : pattern_fail(c, "invalid nested repetition operator");
	}
	return 0;
}

/* a|b|c: each alternative but the last is tried first, and then jumps over the others. */
static int compile_choice(struct pattern_compiler *c)
{
	unsigned start = c->op_count;
	int rc = compile_sequence(c);

	if (rc == 0 && *c->next == '|') {
		unsigned jump;

		c->next++;
		rc = emit_split(c, start, 1, (int)(c->op_count - start) + 2, false);
		jump = c->op_count;
		if (rc == 0)
			rc = pattern_emit(c, PATTERN_JUMP, 0, 0, 0);
		if (rc == 0)
			rc = compile_choice(c);
		if (rc == 0)
			c->ops[jump].x = (int16_t)(c->op_count - jump);
	}
	return rc;
}

/* Copies the compiled code, as large as it is, into the arena. */
static int keep(const struct pattern_compiler *c, struct arena *arena, const struct pattern **ret_pattern)
{
	struct pattern *pattern = arena_alloc(arena, sizeof *pattern);
	struct pattern_op *ops = arena_array(arena, c->op_count, sizeof *ops);
	struct pattern_class *classes = arena_array(arena, c->class_count > 0 ? c->class_count : 1, sizeof *classes);

	if (pattern == NULL || ops == NULL || classes == NULL)
		return -ENOMEM;
	memcpy(ops, c->ops, c->op_count * sizeof *ops);
	memcpy(classes, c->classes, c->class_count * sizeof *classes);
	*pattern = (struct pattern){ops, classes, c->op_count, c->class_count,
		c->group_count < PATTERN_GROUP_MAX ? c->group_count : PATTERN_GROUP_MAX};
	*ret_pattern = pattern;
	return 0;
}

static int compile(struct pattern_compiler *c)
{
	int rc;

	c->group_count = 1;
	rc = pattern_emit(c, PATTERN_SAVE, 0, 0, 0);
	if (rc == 0)
		rc = compile_choice(c);
	if (rc == 0 && *c->next == ')')
		rc = pattern_fail(c, "unexpected )");
	if (rc == 0)
		rc = pattern_emit(c, PATTERN_SAVE, 0, 1, 0);
	return rc == 0 ? pattern_emit(c, PATTERN_MATCH, 0, 0, 0) : rc;
}

int pattern_compile(struct arena *arena, const char *expression, const struct pattern **ret_pattern, struct error *e)
{
	struct pattern_compiler *c;
	int rc;

	if (strlen(expression) > PATTERN_LENGTH_MAX)
		return error_set(e, E2BIG, "regex is too large, max length allowed is %u", PATTERN_LENGTH_MAX);
	c = calloc(1, sizeof *c);
	if (c == NULL)
		return error_set(e, ENOMEM, "no memory for the expression");
	c->next = expression;
	rc = compile(c);
	if (rc == 0)
		rc = keep(c, arena, ret_pattern);
	else if (c->no_memory)
		rc = -ENOMEM;
	else
		rc = error_set(e, EINVAL, "error parsing regexp: %s: `%s`", c->problem, expression);
	if (rc == -ENOMEM)
		(void)error_set(e, ENOMEM, "no memory for the expression");
	free(c);
	return rc;
}
