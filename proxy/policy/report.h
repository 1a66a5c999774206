/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wrong with files and resources: errors, for which something was refused, and warnings.
 */
#ifndef WEIR_POLICY_REPORT_H
#define WEIR_POLICY_REPORT_H

#include <stdarg.h>
#include <stddef.h>

/* Problems that are kept; more are counted. */
#define REPORT_PROBLEM_MAX 1000u

/* Bytes of a problem's text with its NUL. A longer text is cut. */
#define REPORT_TEXT_SIZE 1024u

enum report_severity { REPORT_WARNING, REPORT_ERROR };

struct report_problem {
	enum report_severity severity;
	char *text; /* owned: "FILE:LINE: KIND NAMESPACE/NAME: FIELD: what is wrong" */
};

/* {0} is an empty report. */
struct report {
	struct report_problem *problems; /* owned */
	size_t count;
	size_t capacity;
	size_t errors; /* all that were added, kept or not */
	size_t warnings;
};

/* Where a problem is. Parts that are NULL, and line 0, are left out of the text. */
struct report_place {
	const char *file;
	unsigned line;
	const char *resource;
	const char *field;
};

/* Adds a problem; control bytes in it are escaped. Where memory is out it is only counted. */
void report_add(struct report *report, enum report_severity severity, const struct report_place *place,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

/* As report_add. */
void report_add_list(struct report *report, enum report_severity severity, const struct report_place *place,
	const char *format, va_list arguments) __attribute__((format(printf, 4, 0)));

/* Frees the problems, and leaves an empty report. */
void report_free(struct report *report);

#endif
