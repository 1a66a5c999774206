/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes are read into the worker's buffer and written out at once. What the other side does not take is copied to it as
 * pending, and its source is not read again until that is gone: a stalled reader costs at most one buffer. An end of
 * input is passed on as a half-close when everything before it has been written, in one packet with the last bytes where
 * both came together; when both directions have ended so, the connection has. A reset on one side becomes a reset of the
 * other.
 */
#include "proxy/net/relay.h"

#include "proxy/net/limit.h"

#include <errno.h>
#include <sys/epoll.h>

/* Milliseconds: what is due within them would wait too long for the look once a second. */
#define SOON 1000

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
	connection_end_with_reset(connection, context, upstream ? FACTS_END_UPSTREAM_RESET : FACTS_END_PLAIN);
}

static void fail_without_memory(struct connection *connection, struct connection_context *context)
{
	connection_end_with_reset(connection, context, FACTS_END_MEMORY);
}

/* Moves bytes in one direction, as long as there are any and the other side takes them. */
static void move(struct connection *connection, struct connection_context *context, bool from_upstream)
{
	struct side *from = from_upstream ? &connection->upstream : &connection->client;
	struct side *to = from_upstream ? &connection->client : &connection->upstream;

	for (int i = 0; from->readable && !from->read_ended && to->pending_size == 0; i++) {
		bool reader_failed;
		int rc = i < READ_BUDGET ? move_once(connection, context, from_upstream, &reader_failed)
					 : connection_watch(connection, context, from_upstream, from->watched);

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
		connection_watch(connection, context, !from_upstream, SIDE_EDGES | EPOLLOUT) < 0)
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
		connection_end(connection, context, FACTS_END_PLAIN);
		return;
	}
	pass_end_on(upstream, client);
	pass_end_on(client, upstream);
}

/* Asks to be woken, where idleness or age will be due soon. What has been asked for cannot be taken back. */
static void wake(struct connection *connection, struct connection_context *context, int64_t idle_time, int64_t duration)
{
	int64_t due = LIMIT_NEVER;

	if (idle_time < context->now - connection->active + SOON)
		due = connection->active + idle_time;
	if (duration < context->now - connection->began + SOON && connection->began + duration < due)
		due = connection->began + duration;
	if (due == LIMIT_NEVER || (connection->due > context->now && connection->due <= due))
		return;
	connection->due = due;
	connection_wake(connection, context, due);
}

static void check_limits(struct connection *connection, struct connection_context *context)
{
	int64_t idle_time = limit_tcp_idle_time(connection->cluster);
	int64_t duration = limit_duration(connection->cluster);

	if (context->now - connection->began >= duration)
		connection_end(connection, context, FACTS_END_DURATION);
	else if (context->now - connection->active >= idle_time)
		connection_end(connection, context, FACTS_END_PLAIN);
	else
		wake(connection, context, idle_time, duration);
}

void relay_start(struct connection *connection, struct connection_context *context)
{
	connection->facts.has_upstream_local = true;
	connection_set_state(connection, context, CONNECTION_RELAYING, INT64_MAX);
	if (connection_watch(connection, context, false, SIDE_EDGES) < 0) {
		fail_without_memory(connection, context);
		return;
	}
	/* The client has mostly spoken by now, and epoll would say so only after the next wait. */
	connection->client.readable = true;
	move(connection, context, false);
	if (connection->state != CONNECTION_RELAYING)
		return;
	/* There was nothing to send, and the server may be the one who speaks first. */
	if (!connection->upstream.was_written)
		side_set_acknowledging(&connection->upstream, true);
	if (connection->cluster != NULL)
		check_limits(connection, context);
}

void relay_event(struct connection *connection, struct connection_context *context, bool upstream, uint32_t events)
{
	const struct side *side = upstream ? &connection->upstream : &connection->client;

	if (side->pending_size > 0 && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0)
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

/* Most connections are spared the system calls: they end, or speak, before this is due. */
static void keep_alive(struct connection *connection, int64_t silence)
{
	bool half_closed = connection->client.read_ended || connection->upstream.read_ended;

	if (silence >= KEEPALIVE_AFTER && !connection->keeps_alive) {
		side_keep_alive(&connection->upstream, 0, 0, 0);
		connection->keeps_alive = true;
	}
	if (half_closed && silence >= HALF_CLOSED_PROBE * 1000 && !connection->keeps_half) {
		side_keep_alive(&connection->client, HALF_CLOSED_PROBE, HALF_CLOSED_PROBE, 0);
		side_keep_alive(&connection->upstream, HALF_CLOSED_PROBE, HALF_CLOSED_PROBE, 0);
		connection->keeps_half = true;
	}
}

void relay_check_time(struct connection *connection, struct connection_context *context)
{
	keep_alive(connection, context->now - connection->active);
	check_limits(connection, context);
}
