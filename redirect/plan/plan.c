/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From settings to the plan.
 *
 * Each setting is read by the reader of its kind, whether or not this version acts on it: a wrong item is wrong even
 * where it would have no effect. What is read goes into the plan's lists, or nowhere. Then the settings that are not
 * built yet are refused where somebody asked for them, and combinations without effect are warned of.
 */
#include "redirect/plan/plan.h"

#include "redirect/plan/item.h"
#include "redirect/plan/value.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const size_t list_key_sizes[] = {
	[PLAN_PROXY_UIDS] = 4,
	[PLAN_PROXY_GIDS] = 4,
	[PLAN_EXCLUDED_INTERFACES] = 16,
	[PLAN_EXCLUDED_PORTS] = 2,
	[PLAN_INCLUDED_PORTS] = 2,
	[PLAN_EXCLUDED_IPV4] = 4,
	[PLAN_EXCLUDED_IPV6] = 16,
	[PLAN_INCLUDED_IPV4] = 4,
	[PLAN_INCLUDED_IPV6] = 16,
};
static_assert(sizeof list_key_sizes / sizeof *list_key_sizes == PLAN_LIST_COUNT, "every list has a key size");

/* Where a reader puts what it finds. A NULL list takes nothing: the item is only checked. */
struct sink {
	struct interval_list *list;  /* IPv4 ranges, or whatever the kind holds */
	struct interval_list *list6; /* IPv6 ranges */
	bool loopback;               /* out: one of the ranges was written as a loopback address */
};

typedef const char *read_item(const struct item *item, struct sink *sink, int *rc);

static const char *read_range(const struct item *item, struct sink *sink, int *rc)
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

static const char *read_numbers(const struct item *item, struct sink *sink, int *rc, uint32_t highest)
{
	uint32_t first;
	uint32_t last;
	const char *problem = value_read_numbers(item->text, item->length, highest, &first, &last);

	if (problem == NULL && sink->list != NULL)
		*rc = interval_list_add_numbers(sink->list, first, last);
	return problem;
}

static const char *read_ports(const struct item *item, struct sink *sink, int *rc)
{
	return read_numbers(item, sink, rc, UINT16_MAX);
}

static const char *read_ids(const struct item *item, struct sink *sink, int *rc)
{
	return read_numbers(item, sink, rc, VALUE_ID_MAX);
}

static const char *read_interface(const struct item *item, struct sink *sink, int *rc)
{
	struct interval names;
	const char *problem = value_read_interface(item->text, item->length, &names);

	if (problem == NULL && sink->list != NULL)
		*rc = interval_list_add(sink->list, names.first, names.last);
	return problem;
}

static const char *read_port(const struct item *item, struct sink *sink, int *rc)
{
	uint32_t port;
	const char *problem = value_read_number(item->text, item->length, 1, UINT16_MAX, &port);

	if (problem == NULL && sink->list != NULL)
		*rc = interval_list_add_numbers(sink->list, port, port);
	return problem;
}

static const char *read_number(const struct item *item, struct sink *sink, int *rc)
{
	uint32_t number;

	(void)sink;
	(void)rc;
	return value_read_number(item->text, item->length, 0, UINT32_MAX, &number);
}

static const char *read_loopback(const struct item *item, struct sink *sink, int *rc)
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

static bool item_is(const struct item *item, const char *word)
{
	return item->length == strlen(word) && memcmp(item->text, word, item->length) == 0;
}

/* Names of groups are resolved by the program, and only where groups are built. */
static const char *read_group(const struct item *item, struct sink *sink, int *rc)
{
	(void)sink;
	(void)rc;
	for (size_t i = 0; i < item->length; i++)
		if (item->text[i] <= ' ' || item->text[i] > '~')
			return "not the name or the ID of a group";
	return NULL;
}

static const char *read_switch(const struct item *item, struct sink *sink, int *rc)
{
	bool on;

	(void)sink;
	(void)rc;
	return value_read_switch(item->text, item->length, &on);
}

