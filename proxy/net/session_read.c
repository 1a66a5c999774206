/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes from the two sides is read into the worker's buffer and fed to the exchange. A side that owes bytes holds
 * up the one that they come from; what the exchange does not take of a client's bytes is kept until it wants them.
 */
#include "proxy/net/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Full buffers that one event may move. */
#define READ_BUDGET 4

static bool is_alive(const struct connection *connection)
{
	return connection->state == CONNECTION_HTTP;
}

/* --- feeding */

/* A request begins with its first byte. */
static void note_beginning(struct session *session, const struct connection_context *context)
{
	if (session->began != 0)
		return;
	session->began = context->now;
	session->started = context->real_now;
}

/*
 * Feeds bytes of one side, and writes what that brings. A head and what of its body came with it go out in one write;
 * so it is both ways. Returns how many bytes were not taken.
 */
static size_t feed(struct connection *connection, struct connection_context *context, bool upstream, const char *data,
	size_t size)
{
	struct session *session = connection->session;

	while (size > 0 && is_alive(connection) && (!upstream || session->is_attached)) {
		size_t taken = 0;
		enum http_event event;

		if (!upstream)
			note_beginning(session, context);
		event = upstream ? http_exchange_feed_upstream(&session->exchange, context->io, data, size, &taken)
				 : http_exchange_feed_client(&session->exchange, context->io, data, size, &taken);
		session_follow(connection, context, event);
		if (!http_io_has_room(context->io))
			session_write_out(connection, context);
		data += taken;
		size -= taken;
		if (taken == 0 && event == HTTP_EVENT_NONE)
			break;
	}
	session_write_out(connection, context);
	return size;
}

/* --- the client */

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

static void feed_client(struct connection *connection, struct connection_context *context, const char *data,
	size_t size)
{
	size_t left = feed(connection, context, false, data, size);

	if (is_alive(connection) && keep_left(connection->session, data + size - left, left) < 0)
		session_end(connection, context, FACTS_END_MEMORY, true);
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
		session_handle(connection, context, http_exchange_end_upstream(&session->exchange, context->io, false));
		return;
	}
	session_handle(connection, context, http_exchange_end_client(&session->exchange, context->io));
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
		session_lose_client(connection, context);
	else if (n > 0)
		feed_client(connection, context, (const char *)context->buffer, (size_t)n);
	if (is_alive(connection) && client->read_ended)
		end_of_client(connection, context);
	return is_alive(connection);
}

/* --- the upstream */

static void feed_upstream(struct connection *connection, struct connection_context *context, const char *data,
	size_t size)
{
	size_t left = feed(connection, context, true, data, size);

	/* Nobody has asked for it: what comes next on this connection cannot be trusted either. */
	if (left > 0 && is_alive(connection) && connection->session->is_attached)
		session_detach(connection, context, false);
}

/* Bytes of a server that is spoken to in TLS. */
static void feed_tls(struct connection *connection, struct connection_context *context, size_t size)
{
	enum http_event event = HTTP_EVENT_NONE;
	size_t plain = 0;

	session_read_tls(connection, context, context->buffer, size, &plain, &event);
	session_handle(connection, context, event);
	if (is_alive(connection) && connection->session->link.tls != NULL)
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
		session_handle(connection, context, http_exchange_end_upstream(&session->exchange, context->io, reset));
}

static bool read_upstream(struct connection *connection, struct connection_context *context)
{
	const struct session *session = connection->session;
	struct side *upstream = &connection->upstream;
	bool is_there = upstream->fd >= 0 && (!session->is_connecting || session->link.tls != NULL);
	ssize_t n;

	if (!is_there || !upstream->readable || upstream->read_ended || connection->client.pending_size > 0)
		return false;
	n = side_read(upstream, context->buffer, context->buffer_size);
	if (n == -EAGAIN)
		return false;
	connection->active = context->now;
	if (n > 0 && session->link.tls != NULL)
		feed_tls(connection, context, (size_t)n);
	else if (n > 0)
		feed_upstream(connection, context, (const char *)context->buffer, (size_t)n);
	if (!is_alive(connection) || upstream->fd < 0 || (n > 0 && !upstream->read_ended))
		return is_alive(connection);
	if (session->is_connecting)
		session_handle(connection, context,
			session_take_failure(connection, context, HTTP_FAILURE_CONNECT, n < 0 ? (int)-n : ECONNRESET));
	else
		end_of_upstream(connection, context,
			n < 0 || (session->link.tls != NULL && tls_stream_state(session->link.tls) == TLS_FAILED));
	return is_alive(connection);
}

/* --- both */

/* What follows from how things are now. */
static void settle(struct connection *connection, struct connection_context *context)
{
	const struct session *session = connection->session;

	session_hand_on(connection, context);
	if (!session->is_ending || connection->client.pending_size > 0)
		return;
	side_end(&connection->client);
	if (connection->client.read_ended)
		session_end(connection, context, FACTS_END_PLAIN, false);
}

void session_pump(struct connection *connection, struct connection_context *context)
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
