/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The init program's command line and environment: those of Istio's init container, 1.23 and later, and weir's own.
 *
 * Flags are read as Go's pflag reads them, since existing templates are written for it. The settings' names come from
 * the table in redirect/plan/setting.c; the flags about the program itself are a table in options.c.
 */
#ifndef WEIR_INIT_OPTIONS_H
#define WEIR_INIT_OPTIONS_H

#include "redirect/base/error.h"
#include "redirect/plan/setting.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum option {
	OPTION_DRY_RUN,
	OPTION_CLEANUP_ONLY,
	OPTION_CHECK,
	OPTION_FORCE_APPLY,
	OPTION_SKIP_RULE_APPLY,
	OPTION_HELP,
	OPTION_VERSION,
	OPTION_FORMAT,
	OPTION_BACKEND,
	OPTION_RUN_VALIDATION,
	OPTION_EXPLAIN,
	OPTION_UID,
	OPTION_GID,
	OPTION_OIF,
	OPTION_IIF,
	OPTION_UDP,
	OPTION_SOURCE,
	OPTION_MARK,
	OPTION_JSON,
	OPTION_DIFF,
	OPTION_FORCE_IPTABLES_BINARY,
	OPTION_IPTABLES_PROBE_PORT,
	OPTION_PROBE_TIMEOUT,
	OPTION_NETWORK_NAMESPACE,
	OPTION_DUAL_STACK,
	OPTION_NATIVE_NFTABLES,
	OPTION_CNI_MODE,
	OPTION_RECONCILE,
	OPTION_RESTORE_FORMAT,
	OPTION_IPTABLES_TRACE_LOGGING,
	OPTION_COUNT
};

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

/* Writes every flag with its variables, its default and what it does. */
void options_write_help(FILE *out);

#endif
