/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing JSON (RFC 8259) where no library is needed for it.
 */
#ifndef WEIR_JSON_H
#define WEIR_JSON_H

#include <stdio.h>

/* Writes a string with its quotes. Bytes over 0x7e become \u00XX: nobody has checked that they are UTF-8. */
void json_write_string(FILE *out, const char *text);

#endif
