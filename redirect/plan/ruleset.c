/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the plan to the rules. chain_outbound() is the order of decision; read it from top to bottom.
 *
 * The first rule that returns or redirects decides. The rules that return for pod-local connections stand before those
 * of the proxy's identity, and those before the ranges, so that no list of a user can send the proxy's own connections
 * back to itself.
 */
#include "redirect/plan/ruleset.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static const size_t field_sizes[] = {
	[RULE_FIELD_L4PROTO] = 1,
	[RULE_FIELD_OIFNAME] = 16,
	[RULE_FIELD_SKUID] = 4,
	[RULE_FIELD_SKGID] = 4,
	[RULE_FIELD_TCP_DPORT] = 2,
	[RULE_FIELD_IPV4_SADDR] = 4,
	[RULE_FIELD_IPV4_DADDR] = 4,
	[RULE_FIELD_IPV6_SADDR] = 16,
	[RULE_FIELD_IPV6_DADDR] = 16,
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
};
static_assert(sizeof set_of_list / sizeof *set_of_list == PLAN_LIST_COUNT, "every list has a set");

const struct rule_set *ruleset_set_of(enum plan_list list)
{
	return &set_of_list[list];
}

const struct rule_set *ruleset_find_set(const struct ruleset *ruleset, const char *name)
{
	for (size_t i = 0; i < ruleset->set_count; i++)
		if (strcmp(ruleset->sets[i].name, name) == 0)
			return &ruleset->sets[i];
	return NULL;
}

static struct rule *add_rule(struct rule_chain *chain, enum rule_verdict verdict, enum setting setting,
	const char *comment)
{
	struct rule *rule = &chain->rules[chain->rule_count++];

	assert(chain->rule_count <= RULESET_RULE_MAX);
	*rule = (struct rule){.counted = true, .verdict = verdict, .setting = setting, .comment = comment};
	return rule;
}

static void add_match(struct rule *rule, enum rule_field field, enum rule_operator op, const void *first,
	const void *last)
{
	struct rule_match *match = &rule->matches[rule->match_count++];

	assert(rule->match_count <= RULESET_MATCH_MAX);
	*match = (struct rule_match){.field = field, .op = op};
	memcpy(match->value.first, first, field_sizes[field]);
	memcpy(match->value.last, last, field_sizes[field]);
}

static void match_l4proto(struct rule *rule, enum rule_operator op, uint8_t protocol)
{
	add_match(rule, RULE_FIELD_L4PROTO, op, &protocol, &protocol);
}

static void match_oifname(struct rule *rule, const char *name)
{
	uint8_t key[INTERVAL_KEY_MAX] = {0};

	memcpy(key, name, strlen(name));
	add_match(rule, RULE_FIELD_OIFNAME, RULE_IS, key, key);
}

static void match_set(struct rule *rule, enum plan_list list)
{
	rule->matches[rule->match_count++] = (struct rule_match){
		.field = set_of_list[list].field, .op = RULE_IN_SET, .set = set_of_list[list].name};
	assert(rule->match_count <= RULESET_MATCH_MAX);
}

/* A rule about one of the plan's lists; none where the list is empty. */
static void bypass(struct rule_chain *chain, const struct redirect_plan *plan, enum plan_list list, const char *comment)
{
	if (plan->lists[list].count > 0)
		match_set(add_rule(chain, RULE_RETURN, set_of_list[list].setting, comment), list);
}

/*
 * Redirects; what else must match is added to the rule that it returns. nft wants the protocol in the same rule as the
 * port to redirect to, although the chain's first rule has settled it; a match of ports implies it.
 */
static struct rule *redirect(struct rule_chain *chain, const struct redirect_plan *plan, enum setting setting,
	bool of_ports, const char *comment)
{
	struct rule *rule = add_rule(chain, RULE_REDIRECT, setting, comment);

	if (!of_ports)
		match_l4proto(rule, RULE_IS, IPPROTO_TCP);
	rule->port = plan->proxy_port;
	return rule;
}

static void capture(struct rule_chain *chain, const struct redirect_plan *plan, enum plan_list list,
	const char *comment)
{
	const struct rule_set *set = &set_of_list[list];

	if (plan->lists[list].count > 0)
		match_set(redirect(chain, plan, set->setting, set->field == RULE_FIELD_TCP_DPORT, comment), list);
}

