/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operators of a format: their names, what they take, and their values.
 */
#ifndef WEIR_PROXY_OPERATOR_H
#define WEIR_PROXY_OPERATOR_H

#include "proxy/log/facts.h"
#include "redirect/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of a value that is made, and not only pointed to. */
#define OPERATOR_SCRATCH_SIZE 512

/* No limit to a value's length. */
#define OPERATOR_UNLIMITED UINT32_MAX

enum operator_type {
	OPERATOR_ABSENT, /* "-", or null */
	OPERATOR_PLAIN,  /* text of the proxy's own, in which there is nothing to escape */
	OPERATOR_TEXT,   /* text from outside */
	OPERATOR_NUMBER
};

struct operator_value {
	enum operator_type type;
	const char *data; /* text in the facts, in the operation, or in the scratch */
	uint64_t size;    /* of the text; or the number */
};

/* What is printed. */
enum operator_code {
	OPERATOR_NONE, /* a literal alone */
	OPERATOR_START_TIME,
	OPERATOR_START_TIME_FORM, /* its argument is what operator_time_check() has let through */
	OPERATOR_REQUEST_HEADER,
	OPERATOR_RESPONSE_HEADER,
	OPERATOR_PROTOCOL,
	OPERATOR_RESPONSE_CODE,
	OPERATOR_RESPONSE_CODE_DETAILS,
	OPERATOR_RESPONSE_FLAGS,
	OPERATOR_RESPONSE_FLAGS_LONG,
	OPERATOR_TERMINATION_DETAILS,
	OPERATOR_TRANSPORT_FAILURE,
	OPERATOR_BYTES_RECEIVED,
	OPERATOR_BYTES_SENT,
	OPERATOR_DURATION,
	OPERATOR_REQUEST_DURATION,
	OPERATOR_RESPONSE_DURATION,
	OPERATOR_RESPONSE_TX_DURATION,
	OPERATOR_ATTEMPT_COUNT,
	OPERATOR_ENDPOINT,
	OPERATOR_ADDRESS, /* an endpoint's, without the port */
	OPERATOR_PORT,
	OPERATOR_CLUSTER,
	OPERATOR_SERVER_NAME,
	OPERATOR_ROUTE_NAME,
	OPERATOR_SERVICE_ENTRY, /* weir's own */
	OPERATOR_ENVIRONMENT,   /* its argument is the value */
	OPERATOR_NEVER          /* what Envoy has, and a proxy of outbound traffic never has a value for */
};

/* Headers that the facts have for themselves; of all others they are asked. */
enum operator_header {
	OPERATOR_NO_HEADER,
	OPERATOR_OTHER_HEADER,
	OPERATOR_METHOD,
	OPERATOR_PATH,
	OPERATOR_ORIGINAL_PATH,
	OPERATOR_AUTHORITY,
	OPERATOR_SCHEME,
	OPERATOR_USER_AGENT,
	OPERATOR_REQUEST_ID,
	OPERATOR_FORWARDED_FOR,
	OPERATOR_STATUS,
	OPERATOR_SERVICE_TIME
};

enum operator_endpoint {
	OPERATOR_UPSTREAM,
	OPERATOR_UPSTREAM_LOCAL,
	OPERATOR_DOWNSTREAM_LOCAL, /* where the application dialled */
	OPERATOR_DOWNSTREAM_REMOTE
};

/* A literal, and the value behind it. Texts are the format's. */
struct operation {
	struct facts_text literal;
	struct facts_text arguments[2]; /* names of headers, in small letters; or an argument as it is */
	uint32_t limit;     /* bytes of the value, or OPERATOR_UNLIMITED */
	uint8_t code;       /* enum operator_code */
	uint8_t endpoint;   /* enum operator_endpoint */
	uint8_t headers[2]; /* enum operator_header: the first one that is there */
	bool is_of_request; /* a connection never has it */
	bool is_alone;      /* all of a text of a JSON format, so that it keeps its type */
};

/*
 * Reads an operator: its name, its argument (NULL: none; changed to what the operation needs, and pointed to), and a
 * limit or OPERATOR_UNLIMITED. Leaves the literal alone. Returns 0, or -EINVAL with what would be valid.
 */
int operator_read(struct operation *operation, struct facts_text name, char *argument, size_t argument_size,
	uint32_t limit, struct error *e);

/* Tells the operation's value. It is gone with the facts, and with the scratch. */
void operator_value(struct operator_value *ret_value, const struct operation *operation, const struct facts *facts,
	char scratch[OPERATOR_SCRATCH_SIZE]);

/* RESPONSE_FLAGS of a connection's end. */
const char *operator_end_flags(enum facts_end end);

/* Whether a form of %START_TIME(...)% can be written. Returns 0, or -EINVAL with what is valid. */
int operator_time_check(struct facts_text form, struct error *e);

/* Writes milliseconds since 1970 in such a form; what does not fit is cut. Returns the length. */
size_t operator_time_write(char scratch[OPERATOR_SCRATCH_SIZE], struct facts_text form, int64_t milliseconds);

#endif
