/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/session.h"

#include "proxy/net/upstream.h"
#include "proxy/policy/rewrite.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Bytes of a path, or a location, that a route makes. */
#define TEXT_SIZE (64u << 10)

static struct http_text text_of(const char *text)
{
	return (struct http_text){text, text != NULL ? strlen(text) : 0};
}

static struct facts_text facts_text(struct http_text text)
{
	return (struct facts_text){text.data, text.size};
}

/* --- what the policy asks about a request */

struct asked {
	struct connection_context *context;
	char joined[4096]; /* fields of one name, in one text */
};

/* The values of a name's fields, joined with commas. */
static const char *find_header(void *context, const char *name, size_t *ret_length)
{
	struct asked *asked = context;
	const struct http_head *head = asked->context->io->request.head;
	struct http_text wanted = text_of(name);
	const char *found = NULL;
	size_t length = 0;

	for (unsigned i = 0; i < head->count; i++) {
		const struct http_field *field = &head->fields[i];

		if (!http_text_same(field->name, wanted))
			continue;
		if (found == NULL) {
			found = field->value.data != NULL ? field->value.data : "";
			length = field->value.size;
			continue;
		}
		if (length + 1 + field->value.size > sizeof asked->joined)
			break;
		memmove(asked->joined, found, length);
		asked->joined[length] = ',';
		memcpy(asked->joined + length + 1, field->value.data, field->value.size);
		length += 1 + field->value.size;
		found = asked->joined;
	}
	*ret_length = length;
	return found;
}

static void fill_facts(const struct connection *connection, struct connection_context *context, struct asked *asked,
	struct policy_facts *out)
{
	const struct http_request *request = &context->io->request;

	context->random_state = context->random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	*out = (struct policy_facts){
		.destination = connection->facts.destination,
		.protocol = POLICY_HTTP,
		.name = request->authority.data,
		.name_length = request->authority.size,
		.method = request->method.data,
		.method_length = request->method.size,
		.path = request->path.data,
		.path_length = request->path.size,
		.random = context->random_state,
		.header = find_header,
		.context = asked,
	};
}

/* --- what it says, for the exchange */

static size_t count_operations(const struct header_operations *operations)
{
	return operations->set.count + operations->add.count + operations->remove.count;
}

static size_t put_operations(struct http_operation *out, const struct header_operations *operations)
{
	size_t n = 0;

	for (size_t i = 0; i < operations->remove.count; i++)
		out[n++] = (struct http_operation){HTTP_REMOVE, text_of(operations->remove.items[i]), {NULL, 0}};
	for (size_t i = 0; i < operations->set.count; i++)
		out[n++] = (struct http_operation){HTTP_SET, text_of(operations->set.items[i].name),
			text_of(operations->set.items[i].value)};
	for (size_t i = 0; i < operations->add.count; i++)
		out[n++] = (struct http_operation){HTTP_ADD, text_of(operations->add.items[i].name),
			text_of(operations->add.items[i].value)};
	return n;
}

/* The operations of all that apply, the request's first. Returns 0 or -ENOMEM. */
static int make_operations(struct session_request *request)
{
	const struct policy_decision *decision = &request->decision;
	size_t total = 0;
	size_t n = 0;

	for (size_t i = 0; i < decision->header_count; i++)
		total += count_operations(&decision->headers[i]->request) + count_operations(&decision->headers[i]->response);
	if (total == 0)
		return 0;
	request->operations = calloc(total, sizeof *request->operations);
	if (request->operations == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < decision->header_count; i++)
		n += put_operations(request->operations + n, &decision->headers[i]->request);
	request->route.request = (struct http_operations){request->operations, n};
	for (size_t i = 0; i < decision->header_count; i++)
		n += put_operations(request->operations + n, &decision->headers[i]->response);
	request->route.response =
		(struct http_operations){request->operations + request->route.request.count, n - request->route.request.count};
	return 0;
}

