/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a connection:
 *
 *     accept --> CONNECTING --> RELAYING --> ENDED
 *        |            |                        ^
 *        |            +-- refused, timed out --+   the client is reset, as the destination would have done
 *        +-- dialled directly, a loop ---------+
 *
 * set_state() alone changes the state. While CONNECTING only the upstream is watched; the client's first bytes wait in
 * the kernel.
 *
 * Bytes are read into the worker's buffer and written out at once. What the other side does not take is copied to it as
 * pending, and its source is not read again until that is gone: a stalled reader costs at most one buffer. An end of
 * input is passed on as a half-close when everything before it has been written, in one packet with the last bytes where
 * both came together; when both directions have ended so, the connection has. A reset on one side becomes a reset of the
 * other.
 */
#include "proxy/net/connection.h"

#include "proxy/net/destination.h"

#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Milliseconds that the upstream may take to answer, and that a connection may be idle. */
#define CONNECT_TIMEOUT 10000
#define IDLE_TIMEOUT (3600 * 1000)

/* Milliseconds of silence after which the kernel is asked to probe; short connections are spared the system call. */
#define KEEPALIVE_AFTER (60 * 1000)

/*
 * Seconds between the probes of a connection of which one direction has ended. Connection tracking, which the redirection
 * rests on, forgets such a one after 60 seconds of silence (nf_conntrack_tcp_timeout_close_wait), and what comes later
 * would reach nobody; a probe and its answer remind it.
 */
#define HALF_CLOSED_PROBE 20

/* Full buffers that one event may move, so that a fast connection leaves the others their turn. */
#define READ_BUDGET 4

static void set_state(struct connection *connection, struct connection_context *context, enum connection_state state)
{
	assert(state > connection->state);
	connection->state = state;
	connection->active = context->now;
	if (state != CONNECTION_ENDED)
		return;
	if (connection->facts.has_upstream)
		destination_forget(&connection->facts.upstream_local);
	side_close(&connection->client);
	side_close(&connection->upstream);
	sniff_end(&connection->sniff, &connection->facts);
	connection->facts.duration = context->now - connection->began;
	metrics_close(context->metrics, &connection->share, &connection->facts);
}

static void end(struct connection *connection, struct connection_context *context, enum facts_end how)
{
	connection->facts.end = how;
	set_state(connection, context, CONNECTION_ENDED);
}

static void end_with_reset(struct connection *connection, struct connection_context *context, enum facts_end how)
{
	side_reset(&connection->client);
	side_reset(&connection->upstream);
	end(connection, context, how);
}

/* --- what is watched */

static int watch(const struct connection *connection, const struct connection_context *context, bool upstream,
	struct side *side, uint32_t events)
{
	return side_watch(side, context->epoll, events, context->reference(connection, upstream));
}

/* --- the relay */

/* Tells a side's peer that no more will come, once everything has gone out. */
static void pass_end_on(struct side *to, const struct side *from)
{
	if (from->read_ended && to->pending_size == 0)
		side_end(to);
}

static void count(struct connection *connection, bool from_upstream, size_t received, size_t written)
{
	if (from_upstream)
		connection->facts.sent += written;
	else
		connection->facts.received += received;
}

/* Looks at what a client has sent, as it passes. */
static void sniff(struct connection *connection, const struct connection_context *context, size_t size)
{
	sniff_feed(&connection->sniff, context->buffer, size, &connection->facts);
	if (connection->sniff.done)
		metrics_open(context->metrics, &connection->share, &connection->facts);
}

/* Reads once and writes it on. Returns 0, or -errno with whether the one that is read from has failed. */
static int move_once(struct connection *connection, const struct connection_context *context, bool from_upstream,
	bool *ret_reader_failed)
{
	struct side *from = from_upstream ? &connection->upstream : &connection->client;
	struct side *to = from_upstream ? &connection->client : &connection->upstream;
	ssize_t n = side_read(from, context->buffer, context->buffer_size);
	ssize_t written;

	*ret_reader_failed = true;
	if (n <= 0)
		return n == -EAGAIN ? 0 : (int)n;
	if (!from_upstream && !connection->sniff.done)
		sniff(connection, context, (size_t)n);
	*ret_reader_failed = false;
	written = side_write(to, context->buffer, (size_t)n, from->read_ended);
	count(connection, from_upstream, (size_t)n, written > 0 ? (size_t)written : 0);
	return written < 0 ? (int)written : 0;
}

