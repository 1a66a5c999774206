/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flags about the program itself, and not about the rules: a table with a row each.
 */
#ifndef WEIR_INIT_OPTION_H
#define WEIR_INIT_OPTION_H

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

/* What may be said to it. */
enum option_kind { OPTION_KIND_SWITCH, OPTION_KIND_WORD, OPTION_KIND_PORT, OPTION_KIND_DURATION };

struct option_spec {
	const char *flag;
	char letter;
	const char *environment[2]; /* the second is an older name */
	enum option_kind kind;
	const char *words; /* that it may be, separated by commas; NULL: any */
	const char *help;
};

/* The option's row. */
const struct option_spec *option_spec(enum option option);

#endif
