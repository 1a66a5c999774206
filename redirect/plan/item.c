/* SPDX-License-Identifier: Apache-2.0 */
#include "redirect/plan/item.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

void item_cursor_init(struct item_cursor *cursor, const struct setting_value *value)
{
	const char *text = value->text;
	const char *end = text + value->length;

	*cursor = (struct item_cursor){.next = text, .end = end, .in_file = value->file_name != NULL, .line = 1};
	while (text < end && is_blank(*text))
		text++;
	/* Nothing but blanks is an empty list, not a list of one empty item. */
	cursor->finished = text == end;
}

static void skip_separators(struct item_cursor *cursor)
{
	bool comment = false;

	for (; cursor->next < cursor->end; cursor->next++) {
		char c = *cursor->next;

		if (c == '\n') {
			comment = false;
			cursor->line++;
		} else if (c == '#') {
			comment = true;
		} else if (!comment && !is_blank(c) && c != ',') {
			break;
		}
	}
}

static bool next_in_file(struct item_cursor *cursor, struct item *item)
{
	const char *start;

	skip_separators(cursor);
	start = cursor->next;
	while (cursor->next < cursor->end && !is_blank(*cursor->next) && *cursor->next != ',' && *cursor->next != '#')
		cursor->next++;
	*item = (struct item){start, (size_t)(cursor->next - start), ++cursor->position, cursor->line};
	return item->length > 0;
}

static bool next_in_value(struct item_cursor *cursor, struct item *item)
{
	const char *start = cursor->next;
	const char *comma = memchr(start, ',', (size_t)(cursor->end - start));
	const char *stop = comma != NULL ? comma : cursor->end;

	if (comma != NULL)
		cursor->next = comma + 1;
	else
		cursor->finished = true;
	while (start < stop && is_blank(*start))
		start++;
	while (stop > start && is_blank(stop[-1]))
		stop--;
	*item = (struct item){start, (size_t)(stop - start), ++cursor->position, 0};
	return true;
}

bool item_next(struct item_cursor *cursor, struct item *ret_item)
{
	if (cursor->finished)
		return false;
	return cursor->in_file ? next_in_file(cursor, ret_item) : next_in_value(cursor, ret_item);
}

int item_error(const struct setting_value *value, const struct item *item, const char *problem, const char *valid,
	struct error *e)
{
	char origin[128];
	char quote[ERROR_QUOTE_SIZE];
	char place[256];

	(void)setting_origin(origin, sizeof origin, value);
	if (value->file_name != NULL)
		(void)snprintf(place, sizeof place, ", file %.128s, line %zu", value->file_name, item->line);
	else
		place[0] = '\0';
	if (item->length == 0)
		return error_set(e, EINVAL, "%s%s, item %zu is empty; valid: %s", origin, place, item->position, valid);
	return error_set(e, EINVAL, "%s%s, item %zu, %s: %s; valid: %s", origin, place, item->position,
		error_quote(quote, item->text, item->length), problem, valid);
}
