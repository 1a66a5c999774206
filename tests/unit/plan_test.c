/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From settings to the plan: what each setting puts into it, that the way a setting comes by makes no difference, and
 * what is said about each kind of wrong text, for every setting and every way.
 */
#include "redirect/plan/plan.h"

#include "redirect/base/address.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct plan_report report;

static void set(struct settings *settings, enum setting setting, enum setting_way way, const char *text)
{
	const struct setting_spec *spec = setting_spec(setting);
	const char *spelling = way == SETTING_WAY_ANNOTATION      ? spec->annotation
			       : way == SETTING_WAY_CONFIGURATION ? spec->key
			       : way == SETTING_WAY_FLAG          ? spec->flag
								  : spec->environment[0];

	settings_set(settings, setting, way, spelling, text, strlen(text));
}

static bool has_way(enum setting setting, enum setting_way way)
{
	const struct setting_spec *spec = setting_spec(setting);

	switch (way) {
	case SETTING_WAY_ANNOTATION:
		return spec->annotation != NULL;
	case SETTING_WAY_CONFIGURATION:
		return spec->key != NULL;
	case SETTING_WAY_FLAG:
		return spec->flag != NULL;
	case SETTING_WAY_ENVIRONMENT:
		return spec->environment[0] != NULL;
	default:
		return false;
	}
}

/* A merged list as text: ranges of numbers, or of addresses. */
static const char *list_text(const struct interval_list *list)
{
	static char text[1024];
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < list->count; i++) {
		char bounds[2][ADDRESS_TEXT_SIZE];

		for (int b = 0; b < 2; b++) {
			const uint8_t *key = b == 0 ? list->items[i].first : list->items[i].last;
			struct address address = {.bytes = {[10] = 0xff, [11] = 0xff}};

			if (list->key_size == 2)
				(void)snprintf(bounds[b], sizeof *bounds, "%d", key[0] << 8 | key[1]);
			else if (list->key_size == 4)
				memcpy(address.bytes + 12, key, 4);
			else
				memcpy(address.bytes, key, 16);
			if (list->key_size != 2)
				(void)address_format(bounds[b], &address);
		}
		used += (size_t)snprintf(text + used, sizeof text - used, "%s%s-%s", i > 0 ? " " : "", bounds[0], bounds[1]);
	}
	return text;
}

static void build(const struct settings *settings, struct redirect_plan *plan)
{
	int rc = plan_build(settings, plan, &report);

	if (rc < 0)
		fail_msg("%s", report.error.text);
}

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

/* --- wrong texts */

/* What is wrong with a text, by kind; NULL: nothing. Each text is given as second of two items where there are many. */
struct wrong {
	const char *item;
	const char *problem[SETTING_KIND_COUNT];
};

#define NOT_RANGE "not an IP address or CIDR"
#define NOT_NUMBER "not a decimal number"
#define BAD_BYTE "the name holds a byte that no interface name may have"
#define NOT_SWITCH "neither true nor false"

