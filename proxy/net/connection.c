/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a connection:
 *
 *     accept --> CONNECTING --> RELAYING --> ENDED
 *        |            |                        ^
 *        |            +-- refused, timed out --+   the client is reset, as the destination would have done
 *        +-- dialled directly, a loop ---------+
 *
 * set_state() alone changes the state. While CONNECTING only the upstream is watched, for being writable; the client's
 * first bytes wait in the kernel. While RELAYING each side is watched for what could move bytes: for reading unless the
 * other side still owes some, for writing while it owes some itself. watch() works that out from the sides, after every
 * event; nobody else touches epoll.
 *
 * Bytes are read into the worker's buffer and written out at once. What the other side does not take is copied to it as
 * pending, and its source is not read again until that is gone: a stalled reader costs at most one buffer. An end of
 * input is passed on as a half-close when everything before it has been written; when both directions have ended so,
 * the connection has. A reset on one side becomes a reset of the other.
 */
#include "proxy/net/connection.h"

#include "proxy/net/destination.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Milliseconds that the upstream may take to answer, and that a connection may be idle. */
#define CONNECT_TIMEOUT 10000
#define IDLE_TIMEOUT (3600 * 1000)

/* Full buffers that one event may move, so that a fast connection leaves the others their turn. */
#define READ_BUDGET 4

static void close_side(struct connection_side *side)
{
	if (side->fd >= 0)
		(void)close(side->fd);
	side->fd = -1;
	side->watched = 0;
	free(side->pending);
	side->pending = NULL;
	side->pending_size = 0;
}

