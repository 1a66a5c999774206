/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A piece of text inside bytes that somebody else owns; no NUL behind it.
 */
#ifndef WEIR_PROXY_HTTP_TEXT_H
#define WEIR_PROXY_HTTP_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct http_text {
	const char *data; /* NULL: there is none, which is not the same as an empty one */
	size_t size;
};

#define HTTP_TEXT(literal) ((struct http_text){(literal), sizeof(literal) - 1})

static inline bool http_text_equal(struct http_text a, struct http_text b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* The same, whatever the case of ASCII letters. */
static inline bool http_text_same(struct http_text a, struct http_text b)
{
	return a.size == b.size && (a.size == 0 || strncasecmp(a.data, b.data, a.size) == 0);
}

/* Without the blanks and tabs around it. */
static inline struct http_text http_text_trim(struct http_text text)
{
	while (text.size > 0 && (*text.data == ' ' || *text.data == '\t')) {
		text.data++;
		text.size--;
	}
	while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t'))
		text.size--;
	return text;
}

/* Digits of a number that always fit. */
#define HTTP_TEXT_DIGITS_MAX 18

/* Reads a number: digits, and nothing else. */
static inline bool http_text_number(struct http_text text, uint64_t *ret_number)
{
	uint64_t number = 0;

	if (text.size == 0 || text.size > HTTP_TEXT_DIGITS_MAX)
		return false;
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		number = number * 10 + (uint64_t)(text.data[i] - '0');
	}
	*ret_number = number;
	return true;
}

/* Takes the next element of a list with commas, trimmed, off its front. Returns false at the list's end. */
static inline bool http_text_next(struct http_text *list, struct http_text *ret_element)
{
	const char *comma;
	size_t size;

	if (list->data == NULL)
		return false;
	comma = list->size > 0 ? memchr(list->data, ',', list->size) : NULL;
	size = comma != NULL ? (size_t)(comma - list->data) : list->size;
	*ret_element = http_text_trim((struct http_text){list->data, size});
	if (comma != NULL)
		*list = (struct http_text){comma + 1, list->size - size - 1};
	else
		*list = (struct http_text){NULL, 0};
	return true;
}

#endif