static const struct wrong wrongs[] = {
	{"web.example", {[SETTING_KIND_MODE] = "unknown mode", [SETTING_KIND_RANGES] = NOT_RANGE,
				[SETTING_KIND_RANGES_ALL] = NOT_RANGE, [SETTING_KIND_PORTS] = NOT_NUMBER,
				[SETTING_KIND_PORTS_ALL] = NOT_NUMBER, [SETTING_KIND_IDS] = NOT_NUMBER,
				[SETTING_KIND_GROUPS] = NOT_NUMBER, [SETTING_KIND_GROUPS_ONLY] = NOT_NUMBER,
				[SETTING_KIND_SWITCH] = NOT_SWITCH, [SETTING_KIND_CONTAINMENT] = "unknown word",
				[SETTING_KIND_PORT] = NOT_NUMBER, [SETTING_KIND_NUMBER] = NOT_NUMBER,
				[SETTING_KIND_LOOPBACK] = NOT_RANGE}},
	{"90-80", {[SETTING_KIND_MODE] = "unknown mode", [SETTING_KIND_RANGES] = NOT_RANGE,
			  [SETTING_KIND_RANGES_ALL] = NOT_RANGE, [SETTING_KIND_PORTS] = "the range ends before it begins",
			  [SETTING_KIND_PORTS_ALL] = "the range ends before it begins",
			  [SETTING_KIND_IDS] = "the range ends before it begins",
			  [SETTING_KIND_GROUPS] = "the range ends before it begins",
			  [SETTING_KIND_GROUPS_ONLY] = "the range ends before it begins", [SETTING_KIND_SWITCH] = NOT_SWITCH,
			  [SETTING_KIND_CONTAINMENT] = "unknown word", [SETTING_KIND_PORT] = NOT_NUMBER,
			  [SETTING_KIND_NUMBER] = NOT_NUMBER, [SETTING_KIND_LOOPBACK] = NOT_RANGE}},
	{"99999999999999999999", {[SETTING_KIND_MODE] = "unknown mode", [SETTING_KIND_RANGES] = NOT_RANGE,
					 [SETTING_KIND_RANGES_ALL] = NOT_RANGE,
					 [SETTING_KIND_PORTS] = "the number is too large",
					 [SETTING_KIND_PORTS_ALL] = "the number is too large",
					 [SETTING_KIND_INTERFACES] = "the name is longer than 15 bytes",
					 [SETTING_KIND_IDS] = "the number is too large",
					 [SETTING_KIND_GROUPS] = "the number is too large",
					 [SETTING_KIND_GROUPS_ONLY] = "the number is too large",
					 [SETTING_KIND_SWITCH] = NOT_SWITCH, [SETTING_KIND_CONTAINMENT] = "unknown word",
					 [SETTING_KIND_PORT] = "the number is too large",
					 [SETTING_KIND_NUMBER] = "the number is too large",
					 [SETTING_KIND_LOOPBACK] = NOT_RANGE}},
	{"10.0.0.0/33", {[SETTING_KIND_RANGES] = "the prefix length is not a number from 0 to 32",
				[SETTING_KIND_RANGES_ALL] = "the prefix length is not a number from 0 to 32",
				[SETTING_KIND_MODE] = "unknown mode", [SETTING_KIND_PORTS] = NOT_NUMBER,
				[SETTING_KIND_PORTS_ALL] = NOT_NUMBER, [SETTING_KIND_INTERFACES] = BAD_BYTE,
				[SETTING_KIND_IDS] = NOT_NUMBER, [SETTING_KIND_SWITCH] = NOT_SWITCH,
				[SETTING_KIND_CONTAINMENT] = "unknown word", [SETTING_KIND_PORT] = NOT_NUMBER,
				[SETTING_KIND_NUMBER] = NOT_NUMBER,
				[SETTING_KIND_LOOPBACK] = "the prefix length is not a number from 0 to 32"}},
	{"2001:db8::/129", {[SETTING_KIND_RANGES] = "the prefix length is not a number from 0 to 128",
				   [SETTING_KIND_RANGES_ALL] = "the prefix length is not a number from 0 to 128",
				   [SETTING_KIND_MODE] = "unknown mode", [SETTING_KIND_PORTS] = NOT_NUMBER,
				   [SETTING_KIND_PORTS_ALL] = NOT_NUMBER, [SETTING_KIND_INTERFACES] = BAD_BYTE,
				   [SETTING_KIND_IDS] = NOT_NUMBER, [SETTING_KIND_SWITCH] = NOT_SWITCH,
				   [SETTING_KIND_CONTAINMENT] = "unknown word", [SETTING_KIND_PORT] = NOT_NUMBER,
				   [SETTING_KIND_NUMBER] = NOT_NUMBER,
				   [SETTING_KIND_LOOPBACK] = "the prefix length is not a number from 0 to 128"}},
	/* The wrong family, where there is one. */
	{"::1", {[SETTING_KIND_LOOPBACK] = "not inside 127.0.0.0/8"}},
	{"10.0.0.0/8", {[SETTING_KIND_LOOPBACK] = "not inside 127.0.0.0/8"}},
	{"127.0.0.0/7", {[SETTING_KIND_LOOPBACK] = "not inside 127.0.0.0/8"}},
	{"a\x01"
	 "b",
		{[SETTING_KIND_MODE] = "unknown mode", [SETTING_KIND_RANGES] = NOT_RANGE,
			[SETTING_KIND_RANGES_ALL] = NOT_RANGE, [SETTING_KIND_PORTS] = NOT_NUMBER,
			[SETTING_KIND_PORTS_ALL] = NOT_NUMBER, [SETTING_KIND_INTERFACES] = BAD_BYTE,
			[SETTING_KIND_IDS] = NOT_NUMBER, [SETTING_KIND_GROUPS] = NOT_NUMBER,
			[SETTING_KIND_GROUPS_ONLY] = NOT_NUMBER,
			[SETTING_KIND_SWITCH] = NOT_SWITCH, [SETTING_KIND_CONTAINMENT] = "unknown word",
			[SETTING_KIND_PORT] = NOT_NUMBER, [SETTING_KIND_NUMBER] = NOT_NUMBER,
			[SETTING_KIND_LOOPBACK] = NOT_RANGE}},
	{"010", {[SETTING_KIND_PORTS] = "a number must not begin with 0", [SETTING_KIND_IDS] = "a number must not begin with 0",
			[SETTING_KIND_PORT] = "a number must not begin with 0"}},
	{"0", {[SETTING_KIND_PORT] = "the number is too small", [SETTING_KIND_NUMBER] = "the number is too small"}},
	{"65536", {[SETTING_KIND_PORTS] = "the number is too large", [SETTING_KIND_PORT] = "the number is too large"}},
	{"4294967295", {[SETTING_KIND_IDS] = "the number is too large"}},
	{"80-", {[SETTING_KIND_PORTS] = "a number is missing", [SETTING_KIND_IDS] = "a number is missing"}},
	{"+80", {[SETTING_KIND_PORTS] = NOT_NUMBER}},
	{"-1", {[SETTING_KIND_IDS] = "a number is missing", [SETTING_KIND_PORT] = NOT_NUMBER}},
	{"fe80::1%eth0", {[SETTING_KIND_RANGES] = NOT_RANGE}},
	{"eth\"0", {[SETTING_KIND_INTERFACES] = BAD_BYTE}},
	{"sixteen_bytes_xx", {[SETTING_KIND_INTERFACES] = "the name is longer than 15 bytes"}},
	{"+", {[SETTING_KIND_INTERFACES] = "this pattern is every interface"}},
	{"..", {[SETTING_KIND_INTERFACES] = "\".\" and \"..\" are not interface names"}},
	{"*", {[SETTING_KIND_RANGES_ALL] = "\"*\" stands alone", [SETTING_KIND_PORTS_ALL] = "\"*\" stands alone",
		      [SETTING_KIND_GROUPS] = "\"*\" stands alone", [SETTING_KIND_GROUPS_ONLY] = NOT_NUMBER,
		      [SETTING_KIND_RANGES] = NOT_RANGE, [SETTING_KIND_PORTS] = NOT_NUMBER}},
};

