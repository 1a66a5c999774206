/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/log/operator.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names that an error proposes. */
#define PROPOSAL_MAX 8

/* What stands behind an operator's name. */
enum takes {
	TAKES_NOTHING,
	TAKES_TIME,    /* (form), or nothing */
	TAKES_HEADERS, /* (name) or (name?other), and a limit */
	TAKES_NAME,    /* (name), and a limit */
	TAKES_ANYTHING
};

static const struct row {
	const char *name;
	enum operator_code code;
	enum takes takes;
	enum operator_endpoint endpoint;
} rows[] = {
	{"BYTES_RECEIVED", OPERATOR_BYTES_RECEIVED, TAKES_NOTHING, 0},
	{"BYTES_SENT", OPERATOR_BYTES_SENT, TAKES_NOTHING, 0},
	{"CLUSTER_METADATA", OPERATOR_NEVER, TAKES_ANYTHING, 0},
	{"CONNECTION_TERMINATION_DETAILS", OPERATOR_TERMINATION_DETAILS, TAKES_NOTHING, 0},
	{"DOWNSTREAM_DIRECT_REMOTE_ADDRESS", OPERATOR_ENDPOINT, TAKES_NOTHING, OPERATOR_DOWNSTREAM_REMOTE},
	{"DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT", OPERATOR_ADDRESS, TAKES_NOTHING, OPERATOR_DOWNSTREAM_REMOTE},
	{"DOWNSTREAM_DIRECT_REMOTE_PORT", OPERATOR_PORT, TAKES_NOTHING, OPERATOR_DOWNSTREAM_REMOTE},
	{"DOWNSTREAM_LOCAL_ADDRESS", OPERATOR_ENDPOINT, TAKES_NOTHING, OPERATOR_DOWNSTREAM_LOCAL},
	{"DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", OPERATOR_ADDRESS, TAKES_NOTHING, OPERATOR_DOWNSTREAM_LOCAL},
	{"DOWNSTREAM_LOCAL_PORT", OPERATOR_PORT, TAKES_NOTHING, OPERATOR_DOWNSTREAM_LOCAL},
	{"DOWNSTREAM_LOCAL_SUBJECT", OPERATOR_NEVER, TAKES_NOTHING, 0},
	{"DOWNSTREAM_LOCAL_URI_SAN", OPERATOR_NEVER, TAKES_NOTHING, 0},
	{"DOWNSTREAM_PEER_SUBJECT", OPERATOR_NEVER, TAKES_NOTHING, 0},
	{"DOWNSTREAM_PEER_URI_SAN", OPERATOR_NEVER, TAKES_NOTHING, 0},
	{"DOWNSTREAM_REMOTE_ADDRESS", OPERATOR_ENDPOINT, TAKES_NOTHING, OPERATOR_DOWNSTREAM_REMOTE},
	{"DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", OPERATOR_ADDRESS, TAKES_NOTHING, OPERATOR_DOWNSTREAM_REMOTE},
	{"DOWNSTREAM_REMOTE_PORT", OPERATOR_PORT, TAKES_NOTHING, OPERATOR_DOWNSTREAM_REMOTE},
	{"DOWNSTREAM_TLS_CIPHER", OPERATOR_NEVER, TAKES_NOTHING, 0},
	{"DOWNSTREAM_TLS_VERSION", OPERATOR_NEVER, TAKES_NOTHING, 0},
	{"DURATION", OPERATOR_DURATION, TAKES_NOTHING, 0},
	{"DYNAMIC_METADATA", OPERATOR_NEVER, TAKES_ANYTHING, 0},
	{"ENVIRONMENT", OPERATOR_ENVIRONMENT, TAKES_NAME, 0},
	{"FILTER_STATE", OPERATOR_NEVER, TAKES_ANYTHING, 0},
	{"HOSTNAME", OPERATOR_ENVIRONMENT, TAKES_NOTHING, 0},
	{"PROTOCOL", OPERATOR_PROTOCOL, TAKES_NOTHING, 0},
	{"REQ", OPERATOR_REQUEST_HEADER, TAKES_HEADERS, 0},
	{"REQUESTED_SERVER_NAME", OPERATOR_SERVER_NAME, TAKES_NOTHING, 0},
	{"REQUEST_DURATION", OPERATOR_REQUEST_DURATION, TAKES_NOTHING, 0},
	{"RESP", OPERATOR_RESPONSE_HEADER, TAKES_HEADERS, 0},
	{"RESPONSE_CODE", OPERATOR_RESPONSE_CODE, TAKES_NOTHING, 0},
	{"RESPONSE_CODE_DETAILS", OPERATOR_RESPONSE_CODE_DETAILS, TAKES_NOTHING, 0},
	{"RESPONSE_DURATION", OPERATOR_RESPONSE_DURATION, TAKES_NOTHING, 0},
	{"RESPONSE_FLAGS", OPERATOR_RESPONSE_FLAGS, TAKES_NOTHING, 0},
	{"RESPONSE_FLAGS_LONG", OPERATOR_RESPONSE_FLAGS_LONG, TAKES_NOTHING, 0},
	{"RESPONSE_TX_DURATION", OPERATOR_RESPONSE_TX_DURATION, TAKES_NOTHING, 0},
	{"ROUTE_NAME", OPERATOR_ROUTE_NAME, TAKES_NOTHING, 0},
	{"START_TIME", OPERATOR_START_TIME, TAKES_TIME, 0},
	{"TRAILER", OPERATOR_NEVER, TAKES_ANYTHING, 0},
	{"UPSTREAM_CLUSTER", OPERATOR_CLUSTER, TAKES_NOTHING, 0},
	{"UPSTREAM_CLUSTER_RAW", OPERATOR_CLUSTER, TAKES_NOTHING, 0},
	{"UPSTREAM_HOST", OPERATOR_ENDPOINT, TAKES_NOTHING, OPERATOR_UPSTREAM},
	{"UPSTREAM_LOCAL_ADDRESS", OPERATOR_ENDPOINT, TAKES_NOTHING, OPERATOR_UPSTREAM_LOCAL},
	{"UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", OPERATOR_ADDRESS, TAKES_NOTHING, OPERATOR_UPSTREAM_LOCAL},
	{"UPSTREAM_LOCAL_PORT", OPERATOR_PORT, TAKES_NOTHING, OPERATOR_UPSTREAM_LOCAL},
	{"UPSTREAM_METADATA", OPERATOR_NEVER, TAKES_ANYTHING, 0},
	{"UPSTREAM_REMOTE_ADDRESS", OPERATOR_ENDPOINT, TAKES_NOTHING, OPERATOR_UPSTREAM},
	{"UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", OPERATOR_ADDRESS, TAKES_NOTHING, OPERATOR_UPSTREAM},
	{"UPSTREAM_REMOTE_PORT", OPERATOR_PORT, TAKES_NOTHING, OPERATOR_UPSTREAM},
	{"UPSTREAM_REQUEST_ATTEMPT_COUNT", OPERATOR_ATTEMPT_COUNT, TAKES_NOTHING, 0},
	{"UPSTREAM_TRANSPORT_FAILURE_REASON", OPERATOR_TRANSPORT_FAILURE, TAKES_NOTHING, 0},
	{"VIRTUAL_CLUSTER_NAME", OPERATOR_NEVER, TAKES_NOTHING, 0},
	{"WEIR_SERVICE_ENTRY", OPERATOR_SERVICE_ENTRY, TAKES_NOTHING, 0},
};

