/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a head to what it means. Problems are looked for in the order in which they matter: first those with which a
 * request cannot be understood, then those for which it is refused.
 */
#include "proxy/http/request.h"
#include "proxy/http/target.h"

#include "redirect/base/address.h"

/* As llhttp and Envoy know them; another one is no HTTP. */
static const struct http_text methods[] = {
	HTTP_TEXT("GET"), HTTP_TEXT("POST"), HTTP_TEXT("HEAD"), HTTP_TEXT("PUT"), HTTP_TEXT("DELETE"), HTTP_TEXT("OPTIONS"),
	HTTP_TEXT("PATCH"), HTTP_TEXT("CONNECT"), HTTP_TEXT("TRACE"), HTTP_TEXT("ACL"), HTTP_TEXT("BIND"),
	HTTP_TEXT("CHECKOUT"), HTTP_TEXT("COPY"), HTTP_TEXT("LINK"), HTTP_TEXT("LOCK"), HTTP_TEXT("M-SEARCH"),
	HTTP_TEXT("MERGE"), HTTP_TEXT("MKACTIVITY"), HTTP_TEXT("MKCALENDAR"), HTTP_TEXT("MKCOL"), HTTP_TEXT("MOVE"),
	HTTP_TEXT("NOTIFY"), HTTP_TEXT("PROPFIND"), HTTP_TEXT("PROPPATCH"), HTTP_TEXT("PURGE"), HTTP_TEXT("REBIND"),
	HTTP_TEXT("REPORT"), HTTP_TEXT("SEARCH"), HTTP_TEXT("SOURCE"), HTTP_TEXT("SUBSCRIBE"), HTTP_TEXT("UNBIND"),
	HTTP_TEXT("UNLINK"), HTTP_TEXT("UNLOCK"), HTTP_TEXT("UNSUBSCRIBE"),
};

static bool is_method(struct http_text text)
{
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
		if (http_text_equal(methods[i], text))
			return true;
	return false;
}

/* A Connection header names what it may drop. Not what says where the message ends, whom it is for or who sent it. */
static bool may_be_named(struct http_text name)
{
	switch (http_name_find(name)) {
	case HTTP_NAME_HOST:
	case HTTP_NAME_CONTENT_LENGTH:
	case HTTP_NAME_TRANSFER_ENCODING:
	case HTTP_NAME_X_FORWARDED_FOR:
	case HTTP_NAME_X_FORWARDED_HOST:
	case HTTP_NAME_X_FORWARDED_PROTO:
		return false;
	default:
		return name.data[0] != ':';
	}
}

static enum http_problem read_connection(struct http_request *request)
{
	const struct http_head *head = request->head;
	unsigned elements = 0;

	if (head->first[HTTP_NAME_CONNECTION] == 0 || request->is_upgrade)
		return HTTP_FINE;
	for (unsigned i = head->first[HTTP_NAME_CONNECTION] - 1u; i < head->count; i++) {
		struct http_text list = head->fields[i].value;
		struct http_text name;

		while (head->fields[i].known == HTTP_NAME_CONNECTION && http_text_next(&list, &name)) {
			if (name.size == 0)
				continue;
			if (++elements > HTTP_CONNECTION_ELEMENTS_MAX || !may_be_named(name))
				return HTTP_BAD_CONNECTION;
			/* "te" stays: what is passed on of it is safe. */
			if (!http_text_same(name, HTTP_TEXT("te")))
				http_dropped_add_name(&request->dropped, head, name);
		}
	}
	return HTTP_FINE;
}

/* An upgrade with a body is none: the request goes on without it. So does one to HTTP/2 in clear text. */
static void read_upgrade(struct http_request *request)
{
	const struct http_field *field = http_head_find(request->head, HTTP_NAME_UPGRADE);

	if (field == NULL || field->value.size == 0 || request->framing.body != HTTP_BODY_NONE ||
		http_text_same(field->value, HTTP_TEXT("h2c")) ||
		!http_head_lists(request->head, HTTP_NAME_CONNECTION, HTTP_TEXT("upgrade")))
		return;
	request->is_upgrade = http_text_same(field->value, HTTP_TEXT("websocket")) &&
			      http_head_count(request->head, HTTP_NAME_UPGRADE) == 1;
	if (!request->is_upgrade && request->problem == HTTP_FINE)
		request->problem = HTTP_BAD_UPGRADE;
}

