/* SPDX-License-Identifier: Apache-2.0 */
/*
 *     SIZE --> [EXTENSION] --> SIZE_LF --> DATA --> DATA_CR --> DATA_LF --> SIZE ...
 *                                 | size 0
 *                                 +--> TRAILER --> NAME --> VALUE --> VALUE_LF --> TRAILER ...
 *                                         +--> LAST_LF --> DONE
 */
#include "proxy/http/chunk.h"

#include "proxy/http/class.h"

enum state {
	SIZE,
	EXTENSION,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER,
	NAME,
	VALUE,
	VALUE_LF,
	LAST_LF,
	DONE,
};

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A byte of an extension: a token, or what holds one together. */
static bool is_extension(char c)
{
	return http_class_has(&http_class_token, c) || c == ';' || c == '=' || c == '"';
}

static bool is_value(char c)
{
	return ((uint8_t)c >= ' ' && c != 0x7f) || c == '\t';
}

/* The state behind a byte of a size's line, or -1. */
static int step_size(struct http_chunk *chunk, char c)
{
	int digit = digit_of(c);

	if (++chunk->line > HTTP_CHUNK_LINE_MAX)
		return -1;
	if (chunk->state == EXTENSION)
		return c == '\r' ? SIZE_LF : is_extension(c) ? EXTENSION : -1;
	if (digit >= 0) {
		chunk->size = chunk->size << 4 | (uint64_t)digit;
		return ++chunk->digits <= HTTP_CHUNK_DIGITS_MAX ? SIZE : -1;
	}
	if (chunk->digits == 0)
		return -1;
	return c == '\r' ? SIZE_LF : c == ';' ? EXTENSION : -1;
}

/* The state behind a byte of the trailers, or -1. */
static int step_trailer(struct http_chunk *chunk, char c)
{
	bool token = http_class_has(&http_class_token, c);

	if (++chunk->line > HTTP_TRAILERS_MAX)
		return -1;
	switch (chunk->state) {
	case TRAILER:
		return c == '\r' ? LAST_LF : token ? NAME : -1;
	case NAME:
		return c == ':' ? VALUE : token ? NAME : -1;
	case VALUE:
		return c == '\r' ? VALUE_LF : is_value(c) ? VALUE : -1;
	case VALUE_LF:
		return c == '\n' ? TRAILER : -1;
	default:
		return c == '\n' ? DONE : -1;
	}
}

/* The state behind a byte that is no payload, or -1. */
static int step(struct http_chunk *chunk, char c)
{
	switch (chunk->state) {
	case SIZE:
	case EXTENSION:
		return step_size(chunk, c);
	case SIZE_LF:
		chunk->line = 0;
		chunk->digits = 0;
		return c != '\n' ? -1 : chunk->size > 0 ? DATA : TRAILER;
	case DATA_CR:
		return c == '\r' ? DATA_LF : -1;
	case DATA_LF:
		return c == '\n' ? SIZE : -1;
	default:
		return step_trailer(chunk, c);
	}
}

/* Whether a byte is of an extension or of a trailer, by the states around it. */
static bool is_hidden(int before, int after)
{
	return after == EXTENSION || after == NAME || after == VALUE || after == VALUE_LF || before == VALUE_LF;
}

enum http_problem http_chunk_check(struct http_chunk *chunk, const char *data, size_t size, unsigned *runs,
	size_t *ret_good, bool *ret_hidden)
{
	size_t i = 0;

	*ret_hidden = false;
	while (i < size && chunk->state != DONE && (chunk->state != DATA || *runs > 0)) {
		struct http_chunk before = *chunk;
		int next;

		if (chunk->state == DATA) {
			size_t piece = size - i < chunk->size ? size - i : (size_t)chunk->size;

			i += piece;
			chunk->size -= piece;
			--*runs;
			if (chunk->size == 0)
				chunk->state = DATA_CR;
			continue;
		}
		next = step(chunk, data[i]);
		if (next < 0) {
			*ret_good = i;
			return HTTP_BAD_SYNTAX;
		}
		if (i > 0 && is_hidden(before.state, next) != *ret_hidden) {
			*chunk = before;
			break;
		}
		*ret_hidden = is_hidden(before.state, next);
		chunk->state = (uint8_t)next;
		i++;
	}
	*ret_good = i;
	return HTTP_FINE;
}

bool http_chunk_is_done(const struct http_chunk *chunk)
{
	return chunk->state == DONE;
}
