/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An error text that the caller owns.
 *
 * A function that can fail for more than one reason takes a struct error last, returns 0 or -errno, and on failure
 * says in the text what went wrong and where. Callers up the stack prefix what they know with error_wrap(). Only a
 * program's main prints the text.
 */
#ifndef WEIR_ERROR_H
#define WEIR_ERROR_H

#include <stddef.h>

/* Bytes of an error text with its NUL. A longer text is cut. */
#define ERROR_TEXT_SIZE 1024

/* Bytes of a quoted piece of input with its NUL: enough to recognise it, too short to flood a log. */
#define ERROR_QUOTE_SIZE 104

struct error {
	char text[ERROR_TEXT_SIZE];
};

/* Sets the text. Returns -code, so that a caller can write `return error_set(e, EINVAL, ...)`. `e` may be NULL. */
int error_set(struct error *e, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* As error_set, with ": " and the message of errno value `code` behind the text. */
int error_set_errno(struct error *e, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts a prefix and ": " before the text that `e` holds. Returns `code` unchanged. */
int error_wrap(struct error *e, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/*
 * Writes `length` bytes of input to `out`, between double quotes, with `"`, `\`, control and non-ASCII bytes escaped
 * as \" \\ \xNN, cut with "..." when they do not fit. Returns `out`.
 */
const char *error_quote(char out[ERROR_QUOTE_SIZE], const char *input, size_t length);

#endif
