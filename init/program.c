/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arguments and environment become settings, settings the plan, the plan rules: all of that before anything is touched.
 * stdout carries only what was asked for; every message goes to stderr.
 */
#include "init/program.h"

#include "init/help.h"
#include "init/options.h"
#include "init/probe.h"
#include "init/resolve.h"
#include "init/validate.h"
#include "redirect/iptables/backend.h"
#include "redirect/kernel/kernel.h"
#include "redirect/nft/text.h"
#include "redirect/plan/explain.h"
#include "redirect/plan/plan_json.h"
#include "redirect/plan/ruleset.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define PROGRAM_VERSION "0.1.0"

/* Bytes of "namespace/name" with its NUL. */
#define OWNER_SIZE 512

/* Differences that --check tells; more are only counted. */
#define CHECK_LINE_MAX 16

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
	va_list arguments;

	(void)fputs("weir-init: ", stderr);
	va_start(arguments, format);
	(void)vfprintf(stderr, format, arguments);
	va_end(arguments);
	(void)fputc('\n', stderr);
}

static int flush(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return PROGRAM_OK;
	say("cannot write to stdout");
	return PROGRAM_FAILED;
}

/* The pod's name for the table's comment, where a template passes it. */
static const char *owner(char out[OWNER_SIZE])
{
	const char *name = getenv("POD_NAME");
	const char *namespace = getenv("POD_NAMESPACE");

	if (name == NULL || namespace == NULL)
		return NULL;
	(void)snprintf(out, OWNER_SIZE, "%s/%s", namespace, name);
	return out;
}

static int build_plan(struct settings *settings, struct redirect_plan *ret_plan)
{
	struct plan_report report;
	struct resolved resolved;
	struct error e;
	enum setting failed;
	int rc = resolve_settings(settings, &resolved, &e);

	if (rc == 0)
		rc = settings_read_files(settings, &failed, &e);
	if (rc < 0) {
		say("%s", e.text);
	} else {
		rc = plan_build(settings, ret_plan, &report);
		for (size_t i = 0; i < report.warning_count; i++)
			say("warning: %s", report.warnings[i]);
		if (rc < 0)
			say("%s", report.error.text);
	}
	settings_free(settings);
	resolved_free(&resolved);
	return rc;
}

/* Says a difference, up to a limit. */
static void say_difference(void *context, const struct nft_difference *difference)
{
	size_t *told = context;
	char text[NFT_DIFFERENCE_SIZE];

	if ((*told)++ < CHECK_LINE_MAX)
		say("%s", nft_difference_format(text, difference));
}

/* What programs the rules, and of which flavour. */
static bool uses_iptables(const struct options *options)
{
	const char *backend = options->text[OPTION_BACKEND];

	return backend != NULL && strcmp(backend, "iptables") == 0;
}

static const char *flavour(const struct options *options)
{
	const char *text = options->text[OPTION_FORCE_IPTABLES_BINARY];

	return text != NULL && *text != '\0' ? text : NULL;
}

static int compare(const struct options *options, const struct ruleset *want, struct nft_differences *differences,
	struct error *e)
{
	return uses_iptables(options) ? iptables_check(want, flavour(options), differences, e)
				      : kernel_check(want, differences, e);
}

static int check(const struct options *options, const struct ruleset *want)
{
	size_t told = 0;
	struct nft_differences differences = {.listener = say_difference, .context = &told};
	struct error e;

	if (compare(options, want, &differences, &e) < 0) {
		say("%s", e.text);
		return PROGRAM_FAILED;
	}
	if (told > CHECK_LINE_MAX)
		say("and %zu more differences", told - CHECK_LINE_MAX);
	if (told > 0)
		return PROGRAM_DIFFERENT;
	say("the rules are as asked for");
	return PROGRAM_OK;
}

/* By nf_tables. Rules that iptables was given before must not be in force beside them. */
static int apply_nft(const struct ruleset *want, bool force, enum nft_outcome *ret_outcome, struct error *e)
{
	bool changed = false;
	int rc = kernel_apply(want, force ? KERNEL_FORCE : KERNEL_THOROUGH, ret_outcome, e);

	if (rc == 0 && iptables_is_suspected())
		rc = iptables_remove(&changed, e);
	if (rc == 0 && changed)
		*ret_outcome = want != NULL ? NFT_REPLACED : NFT_REMOVED;
	return rc;
}

static int apply(const struct options *options, const struct ruleset *want)
{
	enum nft_outcome outcome;
	struct error e;
	bool force = options->on[OPTION_FORCE_APPLY];
	int rc = uses_iptables(options) ? iptables_apply(want, flavour(options), force, &outcome, &e)
					: apply_nft(want, force, &outcome, &e);

	if (rc < 0) {
		say("%s%s", e.text, rc == -EPROTONOSUPPORT ? "; --backend iptables may do without" : "");
		return PROGRAM_FAILED;
	}
	say("%s", nft_outcome_name(outcome));
	return PROGRAM_OK;
}

