/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers as text where there are many of them: each access-log line has forty, and snprintf() would be a quarter of
 * what the proxy does for a connection outside of the kernel.
 */
#ifndef WEIR_DECIMAL_H
#define WEIR_DECIMAL_H

#include <stdint.h>

/* Bytes of the longest number, without a NUL. */
#define DECIMAL_SIZE 20

/* Writes a number with zeros ahead up to `width` digits, at most DECIMAL_SIZE. Returns where it ends; there is no NUL. */
char *decimal_write(char *out, uint64_t number, unsigned width);

#endif
