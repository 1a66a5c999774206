/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attempts. The upstream's connection stays with the client's for its next request, and goes into the pool when that wants
 * another one, or does not come. One that had been idle may be dead without our knowing: a request that may be repeated
 * gets a fresh one, without counting as a retry.
 */
#include "proxy/net/session.h"

#include "proxy/net/destination.h"
#include "proxy/net/upstream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Milliseconds of the first pause between attempts, and the longest; each is random up to there, as in Envoy. */
#define BACK_OFF 25
#define BACK_OFF_MAX 250

void session_detach(struct connection *connection, struct connection_context *context, bool reusable)
{
	struct session *session = connection->session;
	struct side *side = &connection->upstream;
	int place;

	if (side->fd < 0)
		return;
	if (!reusable || !session->is_attached || side->readable || side->pending_size > 0) {
		upstream_drop(connection);
		tls_stream_free(session->tls);
		session->tls = NULL;
		session->is_attached = session->is_connecting = false;
		return;
	}
	place = pool_give(&context->pool, &session->key, side, session->tls, &connection->facts.upstream_local, context->now);
	if (place >= 0) {
		struct side *pooled = &context->pool.entries[place].side;

		if (side_watch(pooled, context->epoll, SIDE_EDGES, context->idle_reference(&context->pool, (size_t)place)) < 0)
			pool_event(&context->pool, (size_t)place, pool_generation(&context->pool, (size_t)place));
	}
	*side = (struct side){.fd = -1};
	session->tls = NULL;
	session->is_attached = false;
}

static const char *cluster_name(const struct session *session)
{
	return session->request->decision.action == POLICY_ROUTE ? session->request->decision.cluster_name : NULL;
}

static int64_t connect_timeout(const struct session *session)
{
	const struct policy_cluster *cluster = session->request->decision.cluster;
	const struct destination_pool *pool = cluster != NULL ? cluster->traffic.pool : NULL;

	if (pool != NULL && pool->connect_timeout.is_set)
		return pool->connect_timeout.nanoseconds / 1000000;
	return session->request->configuration->mesh.connect_timeout / 1000000;
}

static void wake_at(struct connection *connection, struct connection_context *context, int64_t at)
{
	if (at != INT64_MAX)
		connection_wake(connection, context, at);
}

/* An attempt's own limit, once it is connected. */
static void limit_try(struct connection *connection, struct connection_context *context)
{
	struct session *session = connection->session;
	const struct route_retries *retries = session->request->decision.retries;

	session->try_deadline = INT64_MAX;
	if (retries != NULL && retries->per_try_timeout.is_set && retries->per_try_timeout.nanoseconds > 0)
		session->try_deadline = context->now + retries->per_try_timeout.nanoseconds / 1000000;
	wake_at(connection, context, session->try_deadline);
}

enum http_event session_use(struct connection *connection, struct connection_context *context, bool reused)
{
	struct session *session = connection->session;

	session->is_attached = true;
	session->is_connecting = false;
	session->is_reused = reused;
	connection->facts.has_upstream = connection->facts.has_upstream_local = true;
	limit_try(connection, context);
	return http_exchange_connected(&session->exchange, context->io);
}

static enum http_event dial(struct connection *connection, struct connection_context *context)
{
	struct session *session = connection->session;
	int none = -1;
	int rc = upstream_connect(connection, context, &none);

	if (rc < 0)
		return session_take_failure(connection, context, HTTP_FAILURE_CONNECT, -rc);
	session->is_connecting = true;
	session->try_deadline = context->now + connect_timeout(session);
	wake_at(connection, context, session->try_deadline);
	return HTTP_EVENT_NONE;
}

enum http_event session_try(struct connection *connection, struct connection_context *context)
{
	struct session *session = connection->session;
	struct side *side = &connection->upstream;
	struct pool_key key;
	enum http_event event;

	if (!session_verify(connection, context, &event))
		return event;
	session->tries++;
	connection->cluster = session->request->decision.cluster;
	switch (upstream_find(connection, context)) {
	case DIAL_READY:
		break;
	case DIAL_UNKNOWN:
		session->tries--;
		session->is_waiting = true;
		return HTTP_EVENT_NONE;
	case DIAL_NOWHERE:
		return http_exchange_fail(&session->exchange, context->io, HTTP_FAILURE_NO_UPSTREAM, NULL, false);
	}
	key = pool_key(cluster_name(session), &connection->facts.upstream);
	if (session->is_attached && side->fd >= 0 && !side->readable && pool_key_equal(&session->key, &key))
		return session_use(connection, context, true);
	session_detach(connection, context, session->is_attached);
	session->key = key;
	if (pool_take(&context->pool, &key, side, &session->tls, &connection->facts.upstream_local)) {
		if (connection_watch(connection, context, true, SIDE_EDGES) == 0)
			return session_use(connection, context, true);
		session_detach(connection, context, false);
	}
	return dial(connection, context);
}

enum http_event session_connected(struct connection *connection, struct connection_context *context, uint32_t events)
{
	int code = upstream_result(connection, events);

