/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All threads of the program walk through the text together, one byte at a time, each instruction held by at most one of
 * them, the most wanted thread first (Pike's machine). A thread waits at an instruction that takes a byte, or at the end
 * of the program.
 *
 * pattern_matches() needs no more than that, and allocates nothing; pattern_search() keeps the groups of each thread.
 */
#include "proxy/policy/pattern.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CAPTURE_COUNT (2 * PATTERN_GROUP_MAX)

struct text {
	const char *bytes;
	size_t length;
};

static bool is_word(const struct text *text, size_t at)
{
	unsigned char byte = at < text->length ? (unsigned char)text->bytes[at] : ' ';

	return isalnum(byte) != 0 || byte == '_';
}

static bool is_boundary(const struct text *text, size_t at)
{
	return is_word(text, at) != (at > 0 && is_word(text, at - 1));
}

/* Whether an instruction that takes no byte lets a thread pass. */
static bool passes(const struct text *text, const struct pattern_op *op, size_t at)
{
	switch ((enum pattern_code)op->code) {
	case PATTERN_BEGIN:
		return at == 0;
	case PATTERN_END:
		return at == text->length;
	case PATTERN_BOUNDARY:
		return is_boundary(text, at);
	case PATTERN_NO_BOUNDARY:
		return !is_boundary(text, at);
	default:
		return true;
	}
}

/* Whether an instruction takes a byte, if it is this one. */
static bool takes(const struct pattern *pattern, const struct pattern_op *op, unsigned char byte)
{
	switch ((enum pattern_code)op->code) {
	case PATTERN_BYTE:
		return byte == op->byte;
	case PATTERN_LETTER:
		return tolower(byte) == op->byte;
	case PATTERN_ANY:
		return byte != '\n';
	case PATTERN_EVERY:
		return true;
	case PATTERN_CLASS:
		return (pattern->classes[op->x].bits[byte / 32] >> (byte % 32) & 1) != 0;
	default:
		return false;
	}
}

static bool waits(const struct pattern_op *op)
{
	return op->code <= PATTERN_CLASS || op->code == PATTERN_MATCH;
}

/* --- the whole text, without groups */

struct walk {
	const struct pattern *pattern;
	struct text text;
	uint32_t marks[PATTERN_OP_MAX]; /* the step at which an instruction was reached, counted from 1 */
	uint32_t step;
	uint16_t lists[2][PATTERN_OP_MAX];
	unsigned counts[2];
	uint16_t stack[2 * PATTERN_OP_MAX];
};

/* Follows a thread through everything that takes no byte. An instruction is on the stack at most twice. */
static void walk_follow(struct walk *w, unsigned list, unsigned start, size_t at)
{
	unsigned depth = 0;

	w->stack[depth++] = (uint16_t)start;
	while (depth > 0) {
		unsigned place = w->stack[--depth];
		const struct pattern_op *op = &w->pattern->ops[place];

		if (w->marks[place] == w->step)
			continue;
		w->marks[place] = w->step;
		if (waits(op)) {
			w->lists[list][w->counts[list]++] = (uint16_t)place;
		} else if (op->code == PATTERN_SPLIT) {
			w->stack[depth++] = (uint16_t)((int)place + op->y);
			w->stack[depth++] = (uint16_t)((int)place + op->x);
		} else if (op->code == PATTERN_JUMP) {
			w->stack[depth++] = (uint16_t)((int)place + op->x);
		} else if (passes(&w->text, op, at)) {
			w->stack[depth++] = (uint16_t)(place + 1);
		}
	}
}

bool pattern_matches(const struct pattern *pattern, const char *text, size_t length)
{
	struct walk w;
	unsigned list = 0;

	w.pattern = pattern;
	w.text = (struct text){text, length};
	memset(w.marks, 0, pattern->op_count * sizeof *w.marks);
	w.step = 1;
	w.counts[0] = 0;
	walk_follow(&w, 0, 0, 0);
	for (size_t at = 0; at < length && w.counts[list] > 0; at++, list = 1 - list) {
		w.counts[1 - list] = 0;
		w.step++;
		for (unsigned i = 0; i < w.counts[list]; i++) {
			unsigned place = w.lists[list][i];

			if (takes(pattern, &pattern->ops[place], (unsigned char)text[at]))
				walk_follow(&w, 1 - list, place + 1, at + 1);
		}
	}
	for (unsigned i = 0; i < w.counts[list]; i++)
		if (pattern->ops[w.lists[list][i]].code == PATTERN_MATCH)
			return true;
	return false;
}

/* --- the leftmost match, with its groups */

struct step {
	uint16_t place;
	int16_t slot; /* of the groups, to be put back to `old`; -1: none, the thread goes on at `place` */
	size_t old;
};

struct thread {
	uint16_t place;
	size_t captures[CAPTURE_COUNT];
};

struct search {
	const struct pattern *pattern;
	struct text text;
	uint32_t *marks;
	uint32_t step;
	struct thread *lists[2];
	unsigned counts[2];
	struct step *stack;
};

static void search_follow(struct search *s, unsigned list, unsigned start, size_t at, size_t captures[CAPTURE_COUNT])
{
	unsigned depth = 0;

	s->stack[depth++] = (struct step){(uint16_t)start, -1, 0};
	while (depth > 0) {
		struct step step = s->stack[--depth];
		const struct pattern_op *op = &s->pattern->ops[step.place];

		if (step.slot >= 0) {
			captures[step.slot] = step.old;
			continue;
		}
		if (s->marks[step.place] == s->step)
			continue;
		s->marks[step.place] = s->step;
		if (waits(op)) {
			struct thread *thread = &s->lists[list][s->counts[list]++];

			thread->place = step.place;
			memcpy(thread->captures, captures, sizeof thread->captures);
		} else if (op->code == PATTERN_SPLIT) {
			s->stack[depth++] = (struct step){(uint16_t)((int)step.place + op->y), -1, 0};
			s->stack[depth++] = (struct step){(uint16_t)((int)step.place + op->x), -1, 0};
		} else if (op->code == PATTERN_JUMP) {
			s->stack[depth++] = (struct step){(uint16_t)((int)step.place + op->x), -1, 0};
		} else if (passes(&s->text, op, at)) {
			if (op->code == PATTERN_SAVE) {
				s->stack[depth++] = (struct step){0, op->x, captures[op->x]};
				captures[op->x] = at;
			}
			s->stack[depth++] = (struct step){(uint16_t)(step.place + 1), -1, 0};
		}
	}
}

/* Moves all threads over one byte, or over the end. A thread at the end of the program cuts off the less wanted. */
static bool search_step(struct search *s, unsigned list, size_t at, size_t best[CAPTURE_COUNT])
{
	s->counts[1 - list] = 0;
	s->step++;
	for (unsigned i = 0; i < s->counts[list]; i++) {
		struct thread *thread = &s->lists[list][i];
		const struct pattern_op *op = &s->pattern->ops[thread->place];

		if (op->code == PATTERN_MATCH) {
			memcpy(best, thread->captures, sizeof thread->captures);
			return true;
		}
		if (at < s->text.length && takes(s->pattern, op, (unsigned char)s->text.bytes[at]))
			search_follow(s, 1 - list, thread->place + 1u, at + 1, thread->captures);
	}
	return false;
}

static bool search_all(struct search *s, size_t from, size_t best[CAPTURE_COUNT])
{
	unsigned list = 0;
	bool found = false;

	s->step = 1;
	for (size_t at = from; at <= s->text.length; at++, list = 1 - list) {
		/* A match that begins further left is wanted more, so a new thread is the last. */
		if (!found) {
			size_t none[CAPTURE_COUNT];

			memset(none, 0xff, sizeof none);
			search_follow(s, list, 0, at, none);
		}
		found = search_step(s, list, at, best) || found;
		if (found && s->counts[1 - list] == 0)
			break;
	}
	return found;
}

int pattern_search(const struct pattern *pattern, const char *text, size_t length, size_t from,
	struct pattern_span groups[PATTERN_GROUP_MAX])
{
	size_t count = pattern->op_count;
	struct search s = {.pattern = pattern, .text = {text, length}};
	size_t best[CAPTURE_COUNT];
	int rc = -ENOMEM;

	s.marks = calloc(count, sizeof *s.marks);
	s.lists[0] = malloc(count * sizeof *s.lists[0]);
	s.lists[1] = malloc(count * sizeof *s.lists[1]);
	s.stack = malloc((3 * count + 1) * sizeof *s.stack);
	if (s.marks != NULL && s.lists[0] != NULL && s.lists[1] != NULL && s.stack != NULL)
		rc = search_all(&s, from, best) ? 1 : 0;
	free(s.marks);
	free(s.lists[0]);
	free(s.lists[1]);
	free(s.stack);
	for (unsigned i = 0; rc == 1 && i < PATTERN_GROUP_MAX; i++)
		groups[i] = (struct pattern_span){best[2 * i], best[2 * i + 1]};
	return rc;
}
