/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for c-ares, with malloc() and without. */
#include "proxy/dns/reserve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void *__real_malloc(size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_realloc(void *memory, size_t size);

static bool is_out;

void *__wrap_malloc(size_t size)
{
	return is_out ? NULL : __real_malloc(size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return is_out ? NULL : __real_realloc(memory, size);
}

static void expect_bytes(const uint8_t *memory, size_t size, uint8_t byte)
{
	for (size_t i = 0; i < size; i++)
		assert_int_equal(memory[i], byte);
}

/* From here to there and back: what was in it stays. */
static void pieces_move(void **state)
{
	uint8_t *memory;

	(void)state;
	is_out = false;
	memory = reserve_malloc(1000);
	assert_non_null(memory);
	memset(memory, 7, 1000);
	is_out = true;
	memory = reserve_realloc(memory, 3001);
	assert_non_null(memory);
	expect_bytes(memory, 1000, 7);
	memset(memory, 8, 3001);
	memory = reserve_realloc(memory, 5000);
	assert_non_null(memory);
	expect_bytes(memory, 3001, 8);
	is_out = false;
	memory = reserve_realloc(memory, 100);
	assert_non_null(memory);
	expect_bytes(memory, 100, 8);
	/* Without bytes it is still one that is to be freed. */
	is_out = true;
	memory = reserve_realloc(memory, 0);
	assert_non_null(memory);
	expect_bytes(memory, 1, 8);
	is_out = false;
	reserve_free(memory);
	reserve_free(NULL);
}

/* Also this one has an end; and is whole when everything has come back. */
static void the_reserve_ends(void **state)
{
	void *pieces[RESERVE_SIZE / 1024];
	size_t count = 0;

	(void)state;
	is_out = true;
	for (int round = 0; round < 2; round++) {
		void *piece;

		count = 0;
		while ((piece = reserve_malloc(1024)) != NULL) {
			assert_true(count < RESERVE_SIZE / 1024);
			assert_int_equal((uintptr_t)piece % _Alignof(max_align_t), 0);
			memset(piece, round, 1024);
			pieces[count++] = piece;
		}
		assert_true(count > RESERVE_SIZE / 1024 * 9 / 10);
		for (size_t i = 0; i < count; i++)
			reserve_free(pieces[i]);
	}
	assert_null(reserve_malloc(RESERVE_SIZE));
	assert_null(reserve_malloc(SIZE_MAX));
	assert_null(reserve_realloc(NULL, SIZE_MAX - 8));
	is_out = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(pieces_move), cmocka_unit_test(the_reserve_ends)};

	reserve_open();
	return cmocka_run_group_tests_name("reserve", tests, NULL, NULL);
}
