/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From settings to the plan.
 *
 * Each setting is read by the reader of its kind, whether or not this version acts on it: a wrong item is wrong even
 * where it would have no effect. What is read goes into the plan's lists, numbers and switches, or nowhere. Then the
 * settings that are not built yet are refused where somebody asked for them, and combinations without effect are warned
 * of.
 */
#include "redirect/plan/plan.h"

#include "redirect/plan/item.h"
#include "redirect/plan/kind.h"
#include "redirect/plan/plan_warn.h"
#include "redirect/plan/value.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static const size_t list_key_sizes[] = {
	[PLAN_PROXY_UIDS] = 4,
	[PLAN_PROXY_GIDS] = 4,
	[PLAN_EXCLUDED_INTERFACES] = 16,
	[PLAN_VIRTUAL_INTERFACES] = 16,
	[PLAN_EXCLUDED_PORTS] = 2,
	[PLAN_INCLUDED_PORTS] = 2,
	[PLAN_EXCLUDED_IPV4] = 4,
	[PLAN_EXCLUDED_IPV6] = 16,
	[PLAN_INCLUDED_IPV4] = 4,
	[PLAN_INCLUDED_IPV6] = 16,
	[PLAN_EXCLUDED_GROUPS] = 4,
	[PLAN_INCLUDED_GROUPS] = 4,
	[PLAN_DNS_IPV4] = 4,
	[PLAN_DNS_IPV6] = 16,
	[PLAN_EXCLUDED_INBOUND_PORTS] = 2,
	[PLAN_INCLUDED_INBOUND_PORTS] = 2,
};
static_assert(sizeof list_key_sizes / sizeof *list_key_sizes == PLAN_LIST_COUNT, "every list has a key size");

/* Tables that the kernel fills itself: a default route to the pod in one of them would take all traffic. */
#define ROUTE_TABLE_DEFAULT 253u
#define ROUTE_TABLE_LOCAL 255u

/* Which of the plan's lists a setting fills; -1: none. Ranges have a second list, of IPv6. */
static const struct lists {
	int list;
	int list6;
} lists_of[SETTING_COUNT] = {
	[SETTING_INTERCEPTION_MODE] = {-1, -1},
	[SETTING_INCLUDE_OUTBOUND_IP_RANGES] = {PLAN_INCLUDED_IPV4, PLAN_INCLUDED_IPV6},
	[SETTING_EXCLUDE_OUTBOUND_IP_RANGES] = {PLAN_EXCLUDED_IPV4, PLAN_EXCLUDED_IPV6},
	[SETTING_INCLUDE_OUTBOUND_PORTS] = {PLAN_INCLUDED_PORTS, -1},
	[SETTING_EXCLUDE_OUTBOUND_PORTS] = {PLAN_EXCLUDED_PORTS, -1},
	[SETTING_INCLUDE_INBOUND_PORTS] = {PLAN_INCLUDED_INBOUND_PORTS, -1},
	[SETTING_EXCLUDE_INBOUND_PORTS] = {PLAN_EXCLUDED_INBOUND_PORTS, -1},
	[SETTING_EXCLUDE_INTERFACES] = {PLAN_EXCLUDED_INTERFACES, -1},
	/* Two names for one thing; where both are given, both hold. */
	[SETTING_KUBEVIRT_INTERFACES] = {PLAN_VIRTUAL_INTERFACES, -1},
	[SETTING_REROUTE_VIRTUAL_INTERFACES] = {PLAN_VIRTUAL_INTERFACES, -1},
	[SETTING_DNS_CAPTURE] = {-1, -1},
	[SETTING_CAPTURE_ALL_DNS] = {-1, -1},
	[SETTING_DNS_SERVERS] = {PLAN_DNS_IPV4, PLAN_DNS_IPV6},
	[SETTING_DROP_INVALID] = {-1, -1},
	[SETTING_INCLUDE_OWNER_GROUPS] = {PLAN_INCLUDED_GROUPS, -1},
	[SETTING_EXCLUDE_OWNER_GROUPS] = {PLAN_EXCLUDED_GROUPS, -1},
	[SETTING_CONTAINMENT] = {-1, -1},
	[SETTING_PROXY_UID] = {PLAN_PROXY_UIDS, -1},
	[SETTING_PROXY_GID] = {PLAN_PROXY_GIDS, -1},
	[SETTING_PROXY_PORT] = {-1, -1},
	[SETTING_INBOUND_PORT] = {-1, -1},
	[SETTING_INBOUND_TUNNEL_PORT] = {-1, -1},
	[SETTING_TPROXY_MARK] = {-1, -1},
	[SETTING_TPROXY_ROUTE_TABLE] = {-1, -1},
	[SETTING_LOOPBACK_CIDR] = {-1, -1},
};

