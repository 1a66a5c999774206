/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each allocation of an exchange fails once: the exchange says so, and leaves nothing behind. malloc() and realloc() come
 * here first, by the linker's --wrap.
 */
#include "proxy/http/exchange.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static unsigned allocations; /* so far */
static unsigned failing;     /* the one that fails; 0: none */

void *__real_malloc(size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_malloc(size_t size)
{
	return ++allocations == failing ? NULL : __real_malloc(size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return ++allocations == failing ? NULL : __real_realloc(old, size);
}

static struct http_io io;

static enum http_event from_client(struct http_exchange *exchange, const char *text)
{
	size_t taken;

	return http_exchange_feed_client(exchange, &io, text, strlen(text), &taken);
}

static enum http_event from_upstream(struct http_exchange *exchange, const char *text)
{
	size_t taken;

	return http_exchange_feed_upstream(exchange, &io, text, strlen(text), &taken);
}

/* A request and its response, both in pieces, with a body that has to wait. Returns the event that ended it. */
static enum http_event fly(struct http_exchange *exchange)
{
	static const struct http_forward route;
	enum http_event event = from_client(exchange, "POST / HTTP/1.1\r\nHo");

	if (event == HTTP_EVENT_NONE)
		event = from_client(exchange, "st: h\r\nContent-Length: 3\r\n\r\n");
	if (event == HTTP_EVENT_REQUEST)
		event = http_exchange_route(exchange, &io, &route, true);
	if (event == HTTP_EVENT_NONE)
		event = from_client(exchange, "abc");
	if (event == HTTP_EVENT_NONE)
		event = http_exchange_connected(exchange, &io);
	if (event == HTTP_EVENT_NONE)
		event = from_upstream(exchange, "HTTP/1.1 200 OK\r\n");
	if (event == HTTP_EVENT_NONE)
		event = from_upstream(exchange, "content-length: 2\r\n\r\n");
	if (event == HTTP_EVENT_RESPONSE)
		event = http_exchange_respond(exchange, &io, 0);
	if (event == HTTP_EVENT_NONE)
		event = from_upstream(exchange, "ok");
	return event;
}

static void every_allocation_may_fail(void **state)
{
	(void)state;
	http_io_init(&io);
	for (failing = 1;; failing++) {
		struct http_exchange exchange = {.now = NULL};
		enum http_event event;

		allocations = 0;
		http_io_reset(&io);
		event = fly(&exchange);
		http_exchange_free(&exchange);
		if (allocations < failing) {
			assert_int_equal(event, HTTP_EVENT_END);
			break;
		}
		assert_int_equal(event, HTTP_EVENT_NO_MEMORY);
	}
	/* Head, transaction, body and response. */
	assert_int_equal(failing, 5);
}

static void an_answer_may_fail(void **state)
{
	static const char *const requests[] = {"BAD\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"};

	(void)state;
	for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
		struct http_exchange exchange = {.now = NULL};
		enum http_event event;

		allocations = 0;
		failing = 1;
		http_io_reset(&io);
		event = from_client(&exchange, requests[i]);
		if (event == HTTP_EVENT_REQUEST)
			event = http_exchange_refuse(&exchange, &io);
		assert_int_equal(event, HTTP_EVENT_NO_MEMORY);
		http_exchange_free(&exchange);
	}
	/* Of a head that is given up there is no line then, and no harm. */
	struct http_exchange exchange = {.now = NULL};

	failing = 0;
	assert_int_equal(from_client(&exchange, "GET"), HTTP_EVENT_NONE);
	failing = allocations + 1;
	assert_int_equal(http_exchange_abort(&exchange), HTTP_EVENT_NONE);
	http_exchange_free(&exchange);
	failing = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_allocation_may_fail),
		cmocka_unit_test(an_answer_may_fail),
	};

	return cmocka_run_group_tests_name("http_memory", tests, NULL, NULL);
}
