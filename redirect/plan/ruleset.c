/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the plan to the rules: the sets, and which chains there are. What the chains hold is in chain_outbound.c and
 * chain_inbound.c.
 */
#include "redirect/plan/ruleset.h"

#include "redirect/plan/chain.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const size_t field_sizes[] = {
	[RULE_FIELD_L4PROTO] = 1,
	[RULE_FIELD_OIFNAME] = 16,
	[RULE_FIELD_IIFNAME] = 16,
	[RULE_FIELD_SKUID] = 4,
	[RULE_FIELD_SKGID] = 4,
	[RULE_FIELD_MARK] = 4,
	[RULE_FIELD_TH_DPORT] = 2,
	[RULE_FIELD_TCP_DPORT] = 2,
	[RULE_FIELD_TCP_FLAGS] = 1,
	[RULE_FIELD_UDP_DPORT] = 2,
	[RULE_FIELD_UDP_SPORT] = 2,
	[RULE_FIELD_IPV4_SADDR] = 4,
	[RULE_FIELD_IPV4_DADDR] = 4,
	[RULE_FIELD_IPV6_SADDR] = 16,
	[RULE_FIELD_IPV6_DADDR] = 16,
	[RULE_FIELD_CT_MARK] = 4,
	[RULE_FIELD_CT_DIRECTION] = 1,
	[RULE_FIELD_CT_STATE] = 4,
};
static_assert(sizeof field_sizes / sizeof *field_sizes == RULE_FIELD_COUNT, "every field has a size");

size_t rule_field_size(enum rule_field field)
{
	return field_sizes[field];
}

/* Each list of the plan as a set: its name in the listing, and the setting that filled it. */
static const struct rule_set set_of_list[] = {
	[PLAN_PROXY_UIDS] = {"proxy_uids", RULE_FIELD_SKUID, SETTING_PROXY_UID, "the proxy runs as", NULL},
	[PLAN_PROXY_GIDS] = {"proxy_gids", RULE_FIELD_SKGID, SETTING_PROXY_GID, "the proxy runs as, by group", NULL},
	[PLAN_EXCLUDED_INTERFACES] = {"excluded_interfaces", RULE_FIELD_OIFNAME, SETTING_EXCLUDE_INTERFACES,
		"traffic.sidecar.istio.io/excludeInterfaces", NULL},
	[PLAN_VIRTUAL_INTERFACES] = {"virtual_interfaces", RULE_FIELD_IIFNAME, SETTING_KUBEVIRT_INTERFACES,
		"traffic.sidecar.istio.io/kubevirtInterfaces, istio.io/reroute-virtual-interfaces", NULL},
	[PLAN_EXCLUDED_PORTS] = {"excluded_ports", RULE_FIELD_TCP_DPORT, SETTING_EXCLUDE_OUTBOUND_PORTS,
		"traffic.sidecar.istio.io/excludeOutboundPorts", NULL},
	[PLAN_INCLUDED_PORTS] = {"included_ports", RULE_FIELD_TCP_DPORT, SETTING_INCLUDE_OUTBOUND_PORTS,
		"traffic.sidecar.istio.io/includeOutboundPorts", NULL},
	[PLAN_EXCLUDED_IPV4] = {"excluded_ipv4", RULE_FIELD_IPV4_DADDR, SETTING_EXCLUDE_OUTBOUND_IP_RANGES,
		"traffic.sidecar.istio.io/excludeOutboundIPRanges", NULL},
	[PLAN_EXCLUDED_IPV6] = {"excluded_ipv6", RULE_FIELD_IPV6_DADDR, SETTING_EXCLUDE_OUTBOUND_IP_RANGES,
		"traffic.sidecar.istio.io/excludeOutboundIPRanges", NULL},
	[PLAN_INCLUDED_IPV4] = {"included_ipv4", RULE_FIELD_IPV4_DADDR, SETTING_INCLUDE_OUTBOUND_IP_RANGES,
		"traffic.sidecar.istio.io/includeOutboundIPRanges", NULL},
	[PLAN_INCLUDED_IPV6] = {"included_ipv6", RULE_FIELD_IPV6_DADDR, SETTING_INCLUDE_OUTBOUND_IP_RANGES,
		"traffic.sidecar.istio.io/includeOutboundIPRanges", NULL},
	[PLAN_EXCLUDED_GROUPS] = {"excluded_groups", RULE_FIELD_SKGID, SETTING_EXCLUDE_OWNER_GROUPS,
		"weir.dev/excludeOwnerGroups", NULL},
	[PLAN_INCLUDED_GROUPS] = {"included_groups", RULE_FIELD_SKGID, SETTING_INCLUDE_OWNER_GROUPS,
		"weir.dev/includeOwnerGroups", NULL},
	[PLAN_DNS_IPV4] = {"dns_servers_ipv4", RULE_FIELD_IPV4_DADDR, SETTING_DNS_SERVERS, "the pod's DNS servers",
		NULL},
	[PLAN_DNS_IPV6] = {"dns_servers_ipv6", RULE_FIELD_IPV6_DADDR, SETTING_DNS_SERVERS, "the pod's DNS servers",
		NULL},
	[PLAN_EXCLUDED_INBOUND_PORTS] = {"excluded_inbound_ports", RULE_FIELD_TCP_DPORT, SETTING_EXCLUDE_INBOUND_PORTS,
		"traffic.sidecar.istio.io/excludeInboundPorts", NULL},
	[PLAN_INCLUDED_INBOUND_PORTS] = {"included_inbound_ports", RULE_FIELD_TCP_DPORT, SETTING_INCLUDE_INBOUND_PORTS,
		"traffic.sidecar.istio.io/includeInboundPorts", NULL},
};
static_assert(sizeof set_of_list / sizeof *set_of_list == PLAN_LIST_COUNT, "every list has a set");