/*
 * A failure of the upstream's socket is told in the log; the client's own is its own business. A server that is reset
 * shall have been connected before.
 */
static void fail(struct connection *connection, struct connection_context *context, bool upstream)
{
	if (!connection->upstream.was_written)
		side_set_acknowledging(&connection->upstream, true);
	end_with_reset(connection, context, upstream ? FACTS_END_UPSTREAM_RESET : FACTS_END_PLAIN);
}

static void fail_without_memory(struct connection *connection, struct connection_context *context)
{
	end_with_reset(connection, context, FACTS_END_MEMORY);
}

/* Moves bytes in one direction, as long as there are any and the other side takes them. */
static void move(struct connection *connection, struct connection_context *context, bool from_upstream)
{
	struct side *from = from_upstream ? &connection->upstream : &connection->client;
	struct side *to = from_upstream ? &connection->client : &connection->upstream;

	for (int i = 0; from->readable && !from->read_ended && to->pending_size == 0; i++) {
		bool reader_failed;
		int rc = i < READ_BUDGET ? move_once(connection, context, from_upstream, &reader_failed)
					 : watch(connection, context, from_upstream, from, from->watched);

		if (rc == -ENOMEM || (rc < 0 && i == READ_BUDGET)) {
			fail_without_memory(connection, context);
			return;
		}
		if (rc < 0) {
			fail(connection, context, reader_failed == from_upstream);
			return;
		}
		if (i == READ_BUDGET)
			return;
		connection->active = context->now;
	}
	if (to->pending_size > 0 && (to->watched & EPOLLOUT) == 0 &&
		watch(connection, context, !from_upstream, to, SIDE_EDGES | EPOLLOUT) < 0)
		fail_without_memory(connection, context);
}

static void write_pending(struct connection *connection, struct connection_context *context, bool upstream)
{
	struct side *side = upstream ? &connection->upstream : &connection->client;
	ssize_t n = side_write_pending(side);

	if (n < 0) {
		fail(connection, context, upstream);
		return;
	}
	connection->active = context->now;
	count(connection, !upstream, 0, (size_t)n);
}

/* After any event: what follows from the sides as they now are. Closing sends the end that a side has not been sent. */
static void settle(struct connection *connection, struct connection_context *context)
{
	struct side *client = &connection->client;
	struct side *upstream = &connection->upstream;

	if (client->read_ended && upstream->read_ended && client->pending_size == 0 && upstream->pending_size == 0) {
		end(connection, context, FACTS_END_PLAIN);
		return;
	}
	pass_end_on(upstream, client);
	pass_end_on(client, upstream);
}

/* --- the beginning */

static void connect_failed(struct connection *connection, struct connection_context *context, int code)
{
	connection->facts.error = code;
	end_with_reset(connection, context, FACTS_END_CONNECT_FAILED);
}

static void learn_local(struct connection *connection)
{
	struct sockaddr_storage storage;
	socklen_t length = sizeof storage;

	if (getsockname(connection->upstream.fd, (struct sockaddr *)&storage, &length) == 0 &&
		endpoint_from_sockaddr(&storage, &connection->facts.upstream_local) == 0)
		destination_remember(&connection->facts.upstream_local, &connection->facts.destination);
}

static void dial(struct connection *connection, struct connection_context *context, int fd)
{
	struct sockaddr_storage storage;
	socklen_t length = endpoint_to_sockaddr(&connection->facts.destination, &storage);
	int rc;

	connection->facts.has_upstream = true;
	connection->facts.upstream = connection->facts.destination;
	connection->facts.cluster = FACTS_PASSTHROUGH;
	connection->upstream.fd = fd;
	/* The handshake's last packet may wait for the first bytes, which mostly are there already: see connected(). */
	side_set_acknowledging(&connection->upstream, false);
	if (connect(fd, (struct sockaddr *)&storage, length) < 0 && errno != EINPROGRESS) {
		connect_failed(connection, context, errno);
		return;
	}
	learn_local(connection);
	rc = watch(connection, context, true, &connection->upstream, SIDE_EDGES | EPOLLOUT);
	if (rc < 0)
		connect_failed(connection, context, -rc);
}

