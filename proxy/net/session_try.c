/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attempts. A connection that had been idle may be dead without our knowing: a request that may be repeated gets
 * another one, without counting as a retry.
 */
#include "proxy/net/session.h"

#include "proxy/net/upstream.h"

#include <stdio.h>
#include <string.h>

/* Milliseconds of the first pause between attempts, and the longest; each is random up to there, as in Envoy. */
#define BACK_OFF 25
#define BACK_OFF_MAX 250

enum http_event session_try(struct connection *connection, struct connection_context *context)
{
	struct session *session = connection->session;
	struct session_request *request = session->request;
	enum http_event event;

	if (!session_verify(connection, context, &event))
		return event;
	connection->cluster = request->decision.cluster;
	switch (upstream_find(connection, context)) {
	case DIAL_READY:
		request->tries++;
		return session_get_connection(connection, context);
	case DIAL_UNKNOWN:
		request->is_waiting = true;
		return HTTP_EVENT_NONE;
	case DIAL_NOWHERE:
		break;
	}
	return http_exchange_fail(&session->exchange, context->io, HTTP_FAILURE_NO_UPSTREAM, NULL, false);
}

/* --- retries */

/* Whether there is another attempt, for which the circuit has room. */
static bool may_try_again(struct session *session)
{
	const struct route_retries *retries = session->request->decision.retries;

	if (session->request->tries > (unsigned)retries->attempts || !http_exchange_can_retry(&session->exchange))
		return false;
	if (circuit_take(&session->request->share, CIRCUIT_RETRIES))
		return true;
	http_exchange_flag(&session->exchange, "UO");
	return false;
}

/* Forgets the attempt. */
static void drop_attempt(struct connection *connection, struct connection_context *context)
{
	struct session *session = connection->session;

	http_exchange_retry(&session->exchange);
	session_detach(connection, context, false);
	circuit_give(&session->request->share, CIRCUIT_PENDING);
	circuit_give(&session->request->share, CIRCUIT_REQUESTS);
}

/* Begins another one after a pause. */
static enum http_event try_again(struct connection *connection, struct connection_context *context)
{
	struct session *session = connection->session;
	struct session_request *request = session->request;
	int64_t most = (int64_t)BACK_OFF << (request->tries < 5 ? request->tries - 1 : 4);

	drop_attempt(connection, context);
	request->try_deadline = INT64_MAX;
	request->pause = SESSION_BACKS_OFF;
	request->pause_until = context->now + (int64_t)(context->random_state >> 33) % ((most < BACK_OFF_MAX ? most : BACK_OFF_MAX) + 1);
	connection_wake(connection, context, request->pause_until);
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
	struct session_request *request = session->request;
	const struct route_retries *retries = request->decision.retries;

	circuit_give(&request->share, CIRCUIT_RETRIES);
	if (retries != NULL && is_retriable_status(retries, context->io->status)) {
		if (may_try_again(session))
			return try_again(connection, context);
		if (request->tries > (unsigned)retries->attempts && retries->attempts > 0)
			http_exchange_flag(&session->exchange, "URX");
	}
	request->answered_at = context->now;
	return http_exchange_respond(&session->exchange, context->io,
		request->whole_at != 0 ? (uint64_t)(context->now - request->whole_at) : 0);
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
	struct session_request *request = session->request;
	const struct route_retries *retries = request->decision.retries;
	char *reason = request->reason;
	bool retriable = retries != NULL && is_retriable_failure(retries, failure);

	if (failure == HTTP_FAILURE_CLOSED && session->is_reused && is_idempotent(session) &&
		http_exchange_can_retry(&session->exchange)) {
		drop_attempt(connection, context);
		request->tries--;
		return session_try(connection, context);
	}
	if (code > 0)
		(void)snprintf(reason, QUEUE_REASON_SIZE, "delayed connect error: %s", strerror(code));
	/* Those who wait for this connection would fail like it, one after the other. */
	if (session->link.queue != NULL && !session->is_attached)
		queue_fail(session->link.queue, failure, code != 0 ? reason : NULL);
	if (retriable && may_try_again(session))
		return try_again(connection, context);
	return http_exchange_fail(&session->exchange, context->io, failure, code != 0 ? reason : NULL,
		retriable && retries->attempts > 0 && request->tries > (unsigned)retries->attempts);
}

enum http_event session_end_try(struct connection *connection, struct connection_context *context)
{
	struct session *session = connection->session;

	session->request->try_deadline = INT64_MAX;
	return session_take_failure(connection, context,
		session->is_connecting ? HTTP_FAILURE_CONNECT_TIMEOUT : HTTP_FAILURE_TRY_TIMEOUT, 0);
}
