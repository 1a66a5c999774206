/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a line of the access log consists of: accessLogEncoding and accessLogFormat, read once. A format is never changed;
 * workers share it, and a reload makes another one.
 */
#ifndef WEIR_PROXY_FORMAT_H
#define WEIR_PROXY_FORMAT_H

#include "redirect/base/error.h"

#include <stdbool.h>

enum format_encoding { FORMAT_TEXT, FORMAT_JSON };

struct format;

/*
 * Reads a format: for TEXT, the line with its operators, verbatim (the newline is its own); for JSON, an object whose
 * texts have operators. NULL or "": Istio's default. Returns 0 and one reference, or -EINVAL with position, operator and
 * what is valid, or -ENOMEM.
 */
int format_new(enum format_encoding encoding, const char *text, struct format **ret_format, struct error *e);

/* Whether it asks for headers of a response beyond those that facts have anyway. */
bool format_asks_response(const struct format *format);

/* Takes a reference more. Returns the format. */
struct format *format_ref(struct format *format);

/* Gives a reference back, from any thread; NULL is allowed. */
void format_unref(struct format *format);

#endif
