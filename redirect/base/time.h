/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UTC as logs write it.
 */
#ifndef WEIR_TIME_H
#define WEIR_TIME_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of a time as text with its NUL. */
#define TIME_TEXT_SIZE 32

/*
 * Writes milliseconds since 1970, not before it, as "2026-01-31T23:59:59.999Z" (RFC 3339). Returns `out`. gmtime_r() and
 * strftime() would look for /etc/localtime, and bring a tenth of the static plugin with them.
 */
const char *time_format(char out[TIME_TEXT_SIZE], int64_t milliseconds);

#endif
