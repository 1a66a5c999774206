/* SPDX-License-Identifier: Apache-2.0 */
/*
 * To the upstream and back: the request's beginning, attempts, responses, tunnels, failures.
 */
#include "proxy/http/exchange.h"

#include "proxy/http/transaction.h"

#include <assert.h>

static const char reset_before[] = "upstream_reset_before_response_started";
static const char reset_after[] = "upstream_reset_after_response_started";

static enum http_event fail_with(struct http_io *io, enum http_failure failure)
{
	io->failure = failure;
	return HTTP_EVENT_FAILURE;
}

enum http_event http_exchange_connected(struct http_exchange *exchange, struct http_io *io)
{
	struct http_transaction *transaction = exchange->now;
	struct http_text kept = {transaction->kept, transaction->kept_size};

	assert(transaction->state == HTTP_STATE_WAITING);
	transaction->state = HTTP_STATE_SENDING;
	transaction->is_whole = transaction->is_whole && transaction->may_retry;
	transaction->outcome.attempts++;
	if (transaction->outcome.attempts > 1)
		http_request_count(&transaction->text, transaction->outcome.attempts, &transaction->outcome.names);
	http_pieces_add(&io->to_upstream, transaction->text.data, transaction->text.size);
	http_pieces_add_payload(&io->to_upstream, io, &kept, 1, transaction->request.body == HTTP_BODY_CHUNKED,
		transaction->request.done);
	return HTTP_EVENT_NONE;
}

bool http_exchange_can_retry(const struct http_exchange *exchange)
{
	const struct http_transaction *transaction = exchange->now;

	return transaction->is_whole && !transaction->has_response && transaction->state != HTTP_STATE_ENDED;
}

void http_exchange_retry(struct http_exchange *exchange)
{
	assert(http_exchange_can_retry(exchange));
	http_partial_forget(&exchange->now->partial);
	/* An attempt that has not got through counts, too. */
	if (exchange->now->state == HTTP_STATE_WAITING)
		exchange->now->outcome.attempts++;
	exchange->now->state = HTTP_STATE_WAITING;
}

/* --- the response */

/* A response that another one follows. A client of HTTP/1.0 would take it for the last. */
static void pass_interim(struct http_transaction *transaction, struct http_io *io)
{
	struct http_client client = http_transaction_client(transaction, io);
	struct http_response response = {.kind = HTTP_RESPONSE_INTERIM};
	size_t start = io->memory.size;

	if (client.minor == 0)
		return;
	http_response_write(&io->memory, &io->head, &io->framing, &response, &client);
	http_pieces_add_written(&io->to_client, &io->memory, start);
}

/* Reads one head. HTTP_MORE, a problem, or HTTP_FINE with what the head means. */
static enum http_problem read_head(struct http_transaction *transaction, struct http_io *io, const char *data,
	size_t size)
{
	struct http_writer scratch = {.data = io->memory.data + io->memory.size,
		.capacity = io->memory.capacity - io->memory.size};
	enum http_problem problem = http_head_read_response(&io->head, data, size);

	if (problem == HTTP_FINE)
		problem = http_framing_of_response(&io->head, transaction->is_head, &io->framing);
	if (problem == HTTP_FINE)
		problem = http_codec_start(&transaction->response, &io->head, &io->framing, data, scratch);
	return problem;
}

static bool is_interim(const struct http_head *head)
{
	return head->status < 200 && head->status != 101;
}

/* What a head that has been read comes to; `before` bytes of it came earlier. */
static enum http_event take_head(struct http_transaction *transaction, struct http_io *io, enum http_problem problem,
	size_t before, size_t *ret_taken)
{
	if (problem == HTTP_MORE)
		return HTTP_EVENT_NONE;
	if (problem != HTTP_FINE)
		return fail_with(io, HTTP_FAILURE_PROTOCOL);
	*ret_taken = io->head.size - before;
	if (is_interim(&io->head)) {
		pass_interim(transaction, io);
		http_partial_forget(&transaction->partial);
		return HTTP_EVENT_NONE;
	}
	io->status = io->head.status;
	return HTTP_EVENT_RESPONSE;
}