#define ROW_COUNT (sizeof rows / sizeof *rows)

static bool is_text(struct facts_text text, const char *expected)
{
	return text.size == strlen(expected) && memcmp(text.data, expected, text.size) == 0;
}

/* --- errors */

static size_t common_length(struct facts_text name, const char *other)
{
	size_t length = 0;

	while (length < name.size && name.data[length] == other[length])
		length++;
	return length;
}

/* Tells the operators that begin most alike. */
static int fail_unknown(struct facts_text name, struct error *e)
{
	char proposals[ERROR_TEXT_SIZE] = "";
	char quoted[ERROR_QUOTE_SIZE];
	size_t best = 0;
	size_t used = 0;
	int count = 0;

	for (size_t i = 0; i < ROW_COUNT; i++)
		best = common_length(name, rows[i].name) > best ? common_length(name, rows[i].name) : best;
	for (size_t i = 0; i < ROW_COUNT && count < PROPOSAL_MAX; i++) {
		if (common_length(name, rows[i].name) < best)
			continue;
		used += (size_t)snprintf(proposals + used, sizeof proposals - used, "%s%s",
			count > 0 ? ", " : "", rows[i].name);
		count++;
	}
	return error_set(e, EINVAL, "%s is no operator; among those that are: %s",
		error_quote(quoted, name.data, name.size), proposals);
}

/* --- arguments */

static enum operator_header find_header(struct facts_text name, bool of_response)
{
	static const struct known {
		const char *name;
		bool of_response;
		enum operator_header header;
	} known[] = {
		{":method", false, OPERATOR_METHOD},
		{":path", false, OPERATOR_PATH},
		{"x-envoy-original-path", false, OPERATOR_ORIGINAL_PATH},
		{":authority", false, OPERATOR_AUTHORITY},
		{"host", false, OPERATOR_AUTHORITY},
		{":scheme", false, OPERATOR_SCHEME},
		{"user-agent", false, OPERATOR_USER_AGENT},
		{"x-request-id", false, OPERATOR_REQUEST_ID},
		{"x-forwarded-for", false, OPERATOR_FORWARDED_FOR},
		{":status", true, OPERATOR_STATUS},
		{"x-envoy-upstream-service-time", true, OPERATOR_SERVICE_TIME},
	};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (known[i].of_response == of_response && is_text(name, known[i].name))
			return known[i].header;
	return OPERATOR_OTHER_HEADER;
}

