/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has no effect is worth a warning, but for what templates always pass.
 */
#include "tests/unit/plan_fixture.h"

static void what_templates_always_pass_is_accepted(void **state)
{
	struct redirect_plan plan;
	struct settings settings;

	(void)state;
	settings_init_for_flags(&settings);
	set(&settings, SETTING_INCLUDE_OUTBOUND_IP_RANGES, SETTING_WAY_FLAG, "*");
	set(&settings, SETTING_EXCLUDE_INBOUND_PORTS, SETTING_WAY_FLAG, "15090,15021,15020");
	set(&settings, SETTING_INBOUND_PORT, SETTING_WAY_FLAG, "15006");
	set(&settings, SETTING_INTERCEPTION_MODE, SETTING_WAY_FLAG, "REDIRECT");
	set(&settings, SETTING_INCLUDE_INBOUND_PORTS, SETTING_WAY_FLAG, "");
	set(&settings, SETTING_DNS_CAPTURE, SETTING_WAY_FLAG, "False");
	set(&settings, SETTING_INCLUDE_OWNER_GROUPS, SETTING_WAY_ENVIRONMENT, "*");
	build(&settings, &plan);
	assert_int_equal(report.warning_count, 1);
	assert_string_equal(report.warnings[0], "flag --istio-local-exclude-ports has no effect: nothing inbound is captured");
	plan_free(&plan);
}

static void combinations_without_effect_are_warned_of(void **state)
{
	struct redirect_plan plan;
	struct settings settings;

	(void)state;
	settings_init_for_pod(&settings);
	set(&settings, SETTING_INCLUDE_OUTBOUND_IP_RANGES, SETTING_WAY_ANNOTATION, "");
	set(&settings, SETTING_EXCLUDE_OUTBOUND_PORTS, SETTING_WAY_ANNOTATION, "80");
	build(&settings, &plan);
	assert_int_equal(report.warning_count, 2);
	assert_string_equal(report.warnings[1],
		"annotation traffic.sidecar.istio.io/excludeOutboundPorts has no effect: nothing is redirected");
	plan_free(&plan);

	settings_init_for_pod(&settings);
	set(&settings, SETTING_INCLUDE_OUTBOUND_PORTS, SETTING_WAY_ANNOTATION, "80");
	build(&settings, &plan);
	assert_int_equal(report.warning_count, 1);
	assert_string_equal(report.warnings[0],
		"annotation traffic.sidecar.istio.io/includeOutboundPorts has no effect: every range is included");
	plan_free(&plan);

	settings_init_for_pod(&settings);
	set(&settings, SETTING_INCLUDE_OUTBOUND_IP_RANGES, SETTING_WAY_ANNOTATION, "");
	set(&settings, SETTING_INCLUDE_INBOUND_PORTS, SETTING_WAY_ANNOTATION, "80");
	set(&settings, SETTING_EXCLUDE_INBOUND_PORTS, SETTING_WAY_ANNOTATION, "22");
	set(&settings, SETTING_INCLUDE_OWNER_GROUPS, SETTING_WAY_ANNOTATION, "7");
	set(&settings, SETTING_EXCLUDE_OWNER_GROUPS, SETTING_WAY_ANNOTATION, "8");
	build(&settings, &plan);
	assert_int_equal(report.warning_count, 3);
	assert_string_equal(report.warnings[0], "no range and no port is included: nothing outbound is redirected");
	assert_string_equal(report.warnings[1], "annotation traffic.sidecar.istio.io/excludeInboundPorts has no effect: of "
						"inbound ports, only listed ones are captured");
	assert_string_equal(report.warnings[2],
		"annotation weir.dev/excludeOwnerGroups has no effect: only listed groups are captured");
	plan_free(&plan);

	settings_init_for_pod(&settings);
	set(&settings, SETTING_INTERCEPTION_MODE, SETTING_WAY_ANNOTATION, "TPROXY");
	build(&settings, &plan);
	assert_int_equal(report.warning_count, 1);
	assert_string_equal(report.warnings[0], "annotation sidecar.istio.io/interceptionMode has no effect: TPROXY is for "
						"inbound, and nothing inbound is captured");
	plan_free(&plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_templates_always_pass_is_accepted),
		cmocka_unit_test(combinations_without_effect_are_warned_of),
	};

	return cmocka_run_group_tests_name("plan: warnings", tests, NULL, NULL);
}
