/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The init program's command line and environment: those of Istio's init container, 1.23 and later, and weir's own.
 *
 * Flags are read as Go's pflag reads them, since existing templates are written for it. The settings' names come from
 * the table in redirect/plan/setting.c, those of the flags about the program itself from the one in option.c.
 */
#ifndef WEIR_INIT_OPTIONS_H
#define WEIR_INIT_OPTIONS_H

#include "init/option.h"
#include "redirect/base/error.h"
#include "redirect/plan/setting.h"

#include <stdbool.h>
#include <stdint.h>

struct options {
	const char *text[OPTION_COUNT]; /* as given, borrowed; NULL: not given */
	bool on[OPTION_COUNT];          /* of switches, their value */
	struct settings settings;       /* of the rules */
};

/* Looks a variable up; getenv(3), or a test's own. */
typedef char *options_getter(const char *name);

/*
 * Reads environment and arguments; an argument wins over a variable. The texts are borrowed from both. Returns 0;
 * -ENOENT for a flag that does not exist, or has no value where it needs one; -EINVAL for a bad value, a stray argument,
 * flags that contradict each other, and flags of what is not built yet.
 */
int options_read(int argc, char *const argv[], options_getter *get, struct options *ret, struct error *e);

/* The milliseconds that --probe-timeout says, and the port that --iptables-probe-port does. */
int options_probe_timeout(const struct options *options);
uint16_t options_probe_port(const struct options *options);

#endif
