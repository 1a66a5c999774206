/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of decision about outbound connections; read chain_build_outbound() from top to bottom.
 *
 * The first rule that returns or redirects decides. What stays in the pod comes first: connections to its loopback
 * address, the proxy's own to the pod (they are the pod calling itself, and enter like a stranger's would), and those
 * of applications among themselves. Then the proxy's own pass, by user or by group, and so no list of a user can send
 * them back to the proxy. Only then DNS and the lists.
 *
 * What comes in through the interface of a virtual machine inside the pod is outbound, too: chain `virtual` decides about
 * it with the same lists. It has no user, and nothing of it stays in the pod.
 */
#include "redirect/plan/chain.h"

#include <netinet/in.h>

#define PORT_DNS 53

static bool has_dns(const struct chain_builder *b)
{
	return b->plan->dns != PLAN_DNS_OFF;
}

/* Where DNS is captured, UDP comes along: the ports of both are looked at. */
static enum rule_field dport(const struct chain_builder *b)
{
	return has_dns(b) ? RULE_FIELD_TH_DPORT : RULE_FIELD_TCP_DPORT;
}

static void only_some_protocols(struct chain_builder *b)
{
	struct rule *rule = chain_add(b, RULE_RETURN, SETTING_COUNT,
		has_dns(b) ? "only TCP and DNS are redirected" : "only TCP is redirected");

	rule->counted = false;
	rule_match_number(rule, RULE_FIELD_L4PROTO, RULE_IS_NOT, IPPROTO_TCP);
	if (has_dns(b))
		rule_match_number(rule, RULE_FIELD_L4PROTO, RULE_IS_NOT, IPPROTO_UDP);
}

/* DNS to the pod itself may be captured, too. */
static void but_not_dns(const struct chain_builder *b, struct rule *rule)
{
	if (has_dns(b))
		rule_match_number(rule, RULE_FIELD_TH_DPORT, RULE_IS_NOT, PORT_DNS);
}

/* Istio's proxy takes this address to pass on what came in: what comes from it has been through the proxy. */
static void from_passthrough(struct chain_builder *b)
{
	static const uint8_t passthrough4[4] = {127, 0, 0, 6};
	static const uint8_t passthrough6[16] = {[15] = 6};
	static const char comment[] = "stays in the pod: from inbound passthrough";
	struct rule *rule = chain_add(b, RULE_RETURN, SETTING_COUNT, comment);

	rule_match_name(rule, RULE_FIELD_OIFNAME, "lo");
	rule_match_key(rule, RULE_FIELD_IPV4_SADDR, RULE_IS, passthrough4);
	rule = chain_add(b, RULE_RETURN, SETTING_COUNT, comment);
	rule_match_name(rule, RULE_FIELD_OIFNAME, "lo");
	rule_match_key(rule, RULE_FIELD_IPV6_SADDR, RULE_IS, passthrough6);
	if (b->plan->interception != PLAN_INTERCEPTION_TPROXY)
		return;
	rule = chain_add(b, RULE_RETURN, SETTING_TPROXY_MARK, "stays in the pod: from the proxy, with the client's address");
	rule_match_name(rule, RULE_FIELD_OIFNAME, "lo");
	rule_match_number(rule, RULE_FIELD_MARK, RULE_IS, b->plan->tproxy_mark);
}

static void to_loopback(struct chain_builder *b, bool dns_too)
{
	static const uint8_t localhost6[16] = {[15] = 1};
	struct rule *rule = chain_add(b, RULE_RETURN, SETTING_LOOPBACK_CIDR, "stays in the pod: loopbackCIDR");

	rule_match_interval(rule, RULE_FIELD_IPV4_DADDR, &b->plan->loopback);
	if (!dns_too)
		but_not_dns(b, rule);
	rule = chain_add(b, RULE_RETURN, SETTING_COUNT, "stays in the pod: to ::1");
	rule_match_key(rule, RULE_FIELD_IPV6_DADDR, RULE_IS, localhost6);
	if (!dns_too)
		but_not_dns(b, rule);
}

static void self_call(struct chain_builder *b, enum plan_list list, const char *comment)
{
	struct rule *rule = chain_add_redirect(b, b->plan->inbound_port, ruleset_set_of(list)->setting, comment);

	rule_match_name(rule, RULE_FIELD_OIFNAME, "lo");
	rule_match_set(b, rule, ruleset_set_of(list)->field, RULE_IN_SET, list);
	rule_match_number(rule, RULE_FIELD_TCP_DPORT, RULE_IS_NOT, b->plan->tunnel_port);
	if (has_dns(b))
		rule_match_number(rule, RULE_FIELD_TCP_DPORT, RULE_IS_NOT, PORT_DNS);
}