/* A text that a function writes, in memory of its own. Returns 0, or -ENOMEM, or -ENOSPC. */
static int make_text(struct session_request *request, const struct policy_facts *facts,
	int (*write)(const struct policy_decision *, const struct policy_facts *, char *, size_t), struct http_text *ret)
{
	char text[TEXT_SIZE];
	int length = write(&request->decision, facts, text, sizeof text);

	if (length < 0)
		return length;
	request->text = malloc((size_t)length + 1);
	if (request->text == NULL)
		return -ENOMEM;
	memcpy(request->text, text, (size_t)length);
	*ret = (struct http_text){request->text, (size_t)length};
	return 0;
}

/* `operation` is memory for a text that may be needed. */
static int make_route(struct session_request *request, const struct policy_facts *facts,
	char operation[POLICY_OPERATION_SIZE])
{
	const struct policy_decision *decision = &request->decision;
	int rc = make_operations(request);

	request->route.authority = text_of(decision->authority);
	request->route.decorator = text_of(policy_operation(decision, operation));
	request->route.timeout = (uint64_t)(decision->timeout / 1000000);
	if (decision->retries != NULL && decision->retries->per_try_timeout.is_set)
		request->route.timeout = (uint64_t)(decision->retries->per_try_timeout.nanoseconds / 1000000);
	if (rc == 0 && decision->rewrite != NULL) {
		rc = make_text(request, facts, rewrite_path, &request->route.path);
		request->route.path_cut = facts->path_length;
	}
	return rc;
}

static struct http_reply reply_of(const struct policy_decision *decision)
{
	struct http_reply reply = {.status = decision->status, .details = "direct_response"};

	if (decision->action == POLICY_NO_ROUTE) {
		reply.flag = "NR";
		reply.details = "route_not_found";
	} else if (decision->action == POLICY_NO_CLUSTER) {
		reply.flag = "NC";
		reply.details = "cluster_not_found";
	} else if (decision->action == POLICY_RESPOND && decision->response != NULL && decision->response->body != NULL) {
		reply.body = (struct http_text){decision->response->body, decision->response->body_length};
	}
	return reply;
}

static enum http_event reply(struct connection *connection, struct connection_context *context,
	const struct policy_facts *facts)
{
	struct session *session = connection->session;
	struct session_request *request = session->request;
	struct http_reply answer = reply_of(&request->decision);

	if (request->decision.action == POLICY_REDIRECT &&
		make_text(request, facts, rewrite_location, &answer.location) < 0)
		return HTTP_EVENT_NO_MEMORY;
	if (make_operations(request) < 0)
		return HTTP_EVENT_NO_MEMORY;
	answer.operations = &request->route.response;
	return http_exchange_reply(&session->exchange, context->io, &answer);
}

/* --- a request's beginning */

static enum http_event abort_by_fault(struct session *session, struct connection_context *context)
{
	const struct policy_decision *decision = &session->request->decision;
	struct http_reply answer = http_reply_fault(decision->fault_status);

	answer.has_grpc_status = decision->fault_grpc_status.is_set;
	answer.grpc_status = (uint8_t)decision->fault_grpc_status.value;
	return http_exchange_reply(&session->exchange, context->io, &answer);
}

/* Behind a fault's delay, if there was one. */
enum http_event session_end_delay(struct connection *connection, struct connection_context *context)
{
	struct session *session = connection->session;
	bool aborts = session->request->decision.fault_status != 0;

	session->request->pause = SESSION_GOES_ON;
	return aborts ? abort_by_fault(session, context) : session_try(connection, context);
}