/* What a header's name may consist of (RFC 9110 section 5.6.2), and the colon of what HTTP/2 calls one. */
static bool is_header_name(struct facts_text name)
{
	static const char valid[] = "abcdefghijklmnopqrstuvwxyz0123456789!#$&'*+-.^_`|~";
	size_t skip = name.size > 1 && name.data[0] == ':';

	if (name.size == 0)
		return false;
	for (size_t i = skip; i < name.size; i++)
		if (name.data[i] == '\0' || strchr(valid, name.data[i]) == NULL)
			return false;
	return true;
}

static int read_headers(struct operation *operation, char *argument, size_t size, struct error *e)
{
	char *mark = memchr(argument, '?', size);
	size_t count = mark != NULL ? 2 : 1;

	for (size_t i = 0; i < size; i++)
		if (argument[i] >= 'A' && argument[i] <= 'Z')
			argument[i] = (char)(argument[i] + ('a' - 'A'));
	operation->arguments[0] = (struct facts_text){argument, mark != NULL ? (size_t)(mark - argument) : size};
	if (mark != NULL)
		operation->arguments[1] = (struct facts_text){mark + 1, size - (size_t)(mark + 1 - argument)};
	for (size_t i = 0; i < count; i++) {
		char quoted[ERROR_QUOTE_SIZE];
		struct facts_text name = operation->arguments[i];

		if (!is_header_name(name))
			return error_set(e, EINVAL, "%s is no name of a header; valid is (NAME) or (NAME?OTHER)",
				error_quote(quoted, name.data, name.size));
		operation->headers[i] = (uint8_t)find_header(name, operation->code == OPERATOR_RESPONSE_HEADER);
	}
	return 0;
}

/* The value is the same for every line. The variable's name gets its NUL where the bracket was. */
static void read_environment(struct operation *operation, const char *name)
{
	const char *value = getenv(name);

	if (value != NULL)
		operation->arguments[0] = (struct facts_text){value, strlen(value)};
}

static int read_argument(struct operation *operation, const struct row *row, char *argument, size_t size, struct error *e)
{
	operation->arguments[0] = (struct facts_text){argument, size};
	switch (row->takes) {
	case TAKES_TIME:
		operation->code = OPERATOR_START_TIME_FORM;
		return operator_time_check(operation->arguments[0], e);
	case TAKES_HEADERS:
		return read_headers(operation, argument, size, e);
	case TAKES_NAME:
		operation->arguments[0] = (struct facts_text){.data = NULL};
		if (size == 0 || memchr(argument, '\0', size) != NULL)
			return error_set(e, EINVAL, "a name is missing; valid is (NAME)");
		argument[size] = '\0';
		read_environment(operation, argument);
		return 0;
	case TAKES_ANYTHING:
		return 0;
	case TAKES_NOTHING:
		break;
	}
	return error_set(e, EINVAL, "it takes nothing in brackets");
}

/* Whether a connection's first bytes may tell it. */
static bool is_sniffed(enum operator_header header)
{
	return header == OPERATOR_METHOD || header == OPERATOR_PATH || header == OPERATOR_ORIGINAL_PATH ||
	       header == OPERATOR_AUTHORITY;
}

static bool is_of_request(const struct operation *operation)
{
	switch ((enum operator_code)operation->code) {
	case OPERATOR_REQUEST_HEADER:
		return !is_sniffed(operation->headers[0]) && !is_sniffed(operation->headers[1]);
	case OPERATOR_RESPONSE_HEADER:
	case OPERATOR_RESPONSE_CODE_DETAILS:
	case OPERATOR_ROUTE_NAME:
	case OPERATOR_REQUEST_DURATION:
	case OPERATOR_RESPONSE_DURATION:
	case OPERATOR_RESPONSE_TX_DURATION:
	case OPERATOR_NEVER:
		return true;
	default:
		return false;
	}
}

int operator_read(struct operation *operation, struct facts_text name, char *argument, size_t argument_size,
	uint32_t limit, struct error *e)
{
	const struct row *row = NULL;

	for (size_t i = 0; i < ROW_COUNT && row == NULL; i++)
		row = is_text(name, rows[i].name) ? &rows[i] : NULL;
	if (row == NULL)
		return fail_unknown(name, e);
	operation->code = (uint8_t)row->code;
	operation->endpoint = (uint8_t)row->endpoint;
	operation->limit = limit;
	if (limit != OPERATOR_UNLIMITED && (row->takes == TAKES_NOTHING || row->takes == TAKES_TIME))
		return error_set(e, EINVAL, "%s takes no limit; those that do have a name in brackets", row->name);
	if (argument != NULL) {
		int rc = read_argument(operation, row, argument, argument_size, e);

		operation->is_of_request = is_of_request(operation);
		return rc < 0 ? error_wrap(e, rc, "%s", row->name) : 0;
	}
	operation->is_of_request = is_of_request(operation);
	if (row->takes != TAKES_NOTHING && row->takes != TAKES_TIME)
		return error_set(e, EINVAL, "%s needs a name in brackets, as in %%%s(NAME)%%", row->name, row->name);
	if (row->code == OPERATOR_ENVIRONMENT)
		read_environment(operation, row->name);
	return 0;
}