/*
 * Connections that do not leave the pod. Where an included range is on loopback, somebody wants such connections of
 * applications to be captured: then the ranges decide about what is not to the loopback address itself.
 */
static void pod_local(struct chain_builder *b)
{
	struct rule *rule;

	from_passthrough(b);
	to_loopback(b, false);
	self_call(b, PLAN_PROXY_UIDS, "the pod calls itself: to the inbound port");
	self_call(b, PLAN_PROXY_GIDS, "the pod calls itself: to the inbound port, by group");
	if (b->plan->include_loopback)
		return;
	rule = chain_add(b, RULE_RETURN, SETTING_COUNT, "stays in the pod");
	rule_match_name(rule, RULE_FIELD_OIFNAME, "lo");
	but_not_dns(b, rule);
}

static void dns_over(struct chain_builder *b, enum rule_field protocol_port, enum rule_field address,
	enum plan_list servers)
{
	bool all = b->plan->dns == PLAN_DNS_ALL;
	struct rule *rule;

	if (!all && b->plan->lists[servers].count == 0)
		return;
	rule = chain_add_redirect(b, PLAN_DNS_PORT, SETTING_DNS_CAPTURE,
		all ? "DNS to any server" : "DNS to the pod's servers");
	rule_match_number(rule, protocol_port, RULE_IS, PORT_DNS);
	if (!all)
		rule_match_set(b, rule, address, RULE_IN_SET, servers);
}

/* Both transports stand together: whatever lets the one pass lets the other pass. */
static void dns(struct chain_builder *b)
{
	static const enum rule_field ports[] = {RULE_FIELD_UDP_DPORT, RULE_FIELD_TCP_DPORT};

	if (!has_dns(b))
		return;
	for (size_t i = 0; i < sizeof ports / sizeof *ports; i++) {
		dns_over(b, ports[i], RULE_FIELD_IPV4_DADDR, PLAN_DNS_IPV4);
		if (b->plan->dns == PLAN_DNS_SERVERS)
			dns_over(b, ports[i], RULE_FIELD_IPV6_DADDR, PLAN_DNS_IPV6);
	}
	rule_match_number(chain_add(b, RULE_RETURN, SETTING_COUNT, "of UDP, only DNS is redirected"),
		RULE_FIELD_L4PROTO,
		RULE_IS_NOT, IPPROTO_TCP);
}

/*
 * A rule that captures. nft wants the protocol in the same rule as the port to redirect to, although another rule has
 * settled it; a match of ports implies it.
 */
static struct rule *capture(struct chain_builder *b, enum setting setting, const char *comment)
{
	struct rule *rule = chain_add_redirect(b, b->plan->proxy_port, setting, comment);

	rule_match_number(rule, RULE_FIELD_L4PROTO, RULE_IS, IPPROTO_TCP);
	return rule;
}

static void capture_list(struct chain_builder *b, enum plan_list list, const char *comment)
{
	const struct rule_set *set = ruleset_set_of(list);

	if (b->plan->lists[list].count > 0)
		rule_match_set(b, capture(b, set->setting, comment), set->field, RULE_IN_SET, list);
}

static void destinations(struct chain_builder *b)
{
	chain_add_bypass(b, PLAN_EXCLUDED_IPV4, RULE_FIELD_IPV4_DADDR, "bypass: excludeOutboundIPRanges");
	chain_add_bypass(b, PLAN_EXCLUDED_IPV6, RULE_FIELD_IPV6_DADDR, "bypass: excludeOutboundIPRanges");
	if (b->plan->lists[PLAN_INCLUDED_PORTS].count > 0)
		rule_match_set(b,
			chain_add_redirect(b, b->plan->proxy_port, SETTING_INCLUDE_OUTBOUND_PORTS,
				"to the proxy: includeOutboundPorts"),
			RULE_FIELD_TCP_DPORT, RULE_IN_SET, PLAN_INCLUDED_PORTS);
	if (b->plan->include_everything) {
		(void)capture(b, SETTING_INCLUDE_OUTBOUND_IP_RANGES, "to the proxy: includeOutboundIPRanges is *");
		return;
	}
	capture_list(b, PLAN_INCLUDED_IPV4, "to the proxy: includeOutboundIPRanges");
	capture_list(b, PLAN_INCLUDED_IPV6, "to the proxy: includeOutboundIPRanges");
	(void)chain_add(b, RULE_CONTINUE, SETTING_INCLUDE_OUTBOUND_IP_RANGES, "bypass: everything else");
}

