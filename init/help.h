/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What --help prints.
 */
#ifndef WEIR_INIT_HELP_H
#define WEIR_INIT_HELP_H

#include <stdio.h>

/* Writes every flag with its variables, its default and what it does. */
void help_write(FILE *out);

#endif
