/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes are read into the worker's buffer and given to the exchange, which answers with pieces to be written and with
 * events. All pieces are written, or kept with their side, before anything else is read. A side that owes bytes holds up
 * the one that they come from.
 *
 * While a request is under way the client is not read; its end then is noticed later, and a reset at once.
 */
#include "proxy/net/session.h"

#include "proxy/http/date.h"
#include "proxy/net/upstream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

/* Milliseconds that a connection may be idle. */
#define IDLE_TIMEOUT (3600 * 1000)

/* Milliseconds that a client has, at the end, to read what was written and to close. */
#define LINGER 1000

/* Full buffers that one event may move. */
#define READ_BUDGET 4

static void handle(struct connection *connection, struct connection_context *context, enum http_event event);

static bool is_alive(const struct connection *connection)
{
	return connection->state == CONNECTION_HTTP;
}

static void end(struct connection *connection, struct connection_context *context, enum facts_end how, bool reset)
{
	connection->silent = connection->session->has_line;
	/* Somebody else's next request may want it. */
	if (connection->session->began == 0)
		session_detach(connection, context, true);
	if (reset)
		connection_end_with_reset(connection, context, how);
	else
		connection_end(connection, context, how);
}

/* The client is gone: what was under way has its line. */
static void lose_client(struct connection *connection, struct connection_context *context)
{
	enum http_event event = http_exchange_abort(&connection->session->exchange);

	if (event == HTTP_EVENT_END)
		session_finish_request(connection, context);
	if (is_alive(connection))
		end(connection, context, FACTS_END_PLAIN, true);
}

/* --- writing */

static void flush_side(struct connection *connection, struct connection_context *context, bool upstream)
{
	struct http_pieces *pieces = upstream ? &context->io->to_upstream : &context->io->to_client;
	struct side *side = upstream ? &connection->upstream : &connection->client;
	int rc;

	if (pieces->count == 0 || side->fd < 0)
		return;
	rc = upstream && connection->session->tls != NULL ? session_write_tls(connection, context, pieces)
							   : side_write_pieces(side, pieces->items, pieces->count);
	pieces->count = 0;
	pieces->size = 0;
	if (rc == 0 && side->pending_size > 0 && (side->watched & EPOLLOUT) == 0)
		rc = connection_watch(connection, context, upstream, SIDE_EDGES | EPOLLOUT);
	if (rc == 0)
		connection->active = context->now;
	else if (upstream)
		/* What it has to say about that is read next. */
		side->readable = true;
	else
		lose_client(connection, context);
}

static void flush(struct connection *connection, struct connection_context *context)
{
	struct session *session = connection->session;

	flush_side(connection, context, true);
	if (is_alive(connection))
		flush_side(connection, context, false);
	http_io_reset(context->io);
	if (!is_alive(connection) || session->request == NULL || !http_exchange_has_request(&session->exchange))
		return;
	/* Both clocks start when the whole request is there, and has gone. */
	if (session->whole_at == 0) {
		session->whole_at = context->now;
		if (session->request->decision.timeout > 0) {
			session->deadline = context->now + session->request->decision.timeout / 1000000;
			connection_wake(connection, context, session->deadline);
		}
	}
	if (session->sent_at == 0 && session->is_attached && connection->upstream.pending_size == 0)
		session->sent_at = context->now;
}

/* --- events of the exchange */

static void finish(struct connection *connection, struct connection_context *context)
{
	flush(connection, context);
	if (!is_alive(connection))
		return;
	session_finish_request(connection, context);
	if (connection->session->is_ending) {
		connection->session->ends_at = context->now + LINGER;
		connection_wake(connection, context, connection->session->ends_at);
	}
}

