/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is said about each kind of wrong text, for every setting and every way, and about what is not built.
 */
#include "tests/unit/plan_fixture.h"

#include <errno.h>
#include <stdlib.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_items_are_named),
		cmocka_unit_test(empty_items_are_named),
		cmocka_unit_test(a_quarter_of_a_mebibyte_of_nonsense_is_one_short_error),
		cmocka_unit_test(nul_bytes_do_not_end_an_item),
		cmocka_unit_test(what_is_not_built_is_refused_when_asked_for),
	};

	return cmocka_run_group_tests_name("plan: wrong texts", tests, NULL, NULL);
}