static const char *const valid[] = {
	[SETTING_KIND_MODE] = "REDIRECT, TPROXY, NONE",
	[SETTING_KIND_RANGES] = "IPv4 and IPv6 addresses and CIDRs, separated by commas",
	[SETTING_KIND_RANGES_ALL] = "\"*\" alone, or IPv4 and IPv6 addresses and CIDRs, separated by commas",
	[SETTING_KIND_PORTS] = "ports 0 to 65535 and ranges a-b, separated by commas",
	[SETTING_KIND_PORTS_ALL] = "\"*\" alone, or ports 0 to 65535 and ranges a-b, separated by commas",
	[SETTING_KIND_INTERFACES] =
		"interface names of at most 15 bytes, or beginnings of names with \"+\" or \"*\" behind, separated by commas",
	[SETTING_KIND_IDS] = "IDs 0 to 4294967294 and ranges a-b, separated by commas",
	[SETTING_KIND_GROUPS] = "\"*\" alone, or IDs of groups and ranges a-b (names only for weir-init), separated by commas",
	[SETTING_KIND_GROUPS_ONLY] = "IDs of groups and ranges a-b (names only for weir-init), separated by commas",
	[SETTING_KIND_SWITCH] = "true, false",
	[SETTING_KIND_CONTAINMENT] = "off, audit, strict",
	[SETTING_KIND_PORT] = "one port, 1 to 65535",
	[SETTING_KIND_NUMBER] = "one number, 1 to 4294967295",
	[SETTING_KIND_LOOPBACK] = "one CIDR inside 127.0.0.0/8",
};