/* Prints a difference as what a run would do about it. */
static void print_difference(void *context, const struct nft_difference *difference)
{
	static const char signs[] = {[NFT_MISSING] = '+', [NFT_ADDED] = '-', [NFT_CHANGED] = '~'};

	(void)context;
	(void)printf("%c %s\n", signs[difference->change], difference->subject);
}

static int diff(const struct options *options, const struct ruleset *want)
{
	struct nft_differences differences = {.listener = print_difference};
	struct error e;

	if (compare(options, want, &differences, &e) < 0) {
		say("%s", e.text);
		return PROGRAM_FAILED;
	}
	if (flush() != PROGRAM_OK)
		return PROGRAM_FAILED;
	if (differences.count > 0)
		return PROGRAM_DIFFERENT;
	say("a run would change nothing");
	return PROGRAM_OK;
}

static int explain(const struct options *options, const struct ruleset *want)
{
	struct explanation explanation;
	struct explain_probe probe;
	struct error e;

	if (probe_read(options, &probe, &e) < 0) {
		say("%s", e.text);
		return PROGRAM_FAILED;
	}
	if (want != NULL)
		explain_walk(want, &probe, &explanation);
	if (options->on[OPTION_JSON])
		explain_write_json(&probe, want != NULL ? &explanation : NULL, &options->settings, stdout);
	else
		explain_write_text(&probe, want != NULL ? &explanation : NULL, &options->settings, stdout);
	return flush();
}

/* As text, of the format that was asked for, else of the backend. */
static int print_rules(const struct options *options, const struct ruleset *want)
{
	const char *format = options->text[OPTION_FORMAT];

	if (format != NULL ? strcmp(format, "iptables") == 0 : uses_iptables(options)) {
		if (iptables_write(want, stdout) < 0) {
			say("no memory for the rules");
			return PROGRAM_FAILED;
		}
	} else {
		nft_text_write(want, stdout);
	}
	return flush();
}

/* Does with the rules, or with none (NULL), what the options ask for. */
static int act(const struct options *options, const struct ruleset *want)
{
	if (options->on[OPTION_SKIP_RULE_APPLY]) {
		say("the settings are sound; nothing applied, as --skip-rule-apply asks");
		return PROGRAM_OK;
	}
	if (options->on[OPTION_DRY_RUN] || options->text[OPTION_FORMAT] != NULL) {
		return print_rules(options, want);
	}
	if (options->on[OPTION_CHECK])
		return check(options, want);
	if (options->on[OPTION_DIFF])
		return diff(options, want);
	if (options->text[OPTION_EXPLAIN] != NULL)
		return explain(options, want);
	return apply(options, want);
}

/* With --skip-rule-apply, of rules that somebody else has applied: a plugin, before this container began. */
static int validate(const struct options *options, const struct redirect_plan *plan, const struct ruleset *want)
{
	int status = options->on[OPTION_SKIP_RULE_APPLY] ? PROGRAM_OK : apply(options, want);

	if (status != PROGRAM_OK)
		return status;
	return validate_run(plan, want, options_probe_port(options), options_probe_timeout(options), say) == 0
		       ? PROGRAM_OK
		       : PROGRAM_INVALID;
}

static bool wants_json_plan(const struct options *options)
{
	return options->text[OPTION_FORMAT] != NULL && strcmp(options->text[OPTION_FORMAT], "json") == 0;
}

static int run(struct options *options)
{
	struct redirect_plan plan;
	struct ruleset ruleset;
	char name[OWNER_SIZE];
	int status;

	if (options->on[OPTION_IPTABLES_TRACE_LOGGING])
		say("warning: --iptables-trace-logging has no effect: every rule has a counter");
	if (options->on[OPTION_CLEANUP_ONLY])
		return act(options, NULL);
	if (build_plan(&options->settings, &plan) < 0)
		return PROGRAM_FAILED;
	if (wants_json_plan(options)) {
		plan_write_json(&plan, stdout);
		status = flush();
	} else if (plan.interception == PLAN_INTERCEPTION_NONE) {
		status = act(options, NULL);
	} else {
		ruleset_build(&plan, owner(name), &ruleset);
		status = options->on[OPTION_RUN_VALIDATION] ? validate(options, &plan, &ruleset)
							    : act(options, &ruleset);
	}
	plan_free(&plan);
	return status;
}

int program_run(int argc, char *const argv[])
{
	struct options options;
	struct error e;
	int rc = options_read(argc, argv, getenv, &options, &e);

	if (rc == -ENOENT) {
		(void)fprintf(stderr, "Error: %s\nweir-init --help lists the flags\n", e.text);
		return PROGRAM_NO_SUCH_FLAG;
	}
	if (rc < 0) {
		say("%s", e.text);
		return PROGRAM_FAILED;
	}
	if (options.on[OPTION_HELP]) {
		help_write(stdout);
		return flush();
	}
	if (options.on[OPTION_VERSION]) {
		(void)puts("weir-init " PROGRAM_VERSION);
		return flush();
	}
	return run(&options);
}
