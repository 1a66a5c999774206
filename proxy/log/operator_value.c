/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each value of each line comes through operator_value(): what most lines do not need stays out of it.
 */
#include "proxy/log/operator.h"

#include "proxy/log/operator_words.h"
#include "redirect/base/decimal.h"
#include "redirect/base/time.h"

#include <string.h>

static inline void set_string(struct operator_value *value, const char *string)
{
	if (string != NULL)
		set_text(value, &(struct facts_text){string, strlen(string)});
}

static inline void set_decimal(struct operator_value *value, char *scratch, uint64_t number)
{
	set_plain(value, scratch, (size_t)(decimal_write(scratch, number, 1) - scratch));
}

static inline void protocol(struct operator_value *value, const struct facts *facts)
{
	if (facts->http != NULL)
		set_plain(value, facts->http->minor == 0 ? "HTTP/1.0" : "HTTP/1.1", 8);
	else if (facts->protocol == FACTS_HTTP2)
		set_plain(value, "HTTP/2", 6);
	else if (facts->names != NULL)
		set_string(value, facts->names->version);
}

/* --- endpoints */

static inline const struct endpoint *endpoint_of(const struct facts *facts, enum operator_endpoint which)
{
	switch (which) {
	case OPERATOR_UPSTREAM:
		return facts->has_upstream ? &facts->upstream : NULL;
	case OPERATOR_UPSTREAM_LOCAL:
		return facts->has_upstream_local ? &facts->upstream_local : NULL;
	case OPERATOR_DOWNSTREAM_LOCAL:
		return &facts->destination;
	case OPERATOR_DOWNSTREAM_REMOTE:
		return &facts->source;
	}
	return NULL;
}

static inline void endpoint_value(struct operator_value *value, const struct endpoint *endpoint, enum operator_code code,
	char *scratch)
{
	const char *text;

	if (endpoint == NULL)
		return;
	if (code == OPERATOR_PORT) {
		set_number(value, endpoint->port);
		return;
	}
	text = code == OPERATOR_ENDPOINT ? endpoint_format(scratch, endpoint)
					 : address_format(scratch, &endpoint->address);
	set_plain(value, text, strlen(text));
}

/* --- headers */

/* What a connection's first bytes told, where no request has facts of its own. */
static inline void sniffed(struct operator_value *value, const struct facts_names *names, enum operator_header header)
{
	if (names == NULL)
		return;
	if (header == OPERATOR_METHOD)
		set_string(value, names->method);
	else if (header == OPERATOR_PATH || header == OPERATOR_ORIGINAL_PATH)
		set_string(value, names->path);
	else if (header == OPERATOR_AUTHORITY)
		set_string(value, names->host);
}

static __attribute__((noinline)) void other_header(struct operator_value *value, const struct facts_http *http,
	bool of_response, struct facts_text name)
{
	struct facts_text text;

	if (http->header == NULL)
		return;
	text = http->header(http->context, of_response, name);
	set_text(value, &text);
}

static void header(struct operator_value *value, const struct operation *operation, size_t i,
	const struct facts_http *http, char *scratch)
{
	bool is_rewritten = http->sent_path.data != NULL;

	switch ((enum operator_header)operation->headers[i]) {
	case OPERATOR_NO_HEADER:
		break;
	case OPERATOR_OTHER_HEADER:
		other_header(value, http, operation->code == OPERATOR_RESPONSE_HEADER, operation->arguments[i]);
		break;
	case OPERATOR_METHOD:
		set_text(value, &http->method);
		break;
	case OPERATOR_PATH:
		set_text(value, is_rewritten ? &http->sent_path : &http->path);
		break;
	case OPERATOR_ORIGINAL_PATH:
		if (is_rewritten)
			set_text(value, &http->path);
		break;
	case OPERATOR_AUTHORITY:
		set_text(value, &http->authority);
		break;
	case OPERATOR_SCHEME:
		set_plain(value, "http", 4);
		break;
	case OPERATOR_USER_AGENT:
		set_text(value, &http->user_agent);
		break;
	case OPERATOR_REQUEST_ID:
		set_text(value, &http->request_id);
		break;
	case OPERATOR_FORWARDED_FOR:
		set_text(value, &http->forwarded_for);
		break;
	case OPERATOR_STATUS:
		if (http->status != 0)
			set_decimal(value, scratch, http->status);
		break;
	case OPERATOR_SERVICE_TIME:
		if (http->has_service_time)
			set_decimal(value, scratch, http->service_time);
		break;
	}
}

