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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
