/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exchange is given what was read (session_read.c), and answers with pieces to be written and with events. All
 * pieces are written, or kept with their side, before anything else is read.
 *
 * While a request is under way the client is not read; its end then is noticed later, and a reset at once.
 */
#include "proxy/net/session.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/epoll.h>

/* Milliseconds that a connection may be idle. */
#define IDLE_TIMEOUT (3600 * 1000)

/* Milliseconds that a client has, at the end, to read what was written and to close. */
#define LINGER 1000

static_assert(sizeof(struct session) <= SESSION_SIZE_MAX, "an idle session is small");

static bool is_alive(const struct connection *connection)
{
	return connection->state == CONNECTION_HTTP;
}

void session_end(struct connection *connection, struct connection_context *context, enum facts_end how, bool reset)
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

void session_lose_client(struct connection *connection, struct connection_context *context)
{
	enum http_event event = http_exchange_abort(&connection->session->exchange);

	if (event == HTTP_EVENT_END)
		session_finish_request(connection, context);
	if (is_alive(connection))
		session_end(connection, context, FACTS_END_PLAIN, true);
}

/* --- writing */

static void flush_side(struct connection *connection, struct connection_context *context, bool upstream)
{
	struct http_pieces *pieces = upstream ? &context->io->to_upstream : &context->io->to_client;
	struct side *side = upstream ? &connection->upstream : &connection->client;
	int rc;

	if (pieces->count == 0 || side->fd < 0)
		return;
	rc = upstream && connection->session->link.tls != NULL ? session_write_tls(connection, context, pieces)
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
		session_lose_client(connection, context);
}

/* The route's clock, and the service's, start when the whole request is there. */
static void start_clocks(struct connection *connection, struct connection_context *context)
{
	struct session_request *request = connection->session->request;

	if (request->whole_at != 0)
		return;
	request->whole_at = context->now;
	if (request->decision.timeout <= 0)
		return;
	request->deadline = context->now + request->decision.timeout / 1000000;
	connection_wake(connection, context, request->deadline);
}

static void flush(struct connection *connection, struct connection_context *context)
{
	struct session *session = connection->session;

	flush_side(connection, context, true);
	if (is_alive(connection))
		flush_side(connection, context, false);
	http_io_reset(context->io);
	if (is_alive(connection) && session->request != NULL && http_exchange_has_request(&session->exchange))
		start_clocks(connection, context);
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
		session_end(connection, context, FACTS_END_MEMORY, true);
		return HTTP_EVENT_NONE;
	case HTTP_EVENT_NONE:
		break;
	}
	return HTTP_EVENT_NONE;
}

void session_follow(struct connection *connection, struct connection_context *context, enum http_event event)
{
	while (event != HTTP_EVENT_NONE && is_alive(connection))
		event = step(connection, context, event);
}

void session_write_out(struct connection *connection, struct connection_context *context)
{
	if (is_alive(connection))
		flush(connection, context);
	else
		http_io_reset(context->io);
}

void session_handle(struct connection *connection, struct connection_context *context, enum http_event event)
{
	session_follow(connection, context, event);
	session_write_out(connection, context);
}

/* --- what happens to it */

void session_start(struct connection *connection, struct connection_context *context)
{
	connection->session = calloc(1, sizeof *connection->session);
	connection_set_state(connection, context, CONNECTION_HTTP, INT64_MAX);
	if (connection->session == NULL || context->io == NULL) {
		connection_end_with_reset(connection, context, FACTS_END_MEMORY);
		return;
	}
	connection->client.readable = true;
	session_pump(connection, context);
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
		session_lose_client(connection, context);
	return is_alive(connection);
}

void session_event(struct connection *connection, struct connection_context *context, bool upstream, uint32_t events)
{
	if (!upstream && (events & EPOLLERR) != 0) {
		session_lose_client(connection, context);
		return;
	}
	if (upstream && connection->session->is_connecting && connection->session->link.tls == NULL) {
		session_handle(connection, context, session_connected(connection, context, events));
		if (!is_alive(connection))
			return;
	} else if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0 && !write_pending(connection, context, upstream)) {
		return;
	}
	session_pump(connection, context);
}

void session_resolved(struct connection *connection, struct connection_context *context)
{
	struct session_request *request = connection->session->request;

	if (request == NULL || !request->is_waiting)
		return;
	request->is_waiting = false;
	session_handle(connection, context, session_try(connection, context));
	if (is_alive(connection))
		session_pump(connection, context);
}

/* --- time, and the end */

static enum http_event look_at_the_clock(struct connection *connection, struct connection_context *context)
{
	struct session *session = connection->session;
	struct session_request *request = session->request;

	if (request == NULL)
		return HTTP_EVENT_NONE;
	if (context->now >= request->deadline) {
		request->deadline = INT64_MAX;
		return http_exchange_fail(&session->exchange, context->io, HTTP_FAILURE_TIMEOUT, NULL, false);
	}
	if (request->pause != SESSION_GOES_ON && context->now >= request->pause_until) {
		if (request->pause == SESSION_DELAYED)
			return session_end_delay(connection, context);
		request->pause = SESSION_GOES_ON;
		return session_try(connection, context);
	}
	if (context->now >= request->try_deadline && !http_exchange_has_response(&session->exchange))
		return session_end_try(connection, context);
	return session_take_turn(connection, context);
}

void session_check_time(struct connection *connection, struct connection_context *context)
{
	struct session *session = connection->session;
	bool is_idle = session->began == 0;

	if (session->is_ending && context->now >= session->ends_at) {
		session_end(connection, context, FACTS_END_PLAIN, false);
		return;
	}
	if (is_idle && (context->draining || context->now - connection->active >= IDLE_TIMEOUT)) {
		session_end(connection, context, FACTS_END_PLAIN, false);
		return;
	}
	session_check_idle(connection, context);
	session_handle(connection, context, look_at_the_clock(connection, context));
	if (is_alive(connection))
		session_pump(connection, context);
}

void session_abort(struct connection *connection, struct connection_context *context)
{
	if (http_exchange_abort(&connection->session->exchange) == HTTP_EVENT_END)
		session_finish_request(connection, context);
	session_end(connection, context, FACTS_END_DRAIN, true);
}

void session_free(struct connection *connection)
{
	struct session *session = connection->session;

	if (session == NULL)
		return;
	http_exchange_free(&session->exchange);
	session_free_request(session);
	link_close(&session->link);
	free(session->left);
	free(session);
	connection->session = NULL;
}
