/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The proxy's own headers are put together first, in the order in which they go behind the client's; then the client's
 * are gone through, and one that has the name of the proxy's takes its value.
 */
#include "proxy/http/request.h"

#include <assert.h>

/* The proxy's own headers, at most. */
#define OWN_MAX 8

/* Bytes that all of them take, without texts from elsewhere. */
#define OWN_SIZE 512

/* Digits that a number of attempts may grow by. */
#define ATTEMPT_GROWTH 10

/* An x-request-id's length: a UUID (RFC 9562 section 4). */
#define UUID_SIZE 36

/* Names for the log. */
#define NAME_COUNT 6
static_assert(sizeof(struct http_names) == NAME_COUNT * sizeof(struct http_text), "all names are told");

struct own {
	enum http_name name;
	struct http_text value;
	bool written;
};

struct own_list {
	struct own items[OWN_MAX];
	unsigned count;
	unsigned before_operations; /* the route's operations come behind these */
	char uuid[UUID_SIZE];
	char timeout[24];
};

static void add_own(struct own_list *list, enum http_name name, struct http_text value)
{
	assert(list->count < OWN_MAX);
	list->items[list->count++] = (struct own){.name = name, .value = value};
}

static struct http_text make_uuid(char out[UUID_SIZE], const uint8_t *random)
{
	static const char digits[] = "0123456789abcdef";
	size_t at = 0;

	for (unsigned i = 0; i < HTTP_RANDOM_SIZE; i++) {
		unsigned byte = random[i];

		if (i == 6)
			byte = (byte & 0x0f) | 0x40;
		else if (i == 8)
			byte = (byte & 0x3f) | 0x80;
		if (i == 4 || i == 6 || i == 8 || i == 10)
			out[at++] = '-';
		out[at++] = digits[byte >> 4];
		out[at++] = digits[byte & 15];
	}
	return (struct http_text){out, at};
}

static bool has_value(const struct http_request *request, enum http_name name)
{
	const struct http_field *field = http_head_find(request->head, name);

	return field != NULL && field->value.size > 0 && !http_dropped_has(&request->dropped, request->head->first[name] - 1u);
}

static void list_own(struct own_list *list, const struct http_request *request, const struct http_forward *route,
	const uint8_t *random)
{
	struct http_writer timeout = {.data = list->timeout, .capacity = sizeof list->timeout};

	if (!has_value(request, HTTP_NAME_X_FORWARDED_PROTO))
		add_own(list, HTTP_NAME_X_FORWARDED_PROTO, HTTP_TEXT("http"));
	if (request->is_trusted)
		add_own(list, HTTP_NAME_X_ENVOY_INTERNAL, HTTP_TEXT("true"));
	if (!has_value(request, HTTP_NAME_X_REQUEST_ID))
		add_own(list, HTTP_NAME_X_REQUEST_ID, make_uuid(list->uuid, random));
	if (route->decorator.data != NULL)
		add_own(list, HTTP_NAME_X_ENVOY_DECORATOR_OPERATION, route->decorator);
	if (route->timeout > 0) {
		http_writer_put_number(&timeout, route->timeout);
		add_own(list, HTTP_NAME_X_ENVOY_EXPECTED_RQ_TIMEOUT_MS, (struct http_text){timeout.data, timeout.size});
	}
	list->before_operations = list->count;
	if (route->authority.data != NULL && request->authority.data != NULL)
		add_own(list, HTTP_NAME_X_ENVOY_ORIGINAL_HOST, request->authority);
	if (route->path.data != NULL)
		add_own(list, HTTP_NAME_X_ENVOY_ORIGINAL_PATH, request->path);
	add_own(list, HTTP_NAME_X_ENVOY_ATTEMPT_COUNT, HTTP_TEXT("1"));
	for (unsigned i = 0; i < list->before_operations; i++)
		list->items[i].written = http_operations_take(&route->request, http_name_text(list->items[i].name));
}

static struct own *find_own(struct own_list *list, enum http_name name)
{
	for (unsigned i = 0; name != HTTP_NAME_OTHER && i < list->count; i++)
		if (list->items[i].name == name)
			return &list->items[i];
	return NULL;
}

