/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Retries, faults and answers of the route's own.
 */
#include "proxy/policy/check.h"
#include "proxy/policy/route.h"

#include <stdlib.h>
#include <string.h>

#define FIELD_COUNT(fields) (sizeof(fields) / sizeof *(fields))

/* Bytes of a direct response's body, and where Istio begins to warn. */
#define BODY_SIZE_MAX (1u << 20)
#define BODY_SIZE_LARGE (100u << 10)

/* --- retries */

const struct route_retries route_default_retries = {
	.attempts = 2,
	.retry_on = RETRY_CONNECT_FAILURE | RETRY_REFUSED_STREAM | RETRY_UNAVAILABLE | RETRY_CANCELLED | RETRY_STATUS_CODES,
	.codes = {503},
	.code_count = 1,
};

static const struct {
	const char *name;
	enum retry_on bit;
} retry_names[] = {
	{"5xx", RETRY_5XX},
	{"gateway-error", RETRY_GATEWAY_ERROR},
	{"reset", RETRY_RESET},
	{"reset-before-request", RETRY_RESET_BEFORE_REQUEST},
	{"connect-failure", RETRY_CONNECT_FAILURE},
	{"retriable-4xx", RETRY_RETRIABLE_4XX},
	{"refused-stream", RETRY_REFUSED_STREAM},
	{"retriable-status-codes", RETRY_STATUS_CODES},
	{"retriable-headers", RETRY_STATUS_CODE_HEADERS},
	{"envoy-ratelimited", RETRY_ENVOY_RATELIMITED},
	{"cancelled", RETRY_CANCELLED},
	{"deadline-exceeded", RETRY_DEADLINE_EXCEEDED},
	{"internal", RETRY_INTERNAL},
	{"resource-exhausted", RETRY_RESOURCE_EXHAUSTED},
	{"unavailable", RETRY_UNAVAILABLE},
};

static bool take_code(struct route_retries *retries, const char *word, size_t length)
{
	int code = 0;

	if (length != 3 || strspn(word, "0123456789") < 3)
		return false;
	for (size_t i = 0; i < length; i++)
		code = code * 10 + (word[i] - '0');
	if (code < 100 || code > 599 || retries->code_count == ROUTE_RETRY_CODE_MAX)
		return false;
	retries->codes[retries->code_count++] = (uint16_t)code;
	retries->retry_on |= RETRY_STATUS_CODES;
	return true;
}

static bool take_name(struct route_retries *retries, const char *word, size_t length)
{
	for (size_t i = 0; i < FIELD_COUNT(retry_names); i++) {
		if (strlen(retry_names[i].name) == length && memcmp(retry_names[i].name, word, length) == 0) {
			retries->retry_on |= (unsigned)retry_names[i].bit;
			return true;
		}
	}
	return false;
}

static void read_retry_on(struct reader *r, struct route_retries *retries)
{
	const char *word = retries->retry_on_text;

	for (;;) {
		size_t length = strcspn(word, ",");

		if (!take_name(retries, word, length) && !take_code(retries, word, length))
			reader_error(r, "retryOn", "\"%.*s\" is not a valid retryOn policy", (int)length, word);
		if (word[length] == '\0')
			return;
		word += length + 1;
	}
}

static void check_retries(struct reader *r, struct route_retries *retries)
{
	bool has_text = retries->retry_on_text != NULL && *retries->retry_on_text != '\0';

	if (retries->attempts < 0)
		reader_error(r, "attempts", "attempts cannot be negative");
	if (retries->attempts == 0 && (retries->per_try_timeout.is_set || has_text))
		reader_error(r, "attempts", "http retry policy configured when attempts are set to 0 (disabled)");
	check_duration(r, "perTryTimeout", &retries->per_try_timeout);
	if (has_text) {
		read_retry_on(r, retries);
		return;
	}
	retries->retry_on = route_default_retries.retry_on;
	retries->code_count = route_default_retries.code_count;
	memcpy(retries->codes, route_default_retries.codes, sizeof retries->codes);
}

static void read_retries(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"attempts", reader_integer, offsetof(struct route_retries, attempts)},
		{"perTryTimeout", reader_duration, offsetof(struct route_retries, per_try_timeout)},
		{"retryOn", reader_text, offsetof(struct route_retries, retry_on_text)},
		{"retryRemoteLocalities", NULL, 0},
		{"retryIgnorePreviousHosts", NULL, 0},
		{"backoff", NULL, 0},
	};

	reader_object(r, node, fields, FIELD_COUNT(fields), target);
	check_retries(r, target);
}

void route_read_retries(struct reader *r, const struct node *node, void *target)
{
	*(const struct route_retries **)target = reader_new(r, node, sizeof(struct route_retries), read_retries);
}

/* --- faults */

static void check_percent(struct reader *r, const char *field, double value)
{
	if (!(value >= 0 && value <= 100))
		reader_error(r, field, "percentage %f is not in range 0..100", value);
}

static void read_percentage(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {{"value", reader_real, offsetof(struct fault_percent, value)}};
	struct fault_percent *percent = target;

	percent->is_set = true;
	reader_object(r, node, fields, FIELD_COUNT(fields), percent);
	check_percent(r, "value", percent->value);
}

/* The deprecated whole number, where the newer field is not there. */
static void read_percent(struct reader *r, const struct node *node, void *target)
{
	struct fault_percent *percent = target;

	if (percent->is_set)
		return;
	percent->is_set = true;
	reader_real(r, node, &percent->value);
	check_percent(r, "", percent->value);
}

static void check_fault_percent(struct reader *r, const struct fault_percent *percent)
{
	if (!percent->is_set)
		reader_warn(r, "percentage", "without it no request is affected");
}

