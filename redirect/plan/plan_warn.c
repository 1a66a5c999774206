/* SPDX-License-Identifier: Apache-2.0 */
#include "redirect/plan/plan_warn.h"

#include "redirect/plan/kind.h"
#include "redirect/plan/value.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

void plan_warn(struct plan_report *report, const char *format, ...)
{
	va_list arguments;

	assert(report->warning_count < PLAN_WARNING_MAX);
	va_start(arguments, format);
	(void)vsnprintf(report->warnings[report->warning_count++], PLAN_WARNING_SIZE, format, arguments);
	va_end(arguments);
}

static bool is_given(const struct settings *settings, enum setting setting)
{
	return settings->values[setting].way != SETTING_WAY_DEFAULT &&
	       kind_whole_text(&settings->values[setting]).length > 0;
}

/* Says of a setting that somebody gave that it has no effect, and why. */
static void warn_of(const struct settings *settings, enum setting setting, const char *why, struct plan_report *report)
{
	char origin[128];

	if (is_given(settings, setting))
		plan_warn(report, "%s has no effect: %s", setting_origin(origin, sizeof origin,
			&settings->values[setting]),
			why);
}

static void warn_of_outbound(const struct settings *settings, const struct redirect_plan *plan,
	struct plan_report *report)
{
	static const enum setting bypasses[] = {SETTING_EXCLUDE_OUTBOUND_IP_RANGES, SETTING_EXCLUDE_OUTBOUND_PORTS,
		SETTING_EXCLUDE_INTERFACES};
	bool other = plan_captures_inbound(plan) || plan->dns != PLAN_DNS_OFF;

	if (plan_captures_outbound(plan))
		return;
	plan_warn(report, other ? "no range and no port is included: nothing outbound is redirected"
				: "no range and no port is included: nothing is redirected");
	for (size_t i = 0; !other && i < sizeof bypasses / sizeof *bypasses; i++)
		warn_of(settings, bypasses[i], "nothing is redirected", report);
}

static void warn_of_inbound(const struct settings *settings, const struct redirect_plan *plan,
	struct plan_report *report)
{
	if (!plan_captures_inbound(plan))
		warn_of(settings, SETTING_EXCLUDE_INBOUND_PORTS, "nothing inbound is captured", report);
	else if (!plan->include_all_inbound)
		warn_of(settings, SETTING_EXCLUDE_INBOUND_PORTS, "of inbound ports, only listed ones are captured",
			report);
	if (plan->interception == PLAN_INTERCEPTION_TPROXY && !plan_captures_inbound(plan))
		warn_of(settings, SETTING_INTERCEPTION_MODE, "TPROXY is for inbound, and nothing inbound is captured",
			report);
}

static void warn_of_dns(const struct settings *settings, const struct redirect_plan *plan, struct plan_report *report)
{
	static const uint8_t dns_port[2] = {0, 53};
	struct item asked = kind_whole_text(&settings->values[SETTING_DNS_CAPTURE]);
	bool on = false;

	(void)value_read_switch(asked.text, asked.length, &on);
	if (!on || plan->dns != PLAN_DNS_OFF)
		return;
	if (interval_list_find(&plan->lists[PLAN_EXCLUDED_PORTS], dns_port) != NULL)
		warn_of(settings, SETTING_DNS_CAPTURE, "port 53 is excluded", report);
	else
		warn_of(settings, SETTING_DNS_CAPTURE, "no DNS server is known", report);
}

void plan_warn_of_no_effect(const struct settings *settings, const struct redirect_plan *plan,
	struct plan_report *report)
{
	warn_of_outbound(settings, plan, report);
	if (plan->include_everything && plan->lists[PLAN_INCLUDED_PORTS].count > 0 &&
		plan->lists[PLAN_EXCLUDED_IPV4].count + plan->lists[PLAN_EXCLUDED_IPV6].count == 0)
		warn_of(settings, SETTING_INCLUDE_OUTBOUND_PORTS, "every range is included", report);
	warn_of_inbound(settings, plan, report);
	warn_of_dns(settings, plan, report);
	if (!plan->include_all_groups)
		warn_of(settings, SETTING_EXCLUDE_OWNER_GROUPS, "only listed groups are captured", report);
}