static bool is_inert(enum setting setting, const struct setting_value *value)
{
	struct item item = kind_whole_text(value);

	return kind_item_is(&item, setting_spec(setting)->inert);
}

/* Refuses what is not built where it was asked for; a mere default is only warned of. */
static int check_built(enum setting setting, const struct setting_value *value, struct plan_report *report)
{
	const struct setting_spec *spec = setting_spec(setting);
	struct item item = kind_whole_text(value);
	char quote[ERROR_QUOTE_SIZE];
	char origin[128];

	if (spec->inert == NULL || is_inert(setting, value))
		return 0;
	(void)setting_origin(origin, sizeof origin, value);
	(void)error_quote(quote, item.text, item.length);
	if (value->way == SETTING_WAY_DEFAULT) {
		plan_warn(report, "%s is %s, which is not built yet and has no effect", origin, quote);
		return 0;
	}
	return error_set(&report->error, EINVAL, "%s: %s is not built yet; valid: %s", origin, quote, spec->inert);
}

/* Reads one setting that holds exactly one number or range into an interval. An empty text is the default's. */
static int read_one(enum setting setting, const struct setting_value *value, size_t key_size,
	struct interval *ret_interval, struct error *e)
{
	const struct setting_spec *spec = setting_spec(setting);
	struct setting_value given = *value;
	struct interval_list list;
	struct kind_sink sink = {.list = &list};
	int rc;

	if (kind_whole_text(value).length == 0) {
		given.text = spec->pod_default;
		given.length = strlen(spec->pod_default);
	}
	interval_list_init(&list, key_size);
	rc = kind_read(&given, spec->kind, &sink, e);
	if (rc == 0)
		*ret_interval = list.items[0];
	interval_list_free(&list);
	return rc;
}

static int read_number(enum setting setting, const struct setting_value *value, uint32_t *ret_number, struct error *e)
{
	struct interval number = {0};
	int rc = read_one(setting, value, 4, &number, e);

	if (rc == 0)
		*ret_number = (uint32_t)number.first[0] << 24 | (uint32_t)number.first[1] << 16 |
			      (uint32_t)number.first[2] << 8 | number.first[3];
	return rc;
}

static int read_port(enum setting setting, const struct setting_value *value, uint16_t *ret_port, struct error *e)
{
	uint32_t port = 0;
	int rc = read_number(setting, value, &port, e);

	if (rc == 0)
		*ret_port = (uint16_t)port;
	return rc;
}

static int read_table(const struct setting_value *value, uint32_t *ret_table, struct error *e)
{
	char origin[128];
	int rc = read_number(SETTING_TPROXY_ROUTE_TABLE, value, ret_table, e);

	if (rc == 0 && *ret_table >= ROUTE_TABLE_DEFAULT && *ret_table <= ROUTE_TABLE_LOCAL)
		rc = error_set(e, EINVAL, "%s: table %u is the system's own; valid: one number, but not 253, 254, 255",
			setting_origin(origin, sizeof origin, value), *ret_table);
	return rc;
}

static void take_mode(const struct setting_value *value, struct redirect_plan *plan)
{
	struct item item = kind_whole_text(value);

	plan->interception = kind_item_is(&item, "NONE")     ? PLAN_INTERCEPTION_NONE
			     : kind_item_is(&item, "TPROXY") ? PLAN_INTERCEPTION_TPROXY
							     : PLAN_INTERCEPTION_REDIRECT;
}

/* What a setting says beside what its lists hold. DNS: on is SERVERS until "all servers" makes it ALL. */
static void take_flags(enum setting setting, const struct setting_value *value, const struct kind_sink *sink,
	struct redirect_plan *plan)
{
	switch (setting) {
	case SETTING_INTERCEPTION_MODE:
		take_mode(value, plan);
		break;
	case SETTING_INCLUDE_OUTBOUND_IP_RANGES:
		plan->include_everything = sink->all;
		plan->include_loopback = sink->loopback;
		break;
	case SETTING_INCLUDE_INBOUND_PORTS:
		plan->include_all_inbound = sink->all;
		break;
	case SETTING_INCLUDE_OWNER_GROUPS:
		plan->include_all_groups = sink->all;
		break;
	case SETTING_DROP_INVALID:
		plan->drop_invalid = sink->on;
		break;
	case SETTING_DNS_CAPTURE:
		plan->dns = sink->on ? PLAN_DNS_SERVERS : PLAN_DNS_OFF;
		break;
	case SETTING_CAPTURE_ALL_DNS:
		if (sink->on && plan->dns == PLAN_DNS_SERVERS)
			plan->dns = PLAN_DNS_ALL;
		break;
	default:
		break;
	}
}

