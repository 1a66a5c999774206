/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths as Envoy normalises them: each row was sent through it. And the small tables that everything looks into.
 */
#include "proxy/http/class.h"
#include "proxy/http/date.h"
#include "proxy/http/status.h"
#include "proxy/http/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void paths_are_normalised(void **state)
{
	static const struct {
		const char *raw;
		const char *normal; /* NULL: refused */
	} rows[] = {
		{"/a/./b", "/a/b"},
		{"/a/../b", "/b"},
		{"/a/%2e%2E/b", "/b"},
		{"/a/.%2e/b", "/b"},
		{"/..", "/"},
		{"/../../x", "/x"},
		{"/a/..", "/"},
		{"/a/.", "/a/"},
		{"/a/b/..", "/a/"},
		{"/a\\b", "/a/b"},
		{"/a\\..\\c", "/c"},
		{"//a//b", "//a//b"},
		{"/a%2fb", "/a%2fb"},
		{"/a%2Fb", "/a%2Fb"},
		{"/a%5cb", "/a%5cb"},
		{"/%41%7e%5f%2d%30", "/A~_-0"},
		{"/\"<>|{}^`", "/%22%3C%3E%7C%7B%7D%5E%60"},
		{"/!$&'()*+,;=:@", "/!$&'()*+,;=:@"},
		{"/[x]", "/[x]"},
		{"/%zz%4", "/%zz%4"},
		{"/%", "/%"},
		{"/%00", NULL},
		{"/a/..%00", NULL},
		{"/a/..;%00", NULL},
		{"/a%01%7f%80%ff", "/a%01%7f%80%ff"},
		{"/a;x=1/../b", "/b"},
		{"/..;/a", "/a"},
		{"/a/..;x/b", "/b"},
		{"/a/.;x/b", "/a/b"},
		{"/a/..;", "/"},
		{"/a/.;", "/a/"},
		{"/a/%2e%2e;x=1/b", "/a/..;x=1/b"},
		{"/a;b/c", "/a;b/c"},
		{"/a/...;x/b", "/a/...;x/b"},
		{"/a/b;..;/c", "/a/b;..;/c"},
		{"/a/;../b", "/a/;../b"},
		{"/a/..;a\\b", "/"},
		{"/a/..;?x", "/?x"},
		{"/a/..%3bx/b", "/a/..%3bx/b"},
		{"/a/%2e", "/a/"},
		{"/a/...", "/a/..."},
		{"/a?b/../c#d", "/a?b/../c"},
		{"/a?\"<>|{}^`\\", "/a?\"<>|{}^`\\"},
		{"/?", "/?"},
		{"/a#b", "/a"},
		{"/%23%3f%3F", "/%23%3f%3F"},
		{"/%20", "/%20"},
		{"/a//../b", "/a/b"},
		{"/a/..//b", "//b"},
		{"/%2e%2e%2fa", "/..%2fa"},
		{"/%2E/a", "/a"},
		{"/a/%2e%2e?x", "/?x"},
		{"/~%7E", "/~~"},
		{"/%c3%a9", "/%c3%a9"},
		{"/.%2e%2f", "/..%2f"},
		{"/a/%252e%252e/b", "/a/%252e%252e/b"},
		{"/a/.b/..c", "/a/.b/..c"},
		{"/a/b/../../..", "/"},
		{"/./", "/"},
		{"/.", "/"},
		{"/a%3a%3d%40%21", "/a%3a%3d%40%21"},
		{"/a%22", "/a%22"},
		{"/a+b", "/a+b"},
		{"/a?%41%zz%00", "/a?%41%zz%00"},
		{"/\\", "//"},
		{"/a/\\../b", "/a/b"},
		{"/%5c..%5c", "/%5c..%5c"},
		{"/a/..\\b", "/b"},
		{"/a%2e%2e", "/a.."},
		{"/a.%2e/", "/a../"},
		{"/%2e%2e", "/"},
		{"/%2e", "/"},
		{"/a/%2e/", "/a/"},
		{"/%g1", "/%g1"},
		{"/a%0d%0a", "/a%0d%0a"},
		{"/%7B%7D", "/%7B%7D"},
		{"/%%41A", "/%25AA"},
		{"/%4%41", "/%254A"},
		{"/%%41", "/%A"},
		{"/%%41%7e", "/%A~"},
		{"/x/..?", "/?"},
		{"/;a/..", "/"},
		{"/a/..#x?y", "/"},
		{"", "/"},
		{"?x", "/?x"},
		{"*", "*"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char room[256];
		struct http_writer to = {.data = room, .capacity = sizeof room};
		struct http_text raw = {rows[i].raw, strlen(rows[i].raw)};
		enum http_problem problem = http_path_normalise(&to, raw);

		if (rows[i].normal == NULL) {
			assert_int_equal(problem, HTTP_BAD_PATH);
			continue;
		}
		assert_int_equal(problem, HTTP_FINE);
		if (to.size == 0)
			http_writer_put(&to, raw);
		room[to.size] = '\0';
		assert_string_equal(room, rows[i].normal);
	}
}

/* Without room, nothing is written past it. */
static void paths_without_room(void **state)
{
	static const char raw[] = "/a/\"\"\"\"\"\"/../%41";

	(void)state;
	for (size_t capacity = 0; capacity < 12; capacity++) {
		char room[64];
		struct http_writer to = {.data = room, .capacity = capacity};

		memset(room, 'Z', sizeof room);
		assert_int_equal(http_path_normalise(&to, (struct http_text){raw, sizeof raw - 1}), HTTP_BAD_PATH);
		assert_int_equal(room[capacity], 'Z');
	}
}

static void classes_are_what_they_say(void **state)
{
	static const char token[] = "!#$%&'*+-.^_`|~";
	static const char authority[] = "!$&'()*+,;=:@%[]-._~";

	(void)state;
	for (unsigned c = 0; c < 256; c++) {
		bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

		assert_int_equal(http_class_has(&http_class_token, (char)c), alphanumeric || (c != 0 && strchr(token, (int)c) != NULL));
		assert_int_equal(http_class_has(&http_class_authority, (char)c),
			alphanumeric || (c != 0 && strchr(authority, (int)c) != NULL));
		assert_int_equal(http_class_has(&http_class_unreserved, (char)c),
			alphanumeric || (c != 0 && strchr("-._~", (int)c) != NULL));
		assert_int_equal(http_class_has(&http_class_path, (char)c),
			c > ' ' && c < 0x7f && strchr("\"<>^`{|}#?%\\", (int)c) == NULL);
	}
}

/* Each name finds itself, in whatever case, and nothing else does. On a failure the slots are printed as they should be. */
static void names_find_themselves(void **state)
{
	unsigned slots[512] = {0};
	bool right = true;

	(void)state;
	for (unsigned i = 1; i < HTTP_NAME_COUNT; i++) {
		struct http_text name = http_name_text(i);
		char upper[64];

		for (size_t j = 0; j < name.size; j++)
			upper[j] = (char)(name.data[j] >= 'a' && name.data[j] <= 'z' ? name.data[j] - 'a' + 'A' : name.data[j]);
		right = right && http_name_find(name) == i && http_name_find((struct http_text){upper, name.size}) == i;
		if (slots[http_name_slot(name)] != 0)
			print_message("no slots: %.*s is in another's\n", (int)name.size, name.data);
		slots[http_name_slot(name)] = i;
		upper[0] = '!';
		assert_int_equal(http_name_find((struct http_text){upper, name.size}), HTTP_NAME_OTHER);
		assert_int_equal(http_name_find((struct http_text){name.data, name.size - 1}), HTTP_NAME_OTHER);
	}
	for (unsigned i = 0; i < 512 && !right; i++)
		print_message("%u,%s", slots[i], i % 32 == 31 ? "\n" : " ");
	assert_true(right);
	assert_int_equal(http_name_find(HTTP_TEXT("x")), HTTP_NAME_OTHER);
	assert_int_equal(http_name_find(HTTP_TEXT("")), HTTP_NAME_OTHER);
}

static void dates_and_reasons(void **state)
{
	static const struct {
		int64_t seconds;
		const char *text;
	} rows[] = {
		{0, "Thu, 01 Jan 1970 00:00:00 GMT"},
		{784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},
		{951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
		{1795562625, "Tue, 24 Nov 2026 23:23:45 GMT"},
		{4102444799, "Thu, 31 Dec 2099 23:59:59 GMT"},
	};
	char date[HTTP_DATE_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		http_date_write(date, rows[i].seconds);
		assert_string_equal(date, rows[i].text);
	}
	assert_true(http_text_equal(http_status_reason(100), HTTP_TEXT("Continue")));
	assert_true(http_text_equal(http_status_reason(511), HTTP_TEXT("Network Authentication Required")));
	assert_true(http_text_equal(http_status_reason(418), HTTP_TEXT("Unknown")));
	assert_true(http_text_equal(http_status_reason(99), HTTP_TEXT("Unknown")));
	assert_true(http_text_equal(http_status_reason(999), HTTP_TEXT("Unknown")));
	assert_int_equal(http_status_grpc(503), 14);
	assert_int_equal(http_status_grpc(404), 12);
	assert_int_equal(http_status_grpc(200), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_are_normalised),
		cmocka_unit_test(paths_without_room),
		cmocka_unit_test(classes_are_what_they_say),
		cmocka_unit_test(names_find_themselves),
		cmocka_unit_test(dates_and_reasons),
	};

	return cmocka_run_group_tests_name("http_path", tests, NULL, NULL);
}