/* A first item that is right, for kinds that take several. */
static const char *right_item(enum setting_kind kind)
{
	switch (kind) {
	case SETTING_KIND_RANGES:
	case SETTING_KIND_RANGES_ALL:
		return "192.0.2.1";
	case SETTING_KIND_PORTS:
	case SETTING_KIND_PORTS_ALL:
	case SETTING_KIND_IDS:
	case SETTING_KIND_GROUPS:
	case SETTING_KIND_GROUPS_ONLY:
		return "7";
	case SETTING_KIND_INTERFACES:
		return "net1";
	default:
		return NULL;
	}
}

static void expect_error(enum setting setting, enum setting_way way, const char *text, size_t length,
	const char *expected)
{
	const char *spelling[] = {NULL, setting_spec(setting)->key, setting_spec(setting)->annotation,
		setting_spec(setting)->flag, setting_spec(setting)->environment[0]};
	struct redirect_plan plan;
	struct settings settings;

	settings_init_for_pod(&settings);
	settings_set(&settings, setting, way, spelling[way], text, length);
	assert_int_equal(plan_build(&settings, &plan, &report), -EINVAL);
	assert_string_equal(report.error.text, expected);
	assert_int_equal(report.way, way);
}

/* One wrong item, behind a right one where there may be several. */
static void check_wrong_item(enum setting setting, enum setting_way way, const char *item, const char *problem)
{
	enum setting_kind kind = setting_spec(setting)->kind;
	const char *right = right_item(kind);
	char text[128];
	char expected[ERROR_TEXT_SIZE];
	char origin[128];
	char quote[ERROR_QUOTE_SIZE];
	struct settings settings;

	(void)snprintf(text, sizeof text, "%s%s %s ", right != NULL ? right : "", right != NULL ? "," : "", item);
	settings_init_for_pod(&settings);
	set(&settings, setting, way, text);
	(void)snprintf(expected, sizeof expected, "%s, item %d, %s: %s; valid: %s",
		setting_origin(origin, sizeof origin, &settings.values[setting]), right != NULL ? 2 : 1,
		error_quote(quote, item, strlen(item)), problem, valid[kind]);
	expect_error(setting, way, text, strlen(text), expected);
}

static void wrong_items_are_named(void **state)
{
	(void)state;
	for (enum setting s = 0; s < SETTING_COUNT; s++) {
		for (enum setting_way way = SETTING_WAY_CONFIGURATION; way <= SETTING_WAY_ENVIRONMENT; way++) {
			size_t checked = 0;

			for (size_t w = 0; w < sizeof wrongs / sizeof *wrongs; w++) {
				const char *problem = wrongs[w].problem[setting_spec(s)->kind];

				if (problem == NULL || !has_way(s, way))
					continue;
				check_wrong_item(s, way, wrongs[w].item, problem);
				checked++;
			}
			if (has_way(s, way))
				assert_true(checked >= 4);
		}
	}
}