static enum http_event feed_head(struct http_transaction *transaction, struct http_io *io, const char *data, size_t size,
	size_t *ret_taken)
{
	struct http_partial *partial = &transaction->partial;
	size_t before = partial->size;
	enum http_problem problem = before == 0 ? read_head(transaction, io, data, size) : HTTP_MORE;
	bool worth;

	if (problem != HTTP_MORE)
		return take_head(transaction, io, problem, 0, ret_taken);
	if (http_partial_add(partial, data, size, HTTP_RESPONSE_HEAD_MAX, ret_taken, &worth) < 0)
		return HTTP_EVENT_NO_MEMORY;
	if (before > 0 && worth)
		problem = read_head(transaction, io, partial->data, partial->size);
	return take_head(transaction, io, problem, before, ret_taken);
}

/* The response is whole. */
static enum http_event finish(struct http_exchange *exchange, bool closes)
{
	struct http_transaction *transaction = exchange->now;

	transaction->outcome.upstream_is_reusable = transaction->upstream_keeps_alive && transaction->request.done;
	return http_transaction_end(exchange, closes || !transaction->request.done);
}

static enum http_event feed_body(struct http_exchange *exchange, struct http_io *io, const char *data, size_t size,
	size_t *ret_taken)
{
	struct http_transaction *transaction = exchange->now;
	struct http_payload payload;
	enum http_problem problem = http_codec_decode(&transaction->response, data, size, &payload, ret_taken);

	transaction->outcome.sent += payload.size;
	http_pieces_add_payload(&io->to_client, io, payload.runs, payload.count, transaction->is_chunked,
		transaction->response.done && problem == HTTP_FINE);
	if (problem != HTTP_FINE)
		return http_transaction_truncate(exchange, "UPE", reset_after, "protocol_error");
	if (!transaction->response.done)
		return HTTP_EVENT_NONE;
	return finish(exchange, transaction->outcome.closes_client);
}

enum http_event http_exchange_feed_upstream(struct http_exchange *exchange, struct http_io *io, const char *data,
	size_t size, size_t *ret_taken)
{
	struct http_transaction *transaction = exchange->now;

	assert(http_io_has_room(io));
	*ret_taken = 0;
	if (transaction == NULL || size == 0)
		return HTTP_EVENT_NONE;
	if (transaction->state == HTTP_STATE_TUNNEL) {
		*ret_taken = size;
		transaction->outcome.sent += size;
		http_pieces_add(&io->to_client, data, size);
		return HTTP_EVENT_NONE;
	}
	if (transaction->state != HTTP_STATE_SENDING)
		return HTTP_EVENT_NONE;
	if (!transaction->has_response)
		return feed_head(transaction, io, data, size, ret_taken);
	return feed_body(exchange, io, data, size, ret_taken);
}

/* What a final response is, to a request that may have asked for an upgrade. */
static enum http_response_kind kind_of(const struct http_transaction *transaction, unsigned status)
{
	if (!transaction->is_upgrade)
		return HTTP_RESPONSE_FINAL;
	if (status == 101)
		return HTTP_RESPONSE_SWITCH;
	return status < 400 ? HTTP_RESPONSE_NO_SWITCH : HTTP_RESPONSE_FINAL;
}

enum http_event http_exchange_respond(struct http_exchange *exchange, struct http_io *io, uint64_t service_time)
{
	struct http_transaction *transaction = exchange->now;
	struct http_outcome *outcome = &transaction->outcome;
	struct http_client client = http_transaction_client(transaction, io);
	struct http_response response = {
		.kind = kind_of(transaction, io->status),
		.has_service_time = transaction->request.done && !transaction->is_upgrade,
		.service_time = service_time,
		.operations = &transaction->route->response,
	};
	size_t start = io->memory.size;

