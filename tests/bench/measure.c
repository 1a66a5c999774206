/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/measure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

double measure_now(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
	const double *x = a;
	const double *y = b;

	return (*x > *y) - (*x < *y);
}

void measure_print(const char *name, double *values, size_t count)
{
	qsort(values, count, sizeof *values, compare);
	/* The smallest value that 99 of 100 do not exceed; of few values, the largest. */
	(void)printf("%s.median %.1f\n%s.p99 %.1f\n", name, values[count / 2], name, values[(count * 99 + 99) / 100 - 1]);
}

size_t measure_read_number(const char *text, size_t max)
{
	char *end;
	unsigned long number;

	errno = 0;
	number = strtoul(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || number < 1 || number > max) {
		errno = 0;
		measure_die("%s is no number from 1 to %zu", text, max);
	}
	return number;
}

void measure_die(const char *format, ...)
{
	int code = errno;
	va_list arguments;

	(void)fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(arguments, format);
	(void)vfprintf(stderr, format, arguments);
	va_end(arguments);
	(void)fprintf(stderr, "%s%s\n", code != 0 ? ": " : "", code != 0 ? strerror(code) : "");
	exit(1);
}
