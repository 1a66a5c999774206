/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop. epoll's data holds no pointers: a type, an index, and for connections a generation, so an event that was
 * reported before its connection ended in the same batch finds nothing. Connections that have ended are logged and
 * their places given back after the batch, in one place.
 *
 * Time is looked at once a batch. While there are connections, the loop wakes up every second: waits are checked, and
 * bytes counted. An idle worker sleeps.
 *
 * Out of descriptors or memory, a worker stops accepting until a connection ends, or the next second; connections wait
 * in the kernel. Nothing is accepted that could not be dialled: the socket for the way on is there first.
 */
#include "proxy/net/worker.h"

#include "proxy/log/warn.h"
#include "proxy/net/log_line.h"
#include "proxy/net/upstream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define EVENT_BATCH 128
#define ACCEPT_BATCH 64
#define TICK 1000
/* While draining the end may come any time. */
#define DRAIN_TICK 50
/* Without a failure for so many milliseconds, the next one is worth a warning again. */
#define QUIET_TIME 10000

/* epoll's data: 4 bits type, 28 bits generation, 32 bits index. */
enum reference_type {
	REFERENCE_LISTENER,
	REFERENCE_WAKE,
	REFERENCE_RESOLVED,
	REFERENCE_CLIENT,
	REFERENCE_UPSTREAM,
	REFERENCE_IDLE,
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

static uint64_t idle_reference(const struct pool *pool, size_t place)
{
	return make_reference(REFERENCE_IDLE, pool_generation(pool, place), (uint32_t)place);
}

static int64_t clock_milliseconds(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void look_at_the_clock(struct connection_context *context)
{
	context->real_now = clock_milliseconds(CLOCK_REALTIME);
	context->now = clock_milliseconds(CLOCK_MONOTONIC);
	if (context->io != NULL && context->real_now / 1000 != context->dated) {
		context->dated = context->real_now / 1000;
		http_date_write(context->io->date, context->dated);
	}
}

static int watch(int epoll, int fd, uint64_t reference)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = reference};

	if (fd < 0)
		return 0;
	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* --- pauses */

static void stop_accepting(struct worker *worker, int code)
{
	for (size_t i = 0; i < LISTENER_COUNT; i++)
		if (worker->listeners[i] >= 0)
			(void)epoll_ctl(worker->context.epoll, EPOLL_CTL_DEL, worker->listeners[i], NULL);
	worker->accepting = false;
	metrics_count(&worker->options.metrics->pauses, 1);
	if (worker->refused == 0 || worker->context.now - worker->refused >= QUIET_TIME)
		warn("cannot accept connections for now: %s", strerror(code));
	worker->refused = worker->context.now;
}

static void go_on_accepting(struct worker *worker)
{
	if (worker->accepting)
		return;
	worker->accepting = true;
	for (uint32_t i = 0; i < LISTENER_COUNT; i++)
		(void)watch(worker->context.epoll, worker->listeners[i], make_reference(REFERENCE_LISTENER, 0, i));
}

/* --- the end of a connection */

static struct worker *worker_of(struct connection_context *context)
{
	return (struct worker *)((char *)context - offsetof(struct worker, context));
}

static const struct format *format_of(const struct worker *worker)
{
	const struct configuration *configuration = worker->context.configuration;

	return configuration != NULL && configuration->format != NULL ? configuration->format : worker->format;
}

/* The configuration is a new one. */
static void take_format(struct worker *worker)
{
	worker->context.io->keeps_heads = format_asks_response(format_of(worker));
}

static void write_line(struct connection_context *context, struct facts *facts)
{
	struct worker *worker = worker_of(context);

	log_line_write(worker->options.sink, worker->number, format_of(worker), facts);
}

/* Logs a connection that has ended, and gives its place back. */
static void finish(struct worker *worker, struct connection *connection)
{
	if (connection->state != CONNECTION_ENDED)
		return;
	if (!connection->silent)
		write_line(&worker->context, &connection->facts);
	connection_release(connection);
	table_give(&worker->table, connection);
	metrics_count(&worker->options.metrics->active, -1);
	go_on_accepting(worker);
}

/* --- accepting */

/* Makes sure that the next connection can be dialled. Returns 0 or -errno. */
static int prepare_upstream(struct worker *worker, size_t family)
{
	if (worker->upstreams[family] < 0)
		worker->upstreams[family] = side_socket(family == LISTENER_IPV4 ? AF_INET : AF_INET6);
	return worker->upstreams[family] < 0 ? worker->upstreams[family] : 0;
}

/* Takes one connection. Returns 0, or -errno: -EAGAIN when none waits. */
static int accept_one(struct worker *worker, size_t family)
{
	struct connection *connection = table_take(&worker->table);
	struct endpoint source;
	int rc = connection != NULL ? prepare_upstream(worker, family) : -ENOMEM;
	int fd = rc == 0 ? listener_accept(worker->listeners[family], &source) : rc;

	if (fd < 0) {
		if (connection != NULL)
			table_give(&worker->table, connection);
		return fd;
	}
	metrics_count(&worker->options.metrics->active, 1);
	connection_start(connection, &worker->context, fd, &worker->upstreams[family], &source);
	finish(worker, connection);
	return 0;
}

static void accept_connections(struct worker *worker, size_t family)
{
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		int rc = accept_one(worker, family);

		if (rc == -EAGAIN)
			return;
		if (rc < 0 && rc != -ECONNABORTED && rc != -EINTR) {
			stop_accepting(worker, -rc);
			return;
		}
	}
}

