/* SPDX-License-Identifier: Apache-2.0 */
#include "redirect/plan/kind.h"

#include "redirect/plan/value.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

typedef const char *read_item(const struct item *item, struct kind_sink *sink, int *rc);

static const char *read_range(const struct item *item, struct kind_sink *sink, int *rc)
{
	struct value_range value;
	const char *problem = value_read_range(item->text, item->length, &value);
	struct interval_list *list;

	if (problem != NULL)
		return problem;
	list = value.ipv4 ? sink->list : sink->list6;
	if (list != NULL)
		*rc = interval_list_add(list, value.range.first, value.range.last);
	sink->loopback |= value.loopback;
	return NULL;
}

static const char *read_numbers(const struct item *item, struct kind_sink *sink, int *rc, uint32_t highest)
{
	uint32_t first;
	uint32_t last;
	const char *problem = value_read_numbers(item->text, item->length, highest, &first, &last);

	if (problem == NULL && sink->list != NULL)
		*rc = interval_list_add_numbers(sink->list, first, last);
	return problem;
}

static const char *read_ports(const struct item *item, struct kind_sink *sink, int *rc)
{
	return read_numbers(item, sink, rc, UINT16_MAX);
}

static const char *read_ids(const struct item *item, struct kind_sink *sink, int *rc)
{
	return read_numbers(item, sink, rc, VALUE_ID_MAX);
}

static const char *read_interface(const struct item *item, struct kind_sink *sink, int *rc)
{
	struct interval names;
	const char *problem = value_read_interface(item->text, item->length, &names);

	if (problem == NULL && sink->list != NULL)
		*rc = interval_list_add(sink->list, names.first, names.last);
	return problem;
}

static const char *read_port(const struct item *item, struct kind_sink *sink, int *rc)
{
	uint32_t port;
	const char *problem = value_read_number(item->text, item->length, 1, UINT16_MAX, &port);

	if (problem == NULL && sink->list != NULL)
		*rc = interval_list_add_numbers(sink->list, port, port);
	return problem;
}

static const char *read_number(const struct item *item, struct kind_sink *sink, int *rc)
{
	uint32_t number;
	const char *problem = value_read_number(item->text, item->length, 1, UINT32_MAX, &number);

	if (problem == NULL && sink->list != NULL)
		*rc = interval_list_add_numbers(sink->list, number, number);
	return problem;
}

static const char *read_loopback(const struct item *item, struct kind_sink *sink, int *rc)
{
	struct value_range value;
	const char *problem = value_read_range(item->text, item->length, &value);

	if (problem != NULL)
		return problem;
	if (!value.ipv4 || value.prefix < 8 || value.range.first[0] != 127)
		return "not inside 127.0.0.0/8";
	*rc = interval_list_add(sink->list, value.range.first, value.range.last);
	return NULL;
}

bool kind_item_is(const struct item *item, const char *word)
{
	return item->length == strlen(word) && memcmp(item->text, word, item->length) == 0;
}

static const char *read_switch(const struct item *item, struct kind_sink *sink, int *rc)
{
	(void)rc;
	return value_read_switch(item->text, item->length, &sink->on);
}

static const char *read_mode(const struct item *item, struct kind_sink *sink, int *rc)
{
	(void)sink;
	(void)rc;
	return kind_item_is(item, "REDIRECT") || kind_item_is(item, "TPROXY") || kind_item_is(item, "NONE") ? NULL : "unknown mode";
}

static const char *read_containment(const struct item *item, struct kind_sink *sink, int *rc)
{
	(void)sink;
	(void)rc;
	return kind_item_is(item, "off") || kind_item_is(item, "audit") || kind_item_is(item, "strict") ? NULL : "unknown word";
}

/* A kind of text: how one item is read, what is valid, and how many items there may be. */
static const struct kind {
	read_item *read;
	const char *valid;
	bool many;
	bool all; /* "*" alone is a value */
} kinds[] = {
	[SETTING_KIND_MODE] = {read_mode, "REDIRECT, TPROXY, NONE", false, false},
	[SETTING_KIND_RANGES] = {read_range, "IPv4 and IPv6 addresses and CIDRs, separated by commas", true, false},
	[SETTING_KIND_RANGES_ALL] = {read_range,
		"\"*\" alone, or IPv4 and IPv6 addresses and CIDRs, separated by commas", true, true},
	[SETTING_KIND_PORTS] = {read_ports, "ports 0 to 65535 and ranges a-b, separated by commas", true, false},
	[SETTING_KIND_PORTS_ALL] = {read_ports,
		"\"*\" alone, or ports 0 to 65535 and ranges a-b, separated by commas", true, true},
	[SETTING_KIND_INTERFACES] = {read_interface,
		"interface names of at most 15 bytes, or beginnings of names with \"+\" or \"*\" behind, separated by commas",
		true, false},
	[SETTING_KIND_IDS] = {read_ids, "IDs 0 to 4294967294 and ranges a-b, separated by commas", true, false},
	[SETTING_KIND_GROUPS] = {read_ids,
		"\"*\" alone, or IDs of groups and ranges a-b (names only for weir-init), separated by commas", true, true},
	[SETTING_KIND_GROUPS_ONLY] = {read_ids, "IDs of groups and ranges a-b (names only for weir-init), separated by commas",
		true, false},
	[SETTING_KIND_SWITCH] = {read_switch, "true, false", false, false},
	[SETTING_KIND_CONTAINMENT] = {read_containment, "off, audit, strict", false, false},
	[SETTING_KIND_PORT] = {read_port, "one port, 1 to 65535", false, false},
	[SETTING_KIND_NUMBER] = {read_number, "one number, 1 to 4294967295", false, false},
	[SETTING_KIND_LOOPBACK] = {read_loopback, "one CIDR inside 127.0.0.0/8", false, false},
};
static_assert(sizeof kinds / sizeof *kinds == SETTING_KIND_COUNT, "every kind has a reader");

int kind_read(const struct setting_value *value, enum setting_kind kind, struct kind_sink *sink, struct error *e)
{
	const struct kind *k = &kinds[kind];
	struct item_cursor cursor;
	struct item item;
	bool all = false;

	for (item_cursor_init(&cursor, value); item_next(&cursor, &item);) {
		const char *problem = NULL;
		char origin[128];
		int rc = 0;

		if (all)
			problem = "\"*\" stands alone";
		else if (item.position > 1 && !k->many)
			problem = "there is more than one item";
		else if (k->all && kind_item_is(&item, "*"))
			all = true, problem = item.position > 1 ? "\"*\" stands alone" : NULL;
		else if (item.length > 0)
			problem = k->read(&item, sink, &rc);
		if (item.length == 0 || problem != NULL)
			return item_error(value, &item, problem, k->valid, e);
		if (rc == -E2BIG)
			return error_set(e, E2BIG, "%s: more than %u items", setting_origin(origin, sizeof origin, value),
				INTERVAL_COUNT_MAX);
		if (rc < 0)
			return error_set(e, -rc, "no memory for the items of %s", setting_origin(origin, sizeof origin, value));
	}
	sink->all = all;
	return 0;
}

struct item kind_whole_text(const struct setting_value *value)
{
	struct item_cursor cursor;
	struct item item = {.text = "", .length = 0};

	item_cursor_init(&cursor, value);
	if (item_next(&cursor, &item))
		item.length = (size_t)(value->text + value->length - item.text);
	while (item.length > 0 && (item.text[item.length - 1] == ' ' || item.text[item.length - 1] == '\n'))
		item.length--;
	return item;
}
