/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kinds of text that a setting may be, and how each is read into the plan's numbers and lists.
 */
#ifndef WEIR_KIND_H
#define WEIR_KIND_H

#include "redirect/base/error.h"
#include "redirect/base/interval.h"
#include "redirect/plan/item.h"
#include "redirect/plan/setting.h"

#include <stdbool.h>

/* Where a reader puts what it finds. A NULL list takes nothing: the item is only checked. */
struct kind_sink {
	struct interval_list *list;  /* IPv4 ranges, or whatever the kind holds */
	struct interval_list *list6; /* IPv6 ranges */
	bool loopback;               /* out: one of the ranges was written as a loopback address */
	bool all;                    /* out: the text is "*" */
	bool on;                     /* out: of a switch, its value */
};

/*
 * Reads all items of a value. Returns 0, -EINVAL with a text that names the item and what would be valid, -E2BIG or
 * -ENOMEM.
 */
int kind_read(const struct setting_value *value, enum setting_kind kind, struct kind_sink *sink, struct error *e);

/* A value's text without blanks around it, as one item. */
struct item kind_whole_text(const struct setting_value *value);

/* Whether an item is this word. */
bool kind_item_is(const struct item *item, const char *word);

#endif
