/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/policy/node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const struct node *node_get(const struct node *map, const char *key)
{
	if (map == NULL || map->type != NODE_MAP)
		return NULL;
	for (const struct node_item *item = map->first; item != NULL; item = item->next)
		if (strcmp(item->key, key) == 0)
			return item->value;
	return NULL;
}

const struct node *node_at(const struct node *list, size_t index)
{
	const struct node_item *item;

	if (list == NULL || list->type != NODE_LIST)
		return NULL;
	for (item = list->first; item != NULL && index > 0; index--)
		item = item->next;
	return item != NULL ? item->value : NULL;
}

/* The library's words, in the three spellings that YAML knows: all small, capitalised, all capitals. */
static bool is_word(const char *text, const char *small)
{
	bool capitals = true;
	bool rest = true;

	if (strcasecmp(text, small) != 0)
		return false;
	for (size_t i = 0; text[i] != '\0'; i++) {
		if (text[i] == small[i]) {
			capitals = false;
		} else if (i > 0) {
			rest = false;
		}
	}
	return rest || capitals;
}

static const char *skip_digits(const char *text)
{
	return text + strspn(text, "0123456789");
}

static enum node_meaning number_meaning(const char *text)
{
	const char *start = text + (*text == '-' || *text == '+' ? 1 : 0);
	const char *end = skip_digits(start);
	bool digits = end > start;

	if (digits && *end == '\0')
		return NODE_INTEGER;
	if (start[0] == '0' && (start[1] == 'x' || start[1] == 'o' || start[1] == 'b') && start[2] != '\0')
		return start[2 + strspn(start + 2, "0123456789abcdefABCDEF")] == '\0' ? NODE_INTEGER : NODE_TEXT;
	if (is_word(start, ".inf") || is_word(text, ".nan"))
		return NODE_NUMBER;
	if (*end == '.') {
		const char *fraction = end + 1;

		end = skip_digits(fraction);
		digits = digits || end > fraction;
	}
	if (!digits)
		return NODE_TEXT;
	if (*end == 'e' || *end == 'E') {
		const char *exponent = end + 1 + (end[1] == '-' || end[1] == '+' ? 1 : 0);

		end = skip_digits(exponent);
		if (end == exponent)
			return NODE_TEXT;
	}
	return *end == '\0' ? NODE_NUMBER : NODE_TEXT;
}

enum node_meaning node_meaning(const struct node *node)
{
	static const char *const words[] = {"true", "false", "yes", "no", "on", "off"};

	if (node->type != NODE_SCALAR || !node->plain)
		return NODE_TEXT;
	if (*node->text == '\0' || strcmp(node->text, "~") == 0 || is_word(node->text, "null"))
		return NODE_NULL;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (is_word(node->text, words[i]))
			return NODE_BOOLEAN;
	return number_meaning(node->text);
}

bool node_is_null(const struct node *node)
{
	return node == NULL || node_meaning(node) == NODE_NULL;
}

bool node_boolean(const struct node *node)
{
	return is_word(node->text, "true") || is_word(node->text, "yes") || is_word(node->text, "on");
}

int node_integer(const struct node *node, int64_t *ret_value)
{
	char *end;
	long long value;

	errno = 0;
	value = strtoll(node->text, &end, 10);
	if (errno == ERANGE)
		return -ERANGE;
	if (end == node->text || *end != '\0')
		return -EINVAL;
	*ret_value = value;
	return 0;
}

int node_number(const struct node *node, double *ret_value)
{
	char *end;
	double value = strtod(node->text, &end);

	if (end == node->text || *end != '\0')
		return -EINVAL;
	*ret_value = value;
	return 0;
}
