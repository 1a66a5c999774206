/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/log/program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Digits of a limit: 999,999 bytes are more than any line has. */
#define LIMIT_DIGITS 6

/* An operator as it is written: %NAME(argument):limit% */
struct written {
	struct facts_text name;
	char *argument; /* NULL: no brackets */
	size_t argument_size;
	uint32_t limit;
	char *behind;
	const char *problem; /* NULL: it is one */
};

void program_begin(struct program_reader *reader, struct format *format, size_t size)
{
	*reader = (struct program_reader){.format = format, .at = format->text, .end = format->text + size,
		.literal = format->text, .out = format->text};
}

int program_fail(const struct program_reader *reader, struct error *e, const char *what)
{
	return error_set(e, EINVAL, "position %zu: %s", (size_t)(reader->at - reader->format->text) + 1, what);
}

/* --- operations */

/* Adds an operation behind the literal so far. The next literal begins where the reader is. */
static int add(struct program_reader *reader, struct operation operation, struct error *e)
{
	struct format *format = reader->format;

	if (format->count == format->capacity) {
		size_t capacity = format->capacity * 2 + 32;
		struct operation *larger = realloc(format->operations, capacity * sizeof *larger);

		if (larger == NULL)
			return error_set(e, ENOMEM, "no memory for a format of the access log");
		format->operations = larger;
		format->capacity = capacity;
	}
	operation.literal = (struct facts_text){reader->literal, (size_t)(reader->out - reader->literal)};
	format->operations[format->count++] = operation;
	reader->literal = reader->out = reader->at;
	return 0;
}

int program_end(struct program_reader *reader, struct error *e)
{
	return reader->out > reader->literal ? add(reader, (struct operation){.code = OPERATOR_NONE}, e) : 0;
}

/* --- operators */

static bool is_name_byte(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static char *read_brackets(struct written *written, char *at, const char *end)
{
	char *close = memchr(at, ')', (size_t)(end - at));

	if (close == NULL) {
		written->problem = "a bracket is not closed; valid is %NAME(ARGUMENT)%";
		return at;
	}
	written->argument = at + 1;
	written->argument_size = (size_t)(close - at) - 1;
	return close + 1;
}

static char *read_limit(struct written *written, char *at, const char *end)
{
	const char *from = ++at;

	written->limit = 0;
	for (; at < end && *at >= '0' && *at <= '9' && at - from < LIMIT_DIGITS; at++)
		written->limit = written->limit * 10 + (uint32_t)(*at - '0');
	if (at == from)
		written->problem = "a limit is missing; valid is %NAME(ARGUMENT):LENGTH%, with up to 6 digits";
	return at;
}

static struct written read_written(char *at, char *end)
{
	struct written written = {.limit = OPERATOR_UNLIMITED};
	char *name = ++at;

	while (at < end && is_name_byte(*at))
		at++;
	written.name = (struct facts_text){name, (size_t)(at - name)};
	if (written.name.size == 0) {
		written.problem = "% begins an operator; valid is %NAME%, %NAME(ARGUMENT)%, %NAME(ARGUMENT):LENGTH%, "
				  "and %% for itself";
		return written;
	}
	if (at < end && *at == '(')
		at = read_brackets(&written, at, end);
	if (written.problem == NULL && at < end && *at == ':')
		at = read_limit(&written, at, end);
	if (written.problem == NULL && (at == end || *at != '%'))
		written.problem = "an operator is not closed; valid is %NAME%, %NAME(ARGUMENT)% or "
				  "%NAME(ARGUMENT):LENGTH%";
	written.behind = at + 1;
	return written;
}

static bool is_percent(const struct program_reader *reader)
{
	return reader->end - reader->at >= 2 && reader->at[1] == '%';
}

bool program_is_alone(const struct program_reader *reader, char quote)
{
	struct written written;

	if (reader->at == reader->end || *reader->at != '%' || is_percent(reader))
		return false;
	written = read_written(reader->at, reader->end);
	return written.problem == NULL && written.behind < reader->end && *written.behind == quote;
}

/* In JSON an escape could only hide there what the operator would be given. */
static bool has_escape(const struct format *format, const struct written *written)
{
	return format->encoding == FORMAT_JSON && written->argument != NULL &&
	       (memchr(written->argument, '\\', written->argument_size) != NULL ||
		       memchr(written->argument, '"', written->argument_size) != NULL);
}

int program_percent(struct program_reader *reader, bool is_alone, struct error *e)
{
	struct operation operation = {.is_alone = is_alone};
	struct written written;
	int rc;

	if (is_percent(reader)) {
		reader->at += 2;
		program_put(reader, '%');
		return 0;
	}
	written = read_written(reader->at, reader->end);
	if (written.problem != NULL)
		return program_fail(reader, e, written.problem);
	if (has_escape(reader->format, &written))
		return program_fail(reader, e, "an operator's argument cannot have quotes or backslashes in JSON");
	rc = operator_read(&operation, written.name, written.argument, written.argument_size, written.limit, e);
	if (rc < 0)
		return error_wrap(e, rc, "position %zu", (size_t)(reader->at - reader->format->text) + 1);
	reader->format->asks_response |= operation.code == OPERATOR_RESPONSE_HEADER &&
		(operation.headers[0] == OPERATOR_OTHER_HEADER || operation.headers[1] == OPERATOR_OTHER_HEADER);
	reader->format->has_service_entry |= operation.code == OPERATOR_SERVICE_ENTRY;
	reader->at = written.behind;
	return add(reader, operation, e);
}
