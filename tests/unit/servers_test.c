/* SPDX-License-Identifier: Apache-2.0 */
/* What resolv.conf says of servers. */
#include "proxy/dns/servers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEXT_SIZE ERROR_TEXT_SIZE

/* The servers as one text; what of the file is not taken goes to `note`. */
static const char *read_servers(const char *file, char note[TEXT_SIZE], struct servers *servers)
{
	static char text[TEXT_SIZE];
	char one[ADDRESS_TEXT_SIZE];
	size_t used = 0;
	struct error e;

	note[0] = '\0';
	if (servers_read(file, strlen(file), servers, &e) > 0)
		(void)snprintf(note, TEXT_SIZE, "%s", e.text);
	assert_in_range(servers->count, 1, SERVERS_MAX);
	for (size_t i = 0; i < servers->count; i++)
		used += (size_t)snprintf(text + used, sizeof text - used, "%s%s%s%s", i > 0 ? " " : "",
			endpoint_format(one, &servers->items[i].endpoint), *servers->items[i].scope != '\0' ? "%" : "",
			servers->items[i].scope);
	return text;
}

static void servers_by_line(void **state)
{
	static const struct {
		const char *file;
		const char *servers;
		const char *note;
	} rows[] = {
		{"nameserver 10.96.0.10\n", "10.96.0.10:53", ""},
		{"nameserver 10.96.0.10", "10.96.0.10:53", ""},
		{"# a comment\n; another\nsearch a.b c.d\nnameserver\t10.0.0.1  # first\r\nnameserver 10.0.0.2;x\n",
			"10.0.0.1:53 10.0.0.2:53", ""},
		{"nameserver ::1\nnameserver 2001:db8::53\nnameserver 8.8.8.8\n", "[::1]:53 [2001:db8::53]:53 8.8.8.8:53", ""},
		{"nameserver 10.0.0.1:5353\nnameserver [10.0.0.2]\nnameserver [2001:db8::1]:54\n",
			"10.0.0.1:5353 10.0.0.2:53 [2001:db8::1]:54", ""},
		{"nameserver fe80::1%eth0\nnameserver [fe80::2%3]:5353\n", "[fe80::1]:53%eth0 [fe80::2]:5353%3", ""},
		{"nameserver 2001:db8::1%eth0\n", "[2001:db8::1]:53", ""},
		{" nameserver 10.0.0.1\nnameservers 10.0.0.2\nNAMESERVER 10.0.0.3\nnameserver 10.0.0.4\n", "10.0.0.4:53", ""},
		/* not taken */
		{"", "127.0.0.1:53", "it names no server: 127.0.0.1 is asked"},
		{"search example.org\n", "127.0.0.1:53", "it names no server: 127.0.0.1 is asked"},
		{"\nnameserver dns.example\nnameserver 10.0.0.1\n", "10.0.0.1:53",
			"line 2: \"dns.example\" is no server's address, and is passed over"},
		{"nameserver\n", "127.0.0.1:53",
			"127.0.0.1 is asked, since no other server is named: line 1: \"\" is no server's address, and is passed over"},
		{"nameserver 1.1.1.1\nnameserver 2.2.2.2\nnameserver 3.3.3.3\nnameserver 4.4.4.4\n", "1.1.1.1:53 2.2.2.2:53 3.3.3.3:53",
			"line 4: \"4.4.4.4\" is one server more than the three that are asked, and is passed over"},
		{"nameserver fe80::1\nnameserver 10.0.0.1\n", "10.0.0.1:53",
			"line 1: \"fe80::1\" says no interface, as \"fe80::1%eth0\" does, and is passed over"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct servers servers;
		char note[TEXT_SIZE];

		assert_string_equal(read_servers(rows[i].file, note, &servers), rows[i].servers);
		assert_string_equal(note, rows[i].note);
		assert_int_equal(servers.is_default, strncmp(rows[i].servers, "127.", 4) == 0);
	}
}

static void addresses_that_are_none(void **state)
{
	static const char *const words[] = {"10.0.0", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:53x", "[10.0.0.1",
		"[::1]53", "[::1]:", "[]", "[]:53", "::1]", ":53", "[::1%]:53", "fe80::1%", "fe80::1%0123456789abcdef", "fe80::1%a,b",
		"fe80::1%a%b", "fec0::1", "::1%/", "\x01", "10.0.0.1:99999999999999999999"};

	(void)state;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		struct servers servers;
		char note[TEXT_SIZE];
		char file[TEXT_SIZE];

		(void)snprintf(file, sizeof file, "nameserver 10.0.0.9\nnameserver %s\n", words[i]);
		assert_string_equal(read_servers(file, note, &servers), "10.0.0.9:53");
		assert_non_null(strstr(note, "line 2: "));
		assert_non_null(strstr(note, " is no server's address, and is passed over"));
	}
}

static void options_of_servers(void **state)
{
	static const struct {
		const char *file;
		unsigned timeout;
		unsigned attempts;
		bool rotate;
		bool tcp;
		bool has_note;
	} rows[] = {
		{"", SERVERS_TIMEOUT, SERVERS_ATTEMPTS, false, false, false},
		{"options ndots:5 edns0 trust-ad single-request\n", SERVERS_TIMEOUT, SERVERS_ATTEMPTS, false, false, false},
		{"options timeout:1 attempts:3\n", 1, 3, false, false, false},
		{"options\trotate\r\noptions use-vc\n", SERVERS_TIMEOUT, SERVERS_ATTEMPTS, true, true, false},
		{"options timeout:4\noptions timeout:5", 5, SERVERS_ATTEMPTS, false, false, false},
		{"options timeout:0 attempts:0\n", 1, 1, false, false, false},
		{"options timeout:31 attempts:6\n", SERVERS_TIMEOUT_MAX, SERVERS_ATTEMPTS_MAX, false, false, true},
		{"options timeout: attempts:two rotated\n", SERVERS_TIMEOUT, SERVERS_ATTEMPTS, false, false, true},
		{" options rotate\n#options rotate\noption rotate\n", SERVERS_TIMEOUT, SERVERS_ATTEMPTS, false, false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct servers servers;
		char note[TEXT_SIZE];
		char file[TEXT_SIZE];

		(void)snprintf(file, sizeof file, "nameserver 10.0.0.9\n%s", rows[i].file);
		assert_string_equal(read_servers(file, note, &servers), "10.0.0.9:53");
		assert_int_equal(servers.timeout, rows[i].timeout);
		assert_int_equal(servers.attempts, rows[i].attempts);
		assert_int_equal(servers.rotate, rows[i].rotate);
		assert_int_equal(servers.tcp, rows[i].tcp);
		assert_int_equal(note[0] != '\0', rows[i].has_note);
	}
}

/* Every beginning of a file is a file, and is read no further. */
static void files_that_are_cut(void **state)
{
	static const char file[] = "nameserver [fe80::1%eth0]:53\noptions timeout:12 attempts:3\nnameserver 10.0.0.1:5353";

	(void)state;
	for (size_t length = 0; length < sizeof file; length++) {
		char *copy = malloc(length > 0 ? length : 1);
		struct servers servers;
		struct error e;

		assert_non_null(copy);
		memcpy(copy, file, length);
		assert_in_range(servers_read(copy, length, &servers, &e), 0, 1);
		assert_in_range(servers.count, 1, 2);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(servers_by_line),
		cmocka_unit_test(addresses_that_are_none),
		cmocka_unit_test(options_of_servers),
		cmocka_unit_test(files_that_are_cut),
	};

	return cmocka_run_group_tests_name("servers", tests, NULL, NULL);
}