static void empty_items_are_named(void **state)
{
	(void)state;
	for (enum setting s = 0; s < SETTING_COUNT; s++) {
		enum setting_kind kind = setting_spec(s)->kind;
		const char *right = right_item(kind);
		char text[64];
		char expected[ERROR_TEXT_SIZE];

		if (right == NULL || setting_spec(s)->key == NULL)
			continue;
		(void)snprintf(text, sizeof text, "%s, ,%s", right, right);
		(void)snprintf(expected, sizeof expected, "CNI configuration key %s, item 2 is empty; valid: %s",
			setting_spec(s)->key, valid[kind]);
		expect_error(s, SETTING_WAY_CONFIGURATION, text, strlen(text), expected);
		(void)snprintf(text, sizeof text, "%s,", right);
		expect_error(s, SETTING_WAY_CONFIGURATION, text, strlen(text), expected);
	}
}

static void a_quarter_of_a_mebibyte_of_nonsense_is_one_short_error(void **state)
{
	const size_t size = 256 * 1024;
	char *text = malloc(size);

	(void)state;
	assert_non_null(text);
	memset(text, '\n', size);
	text[0] = 'x';
	text[size - 1] = 'x';
	for (enum setting s = 0; s < SETTING_COUNT; s++) {
		struct settings settings;
		struct redirect_plan plan;

		/* An interface's name may not hold a newline: all kinds refuse this text. */
		settings_init_for_pod(&settings);
		settings_set(&settings, s, SETTING_WAY_ANNOTATION, "x", text, size);
		assert_int_equal(plan_build(&settings, &plan, &report), -EINVAL);
		assert_non_null(strstr(report.error.text, "annotation x, item 1, \"x\\x0a\\x0a"));
		assert_true(strlen(report.error.text) < 512);
	}
	free(text);
}

static void nul_bytes_do_not_end_an_item(void **state)
{
	(void)state;
	expect_error(SETTING_EXCLUDE_OUTBOUND_PORTS, SETTING_WAY_ANNOTATION, "80\0", 3,
		"annotation traffic.sidecar.istio.io/excludeOutboundPorts, item 1, \"80\\x00\": not a decimal number; "
		"valid: ports 0 to 65535 and ranges a-b, separated by commas");
	expect_error(SETTING_INCLUDE_OUTBOUND_IP_RANGES, SETTING_WAY_ANNOTATION, "10.0.0.1\0/8", 11,
		"annotation traffic.sidecar.istio.io/includeOutboundIPRanges, item 1, \"10.0.0.1\\x00/8\": not an IP address "
		"or CIDR; valid: \"*\" alone, or IPv4 and IPv6 addresses and CIDRs, separated by commas");
}

/* --- not built yet */

