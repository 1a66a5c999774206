/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/dns/name.h"

#include <errno.h>
#include <string.h>

#define LABEL_MAX 63

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Returns `c` in lower case; NUL: not in a name. */
static char normalize_byte(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_' ? c : '\0';
}

int name_normalize(const char *text, char out[NAME_SIZE])
{
	size_t length = strnlen(text, NAME_SIZE + 1);
	size_t label = 0;
	bool numeric = true;

	if (length > 0 && text[length - 1] == '.')
		length--;
	if (length == 0 || length >= NAME_SIZE)
		return -EINVAL;
	for (size_t i = 0; i < length; i++) {
		bool dot = text[i] == '.';

		out[i] = dot ? '.' : normalize_byte(text[i]);
		if (out[i] == '\0' || (dot && label == 0) || (!dot && label == LABEL_MAX))
			return -EINVAL;
		numeric = dot || (numeric && is_digit(text[i]));
		label = dot ? 0 : label + 1;
	}
	if (label == 0 || numeric)
		return -EINVAL;
	out[length] = '\0';
	return (int)length;
}

bool name_is_normal(const char *text)
{
	char normal[NAME_SIZE];

	return name_normalize(text, normal) >= 0 && strcmp(text, normal) == 0;
}
