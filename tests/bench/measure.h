/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the measuring programs share: a clock, the way out, and how figures are printed.
 *
 * A figure is a line "NAME VALUE"; times are in microseconds. tests/bench/run gathers the lines and makes the table.
 */
#ifndef WEIR_BENCH_MEASURE_H
#define WEIR_BENCH_MEASURE_H

#include <stddef.h>

/* Microseconds on the monotonic clock. */
double measure_now(void);

/* Sorts the values and prints NAME.median and NAME.p99. */
void measure_print(const char *name, double *values, size_t count);

/* Reads a number from 1 to `max`, or ends the program. */
size_t measure_read_number(const char *text, size_t max);

/* Says why on stderr, with errno's message where errno is set, and ends the program with status 1. */
_Noreturn void measure_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