/* One step; returns the next event. */
static enum http_event step(struct connection *connection, struct connection_context *context, enum http_event event)
{
	switch (event) {
	case HTTP_EVENT_REQUEST:
		return session_take_request(connection, context);
	case HTTP_EVENT_RESPONSE:
		return session_take_response(connection, context);
	case HTTP_EVENT_FAILURE:
		return session_take_failure(connection, context, context->io->failure, 0);
	case HTTP_EVENT_END:
		finish(connection, context);
		return HTTP_EVENT_NONE;
	case HTTP_EVENT_NO_MEMORY:
		end(connection, context, FACTS_END_MEMORY, true);
		return HTTP_EVENT_NONE;
	case HTTP_EVENT_NONE:
		break;
	}
	return HTTP_EVENT_NONE;
}

/* Does what follows from an event. What is to be written stays in the pieces. */
static void follow(struct connection *connection, struct connection_context *context, enum http_event event)
{
	while (event != HTTP_EVENT_NONE && is_alive(connection))
		event = step(connection, context, event);
}

/* Writes what there is. Of a connection that has ended it is forgotten: the pieces are the next one's, too. */
static void write_out(struct connection *connection, struct connection_context *context)
{
	if (is_alive(connection))
		flush(connection, context);
	else
		http_io_reset(context->io);
}

static void handle(struct connection *connection, struct connection_context *context, enum http_event event)
{
	follow(connection, context, event);
	write_out(connection, context);
}

/* --- reading the client */

static int keep_left(struct session *session, const char *data, size_t size)
{
	char *left = NULL;

	if (size > 0) {
		left = malloc(size);
		if (left == NULL)
			return -ENOMEM;
		memcpy(left, data, size);
	}
	free(session->left);
	session->left = left;
	session->left_size = size;
	return 0;
}

/* A head and what of its body came with it go out in one write; so it is the other way, too. */
static void feed_client(struct connection *connection, struct connection_context *context, const char *data, size_t size)
{
	struct session *session = connection->session;

	while (size > 0 && is_alive(connection)) {
		size_t taken = 0;
		enum http_event event;

		if (session->began == 0) {
			session->began = context->now;
			session->started = context->real_now;
		}
		event = http_exchange_feed_client(&session->exchange, context->io, data, size, &taken);
		follow(connection, context, event);
		if (!http_io_has_room(context->io))
			write_out(connection, context);
		data += taken;
		size -= taken;
		if (taken == 0 && event == HTTP_EVENT_NONE)
			break;
	}
	write_out(connection, context);
	if (is_alive(connection) && keep_left(session, data, size) < 0)
		end(connection, context, FACTS_END_MEMORY, true);
}

/* Takes up what was left, in memory of its own while it is fed. */
static void feed_left(struct connection *connection, struct connection_context *context)
{
	struct session *session = connection->session;
	char *left = session->left;
	size_t size = session->left_size;

	session->left = NULL;
	session->left_size = 0;
	feed_client(connection, context, left, size);
	free(left);
}

static bool can_read_client(const struct connection *connection)
{
	return connection->client.pending_size == 0 && connection->upstream.pending_size == 0 &&
	       http_exchange_reads(&connection->session->exchange);
}

static void end_of_client(struct connection *connection, struct connection_context *context)
{
	struct session *session = connection->session;

	/* Of a tunnel, both ends are there now, and the upstream's was the first. */
	if (http_exchange_is_tunnel(&session->exchange) && connection->upstream.read_ended) {
		handle(connection, context, http_exchange_end_upstream(&session->exchange, context->io, false));
		return;
	}
	handle(connection, context, http_exchange_end_client(&session->exchange, context->io));
	if (!is_alive(connection))
		return;
	if (http_exchange_is_tunnel(&session->exchange))
		side_end(&connection->upstream);
	else if (http_exchange_outcome(&session->exchange) == NULL)
		session->is_ending = true;
}

