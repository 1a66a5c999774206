/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http/operations.h"

/* ": " and the end of the line */
#define LINE_EXTRA 4

void http_dropped_add_name(struct http_dropped *dropped, const struct http_head *head, struct http_text name)
{
	for (unsigned i = 0; i < head->count; i++)
		if (http_text_same(head->fields[i].name, name))
			http_dropped_add(dropped, i);
}

void http_operations_drop(const struct http_operations *operations, const struct http_head *head,
	struct http_dropped *dropped)
{
	for (size_t i = 0; i < operations->count; i++)
		if (operations->items[i].kind != HTTP_ADD)
			http_dropped_add_name(dropped, head, operations->items[i].name);
}

bool http_operations_take(const struct http_operations *operations, struct http_text name)
{
	for (size_t i = 0; i < operations->count; i++)
		if (operations->items[i].kind != HTTP_ADD && http_text_same(operations->items[i].name, name))
			return true;
	return false;
}

bool http_operations_give(const struct http_operations *operations, struct http_text name)
{
	for (size_t i = 0; operations != NULL && i < operations->count; i++)
		if (operations->items[i].kind != HTTP_REMOVE && http_text_same(operations->items[i].name, name))
			return true;
	return false;
}

size_t http_operations_bound(const struct http_operations *operations)
{
	size_t bound = 0;

	for (size_t i = 0; i < operations->count; i++)
		bound += operations->items[i].name.size + operations->items[i].value.size + LINE_EXTRA;
	return bound;
}
