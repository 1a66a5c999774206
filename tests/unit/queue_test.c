/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who waits for a connection, and whose turn it is.
 */
#include "proxy/net/queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WAITERS 6

/* A worker's queues, and a circuit of one cluster with a limit of connections. */
struct scene {
	struct timers timers;
	struct queues queues;
	struct circuit *circuit;
	struct link_key key;
	struct queue_waiter waiters[WAITERS];
	struct circuit_share shares[WAITERS];
};

static void start(struct scene *scene, uint32_t limit)
{
	const struct endpoint target = {.port = 80};

	*scene = (struct scene){.circuit = calloc(1, sizeof *scene->circuit + 1)};
	assert_non_null(scene->circuit);
	scene->circuit->references = 1;
	scene->circuit->limits[CIRCUIT_CONNECTIONS] = limit;
	scene->queues.timers = &scene->timers;
	scene->key = link_key("outbound|80||a.org", &target);
	for (uint32_t i = 0; i < WAITERS; i++)
		scene->waiters[i] = (struct queue_waiter){.index = i, .generation = 10 + i};
}

static struct queue *queue_of(struct scene *scene)
{
	struct queue *queue = queue_make(&scene->queues, scene->circuit, &scene->key);

	assert_non_null(queue);
	return queue;
}

/* A scene whose circuit has room for `open` connections, all of them open, and for whose address `waiting` more wait. */
static struct queue *start_waiting(struct scene *scene, uint32_t open, size_t waiting)
{
	struct queue *queue;

	start(scene, open);
	queue = queue_of(scene);
	for (uint32_t i = 0; i < open; i++)
		assert_true(queue_open(queue, &scene->shares[i]));
	for (size_t i = 0; i < waiting; i++)
		queue_wait(queue, &scene->waiters[open + i]);
	return queue;
}

/* Nothing is left, in the worker and in the circuit. */
static void stop(struct scene *scene)
{
	assert_null(queue_find(&scene->queues, &scene->key));
	assert_int_equal(scene->circuit->used[CIRCUIT_CONNECTIONS], 0);
	assert_int_equal(scene->circuit->references, 1);
	circuit_unref(scene->circuit);
	timers_free(&scene->timers);
}

/* Exactly these are called ("03": the first and the fourth), and those who are since the last time have a timer. */
static void expect_called(struct scene *scene, const char *expected, const char *since)
{
	char called[WAITERS + 1] = "";
	char woken[2 * WAITERS] = "";
	struct timer timer;
	size_t count = 0;

	for (size_t i = 0; i < WAITERS; i++)
		if (scene->waiters[i].is_called)
			called[count++] = (char)('0' + i);
	assert_string_equal(called, expected);
	while (timers_take(&scene->timers, 1, &timer)) {
		assert_true(timer.index < WAITERS);
		assert_int_equal(timer.generation, scene->waiters[timer.index].generation);
		assert_true(strlen(woken) < sizeof woken - 1);
		woken[strlen(woken)] = (char)('0' + timer.index);
	}
	assert_int_equal(strlen(woken), strlen(since));
	for (const char *c = since; *c != '\0'; c++)
		assert_non_null(strchr(woken, *c));
}

/* Has acted on its call, and leaves. */
static void act(struct queue_waiter *waiter)
{
	assert_true(queue_is_due(waiter));
	waiter->is_called = false;
	queue_leave(waiter);
}

static void the_first_opens_and_the_others_wait(void **state)
{
	struct scene scene;
	struct queue *queue;

	(void)state;
	start(&scene, 1);
	queue = queue_of(&scene);
	assert_ptr_equal(queue_of(&scene), queue);
	assert_true(queue_open(queue, &scene.shares[0]));
	assert_false(queue_open(queue, &scene.shares[1]));
	assert_false(queue_has_room(queue));
	queue_wait(queue, &scene.waiters[1]);
	queue_wait(queue, &scene.waiters[2]);
	expect_called(&scene, "", "");
	assert_false(queue_is_due(&scene.waiters[1]));
	/* It comes free: the first takes it. Nobody else is called, for there is no more. */
	queue_call(queue);
	expect_called(&scene, "1", "1");
	act(&scene.waiters[1]);
	expect_called(&scene, "", "");
	/* It is closed: the next one opens another. */
	queue_close(queue, &scene.shares[0]);
	expect_called(&scene, "2", "2");
	assert_true(queue_open(queue, &scene.shares[2]));
	act(&scene.waiters[2]);
	queue_close(queue, &scene.shares[2]);
	stop(&scene);
}