/* Keeps where a header that the log asks for has been written: from `start`, with name and end of line. */
static void note_name(struct http_names *names, const struct http_writer *to, size_t start, enum http_name known)
{
	size_t prefix = http_name_text(known).size + 2;
	struct http_text value = {to->data + start + prefix, to->size - start - prefix - 2};

	if (to->failed)
		return;
	if (known == HTTP_NAME_USER_AGENT)
		names->user_agent = value;
	else if (known == HTTP_NAME_X_REQUEST_ID)
		names->request_id = value;
	else if (known == HTTP_NAME_X_FORWARDED_FOR)
		names->forwarded_for = value;
	else if (known == HTTP_NAME_X_ENVOY_ORIGINAL_PATH)
		names->path = value;
}

static void put_header(struct http_writer *to, struct http_text name, enum http_name known, struct http_text value,
	struct http_names *names)
{
	size_t start = to->size;

	http_writer_put_header(to, name, value);
	if (known != HTTP_NAME_OTHER)
		note_name(names, to, start, known);
}

static void put_own(struct http_writer *to, struct own *own, struct http_names *names)
{
	if (!own->written)
		put_header(to, http_name_text(own->name), own->name, own->value, names);
	own->written = true;
}

static void put_operations(struct http_writer *to, const struct http_operations *operations,
	enum http_operation_kind kind, struct http_names *names)
{
	for (size_t i = 0; i < operations->count; i++) {
		const struct http_operation *operation = &operations->items[i];

		if (operation->kind == kind)
			put_header(to, operation->name, http_name_find(operation->name), operation->value, names);
	}
}

/* Whether a field that belongs to the connection is passed on all the same: with what asks for an upgrade. */
static bool asks_for_upgrade(const struct http_request *request, enum http_name known)
{
	return request->is_upgrade &&
	       (known == HTTP_NAME_CONNECTION || known == HTTP_NAME_UPGRADE || known == HTTP_NAME_TE);
}

static void put_field(struct http_writer *to, const struct http_request *request, unsigned place, struct own_list *list,
	struct http_names *names)
{
	const struct http_head *head = request->head;
	enum http_name known = head->fields[place].known;
	unsigned flags = http_name_flags(known);
	struct own *own = find_own(list, known);
	size_t start = to->size;

	/* Of "te", this is all that is passed on. */
	if (known == HTTP_NAME_TE && !request->is_upgrade && place == head->first[known] - 1u &&
		http_head_lists(head, known, HTTP_TEXT("trailers")))
		http_writer_put(to, HTTP_TEXT("te: trailers\r\n"));
	if (((flags & HTTP_NAME_DROP_REQUEST) != 0 && !asks_for_upgrade(request, known)) ||
		((flags & HTTP_NAME_DROP_UNTRUSTED) != 0 && !request->is_trusted))
		return;
	if (own != NULL) {
		put_own(to, own, names);
		return;
	}
	http_writer_put_field(to, head, place, HTTP_NAME_JOIN_REQUEST);
	if (to->size > start && known != HTTP_NAME_OTHER)
		note_name(names, to, start, known);
}

/* Where the body's length is said: the client's Content-Length is among its fields. */
static void put_framing(struct http_writer *to, const struct http_request *request)
{
	static const struct http_text bodiless[] = {
		HTTP_TEXT("GET"), HTTP_TEXT("HEAD"), HTTP_TEXT("DELETE"), HTTP_TEXT("TRACE")};

	if (request->framing.body == HTTP_BODY_CHUNKED)
		http_writer_put(to, HTTP_TEXT("transfer-encoding: chunked\r\n"));
	if (request->framing.body != HTTP_BODY_NONE || request->framing.has_length || request->is_upgrade)
		return;
	for (size_t i = 0; i < sizeof bodiless / sizeof *bodiless; i++)
		if (http_text_equal(request->method, bodiless[i]))
			return;
	http_writer_put(to, HTTP_TEXT("content-length: 0\r\n"));
}

