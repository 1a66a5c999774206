/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the init program takes from the container's files: the servers of a resolv.conf.
 */
#include "init/resolve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static void expect_servers(const char *conf, const char *expected)
{
	char path[] = "/tmp/weir-resolve-XXXXXX";
	int fd = mkstemp(path);
	FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
	char *servers;

	assert_non_null(file);
	assert_true(fputs(conf, file) >= 0);
	assert_int_equal(fclose(file), 0);
	servers = resolve_servers(path);
	assert_int_equal(unlink(path), 0);
	assert_non_null(servers);
	assert_string_equal(servers, expected);
	free(servers);
}

static void servers_are_those_of_nameserver_lines(void **state)
{
	(void)state;
	expect_servers("", "");
	expect_servers("search example\noptions ndots:5\n", "");
	expect_servers("nameserver 10.96.0.10\n", "10.96.0.10");
	expect_servers("nameserver\t10.96.0.10 # the cluster's\nnameserver fd00::a\r\nnameserver  127.0.0.53",
		"10.96.0.10,fd00::a,127.0.0.53");
	expect_servers("nameserver fe80::1%eth0\nnameserver 10.0.0.1", "fe80::1,10.0.0.1");
	expect_servers("# nameserver 10.0.0.1\n;nameserver 10.0.0.2\n nameserver 10.0.0.3\n", "");
	expect_servers("nameservers 10.0.0.1\nnameserver\nnameserver dns.example\nnameserver 10.0.0.4", "10.0.0.4");
}

static void a_file_that_is_not_there_has_none(void **state)
{
	char *servers = resolve_servers("/nowhere/resolv.conf");

	(void)state;
	assert_non_null(servers);
	assert_string_equal(servers, "");
	free(servers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(servers_are_those_of_nameserver_lines),
		cmocka_unit_test(a_file_that_is_not_there_has_none),
	};

	return cmocka_run_group_tests_name("resolve", tests, NULL, NULL);
}