/* --- the loop */

static void begin_drain(struct worker *worker)
{
	worker->drain_until = worker->context.now + worker->options.drain_time;
	worker->context.draining = true;
	if (worker->context.io != NULL)
		worker->context.io->draining = true;
}

/* Takes up the newest configuration, and looks at who is not allowed any more. */
static void reconfigure(struct worker *worker)
{
	struct connection_context *context = &worker->context;
	struct connection *connection;

	if (worker->options.source == NULL ||
		(context->configuration != NULL &&
			configuration_number(worker->options.source) == context->configuration->number))
		return;
	configuration_unref(context->configuration);
	context->configuration = configuration_newest(worker->options.source);
	take_format(worker);
	for (size_t i = 0; worker->table.active > 0 && (connection = table_at(&worker->table, i)) != NULL; i++)
		connection_reconsider(connection, context);
}

/* Somebody has something for the worker. */
static void wake_up(struct worker *worker)
{
	uint64_t count;

	(void)!read(worker->wake, &count, sizeof count);
	if (worker->drain_asked && worker->drain_until == 0)
		begin_drain(worker);
	reconfigure(worker);
}

/* The connection of a place, if it still is the same; NULL: it is not. */
static struct connection *find_connection(struct worker *worker, uint32_t index, uint32_t generation)
{
	struct connection *connection = table_at(&worker->table, index);

	return connection != NULL && (connection->generation & GENERATION_MASK) == (generation & GENERATION_MASK) ? connection
														    : NULL;
}

static void take_answers(struct worker *worker)
{
	struct resolver_wait *wait;

	while ((wait = resolver_client_next(worker->options.resolver, &worker->resolved)) != NULL) {
		struct connection *connection;
		uint32_t index;
		uint32_t generation;

		upstream_waiter(wait, &index, &generation);
		connection = find_connection(worker, index, generation);
		if (connection == NULL)
			continue;
		connection_resolved(connection, &worker->context);
		finish(worker, connection);
	}
}

static void connection_dispatch(struct worker *worker, uint64_t reference, bool upstream, uint32_t events)
{
	uint32_t index = (uint32_t)reference;
	struct connection *connection = find_connection(worker, index, (uint32_t)(reference >> 32));

	if (connection == NULL)
		return;
	connection_event(connection, &worker->context, upstream, events);
	finish(worker, connection);
}

static void dispatch(struct worker *worker, const struct epoll_event *event)
{
	uint32_t index = (uint32_t)event->data.u64;

	switch ((enum reference_type)(event->data.u64 >> 60)) {
	case REFERENCE_LISTENER:
		accept_connections(worker, index);
		break;
	case REFERENCE_WAKE:
		wake_up(worker);
		break;
	case REFERENCE_RESOLVED:
		take_answers(worker);
		break;
	case REFERENCE_IDLE:
		pool_event(&worker->context.pool, index, (uint32_t)(event->data.u64 >> 32) & GENERATION_MASK);
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
	pool_check_time(&worker->context.pool, worker->context.now);
	go_on_accepting(worker);
}

/* Those whose moment has come. */
static void check_timers(struct worker *worker)
{
	struct timer timer;

	while (timers_take(&worker->context.timers, worker->context.now, &timer)) {
		struct connection *connection = find_connection(worker, timer.index, timer.generation);

		if (connection == NULL || connection->state == CONNECTION_FREE)
			continue;
		connection_check_time(connection, &worker->context);
		finish(worker, connection);
	}
}

static void abort_all(struct worker *worker)
{
	struct connection *connection;

	for (size_t i = 0; worker->table.active > 0 && (connection = table_at(&worker->table, i)) != NULL; i++) {
		connection_abort(connection, &worker->context);
		finish(worker, connection);
	}
}

/* Whether any worker has a connection. Those that have been waiting to be accepted are one's own last chance. */
static bool has_connections(struct worker *worker)
{
	if (metrics_active(worker->options.metrics) > 0)
		return true;
	for (size_t i = 0; i < LISTENER_COUNT && worker->accepting; i++)
		if (worker->listeners[i] >= 0)
			accept_connections(worker, i);
	return worker->table.active > 0;
}

static bool is_drained(struct worker *worker)
{
	bool is_over = worker->context.now >= worker->drain_until;

	if (worker->drain_until == 0)
		return false;
	return worker->options.drain_to_zero ? is_over && !has_connections(worker) : is_over || !has_connections(worker);
}

static int sleep_limit(const struct worker *worker)
{
	int limit = worker->table.active > 0 || worker->context.pool.count > 0 || !worker->accepting ? TICK : -1;
	int64_t next = timers_next(&worker->context.timers);

	if (worker->drain_until != 0)
		limit = DRAIN_TICK;
	if (next == INT64_MAX)
		return limit;
	next = next > worker->context.now ? next - worker->context.now : 0;
	return limit < 0 || next < limit ? (int)(next < TICK ? next : TICK) : limit;
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
		check_timers(worker);
		if (worker->context.now >= next_tick) {
			check_times(worker);
			next_tick = worker->context.now + TICK;
		}
	}
	abort_all(worker);
}

