/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call: environment, stdin, decision, plan, and only then the namespace. Whatever can be refused is refused before
 * the namespace is entered, and what is programmed there is one transaction, so a failing ADD leaves nothing behind.
 *
 * A pod that is not captured is passed through: its namespace is not entered, and prevResult is printed as it came.
 * DEL asks for nothing but the namespace; it must succeed after any kind of failed ADD.
 */
#include "cni/plugin.h"

#include "cni/config.h"
#include "cni/document.h"
#include "cni/drift.h"
#include "cni/netns.h"
#include "cni/pod.h"
#include "redirect/kernel/kernel.h"
#include "redirect/plan/plan.h"
#include "redirect/plan/ruleset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* All that one call knows. */
struct call {
	struct environment env;
	struct config config;
	struct log log;
	struct reply reply;
	FILE *out;
};

/* The name that the table's comment gives the pod. */
static const char *owner(const struct call *call, char *out, size_t size)
{
	if (call->env.pod_name[0] == '\0')
		return call->env.container_id;
	if (call->env.pod_namespace[0] == '\0')
		return call->env.pod_name;
	(void)snprintf(out, size, "%s/%s", call->env.pod_namespace, call->env.pod_name);
	return out;
}

static void open_log(struct call *call)
{
	char pod[2 * ENVIRONMENT_NAME_SIZE];

	log_open(&call->log, call->config.log_file, call->config.log_level, LOG_FILE_SIZE_MAX);
	(void)snprintf(call->log.subject, sizeof call->log.subject, "%s %.12s %s",
		environment_verb_name(call->env.verb), *call->env.container_id != '\0' ? call->env.container_id : "-",
		call->env.pod_name[0] != '\0' ? owner(call, pod, sizeof pod) : "-");
}

/* --- the decision */

static enum capture_decision decide(struct call *call, const char **ret_reason)
{
	struct capture_facts facts = pod_facts(&call->config, call->env.pod_namespace);
	enum capture_decision decision =
		capture_decide(call->config.capture, call->config.missing, &facts, ret_reason);

	if (decision == CAPTURE_NO && (facts.annotated || !facts.annotations_passed) && !facts.namespace_excluded)
		log_write(&call->log, LOG_LEVEL_WARN, "not captured%s: %s",
			facts.annotated ? ", although it is annotated" : "", *ret_reason);
	return decision;
}

/* --- the plan */

static void warn_of_unknown(void *context, const char *key)
{
	const struct call *call = context;

	log_write(&call->log, LOG_LEVEL_WARN, "annotation %s is none that weir knows", key);
}

/* Makes the plan of the pod. The caller frees it. */
static int make_plan(struct call *call, struct redirect_plan *ret_plan)
{
	struct plan_report report;
	int rc;

	config_unknown_annotations(&call->config, warn_of_unknown, call);
	rc = pod_plan(&call->config, ret_plan, &report, &call->reply);
	for (size_t i = 0; i < report.warning_count; i++)
		log_write(&call->log, LOG_LEVEL_WARN, "%s", report.warnings[i]);
	return rc;
}

static int refused(struct call *call, int rc)
{
	return reply_fail(&call->reply, rc == -EPROTONOSUPPORT ? REPLY_NO_NF_TABLES : REPLY_REFUSED, rc);
}

static int enter(struct call *call)
{
	int rc = netns_enter(call->env.netns, &call->reply.error);

	return rc < 0 ? reply_fail(&call->reply, REPLY_BAD_NAMESPACE, rc) : 0;
}

/* --- verbs */

static int apply(struct call *call, const struct ruleset *want, const char *reason)
{
	enum nft_outcome outcome;
	int rc = enter(call);

	if (rc < 0)
		return rc;
	rc = kernel_apply(want, KERNEL_FRESH, &outcome, &call->reply.error);
	if (rc < 0)
		return refused(call, rc);
	log_write(&call->log, LOG_LEVEL_INFO, "captured, since %s: rules %s", reason, nft_outcome_name(outcome));
	return 0;
}

static int check(struct call *call, const struct ruleset *want, const char *reason)
{
	struct drift drift;
	int rc = enter(call);

	(void)reason;
	if (rc < 0)
		return rc;
	drift_begin(&drift, &call->reply);
	rc = kernel_check(want, &drift.differences, &call->reply.error);
	return rc < 0 ? refused(call, rc) : drift_end(&drift);
}

