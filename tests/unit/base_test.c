/* SPDX-License-Identifier: Apache-2.0 */
#include "redirect/base/address.h"
#include "redirect/base/decimal.h"
#include "redirect/base/error.h"
#include "redirect/base/time.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void errors_are_set_and_wrapped(void **state)
{
	struct error e;

	(void)state;
	assert_int_equal(error_set(&e, EINVAL, "item %d", 3), -EINVAL);
	assert_string_equal(e.text, "item 3");
	assert_int_equal(error_wrap(&e, -EINVAL, "file %s", "x"), -EINVAL);
	assert_string_equal(e.text, "file x: item 3");
	assert_int_equal(error_set_errno(&e, ENOENT, "cannot open"), -ENOENT);
	assert_string_equal(e.text, "cannot open: No such file or directory");
	assert_int_equal(error_set(NULL, EIO, "nobody listens"), -EIO);
	assert_int_equal(error_wrap(NULL, -EIO, "nobody listens"), -EIO);
}

static void long_errors_are_cut(void **state)
{
	char text[2 * ERROR_TEXT_SIZE];
	struct error e;

	(void)state;
	memset(text, 'a', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	(void)error_set(&e, EINVAL, "%s", text);
	assert_int_equal(strlen(e.text), ERROR_TEXT_SIZE - 1);
	(void)error_wrap(&e, -EINVAL, "%s", text);
	assert_int_equal(strlen(e.text), ERROR_TEXT_SIZE - 1);
}

static void quotes_escape_and_cut(void **state)
{
	char out[ERROR_QUOTE_SIZE];
	char input[300];

	(void)state;
	assert_string_equal(error_quote(out, "a b", 3), "\"a b\"");
	assert_string_equal(error_quote(out, "\"\\\n\0\xff", 5), "\"\\\"\\\\\\x0a\\x00\\xff\"");
	assert_string_equal(error_quote(out, "", 0), "\"\"");
	memset(input, '\n', sizeof input);
	(void)error_quote(out, input, sizeof input);
	assert_true(strlen(out) < ERROR_QUOTE_SIZE);
	assert_string_equal(out + strlen(out) - 4, "...\"");
}

static void addresses_are_read_and_written(void **state)
{
	static const struct {
		const char *text;
		const char *written; /* NULL: refused */
	} rows[] = {
		{"10.0.0.1", "10.0.0.1"},
		{"2001:DB8::1", "2001:db8::1"},
		{"::ffff:10.0.0.1", "10.0.0.1"},
		{"::1", "::1"},
		{"10.0.0", NULL},
		{"10.0.0.256", NULL},
		{"010.0.0.1", NULL},
		{"fe80::1%eth0", NULL},
		{"", NULL},
		{"1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct address address;
		char out[ADDRESS_TEXT_SIZE];
		int rc = address_parse(rows[i].text, strlen(rows[i].text), &address);

		if (rows[i].written == NULL) {
			assert_int_equal(rc, -EINVAL);
			continue;
		}
		assert_int_equal(rc, 0);
		assert_string_equal(address_format(out, &address), rows[i].written);
	}
	assert_int_equal(address_parse("10.0.0.1\0x", 10, &(struct address){{0}}), -EINVAL);
}

static void endpoints_go_through_socket_addresses(void **state)
{
	static const struct {
		const char *text;
		int family;
	} rows[] = {{"192.0.2.7", AF_INET}, {"2001:db8::7", AF_INET6}};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct endpoint endpoint = {.port = 443};
		struct endpoint back;
		struct sockaddr_storage storage;

		assert_int_equal(address_parse(rows[i].text, strlen(rows[i].text), &endpoint.address), 0);
		assert_true(endpoint_to_sockaddr(&endpoint, &storage) >= sizeof(struct sockaddr_in));
		assert_int_equal(storage.ss_family, rows[i].family);
		assert_int_equal(endpoint_from_sockaddr(&storage, &back), 0);
		assert_true(endpoint_equal(&endpoint, &back));
		back.port = 80;
		assert_false(endpoint_equal(&endpoint, &back));
	}
	assert_int_equal(endpoint_from_sockaddr(&(struct sockaddr_storage){.ss_family = AF_UNIX}, &(struct endpoint){.port = 0}),
		-EAFNOSUPPORT);
}

static void endpoints_are_written_with_brackets(void **state)
{
	struct endpoint endpoint = {.port = 65535};
	char out[ADDRESS_TEXT_SIZE];

	(void)state;
	assert_int_equal(address_parse("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 39, &endpoint.address), 0);
	assert_string_equal(endpoint_format(out, &endpoint), "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
	assert_int_equal(address_parse("255.255.255.255", 15, &endpoint.address), 0);
	assert_string_equal(endpoint_format(out, &endpoint), "255.255.255.255:65535");
}

static void loopback_is_known(void **state)
{
	struct address address;

	(void)state;
	assert_int_equal(address_parse("127.9.9.9", 9, &address), 0);
	assert_true(address_is_loopback(&address));
	assert_int_equal(address_parse("::1", 3, &address), 0);
	assert_true(address_is_loopback(&address));
	assert_int_equal(address_parse("128.0.0.1", 9, &address), 0);
	assert_false(address_is_loopback(&address));
}

/* Some second of every day from 1970 to 2200. */
static void times_are_those_of_the_library(void **state)
{
	(void)state;
	for (int64_t day = 0; day < 84000; day++) {
		int64_t milliseconds = day * 86400000 + (day * 7919 % 86400) * 1000 + day % 1000;
		time_t seconds = (time_t)(milliseconds / 1000);
		char expected[TIME_TEXT_SIZE + 8];
		char text[TIME_TEXT_SIZE];
		struct tm utc;

		(void)gmtime_r(&seconds, &utc);
		(void)strftime(expected, TIME_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &utc);
		(void)snprintf(expected + 19, sizeof expected - 19, ".%03dZ", (int)(milliseconds % 1000));
		assert_string_equal(time_format(text, milliseconds), expected);
	}
}

/* Around every power of ten, and of two, in every width. */
static void numbers_are_those_of_the_library(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 64 + 20; i++) {
		uint64_t number = 1;

		for (unsigned j = 0; j < i % 64 && i < 64; j++)
			number *= 2;
		for (unsigned j = 64; j < i; j++)
			number *= 10;
		for (uint64_t around = number - 1; around != number + 2; around++) {
			for (int width = 0; width <= DECIMAL_SIZE + 5; width++) {
				char expected[DECIMAL_SIZE + 1];
				char text[DECIMAL_SIZE + 1];

				(void)snprintf(expected, sizeof expected, "%0*llu", width < DECIMAL_SIZE ? width : DECIMAL_SIZE,
					(unsigned long long)around);
				*decimal_write(text, around, (unsigned)width) = '\0';
				assert_string_equal(text, expected);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_are_those_of_the_library),
		cmocka_unit_test(numbers_are_those_of_the_library),
		cmocka_unit_test(errors_are_set_and_wrapped),
		cmocka_unit_test(long_errors_are_cut),
		cmocka_unit_test(quotes_escape_and_cut),
		cmocka_unit_test(addresses_are_read_and_written),
		cmocka_unit_test(endpoints_go_through_socket_addresses),
		cmocka_unit_test(endpoints_are_written_with_brackets),
		cmocka_unit_test(loopback_is_known),
	};

	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
