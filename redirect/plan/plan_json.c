/* SPDX-License-Identifier: Apache-2.0 */
#include "redirect/plan/plan_json.h"

#include "redirect/base/json.h"
#include "redirect/plan/rule_value.h"
#include "redirect/plan/ruleset.h"

static void write_list(const struct redirect_plan *plan, enum plan_list list, FILE *out)
{
	const struct rule_set *set = ruleset_set_of(list);
	const struct interval_list *items = &plan->lists[list];

	(void)fprintf(out, "    \"%s\": [", set->name);
	for (size_t i = 0; i < items->count; i++) {
		char value[RULE_VALUE_SIZE];

		(void)fputs(i > 0 ? ", " : "", out);
		if (set->field == RULE_FIELD_OIFNAME) /* is quoted already, and holds nothing to escape */
			(void)fputs(rule_value_format(value, set->field, &items->items[i]), out);
		else
			json_write_string(out, rule_value_format(value, set->field, &items->items[i]));
	}
	(void)fputs(list + 1 < PLAN_LIST_COUNT ? "],\n" : "]\n", out);
}

void plan_write_json(const struct redirect_plan *plan, FILE *out)
{
	char value[RULE_VALUE_SIZE];

	(void)fprintf(out, "{\n  \"interception\": \"%s\",\n",
		plan->interception == PLAN_INTERCEPTION_NONE ? "NONE" : "REDIRECT");
	(void)fprintf(out, "  \"proxy_port\": %u,\n", plan->proxy_port);
	(void)fprintf(out, "  \"include_everything\": %s,\n", plan->include_everything ? "true" : "false");
	(void)fprintf(out, "  \"include_loopback\": %s,\n", plan->include_loopback ? "true" : "false");
	(void)fputs("  \"loopback\": ", out);
	json_write_string(out, rule_value_format(value, RULE_FIELD_IPV4_DADDR, &plan->loopback));
	(void)fputs(",\n  \"lists\": {\n", out);
	for (enum plan_list l = 0; l < PLAN_LIST_COUNT; l++)
		write_list(plan, l, out);
	(void)fputs("  }\n}\n", out);
}