typedef int use_ruleset(struct call *call, const struct ruleset *want, const char *reason);

/* ADD and CHECK go the same way, up to what they do with the rules in the pod's namespace. */
static int with_ruleset(struct call *call, use_ruleset *use, const char *reason)
{
	char name[2 * ENVIRONMENT_NAME_SIZE];
	struct redirect_plan plan;
	struct ruleset ruleset;
	int rc = make_plan(call, &plan);

	if (rc < 0)
		return rc;
	ruleset_build(&plan, owner(call, name, sizeof name), &ruleset);
	rc = use(call, &ruleset, reason);
	plan_free(&plan);
	return rc;
}

static int need_prev_result(struct call *call)
{
	if (call->config.prev_result != NULL)
		return 0;
	return reply_fail(&call->reply, REPLY_BAD_CONFIGURATION, error_set(&call->reply.error, EINVAL,
		"no prevResult: weir-cni is a chained plugin and stands behind one that makes the interface"));
}

static int unknown_pod(struct call *call, const char *reason)
{
	return reply_fail(&call->reply, REPLY_NO_ANNOTATIONS, error_set(&call->reply.error, ENODATA,
		"whether this pod is captured cannot be known: %s; declare the capability "
		"\"io.kubernetes.cri.pod-annotations\"", reason));
}

static int do_add(struct call *call)
{
	const char *result = NULL;
	const char *reason = NULL;
	enum capture_decision decision;
	int rc = need_prev_result(call);

	if (rc == 0)
		rc = document_render(call->config.prev_result, &result, &call->reply);
	if (rc < 0)
		return rc;
	decision = decide(call, &reason);
	if (decision == CAPTURE_UNKNOWN)
		return unknown_pod(call, reason);
	if (decision == CAPTURE_YES)
		rc = with_ruleset(call, apply, reason);
	else
		log_write(&call->log, LOG_LEVEL_INFO, "not captured: %s", reason);
	if (rc == 0 && (fputs(result, call->out) == EOF || fputc('\n', call->out) == EOF))
		rc = reply_fail(&call->reply, REPLY_IO, error_set(&call->reply.error, EIO, "cannot write the result"));
	return rc;
}

static int do_check(struct call *call)
{
	const char *reason = NULL;
	enum capture_decision decision;
	int rc = need_prev_result(call);

	if (rc < 0)
		return rc;
	decision = decide(call, &reason);
	/* Skipping a pod whose annotations were not passed is for ADD to do; here it would be an unfounded "all is well". */
	if (decision == CAPTURE_UNKNOWN || (decision == CAPTURE_NO && call->config.annotations == NULL &&
						   call->config.capture != CAPTURE_MODE_ALL &&
						   !config_excludes(&call->config, call->env.pod_namespace)))
		return unknown_pod(call, reason);
	return decision == CAPTURE_YES ? with_ruleset(call, check, reason) : 0;
}

/* Where the namespace or nf_tables is gone, so is the table; what is no pod's namespace never had one. */
static int do_del(struct call *call)
{
	enum nft_outcome outcome;
	struct error why;
	bool gone;
	int rc;

	if (*call->env.netns == '\0')
		return 0;
	rc = netns_enter(call->env.netns, &why);
	if (rc == 0) {
		rc = kernel_apply(NULL, KERNEL_THOROUGH, &outcome, &why);
		gone = rc == -EPROTONOSUPPORT;
	} else {
		gone = rc == -ENOENT || rc == -ENOTDIR || rc == -EINVAL || rc == -EPERM;
	}
	if (rc == 0)
		log_write(&call->log, LOG_LEVEL_INFO, outcome == NFT_REMOVED ? "rules removed" : "no rules were there");
	else if (gone)
		log_write(&call->log, LOG_LEVEL_WARN, "nothing to remove: %s", why.text);
	if (rc == 0 || gone)
		return 0;
	call->reply.error = why;
	return refused(call, rc);
}