/* Reads once. Returns whether there was anything to do. */
static bool read_client(struct connection *connection, struct connection_context *context)
{
	struct side *client = &connection->client;
	ssize_t n;

	if (!can_read_client(connection))
		return false;
	if (connection->session->left_size > 0) {
		size_t before = connection->session->left_size;

		feed_left(connection, context);
		return is_alive(connection) && connection->session->left_size < before;
	}
	if (!client->readable || client->read_ended)
		return false;
	n = side_read(client, context->buffer, context->buffer_size);
	if (n == -EAGAIN)
		return false;
	connection->active = context->now;
	if (n < 0)
		lose_client(connection, context);
	else if (n > 0)
		feed_client(connection, context, (const char *)context->buffer, (size_t)n);
	if (is_alive(connection) && client->read_ended)
		end_of_client(connection, context);
	return is_alive(connection);
}

/* --- reading the upstream */

static void feed_upstream(struct connection *connection, struct connection_context *context, const char *data, size_t size)
{
	struct session *session = connection->session;

	while (size > 0 && is_alive(connection) && session->is_attached) {
		size_t taken = 0;
		enum http_event event = http_exchange_feed_upstream(&session->exchange, context->io, data, size, &taken);

		follow(connection, context, event);
		if (!http_io_has_room(context->io))
			write_out(connection, context);
		data += taken;
		size -= taken;
		if (taken == 0 && event == HTTP_EVENT_NONE)
			break;
	}
	write_out(connection, context);
	/* Nobody has asked for it: what comes next on this connection cannot be trusted either. */
	if (size > 0 && is_alive(connection) && session->is_attached)
		session_detach(connection, context, false);
}

/* Bytes of a server that is spoken to in TLS. */
static void feed_tls(struct connection *connection, struct connection_context *context, size_t size)
{
	enum http_event event = HTTP_EVENT_NONE;
	size_t plain = 0;

	session_read_tls(connection, context, context->buffer, size, &plain, &event);
	handle(connection, context, event);
	if (is_alive(connection) && connection->session->tls != NULL)
		feed_upstream(connection, context, (const char *)context->plain, plain);
}

static void end_of_upstream(struct connection *connection, struct connection_context *context, bool reset)
{
	struct session *session = connection->session;

	if (http_exchange_is_tunnel(&session->exchange) && !reset && !connection->client.read_ended) {
		side_end(&connection->client);
		return;
	}
	if (http_exchange_outcome(&session->exchange) == NULL)
		session_detach(connection, context, false);
	else
		handle(connection, context, http_exchange_end_upstream(&session->exchange, context->io, reset));
}

static bool read_upstream(struct connection *connection, struct connection_context *context)
{
	const struct session *session = connection->session;
	struct side *upstream = &connection->upstream;
	bool is_there = upstream->fd >= 0 && (!session->is_connecting || session->tls != NULL);
	ssize_t n;

	if (!is_there || !upstream->readable || upstream->read_ended || connection->client.pending_size > 0)
		return false;
	n = side_read(upstream, context->buffer, context->buffer_size);
	if (n == -EAGAIN)
		return false;
	connection->active = context->now;
	if (n > 0 && session->tls != NULL)
		feed_tls(connection, context, (size_t)n);
	else if (n > 0)
		feed_upstream(connection, context, (const char *)context->buffer, (size_t)n);
	if (!is_alive(connection) || upstream->fd < 0 || (n > 0 && !upstream->read_ended))
		return is_alive(connection);
	if (session->is_connecting)
		handle(connection, context,
			session_take_failure(connection, context, HTTP_FAILURE_CONNECT, n < 0 ? (int)-n : ECONNRESET));
	else
		end_of_upstream(connection, context,
			n < 0 || (session->tls != NULL && tls_stream_state(session->tls) == TLS_FAILED));
	return is_alive(connection);
}

/* --- all of it */

/* What follows from how things are now. */
static void settle(struct connection *connection, struct connection_context *context)
{
	struct session *session = connection->session;

	if (!session->is_ending || connection->client.pending_size > 0)
		return;
	side_end(&connection->client);
	if (connection->client.read_ended)
		end(connection, context, FACTS_END_PLAIN, false);
}

