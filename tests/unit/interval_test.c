/* SPDX-License-Identifier: Apache-2.0 */
#include "redirect/base/interval.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint32_t number(const uint8_t *key, size_t size)
{
	uint32_t n = 0;

	for (size_t i = 0; i < size; i++)
		n = n << 8 | key[i];
	return n;
}

/* Adds pairs of bounds, up to a pair 1, 0, merges, and compares with the pairs expected. */
static void check_merge(const uint32_t (*given)[2], const uint32_t (*expected)[2], bool keep_apart)
{
	struct interval_list list;
	size_t count = 0;

	interval_list_init(&list, 2);
	list.keep_apart = keep_apart;
	for (size_t i = 0; given[i][0] <= given[i][1]; i++)
		assert_int_equal(interval_list_add_numbers(&list, given[i][0], given[i][1]), 0);
	interval_list_merge(&list);
	for (; expected[count][0] <= expected[count][1]; count++) {
		assert_true(count < list.count);
		assert_int_equal(number(list.items[count].first, 2), expected[count][0]);
		assert_int_equal(number(list.items[count].last, 2), expected[count][1]);
	}
	assert_int_equal(list.count, count);
	interval_list_free(&list);
}

#define PAIRS(...) ((const uint32_t[][2]){__VA_ARGS__, {1, 0}})

static void merge_joins_what_overlaps_or_touches(void **state)
{
	(void)state;
	check_merge(PAIRS({5, 9}), PAIRS({5, 9}), false);
	check_merge(PAIRS({5, 9}, {5, 9}), PAIRS({5, 9}), false);
	check_merge(PAIRS({5, 9}, {7, 12}), PAIRS({5, 12}), false);
	check_merge(PAIRS({5, 9}, {10, 12}), PAIRS({5, 12}), false);
	check_merge(PAIRS({5, 9}, {11, 12}), PAIRS({5, 9}, {11, 12}), false);
	check_merge(PAIRS({20, 30}, {5, 9}, {1, 4}), PAIRS({1, 9}, {20, 30}), false);
	check_merge(PAIRS({1, 100}, {5, 9}, {50, 60}), PAIRS({1, 100}), false);
	check_merge(PAIRS({0, 65535}, {65535, 65535}), PAIRS({0, 65535}), false);
	check_merge(PAIRS({65535, 65535}, {0, 0}), PAIRS({0, 0}, {65535, 65535}), false);
}

static void names_that_touch_stay_apart(void **state)
{
	(void)state;
	check_merge(PAIRS({5, 9}, {10, 12}), PAIRS({5, 9}, {10, 12}), true);
	check_merge(PAIRS({5, 9}, {9, 12}), PAIRS({5, 12}), true);
	check_merge(PAIRS({5, 9}, {6, 7}), PAIRS({5, 9}), true);
	check_merge(PAIRS({0, 65535}, {65535, 65535}), PAIRS({0, 65535}), true);
}

/* Against a plain array of 65,536 marks, with a fixed seed. */
static void merge_keeps_exactly_the_keys(void **state)
{
	static bool marks[65536];

	(void)state;
	srand(1);
	for (int round = 0; round < 50; round++) {
		struct interval_list list;

		memset(marks, 0, sizeof marks);
		interval_list_init(&list, 2);
		for (int i = 0; i < 200; i++) {
			uint32_t first = (uint32_t)rand() % 65536;
			uint32_t last = first + (uint32_t)rand() % 300;

			last = last > 65535 ? 65535 : last;
			assert_int_equal(interval_list_add_numbers(&list, first, last), 0);
			memset(marks + first, true, last - first + 1);
		}
		interval_list_merge(&list);
		for (uint32_t key = 0; key < 65536; key++) {
			uint8_t bytes[2] = {(uint8_t)(key >> 8), (uint8_t)key};

			assert_int_equal(interval_list_find(&list, bytes) != NULL, marks[key]);
		}
		interval_list_free(&list);
	}
}

static void keys_count_over_byte_bounds(void **state)
{
	uint8_t key[4] = {10, 0, 255, 255};
	uint8_t highest[4] = {255, 255, 255, 255};
	uint8_t lowest[4] = {0};

	(void)state;
	assert_true(interval_key_next(key, 4));
	assert_memory_equal(key, ((uint8_t[]){10, 1, 0, 0}), 4);
	assert_true(interval_key_previous(key, 4));
	assert_memory_equal(key, ((uint8_t[]){10, 0, 255, 255}), 4);
	assert_false(interval_key_next(highest, 4));
	assert_false(interval_key_previous(lowest, 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(merge_joins_what_overlaps_or_touches),
		cmocka_unit_test(names_that_touch_stay_apart),
		cmocka_unit_test(merge_keeps_exactly_the_keys),
		cmocka_unit_test(keys_count_over_byte_bounds),
	};

	return cmocka_run_group_tests_name("interval", tests, NULL, NULL);
}
