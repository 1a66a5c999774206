/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection that --explain asks about.
 */
#ifndef WEIR_INIT_PROBE_H
#define WEIR_INIT_PROBE_H

#include "init/options.h"
#include "redirect/plan/explain.h"

/* Reads --explain, and the flags that belong to it. Returns 0 or -EINVAL. */
int probe_read(const struct options *options, struct explain_probe *ret_probe, struct error *e);

#endif
