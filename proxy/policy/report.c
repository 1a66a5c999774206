/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/policy/report.h"

#include "proxy/policy/array.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of a text before it is escaped. */
#define RAW_SIZE 1024u

static size_t append(char *out, size_t used, const char *format, ...) __attribute__((format(printf, 3, 4)));

static size_t append(char *out, size_t used, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(out + used, RAW_SIZE - used, format, arguments);
	va_end(arguments);
	if (length < 0)
		return used;
	return used + (size_t)length < RAW_SIZE ? used + (size_t)length : RAW_SIZE - 1;
}

/* What users wrote into a file ends up in a log, on one line. */
static char *escape(const char *raw)
{
	static const char hex[] = "0123456789abcdef";
	char text[REPORT_TEXT_SIZE];
	size_t used = 0;

	for (; *raw != '\0' && used + 5 < sizeof text; raw++) {
		unsigned char c = (unsigned char)*raw;

		if (c >= 0x20 && c != 0x7f) {
			text[used++] = (char)c;
			continue;
		}
		text[used++] = '\\';
		text[used++] = 'x';
		text[used++] = hex[c >> 4];
		text[used++] = hex[c & 15];
	}
	text[used] = '\0';
	return strdup(text);
}

static struct report_problem *make_room(struct report *report)
{
	struct report_problem *problems;

	if (report->count >= REPORT_PROBLEM_MAX)
		return NULL;
	problems = array_room(report->problems, report->count, &report->capacity, sizeof *problems);
	if (problems == NULL)
		return NULL;
	report->problems = problems;
	return &report->problems[report->count];
}

void report_add_list(struct report *report, enum report_severity severity, const struct report_place *place,
	const char *format, va_list arguments)
{
	struct report_problem *problem = make_room(report);
	char raw[RAW_SIZE] = "";
	size_t used = 0;

	if (severity == REPORT_ERROR)
		report->errors++;
	else
		report->warnings++;
	if (problem == NULL)
		return;
	if (place->file != NULL)
		used = append(raw, used, "%s:", place->file);
	if (place->line > 0)
		used = append(raw, used, "%u:", place->line);
	if (used > 0)
		used = append(raw, used, " ");
	if (place->resource != NULL && *place->resource != '\0')
		used = append(raw, used, "%s: ", place->resource);
	if (place->field != NULL && *place->field != '\0')
		used = append(raw, used, "%s: ", place->field);
	(void)vsnprintf(raw + used, sizeof raw - used, format, arguments);
	problem->severity = severity;
	problem->text = escape(raw);
	if (problem->text != NULL)
		report->count++;
}

void report_add(struct report *report, enum report_severity severity, const struct report_place *place,
	const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	report_add_list(report, severity, place, format, arguments);
	va_end(arguments);
}

void report_free(struct report *report)
{
	for (size_t i = 0; i < report->count; i++)
		free(report->problems[i].text);
	free(report->problems);
	*report = (struct report){.problems = NULL};
}