void chain_build_outbound(struct chain_builder *b)
{
	chain_begin(b, "outbound", RULE_CHAIN_NAT, RULE_HOOK_OUTPUT, RULESET_PRIORITY_NAT);
	only_some_protocols(b);
	chain_add_bypass(b, PLAN_EXCLUDED_INTERFACES, RULE_FIELD_OIFNAME, "bypass: excludeInterfaces");
	chain_add_bypass(b, PLAN_EXCLUDED_PORTS, dport(b), "bypass: excludeOutboundPorts");
	pod_local(b);
	chain_add_bypass(b, PLAN_PROXY_UIDS, RULE_FIELD_SKUID, "the proxy's own connections");
	chain_add_bypass(b, PLAN_PROXY_GIDS, RULE_FIELD_SKGID, "the proxy's own connections, by group");
	chain_add_groups(b);
	dns(b);
	if (has_dns(b))
		to_loopback(b, true);
	destinations(b);
}

void chain_build_virtual(struct chain_builder *b)
{
	if (b->plan->lists[PLAN_VIRTUAL_INTERFACES].count == 0)
		return;
	chain_begin(b, "virtual", RULE_CHAIN_REGULAR, RULE_HOOK_PREROUTING, 0);
	only_some_protocols(b);
	chain_add_bypass(b, PLAN_EXCLUDED_PORTS, dport(b), "bypass: excludeOutboundPorts");
	dns(b);
	destinations(b);
}

/*
 * Captured DNS over UDP is tracked in a zone of its own. NAT is decided by a connection's first packet, and a connection
 * is known by addresses and ports: when the proxy asks the same server from a port that an application had, its query
 * would be taken for the application's, and come back to the proxy.
 */
static void zone(struct chain_builder *b, enum rule_field port, uint16_t number, enum rule_field address, int list,
	const char *comment)
{
	struct rule *rule = chain_add(b, RULE_SET_ZONE, SETTING_DNS_CAPTURE, comment);

	rule->number = RULESET_DNS_ZONE;
	rule_match_number(rule, port, RULE_IS, number);
	if (list >= 0)
		rule_match_set(b, rule, address, RULE_IN_SET, (enum plan_list)list);
}

static void zone_queries(struct chain_builder *b)
{
	static const char comment[] = "DNS that is captured is tracked apart from the proxy's";

	if (b->plan->dns == PLAN_DNS_ALL)
		zone(b, RULE_FIELD_UDP_DPORT, PORT_DNS, RULE_FIELD_L4PROTO, -1, comment);
	if (b->plan->lists[PLAN_DNS_IPV4].count > 0)
		zone(b, RULE_FIELD_UDP_DPORT, PORT_DNS, RULE_FIELD_IPV4_DADDR, PLAN_DNS_IPV4, comment);
	if (b->plan->lists[PLAN_DNS_IPV6].count > 0)
		zone(b, RULE_FIELD_UDP_DPORT, PORT_DNS, RULE_FIELD_IPV6_DADDR, PLAN_DNS_IPV6, comment);
}

void chain_build_dns_zones(struct chain_builder *b)
{
	if (!has_dns(b))
		return;
	chain_begin(b, "dns_zone", RULE_CHAIN_FILTER, RULE_HOOK_OUTPUT, RULESET_PRIORITY_RAW);
	chain_add_bypass(b, PLAN_EXCLUDED_INTERFACES, RULE_FIELD_OIFNAME, "bypass: excludeInterfaces");
	zone(b, RULE_FIELD_UDP_SPORT, PLAN_DNS_PORT, RULE_FIELD_SKUID, PLAN_PROXY_UIDS,
		"the proxy's answers to captured DNS");
	zone(b, RULE_FIELD_UDP_SPORT, PLAN_DNS_PORT, RULE_FIELD_SKGID, PLAN_PROXY_GIDS,
		"the proxy's answers to captured DNS, by group");
	chain_add_bypass(b, PLAN_PROXY_UIDS, RULE_FIELD_SKUID, "the proxy's own packets");
	chain_add_bypass(b, PLAN_PROXY_GIDS, RULE_FIELD_SKGID, "the proxy's own packets, by group");
	chain_add_groups(b);
	zone_queries(b);
	if (b->plan->lists[PLAN_VIRTUAL_INTERFACES].count == 0)
		return;
	chain_begin(b, "dns_zone_virtual", RULE_CHAIN_FILTER, RULE_HOOK_PREROUTING, RULESET_PRIORITY_RAW);
	chain_add_bypass(b, PLAN_EXCLUDED_INTERFACES, RULE_FIELD_IIFNAME, "bypass: excludeInterfaces");
	rule_match_set(b, chain_add(b, RULE_RETURN, SETTING_KUBEVIRT_INTERFACES, "not of a virtual machine"),
		RULE_FIELD_IIFNAME,
		RULE_NOT_IN_SET, PLAN_VIRTUAL_INTERFACES);
	zone_queries(b);
}
