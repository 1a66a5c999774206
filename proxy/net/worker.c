/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop. epoll's data holds no pointers: a type, an index, and for connections a generation, so an event that was
 * reported before its connection ended in the same batch finds nothing. Connections that have ended are logged and
 * their places given back after the batch, in one place.
 *
 * Time is looked at once a batch. While there are connections, or lines to write, the loop wakes up every second: lines
 * are written, waits are checked. An idle worker sleeps.
 *
 * Out of descriptors or memory, a worker stops accepting until the next second; connections wait in the kernel.
 */
#include "proxy/net/worker.h"

#include "proxy/log/access_log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define EVENT_BATCH 128
#define ACCEPT_BATCH 64
#define TICK 1000
/* While draining the end may come any time. */
#define DRAIN_TICK 50
/* Between two warnings that descriptors are out, in milliseconds. */
#define WARN_INTERVAL 10000
/* A line's usual room; longer ones get memory of their own. */
#define LINE_SIZE 4096

/* epoll's data: 4 bits type, 28 bits generation, 32 bits index. */
enum reference_type {
	REFERENCE_LISTENER,
	REFERENCE_READY_LISTENER,
	REFERENCE_READY_CLIENT,
	REFERENCE_WAKE,
	REFERENCE_CLIENT,
	REFERENCE_UPSTREAM,
};

#define GENERATION_MASK 0xfffffffu

static uint64_t make_reference(enum reference_type type, uint32_t generation, uint32_t index)
{
	return (uint64_t)type << 60 | (uint64_t)(generation & GENERATION_MASK) << 32 | index;
}

static uint64_t connection_reference(const struct connection *connection, bool upstream)
{
	return make_reference(upstream ? REFERENCE_UPSTREAM : REFERENCE_CLIENT, connection->generation, connection->index);
}

static int64_t clock_milliseconds(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void look_at_the_clock(struct connection_context *context)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	context->real_now = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
	context->now = clock_milliseconds(CLOCK_MONOTONIC);
}

static int watch(int epoll, int fd, uint64_t reference)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = reference};

	if (fd < 0)
		return 0;
	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* --- the end of a connection */

static void write_line(struct worker *worker, const struct connection *connection)
{
	char line[LINE_SIZE];
	size_t length = access_log_format(line, sizeof line, &connection->facts);
	char *longer;

	if (length <= sizeof line) {
		sink_write(&worker->sink, line, length);
		return;
	}
	longer = malloc(length);
	if (longer == NULL) {
		worker->sink.dropped++;
		return;
	}
	(void)access_log_format(longer, length, &connection->facts);
	sink_write(&worker->sink, longer, length);
	free(longer);
}

/* Logs a connection that has ended, and gives its place back. */
static void finish(struct worker *worker, struct connection *connection)
{
	if (connection->state != CONNECTION_ENDED)
		return;
	write_line(worker, connection);
	connection_release(connection);
	table_give(&worker->table, connection);
}

/* --- accepting */

static void stop_accepting(struct worker *worker, int code)
{
	for (size_t i = 0; i < LISTENER_COUNT; i++)
		if (worker->listeners[i] >= 0)
			(void)epoll_ctl(worker->context.epoll, EPOLL_CTL_DEL, worker->listeners[i], NULL);
	worker->accepting = false;
	if (worker->warned != 0 && worker->context.now - worker->warned < WARN_INTERVAL)
		return;
	worker->warned = worker->context.now;
	(void)fprintf(stderr, "weir-proxy: cannot accept connections for now: %s\n", strerror(code));
}

static void go_on_accepting(struct worker *worker)
{
	if (worker->accepting)
		return;
	worker->accepting = true;
	for (uint32_t i = 0; i < LISTENER_COUNT; i++)
		(void)watch(worker->context.epoll, worker->listeners[i], make_reference(REFERENCE_LISTENER, 0, i));
}

static void accept_connections(struct worker *worker, int listener)
{
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		struct connection *connection = table_take(&worker->table);
		struct endpoint source;
		int fd;

		if (connection == NULL) {
			stop_accepting(worker, ENOMEM);
			return;
		}
		fd = listener_accept(listener, &source);
		if (fd < 0) {
			table_give(&worker->table, connection);
			if (fd == -ECONNABORTED || fd == -EINTR)
				continue;
			if (fd != -EAGAIN)
				stop_accepting(worker, -fd);
			return;
		}
		connection_start(connection, &worker->context, fd, &source);
		finish(worker, connection);
	}
}

static void accept_ready_client(struct worker *worker, int listener)
{
	struct endpoint source;
	int fd = listener_accept(listener, &source);
	int index = fd >= 0 ? ready_accept(worker->ready, fd, worker->context.now) : -1;

	if (index >= 0)
		(void)watch(worker->context.epoll, fd, make_reference(REFERENCE_READY_CLIENT, 0, (uint32_t)index));
}

/* --- the loop */

static void begin_drain(struct worker *worker)
{
	if (worker->drain_until == 0)
		worker->drain_until = worker->context.now + worker->drain_time;
	(void)epoll_ctl(worker->context.epoll, EPOLL_CTL_DEL, worker->wake, NULL);
}

static void connection_dispatch(struct worker *worker, uint64_t reference, bool upstream, uint32_t events)
{
	uint32_t index = (uint32_t)reference;
	struct connection *connection = table_at(&worker->table, index);
	uint32_t generation = (uint32_t)(reference >> 32) & GENERATION_MASK;

	if (connection == NULL || (connection->generation & GENERATION_MASK) != generation)
		return;
	connection_event(connection, &worker->context, upstream, events);
	finish(worker, connection);
}

