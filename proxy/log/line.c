/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/log/line.h"

#include "redirect/base/decimal.h"

#include <stdbool.h>

static const char hex[] = "0123456789abcdef";

void line_number(struct line *line, uint64_t number)
{
	char digits[DECIMAL_SIZE];

	if (line->used + DECIMAL_SIZE <= line->size)
		line->used = (size_t)(decimal_write(line->out + line->used, number, 1) - line->out);
	else
		line_bytes(line, digits, (size_t)(decimal_write(digits, number, 1) - digits));
}

/* What needs no escape in a line of text. */
static const bool stays[256] = {[' ' ... '!'] = true, ['#' ... '['] = true, [']' ... '~'] = true};

static void put_escape(struct line *line, unsigned char c)
{
	if (c == '"' || c == '\\')
		line_bytes(line, (char[]){'\\', (char)c}, 2);
	else
		line_bytes(line, (char[]){'\\', 'x', hex[c >> 4], hex[c & 15]}, 4);
}

void line_escaped(struct line *line, struct facts_text text)
{
	const unsigned char *next = (const unsigned char *)text.data;
	const unsigned char *end = next + text.size;

	for (;;) {
		const unsigned char *plain = next;

		while (next < end && stays[*next])
			next++;
		line_bytes(line, (const char *)plain, (size_t)(next - plain));
		if (next == end)
			return;
		put_escape(line, *next++);
	}
}

/* Bytes of the UTF-8 character (RFC 3629) that the text begins with, 0 where it is none. */
static size_t character_size(const unsigned char *text, size_t size)
{
	unsigned char first = text[0];
	size_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;

	if (length > size)
		return 0;
	for (size_t i = 1; i < length; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	/* Longer than need be, surrogates, and what is beyond the last character. */
	if ((first == 0xe0 && text[1] < 0xa0) || (first == 0xed && text[1] > 0x9f) || (first == 0xf0 && text[1] < 0x90) ||
		(first == 0xf4 && text[1] > 0x8f))
		return 0;
	return length;
}

static bool is_utf8(struct facts_text text)
{
	const unsigned char *bytes = (const unsigned char *)text.data;
	size_t length;

	for (size_t i = 0; i < text.size; i += length) {
		length = character_size(bytes + i, text.size - i);
		if (length == 0)
			return false;
	}
	return true;
}

static void put_json_escape(struct line *line, unsigned char c)
{
	static const char from[] = "\"\\\b\f\n\r\t";
	static const char to[] = "\"\\bfnrt";
	const char *found = c != '\0' ? strchr(from, c) : NULL;

	if (found != NULL)
		line_bytes(line, (char[]){'\\', to[found - from]}, 2);
	else
		line_bytes(line, (char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
}

void line_json(struct line *line, struct facts_text text)
{
	bool keeps_high = is_utf8(text);
	size_t done = 0;

	for (size_t i = 0; i < text.size; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if (c >= 0x20 && c != '"' && c != '\\' && (c < 0x80 || keeps_high))
			continue;
		line_bytes(line, text.data + done, i - done);
		done = i + 1;
		put_json_escape(line, c);
	}
	line_bytes(line, text.data + done, text.size - done);
}
