/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pods that Istio's injector has changed carry its stamp. Its sidecar takes what comes in, too, so inbound is captured
 * where nobody says otherwise; and its own ports never are, as by Istio's plugin.
 */
#include "cni/pod.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ISTIO_STATUS "sidecar.istio.io/status"

/* The sidecar's ports for probes and metrics. */
#define STATUS_PORTS "15020,15021,15090"

static bool carries(const struct config *config, const char *annotation)
{
	size_t length;

	return config_annotation(config, annotation, &length) != NULL;
}

/* --- whether it is captured */

static bool is_interception_none(const struct config *config)
{
	size_t length = 0;
	const char *text = config_annotation(config, setting_spec(SETTING_INTERCEPTION_MODE)->annotation, &length);

	if (text == NULL)
		text = config->defaults[SETTING_INTERCEPTION_MODE];
	return text != NULL && strcmp(text, "NONE") == 0;
}

static bool is_annotated(const struct config *config)
{
	for (enum setting s = 0; s < SETTING_COUNT; s++)
		if (setting_spec(s)->annotation != NULL && carries(config, setting_spec(s)->annotation))
			return true;
	return false;
}

struct capture_facts pod_facts(const struct config *config, const char *namespace)
{
	size_t length;
	const char *inject = config_annotation(config, "sidecar.istio.io/inject", &length);

	return (struct capture_facts){
		.namespace_excluded = config_excludes(config, namespace),
		.annotations_passed = config->annotations != NULL,
		.annotated = is_annotated(config),
		.stamped = carries(config, "weir.dev/status") || carries(config, ISTIO_STATUS),
		.inject_false = inject != NULL && capture_means_no(inject),
		.interception_none = is_interception_none(config),
	};
}

/* --- the plan */

void pod_fill_settings(const struct config *config, struct settings *settings)
{
	for (enum setting s = 0; s < SETTING_COUNT; s++) {
		const struct setting_spec *spec = setting_spec(s);
		const char *text = config->defaults[s];
		size_t length;

		if (text != NULL)
			settings_set(settings, s, SETTING_WAY_CONFIGURATION, spec->key, text, strlen(text));
		text = spec->annotation != NULL ? config_annotation(config, spec->annotation, &length) : NULL;
		if (text != NULL)
			settings_set(settings, s, SETTING_WAY_ANNOTATION, spec->annotation, text, length);
	}
}

/* Adds the sidecar's ports to what the pod excludes. The caller frees the text that the setting then borrows. */
static int add_status_ports(struct setting_value *value, char **ret_text)
{
	static const char more[] = "," STATUS_PORTS;
	/* A blank text is an empty list, and takes no comma. */
	bool blank = strspn(value->text, " \t\r\n") >= value->length;
	size_t length = blank ? 0 : value->length;

	*ret_text = malloc(length + sizeof more);
	if (*ret_text == NULL)
		return -ENOMEM;
	memcpy(*ret_text, value->text, length);
	memcpy(*ret_text + length, more + blank, sizeof more - blank);
	value->text = *ret_text;
	value->length = length + sizeof more - blank - 1;
	return 0;
}

static enum reply_code code_of_way(enum setting_way way)
{
	return way == SETTING_WAY_ANNOTATION ? REPLY_BAD_ANNOTATION : REPLY_BAD_CONFIGURATION;
}

/* `*ret_ports` is a text that the settings borrow; the caller frees both. */
static int make_settings(const struct config *config, struct settings *settings, char **ret_ports, struct reply *reply)
{
	struct setting_value *excluded = &settings->values[SETTING_EXCLUDE_INBOUND_PORTS];
	bool istio = carries(config, ISTIO_STATUS);
	enum setting failed = SETTING_COUNT;
	int rc;

	settings_init_for_pod(settings);
	if (istio)
		settings_set(settings, SETTING_INCLUDE_INBOUND_PORTS, SETTING_WAY_DEFAULT,
			setting_spec(SETTING_INCLUDE_INBOUND_PORTS)->annotation, "*", 1);
	pod_fill_settings(config, settings);
	rc = settings_read_files(settings, &failed, &reply->error);
	if (rc < 0)
		return reply_fail(reply, code_of_way(settings->values[failed].way), rc);
	if (istio && excluded->way == SETTING_WAY_ANNOTATION && add_status_ports(excluded, ret_ports) < 0)
		return reply_fail(reply, REPLY_IO, error_set(&reply->error, ENOMEM, "no memory for the pod's settings"));
	return 0;
}

int pod_plan(const struct config *config, struct redirect_plan *ret_plan, struct plan_report *report,
	struct reply *reply)
{
	struct settings settings;
	char *ports = NULL;
	int rc = make_settings(config, &settings, &ports, reply);

	report->warning_count = 0;
	if (rc == 0) {
		rc = plan_build(&settings, ret_plan, report);
		if (rc < 0) {
			reply->error = report->error;
			(void)reply_fail(reply, code_of_way(report->way), rc);
		}
	}
	settings_free(&settings);
	free(ports);
	return rc;
}
