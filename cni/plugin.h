/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plugin's verbs (CNI spec 1.1.0, section 2).
 */
#ifndef WEIR_CNI_PLUGIN_H
#define WEIR_CNI_PLUGIN_H

#include "cni/environment.h"

#include <stdio.h>

/*
 * Does what the environment and `in` ask for, and writes the answer to `out`: a result, an error as JSON, or nothing.
 * Returns the process's exit status.
 */
int plugin_run(environment_getter *get, FILE *in, FILE *out);

#endif
