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
#include "cni/netns.h"
#include "redirect/kernel/kernel.h"
#include "redirect/plan/plan.h"
#include "redirect/plan/ruleset.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Differences that an error of CHECK lists; more are only counted. */
#define DETAIL_MAX 16

/* What Istio's injector leaves on the pods that it changes. */
#define ISTIO_STATUS "sidecar.istio.io/status"

/* All that one call knows. */
struct call {
	struct environment env;
	struct config config;
	struct log log;
	struct reply reply;
	FILE *out;
};

static int fail(struct call *call, enum reply_code code, int rc)
{
	call->reply.code = code;
	return rc;
}

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

static bool is_interception_none(const struct config *config)
{
	static const char *const key = "sidecar.istio.io/interceptionMode";
	size_t length = 0;
	const char *text = config_annotation(config, key, &length);

	if (text == NULL)
		text = config->defaults[SETTING_INTERCEPTION_MODE];
	return text != NULL && strcmp(text, "NONE") == 0;
}

static bool is_annotated(const struct config *config)
{
	size_t length;

	for (enum setting s = 0; s < SETTING_COUNT; s++)
		if (setting_spec(s)->annotation != NULL && config_annotation(config, setting_spec(s)->annotation, &length) != NULL)
			return true;
	return false;
}

static struct capture_facts gather(const struct call *call)
{
	const struct config *config = &call->config;
	size_t length;
	const char *inject = config_annotation(config, "sidecar.istio.io/inject", &length);

	return (struct capture_facts){
		.namespace_excluded = config_excludes(config, call->env.pod_namespace),
		.annotations_passed = config->annotations != NULL,
		.annotated = is_annotated(config),
		.stamped = config_annotation(config, "weir.dev/status", &length) != NULL ||
			   config_annotation(config, ISTIO_STATUS, &length) != NULL,
		.inject_false = inject != NULL && capture_means_no(inject),
		.interception_none = is_interception_none(config),
	};
}

static enum capture_decision decide(struct call *call, const char **ret_reason)
{
	struct capture_facts facts = gather(call);
	enum capture_decision decision =
		capture_decide(call->config.capture, call->config.missing, &facts, ret_reason);

	if (decision == CAPTURE_NO && (facts.annotated || !facts.annotations_passed) && !facts.namespace_excluded)
		log_write(&call->log, LOG_LEVEL_WARN, "not captured%s: %s",
			facts.annotated ? ", although it is annotated" : "", *ret_reason);
	return decision;
}

/* --- the plan */

static enum reply_code code_of_way(enum setting_way way)
{
	return way == SETTING_WAY_ANNOTATION ? REPLY_BAD_ANNOTATION : REPLY_BAD_CONFIGURATION;
}

static void warn_of_unknown(void *context, const char *key)
{
	const struct call *call = context;

	log_write(&call->log, LOG_LEVEL_WARN, "annotation %s is none that weir knows", key);
}

/* Ports that Istio's own plugin never captures, whatever the pod excludes: probes and metrics of its sidecar. */
#define STATUS_PORTS "15020,15021,15090"

/* Adds them to what a pod of Istio's excludes. The caller frees the text that the settings then borrow. */
static int add_status_ports(struct call *call, struct settings *settings, char **ret_text)
{
	struct setting_value *value = &settings->values[SETTING_EXCLUDE_INBOUND_PORTS];
	static const char more[] = "," STATUS_PORTS;
	size_t length = 0;
	size_t skip;

	if (value->way != SETTING_WAY_ANNOTATION || config_annotation(&call->config, ISTIO_STATUS, &length) == NULL)
		return 0;
	*ret_text = malloc(value->length + sizeof more);
	if (*ret_text == NULL)
		return fail(call, REPLY_IO, error_set(&call->reply.error, ENOMEM, "no memory for the pod's settings"));
	/* A blank text is an empty list, and takes no comma. */
	skip = strspn(value->text, " \t\r\n") >= value->length ? 1 : 0;
	length = skip == 1 ? 0 : value->length;
	memcpy(*ret_text, value->text, length);
	memcpy(*ret_text + length, more + skip, sizeof more - skip);
	value->text = *ret_text;
	value->length = length + sizeof more - skip - 1;
	return 0;
}

static int build(struct call *call, struct settings *settings, struct redirect_plan *ret_plan)
{
	struct plan_report report;
	int rc = plan_build(settings, ret_plan, &report);

	for (size_t i = 0; i < report.warning_count; i++)
		log_write(&call->log, LOG_LEVEL_WARN, "%s", report.warnings[i]);
	if (rc < 0) {
		call->reply.error = report.error;
		rc = fail(call, code_of_way(report.way), rc);
	}
	return rc;
}

/* Makes the plan of the pod. The caller frees it. */
static int make_plan(struct call *call, struct redirect_plan *ret_plan)
{
	struct settings settings;
	enum setting failed = SETTING_COUNT;
	char *ports = NULL;
	size_t length;
	int rc;

	settings_init_for_pod(&settings);
	/* Istio's injector stamps pods whose inbound traffic its sidecar takes, too. */
	if (config_annotation(&call->config, ISTIO_STATUS, &length) != NULL)
		settings_set(&settings, SETTING_INCLUDE_INBOUND_PORTS, SETTING_WAY_DEFAULT,
			setting_spec(SETTING_INCLUDE_INBOUND_PORTS)->annotation, "*", 1);
	config_fill_settings(&call->config, &settings);
	config_unknown_annotations(&call->config, warn_of_unknown, call);
	rc = settings_read_files(&settings, &failed, &call->reply.error);
	if (rc < 0)
		rc = fail(call, code_of_way(settings.values[failed].way), rc);
	else
		rc = add_status_ports(call, &settings, &ports);
	if (rc == 0)
		rc = build(call, &settings, ret_plan);
	settings_free(&settings);
	free(ports);
	return rc;
}