static void what_is_not_built_is_refused_when_asked_for(void **state)
{
	static const struct {
		enum setting setting;
		const char *text;
		const char *expected;
	} rows[] = {
		{SETTING_CONTAINMENT, "strict", "\"strict\" is not built yet; valid: off"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *name = setting_spec(rows[i].setting)->annotation;
		char expected[ERROR_TEXT_SIZE];
		struct redirect_plan plan;
		struct settings settings;

		(void)snprintf(expected, sizeof expected, "annotation %s: %s", name, rows[i].expected);
		expect_error(rows[i].setting, SETTING_WAY_ANNOTATION, rows[i].text, strlen(rows[i].text), expected);

		settings_init_for_pod(&settings);
		settings_set(&settings, rows[i].setting, SETTING_WAY_DEFAULT, name, rows[i].text, strlen(rows[i].text));
		build(&settings, &plan);
		assert_int_equal(report.warning_count, 1);
		assert_non_null(strstr(report.warnings[0], "which is not built yet and has no effect"));
		plan_free(&plan);
	}
}

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

/* --- list files */

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void lists_are_read_from_files(void **state)
{
	char path[] = "/tmp/weir-plan-XXXXXX";
	char name[64];
	char expected[256];
	struct redirect_plan plan;
	struct settings settings;
	enum setting failed;
	struct error e;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
	(void)snprintf(name, sizeof name, "@%s", path);
	write_file(path, "# ranges of the provider\n10.0.0.0/8, 192.0.2.1\n\n  198.51.100.0/24\t203.0.113.0/24 # last\n");
	settings_init_for_flags(&settings);
	set(&settings, SETTING_INCLUDE_OUTBOUND_IP_RANGES, SETTING_WAY_FLAG, name);
	assert_int_equal(settings_read_files(&settings, &failed, &e), 0);
	build(&settings, &plan);
	assert_string_equal(list_text(&plan.lists[PLAN_INCLUDED_IPV4]),
		"10.0.0.0-10.255.255.255 192.0.2.1-192.0.2.1 198.51.100.0-198.51.100.255 203.0.113.0-203.0.113.255");
	plan_free(&plan);
	settings_free(&settings);

	write_file(path, "10.0.0.0/8\n10.0.0.0/8,nonsense\n");
	settings_init_for_flags(&settings);
	set(&settings, SETTING_INCLUDE_OUTBOUND_IP_RANGES, SETTING_WAY_FLAG, name);
	assert_int_equal(settings_read_files(&settings, &failed, &e), 0);
	assert_int_equal(plan_build(&settings, &plan, &report), -EINVAL);
	(void)snprintf(expected, sizeof expected,
		"flag --istio-service-cidr, file %s, line 2, item 3, \"nonsense\": not an IP address or CIDR", path);
	assert_memory_equal(report.error.text, expected, strlen(expected));
	settings_free(&settings);
	assert_int_equal(unlink(path), 0);
}

static void files_that_cannot_be_read_are_named(void **state)
{
	static const struct {
		enum setting_way way;
		const char *text;
		int rc;
		const char *expected;
	} rows[] = {
		{SETTING_WAY_ANNOTATION, "@/etc/shadow", -EPERM,
			"annotation traffic.sidecar.istio.io/excludeOutboundPorts: a pod cannot make the host read a file (@FILE); "
			"write the items themselves"},
		{SETTING_WAY_CONFIGURATION, "@/nowhere/at/all", -ENOENT,
			"CNI configuration key excludeOutboundPorts: cannot open file /nowhere/at/all: No such file or directory"},
		{SETTING_WAY_FLAG, "@/dev/zero", -EINVAL,
			"flag --istio-local-outbound-ports-exclude: /dev/zero is not a regular file"},
		{SETTING_WAY_ENVIRONMENT, "@", -EINVAL,
			"environment variable ISTIO_LOCAL_OUTBOUND_PORTS_EXCLUDE: \"@\" without the name of a file behind it"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct settings settings;
		enum setting failed = SETTING_COUNT;
		struct error e;

		settings_init_for_pod(&settings);
		set(&settings, SETTING_EXCLUDE_OUTBOUND_PORTS, rows[i].way, rows[i].text);
		assert_int_equal(settings_read_files(&settings, &failed, &e), rows[i].rc);
		assert_int_equal(failed, SETTING_EXCLUDE_OUTBOUND_PORTS);
		assert_string_equal(e.text, rows[i].expected);
		settings_free(&settings);
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
		cmocka_unit_test(wrong_items_are_named),
		cmocka_unit_test(empty_items_are_named),
		cmocka_unit_test(a_quarter_of_a_mebibyte_of_nonsense_is_one_short_error),
		cmocka_unit_test(nul_bytes_do_not_end_an_item),
		cmocka_unit_test(what_is_not_built_is_refused_when_asked_for),
		cmocka_unit_test(what_templates_always_pass_is_accepted),
		cmocka_unit_test(combinations_without_effect_are_warned_of),
		cmocka_unit_test(lists_are_read_from_files),
		cmocka_unit_test(files_that_cannot_be_read_are_named),
	};

	return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
