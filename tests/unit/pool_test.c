/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Idle connections: which one is taken, and when one is closed. A descriptor of nothing stands for a socket.
 */
#include "proxy/net/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

static struct link_key key_of(uint16_t port)
{
	const struct endpoint target = {.port = port};

	return link_key("outbound|80||a.org", &target);
}

/* Gives a connection to a port; returns its descriptor. */
static int give(struct pool *pool, uint16_t port, int64_t now)
{
	const struct side side = {.fd = eventfd(0, EFD_CLOEXEC)};
	const struct link link = {.key = key_of(port), .idle_time = 100, .ends_at = 1000, .left = 1};
	const struct endpoint local = {.port = (uint16_t)(port + 1)};

	assert_true(side.fd >= 0);
	assert_true(pool_give(pool, &side, &link, &local, now) >= 0);
	return side.fd;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* Takes one, which is closed then; returns its descriptor, or -1. */
static int take(struct pool *pool, uint16_t port, int64_t now)
{
	const struct link_key key = key_of(port);
	struct endpoint local;
	struct side side;
	struct link link;

	if (!pool_take(pool, &key, now, &side, &link, &local))
		return -1;
	assert_true(is_open(side.fd));
	assert_true(link_key_equal(&link.key, &key));
	assert_int_equal(local.port, port + 1);
	(void)close(side.fd);
	return side.fd;
}

static void the_latest_of_the_same_is_taken(void **state)
{
	struct pool pool = {.entries = NULL};
	int first;
	int second;

	(void)state;
	assert_int_equal(take(&pool, 80, 0), -1);
	first = give(&pool, 80, 1);
	second = give(&pool, 80, 2);
	/* 80 and 80 + POOL_LISTS stand in one list. */
	assert_int_equal(take(&pool, 80 + POOL_LISTS, 3), -1);
	(void)give(&pool, 80 + POOL_LISTS, 3);
	assert_int_equal(pool.count, 3);
	assert_int_equal(take(&pool, 80, 4), second);
	assert_int_equal(take(&pool, 80, 4), first);
	assert_int_equal(take(&pool, 80, 4), -1);
	assert_int_equal(pool.count, 1);
	pool_free(&pool);
}

static void one_that_is_over_is_closed(void **state)
{
	struct pool pool = {.entries = NULL};
	const struct side side = {.fd = eventfd(0, EFD_CLOEXEC)};
	const struct link spent = {.key = key_of(80), .idle_time = 100, .ends_at = 1000, .left = 0};
	int idle;
	int old;

	(void)state;
	idle = give(&pool, 80, 0);
	assert_int_equal(take(&pool, 80, 100), -1);
	assert_false(is_open(idle));
	idle = give(&pool, 80, 0);
	old = give(&pool, 81, 950);
	pool_check_time(&pool, 99);
	assert_true(is_open(idle));
	pool_check_time(&pool, 999);
	assert_false(is_open(idle));
	assert_true(is_open(old));
	pool_check_time(&pool, 1000);
	assert_false(is_open(old));
	assert_true(pool_give(&pool, &side, &spent, &(struct endpoint){.port = 0}, 0) >= 0);
	assert_int_equal(take(&pool, 80, 0), -1);
	assert_int_equal(pool.count, 0);
	pool_free(&pool);
}

static void a_full_pool_closes_its_oldest(void **state)
{
	struct pool pool = {.entries = NULL};
	int descriptors[POOL_SIZE];
	int more;

	(void)state;
	for (uint16_t i = 0; i < POOL_SIZE; i++)
		descriptors[i] = give(&pool, i, i == 7 ? 1 : 10);
	more = give(&pool, 2000, 20);
	/* The new one may have got the descriptor that was closed for it. */
	assert_int_equal(take(&pool, 7, 21), -1);
	for (uint16_t i = 0; i < POOL_SIZE; i++)
		if (i != 7)
			assert_int_equal(take(&pool, i, 21), descriptors[i]);
	assert_int_equal(take(&pool, 2000, 21), more);
	assert_int_equal(pool.count, 0);
	pool_free(&pool);
}

static void events_are_those_of_whom_they_were_for(void **state)
{
	struct pool pool = {.entries = NULL};
	uint32_t generation;
	int fd = give(&pool, 80, 0);

	(void)state;
	generation = pool_generation(&pool, 0);
	assert_int_equal(take(&pool, 80, 0), fd);
	pool_event(&pool, 0, generation);
	fd = give(&pool, 80, 0);
	pool_event(&pool, 0, generation);
	pool_event(&pool, POOL_SIZE, generation);
	assert_true(is_open(fd));
	pool_event(&pool, 0, pool_generation(&pool, 0));
	assert_false(is_open(fd));
	assert_int_equal(pool.count, 0);
	fd = give(&pool, 80, 0);
	pool_free(&pool);
	assert_false(is_open(fd));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_latest_of_the_same_is_taken),
		cmocka_unit_test(one_that_is_over_is_closed),
		cmocka_unit_test(a_full_pool_closes_its_oldest),
		cmocka_unit_test(events_are_those_of_whom_they_were_for),
	};

	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
