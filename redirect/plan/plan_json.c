/* SPDX-License-Identifier: Apache-2.0 */
#include "redirect/plan/plan_json.h"

#include "redirect/base/json.h"
#include "redirect/plan/rule_value.h"
#include "redirect/plan/ruleset.h"

static void write_list(const struct redirect_plan *plan, enum plan_list list, FILE *out)
{
	const struct rule_set *set = ruleset_set_of(list);
	const struct interval_list *items = &plan->lists[list];
	bool names = set->field == RULE_FIELD_OIFNAME || set->field == RULE_FIELD_IIFNAME;

	(void)fprintf(out, "    \"%s\": [", set->name);
	for (size_t i = 0; i < items->count; i++) {
		char value[RULE_VALUE_SIZE];

		(void)fputs(i > 0 ? ", " : "", out);
		if (names) /* are quoted already, and hold nothing to escape */
			(void)fputs(rule_value_format(value, set->field, &items->items[i]), out);
		else
			json_write_string(out, rule_value_format(value, set->field, &items->items[i]));
	}
	(void)fputs(list + 1 < PLAN_LIST_COUNT ? "],\n" : "]\n", out);
}

static void write_switch(const char *name, bool on, FILE *out)
{
	(void)fprintf(out, "  \"%s\": %s,\n", name, on ? "true" : "false");
}

static void write_number(const char *name, uint32_t number, FILE *out)
{
	(void)fprintf(out, "  \"%s\": %u,\n", name, number);
}

void plan_write_json(const struct redirect_plan *plan, FILE *out)
{
	static const char *const modes[] = {[PLAN_INTERCEPTION_NONE] = "NONE", [PLAN_INTERCEPTION_REDIRECT] = "REDIRECT",
		[PLAN_INTERCEPTION_TPROXY] = "TPROXY"};
	static const char *const dns[] = {
		[PLAN_DNS_OFF] = "off", [PLAN_DNS_SERVERS] = "servers", [PLAN_DNS_ALL] = "all"};
	char value[RULE_VALUE_SIZE];

	(void)fprintf(out, "{\n  \"interception\": \"%s\",\n", modes[plan->interception]);
	write_number("proxy_port", plan->proxy_port, out);
	write_number("inbound_port", plan->inbound_port, out);
	write_number("tunnel_port", plan->tunnel_port, out);
	write_switch("include_everything", plan->include_everything, out);
	write_switch("include_loopback", plan->include_loopback, out);
	write_switch("include_all_inbound", plan->include_all_inbound, out);
	write_switch("include_all_groups", plan->include_all_groups, out);
	write_switch("drop_invalid", plan->drop_invalid, out);
	(void)fprintf(out, "  \"dns\": \"%s\",\n", dns[plan->dns]);
	write_number("tproxy_mark", plan->tproxy_mark, out);
	write_number("tproxy_table", plan->tproxy_table, out);
	(void)fputs("  \"loopback\": ", out);
	json_write_string(out, rule_value_format(value, RULE_FIELD_IPV4_DADDR, &plan->loopback));
	(void)fputs(",\n  \"lists\": {\n", out);
	for (enum plan_list l = 0; l < PLAN_LIST_COUNT; l++)
		write_list(plan, l, out);
	(void)fputs("  }\n}\n", out);
}
