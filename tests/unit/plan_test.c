/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From settings to the plan: what each setting puts into it, and that the way a setting comes by makes no difference.
 */
#include "tests/unit/plan_fixture.h"

#include <errno.h>
#include <stdint.h>

/* --- what each setting does */

static void defaults_of_pods_and_flags(void **state)
{
	struct settings settings;
	struct redirect_plan plan;

	(void)state;
	settings_init_for_pod(&settings);
	build(&settings, &plan);
	assert_int_equal(plan.interception, PLAN_INTERCEPTION_REDIRECT);
	assert_true(plan.include_everything);
	assert_false(plan.include_loopback);
	assert_int_equal(plan.proxy_port, 15001);
	assert_string_equal(list_text(&plan.lists[PLAN_PROXY_UIDS]), "0.0.5.57-0.0.5.57");
	assert_string_equal(list_text(&plan.lists[PLAN_PROXY_GIDS]), "0.0.5.57-0.0.5.57");
	for (enum plan_list l = PLAN_EXCLUDED_INTERFACES; l < PLAN_LIST_COUNT; l++)
		if (l != PLAN_EXCLUDED_INBOUND_PORTS)
			assert_int_equal(plan.lists[l].count, 0);
	assert_string_equal(list_text(&plan.lists[PLAN_EXCLUDED_INBOUND_PORTS]), "15020-15021 15090-15090");
	assert_true(plan.include_all_groups);
	assert_false(plan.include_all_inbound || plan.drop_invalid);
	assert_int_equal(plan.dns, PLAN_DNS_OFF);
	assert_int_equal(plan.inbound_port, 15006);
	assert_int_equal(plan.tunnel_port, 15008);
	assert_int_equal(plan.tproxy_mark, 1337);
	assert_int_equal(plan.tproxy_table, 133);
	assert_int_equal(report.warning_count, 0);
	plan_free(&plan);

	settings_init_for_flags(&settings);
	build(&settings, &plan);
	assert_false(plan.include_everything);
	assert_int_equal(report.warning_count, 1);
	assert_string_equal(report.warnings[0], "no range and no port is included: nothing is redirected");
	plan_free(&plan);
}

