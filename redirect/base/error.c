/* SPDX-License-Identifier: Apache-2.0 */
#include "redirect/base/error.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *e, int code, const char *format, ...)
{
	va_list arguments;

	if (e != NULL) {
		va_start(arguments, format);
		(void)vsnprintf(e->text, sizeof e->text, format, arguments);
		va_end(arguments);
	}
	return -code;
}

int error_set_errno(struct error *e, int code, const char *format, ...)
{
	va_list arguments;
	size_t length;

	if (e != NULL) {
		va_start(arguments, format);
		(void)vsnprintf(e->text, sizeof e->text, format, arguments);
		va_end(arguments);
		length = strlen(e->text);
		(void)snprintf(e->text + length, sizeof e->text - length, ": %s", strerror(code));
	}
	return -code;
}

int error_wrap(struct error *e, int code, const char *format, ...)
{
	char inner[ERROR_TEXT_SIZE];
	va_list arguments;
	size_t length;

	if (e != NULL) {
		memcpy(inner, e->text, sizeof inner);
		va_start(arguments, format);
		(void)vsnprintf(e->text, sizeof e->text, format, arguments);
		va_end(arguments);
		length = strlen(e->text);
		(void)snprintf(e->text + length, sizeof e->text - length, ": %s", inner);
	}
	return code;
}

/* The bytes that one input byte becomes. Returns their count; `out` needs room for four. */
static size_t quote_byte(char *out, unsigned char byte)
{
	static const char hex[] = "0123456789abcdef";

	if (byte == '"' || byte == '\\') {
		out[0] = '\\';
		out[1] = (char)byte;
		return 2;
	}
	if (byte >= 0x20 && byte < 0x7f) {
		out[0] = (char)byte;
		return 1;
	}
	out[0] = '\\';
	out[1] = 'x';
	out[2] = hex[byte >> 4];
	out[3] = hex[byte & 15];
	return 4;
}

const char *error_quote(char out[ERROR_QUOTE_SIZE], const char *input, size_t length)
{
	static const char tail[] = "...\"";
	const size_t limit = ERROR_QUOTE_SIZE - sizeof tail;
	size_t used = 0;

	out[used++] = '"';
	for (size_t i = 0; i < length; i++) {
		char piece[4];
		size_t size = quote_byte(piece, (unsigned char)input[i]);

		if (used + size > limit) {
			memcpy(out + used, tail, sizeof tail);
			return out;
		}
		memcpy(out + used, piece, size);
		used += size;
	}
	out[used++] = '"';
	out[used] = '\0';
	return out;
}