/* Returns where a text that has just been put is. */
static struct http_text put_name(struct http_writer *to, struct http_text text)
{
	size_t start = to->size;

	http_writer_put(to, text);
	return (struct http_text){text.data != NULL && !to->failed ? to->data + start : NULL, text.size};
}

static void put_start(struct http_writer *to, const struct http_request *request, const struct http_forward *route,
	struct http_names *names)
{
	struct http_text authority = route->authority.data != NULL ? route->authority : request->authority;
	size_t start;

	names->method = put_name(to, request->method);
	http_writer_put_byte(to, ' ');
	start = to->size;
	if (route->path.data != NULL) {
		http_writer_put(to, route->path);
		http_writer_put(to, (struct http_text){request->path.data + route->path_cut, request->path.size - route->path_cut});
	} else {
		http_writer_put(to, request->path);
	}
	if (request->path.data != NULL)
		names->path = (struct http_text){to->data + start, to->size - start};
	http_writer_put(to, HTTP_TEXT(" HTTP/1.1\r\nhost: "));
	names->authority = put_name(to, authority);
	http_writer_put(to, HTTP_TEXT("\r\n"));
}

size_t http_request_bound(const struct http_request *request, const struct http_forward *route)
{
	return request->head->size + 2 * (request->path.size + request->authority.size) + route->authority.size +
	       route->path.size + route->decorator.size + http_operations_bound(&route->request) + OWN_SIZE +
	       ATTEMPT_GROWTH;
}

void http_request_write(struct http_writer *to, const struct http_request *request, const struct http_forward *route,
	const uint8_t *random, struct http_names *ret_names)
{
	struct http_dropped dropped = request->dropped;
	struct own_list list = {.count = 0};

	assert(route->path.data == NULL || route->path_cut <= request->path.size);
	*ret_names = (struct http_names){.method = {NULL, 0}};
	put_start(to, request, route, ret_names);
	http_operations_drop(&route->request, request->head, &dropped);
	if (random != NULL)
		list_own(&list, request, route, random);
	for (unsigned i = 0; i < request->head->count; i++)
		if (!http_dropped_has(&dropped, i))
			put_field(to, request, i, &list, ret_names);
	for (unsigned i = 0; i < list.before_operations; i++)
		put_own(to, &list.items[i], ret_names);
	put_operations(to, &route->request, HTTP_SET, ret_names);
	put_operations(to, &route->request, HTTP_ADD, ret_names);
	for (unsigned i = list.before_operations; i < list.count; i++)
		put_own(to, &list.items[i], ret_names);
	put_framing(to, request);
	http_writer_put(to, HTTP_TEXT("\r\n"));
}

/* Names behind a place move with what is there. */
static void move_names(struct http_names *names, const char *place, ptrdiff_t by)
{
	struct http_text *all[NAME_COUNT] = {&names->method, &names->path, &names->authority, &names->user_agent, &names->request_id,
		&names->forwarded_for};

	for (unsigned i = 0; i < NAME_COUNT; i++)
		if (all[i]->data != NULL && all[i]->data > place)
			all[i]->data += by;
}

void http_request_count(struct http_writer *written, unsigned attempt, struct http_names *names)
{
	static const struct http_text name = HTTP_TEXT("\r\nx-envoy-attempt-count: ");
	char digits[ATTEMPT_GROWTH] = {0};
	struct http_writer number = {.data = digits, .capacity = sizeof digits};
	char *value = memmem(written->data, written->size, name.data, name.size);
	char *end = written->data + written->size;
	char *tail;

	if (value == NULL)
		return;
	value += name.size;
	tail = memchr(value, '\r', (size_t)(end - value));
	http_writer_put_number(&number, attempt);
	assert(number.size <= (size_t)(tail - value) + written->capacity - written->size);
	memmove(value + number.size, tail, (size_t)(end - tail));
	memcpy(value, digits, number.size);
	move_names(names, value, (ptrdiff_t)number.size - (tail - value));
	written->size = (size_t)(value - written->data) + number.size + (size_t)(end - tail);
}
