/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the client: heads, bodies, ends; and what is decided about them.
 *
 * A head that comes in one read is read where it lies; one that comes in several is gathered. Once it is whole, it is
 * read, decided about, and then written into the transaction as it goes upstream; from there on nothing needs the bytes
 * that were read.
 */
#include "proxy/http/exchange.h"

#include "proxy/http/transaction.h"

#include <assert.h>
#include <stdlib.h>

/* Ends a request that cannot be read: nothing of it is known. */
static enum http_event refuse_unreadable(struct http_exchange *exchange, struct http_io *io, enum http_problem problem)
{
	struct http_reply reply = http_reply_to_problem(problem);
	struct http_transaction *transaction = http_transaction_new(0);

	http_partial_forget(&exchange->partial);
	exchange->closing = true;
	if (transaction == NULL)
		return HTTP_EVENT_NO_MEMORY;
	exchange->now = transaction;
	return http_transaction_reply(exchange, io, &reply);
}

/* Reads what has come of a head. HTTP_MORE, a problem, or HTTP_FINE with io->request. */
static enum http_problem read_head(struct http_io *io, const char *data, size_t size)
{
	enum http_problem problem = http_head_read_request(&io->head, data, size);

	if (problem == HTTP_FINE)
		problem = http_request_read(&io->request, &io->head, &io->memory);
	if (problem == HTTP_FINE) {
		struct http_writer scratch = {.data = io->memory.data + io->memory.size,
			.capacity = io->memory.capacity - io->memory.size};

		problem = http_codec_start(&io->codec, &io->head, &io->request.framing, data, scratch);
	}
	return problem;
}

/* A head that has not come in one read. */
static enum http_event feed_partial(struct http_exchange *exchange, struct http_io *io, const char *data, size_t size,
	size_t *ret_taken)
{
	size_t before = exchange->partial.size;
	enum http_problem problem;
	bool worth;

	if (http_partial_add(&exchange->partial, data, size, HTTP_REQUEST_HEAD_MAX, ret_taken, &worth) < 0)
		return HTTP_EVENT_NO_MEMORY;
	problem = worth ? read_head(io, exchange->partial.data, exchange->partial.size) : HTTP_MORE;
	if (problem == HTTP_MORE)
		return HTTP_EVENT_NONE;
	if (problem != HTTP_FINE)
		return refuse_unreadable(exchange, io, problem);
	/* Behind the head, the bytes are the caller's again. */
	*ret_taken = io->head.size - before;
	return HTTP_EVENT_REQUEST;
}

static enum http_event feed_head(struct http_exchange *exchange, struct http_io *io, const char *data, size_t size,
	size_t *ret_taken)
{
	enum http_problem problem;

	if (size == 0)
		return HTTP_EVENT_NONE;
	if (exchange->partial.size > 0)
		return feed_partial(exchange, io, data, size, ret_taken);
	problem = read_head(io, data, size);
	if (problem == HTTP_MORE)
		return feed_partial(exchange, io, data, size, ret_taken);
	*ret_taken = problem == HTTP_FINE ? io->head.size : size;
	return problem == HTTP_FINE ? HTTP_EVENT_REQUEST : refuse_unreadable(exchange, io, problem);
}

/* A body that is not as it says. */
static enum http_event end_bad_body(struct http_exchange *exchange, struct http_io *io)
{
	struct http_reply reply = http_reply_to_problem(HTTP_BAD_SYNTAX);

	if (!exchange->now->has_response)
		return http_transaction_reply(exchange, io, &reply);
	return http_transaction_truncate(exchange, reply.flag, reply.details, NULL);
}

/* Keeps payload for an upstream to come, or for another attempt. Returns false without memory for it. */
static bool keep(struct http_transaction *transaction, const struct http_payload *payload)
{
	if (payload->size > HTTP_KEPT_MAX - transaction->kept_size)
		transaction->is_whole = false;
	if (!transaction->is_whole || payload->size == 0)
		return true;
	if (transaction->kept == NULL)
		transaction->kept = malloc(HTTP_KEPT_MAX);
	if (transaction->kept == NULL)
		return false;
	for (unsigned i = 0; i < payload->count; i++) {
		memcpy(transaction->kept + transaction->kept_size, payload->runs[i].data, payload->runs[i].size);
		transaction->kept_size += (uint32_t)payload->runs[i].size;
	}
	return true;
}

