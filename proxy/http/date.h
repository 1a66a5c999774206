/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The time as HTTP writes it.
 */
#ifndef WEIR_PROXY_HTTP_DATE_H
#define WEIR_PROXY_HTTP_DATE_H

#include <stdint.h>

/* Bytes of a date with its NUL. */
#define HTTP_DATE_SIZE 30

/* Writes seconds since 1970, not before it, as "Tue, 24 Nov 2026 23:23:45 GMT" (RFC 9110 section 5.6.7). */
void http_date_write(char out[HTTP_DATE_SIZE], int64_t seconds);

#endif
