/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the log asks of heads: out of the texts that were written, so that it is what the other side got.
 */
#include "proxy/http/exchange.h"
#include "proxy/http/transaction.h"

#include <stdlib.h>

void http_transaction_keep_answer(struct http_transaction *transaction, const struct http_io *io, size_t start)
{
	size_t size = io->memory.size - start;

	if (!io->keeps_heads || io->memory.failed || transaction->answer.data != NULL)
		return;
	transaction->answer_memory = malloc(size);
	if (transaction->answer_memory == NULL)
		return;
	memcpy(transaction->answer_memory, io->memory.data + start, size);
	transaction->answer = (struct http_text){transaction->answer_memory, size};
}

/* Takes the next line off the front, without its end. Returns false where the head ends. */
static bool next_line(struct http_text *head, struct http_text *ret_line)
{
	const char *end = head->size > 0 ? memmem(head->data, head->size, "\r\n", 2) : NULL;

	if (end == NULL || end == head->data)
		return false;
	*ret_line = (struct http_text){head->data, (size_t)(end - head->data)};
	head->size -= ret_line->size + 2;
	head->data = end + 2;
	return true;
}

/* "GET /path HTTP/1.1" */
static struct http_text path_of(struct http_text line)
{
	const char *first = memchr(line.data, ' ', line.size);
	const char *last = memrchr(line.data, ' ', line.size);

	return first != NULL && first < last ? (struct http_text){first + 1, (size_t)(last - first) - 1}
					     : (struct http_text){NULL, 0};
}

struct http_text http_exchange_header(const struct http_exchange *exchange, bool of_response, struct http_text name)
{
	const struct http_transaction *transaction = exchange->now;
	struct http_text head = {NULL, 0};
	struct http_text line;

	/* Of a head that could not be read, nothing is known. */
	if (transaction != NULL && of_response)
		head = transaction->answer;
	else if (transaction != NULL && transaction->outcome.names.method.data != NULL)
		head = (struct http_text){transaction->text.data, transaction->text.size};
	if (!next_line(&head, &line))
		return (struct http_text){NULL, 0};
	if (!of_response && http_text_equal(name, HTTP_TEXT(":path")))
		return path_of(line);
	while (next_line(&head, &line))
		if (line.size > name.size && line.data[name.size] == ':' && memcmp(line.data, name.data, name.size) == 0)
			return http_text_trim((struct http_text){line.data + name.size + 1, line.size - name.size - 1});
	return (struct http_text){NULL, 0};
}