static void pump(struct connection *connection, struct connection_context *context)
{
	bool more = true;

	for (int i = 0; more && i < 2 * READ_BUDGET; i++) {
		more = read_upstream(connection, context);
		if (is_alive(connection))
			more |= read_client(connection, context);
		if (!is_alive(connection))
			return;
	}
	/* The others' turn; what is readable is told once more. */
	if (more) {
		(void)connection_watch(connection, context, false, connection->client.watched);
		if (connection->session->is_attached)
			(void)connection_watch(connection, context, true, connection->upstream.watched);
	}
	settle(connection, context);
}

void session_start(struct connection *connection, struct connection_context *context)
{
	connection->session = calloc(1, sizeof *connection->session);
	connection_set_state(connection, context, CONNECTION_HTTP, INT64_MAX);
	if (connection->session == NULL || context->io == NULL) {
		connection_end_with_reset(connection, context, FACTS_END_MEMORY);
		return;
	}
	connection->session->deadline = connection->session->try_deadline = INT64_MAX;
	connection->client.readable = true;
	pump(connection, context);
}

static bool write_pending(struct connection *connection, struct connection_context *context, bool upstream)
{
	struct side *side = upstream ? &connection->upstream : &connection->client;

	if (side->pending_size == 0)
		return true;
	if (side_write_pending(side) >= 0) {
		connection->active = context->now;
		return true;
	}
	if (upstream)
		side->readable = true;
	else
		lose_client(connection, context);
	return is_alive(connection);
}

void session_event(struct connection *connection, struct connection_context *context, bool upstream, uint32_t events)
{
	if (!upstream && (events & EPOLLERR) != 0) {
		lose_client(connection, context);
		return;
	}
	if (upstream && connection->session->is_connecting && connection->session->tls == NULL) {
		handle(connection, context, session_connected(connection, context, events));
		if (!is_alive(connection))
			return;
	} else if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0 && !write_pending(connection, context, upstream)) {
		return;
	}
	pump(connection, context);
}

void session_resolved(struct connection *connection, struct connection_context *context)
{
	if (!connection->session->is_waiting)
		return;
	connection->session->is_waiting = false;
	handle(connection, context, session_try(connection, context));
	if (is_alive(connection))
		pump(connection, context);
}

/* --- time, and the end */

static enum http_event look_at_the_clock(struct connection *connection, struct connection_context *context)
{
	struct session *session = connection->session;

	if (context->now >= session->deadline) {
		session->deadline = INT64_MAX;
		return http_exchange_fail(&session->exchange, context->io, HTTP_FAILURE_TIMEOUT, NULL, false);
	}
	if (session->pause != SESSION_GOES_ON && context->now >= session->pause_until) {
		if (session->pause == SESSION_DELAYED)
			return session_end_delay(connection, context);
		session->pause = SESSION_GOES_ON;
		return session_try(connection, context);
	}
	if (context->now >= session->try_deadline && !http_exchange_has_response(&session->exchange))
		return session_end_try(connection, context);
	return HTTP_EVENT_NONE;
}

void session_check_time(struct connection *connection, struct connection_context *context)
{
	struct session *session = connection->session;
	bool is_idle = session->began == 0;

	if (session->is_ending && context->now >= session->ends_at) {
		end(connection, context, FACTS_END_PLAIN, false);
		return;
	}
	if (is_idle && (context->draining || context->now - connection->active >= IDLE_TIMEOUT)) {
		end(connection, context, FACTS_END_PLAIN, false);
		return;
	}
	handle(connection, context, look_at_the_clock(connection, context));
	if (is_alive(connection))
		pump(connection, context);
}

void session_abort(struct connection *connection, struct connection_context *context)
{
	if (http_exchange_abort(&connection->session->exchange) == HTTP_EVENT_END)
		session_finish_request(connection, context);
	end(connection, context, FACTS_END_DRAIN, true);
}

void session_free(struct connection *connection)
{
	struct session *session = connection->session;

	if (session == NULL)
		return;
	http_exchange_free(&session->exchange);
	tls_stream_free(session->tls);
	session_free_request(session);
	free(session->left);
	free(session);
	connection->session = NULL;
}