static void lists_are_read_and_merged(void **state)
{
	static const struct {
		enum setting setting;
		const char *text;
		enum plan_list list;
		const char *expected;
	} rows[] = {
		{SETTING_INCLUDE_OUTBOUND_IP_RANGES, "10.0.0.1/24", PLAN_INCLUDED_IPV4, "10.0.0.0-10.0.0.255"},
		{SETTING_INCLUDE_OUTBOUND_IP_RANGES, " 10.0.0.1 ,\t192.0.2.0/31 ", PLAN_INCLUDED_IPV4,
			"10.0.0.1-10.0.0.1 192.0.2.0-192.0.2.1"},
		{SETTING_INCLUDE_OUTBOUND_IP_RANGES, "10.4.0.0/14,10.7.240.0/20", PLAN_INCLUDED_IPV4,
			"10.4.0.0-10.7.255.255"},
		{SETTING_INCLUDE_OUTBOUND_IP_RANGES, "10.96.0.2/24,10.96.0.3/24", PLAN_INCLUDED_IPV4,
			"10.96.0.0-10.96.0.255"},
		{SETTING_INCLUDE_OUTBOUND_IP_RANGES, "0.0.0.0/0", PLAN_INCLUDED_IPV4, "0.0.0.0-255.255.255.255"},
		{SETTING_INCLUDE_OUTBOUND_IP_RANGES, "::/0", PLAN_INCLUDED_IPV6,
			"::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{SETTING_INCLUDE_OUTBOUND_IP_RANGES, "10.0.0.0/8,2001:db8::1/33", PLAN_INCLUDED_IPV6,
			"2001:db8::-2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"},
		{SETTING_INCLUDE_OUTBOUND_IP_RANGES, "::ffff:10.0.0.0/104", PLAN_INCLUDED_IPV4, "10.0.0.0-10.255.255.255"},
		{SETTING_EXCLUDE_OUTBOUND_IP_RANGES, "169.254.169.254", PLAN_EXCLUDED_IPV4,
			"169.254.169.254-169.254.169.254"},
		{SETTING_EXCLUDE_OUTBOUND_IP_RANGES, "fe80::/10", PLAN_EXCLUDED_IPV6,
			"fe80::-febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{SETTING_INCLUDE_OUTBOUND_PORTS, "443,80-90,85-100", PLAN_INCLUDED_PORTS, "80-100 443-443"},
		{SETTING_EXCLUDE_OUTBOUND_PORTS, "5432,6000:6010,0,65535", PLAN_EXCLUDED_PORTS,
			"0-0 5432-5432 6000-6010 65535-65535"},
		{SETTING_PROXY_UID, "0,1337,1338", PLAN_PROXY_UIDS, "0.0.0.0-0.0.0.0 0.0.5.57-0.0.5.58"},
		{SETTING_PROXY_UID, "256-511", PLAN_PROXY_GIDS, "0.0.1.0-0.0.1.255"},
		{SETTING_PROXY_GID, "4294967294", PLAN_PROXY_GIDS, "255.255.255.254-255.255.255.254"},
		{SETTING_INCLUDE_INBOUND_PORTS, "80, 8080-8090", PLAN_INCLUDED_INBOUND_PORTS, "80-80 8080-8090"},
		{SETTING_EXCLUDE_INBOUND_PORTS, "22", PLAN_EXCLUDED_INBOUND_PORTS, "22-22"},
		{SETTING_INCLUDE_OWNER_GROUPS, "256,259", PLAN_INCLUDED_GROUPS, "0.0.1.0-0.0.1.0 0.0.1.3-0.0.1.3"},
		{SETTING_EXCLUDE_OWNER_GROUPS, "256-258", PLAN_EXCLUDED_GROUPS, "0.0.1.0-0.0.1.2"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct settings settings;
		struct redirect_plan plan;

		settings_init_for_pod(&settings);
		set(&settings, rows[i].setting, SETTING_WAY_CONFIGURATION, rows[i].text);
		build(&settings, &plan);
		assert_string_equal(list_text(&plan.lists[rows[i].list]), rows[i].expected);
		plan_free(&plan);
	}
}

static void interfaces_are_names_or_patterns(void **state)
{
	struct settings settings;
	struct redirect_plan plan;
	const struct interval_list *list = &plan.lists[PLAN_EXCLUDED_INTERFACES];

	(void)state;
	settings_init_for_pod(&settings);
	set(&settings, SETTING_EXCLUDE_INTERFACES, SETTING_WAY_ANNOTATION, "net1, eth+,eth0,1abc*,fifteen_bytes_x");
	build(&settings, &plan);
	assert_int_equal(list->count, 4);
	assert_memory_equal(list->items[0].first, "1abc\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	assert_memory_equal(list->items[0].last, "1abc\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 16);
	assert_memory_equal(list->items[1].first, "eth\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	assert_memory_equal(list->items[2].first, "fifteen_bytes_x\0", 16);
	assert_memory_equal(list->items[3].last, "net1\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	plan_free(&plan);
}

static void wildcard_empty_and_loopback(void **state)
{
	static const struct {
		const char *include;
		bool everything;
		bool loopback;
	} rows[] = {
		{"*", true, false},
		{" * ", true, false},
		{"", false, false},
		{"  ", false, false},
		{"0.0.0.0/0", false, false},
		{"127.1.2.3/32", false, true},
		{"10.0.0.0/8,::1", false, true},
		{"126.0.0.0/7", false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct settings settings;
		struct redirect_plan plan;

		settings_init_for_pod(&settings);
		set(&settings, SETTING_INCLUDE_OUTBOUND_IP_RANGES, SETTING_WAY_ANNOTATION, rows[i].include);
		build(&settings, &plan);
		assert_int_equal(plan.include_everything, rows[i].everything);
		assert_int_equal(plan.include_loopback, rows[i].loopback);
		plan_free(&plan);
	}
}

static void numbers_and_modes(void **state)
{
	struct settings settings;
	struct redirect_plan plan;

	(void)state;
	settings_init_for_flags(&settings);
	set(&settings, SETTING_PROXY_PORT, SETTING_WAY_FLAG, "15101");
	set(&settings, SETTING_LOOPBACK_CIDR, SETTING_WAY_ENVIRONMENT, "127.3.0.9/16");
	set(&settings, SETTING_INTERCEPTION_MODE, SETTING_WAY_FLAG, "NONE");
	set(&settings, SETTING_PROXY_UID, SETTING_WAY_FLAG, "");
	set(&settings, SETTING_INBOUND_PORT, SETTING_WAY_FLAG, "15106");
	set(&settings, SETTING_INBOUND_TUNNEL_PORT, SETTING_WAY_FLAG, "15108");
	set(&settings, SETTING_TPROXY_MARK, SETTING_WAY_FLAG, "4294967295");
	set(&settings, SETTING_TPROXY_ROUTE_TABLE, SETTING_WAY_FLAG, "256");
	build(&settings, &plan);
	assert_int_equal(plan.proxy_port, 15101);
	assert_int_equal(plan.inbound_port, 15106);
	assert_int_equal(plan.tunnel_port, 15108);
	assert_int_equal(plan.tproxy_mark, UINT32_MAX);
	assert_int_equal(plan.tproxy_table, 256);
	assert_memory_equal(plan.loopback.first, ((uint8_t[]){127, 3, 0, 0}), 4);
	assert_memory_equal(plan.loopback.last, ((uint8_t[]){127, 3, 255, 255}), 4);
	assert_int_equal(plan.interception, PLAN_INTERCEPTION_NONE);
	assert_string_equal(list_text(&plan.lists[PLAN_PROXY_UIDS]), "0.0.5.57-0.0.5.57");
	plan_free(&plan);
}

/* Of the settings of DNS: on, for all servers, the servers, excluded ports; and what comes of them. */
static void dns_needs_a_server_and_its_port(void **state)
{
	static const struct {
		const char *on;
		const char *all;
		const char *servers;
		const char *excluded;
		enum plan_dns dns;
		const char *warning;
	} rows[] = {
		{"false", "true", "10.0.0.53", "", PLAN_DNS_OFF, NULL},
		{"true", "true", "", "", PLAN_DNS_ALL, NULL},
		{"true", "false", "10.0.0.53,fd00::53", "", PLAN_DNS_SERVERS, NULL},
		{"true", "false", "fd00::53", "", PLAN_DNS_SERVERS, NULL},
		{"true", "false", "", "", PLAN_DNS_OFF, "flag --redirect-dns has no effect: no DNS server is known"},
		{"true", "true", "", "50-60", PLAN_DNS_OFF, "flag --redirect-dns has no effect: port 53 is excluded"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct settings settings;
		struct redirect_plan plan;

		settings_init_for_flags(&settings);
		set(&settings, SETTING_INCLUDE_OUTBOUND_IP_RANGES, SETTING_WAY_FLAG, "*");
		settings_set(&settings, SETTING_DNS_CAPTURE, strcmp(rows[i].on, "true") == 0 ? SETTING_WAY_FLAG
			: SETTING_WAY_DEFAULT, "redirect-dns", rows[i].on, strlen(rows[i].on));
		set(&settings, SETTING_CAPTURE_ALL_DNS, SETTING_WAY_FLAG, rows[i].all);
		set(&settings, SETTING_DNS_SERVERS, SETTING_WAY_FLAG, rows[i].servers);
		set(&settings, SETTING_EXCLUDE_OUTBOUND_PORTS, SETTING_WAY_FLAG, rows[i].excluded);
		build(&settings, &plan);
		assert_int_equal(plan.dns, rows[i].dns);
		assert_int_equal(plan.lists[PLAN_DNS_IPV4].count + plan.lists[PLAN_DNS_IPV6].count > 0,
			rows[i].dns == PLAN_DNS_SERVERS);
		assert_int_equal(report.warning_count, rows[i].warning != NULL);
		if (rows[i].warning != NULL)
			assert_string_equal(report.warnings[0], rows[i].warning);
		plan_free(&plan);
	}
}

static void no_groups_are_not_all_groups(void **state)
{
	static const struct {
		const char *include;
		bool all;
		size_t count;
	} rows[] = {{"*", true, 0}, {"", false, 0}, {"7,9", false, 2}};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct settings settings;
		struct redirect_plan plan;

		settings_init_for_pod(&settings);
		set(&settings, SETTING_INCLUDE_OWNER_GROUPS, SETTING_WAY_ANNOTATION, rows[i].include);
		build(&settings, &plan);
		assert_int_equal(plan.include_all_groups, rows[i].all);
		assert_int_equal(plan.lists[PLAN_INCLUDED_GROUPS].count, rows[i].count);
		plan_free(&plan);
	}
}

static void both_names_of_virtual_interfaces_count(void **state)
{
	struct settings settings;
	struct redirect_plan plan;

	(void)state;
	settings_init_for_pod(&settings);
	set(&settings, SETTING_KUBEVIRT_INTERFACES, SETTING_WAY_ANNOTATION, "tap0");
	set(&settings, SETTING_REROUTE_VIRTUAL_INTERFACES, SETTING_WAY_ANNOTATION, "k6t-eth0,tap0");
	build(&settings, &plan);
	assert_int_equal(plan.lists[PLAN_VIRTUAL_INTERFACES].count, 2);
	plan_free(&plan);
}

static void tables_of_the_system_are_refused(void **state)
{
	struct settings settings;
	struct redirect_plan plan;

	(void)state;
	settings_init_for_flags(&settings);
	set(&settings, SETTING_TPROXY_ROUTE_TABLE, SETTING_WAY_ENVIRONMENT, "254");
	assert_int_equal(plan_build(&settings, &plan, &report), -EINVAL);
	assert_string_equal(report.error.text, "environment variable ISTIO_INBOUND_TPROXY_ROUTE_TABLE: table 254 is the "
					       "system's own; valid: one number, but not 253, 254, 255");
}

/* --- the way does not matter */

/* A text of each setting's kind that asks for something else than the default. */
static const char *other_text(enum setting setting)
{
	switch (setting_spec(setting)->kind) {
	case SETTING_KIND_MODE:
		return "NONE";
	case SETTING_KIND_RANGES:
	case SETTING_KIND_RANGES_ALL:
		return "10.0.0.0/8, 2001:db8::/32, 10.1.0.0/16";
	case SETTING_KIND_PORTS:
	case SETTING_KIND_PORTS_ALL:
		return "80, 1000-2000";
	case SETTING_KIND_INTERFACES:
		return "net1,eth+";
	case SETTING_KIND_IDS:
	case SETTING_KIND_GROUPS:
	case SETTING_KIND_GROUPS_ONLY:
		return "1000-1010,7";
	case SETTING_KIND_SWITCH:
		return setting == SETTING_CAPTURE_ALL_DNS ? "false" : "true";
	case SETTING_KIND_PORT:
		return "15101";
	case SETTING_KIND_NUMBER:
		return "99";
	case SETTING_KIND_LOOPBACK:
		return "127.0.0.0/8";
	default:
		return setting_spec(setting)->pod_default;
	}
}

static void equal_settings_give_equal_plans(void **state)
{
	(void)state;
	for (enum setting s = 0; s < SETTING_COUNT; s++) {
		struct redirect_plan first;
		bool have_first = false;

		if (setting_spec(s)->inert != NULL)
			continue;
		for (enum setting_way way = SETTING_WAY_CONFIGURATION; way <= SETTING_WAY_ENVIRONMENT; way++) {
			bool pod = way == SETTING_WAY_CONFIGURATION || way == SETTING_WAY_ANNOTATION;
			struct settings settings;
			struct redirect_plan plan;

			if (!has_way(s, way))
				continue;
			if (pod)
				settings_init_for_pod(&settings);
			else
				settings_init_for_flags(&settings);
			/* The two programs differ in this default, and only in defaults. */
			if (s != SETTING_INCLUDE_OUTBOUND_IP_RANGES)
				set(&settings, SETTING_INCLUDE_OUTBOUND_IP_RANGES,
					pod ? SETTING_WAY_ANNOTATION : SETTING_WAY_FLAG, "10.0.0.0/8");
			/* Here, too: the plugin knows no servers, and captures DNS to all of them. */
			if (s == SETTING_DNS_CAPTURE)
				set(&settings, SETTING_CAPTURE_ALL_DNS, SETTING_WAY_FLAG, "true");
			set(&settings, s, way, other_text(s));
			/* And of ports that are not captured. */
			set(&settings, SETTING_EXCLUDE_INBOUND_PORTS, SETTING_WAY_FLAG, "22");
			build(&settings, &plan);
			if (have_first && !plan_equal(&first, &plan))
				fail_msg("%s: the plan depends on the way", setting_spec(s)->pod_default);
			if (have_first) {
				plan_free(&plan);
			} else {
				first = plan;
				have_first = true;
			}
		}
		assert_true(have_first);
		plan_free(&first);
	}
}

/* A setting whose reader was forgotten would leave the plan as it is. */
static void every_built_setting_changes_the_plan(void **state)
{
	(void)state;
	for (enum setting s = 0; s < SETTING_COUNT; s++) {
		struct redirect_plan plain;
		struct redirect_plan changed;
		struct settings settings;

		if (setting_spec(s)->inert != NULL)
			continue;
		settings_init_for_pod(&settings);
		/* Of these two, each shows where the other is not what it is by default. */
		if (s == SETTING_CAPTURE_ALL_DNS || s == SETTING_DNS_SERVERS) {
			set(&settings, SETTING_DNS_CAPTURE, SETTING_WAY_CONFIGURATION, "true");
			set(&settings, SETTING_CAPTURE_ALL_DNS, SETTING_WAY_FLAG, s == SETTING_DNS_SERVERS ? "false" : "true");
		}
		build(&settings, &plain);
		settings_set(&settings, s, SETTING_WAY_CONFIGURATION, "x", other_text(s), strlen(other_text(s)));
		build(&settings, &changed);
		if (plan_equal(&plain, &changed))
			fail_msg("setting %d has no effect on the plan", (int)s);
		plan_free(&plain);
		plan_free(&changed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_of_pods_and_flags),
		cmocka_unit_test(lists_are_read_and_merged),
		cmocka_unit_test(interfaces_are_names_or_patterns),
		cmocka_unit_test(wildcard_empty_and_loopback),
		cmocka_unit_test(numbers_and_modes),
		cmocka_unit_test(dns_needs_a_server_and_its_port),
		cmocka_unit_test(no_groups_are_not_all_groups),
		cmocka_unit_test(both_names_of_virtual_interfaces_count),
		cmocka_unit_test(tables_of_the_system_are_refused),
		cmocka_unit_test(equal_settings_give_equal_plans),
		cmocka_unit_test(every_built_setting_changes_the_plan),
	};

	return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