	if (code != 0)
		return session_take_failure(connection, context, HTTP_FAILURE_CONNECT, code);
	return session_wants_tls(connection->session) ? session_start_tls(connection, context)
						      : session_use(connection, context, false);
}

/* --- retries */

static bool may_try_again(const struct session *session)
{
	const struct route_retries *retries = session->request->decision.retries;

	return retries != NULL && session->tries <= (unsigned)retries->attempts && http_exchange_can_retry(&session->exchange);
}

/* Forgets the attempt, and begins another one after a pause. */
static enum http_event try_again(struct connection *connection, struct connection_context *context)
{
	struct session *session = connection->session;
	int64_t most = (int64_t)BACK_OFF << (session->tries < 5 ? session->tries - 1 : 4);

	http_exchange_retry(&session->exchange);
	session_detach(connection, context, false);
	session->try_deadline = INT64_MAX;
	session->pause = SESSION_BACKS_OFF;
	session->pause_until = context->now + (int64_t)(context->random_state >> 33) % ((most < BACK_OFF_MAX ? most : BACK_OFF_MAX) + 1);
	wake_at(connection, context, session->pause_until);
	return HTTP_EVENT_NONE;
}

static bool is_retriable_status(const struct route_retries *retries, unsigned status)
{
	if ((retries->retry_on & RETRY_5XX) != 0 && status >= 500)
		return true;
	if ((retries->retry_on & RETRY_GATEWAY_ERROR) != 0 && status >= 502 && status <= 504)
		return true;
	if ((retries->retry_on & RETRY_RETRIABLE_4XX) != 0 && status == 409)
		return true;
	for (unsigned i = 0; (retries->retry_on & RETRY_STATUS_CODES) != 0 && i < retries->code_count; i++)
		if (retries->codes[i] == status)
			return true;
	return false;
}

enum http_event session_take_response(struct connection *connection, struct connection_context *context)
{
	struct session *session = connection->session;
	const struct route_retries *retries = session->request->decision.retries;

	if (retries != NULL && is_retriable_status(retries, context->io->status)) {
		if (may_try_again(session))
			return try_again(connection, context);
		if (session->tries > (unsigned)retries->attempts && retries->attempts > 0)
			http_exchange_flag(&session->exchange, "URX");
	}
	return http_exchange_respond(&session->exchange, context->io,
		session->sent_at != 0 ? (uint64_t)(context->now - session->sent_at) : 0);
}

static bool is_retriable_failure(const struct route_retries *retries, enum http_failure failure)
{
	unsigned on = retries->retry_on;

	switch (failure) {
	case HTTP_FAILURE_CONNECT:
	case HTTP_FAILURE_CONNECT_TIMEOUT:
		return (on & (RETRY_CONNECT_FAILURE | RETRY_5XX | RETRY_GATEWAY_ERROR | RETRY_RESET)) != 0;
	case HTTP_FAILURE_CLOSED:
	case HTTP_FAILURE_TRY_TIMEOUT:
		return (on & (RETRY_5XX | RETRY_GATEWAY_ERROR | RETRY_RESET)) != 0;
	case HTTP_FAILURE_PROTOCOL:
		return (on & (RETRY_5XX | RETRY_RESET)) != 0;
	default:
		return false;
	}
}

/* Methods that may be sent twice (RFC 9110 section 9.2.2). */
static bool is_idempotent(const struct session *session)
{
	static const char *const methods[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"};
	const struct http_outcome *outcome = http_exchange_outcome(&session->exchange);

	for (size_t i = 0; outcome != NULL && i < sizeof methods / sizeof *methods; i++)
		if (outcome->names.method.size == strlen(methods[i]) &&
			memcmp(outcome->names.method.data, methods[i], strlen(methods[i])) == 0)
			return true;
	return false;
}

enum http_event session_take_failure(struct connection *connection, struct connection_context *context,
	enum http_failure failure, int code)
{
	struct session *session = connection->session;
	const struct route_retries *retries = session->request->decision.retries;
	char *reason = session->request->reason;
	bool retriable = retries != NULL && is_retriable_failure(retries, failure);

	if (failure == HTTP_FAILURE_CLOSED && session->is_reused && is_idempotent(session) &&
		http_exchange_can_retry(&session->exchange)) {
		http_exchange_retry(&session->exchange);
		session_detach(connection, context, false);
		session->tries--;
		return session_try(connection, context);
	}
	if (code > 0)
		(void)snprintf(reason, SESSION_REASON_SIZE, "delayed connect error: %s", strerror(code));
	if (retriable && may_try_again(session))
		return try_again(connection, context);
	return http_exchange_fail(&session->exchange, context->io, failure, code != 0 ? reason : NULL,
		retriable && retries->attempts > 0 && session->tries > (unsigned)retries->attempts);
}

enum http_event session_end_try(struct connection *connection, struct connection_context *context)
{
	struct session *session = connection->session;

	session->try_deadline = INT64_MAX;
	return session_take_failure(connection, context,
		session->is_connecting ? HTTP_FAILURE_CONNECT_TIMEOUT : HTTP_FAILURE_TRY_TIMEOUT, 0);
}