static const char *read_mode(const struct item *item, struct sink *sink, int *rc)
{
	(void)sink;
	(void)rc;
	return item_is(item, "REDIRECT") || item_is(item, "TPROXY") || item_is(item, "NONE") ? NULL : "unknown mode";
}

static const char *read_containment(const struct item *item, struct sink *sink, int *rc)
{
	(void)sink;
	(void)rc;
	return item_is(item, "off") || item_is(item, "audit") || item_is(item, "strict") ? NULL : "unknown word";
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
	[SETTING_KIND_GROUPS] = {read_group, "\"*\" alone, or names and IDs of groups, separated by commas", true, true},
	[SETTING_KIND_SWITCH] = {read_switch, "true, false", false, false},
	[SETTING_KIND_CONTAINMENT] = {read_containment, "off, audit, strict", false, false},
	[SETTING_KIND_PORT] = {read_port, "one port, 1 to 65535", false, false},
	[SETTING_KIND_NUMBER] = {read_number, "one number, 0 to 4294967295", false, false},
	[SETTING_KIND_LOOPBACK] = {read_loopback, "one CIDR inside 127.0.0.0/8", false, false},
};
static_assert(sizeof kinds / sizeof *kinds == SETTING_KIND_COUNT, "every kind has a reader");

/* Reads all items of one value. `*ret_all` says whether it is "*". */
static int read_value(const struct setting_value *value, enum setting_kind kind, struct sink *sink, bool *ret_all,
	struct error *e)
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
		else if (k->all && item_is(&item, "*"))
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
	*ret_all = all;
	return 0;
}

/* The value's text without blanks around it. */
static struct item whole_value(const struct setting_value *value)
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

static bool is_inert(enum setting setting, const struct setting_value *value)
{
	const struct setting_spec *spec = setting_spec(setting);
	struct item item = whole_value(value);
	bool on;

	if (spec->kind == SETTING_KIND_SWITCH)
		return item.length == 0 || (value_read_switch(item.text, item.length, &on) == NULL && !on);
	return item_is(&item, spec->inert);
}