/* Makes close() send a reset, not an orderly end. */
static void make_reset(const struct connection_side *side)
{
	const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

	if (side->fd >= 0)
		(void)setsockopt(side->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

static void set_state(struct connection *connection, struct connection_context *context, enum connection_state state)
{
	assert(state > connection->state);
	connection->state = state;
	connection->active = context->now;
	if (state != CONNECTION_ENDED)
		return;
	if (connection->facts.has_upstream)
		destination_forget(&connection->facts.upstream_local);
	close_side(&connection->client);
	close_side(&connection->upstream);
	sniff_end(&connection->sniff);
	connection->facts.ended = context->real_now;
}

static void end(struct connection *connection, struct connection_context *context, enum facts_end how)
{
	connection->facts.end = how;
	set_state(connection, context, CONNECTION_ENDED);
}

static void end_with_reset(struct connection *connection, struct connection_context *context, enum facts_end how)
{
	make_reset(&connection->client);
	make_reset(&connection->upstream);
	end(connection, context, how);
}

/* --- what is watched */

static uint32_t wanted_events(const struct connection_side *side, const struct connection_side *other)
{
	uint32_t events = 0;

	if (!side->read_ended && other->pending_size == 0)
		events |= EPOLLIN;
	if (side->pending_size > 0)
		events |= EPOLLOUT;
	return events;
}

/* A socket without wanted events is taken out: epoll would report its hang-up again and again. */
static int watch_side(const struct connection *connection, const struct connection_context *context, bool upstream,
	struct connection_side *side, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.u64 = context->reference(connection, upstream)};
	int op = side->watched == 0 ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;

	if (side->watched == events)
		return 0;
	if (epoll_ctl(context->epoll, op, side->fd, &event) < 0)
		return -errno;
	side->watched = events;
	return 0;
}

static void watch(struct connection *connection, struct connection_context *context)
{
	struct connection_side *client = &connection->client;
	struct connection_side *upstream = &connection->upstream;
	int rc;

	if (connection->state == CONNECTION_CONNECTING) {
		rc = watch_side(connection, context, true, upstream, EPOLLOUT);
	} else {
		rc = watch_side(connection, context, false, client, wanted_events(client, upstream));
		if (rc == 0)
			rc = watch_side(connection, context, true, upstream, wanted_events(upstream, client));
		/* A connection that waits for nothing would wait for ever. */
		assert(rc < 0 || client->watched != 0 || upstream->watched != 0);
	}
	if (rc < 0)
		end_with_reset(connection, context, FACTS_END_PLAIN);
}

/* --- the relay */

/* Tells a side's peer that no more will come, once everything has gone out. */
static void pass_end_on(struct connection_side *to, const struct connection_side *from)
{
	if (!from->read_ended || to->write_ended || to->pending_size > 0)
		return;
	(void)shutdown(to->fd, SHUT_WR);
	to->write_ended = true;
}

/* Keeps what a side did not take. Returns 0 or -ENOMEM. */
static int keep_pending(struct connection_side *to, const uint8_t *data, size_t size)
{
	to->pending = malloc(size);
	if (to->pending == NULL)
		return -ENOMEM;
	memcpy(to->pending, data, size);
	to->pending_size = (uint32_t)size;
	to->pending_start = 0;
	return 0;
}

/* Writes what it can. Returns the bytes that went out, or -errno. */
static ssize_t write_some(const struct connection_side *to, const uint8_t *data, size_t size)
{
	ssize_t n;

	do
		n = send(to->fd, data, size, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	return errno == EAGAIN ? 0 : -errno;
}

static ssize_t read_some(const struct connection_side *from, uint8_t *data, size_t size)
{
	ssize_t n;

	do
		n = recv(from->fd, data, size, 0);
	while (n < 0 && errno == EINTR);
	return n >= 0 ? n : -errno;
}

static void count(struct connection *connection, bool from_upstream, size_t received, size_t written)
{
	if (from_upstream)
		connection->facts.sent += written;
	else
		connection->facts.received += received;
}

/* Reads once and writes it on. Returns the bytes read, 0 at the end of input, or -errno with `*ret_reader_failed`. */
static ssize_t move_once(struct connection *connection, const struct connection_context *context, bool from_upstream,
	bool *ret_reader_failed)
{
	struct connection_side *from = from_upstream ? &connection->upstream : &connection->client;
	struct connection_side *to = from_upstream ? &connection->client : &connection->upstream;
	ssize_t n = read_some(from, context->buffer, context->buffer_size);
	ssize_t written;

	*ret_reader_failed = true;
	if (n <= 0)
		return n;
	if (!from_upstream && !connection->sniff.done)
		sniff_feed(&connection->sniff, context->buffer, (size_t)n, &connection->facts);
	*ret_reader_failed = false;
	written = write_some(to, context->buffer, (size_t)n);
	count(connection, from_upstream, (size_t)n, written > 0 ? (size_t)written : 0);
	if (written < 0)
		return written;
	if (written < n && keep_pending(to, context->buffer + written, (size_t)(n - written)) < 0)
		return -ENOMEM;
	return n;
}

/* A failure of the upstream's socket is told in the log; the client's own is its own business. */
static void fail(struct connection *connection, struct connection_context *context, bool upstream)
{
	end_with_reset(connection, context, upstream ? FACTS_END_UPSTREAM_RESET : FACTS_END_PLAIN);
}

static void move(struct connection *connection, struct connection_context *context, bool from_upstream)
{
	struct connection_side *from = from_upstream ? &connection->upstream : &connection->client;
	struct connection_side *to = from_upstream ? &connection->client : &connection->upstream;

	for (int i = 0; i < READ_BUDGET && to->pending_size == 0; i++) {
		bool reader_failed;
		ssize_t n = move_once(connection, context, from_upstream, &reader_failed);

		if (n == -EAGAIN && reader_failed)
			return;
		if (n < 0) {
			fail(connection, context, n != -ENOMEM && reader_failed == from_upstream);
			return;
		}
		connection->active = context->now;
		if (n == 0) {
			from->read_ended = true;
			return;
		}
		/* A short read has emptied the socket: asking again would cost a system call to hear so. */
		if ((size_t)n < context->buffer_size)
			return;
	}
}

static void write_pending(struct connection *connection, struct connection_context *context, bool upstream)
{
	struct connection_side *side = upstream ? &connection->upstream : &connection->client;
	ssize_t n = write_some(side, side->pending + side->pending_start, side->pending_size);

	if (n < 0) {
		fail(connection, context, upstream);
		return;
	}
	connection->active = context->now;
	count(connection, !upstream, 0, (size_t)n);
	side->pending_start += (uint32_t)n;
	side->pending_size -= (uint32_t)n;
	if (side->pending_size == 0) {
		free(side->pending);
		side->pending = NULL;
	}
}

/* After any event: what follows from the sides as they now are. */
static void settle(struct connection *connection, struct connection_context *context)
{
	struct connection_side *client = &connection->client;
	struct connection_side *upstream = &connection->upstream;

	pass_end_on(upstream, client);
	pass_end_on(client, upstream);
	if (client->write_ended && upstream->write_ended)
		end(connection, context, FACTS_END_PLAIN);
	else
		watch(connection, context);
}

/* --- the beginning */

static int make_socket(const struct endpoint *destination)
{
	int family = address_is_ipv4(&destination->address) ? AF_INET : AF_INET6;
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd >= 0 ? fd : -errno;
}

static void tune(int fd)
{
	int on = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

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

static void dial(struct connection *connection, struct connection_context *context)
{
	struct sockaddr_storage storage;
	socklen_t length = endpoint_to_sockaddr(&connection->facts.destination, &storage);
	int fd = make_socket(&connection->facts.destination);

	connection->facts.has_upstream = true;
	if (fd < 0) {
		connect_failed(connection, context, -fd);
		return;
	}
	connection->upstream.fd = fd;
	tune(fd);
	if (connect(fd, (struct sockaddr *)&storage, length) < 0 && errno != EINPROGRESS) {
		connect_failed(connection, context, errno);
		return;
	}
	learn_local(connection);
	watch(connection, context);
}

void connection_start(struct connection *connection, struct connection_context *context, int fd,
	const struct endpoint *source, const struct endpoint *local)
{
	connection->client = (struct connection_side){.fd = fd};
	connection->upstream = (struct connection_side){.fd = -1};
	connection->sniff = (struct sniff){.done = false};
	connection->facts = (struct facts){.started = context->real_now, .source = *source};
	destination_original(fd, local, &connection->facts.destination);
	set_state(connection, context, CONNECTION_CONNECTING);
	if (connection->facts.destination.port == context->port) {
		end(connection, context, FACTS_END_DIRECT);
	} else if (destination_is_own(source, &connection->facts.destination)) {
		end_with_reset(connection, context, FACTS_END_LOOP);
	} else {
		tune(fd);
		dial(connection, context);
	}
}

static void connected(struct connection *connection, struct connection_context *context)
{
	int code = 0;
	socklen_t length = sizeof code;

	if (getsockopt(connection->upstream.fd, SOL_SOCKET, SO_ERROR, &code, &length) < 0)
		code = errno;
	if (code != 0) {
		connect_failed(connection, context, code);
		return;
	}
	connection->facts.has_upstream_local = true;
	set_state(connection, context, CONNECTION_RELAYING);
	/* The client has mostly spoken by now. */
	move(connection, context, false);
}

void connection_event(struct connection *connection, struct connection_context *context, bool upstream, uint32_t events)
{
	struct connection_side *side = upstream ? &connection->upstream : &connection->client;
	const struct connection_side *other = upstream ? &connection->client : &connection->upstream;

	if (connection->state == CONNECTION_CONNECTING) {
		connected(connection, context);
	} else {
		if (side->pending_size > 0 && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0)
			write_pending(connection, context, upstream);
		if (connection->state == CONNECTION_RELAYING && !side->read_ended && other->pending_size == 0 &&
			(events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0)
			move(connection, context, upstream);
	}
	if (connection->state == CONNECTION_RELAYING)
		settle(connection, context);
}

/* --- the end */

void connection_check_time(struct connection *connection, struct connection_context *context)
{
	int64_t waited = context->now - connection->active;

	if (connection->state == CONNECTION_CONNECTING && waited >= CONNECT_TIMEOUT)
		end_with_reset(connection, context, FACTS_END_CONNECT_TIMEOUT);
	else if (connection->state == CONNECTION_RELAYING && waited >= IDLE_TIMEOUT)
		end(connection, context, FACTS_END_PLAIN);
}

void connection_abort(struct connection *connection, struct connection_context *context)
{
	if (connection->state == CONNECTION_CONNECTING || connection->state == CONNECTION_RELAYING)
		end_with_reset(connection, context, FACTS_END_PLAIN);
}

void connection_release(struct connection *connection)
{
	assert(connection->state == CONNECTION_ENDED);
	facts_free(&connection->facts);
	connection->state = CONNECTION_FREE;
	connection->generation++;
}
