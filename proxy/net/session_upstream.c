/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The upstream's connection of an attempt. It stays with the client's for its next request, and goes into the pool
 * when that wants another one, or does not come.
 *
 * Where the cluster has a circuit, it goes into the pool after each request, for others may be waiting for it. A
 * request that finds none there is pending until it has one: it dials where it may, else it waits in the address's
 * queue. Whoever comes later goes behind those who wait.
 */
#include "proxy/net/session.h"

#include "proxy/net/limit.h"
#include "proxy/net/upstream.h"

#include <string.h>

static int64_t time_after(int64_t now, int64_t time)
{
	return time == LIMIT_NEVER ? LIMIT_NEVER : now + time;
}

/* --- letting go of it */

void session_detach(struct connection *connection, struct connection_context *context, bool reusable)
{
	struct session *session = connection->session;
	struct side *side = &connection->upstream;
	struct queue *queue = session->link.queue;
	struct side *pooled;
	int place;

	if (!reusable || !session->is_attached || side->readable || side->pending_size > 0 ||
		!link_is_usable(&session->link, context->now)) {
		if (side->fd >= 0)
			upstream_drop(connection);
		link_close(&session->link);
		session->is_attached = session->is_connecting = false;
		return;
	}
	place = pool_give(&context->pool, side, &session->link, &connection->facts.upstream_local, context->now);
	*side = (struct side){.fd = -1};
	session->link = (struct link){.tls = NULL};
	session->is_attached = false;
	if (place < 0)
		return;
	pooled = &context->pool.entries[place].side;
	if (side_watch(pooled, context->epoll, SIDE_EDGES, context->idle_reference(&context->pool, (size_t)place)) < 0)
		pool_event(&context->pool, (size_t)place, pool_generation(&context->pool, (size_t)place));
	else if (queue != NULL)
		queue_call(queue);
}

void session_hand_on(struct connection *connection, struct connection_context *context)
{
	const struct session *session = connection->session;

	if (session->began == 0 && session->is_attached && session->link.queue != NULL)
		session_detach(connection, context, true);
}

void session_check_idle(struct connection *connection, struct connection_context *context)
{
	const struct session *session = connection->session;
	int64_t silence = context->now - connection->active;

	if (session->began == 0 && session->is_attached &&
		(silence >= session->link.idle_time || !link_is_usable(&session->link, context->now)))
		session_detach(connection, context, false);
}

/* --- having it */

/* An attempt's own limit, once it is connected. */
static void limit_try(struct connection *connection, struct connection_context *context)
{
	struct session *session = connection->session;
	struct session_request *request = session->request;
	const struct route_retries *retries = request->decision.retries;

	request->try_deadline = INT64_MAX;
	if (retries == NULL || !retries->per_try_timeout.is_set || retries->per_try_timeout.nanoseconds <= 0)
		return;
	request->try_deadline = context->now + retries->per_try_timeout.nanoseconds / 1000000;
	connection_wake(connection, context, request->try_deadline);
}

/* The circuit has no room for the request. */
static enum http_event overflow(struct connection *connection, struct connection_context *context)
{
	return http_exchange_fail(&connection->session->exchange, context->io, HTTP_FAILURE_OVERFLOW, NULL, false);
}

/* One that was opened when there were no limits yet. */
static void adopt(struct session *session, struct connection_context *context)
{
	struct queue *queue = queue_make(&context->queues, session->request->share.circuit, &session->link.key);

	if (queue == NULL)
		return;
	session->link.queue = queue;
	queue_adopt(queue, &session->link.share);
}

enum http_event session_use(struct connection *connection, struct connection_context *context, bool reused)
{
	struct session *session = connection->session;
	struct session_request *request = session->request;

	session->is_attached = true;
	session->is_connecting = false;
	session->is_reused = reused;
	if (!reused) {
		session->link.idle_time = limit_http_idle_time(request->decision.cluster);
		session->link.ends_at = time_after(context->now, limit_duration(request->decision.cluster));
		session->link.left = limit_requests(request->decision.cluster);
	}
	if (request->share.circuit != NULL && session->link.queue == NULL)
		adopt(session, context);
	circuit_give(&request->share, CIRCUIT_PENDING);
	connection->facts.has_upstream = true;
	if (!circuit_take(&request->share, CIRCUIT_REQUESTS)) {
		/* The connection is as good as before. */
		session_detach(connection, context, true);
		connection->facts.has_upstream_local = false;
		return overflow(connection, context);
	}
	connection->facts.has_upstream_local = true;
	session->link.left--;
	limit_try(connection, context);
	return http_exchange_connected(&session->exchange, context->io);
}

enum http_event session_connected(struct connection *connection, struct connection_context *context, uint32_t events)
{
	int code = upstream_result(connection, events);

	if (code != 0)
		return session_take_failure(connection, context, HTTP_FAILURE_CONNECT, code);
	return session_wants_tls(connection->session) ? session_start_tls(connection, context)
						      : session_use(connection, context, false);
}