/* --- life */

/* What only a worker with a configuration has. */
static int init_policy(struct worker *worker, struct error *e)
{
	struct connection_context *context = &worker->context;
	/* Mapped, as above. */
	void *io = mmap(NULL, sizeof *context->io, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *tls = mmap(NULL, 2 * TLS_STREAM_ROOM(WORKER_BUFFER_SIZE), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int rc = resolver_client_init(&worker->resolved, e);

	if (rc < 0)
		return rc;
	worker->has_resolved = true;
	if (io == MAP_FAILED || tls == MAP_FAILED || getrandom(&context->random_state, sizeof context->random_state, 0) < 0)
		return error_set_errno(e, errno, "cannot set up a worker");
	context->tls_size = TLS_STREAM_ROOM(WORKER_BUFFER_SIZE);
	context->plain = tls;
	context->wire = context->plain + context->tls_size;
	context->io = io;
	http_io_init(context->io);
	context->configuration = configuration_newest(worker->options.source);
	take_format(worker);
	rc = watch(context->epoll, worker->resolved.wake, make_reference(REFERENCE_RESOLVED, 0, 0));
	return rc < 0 ? error_set_errno(e, -rc, "cannot watch the resolver") : 0;
}

int worker_init(struct worker *worker, const struct worker_options *options, size_t number, struct error *e)
{
	struct connection_context *context = &worker->context;
	void *buffer;
	int rc;

	*worker = (struct worker){.options = *options, .number = number, .accepting = true, .wake = -1, .listeners = {-1, -1},
		.upstreams = {-1, -1}};
	table_init(&worker->table);
	/* Mapped, not allocated: pages that no read has reached cost nothing. */
	buffer = mmap(NULL, WORKER_BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*context = (struct connection_context){.epoll = epoll_create1(EPOLL_CLOEXEC), .port = options->port,
		.metrics = options->metrics, .reference = connection_reference, .idle_reference = idle_reference,
		.write_line = write_line, .resolver = options->resolver, .resolved = &worker->resolved};
	worker->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (buffer == MAP_FAILED || context->epoll < 0 || worker->wake < 0)
		return error_set_errno(e, errno, "cannot set up a worker");
	context->queues.timers = &context->timers;
	context->buffer = buffer;
	context->buffer_size = WORKER_BUFFER_SIZE;
	look_at_the_clock(context);
	rc = format_new(FORMAT_TEXT, NULL, &worker->format, e);
	if (rc == 0 && options->source != NULL)
		rc = init_policy(worker, e);
	if (rc == 0)
		rc = listener_open(options->port, worker->listeners, e);
	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < LISTENER_COUNT && rc == 0; i++)
		rc = watch(context->epoll, worker->listeners[i], make_reference(REFERENCE_LISTENER, 0, i));
	if (rc == 0)
		rc = watch(context->epoll, worker->wake, make_reference(REFERENCE_WAKE, 0, 0));
	return rc < 0 ? error_set_errno(e, -rc, "cannot watch the worker's sockets") : 0;
}

void worker_reconfigure(const struct worker *worker)
{
	const uint64_t one = 1;

	(void)!write(worker->wake, &one, sizeof one);
}

void worker_drain(struct worker *worker)
{
	worker->drain_asked = true;
	worker_reconfigure(worker);
}

void worker_free(struct worker *worker)
{
	for (size_t i = 0; i < LISTENER_COUNT; i++) {
		if (worker->listeners[i] >= 0)
			(void)close(worker->listeners[i]);
		if (worker->upstreams[i] >= 0)
			(void)close(worker->upstreams[i]);
	}
	table_free(&worker->table);
	pool_free(&worker->context.pool);
	timers_free(&worker->context.timers);
	configuration_unref(worker->context.configuration);
	if (worker->has_resolved)
		resolver_client_free(&worker->resolved);
	if (worker->context.io != NULL)
		(void)munmap(worker->context.io, sizeof *worker->context.io);
	if (worker->context.plain != NULL)
		(void)munmap(worker->context.plain, 2 * worker->context.tls_size);
	format_unref(worker->format);
	if (worker->context.buffer != NULL)
		(void)munmap(worker->context.buffer, worker->context.buffer_size);
	if (worker->wake >= 0)
		(void)close(worker->wake);
	if (worker->context.epoll >= 0)
		(void)close(worker->context.epoll);
}