static int refused(struct call *call, int rc)
{
	return fail(call, rc == -EPROTONOSUPPORT ? REPLY_NO_NF_TABLES : REPLY_REFUSED, rc);
}

static int enter(struct call *call)
{
	int rc = netns_enter(call->env.netns, &call->reply.error);

	return rc < 0 ? fail(call, REPLY_BAD_NAMESPACE, rc) : 0;
}

/* --- verbs */

static int apply(struct call *call, const struct ruleset *want, const char *reason)
{
	static const char *const outcomes[] = {
		[NFT_UNCHANGED] = "unchanged", [NFT_CREATED] = "created", [NFT_REPLACED] = "replaced",
		[NFT_REMOVED] = "removed"};
	enum nft_outcome outcome;
	int rc = enter(call);

	if (rc < 0)
		return rc;
	rc = kernel_apply(want, KERNEL_FRESH, &outcome, &call->reply.error);
	if (rc < 0)
		return refused(call, rc);
	log_write(&call->log, LOG_LEVEL_INFO, "captured, since %s: rules %s", reason, outcomes[outcome]);
	return 0;
}

/* Where CHECK's differences go: the first is the error, the first few are its details. */
struct drift {
	struct reply *reply;
	size_t told;
	size_t used; /* bytes of the details */
};
static_assert(DETAIL_MAX * (NFT_DIFFERENCE_SIZE + 1) < REPLY_DETAILS_SIZE, "the details hold all that is put there");

static void take_difference(void *context, const struct nft_difference *difference)
{
	struct drift *drift = context;
	char text[NFT_DIFFERENCE_SIZE];

	(void)nft_difference_format(text, difference);
	if (drift->told == 0)
		(void)error_set(&drift->reply->error, EUCLEAN, "weir: %s", text);
	if (drift->told++ < DETAIL_MAX)
		drift->used += (size_t)snprintf(drift->reply->details + drift->used,
			sizeof drift->reply->details - drift->used, "%s%s", drift->used > 0 ? "\n" : "", text);
}

static int compare(struct call *call, const struct ruleset *want)
{
	struct drift drift = {.reply = &call->reply};
	struct nft_differences differences = {.listener = take_difference, .context = &drift};
	int rc = enter(call);

	if (rc < 0)
		return rc;
	rc = kernel_check(want, &differences, &call->reply.error);
	if (rc < 0)
		return refused(call, rc);
	if (differences.count == 0)
		return 0;
	/* A runtime shows both, one behind the other. */
	if (differences.count == 1)
		call->reply.details[0] = '\0';
	if (differences.count > DETAIL_MAX)
		(void)snprintf(call->reply.details + drift.used, sizeof call->reply.details - drift.used, "\nand %zu more",
			differences.count - DETAIL_MAX);
	return fail(call, REPLY_DRIFT, -EUCLEAN);
}

typedef int use_ruleset(struct call *call, const struct ruleset *want, const char *reason);

static int check(struct call *call, const struct ruleset *want, const char *reason)
{
	(void)reason;
	return compare(call, want);
}

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
	return fail(call, REPLY_BAD_CONFIGURATION, error_set(&call->reply.error, EINVAL,
		"no prevResult: weir-cni is a chained plugin and stands behind one that makes the interface"));
}

static int unknown_pod(struct call *call, const char *reason)
{
	return fail(call, REPLY_NO_ANNOTATIONS, error_set(&call->reply.error, ENODATA,
		"whether this pod is captured cannot be known: %s; declare the capability "
		"\"io.kubernetes.cri.pod-annotations\"", reason));
}

static int do_add(struct call *call)
{
	const char *reason = NULL;
	enum capture_decision decision;
	int rc = need_prev_result(call);

	if (rc == 0)
		rc = config_render_prev_result(&call->config, &call->reply);
	if (rc < 0)
		return rc;
	decision = decide(call, &reason);
	if (decision == CAPTURE_UNKNOWN)
		return unknown_pod(call, reason);
	if (decision == CAPTURE_YES)
		rc = with_ruleset(call, apply, reason);
	else
		log_write(&call->log, LOG_LEVEL_INFO, "not captured: %s", reason);
	if (rc == 0 && (fputs(call->config.prev_text, call->out) == EOF || fputc('\n', call->out) == EOF))
		rc = fail(call, REPLY_IO, error_set(&call->reply.error, EIO, "cannot write the result"));
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
		return fail(call, REPLY_NOT_AVAILABLE, rc);
	}
	ruleset_build(&plan, "status", &ruleset);
	rc = netns_enter_new(&call->reply.error);
	if (rc == 0)
		rc = kernel_apply(&ruleset, KERNEL_FRESH, &outcome, &call->reply.error);
	plan_free(&plan);
	return rc < 0 ? fail(call, REPLY_NOT_AVAILABLE, rc) : 0;
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
	return fail(call, REPLY_INCOMPATIBLE_VERSION, -EINVAL);
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
		rc = fail(&call, REPLY_BAD_ENVIRONMENT, rc);
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
