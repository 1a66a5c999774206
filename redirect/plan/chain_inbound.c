/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes in: by redirection (chain `inbound`), or by TPROXY, which keeps the client's address (chain `tproxy_inbound`).
 *
 * TPROXY gives a packet to a socket that listens transparently, without touching it. The proxy then calls the
 * application with the client's address, and marks those packets; the application's answers must find back to the proxy
 * although they are addressed to the client, so they are marked like the connection that they belong to, and a route
 * takes what is marked back into the pod. Answers to connections that went through the pod, or out of it, are let alone
 * (ct direction reply), as are packets of connections that are older than the rules: TPROXY finds no transparent socket
 * for them. A new connection that it finds none for has met no proxy, and must not get past it.
 */
#include "redirect/plan/chain.h"

#include <netinet/in.h>

static void only_tcp(struct chain_builder *b)
{
	struct rule *rule = chain_add(b, RULE_RETURN, SETTING_COUNT, "only TCP is captured");

	rule->counted = false;
	rule_match_number(rule, RULE_FIELD_L4PROTO, RULE_IS_NOT, IPPROTO_TCP);
}

/* What is never captured, and what is not where everything else is. */
static void exceptions(struct chain_builder *b)
{
	rule_match_number(chain_add(b, RULE_RETURN, SETTING_INBOUND_TUNNEL_PORT, "bypass: the tunnel port"),
		RULE_FIELD_TCP_DPORT,
		RULE_IS, b->plan->tunnel_port);
	if (b->plan->include_all_inbound)
		chain_add_bypass(b, PLAN_EXCLUDED_INBOUND_PORTS, RULE_FIELD_TCP_DPORT, "bypass: excludeInboundPorts");
}

/* Adds what must match for a rule to capture. */
static void match_captured(struct chain_builder *b, struct rule *rule)
{
	if (b->plan->include_all_inbound)
		rule_match_number(rule, RULE_FIELD_L4PROTO, RULE_IS, IPPROTO_TCP);
	else
		rule_match_set(b, rule, RULE_FIELD_TCP_DPORT, RULE_IN_SET, PLAN_INCLUDED_INBOUND_PORTS);
}

static const char *captured(const struct chain_builder *b)
{
	return b->plan->include_all_inbound ? "to the proxy: includeInboundPorts is *" : "to the proxy: includeInboundPorts";
}

static void everything_else(struct chain_builder *b)
{
	if (!b->plan->include_all_inbound)
		(void)chain_add(b, RULE_CONTINUE, SETTING_INCLUDE_INBOUND_PORTS, "bypass: everything else");
}

void chain_build_inbound(struct chain_builder *b)
{
	bool redirects = plan_captures_inbound(b->plan) && b->plan->interception == PLAN_INTERCEPTION_REDIRECT;
	struct rule *rule;

	if (!redirects && b->plan->lists[PLAN_VIRTUAL_INTERFACES].count == 0)
		return;
	chain_begin(b, "inbound", RULE_CHAIN_NAT, RULE_HOOK_PREROUTING, RULESET_PRIORITY_NAT);
	chain_add_bypass(b, PLAN_EXCLUDED_INTERFACES, RULE_FIELD_IIFNAME, "bypass: excludeInterfaces");
	if (b->plan->lists[PLAN_VIRTUAL_INTERFACES].count > 0) {
		rule = chain_add(b, RULE_GOTO, SETTING_KUBEVIRT_INTERFACES, "of a virtual machine: as outbound");
		rule->target = "virtual";
		rule_match_set(b, rule, RULE_FIELD_IIFNAME, RULE_IN_SET, PLAN_VIRTUAL_INTERFACES);
	}
	if (!redirects) {
		(void)chain_add(b, RULE_CONTINUE, SETTING_INCLUDE_INBOUND_PORTS,
			plan_captures_inbound(b->plan) ? "left to TPROXY" : "bypass: includeInboundPorts is empty");
		return;
	}
	only_tcp(b);
	exceptions(b);
	match_captured(b, chain_add_redirect(b, b->plan->inbound_port, SETTING_INCLUDE_INBOUND_PORTS, captured(b)));
	everything_else(b);
}

static void build_tproxy_answers(struct chain_builder *b)
{
	struct rule *rule;

	chain_begin(b, "tproxy_answers", RULE_CHAIN_ROUTE, RULE_HOOK_OUTPUT, RULESET_PRIORITY_MANGLE);
	rule = chain_add(b, RULE_SET_MARK, SETTING_TPROXY_MARK, "the application's answers go back to the proxy");
	rule_match_number(rule, RULE_FIELD_CT_MARK, RULE_IS, b->plan->tproxy_mark);
	rule->number = b->plan->tproxy_mark;
}

void chain_build_tproxy(struct chain_builder *b)
{
	const struct redirect_plan *plan = b->plan;
	struct rule *rule;

	if (plan->interception != PLAN_INTERCEPTION_TPROXY || !plan_captures_inbound(plan))
		return;
	chain_begin(b, "tproxy_inbound", RULE_CHAIN_FILTER, RULE_HOOK_PREROUTING, RULESET_PRIORITY_MANGLE);
	only_tcp(b);
	rule = chain_add(b, RULE_SET_CT_MARK, SETTING_TPROXY_MARK,
		"the proxy's, with the client's address: is remembered");
	rule_match_number(rule, RULE_FIELD_MARK, RULE_IS, plan->tproxy_mark);
	rule->number = plan->tproxy_mark;
	rule_match_name(chain_add(b, RULE_RETURN, SETTING_COUNT, "stays in the pod"), RULE_FIELD_IIFNAME, "lo");
	chain_add_bypass(b, PLAN_EXCLUDED_INTERFACES, RULE_FIELD_IIFNAME, "bypass: excludeInterfaces");
	chain_add_bypass(b, PLAN_VIRTUAL_INTERFACES, RULE_FIELD_IIFNAME, "of a virtual machine: as outbound");
	rule_match_number(chain_add(b, RULE_RETURN, SETTING_COUNT,
		"answers to connections that began here or passed through"),
		RULE_FIELD_CT_DIRECTION, RULE_IS, RULE_CT_DIRECTION_REPLY);
	exceptions(b);
	rule = chain_add(b, RULE_TPROXY, SETTING_INCLUDE_INBOUND_PORTS, captured(b));
	match_captured(b, rule);
	rule->port = plan->inbound_port;
	rule->number = plan->tproxy_mark;
	rule = chain_add(b, RULE_DROP, SETTING_INCLUDE_INBOUND_PORTS, "no proxy listens: nothing gets past it");
	if (!plan->include_all_inbound)
		match_captured(b, rule);
	rule_match_number(rule, RULE_FIELD_TCP_FLAGS, RULE_HAS, RULE_TCP_FLAG_SYN);
	everything_else(b);
	build_tproxy_answers(b);
}

void chain_build_invalid(struct chain_builder *b)
{
	if (!b->plan->drop_invalid)
		return;
	chain_begin(b, "invalid", RULE_CHAIN_FILTER, RULE_HOOK_PREROUTING, RULESET_PRIORITY_MANGLE);
	rule_match_number(chain_add(b, RULE_DROP, SETTING_DROP_INVALID, "dropInvalid: of no connection that is known"),
		RULE_FIELD_CT_STATE, RULE_HAS, RULE_CT_STATE_INVALID);
}