static enum http_event route(struct connection *connection, struct connection_context *context,
	const struct policy_facts *facts)
{
	struct session *session = connection->session;
	struct session_request *request = session->request;
	char operation[POLICY_OPERATION_SIZE];
	enum http_event event;

	circuit_join(&request->share, configuration_find_circuit(request->configuration, request->decision.cluster));
	if (make_route(request, facts, operation) < 0)
		return HTTP_EVENT_NO_MEMORY;
	if (context->io->request.authority.data == NULL && request->route.authority.data == NULL) {
		context->io->request.problem = HTTP_NO_HOST;
		return http_exchange_refuse(&session->exchange, context->io);
	}
	event = http_exchange_route(&session->exchange, context->io, &request->route, true);
	/* It is in the head now. */
	request->route.decorator = text_of(NULL);
	if (event != HTTP_EVENT_NONE)
		return event;
	if (request->decision.fault_delay == 0)
		return session_end_delay(connection, context);
	http_exchange_flag(&session->exchange, "DI");
	request->pause = SESSION_DELAYED;
	request->pause_until = context->now + request->decision.fault_delay / 1000000;
	connection_wake(connection, context, request->pause_until);
	return HTTP_EVENT_NONE;
}

/* Every request has bytes of its own; one call to the kernel lasts for several. */
static bool take_random(struct connection_context *context)
{
	static_assert(RANDOM_POOL_SIZE % HTTP_RANDOM_SIZE == 0, "whole requests' bytes");

	if (context->random_left == 0) {
		if (getrandom(context->random, sizeof context->random, 0) != (ssize_t)sizeof context->random)
			return false;
		context->random_left = sizeof context->random;
	}
	context->random_left -= HTTP_RANDOM_SIZE;
	memcpy(context->io->random, context->random + context->random_left, HTTP_RANDOM_SIZE);
	return true;
}

/* Returns 0 or -ENOMEM. */
static int new_request(struct session *session, struct configuration *configuration)
{
	struct session_request *request = calloc(1, sizeof *request);

	if (request == NULL)
		return -ENOMEM;
	request->configuration = configuration_ref(configuration);
	request->decision.action = POLICY_BLOCK;
	request->deadline = request->try_deadline = INT64_MAX;
	session->request = request;
	return 0;
}

void session_free_request(struct session *session)
{
	struct session_request *request = session->request;

	if (request == NULL)
		return;
	queue_leave(&request->waiter);
	circuit_leave(&request->share);
	free(request->operations);
	free(request->text);
	configuration_unref(request->configuration);
	free(request);
	session->request = NULL;
}

enum http_event session_take_request(struct connection *connection, struct connection_context *context)
{
	struct session *session = connection->session;
	struct session_request *request;
	struct asked asked = {.context = context};
	struct policy_facts facts;

	if (new_request(session, context->configuration) < 0)
		return HTTP_EVENT_NO_MEMORY;
	request = session->request;
	connection->facts.has_upstream = connection->facts.has_upstream_local = connection->facts.is_mismatch = false;
	if (!take_random(context))
		return HTTP_EVENT_NO_MEMORY;
	/* Of an upgrade that is none, the line tells where it would have gone. */
	if (context->io->request.problem != HTTP_FINE && context->io->request.problem != HTTP_BAD_UPGRADE)
		return http_exchange_refuse(&session->exchange, context->io);
	fill_facts(connection, context, &asked, &facts);
	policy_decide(request->configuration->policy, &facts, &request->decision);
	if (context->io->request.problem != HTTP_FINE)
		return http_exchange_refuse(&session->exchange, context->io);
	if (request->decision.action == POLICY_PASS || request->decision.action == POLICY_ROUTE)
		return route(connection, context, &facts);
	return reply(connection, context, &facts);
}

/* --- and its end */

static struct facts_text logged_header(const void *exchange, bool of_response, struct facts_text name)
{
	struct http_text text = http_exchange_header(exchange, of_response, (struct http_text){name.data, name.size});

	return facts_text(text);
}

static uint64_t time_until(const struct session *session, int64_t moment)
{
	return moment > session->began ? (uint64_t)(moment - session->began) : 0;
}

