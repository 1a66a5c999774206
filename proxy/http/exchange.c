/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What both sides of an exchange share: the life of a transaction and its ends. exchange_client.c is what comes from the
 * client and what is decided about it, exchange_upstream.c what comes back.
 */
#include "proxy/http/exchange.h"

#include "proxy/http/transaction.h"

#include <assert.h>
#include <stdlib.h>

struct http_transaction *http_transaction_new(size_t bound)
{
	struct http_transaction *transaction = malloc(sizeof *transaction + bound);

	if (transaction == NULL)
		return NULL;
	*transaction = (struct http_transaction){.state = HTTP_STATE_WAITING};
	transaction->text = (struct http_writer){.data = (char *)(transaction + 1), .capacity = bound};
	transaction->outcome.minor = 1;
	return transaction;
}

void http_transaction_free(struct http_transaction *transaction)
{
	if (transaction == NULL)
		return;
	free(transaction->kept);
	free(transaction->answer_memory);
	http_partial_forget(&transaction->partial);
	free(transaction);
}

void http_exchange_free(struct http_exchange *exchange)
{
	http_transaction_free(exchange->now);
	http_partial_forget(&exchange->partial);
	*exchange = (struct http_exchange){.closing = true};
}

struct http_client http_transaction_client(const struct http_transaction *transaction, const struct http_io *io)
{
	return (struct http_client){
		.minor = transaction->outcome.minor,
		.to_head = transaction->is_head,
		.closes = !transaction->keeps_alive || transaction->client_ended || io->draining || transaction->is_upgrade ||
			  !transaction->request.done,
		.date = io->date,
	};
}

enum http_event http_transaction_end(struct http_exchange *exchange, bool closes)
{
	struct http_transaction *transaction = exchange->now;

	transaction->state = HTTP_STATE_ENDED;
	exchange->closing = exchange->closing || closes;
	transaction->outcome.closes_client = exchange->closing;
	return HTTP_EVENT_END;
}

enum http_event http_transaction_reply(struct http_exchange *exchange, struct http_io *io,
	const struct http_reply *reply)
{
	struct http_transaction *transaction = exchange->now;
	struct http_outcome *outcome = &transaction->outcome;
	struct http_client client = http_transaction_client(transaction, io);
	size_t start = io->memory.size;

	assert(!transaction->has_response);
	if (http_reply_write(&io->memory, reply, transaction->is_grpc, &client)) {
		http_pieces_add_written(&io->to_client, &io->memory, start);
		http_pieces_add(&io->to_client, reply->body.data, reply->body.size);
		outcome->sent = reply->body.size;
	} else {
		http_pieces_add_written(&io->to_client, &io->memory, start);
	}
	if (io->memory.failed)
		return HTTP_EVENT_NO_MEMORY;
	http_transaction_keep_answer(transaction, io, start);
	outcome->status = transaction->is_grpc ? 200 : reply->status;
	outcome->details = reply->details;
	if (reply->flag != NULL)
		http_outcome_add_flag(outcome, reply->flag);
	return http_transaction_end(exchange, client.closes);
}

enum http_event http_transaction_truncate(struct http_exchange *exchange, const char *flag, const char *details,
	const char *reason)
{
	struct http_transaction *transaction = exchange->now;

	http_outcome_add_flag(&transaction->outcome, flag);
	transaction->outcome.details = details;
	transaction->outcome.reason = reason;
	transaction->outcome.resets_client = transaction->ends_by_close;
	return http_transaction_end(exchange, true);
}

enum http_event http_exchange_abort(struct http_exchange *exchange)
{
	struct http_transaction *transaction = exchange->now;

	exchange->closing = true;
	if (transaction == NULL && exchange->partial.size > 0) {
		/* A head that has begun is a request, of which nothing is known. */
		transaction = exchange->now = http_transaction_new(0);
		http_partial_forget(&exchange->partial);
	}
	if (transaction == NULL || transaction->state == HTTP_STATE_ENDED)
		return HTTP_EVENT_NONE;
	http_outcome_add_flag(&transaction->outcome, "DC");
	transaction->outcome.details = "downstream_remote_disconnect";
	transaction->outcome.reason = NULL;
	return http_transaction_end(exchange, true);
}

void http_exchange_flag(struct http_exchange *exchange, const char *flag)
{
	if (exchange->now != NULL)
		http_outcome_add_flag(&exchange->now->outcome, flag);
}

bool http_exchange_is_tunnel(const struct http_exchange *exchange)
{
	return exchange->now != NULL && exchange->now->state == HTTP_STATE_TUNNEL;
}

bool http_exchange_has_request(const struct http_exchange *exchange)
{
	return exchange->now != NULL && exchange->now->request.done;
}

bool http_exchange_has_response(const struct http_exchange *exchange)
{
	return exchange->now != NULL && exchange->now->has_response;
}

const struct http_outcome *http_exchange_outcome(const struct http_exchange *exchange)
{
	return exchange->now != NULL ? &exchange->now->outcome : NULL;
}

void http_exchange_next(struct http_exchange *exchange)
{
	assert(exchange->now == NULL || exchange->now->state == HTTP_STATE_ENDED);
	http_transaction_free(exchange->now);
	exchange->now = NULL;
}