static enum http_event feed_body(struct http_exchange *exchange, struct http_io *io, const char *data, size_t size,
	size_t *ret_taken)
{
	struct http_transaction *transaction = exchange->now;
	struct http_payload payload;
	enum http_problem problem;

	if (transaction->state == HTTP_STATE_WAITING && size > HTTP_KEPT_MAX - transaction->kept_size)
		size = HTTP_KEPT_MAX - transaction->kept_size;
	problem = http_codec_decode(&transaction->request, data, size, &payload, ret_taken);
	transaction->outcome.received += payload.size;
	if (!keep(transaction, &payload))
		return HTTP_EVENT_NO_MEMORY;
	if (transaction->state == HTTP_STATE_SENDING)
		http_pieces_add_payload(&io->to_upstream, io, payload.runs, payload.count,
			transaction->request.body == HTTP_BODY_CHUNKED, transaction->request.done);
	return problem == HTTP_FINE ? HTTP_EVENT_NONE : end_bad_body(exchange, io);
}

enum http_event http_exchange_feed_client(struct http_exchange *exchange, struct http_io *io, const char *data,
	size_t size, size_t *ret_taken)
{
	struct http_transaction *transaction = exchange->now;

	assert(http_io_has_room(io));
	*ret_taken = 0;
	if (exchange->closing) {
		*ret_taken = size;
		return HTTP_EVENT_NONE;
	}
	if (transaction == NULL)
		return feed_head(exchange, io, data, size, ret_taken);
	if (transaction->state == HTTP_STATE_TUNNEL) {
		*ret_taken = size;
		transaction->outcome.received += size;
		http_pieces_add(&io->to_upstream, data, size);
		return HTTP_EVENT_NONE;
	}
	if (transaction->state == HTTP_STATE_ENDED || transaction->request.done)
		return HTTP_EVENT_NONE;
	return feed_body(exchange, io, data, size, ret_taken);
}

bool http_exchange_reads(const struct http_exchange *exchange)
{
	const struct http_transaction *transaction = exchange->now;

	if (exchange->closing || transaction == NULL || transaction->state == HTTP_STATE_TUNNEL)
		return true;
	if (transaction->state == HTTP_STATE_WAITING && transaction->kept_size == HTTP_KEPT_MAX)
		return false;
	return transaction->state != HTTP_STATE_ENDED && !transaction->request.done;
}

enum http_event http_exchange_end_client(struct http_exchange *exchange, struct http_io *io)
{
	struct http_transaction *transaction = exchange->now;
	enum http_problem problem;

	if (transaction != NULL && (transaction->state == HTTP_STATE_TUNNEL || transaction->request.done)) {
		transaction->client_ended = true;
		return HTTP_EVENT_NONE;
	}
	if (transaction == NULL && exchange->partial.size > 0 && !exchange->closing) {
		problem = http_head_read_request(&io->head, exchange->partial.data, exchange->partial.size);
		if (problem != HTTP_MORE)
			return refuse_unreadable(exchange, io, problem);
	}
	return http_exchange_abort(exchange);
}

/* --- decisions */

/* Makes the transaction of io->request. A request that has a problem gets none of the proxy's headers, but for two. */
static bool begin(struct http_exchange *exchange, struct http_io *io, const struct http_forward *route)
{
	static const struct http_forward nowhere;
	const struct http_request *request = &io->request;
	const uint8_t *random = request->problem == HTTP_FINE || request->problem >= HTTP_TUNNEL ? io->random : NULL;
	struct http_transaction *transaction;

	assert(exchange->now == NULL);
	transaction = http_transaction_new(http_request_bound(request, route != NULL ? route : &nowhere));
	if (transaction == NULL)
		return false;
	http_request_write(&transaction->text, request, route != NULL ? route : &nowhere, random,
		&transaction->outcome.names);
	transaction->request = io->codec;
	transaction->is_head = request->is_head;
	transaction->is_grpc = request->is_grpc;
	transaction->is_upgrade = request->is_upgrade;
	transaction->keeps_alive = request->framing.keeps_alive;
	transaction->is_whole = true;
	transaction->route = route;
	transaction->outcome.minor = request->minor;
	http_partial_forget(&exchange->partial);
	exchange->now = transaction;
	return true;
}

enum http_event http_exchange_route(struct http_exchange *exchange, struct http_io *io, const struct http_forward *route,
	bool may_retry)
{
	assert(io->request.problem == HTTP_FINE);
	if (!begin(exchange, io, route))
		return HTTP_EVENT_NO_MEMORY;
	exchange->now->may_retry = may_retry;
	return HTTP_EVENT_NONE;
}

enum http_event http_exchange_reply(struct http_exchange *exchange, struct http_io *io, const struct http_reply *reply)
{
	if (exchange->now == NULL && !begin(exchange, io, NULL))
		return HTTP_EVENT_NO_MEMORY;
	return http_transaction_reply(exchange, io, reply);
}

enum http_event http_exchange_refuse(struct http_exchange *exchange, struct http_io *io)
{
	struct http_reply reply = http_reply_to_problem(io->request.problem);

	if (!begin(exchange, io, NULL))
		return HTTP_EVENT_NO_MEMORY;
	if (http_problem_answer(io->request.problem)->closes)
		exchange->now->keeps_alive = false;
	return http_transaction_reply(exchange, io, &reply);
}