static_assert(SETTING_DNS_CAPTURE < SETTING_CAPTURE_ALL_DNS, "whether is read before whose");

static int read_setting(enum setting setting, const struct setting_value *value, struct redirect_plan *plan,
	struct error *e)
{
	const struct lists *lists = &lists_of[setting];
	struct kind_sink sink = {.list = lists->list < 0 ? NULL : &plan->lists[lists->list],
		.list6 = lists->list6 < 0 ? NULL : &plan->lists[lists->list6]};
	int rc;

	switch (setting) {
	case SETTING_LOOPBACK_CIDR:
		return read_one(setting, value, 4, &plan->loopback, e);
	case SETTING_PROXY_PORT:
		return read_port(setting, value, &plan->proxy_port, e);
	case SETTING_INBOUND_PORT:
		return read_port(setting, value, &plan->inbound_port, e);
	case SETTING_INBOUND_TUNNEL_PORT:
		return read_port(setting, value, &plan->tunnel_port, e);
	case SETTING_TPROXY_MARK:
		return read_number(setting, value, &plan->tproxy_mark, e);
	case SETTING_TPROXY_ROUTE_TABLE:
		return read_table(value, &plan->tproxy_table, e);
	default:
		rc = kind_read(value, setting_spec(setting)->kind, &sink, e);
		if (rc == 0)
			take_flags(setting, value, &sink, plan);
		return rc;
	}
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

/* DNS that no server is known for, or whose port is excluded, is not captured; then port 53 is a port like any other. */
static void complete_dns(struct redirect_plan *plan)
{
	static const uint8_t port[2] = {0, 53};

	if (interval_list_find(&plan->lists[PLAN_EXCLUDED_PORTS], port) != NULL)
		plan->dns = PLAN_DNS_OFF;
	if (plan->dns == PLAN_DNS_SERVERS && plan->lists[PLAN_DNS_IPV4].count + plan->lists[PLAN_DNS_IPV6].count == 0)
		plan->dns = PLAN_DNS_OFF;
	if (plan->dns != PLAN_DNS_SERVERS) {
		interval_list_free(&plan->lists[PLAN_DNS_IPV4]);
		interval_list_free(&plan->lists[PLAN_DNS_IPV6]);
	}
}

static void plan_init(struct redirect_plan *plan)
{
	*plan = (struct redirect_plan){.interception = PLAN_INTERCEPTION_REDIRECT};
	for (enum plan_list l = 0; l < PLAN_LIST_COUNT; l++)
		interval_list_init(&plan->lists[l], list_key_sizes[l]);
	plan->lists[PLAN_EXCLUDED_INTERFACES].keep_apart = true;
	plan->lists[PLAN_VIRTUAL_INTERFACES].keep_apart = true;
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
	complete_dns(&plan);
	if (plan.interception != PLAN_INTERCEPTION_NONE)
		plan_warn_of_no_effect(settings, &plan, report);
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
	if (a->interception != b->interception || a->proxy_port != b->proxy_port || a->inbound_port != b->inbound_port ||
		a->tunnel_port != b->tunnel_port || a->include_everything != b->include_everything ||
		a->include_loopback != b->include_loopback || a->include_all_inbound != b->include_all_inbound ||
		a->include_all_groups != b->include_all_groups || a->drop_invalid != b->drop_invalid || a->dns != b->dns ||
		a->tproxy_mark != b->tproxy_mark || a->tproxy_table != b->tproxy_table ||
		memcmp(&a->loopback, &b->loopback, sizeof a->loopback) != 0)
		return false;
	for (enum plan_list l = 0; l < PLAN_LIST_COUNT; l++)
		if (!interval_list_equal(&a->lists[l], &b->lists[l]))
			return false;
	return true;
}

bool plan_captures_outbound(const struct redirect_plan *plan)
{
	return plan->include_everything || plan->lists[PLAN_INCLUDED_PORTS].count > 0 ||
	       plan->lists[PLAN_INCLUDED_IPV4].count > 0 || plan->lists[PLAN_INCLUDED_IPV6].count > 0;
}

bool plan_captures_inbound(const struct redirect_plan *plan)
{
	return plan->include_all_inbound || plan->lists[PLAN_INCLUDED_INBOUND_PORTS].count > 0;
}