static void each_call_is_somebody_s(void **state)
{
	struct scene scene;
	struct queue *queue;

	(void)state;
	queue = start_waiting(&scene, 2, WAITERS - 2);
	queue_call(queue);
	queue_call(queue);
	expect_called(&scene, "23", "23");
	/* One of them goes away just then. */
	queue_leave(&scene.waiters[2]);
	scene.waiters[2].is_called = false;
	expect_called(&scene, "34", "4");
	/* Who has not been called may go without anybody noticing, from wherever it stands. */
	queue_leave(&scene.waiters[5]);
	expect_called(&scene, "34", "");
	act(&scene.waiters[4]);
	act(&scene.waiters[3]);
	queue_leave(&scene.waiters[3]);
	queue_close(queue, &scene.shares[0]);
	queue_close(queue, &scene.shares[1]);
	stop(&scene);
}

static void without_a_connection_there_is_always_room(void **state)
{
	struct queue_waiter waiter = {.index = 0};
	struct circuit_share foreign;
	struct scene scene;
	struct queue *queue;

	(void)state;
	start(&scene, 1);
	circuit_join(&foreign, scene.circuit);
	assert_true(circuit_take(&foreign, CIRCUIT_CONNECTIONS));
	queue = queue_of(&scene);
	assert_true(queue_open(queue, &scene.shares[0]));
	assert_int_equal(scene.circuit->used[CIRCUIT_CONNECTIONS], 2);
	assert_false(queue_open(queue, &scene.shares[1]));
	queue_wait(queue, &waiter);
	/* What ends elsewhere tells nobody here, but the first sees it when it looks. */
	assert_false(queue_is_due(&waiter));
	circuit_leave(&foreign);
	assert_false(queue_is_due(&waiter));
	scene.circuit->limits[CIRCUIT_CONNECTIONS] = 2;
	assert_true(queue_is_due(&waiter));
	queue_close(queue, &scene.shares[0]);
	queue_leave(&waiter);
	stop(&scene);
}

static void room_is_passed_on(void **state)
{
	struct scene scene;
	struct queue *queue;

	(void)state;
	queue = start_waiting(&scene, 1, 3);
	scene.circuit->limits[CIRCUIT_CONNECTIONS] = 3;
	assert_false(queue_is_due(&scene.waiters[2]));
	assert_true(queue_open(queue, &scene.shares[1]));
	act(&scene.waiters[1]);
	expect_called(&scene, "2", "2");
	assert_true(queue_open(queue, &scene.shares[2]));
	act(&scene.waiters[2]);
	expect_called(&scene, "", "");
	queue_leave(&scene.waiters[3]);
	for (size_t i = 0; i < 3; i++)
		queue_close(queue, &scene.shares[i]);
	stop(&scene);
}

static void a_failure_is_everybody_s(void **state)
{
	struct scene scene;
	struct queue *queue;

	(void)state;
	queue = start_waiting(&scene, 1, 3);
	queue_fail(queue, HTTP_FAILURE_CONNECT, "a reason");
	queue_close(queue, &scene.shares[0]);
	expect_called(&scene, "123", "123");
	for (size_t i = 1; i < 4; i++) {
		assert_true(scene.waiters[i].has_failed);
		assert_string_equal(queue->reason, "a reason");
		act(&scene.waiters[i]);
	}
	stop(&scene);
}

static void a_connection_from_before_is_counted(void **state)
{
	struct scene scene;
	struct queue *queue;

	(void)state;
	start(&scene, 1);
	queue = queue_of(&scene);
	queue_adopt(queue, &scene.shares[0]);
	queue_adopt(queue, &scene.shares[1]);
	assert_int_equal(scene.circuit->used[CIRCUIT_CONNECTIONS], 2);
	queue_close(queue, &scene.shares[0]);
	queue_close(queue, &scene.shares[1]);
	stop(&scene);
}

static void addresses_have_queues_of_their_own(void **state)
{
	struct circuit_share shares[100];
	struct scene scene;

	(void)state;
	start(&scene, 1000);
	for (uint8_t i = 0; i < 100; i++) {
		scene.key.target.address.bytes[15] = i;
		assert_null(queue_find(&scene.queues, &scene.key));
		assert_true(queue_open(queue_of(&scene), &shares[i]));
	}
	for (uint8_t i = 0; i < 100; i++) {
		scene.key.target.address.bytes[15] = i;
		assert_int_equal(queue_of(&scene)->connections, 1);
		queue_close(queue_of(&scene), &shares[i]);
		assert_null(queue_find(&scene.queues, &scene.key));
	}
	stop(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_opens_and_the_others_wait),
		cmocka_unit_test(each_call_is_somebody_s),
		cmocka_unit_test(without_a_connection_there_is_always_room),
		cmocka_unit_test(room_is_passed_on),
		cmocka_unit_test(a_failure_is_everybody_s),
		cmocka_unit_test(a_connection_from_before_is_counted),
		cmocka_unit_test(addresses_have_queues_of_their_own),
	};

	return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