const struct rule_set *ruleset_set_of(enum plan_list list)
{
	return &set_of_list[list];
}

/*
 * Only IDs: of what else there are lists, ranges are common, and a set of intervals that happens to hold none would
 * change its kind with the first.
 */
bool rule_set_is_plain(const struct rule_set *set)
{
	if (set->field != RULE_FIELD_SKUID && set->field != RULE_FIELD_SKGID)
		return false;
	for (size_t i = 0; i < set->elements->count; i++)
		if (memcmp(set->elements->items[i].first, set->elements->items[i].last, INTERVAL_KEY_MAX) != 0)
			return false;
	return true;
}

const struct rule_set *ruleset_find_set(const struct ruleset *ruleset, const char *name)
{
	for (size_t i = 0; i < ruleset->set_count; i++)
		if (strcmp(ruleset->sets[i].name, name) == 0)
			return &ruleset->sets[i];
	return NULL;
}

const struct rule_chain *ruleset_find_chain(const struct ruleset *ruleset, const char *name)
{
	for (size_t i = 0; i < ruleset->chain_count; i++)
		if (strcmp(ruleset->chains[i].name, name) == 0)
			return &ruleset->chains[i];
	return NULL;
}

/* Bytes at `text` that are whole characters of UTF-8, at most `limit`. */
static size_t cut_at_character(const char *text, size_t limit)
{
	size_t length = strlen(text);

	if (length <= limit)
		return length;
	length = limit;
	while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
		length--;
	return length;
}

static void set_comment(struct ruleset *ruleset, const char *owner)
{
	char text[512];

	(void)snprintf(text, sizeof text, owner != NULL ? "weir: %s" : "weir%.0s", owner != NULL ? owner : "");
	text[cut_at_character(text, RULESET_COMMENT_MAX)] = '\0';
	for (char *c = text; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == '"' || *c == '\\' || *c == 0x7f)
			*c = '?';
	memcpy(ruleset->comment, text, strlen(text) + 1);
}

/* Of each list that a rule looks into. */
static void add_sets(const struct chain_builder *b)
{
	struct ruleset *ruleset = b->ruleset;

	for (enum plan_list l = 0; l < PLAN_LIST_COUNT; l++) {
		if (!b->used[l])
			continue;
		ruleset->sets[ruleset->set_count] = set_of_list[l];
		ruleset->sets[ruleset->set_count++].elements = &b->plan->lists[l];
	}
}

static struct rule_routing routing(const struct redirect_plan *plan)
{
	bool inbound = plan_captures_inbound(plan);

	return (struct rule_routing){
		.tproxy = inbound && plan->interception == PLAN_INTERCEPTION_TPROXY,
		.mark = plan->tproxy_mark,
		.table = plan->tproxy_table,
		.passthrough_address = inbound,
	};
}

void ruleset_build(const struct redirect_plan *plan, const char *owner, struct ruleset *ret_ruleset)
{
	struct chain_builder b = {.ruleset = ret_ruleset, .plan = plan};

	assert(plan->interception != PLAN_INTERCEPTION_NONE);
	ret_ruleset->set_count = ret_ruleset->chain_count = ret_ruleset->rule_count = 0;
	ret_ruleset->routing = routing(plan);
	set_comment(ret_ruleset, owner);
	chain_build_outbound(&b);
	chain_build_inbound(&b);
	chain_build_virtual(&b);
	chain_build_tproxy(&b);
	chain_build_invalid(&b);
	chain_build_dns_zones(&b);
	add_sets(&b);
}
