/* SPDX-License-Identifier: Apache-2.0 */
#include "init/option.h"

#include <assert.h>
#include <stddef.h>

static const struct option_spec specs[] = {
	[OPTION_DRY_RUN] = {"dry-run", 'n', {"DRY_RUN"}, OPTION_KIND_SWITCH,
		.help = "print the rules as the backend's text, and change nothing"},
	[OPTION_CLEANUP_ONLY] = {"cleanup-only", 0, {"CLEANUP_ONLY"}, OPTION_KIND_SWITCH, .help = "remove the rules"},
	[OPTION_CHECK] = {"check", 0, {NULL}, OPTION_KIND_SWITCH,
		.help = "compare the kernel's rules with those asked for; exit 3 when they differ"},
	[OPTION_DIFF] = {"diff", 0, {NULL}, OPTION_KIND_SWITCH,
		.help = "print what a run would add (+), remove (-) or change (~), and change nothing; exit 3 when there is any"},
	[OPTION_FORCE_APPLY] = {"force-apply", 0, {"FORCE_APPLY"}, OPTION_KIND_SWITCH,
		.help = "replace the rules even where they are right"},
	[OPTION_SKIP_RULE_APPLY] = {"skip-rule-apply", 0, {"SKIP_RULE_APPLY"}, OPTION_KIND_SWITCH,
		.help = "read the settings, and change nothing; but see --run-validation"},
	[OPTION_HELP] = {"help", 'h', {NULL}, OPTION_KIND_SWITCH, .help = "print this"},
	[OPTION_VERSION] = {"version", 0, {NULL}, OPTION_KIND_SWITCH, .help = "print the version"},
	[OPTION_FORMAT] = {"format", 0, {NULL}, OPTION_KIND_WORD, "nft,json,iptables",
		"print the rules as text for nft or iptables-restore, or the plan as json, and change nothing"},
	[OPTION_BACKEND] = {"backend", 0, {NULL}, OPTION_KIND_WORD, "nft,iptables",
		"what programs the rules: nf_tables itself, or, for kernels without it, iptables-restore"},
	[OPTION_RUN_VALIDATION] = {"run-validation", 0, {"RUN_VALIDATION"}, OPTION_KIND_SWITCH,
		.help = "open connections that the rules must bring to the proxy's ports; exit 126 when they do not"},
	[OPTION_EXPLAIN] = {"explain", 0, {NULL}, OPTION_KIND_WORD,
		.help = "ADDRESS:PORT: say which rule decides about a connection there, and which setting asked for it"},
	[OPTION_UID] = {"uid", 0, {NULL}, OPTION_KIND_WORD, .help = "of --explain: opened by this user ID"},
	[OPTION_GID] = {"gid", 0, {NULL}, OPTION_KIND_WORD, .help = "of --explain: opened by this group ID"},
	[OPTION_OIF] = {"oif", 0, {NULL}, OPTION_KIND_WORD, .help = "of --explain: routed out of this interface"},
	[OPTION_IIF] = {"iif", 0, {NULL}, OPTION_KIND_WORD,
		.help = "of --explain: it comes in through this interface"},
	[OPTION_UDP] = {"udp", 0, {NULL}, OPTION_KIND_SWITCH, .help = "of --explain: UDP, not TCP"},
	[OPTION_SOURCE] = {"source", 0, {NULL}, OPTION_KIND_WORD, .help = "of --explain: bound to this address"},
	[OPTION_MARK] = {"mark", 0, {NULL}, OPTION_KIND_WORD, .help = "of --explain: its packets carry this mark"},
	[OPTION_JSON] = {"json", 0, {NULL}, OPTION_KIND_SWITCH, .help = "of --explain: answer in JSON"},
	[OPTION_FORCE_IPTABLES_BINARY] = {"force-iptables-binary", 0, {"FORCE_IPTABLES_BINARY"}, OPTION_KIND_WORD,
		.words = "legacy,nft", .help = "of --backend iptables: the flavour"},
	[OPTION_IPTABLES_PROBE_PORT] = {"iptables-probe-port", 0, {"IPTABLES_PROBE_PORT"}, OPTION_KIND_PORT,
		.help = "of --run-validation: the port that it connects to (15002)"},
	[OPTION_PROBE_TIMEOUT] = {"probe-timeout", 0, {"PROBE_TIMEOUT"}, OPTION_KIND_DURATION,
		.help = "of --run-validation: how long a connection may take (5s)"},
	[OPTION_NETWORK_NAMESPACE] = {"network-namespace", 0, {"NETWORK_NAMESPACE"}, OPTION_KIND_WORD,
		.help = "no effect: the program works in the namespace that it runs in"},
	[OPTION_DUAL_STACK] = {"dual-stack", 0, {"DUAL_STACK", "ISTIO_DUAL_STACK"}, OPTION_KIND_SWITCH,
		.help = "no effect: both families, always"},
	[OPTION_NATIVE_NFTABLES] = {"native-nftables", 0, {"NATIVE_NFTABLES"}, OPTION_KIND_SWITCH,
		.help = "no effect: nf_tables, unless --backend says otherwise"},
	[OPTION_CNI_MODE] = {"cni-mode", 0, {"CNI_MODE"}, OPTION_KIND_SWITCH, .help = "no effect"},
	[OPTION_RECONCILE] = {"reconcile", 0, {"RECONCILE"}, OPTION_KIND_SWITCH,
		.help = "no effect: rules that differ are replaced, always"},
	[OPTION_RESTORE_FORMAT] = {"restore-format", 'f', {"RESTORE_FORMAT"}, OPTION_KIND_SWITCH, .help = "no effect"},
	[OPTION_IPTABLES_TRACE_LOGGING] = {"iptables-trace-logging", 0, {"IPTABLES_TRACE_LOGGING"}, OPTION_KIND_SWITCH,
		.help = "no effect: every rule has a counter"},
};
static_assert(sizeof specs / sizeof *specs == OPTION_COUNT, "every option has a row");

const struct option_spec *option_spec(enum option option)
{
	return &specs[option];
}
