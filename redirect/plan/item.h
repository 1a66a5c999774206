/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks the items of a list as a user writes it, and says where an item stands when it is wrong.
 *
 * In a value, commas separate items, blanks around an item do not count, and an empty item is one that was forgotten:
 * an error. In a list file, commas, blanks and newlines separate, "#" comments out the rest of the line, and there are
 * no empty items.
 */
#ifndef WEIR_ITEM_H
#define WEIR_ITEM_H

#include "redirect/base/error.h"
#include "redirect/plan/setting.h"

#include <stdbool.h>
#include <stddef.h>

struct item {
	const char *text; /* not NUL-terminated; inside the setting's text */
	size_t length;
	size_t position; /* counted from 1 */
	size_t line;     /* counted from 1 in a file, 0 elsewhere */
};

struct item_cursor {
	const char *next;
	const char *end;
	size_t position;
	size_t line;
	bool in_file;
	bool finished;
};

/* Starts at the first item of the value. */
void item_cursor_init(struct item_cursor *cursor, const struct setting_value *value);

/* Takes the next item. Returns false at the end. An empty item has length 0. */
bool item_next(struct item_cursor *cursor, struct item *ret_item);

/*
 * Says what is wrong with an item: its setting and how that came, its place, its text, the problem, what is valid.
 * Returns -EINVAL.
 */
int item_error(const struct setting_value *value, const struct item *item, const char *problem, const char *valid,
	struct error *e);

#endif