	if (http_response_bound(&io->head, response.operations) > io->memory.capacity - io->memory.size)
		return fail_with(io, HTTP_FAILURE_PROTOCOL);
	transaction->ends_by_close = http_response_ends_by_close(&io->framing, &client);
	client.closes = client.closes || transaction->ends_by_close;
	http_response_write(&io->memory, &io->head, &io->framing, &response, &client);
	http_pieces_add_written(&io->to_client, &io->memory, start);
	http_transaction_keep_answer(transaction, io, start);
	http_partial_forget(&transaction->partial);
	transaction->has_response = true;
	transaction->is_chunked = http_response_is_chunked(&io->framing, &client);
	transaction->upstream_keeps_alive = io->framing.keeps_alive && io->head.status != 101;
	outcome->status = (uint16_t)io->status;
	outcome->has_service_time = response.has_service_time;
	outcome->service_time = service_time;
	outcome->closes_client = client.closes;
	outcome->details = response.kind == HTTP_RESPONSE_NO_SWITCH ? "websocket_handshake_unsuccessful" : "via_upstream";
	if (response.kind == HTTP_RESPONSE_SWITCH) {
		transaction->state = HTTP_STATE_TUNNEL;
		outcome->closes_client = true;
		return HTTP_EVENT_NONE;
	}
	if (response.kind == HTTP_RESPONSE_NO_SWITCH) {
		transaction->upstream_keeps_alive = false;
		return finish(exchange, true);
	}
	return transaction->response.done ? finish(exchange, client.closes) : HTTP_EVENT_NONE;
}

/* --- ends */

enum http_event http_exchange_end_upstream(struct http_exchange *exchange, struct http_io *io, bool reset)
{
	struct http_transaction *transaction = exchange->now;

	if (transaction == NULL || transaction->state == HTTP_STATE_ENDED || transaction->state == HTTP_STATE_WAITING)
		return HTTP_EVENT_NONE;
	if (transaction->state == HTTP_STATE_TUNNEL)
		return transaction->client_ended && !reset
			       ? http_exchange_abort(exchange)
			       : http_transaction_truncate(exchange, "UC", reset_after, "connection_termination");
	if (!transaction->has_response)
		return fail_with(io, transaction->partial.size > 0 ? HTTP_FAILURE_PROTOCOL : HTTP_FAILURE_CLOSED);
	if (reset || http_codec_end(&transaction->response) != HTTP_FINE)
		return http_transaction_truncate(exchange, "UPE", reset_after, "protocol_error");
	http_pieces_add_payload(&io->to_client, io, NULL, 0, transaction->is_chunked, true);
	return finish(exchange, transaction->outcome.closes_client);
}

/* The body that tells of a failure, in the worker's memory. */
static struct http_text write_text(struct http_io *io, const struct http_failure_answer *answer, const char *transport,
	bool retried)
{
	struct http_writer *to = &io->memory;
	size_t start = to->size;

	if (answer->reason != NULL) {
		http_writer_put(to, HTTP_TEXT("upstream connect error or disconnect/reset before headers. "));
		http_writer_put(to, retried ? HTTP_TEXT("retried and the latest reset reason: ") : HTTP_TEXT("reset reason: "));
	}
	http_writer_put(to, (struct http_text){answer->text, strlen(answer->text)});
	if (transport != NULL) {
		http_writer_put(to, HTTP_TEXT(", transport failure reason: "));
		http_writer_put(to, (struct http_text){transport, strlen(transport)});
	}
	return (struct http_text){to->data + start, to->size - start};
}

enum http_event http_exchange_fail(struct http_exchange *exchange, struct http_io *io, enum http_failure failure,
	const char *transport, bool exhausted)
{
	const struct http_failure_answer *answer = http_failure_answer(failure);
	struct http_transaction *transaction = exchange->now;
	struct http_outcome *outcome = &transaction->outcome;
	struct http_reply reply = {
		.status = answer->status,
		.overloaded = failure == HTTP_FAILURE_OVERFLOW,
		.operations = transaction->route != NULL ? &transaction->route->response : NULL,
		.flag = answer->flag,
		.details = answer->details != NULL ? answer->details : reset_before,
	};

	if (transaction->state == HTTP_STATE_TUNNEL || transaction->has_response)
		return http_transaction_truncate(exchange, answer->flag,
			answer->details != NULL ? answer->details : reset_after, answer->reason);
	if (exhausted)
		http_outcome_add_flag(outcome, "URX");
	outcome->reason = answer->reason;
	outcome->transport = transport;
	reply.body = write_text(io, answer, transport, exhausted);
	return http_transaction_reply(exchange, io, &reply);
}