/* 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 127.0.0.1, fd00::/8 and ::1 */
static bool is_private(const struct address *address)
{
	const uint8_t *ipv4 = address->bytes + 12;

	if (!address_is_ipv4(address))
		return address->bytes[0] == 0xfd || address_is_loopback(address);
	return ipv4[0] == 10 || (ipv4[0] == 172 && (ipv4[1] & 0xf0) == 16) || (ipv4[0] == 192 && ipv4[1] == 168) ||
	       memcmp(ipv4, (uint8_t[]){127, 0, 0, 1}, 4) == 0;
}

static bool is_trusted(const struct http_head *head)
{
	const struct http_field *field = http_head_find(head, HTTP_NAME_X_FORWARDED_FOR);
	struct address address;

	return field != NULL && http_head_count(head, HTTP_NAME_X_FORWARDED_FOR) == 1 &&
	       address_parse(field->value.data, field->value.size, &address) == 0 && is_private(&address);
}

static bool is_grpc(const struct http_head *head)
{
	static const struct http_text type = HTTP_TEXT("application/grpc");
	const struct http_field *field = http_head_find(head, HTTP_NAME_CONTENT_TYPE);

	return field != NULL && field->value.size >= type.size && memcmp(field->value.data, type.data, type.size) == 0 &&
	       (field->value.size == type.size || field->value.data[type.size] == '+');
}

/* Whom the request is for: the target's own authority, or the one Host. */
static enum http_problem read_authority(struct http_request *request, struct http_text of_target)
{
	const struct http_field *host = http_head_find(request->head, HTTP_NAME_HOST);

	if (http_head_count(request->head, HTTP_NAME_HOST) > 1)
		return HTTP_BAD_AUTHORITY;
	if (host != NULL && !http_authority_is_valid(host->value))
		return HTTP_BAD_AUTHORITY;
	if (of_target.data != NULL)
		request->authority = of_target;
	else if (host != NULL)
		request->authority = host->value;
	else if (request->minor > 0)
		request->problem = HTTP_NO_HOST;
	return HTTP_FINE;
}

static void read_path(struct http_request *request, struct http_text path, struct http_writer *scratch)
{
	size_t start = scratch->size;

	request->path = path;
	if (path.data == NULL) {
		request->problem = HTTP_TUNNEL;
		return;
	}
	if (request->problem != HTTP_FINE)
		return;
	if (path.size > 0 && path.data[0] == '*')
		request->problem = HTTP_NO_PATH;
	else
		request->problem = http_path_normalise(scratch, path);
	if (request->problem == HTTP_FINE && scratch->size > start)
		request->path = (struct http_text){scratch->data + start, scratch->size - start};
}

enum http_problem http_request_read(struct http_request *request, const struct http_head *head,
	struct http_writer *scratch)
{
	struct http_target target;
	enum http_problem problem;

	*request = (struct http_request){.method = head->method, .minor = head->minor, .head = head};
	if (!is_method(head->method))
		return HTTP_BAD_SYNTAX;
	problem = http_framing_of_request(head, &request->framing);
	if (problem == HTTP_FINE)
		problem = http_target_read(head->method, head->target, &target);
	if (problem == HTTP_FINE)
		problem = read_authority(request, target.authority);
	if (problem != HTTP_FINE)
		return problem;
	request->is_head = http_text_equal(head->method, HTTP_TEXT("HEAD"));
	request->is_grpc = is_grpc(head);
	request->is_trusted = is_trusted(head);
	read_path(request, target.path, scratch);
	read_upgrade(request);
	return read_connection(request);
}

bool http_request_wish(const struct http_request *request, enum http_name name, uint64_t *ret_number)
{
	const struct http_field *field = http_head_find(request->head, name);

	return request->is_trusted && field != NULL && http_text_number(field->value, ret_number);
}