/* What is known of a request that came whole. */
static void fill_forwarding(const struct session *session, struct facts_http *out)
{
	const struct session_request *request = session->request;

	out->has_request_duration = request->whole_at != 0;
	out->request_duration = time_until(session, request->whole_at);
	out->has_response_duration = request->answered_at != 0;
	out->response_duration = time_until(session, request->answered_at);
	if (request->route.path.data != NULL)
		out->sent_path = facts_text(http_exchange_header(&session->exchange, false, HTTP_TEXT(":path")));
}

static void fill_http(const struct session *session, const struct policy_decision *decision,
	const struct http_outcome *outcome, struct facts_http *out)
{
	*out = (struct facts_http){
		.method = facts_text(outcome->names.method),
		.path = facts_text(outcome->names.path),
		.authority = facts_text(outcome->names.authority),
		.user_agent = facts_text(outcome->names.user_agent),
		.request_id = facts_text(outcome->names.request_id),
		.forwarded_for = facts_text(outcome->names.forwarded_for),
		.minor = outcome->minor,
		.status = outcome->status,
		.details = outcome->details,
		.reason = outcome->reason,
		.failure = outcome->transport,
		.route = decision->route_name,
		.attempts = outcome->attempts,
		.has_service_time = outcome->has_service_time,
		.service_time = outcome->service_time,
		.header = logged_header,
		.context = &session->exchange,
	};
	if (session->request != NULL)
		fill_forwarding(session, out);
	for (unsigned i = 0; i < outcome->flag_count && i < FACTS_FLAGS_MAX; i++)
		out->flags[out->flag_count++] = outcome->flags[i];
}

/* Of what was blocked, or would have been: what lets it through. */
static const char *suggest(const struct policy_decision *decision, const struct endpoint *destination,
	const struct http_outcome *outcome, char out[SUGGEST_SIZE])
{
	const struct policy_facts facts = {.destination = *destination, .protocol = POLICY_HTTP,
		.name = outcome->names.authority.data, .name_length = outcome->names.authority.size};
	bool was_blocked = decision->action == POLICY_BLOCK && decision->route_name != NULL;

	return was_blocked || decision->would_block ? policy_suggest(out, &facts) : NULL;
}

static void log_request(const struct connection *connection, struct connection_context *context,
	const struct http_outcome *outcome)
{
	static const struct policy_decision nothing = {.action = POLICY_BLOCK};
	const struct session *session = connection->session;
	const struct policy_decision *decision = session->request != NULL ? &session->request->decision : &nothing;
	struct facts facts = connection->facts;
	struct facts_http http;

	/* Nothing was decided about what cannot be read, and the rest of the facts are the request's before it. */
	if (session->request == NULL)
		facts.has_upstream = facts.has_upstream_local = facts.is_mismatch = false;
	fill_http(session, decision, outcome, &http);
	facts.started = session->started;
	facts.duration = context->now - session->began;
	facts.received = outcome->received;
	facts.sent = outcome->sent;
	facts.cluster = decision->cluster_name;
	facts.would_block = decision->would_block;
	facts.suggestion = suggest(decision, &facts.destination, outcome, context->suggestion);
	facts.http = &http;
	facts.names = NULL;
	metrics_request(context->metrics, &facts);
	context->write_line(context, &facts);
}

void session_finish_request(struct connection *connection, struct connection_context *context)
{
	struct session *session = connection->session;
	const struct http_outcome *outcome = http_exchange_outcome(&session->exchange);
	bool reusable = outcome != NULL && outcome->upstream_is_reusable;
	bool resets = outcome != NULL && outcome->resets_client;

	if (outcome != NULL) {
		session_judge(connection, context);
		log_request(connection, context, outcome);
		session->has_line = true;
		session->is_ending |= outcome->closes_client;
	}
	/* A name's answer may come after the request's time is over. */
	upstream_forget_lookup(connection, context);
	if (!reusable || !link_is_usable(&session->link, context->now))
		session_detach(connection, context, false);
	http_exchange_next(&session->exchange);
	session_free_request(session);
	session->began = 0;
	if (resets)
		side_reset(&connection->client);
}
