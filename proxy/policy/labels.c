/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/policy/labels.h"

#include <errno.h>
#include <string.h>

static size_t count_lines(const char *text, size_t length)
{
	size_t count = 1;

	for (size_t i = 0; i < length; i++)
		count += text[i] == '\n' ? 1 : 0;
	return count;
}

/* The bytes between the quotes. Values are letters, digits, "-", "_" and "."; nothing else needs to be understood. */
static int read_line(struct arena *arena, const char *line, size_t length, struct pair *pair)
{
	const char *sign = memchr(line, '=', length);
	size_t name = sign != NULL ? (size_t)(sign - line) : 0;
	size_t value = sign != NULL ? length - name - 1 : 0;

	if (name == 0 || value < 2 || sign[1] != '"' || line[length - 1] != '"' || memchr(line, '\0', length) != NULL ||
		memchr(sign + 2, '"', value - 2) != NULL || memchr(sign, '\\', length - name) != NULL)
		return -EINVAL;
	pair->name = arena_copy(arena, line, name);
	pair->value = arena_copy(arena, sign + 2, value - 2);
	return pair->name != NULL && pair->value != NULL ? 0 : -ENOMEM;
}

int labels_read(struct arena *arena, const char *text, size_t length, struct pairs *ret_labels, struct error *e)
{
	size_t most = count_lines(text, length);
	struct pairs labels = {.items = NULL};
	size_t number = 0;

	if (most > LABELS_MAX)
		return error_set(e, E2BIG, "more than %u labels", LABELS_MAX);
	labels.items = arena_array(arena, most, sizeof *labels.items);
	if (labels.items == NULL)
		return error_set(e, ENOMEM, "no memory for labels");
	while (length > 0) {
		const char *newline = memchr(text, '\n', length);
		size_t size = newline != NULL ? (size_t)(newline - text) : length;
		int rc = size > 0 ? read_line(arena, text, size, &labels.items[labels.count]) : 0;

		number++;
		if (rc == -ENOMEM)
			return error_set(e, ENOMEM, "no memory for labels");
		if (rc < 0)
			return error_set(e, EINVAL, "line %zu is not NAME=\"VALUE\"", number);
		labels.count += size > 0 ? 1 : 0;
		text += newline != NULL ? size + 1 : size;
		length -= newline != NULL ? size + 1 : size;
	}
	*ret_labels = labels;
	return 0;
}