static void read_delay(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"fixedDelay", reader_duration, offsetof(struct route_fault, delay)},
		{"percentage", read_percentage, offsetof(struct route_fault, delay_percent)},
		{"percent", read_percent, offsetof(struct route_fault, delay_percent)},
		{"exponentialDelay", NULL, 0},
	};
	struct route_fault *fault = target;

	fault->has_delay = true;
	reader_object(r, node, fields, FIELD_COUNT(fields), fault);
	check_duration(r, "fixedDelay", &fault->delay);
	check_fault_percent(r, &fault->delay_percent);
	if (node_get(node, "exponentialDelay") != NULL)
		reader_error(r, "exponentialDelay", "exponentialDelay not supported yet");
}

static void check_status(struct reader *r, const char *field, int32_t status)
{
	if (status < 200 || status > 599)
		reader_error(r, field, "HTTP status %d is not in range 200-599", status);
}

static void read_grpc_status(struct reader *r, const struct node *node, void *target)
{
	static const char *const known[] = {"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
		"ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
		"UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"};

	struct number *number = target;
	const char *status = NULL;

	reader_text(r, node, &status);
	if (status == NULL)
		return;
	for (size_t i = 0; i < FIELD_COUNT(known) && !number->is_set; i++)
		if (strcmp(known[i], status) == 0)
			*number = (struct number){.is_set = true, .value = (int32_t)i};
	if (!number->is_set)
		reader_error(r, "", "gRPC status \"%s\" is not supported. See "
				      "https://github.com/grpc/grpc/blob/master/doc/statuscodes.md for a list of supported "
				      "codes, for example 'NOT_FOUND'", status);
}

static void read_abort(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"httpStatus", reader_number, offsetof(struct route_fault, abort_status)},
		{"grpcStatus", read_grpc_status, offsetof(struct route_fault, abort_grpc_status)},
		{"percentage", read_percentage, offsetof(struct route_fault, abort_percent)},
		{"percent", read_percent, offsetof(struct route_fault, abort_percent)},
		{"http2Error", NULL, 0},
	};
	struct route_fault *fault = target;

	fault->has_abort = true;
	reader_object(r, node, fields, FIELD_COUNT(fields), fault);
	if (node_get(node, "http2Error") != NULL)
		reader_error(r, "http2Error", "HTTP/2 abort fault injection not supported yet");
	else if (fault->abort_status.is_set)
		check_status(r, "httpStatus", fault->abort_status.value);
	else if (node_is_null(node_get(node, "grpcStatus")))
		reader_warn(r, "", "abort configured, but error type not set");
	check_fault_percent(r, &fault->abort_percent);
}

static void read_fault(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {{"delay", read_delay, 0}, {"abort", read_abort, 0}};
	const struct route_fault *fault = target;

	reader_object(r, node, fields, FIELD_COUNT(fields), target);
	if (!fault->has_abort && !fault->has_delay)
		reader_error(r, "", "HTTP fault injection must have an abort and/or a delay");
}

void route_read_fault(struct reader *r, const struct node *node, void *target)
{
	*(const struct route_fault **)target = reader_new(r, node, sizeof(struct route_fault), read_fault);
}

/* --- direct responses */

static int base64_value(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *place;

	if (c == '-' || c == '_')
		c = c == '-' ? '+' : '/';
	place = c != '\0' ? strchr(digits, c) : NULL;
	return place != NULL ? (int)(place - digits) : -1;
}

/* Both alphabets, with or without padding (RFC 4648), as protobuf's JSON takes them. Returns false for anything else. */
static bool decode_base64(const char *text, char *out, size_t *ret_length)
{
	size_t length = strcspn(text, "=");
	uint32_t bits = 0;
	size_t used = 0;

	if (length % 4 == 1 || text[length + strspn(text + length, "=")] != '\0')
		return false;
	for (size_t i = 0; i < length; i++) {
		int value = base64_value(text[i]);

		if (value < 0)
			return false;
		bits = bits << 6 | (uint32_t)value;
		if (i % 4 != 0)
			out[used++] = (char)(bits >> (6 - 2 * (i % 4)));
	}
	*ret_length = used;
	return true;
}

static void read_body_text(struct reader *r, const struct node *node, void *target)
{
	struct direct_response *response = target;

	reader_text(r, node, &response->body);
	response->body_length = response->body != NULL ? strlen(response->body) : 0;
}

static void read_body_bytes(struct reader *r, const struct node *node, void *target)
{
	struct direct_response *response = target;
	const char *text = NULL;
	char *body;

	reader_text(r, node, &text);
	if (text == NULL)
		return;
	body = reader_alloc(r, strlen(text) + 1, 1);
	if (body == NULL)
		return;
	if (!decode_base64(text, body, &response->body_length))
		reader_error(r, "", "is not base64");
	response->body = body;
}

static void read_body(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {{"string", read_body_text, 0}, {"bytes", read_body_bytes, 0}};
	const struct direct_response *response = target;

	reader_object(r, node, fields, FIELD_COUNT(fields), target);
	if (node->count > 1)
		reader_error(r, "", "only one of string and bytes may be set");
	if (response->body_length > BODY_SIZE_MAX)
		reader_error(r, "", "large direct_responses may impact control plane performance, must be less than 1MB");
	else if (response->body_length > BODY_SIZE_LARGE)
		reader_warn(r, "", "large direct_responses may impact control plane performance");
}

static void read_response(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"status", reader_integer, offsetof(struct direct_response, status)},
		{"body", read_body, 0},
	};
	const struct direct_response *response = target;

	reader_object(r, node, fields, FIELD_COUNT(fields), target);
	check_status(r, "status", response->status);
}

void route_read_response(struct reader *r, const struct node *node, void *target)
{
	*(const struct direct_response **)target = reader_new(r, node, sizeof(struct direct_response), read_response);
}
