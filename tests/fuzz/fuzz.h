/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fuzz targets share. Each is one LLVMFuzzerTestOneInput(): `make fuzz` links it with libFuzzer, `make check`
 * with replay.c, which runs the target's corpus.
 */
#ifndef WEIR_TESTS_FUZZ_H
#define WEIR_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* A property that must hold for every input. */
#define FUZZ_CHECK(condition) \
	do { \
		if (!(condition)) { \
			(void)fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

/* Quotes that Istio's text format itself has. */
#define FUZZ_LINE_QUOTES 14

/* That bytes of a client's cannot move the columns of a line of the access log. */
static inline void fuzz_check_columns(const char *line, size_t length)
{
	size_t quotes = 0;

	FUZZ_CHECK(length > 0 && line[length - 1] == '\n');
	for (size_t i = 0; i + 1 < length; i++) {
		FUZZ_CHECK(line[i] >= ' ' && line[i] <= '~');
		if (line[i] == '\\')
			i++;
		else
			quotes += line[i] == '"';
	}
	FUZZ_CHECK(quotes == FUZZ_LINE_QUOTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