/*
 * Connections that do not leave the pod. Where an included range is on loopback, somebody wants such connections to be
 * captured: then only those to the loopback address itself, and those from Istio's inbound passthrough address, which
 * would loop, are left alone (the ranges decide about the rest).
 */
static void chain_pod_local(struct rule_chain *chain, const struct redirect_plan *plan)
{
	static const uint8_t passthrough4[4] = {127, 0, 0, 6};
	static const uint8_t passthrough6[16] = {[15] = 6};
	static const uint8_t localhost6[16] = {[15] = 1};
	struct rule *rule;
	bool single = memcmp(plan->loopback.first, plan->loopback.last, 4) == 0;

	if (!plan->include_loopback) {
		match_oifname(add_rule(chain, RULE_RETURN, SETTING_COUNT, "stays in the pod"), "lo");
		return;
	}
	rule = add_rule(chain, RULE_RETURN, SETTING_COUNT, "stays in the pod: from inbound passthrough");
	match_oifname(rule, "lo");
	add_match(rule, RULE_FIELD_IPV4_SADDR, RULE_IS, passthrough4, passthrough4);
	rule = add_rule(chain, RULE_RETURN, SETTING_COUNT, "stays in the pod: from inbound passthrough");
	match_oifname(rule, "lo");
	add_match(rule, RULE_FIELD_IPV6_SADDR, RULE_IS, passthrough6, passthrough6);
	rule = add_rule(chain, RULE_RETURN, SETTING_LOOPBACK_CIDR, "stays in the pod: loopbackCIDR");
	add_match(rule, RULE_FIELD_IPV4_DADDR, single ? RULE_IS : RULE_WITHIN, plan->loopback.first,
		plan->loopback.last);
	rule = add_rule(chain, RULE_RETURN, SETTING_COUNT, "stays in the pod");
	add_match(rule, RULE_FIELD_IPV6_DADDR, RULE_IS, localhost6, localhost6);
}

static void chain_outbound(struct rule_chain *chain, const struct redirect_plan *plan)
{
	struct rule *rule;

	chain->name = "outbound";
	chain->priority = RULESET_PRIORITY_OUTBOUND;

	rule = add_rule(chain, RULE_RETURN, SETTING_COUNT, "only TCP is redirected");
	rule->counted = false;
	match_l4proto(rule, RULE_IS_NOT, IPPROTO_TCP);

	bypass(chain, plan, PLAN_EXCLUDED_INTERFACES, "bypass: excludeInterfaces");
	bypass(chain, plan, PLAN_EXCLUDED_PORTS, "bypass: excludeOutboundPorts");
	chain_pod_local(chain, plan);
	bypass(chain, plan, PLAN_PROXY_UIDS, "the proxy's own connections");
	bypass(chain, plan, PLAN_PROXY_GIDS, "the proxy's own connections, by group");
	bypass(chain, plan, PLAN_EXCLUDED_IPV4, "bypass: excludeOutboundIPRanges");
	bypass(chain, plan, PLAN_EXCLUDED_IPV6, "bypass: excludeOutboundIPRanges");

	capture(chain, plan, PLAN_INCLUDED_PORTS, "to the proxy: includeOutboundPorts");
	if (plan->include_everything) {
		(void)redirect(chain, plan, SETTING_INCLUDE_OUTBOUND_IP_RANGES, false,
			"to the proxy: includeOutboundIPRanges is *");
		return;
	}
	capture(chain, plan, PLAN_INCLUDED_IPV4, "to the proxy: includeOutboundIPRanges");
	capture(chain, plan, PLAN_INCLUDED_IPV6, "to the proxy: includeOutboundIPRanges");
	(void)add_rule(chain, RULE_CONTINUE, SETTING_INCLUDE_OUTBOUND_IP_RANGES, "bypass: everything else");
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

void ruleset_build(const struct redirect_plan *plan, const char *owner, struct ruleset *ret_ruleset)
{
	assert(plan->interception != PLAN_INTERCEPTION_NONE);
	*ret_ruleset = (struct ruleset){.chain_count = 1};
	set_comment(ret_ruleset, owner);
	for (enum plan_list l = 0; l < PLAN_LIST_COUNT; l++) {
		struct rule_set *set = &ret_ruleset->sets[ret_ruleset->set_count];

		if (plan->lists[l].count == 0)
			continue;
		*set = set_of_list[l];
		set->elements = &plan->lists[l];
		ret_ruleset->set_count++;
	}
	chain_outbound(&ret_ruleset->chains[0], plan);
}