static void dispatch(struct worker *worker, const struct epoll_event *event)
{
	uint32_t index = (uint32_t)event->data.u64;

	switch ((enum reference_type)(event->data.u64 >> 60)) {
	case REFERENCE_LISTENER:
		accept_connections(worker, worker->listeners[index]);
		break;
	case REFERENCE_READY_LISTENER:
		accept_ready_client(worker, worker->ready_listeners[index]);
		break;
	case REFERENCE_READY_CLIENT:
		ready_event(worker->ready, index);
		break;
	case REFERENCE_WAKE:
		begin_drain(worker);
		break;
	case REFERENCE_CLIENT:
		connection_dispatch(worker, event->data.u64, false, event->events);
		break;
	case REFERENCE_UPSTREAM:
		connection_dispatch(worker, event->data.u64, true, event->events);
		break;
	}
}

static void check_times(struct worker *worker)
{
	struct connection *connection;

	for (size_t i = 0; worker->table.active > 0 && (connection = table_at(&worker->table, i)) != NULL; i++) {
		connection_check_time(connection, &worker->context);
		finish(worker, connection);
	}
	if (worker->ready != NULL)
		ready_check_time(worker->ready, worker->context.now);
	go_on_accepting(worker);
	sink_flush(&worker->sink);
}

static void abort_all(struct worker *worker)
{
	struct connection *connection;

	for (size_t i = 0; worker->table.active > 0 && (connection = table_at(&worker->table, i)) != NULL; i++) {
		connection_abort(connection, &worker->context);
		finish(worker, connection);
	}
}

static bool is_drained(const struct worker *worker)
{
	return worker->drain_until != 0 &&
	       (worker->table.active == 0 || worker->context.now >= worker->drain_until);
}

static int sleep_limit(const struct worker *worker)
{
	if (worker->drain_until != 0)
		return DRAIN_TICK;
	return worker->table.active > 0 || sink_is_waiting(&worker->sink) || !worker->accepting ? TICK : -1;
}

void worker_run(struct worker *worker)
{
	struct epoll_event events[EVENT_BATCH];
	int64_t next_tick = 0;

	while (!is_drained(worker)) {
		int n = epoll_wait(worker->context.epoll, events, EVENT_BATCH, sleep_limit(worker));

		look_at_the_clock(&worker->context);
		for (int i = 0; i < n; i++)
			dispatch(worker, &events[i]);
		if (worker->context.now >= next_tick) {
			check_times(worker);
			next_tick = worker->context.now + TICK;
		}
	}
	abort_all(worker);
}

/* --- life */

int worker_init(struct worker *worker, uint16_t port, uint16_t ready_port, int log_fd, uint32_t drain_time,
	struct error *e)
{
	struct connection_context *context = &worker->context;
	void *buffer;
	int rc;

	*worker = (struct worker){.accepting = true, .wake = -1, .drain_time = (int64_t)drain_time * 1000,
		.listeners = {-1, -1}, .ready_listeners = {-1, -1}};
	table_init(&worker->table);
	sink_init(&worker->sink, log_fd);
	/* Mapped, not allocated: pages that no read has reached cost nothing. */
	buffer = mmap(NULL, WORKER_BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*context = (struct connection_context){.epoll = epoll_create1(EPOLL_CLOEXEC), .port = port,
		.reference = connection_reference};
	worker->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (buffer == MAP_FAILED || context->epoll < 0 || worker->wake < 0)
		return error_set_errno(e, errno, "cannot set up a worker");
	context->buffer = buffer;
	context->buffer_size = WORKER_BUFFER_SIZE;
	look_at_the_clock(context);
	rc = listener_open(port, worker->listeners, e);
	if (rc == 0 && ready_port != 0) {
		worker->ready = malloc(sizeof *worker->ready);
		if (worker->ready == NULL)
			return error_set(e, ENOMEM, "no memory for the readiness endpoint");
		ready_init(worker->ready);
		rc = listener_open(ready_port, worker->ready_listeners, e);
	}
	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < LISTENER_COUNT && rc == 0; i++) {
		rc = watch(context->epoll, worker->listeners[i], make_reference(REFERENCE_LISTENER, 0, i));
		if (rc == 0)
			rc = watch(context->epoll, worker->ready_listeners[i], make_reference(REFERENCE_READY_LISTENER, 0, i));
	}
	if (rc == 0)
		rc = watch(context->epoll, worker->wake, make_reference(REFERENCE_WAKE, 0, 0));
	return rc < 0 ? error_set_errno(e, -rc, "cannot watch the worker's sockets") : 0;
}

void worker_drain(const struct worker *worker)
{
	const uint64_t one = 1;
	ssize_t n;

	do
		n = write(worker->wake, &one, sizeof one);
	while (n < 0 && errno == EINTR);
}

void worker_free(struct worker *worker)
{
	if (worker->ready != NULL)
		ready_check_time(worker->ready, INT64_MAX);
	free(worker->ready);
	for (size_t i = 0; i < LISTENER_COUNT; i++) {
		if (worker->listeners[i] >= 0)
			(void)close(worker->listeners[i]);
		if (worker->ready_listeners[i] >= 0)
			(void)close(worker->ready_listeners[i]);
	}
	sink_free(&worker->sink);
	table_free(&worker->table);
	if (worker->context.buffer != NULL)
		(void)munmap(worker->context.buffer, worker->context.buffer_size);
	if (worker->wake >= 0)
		(void)close(worker->wake);
	if (worker->context.epoll >= 0)
		(void)close(worker->context.epoll);
}