void connection_start(struct connection *connection, struct connection_context *context, int fd, int *upstream,
	const struct endpoint *source)
{
	connection->client = (struct side){.fd = fd, .no_delay = true};
	connection->upstream = (struct side){.fd = -1};
	connection->sniff = (struct sniff){.done = false};
	connection->facts = (struct facts){.started = context->real_now, .source = *source};
	connection->share = (struct metrics_share){.series = NULL};
	connection->began = context->now;
	connection->keeps_alive = connection->keeps_half = false;
	set_state(connection, context, CONNECTION_CONNECTING);
	if (destination_original(fd, source, &connection->facts.destination) < 0) {
		end_with_reset(connection, context, FACTS_END_PLAIN);
	} else if (connection->facts.destination.port == context->port) {
		end(connection, context, FACTS_END_DIRECT);
	} else if (destination_is_own(source, &connection->facts.destination)) {
		end_with_reset(connection, context, FACTS_END_LOOP);
	} else {
		dial(connection, context, *upstream);
		*upstream = -1;
	}
}

/* What became of connecting: 0, or an errno value. A socket that is merely writable has got through. */
static int connect_result(const struct side *upstream, uint32_t events)
{
	int code = 0;
	socklen_t length = sizeof code;

	if ((events & (EPOLLERR | EPOLLHUP)) != 0 && getsockopt(upstream->fd, SOL_SOCKET, SO_ERROR, &code, &length) < 0)
		code = errno;
	return code;
}

static void connected(struct connection *connection, struct connection_context *context, uint32_t events)
{
	int code = connect_result(&connection->upstream, events);
	int rc;

	if (code != 0) {
		connect_failed(connection, context, code);
		return;
	}
	connection->facts.has_upstream_local = true;
	set_state(connection, context, CONNECTION_RELAYING);
	rc = watch(connection, context, false, &connection->client, SIDE_EDGES);
	if (rc < 0) {
		fail_without_memory(connection, context);
		return;
	}
	/* The client has mostly spoken by now, and epoll would say so only after the next wait. */
	connection->client.readable = true;
	move(connection, context, false);
	/* There was nothing to send, and the server may be the one who speaks first. */
	if (connection->state == CONNECTION_RELAYING && !connection->upstream.was_written)
		side_set_acknowledging(&connection->upstream, true);
}

void connection_event(struct connection *connection, struct connection_context *context, bool upstream, uint32_t events)
{
	struct side *side = upstream ? &connection->upstream : &connection->client;

	side_take_events(side, events);
	if (connection->state == CONNECTION_CONNECTING)
		connected(connection, context, events);
	else if (side->pending_size > 0 && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0)
		write_pending(connection, context, upstream);
	else if (side->read_ended && (events & EPOLLERR) != 0)
		fail(connection, context, upstream);
	if (connection->state == CONNECTION_RELAYING)
		move(connection, context, upstream);
	if (connection->state == CONNECTION_RELAYING)
		move(connection, context, !upstream);
	if (connection->state == CONNECTION_RELAYING)
		settle(connection, context);
}

/* --- the end */

/* Most connections are spared the system calls: they end, or speak, before this is due. */
static void keep_alive(struct connection *connection, int64_t silence)
{
	bool half_closed = connection->client.read_ended || connection->upstream.read_ended;

	if (silence >= KEEPALIVE_AFTER && !connection->keeps_alive) {
		side_keep_alive(&connection->upstream, 0);
		connection->keeps_alive = true;
	}
	if (half_closed && silence >= HALF_CLOSED_PROBE * 1000 && !connection->keeps_half) {
		side_keep_alive(&connection->client, HALF_CLOSED_PROBE);
		side_keep_alive(&connection->upstream, HALF_CLOSED_PROBE);
		connection->keeps_half = true;
	}
}

void connection_check_time(struct connection *connection, struct connection_context *context)
{
	int64_t waited = context->now - connection->active;

	metrics_progress(&connection->share, &connection->facts);
	if (connection->state == CONNECTION_RELAYING)
		keep_alive(connection, waited);
	if (connection->state == CONNECTION_CONNECTING && waited >= CONNECT_TIMEOUT)
		end_with_reset(connection, context, FACTS_END_CONNECT_TIMEOUT);
	else if (connection->state == CONNECTION_RELAYING && waited >= IDLE_TIMEOUT)
		end(connection, context, FACTS_END_PLAIN);
}

void connection_abort(struct connection *connection, struct connection_context *context)
{
	if (connection->state == CONNECTION_CONNECTING || connection->state == CONNECTION_RELAYING)
		end_with_reset(connection, context, FACTS_END_DRAIN);
}

void connection_release(struct connection *connection)
{
	assert(connection->state == CONNECTION_ENDED);
	facts_free(&connection->facts);
	connection->state = CONNECTION_FREE;
	connection->generation++;
}
