/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line of the access log while it is written.
 */
#ifndef WEIR_PROXY_LINE_H
#define WEIR_PROXY_LINE_H

#include "proxy/log/facts.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct line {
	char *out;
	size_t size;
	size_t used; /* counts on past the end, so that the caller learns the length */
};

static inline void line_bytes(struct line *line, const char *bytes, size_t count)
{
	if (line->used + count <= line->size)
		memcpy(line->out + line->used, bytes, count);
	line->used += count;
}

/* The same, for what mostly is a blank or a quote: not worth a call. */
static inline void line_few_bytes(struct line *line, const char *bytes, size_t count)
{
	char *to;

	if (count > 3 || line->used + count > line->size) {
		line_bytes(line, bytes, count);
		return;
	}
	to = line->out + line->used;
	line->used += count;
	while (count-- > 0)
		*to++ = *bytes++;
}

static inline void line_byte(struct line *line, char c)
{
	if (line->used < line->size)
		line->out[line->used] = c;
	line->used++;
}

void line_number(struct line *line, uint64_t number);

/* What a client sent: quotes, backslashes, controls and bytes over 0x7e as \" \\ \xNN, so that columns hold. */
void line_escaped(struct line *line, struct facts_text text);

/*
 * The inside of a JSON string. UTF-8 stays as it is; in a text that is not UTF-8, bytes over 0x7f become \u00XX, each for
 * itself.
 */
void line_json(struct line *line, struct facts_text text);

#endif