/* Programs the rules of a plain pod in a namespace that is gone with the process. */
static int do_status(struct call *call)
{
	struct plan_report report;
	struct redirect_plan plan;
	struct settings settings;
	struct ruleset ruleset;
	enum nft_outcome outcome;
	int rc;

	settings_init_for_pod(&settings);
	rc = plan_build(&settings, &plan, &report);
	if (rc < 0) {
		call->reply.error = report.error;
		return reply_fail(&call->reply, REPLY_NOT_AVAILABLE, rc);
	}
	ruleset_build(&plan, "status", &ruleset);
	rc = netns_enter_new(&call->reply.error);
	if (rc == 0)
		rc = kernel_apply(&ruleset, KERNEL_FRESH, &outcome, &call->reply.error);
	plan_free(&plan);
	return rc < 0 ? reply_fail(&call->reply, REPLY_NOT_AVAILABLE, rc) : 0;
}

/* Everything that weir makes is inside the namespaces, and goes with them. */
static int do_gc(struct call *call)
{
	(void)call;
	return 0;
}

/* --- the call */

static const struct verb {
	int (*run)(struct call *call);
	enum config_version since;
} verbs[VERB_COUNT] = {
	[VERB_ADD] = {do_add, CONFIG_VERSION_0_3_0},
	[VERB_CHECK] = {do_check, CONFIG_VERSION_0_4_0},
	[VERB_GC] = {do_gc, CONFIG_VERSION_1_1_0},
	[VERB_STATUS] = {do_status, CONFIG_VERSION_1_1_0},
};

static int check_version(struct call *call)
{
	enum config_version since = verbs[call->env.verb].since;

	if (call->config.version >= since && call->config.version != CONFIG_VERSION_UNKNOWN)
		return 0;
	if (call->config.version == CONFIG_VERSION_UNKNOWN)
		(void)error_set(&call->reply.error, EINVAL,
			"cniVersion is missing or not supported; valid: 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0");
	else
		(void)error_set(&call->reply.error, EINVAL, "%s is not part of CNI %s",
			environment_verb_name(call->env.verb), call->config.version_text);
	return reply_fail(&call->reply, REPLY_INCOMPATIBLE_VERSION, -EINVAL);
}

static int run_verb(struct call *call, FILE *in)
{
	int rc = config_read(&call->config, in, &call->reply);

	if (rc == 0)
		rc = check_version(call);
	if (rc == 0)
		rc = config_check(&call->config, &call->reply);
	if (rc < 0)
		config_read_log(&call->config);
	open_log(call);
	return rc == 0 ? verbs[call->env.verb].run(call) : rc;
}

static int run_del(struct call *call, FILE *in)
{
	/* Only the log file is taken from stdin, if it can be. */
	if (config_read(&call->config, in, &call->reply) == 0)
		config_read_log(&call->config);
	call->reply.code = 0;
	open_log(call);
	return do_del(call);
}

static int run_version(struct call *call, FILE *in)
{
	/* An empty stdin is as good as any. */
	(void)config_read(&call->config, in, &call->reply);
	call->reply.code = 0;
	reply_write_versions(call->out, call->config.version_text);
	return 0;
}

int plugin_run(environment_getter *get, FILE *in, FILE *out)
{
	struct call call = {.log = {.fd = -1}, .out = out};
	int rc;

	call.config.version_text = REPLY_NEWEST_VERSION;
	rc = environment_read(get, &call.env, &call.reply.error);
	if (rc < 0) {
		/* The answer speaks the runtime's version, if it says one. */
		struct reply ignored;

		(void)config_read(&call.config, in, &ignored);
		rc = reply_fail(&call.reply, REPLY_BAD_ENVIRONMENT, rc);
	} else if (call.env.verb == VERB_NONE) {
		(void)fputs("weir-cni: a chained CNI plugin that redirects a pod's outbound TCP by its annotations; "
			    "called by container runtimes (CNI 0.3.0 to 1.1.0)\n", stderr);
	} else if (call.env.verb == VERB_VERSION) {
		rc = run_version(&call, in);
	} else if (call.env.verb == VERB_DEL) {
		rc = run_del(&call, in);
	} else {
		rc = run_verb(&call, in);
	}
	if (rc < 0) {
		log_write(&call.log, LOG_LEVEL_ERROR, "code %d: %s", (int)call.reply.code, call.reply.error.text);
		reply_write_error(out, call.config.version_text, &call.reply);
	}
	log_close(&call.log);
	config_free(&call.config);
	return fflush(out) == 0 && rc == 0 ? 0 : 1;
}
