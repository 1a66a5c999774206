/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a format is inside: operations in a row. For format*.c, program.c and access_log.c alone.
 *
 * A reader goes through the format's own copy of the text and leaves in it what the operations point to: literals move
 * towards the front where something in front of them is gone, but never over an operator's argument.
 */
#ifndef WEIR_PROXY_PROGRAM_H
#define WEIR_PROXY_PROGRAM_H

#include "proxy/log/format.h"
#include "proxy/log/operator.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct format {
	_Atomic unsigned references;
	enum format_encoding encoding;
	bool has_service_entry; /* it says itself where */
	bool asks_response;     /* for some header of a response */
	bool ends_line;         /* TEXT: the newline is its own */
	bool is_empty;          /* JSON: an object without keys */
	size_t count;
	size_t capacity;
	struct operation *operations; /* owned */
	char *text;                   /* owned; operations point into it */
};

struct program_reader {
	struct format *format;
	char *at; /* what is read next */
	char *end;
	char *literal; /* of the next operation, up to `out` */
	char *out;
};

/* Starts at the beginning of the format's text. */
void program_begin(struct program_reader *reader, struct format *format, size_t size);

/* Adds a byte to the literal. Not more than have been read. */
static inline void program_put(struct program_reader *reader, char c)
{
	*reader->out++ = c;
}

/* Whether an operator is next that is all there is before `quote`. */
bool program_is_alone(const struct program_reader *reader, char quote);

/* Reads "%%" or an operator, which is next. Returns 0 or -errno. */
int program_percent(struct program_reader *reader, bool is_alone, struct error *e);

/* Ends with what is left of the literal. Returns 0 or -ENOMEM. */
int program_end(struct program_reader *reader, struct error *e);

/* Sets an error that begins with the position of what is next. Returns -EINVAL. */
int program_fail(const struct program_reader *reader, struct error *e, const char *what);

/* Reads a JSON object, whose last bracket is left out. Returns 0 or -errno. */
int program_json(struct program_reader *reader, struct error *e);

#endif