static void warn(struct plan_report *report, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void warn(struct plan_report *report, const char *format, ...)
{
	va_list arguments;

	assert(report->warning_count < PLAN_WARNING_MAX);
	va_start(arguments, format);
	(void)vsnprintf(report->warnings[report->warning_count++], PLAN_WARNING_SIZE, format, arguments);
	va_end(arguments);
}

/* Refuses what is not built where it was asked for; a mere default is only warned of. */
static int check_built(enum setting setting, const struct setting_value *value, struct plan_report *report)
{
	const struct setting_spec *spec = setting_spec(setting);
	struct item item = whole_value(value);
	char quote[ERROR_QUOTE_SIZE];
	char origin[128];

	(void)setting_origin(origin, sizeof origin, value);
	if (setting == SETTING_INTERCEPTION_MODE ? !item_is(&item, "TPROXY") : spec->inert == NULL || is_inert(setting, value))
		return 0;
	(void)error_quote(quote, item.text, item.length);
	if (value->way == SETTING_WAY_DEFAULT) {
		warn(report, "%s is %s, which is not built yet and has no effect", origin, quote);
		return 0;
	}
	return error_set(&report->error, EINVAL, "%s: %s is not built yet; valid: %s", origin, quote,
		setting == SETTING_INTERCEPTION_MODE ? "REDIRECT, NONE"
		: *spec->inert == '\0'               ? "nothing, or the setting left out"
						     : spec->inert);
}

/* Which of the plan's lists a setting fills. */
static struct sink sink_of(enum setting setting, struct redirect_plan *plan)
{
	switch (setting) {
	case SETTING_INCLUDE_OUTBOUND_IP_RANGES:
		return (struct sink){&plan->lists[PLAN_INCLUDED_IPV4], &plan->lists[PLAN_INCLUDED_IPV6], false};
	case SETTING_EXCLUDE_OUTBOUND_IP_RANGES:
		return (struct sink){&plan->lists[PLAN_EXCLUDED_IPV4], &plan->lists[PLAN_EXCLUDED_IPV6], false};
	case SETTING_INCLUDE_OUTBOUND_PORTS:
		return (struct sink){&plan->lists[PLAN_INCLUDED_PORTS], NULL, false};
	case SETTING_EXCLUDE_OUTBOUND_PORTS:
		return (struct sink){&plan->lists[PLAN_EXCLUDED_PORTS], NULL, false};
	case SETTING_EXCLUDE_INTERFACES:
		return (struct sink){&plan->lists[PLAN_EXCLUDED_INTERFACES], NULL, false};
	case SETTING_PROXY_UID:
		return (struct sink){&plan->lists[PLAN_PROXY_UIDS], NULL, false};
	case SETTING_PROXY_GID:
		return (struct sink){&plan->lists[PLAN_PROXY_GIDS], NULL, false};
	default:
		return (struct sink){NULL, NULL, false};
	}
}

/* Reads one setting that holds exactly one number or range into an interval. An empty text is the default's. */
static int read_one(const struct setting_value *value, const char *fallback, enum setting_kind kind, size_t key_size,
	struct interval *ret_interval, struct error *e)
{
	struct setting_value given = *value;
	struct interval_list list;
	struct sink sink = {&list, NULL, false};
	bool all;
	int rc;

	if (whole_value(value).length == 0) {
		given.text = fallback;
		given.length = strlen(fallback);
	}
	interval_list_init(&list, key_size);
	rc = read_value(&given, kind, &sink, &all, e);
	if (rc == 0)
		*ret_interval = list.items[0];
	interval_list_free(&list);
	return rc;
}

static int read_setting(enum setting setting, const struct setting_value *value, struct redirect_plan *plan,
	struct error *e)
{
	const struct setting_spec *spec = setting_spec(setting);
	struct sink sink = sink_of(setting, plan);
	struct interval port;
	struct item item;
	bool all = false;
	int rc;

	if (setting == SETTING_LOOPBACK_CIDR)
		return read_one(value, spec->pod_default, spec->kind, 4, &plan->loopback, e);
	if (setting == SETTING_PROXY_PORT) {
		rc = read_one(value, spec->pod_default, spec->kind, 2, &port, e);
		if (rc == 0)
			plan->proxy_port = (uint16_t)(port.first[0] << 8 | port.first[1]);
		return rc;
	}
	rc = read_value(value, spec->kind, &sink, &all, e);
	if (rc < 0)
		return rc;
	if (setting == SETTING_INCLUDE_OUTBOUND_IP_RANGES) {
		plan->include_everything = all;
		plan->include_loopback = sink.loopback;
	} else if (setting == SETTING_INTERCEPTION_MODE) {
		item = whole_value(value);
		plan->interception = item_is(&item, "NONE") ? PLAN_INTERCEPTION_NONE : PLAN_INTERCEPTION_REDIRECT;
	}
	return 0;
}

/* An empty list of user IDs is the default's; an empty list of group IDs is that of the user IDs, as in Istio. */
static int complete_ids(struct redirect_plan *plan, struct error *e)
{
	struct interval_list *uids = &plan->lists[PLAN_PROXY_UIDS];
	struct interval_list *gids = &plan->lists[PLAN_PROXY_GIDS];
	int rc = 0;

	if (uids->count == 0)
		rc = interval_list_add_numbers(uids, 1337, 1337);
	if (gids->count == 0)
		for (size_t i = 0; rc == 0 && i < uids->count; i++)
			rc = interval_list_add(gids, uids->items[i].first, uids->items[i].last);
	return rc < 0 ? error_set(e, -rc, "no memory for the proxy's IDs") : 0;
}

static bool is_given(const struct settings *settings, enum setting setting)
{
	return settings->values[setting].way != SETTING_WAY_DEFAULT && whole_value(&settings->values[setting]).length > 0;
}

/* What a user would take for a protection or a bypass, and is none. */
static void warn_of_no_effect(const struct settings *settings, const struct redirect_plan *plan,
	struct plan_report *report)
{
	static const enum setting bypasses[] = {SETTING_EXCLUDE_OUTBOUND_IP_RANGES, SETTING_EXCLUDE_OUTBOUND_PORTS,
		SETTING_EXCLUDE_INTERFACES};
	bool captures = plan->include_everything || plan->lists[PLAN_INCLUDED_PORTS].count > 0 ||
			plan->lists[PLAN_INCLUDED_IPV4].count > 0 || plan->lists[PLAN_INCLUDED_IPV6].count > 0;
	char origin[128];

	if (!captures)
		warn(report, "no range and no port is included: nothing is redirected");
	for (size_t i = 0; !captures && i < sizeof bypasses / sizeof *bypasses; i++)
		if (is_given(settings, bypasses[i]))
			warn(report, "%s has no effect: nothing is redirected",
				setting_origin(origin, sizeof origin, &settings->values[bypasses[i]]));
	if (plan->include_everything && plan->lists[PLAN_INCLUDED_PORTS].count > 0 &&
		plan->lists[PLAN_EXCLUDED_IPV4].count + plan->lists[PLAN_EXCLUDED_IPV6].count == 0)
		warn(report, "%s has no effect: every range is included",
			setting_origin(origin, sizeof origin, &settings->values[SETTING_INCLUDE_OUTBOUND_PORTS]));
	if (is_given(settings, SETTING_EXCLUDE_INBOUND_PORTS))
		warn(report, "%s has no effect: nothing inbound is captured",
			setting_origin(origin, sizeof origin, &settings->values[SETTING_EXCLUDE_INBOUND_PORTS]));
}

static void plan_init(struct redirect_plan *plan)
{
	*plan = (struct redirect_plan){.interception = PLAN_INTERCEPTION_REDIRECT};
	for (enum plan_list l = 0; l < PLAN_LIST_COUNT; l++)
		interval_list_init(&plan->lists[l], list_key_sizes[l]);
	plan->lists[PLAN_EXCLUDED_INTERFACES].keep_apart = true;
}

static int fill(const struct settings *settings, struct redirect_plan *plan, struct plan_report *report)
{
	int rc = 0;

	for (enum setting s = 0; rc == 0 && s < SETTING_COUNT; s++) {
		report->way = settings->values[s].way;
		rc = read_setting(s, &settings->values[s], plan, &report->error);
		if (rc == 0)
			rc = check_built(s, &settings->values[s], report);
	}
	return rc == 0 ? complete_ids(plan, &report->error) : rc;
}

int plan_build(const struct settings *settings, struct redirect_plan *ret_plan, struct plan_report *report)
{
	struct redirect_plan plan;
	int rc;

	*report = (struct plan_report){.warning_count = 0};
	plan_init(&plan);
	rc = fill(settings, &plan, report);
	if (rc < 0) {
		plan_free(&plan);
		return rc;
	}
	for (enum plan_list l = 0; l < PLAN_LIST_COUNT; l++)
		interval_list_merge(&plan.lists[l]);
	if (plan.interception != PLAN_INTERCEPTION_NONE)
		warn_of_no_effect(settings, &plan, report);
	*ret_plan = plan;
	return 0;
}

void plan_free(struct redirect_plan *plan)
{
	for (enum plan_list l = 0; l < PLAN_LIST_COUNT; l++)
		interval_list_free(&plan->lists[l]);
}

bool plan_equal(const struct redirect_plan *a, const struct redirect_plan *b)
{
	if (a->interception != b->interception || a->proxy_port != b->proxy_port ||
		a->include_everything != b->include_everything || a->include_loopback != b->include_loopback ||
		memcmp(&a->loopback, &b->loopback, sizeof a->loopback) != 0)
		return false;
	for (enum plan_list l = 0; l < PLAN_LIST_COUNT; l++)
		if (!interval_list_equal(&a->lists[l], &b->lists[l]))
			return false;
	return true;
}
