/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists that stand in files.
 */
#include "tests/unit/plan_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

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
		cmocka_unit_test(lists_are_read_from_files),
		cmocka_unit_test(files_that_cannot_be_read_are_named),
	};

	return cmocka_run_group_tests_name("setting files", tests, NULL, NULL);
}
