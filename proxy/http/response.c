/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The origin's headers in their order and in lower case, then the proxy's own: x-envoy-upstream-service-time, the route's
 * operations, date, server, connection, transfer-encoding. The server is the proxy; it says so in the origin's place.
 */
#include "proxy/http/response.h"

#include "proxy/http/status.h"

/* Bytes that the proxy's own headers take, at most, with the first line. */
#define OWN_SIZE 512

static bool is_server(struct http_text name)
{
	return http_text_same(name, HTTP_TEXT("server"));
}

bool http_response_is_chunked(const struct http_framing *framing, const struct http_client *client)
{
	return client->minor > 0 && !client->to_head &&
	       (framing->body == HTTP_BODY_CHUNKED || framing->body == HTTP_BODY_UNTIL_CLOSE);
}

bool http_response_ends_by_close(const struct http_framing *framing, const struct http_client *client)
{
	return client->minor == 0 && !client->to_head &&
	       (framing->body == HTTP_BODY_CHUNKED || framing->body == HTTP_BODY_UNTIL_CLOSE);
}

void http_response_put_start(struct http_writer *to, unsigned status, const struct http_client *client)
{
	http_writer_put(to, client->minor > 0 ? HTTP_TEXT("HTTP/1.1 ") : HTTP_TEXT("HTTP/1.0 "));
	http_writer_put_number(to, status);
	http_writer_put_byte(to, ' ');
	http_writer_put(to, http_status_reason(status));
	http_writer_put(to, HTTP_TEXT("\r\n"));
}

void http_response_put_connection(struct http_writer *to, const struct http_client *client)
{
	if (client->closes)
		http_writer_put(to, HTTP_TEXT("connection: close\r\n"));
	else if (client->minor == 0)
		http_writer_put(to, HTTP_TEXT("connection: keep-alive\r\n"));
}

static void put_operations(struct http_writer *to, const struct http_operations *operations,
	enum http_operation_kind kind, struct http_text except)
{
	for (size_t i = 0; operations != NULL && i < operations->count; i++) {
		const struct http_operation *operation = &operations->items[i];

		if (operation->kind == kind && !http_text_same(operation->name, except))
			http_writer_put_header(to, operation->name,
				is_server(operation->name) ? HTTP_TEXT("envoy") : operation->value);
	}
}

void http_response_put_operations(struct http_writer *to, const struct http_operations *operations,
	struct http_text except)
{
	put_operations(to, operations, HTTP_SET, except);
	put_operations(to, operations, HTTP_ADD, except);
}

void http_response_put_date(struct http_writer *to, const struct http_operations *operations,
	const struct http_client *client)
{
	if (http_operations_give(operations, HTTP_TEXT("date")))
		return;
	http_writer_put(to, HTTP_TEXT("date: "));
	http_writer_put(to, (struct http_text){client->date, HTTP_DATE_SIZE - 1});
	http_writer_put(to, HTTP_TEXT("\r\n"));
}

void http_response_put_server(struct http_writer *to, const struct http_operations *operations)
{
	if (!http_operations_give(operations, HTTP_TEXT("server")))
		http_writer_put(to, HTTP_TEXT("server: envoy\r\n"));
}

static void put_service_time(struct http_writer *to, const struct http_response *response)
{
	http_writer_put(to, HTTP_TEXT("x-envoy-upstream-service-time: "));
	http_writer_put_number(to, response->service_time);
	http_writer_put(to, HTTP_TEXT("\r\n"));
}

/* Whether a field stays behind. */
static bool is_dropped(enum http_name known, unsigned status, const struct http_response *response)
{
	if (known == HTTP_NAME_CONTENT_LENGTH)
		return status < 200 || status == 204 || response->kind == HTTP_RESPONSE_NO_SWITCH;
	if (response->kind == HTTP_RESPONSE_SWITCH && (known == HTTP_NAME_CONNECTION || known == HTTP_NAME_UPGRADE))
		return false;
	return (http_name_flags(known) & HTTP_NAME_DROP_RESPONSE) != 0;
}

static void put_field(struct http_writer *to, const struct http_head *head, unsigned place,
	const struct http_response *response)
{
	enum http_name known = head->fields[place].known;
	bool first = place == head->first[known] - 1u;

	if (known == HTTP_NAME_OTHER || response->kind == HTTP_RESPONSE_INTERIM) {
		if (!is_dropped(known, head->status, response))
			http_writer_put_field(to, head, place, HTTP_NAME_JOIN_RESPONSE);
	} else if (known == HTTP_NAME_SERVER) {
		http_writer_put(to, first ? HTTP_TEXT("server: envoy\r\n") : HTTP_TEXT(""));
	} else if (known == HTTP_NAME_X_ENVOY_UPSTREAM_SERVICE_TIME && response->has_service_time) {
		if (first)
			put_service_time(to, response);
	} else if (!is_dropped(known, head->status, response)) {
		http_writer_put_field(to, head, place, HTTP_NAME_JOIN_RESPONSE);
	}
}

/* Whether a field of the origin's goes to the client. */
static bool has_field(const struct http_head *head, const struct http_dropped *dropped, enum http_name name)
{
	return head->first[name] != 0 && !http_dropped_has(dropped, head->first[name] - 1u);
}

/* Whether a response to HEAD says that the body, had there been one, would have come in chunks. */
static bool tells_of_chunks(const struct http_head *head, const struct http_framing *framing,
	const struct http_client *client)
{
	return client->to_head && client->minor > 0 && !framing->has_length && head->status >= 200 &&
	       head->status != 204 && head->status != 304;
}

/* The proxy's own, where the origin's are not in their place already. */
static void put_own(struct http_writer *to, const struct http_head *head, const struct http_framing *framing,
	const struct http_dropped *dropped, const struct http_response *response, const struct http_client *client)
{
	if (response->has_service_time && !has_field(head, dropped, HTTP_NAME_X_ENVOY_UPSTREAM_SERVICE_TIME))
		put_service_time(to, response);
	http_response_put_operations(to, response->operations, HTTP_TEXT(""));
	if (!has_field(head, dropped, HTTP_NAME_DATE))
		http_response_put_date(to, response->operations, client);
	if (!has_field(head, dropped, HTTP_NAME_SERVER))
		http_response_put_server(to, response->operations);
	if (response->kind == HTTP_RESPONSE_SWITCH)
		return;
	http_response_put_connection(to, client);
	if (response->kind == HTTP_RESPONSE_NO_SWITCH)
		http_writer_put(to, HTTP_TEXT("content-length: 0\r\n"));
	else if (http_response_is_chunked(framing, client) || tells_of_chunks(head, framing, client))
		http_writer_put(to, HTTP_TEXT("transfer-encoding: chunked\r\n"));
}

size_t http_response_bound(const struct http_head *head, const struct http_operations *operations)
{
	return head->size + 2u * head->count + OWN_SIZE + (operations != NULL ? http_operations_bound(operations) : 0);
}

void http_response_write(struct http_writer *to, const struct http_head *head, const struct http_framing *framing,
	const struct http_response *response, const struct http_client *client)
{
	struct http_dropped dropped = {.bits = {0}};

	http_response_put_start(to, head->status, client);
	if (response->operations != NULL)
		http_operations_drop(response->operations, head, &dropped);
	for (unsigned i = 0; i < head->count; i++)
		if (!http_dropped_has(&dropped, i))
			put_field(to, head, i, response);
	if (response->kind != HTTP_RESPONSE_INTERIM)
		put_own(to, head, framing, &dropped, response, client);
	http_writer_put(to, HTTP_TEXT("\r\n"));
}
