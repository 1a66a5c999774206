/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http/reply.h"

#include "proxy/http/status.h"

/* Bytes of an answer's head without texts from elsewhere. */
#define OWN_SIZE 512

const struct http_reply http_reply_blocked = {.status = 502, .details = "direct_response"};
const struct http_reply http_reply_no_route = {.status = 404, .flag = "NR", .details = "route_not_found"};
const struct http_reply http_reply_no_cluster = {.status = 503, .flag = "NC", .details = "cluster_not_found"};

struct http_reply http_reply_fault(uint16_t status)
{
	return (struct http_reply){
		.status = status,
		.body = HTTP_TEXT("fault filter abort"),
		.flag = "FI",
		.details = "fault_filter_abort",
	};
}

struct http_reply http_reply_to_problem(enum http_problem problem)
{
	const struct http_problem_answer *answer = http_problem_answer(problem);

	return (struct http_reply){
		.status = answer->status,
		.body = answer->has_text ? http_status_reason(answer->status) : (struct http_text){NULL, 0},
		.flag = answer->flag,
		.details = answer->details,
	};
}

/* RFC 3986 escapes, as gRPC wants a message: what is printable and no "%" stays. */
static void put_message(struct http_writer *to, struct http_text text)
{
	static const char digits[] = "0123456789ABCDEF";

	http_writer_put(to, HTTP_TEXT("grpc-message: "));
	for (size_t i = 0; i < text.size; i++) {
		uint8_t c = (uint8_t)text.data[i];

		if (c >= ' ' && c < 0x7f && c != '%') {
			http_writer_put_byte(to, (char)c);
			continue;
		}
		http_writer_put_byte(to, '%');
		http_writer_put_byte(to, digits[c >> 4]);
		http_writer_put_byte(to, digits[c & 15]);
	}
	http_writer_put(to, HTTP_TEXT("\r\n"));
}

/* The route's operations, and what the body is. */
static void put_content(struct http_writer *to, const struct http_reply *reply, bool is_grpc,
	const struct http_client *client)
{
	bool typed = http_operations_give(reply->operations, HTTP_TEXT("content-type"));

	http_response_put_operations(to, reply->operations, is_grpc ? HTTP_TEXT("content-type") : HTTP_TEXT(""));
	if (is_grpc) {
		http_writer_put(to, HTTP_TEXT("content-type: application/grpc\r\ngrpc-status: "));
		http_writer_put_number(to, reply->has_grpc_status ? reply->grpc_status : http_status_grpc(reply->status));
		http_writer_put(to, HTTP_TEXT("\r\n"));
		if (reply->body.size > 0 && !client->to_head)
			put_message(to, reply->body);
	} else if (reply->body.size > 0) {
		http_writer_put(to, HTTP_TEXT("content-length: "));
		http_writer_put_number(to, reply->body.size);
		http_writer_put(to, typed ? HTTP_TEXT("\r\n") : HTTP_TEXT("\r\ncontent-type: text/plain\r\n"));
	}
}

/* How an empty body ends. */
static void put_framing(struct http_writer *to, unsigned status, const struct http_client *client)
{
	if (status < 200 || status == 204 || status == 304)
		return;
	if (!client->to_head)
		http_writer_put(to, HTTP_TEXT("content-length: 0\r\n"));
	else if (client->minor > 0)
		http_writer_put(to, HTTP_TEXT("transfer-encoding: chunked\r\n"));
}

size_t http_reply_bound(const struct http_reply *reply)
{
	return OWN_SIZE + reply->location.size + 3 * reply->body.size +
	       (reply->operations != NULL ? http_operations_bound(reply->operations) : 0);
}

bool http_reply_write(struct http_writer *to, const struct http_reply *reply, bool is_grpc,
	const struct http_client *client)
{
	unsigned status = is_grpc ? 200 : reply->status;

	http_response_put_start(to, status, client);
	if (reply->location.data != NULL)
		http_writer_put_header(to, HTTP_TEXT("location"), reply->location);
	if (reply->overloaded)
		http_writer_put(to, HTTP_TEXT("x-envoy-overloaded: true\r\n"));
	put_content(to, reply, is_grpc, client);
	http_response_put_date(to, reply->operations, client);
	http_response_put_server(to, reply->operations);
	http_response_put_connection(to, client);
	if (is_grpc || reply->body.size == 0)
		put_framing(to, status, client);
	http_writer_put(to, HTTP_TEXT("\r\n"));
	return !is_grpc && reply->body.size > 0 && !client->to_head;
}