static inline void first_header(struct operator_value *value, const struct operation *operation,
	const struct facts *facts, char *scratch)
{
	for (size_t i = 0; i < 2 && value->type == OPERATOR_ABSENT && operation->headers[i] != OPERATOR_NO_HEADER; i++) {
		if (facts->http != NULL)
			header(value, operation, i, facts->http, scratch);
		else
			sniffed(value, facts->names, operation->headers[i]);
	}
}

/* --- numbers that only a request has */

static __attribute__((noinline)) void request_number(struct operator_value *value, const struct facts *facts,
	enum operator_code code)
{
	const struct facts_http *http = facts->http;

	if (code == OPERATOR_ATTEMPT_COUNT)
		set_number(value, http != NULL ? http->attempts : 0);
	else if (http == NULL)
		return;
	else if (code == OPERATOR_REQUEST_DURATION && http->has_request_duration)
		set_number(value, http->request_duration);
	else if (code == OPERATOR_RESPONSE_DURATION && http->has_response_duration)
		set_number(value, http->response_duration);
	else if (code == OPERATOR_RESPONSE_TX_DURATION && http->has_response_duration)
		set_number(value, (uint64_t)facts->duration > http->response_duration
					  ? (uint64_t)facts->duration - http->response_duration
					  : 0);
}

static inline void set_value(struct operator_value *value, const struct operation *operation, const struct facts *facts,
	char *scratch)
{
	enum operator_code code = operation->code;

	switch (code) {
	case OPERATOR_START_TIME:
		set_plain(value, time_format(scratch, facts->started), sizeof "2026-01-31T23:59:59.999Z" - 1);
		break;
	case OPERATOR_START_TIME_FORM:
		set_plain(value, scratch, operator_time_write(scratch, operation->arguments[0], facts->started));
		break;
	case OPERATOR_REQUEST_HEADER:
	case OPERATOR_RESPONSE_HEADER:
		first_header(value, operation, facts, scratch);
		break;
	case OPERATOR_PROTOCOL:
		protocol(value, facts);
		break;
	case OPERATOR_RESPONSE_CODE:
		set_number(value, facts->http != NULL ? facts->http->status : 0);
		break;
	case OPERATOR_RESPONSE_CODE_DETAILS:
		if (facts->http != NULL && facts->http->details != NULL)
			operator_details(value, facts->http, scratch);
		break;
	case OPERATOR_RESPONSE_FLAGS:
		operator_flags(value, facts, scratch);
		break;
	case OPERATOR_RESPONSE_FLAGS_LONG:
		operator_flags_long(value, facts, scratch);
		break;
	case OPERATOR_TERMINATION_DETAILS:
		operator_termination(value, facts, scratch);
		break;
	case OPERATOR_TRANSPORT_FAILURE:
		operator_failure(value, facts, scratch);
		break;
	case OPERATOR_BYTES_RECEIVED:
		set_number(value, facts->received);
		break;
	case OPERATOR_BYTES_SENT:
		set_number(value, facts->sent);
		break;
	case OPERATOR_DURATION:
		set_number(value, (uint64_t)facts->duration);
		break;
	case OPERATOR_REQUEST_DURATION:
	case OPERATOR_RESPONSE_DURATION:
	case OPERATOR_RESPONSE_TX_DURATION:
	case OPERATOR_ATTEMPT_COUNT:
		request_number(value, facts, code);
		break;
	case OPERATOR_ENDPOINT:
	case OPERATOR_ADDRESS:
	case OPERATOR_PORT:
		endpoint_value(value, endpoint_of(facts, operation->endpoint), code, scratch);
		break;
	case OPERATOR_CLUSTER:
		set_string(value, facts->cluster);
		break;
	case OPERATOR_SERVER_NAME:
		if (facts->names != NULL)
			set_string(value, facts->names->server_name);
		break;
	case OPERATOR_ROUTE_NAME:
		if (facts->http != NULL)
			set_string(value, facts->http->route);
		break;
	case OPERATOR_SERVICE_ENTRY:
		if (facts->suggestion != NULL)
			set_plain(value, facts->suggestion, strlen(facts->suggestion));
		break;
	case OPERATOR_ENVIRONMENT:
		set_text(value, &operation->arguments[0]);
		break;
	case OPERATOR_NONE:
	case OPERATOR_NEVER:
		break;
	}
}

void operator_value(struct operator_value *ret_value, const struct operation *operation, const struct facts *facts,
	char scratch[OPERATOR_SCRATCH_SIZE])
{
	ret_value->type = OPERATOR_ABSENT;
	set_value(ret_value, operation, facts, scratch);
	if (operation->limit != OPERATOR_UNLIMITED && ret_value->type != OPERATOR_ABSENT &&
		ret_value->size > operation->limit)
		ret_value->size = operation->limit;
}