/* --- getting it */

static enum http_event dial(struct connection *connection, struct connection_context *context,
	const struct link_key *key)
{
	struct session *session = connection->session;
	struct session_request *request = session->request;
	int none = -1;
	int rc;

	session->link.key = *key;
	rc = upstream_connect(connection, context, &none);
	if (rc < 0)
		return session_take_failure(connection, context, HTTP_FAILURE_CONNECT, -rc);
	session->is_connecting = true;
	request->try_deadline = context->now + limit_connect_timeout(request->configuration, request->decision.cluster);
	connection_wake(connection, context, request->try_deadline);
	return HTTP_EVENT_NONE;
}

/* Takes an idle connection, if there is one. */
static bool take_idle(struct connection *connection, struct connection_context *context, const struct link_key *key)
{
	struct session *session = connection->session;

	if (!pool_take(&context->pool, key, context->now, &connection->upstream, &session->link,
		    &connection->facts.upstream_local))
		return false;
	if (connection_watch(connection, context, true, SIDE_EDGES) < 0) {
		session_detach(connection, context, false);
		return false;
	}
	return true;
}

/* Dials, or waits. */
static enum http_event queue_up(struct connection *connection, struct connection_context *context,
	const struct link_key *key)
{
	struct session *session = connection->session;
	struct session_request *request = session->request;
	struct queue *queue;

	if (!circuit_take(&request->share, CIRCUIT_PENDING)) {
		connection->facts.has_upstream = connection->facts.has_upstream_local = false;
		return overflow(connection, context);
	}
	queue = queue_make(&context->queues, request->share.circuit, key);
	if (queue == NULL)
		return HTTP_EVENT_NO_MEMORY;
	if (queue->first == NULL && queue_open(queue, &session->link.share)) {
		session->link.queue = queue;
		return dial(connection, context, key);
	}
	request->try_deadline = INT64_MAX;
	request->waiter.index = connection->index;
	request->waiter.generation = connection->generation;
	queue_wait(queue, &request->waiter);
	/* There may be room of which nobody has told the first: another worker's connection has ended. */
	if (queue_has_room(queue))
		queue_call(queue);
	return HTTP_EVENT_NONE;
}

static const char *cluster_name(const struct session *session)
{
	return session->request->decision.action == POLICY_ROUTE ? session->request->decision.cluster_name : NULL;
}

/* One that is spoken to in TLS is for the name and the checks that it was made with. */
static struct link_key find_key(const struct connection *connection)
{
	struct link_key key = link_key(cluster_name(connection->session), &connection->facts.upstream);

	key.cluster ^= session_tls_identity(connection->session);
	return key;
}

static bool is_attached_to(const struct connection *connection, const struct link_key *key, int64_t now)
{
	const struct session *session = connection->session;

	return session->is_attached && !connection->upstream.readable && link_key_equal(&session->link.key, key) &&
	       link_is_usable(&session->link, now);
}

enum http_event session_get_connection(struct connection *connection, struct connection_context *context)
{
	struct session *session = connection->session;
	struct link_key key = find_key(connection);
	const struct queue *queue = session->request->share.circuit != NULL ? queue_find(&context->queues, &key) : NULL;
	bool others_wait = queue != NULL && queue->first != NULL;

	if (!others_wait && is_attached_to(connection, &key, context->now))
		return session_use(connection, context, true);
	session_detach(connection, context, true);
	if (!others_wait && take_idle(connection, context, &key))
		return session_use(connection, context, true);
	return session->request->share.circuit == NULL ? dial(connection, context, &key) : queue_up(connection, context, &key);
}

/* The one that was being dialled has failed. */
static enum http_event fail_with_queue(struct connection *connection, struct connection_context *context)
{
	struct session *session = connection->session;
	struct session_request *request = session->request;
	const struct queue *queue = request->waiter.queue;
	enum http_failure failure = queue->failure;

	memcpy(request->reason, queue->reason, sizeof request->reason);
	queue_leave(&request->waiter);
	connection->facts.has_upstream = true;
	return session_take_failure(connection, context, failure, *request->reason != '\0' ? -1 : 0);
}

enum http_event session_take_turn(struct connection *connection, struct connection_context *context)
{
	struct session *session = connection->session;
	struct queue_waiter *waiter = &session->request->waiter;
	struct queue *queue = waiter->queue;

	if (!queue_is_due(waiter))
		return HTTP_EVENT_NONE;
	waiter->is_called = false;
	if (waiter->has_failed)
		return fail_with_queue(connection, context);
	if (take_idle(connection, context, &queue->key)) {
		queue_leave(waiter);
		return session_use(connection, context, true);
	}
	if (!queue_open(queue, &session->link.share))
		return HTTP_EVENT_NONE;
	session->link.queue = queue;
	queue_leave(waiter);
	return dial(connection, context, &queue->key);
}
