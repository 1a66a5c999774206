/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a runtime sends on stdin, up to the rules; no namespace is entered.
 */
#include "tests/fuzz/fuzz.h"

#include "cni/config.h"
#include "cni/pod.h"
#include "redirect/plan/plan.h"
#include "redirect/plan/ruleset.h"

#include <string.h>

static struct plan_report report;

static void ignore(void *context, const char *key)
{
	FUZZ_CHECK(key != NULL);
	(void)context;
}

static void build(const struct config *config)
{
	struct settings settings;
	struct redirect_plan plan;
	struct ruleset ruleset;

	settings_init_for_pod(&settings);
	pod_fill_settings(config, &settings);
	config_unknown_annotations(config, ignore, NULL);
	(void)pod_facts(config, "kube-system");
	if (plan_build(&settings, &plan, &report) < 0) {
		FUZZ_CHECK(report.error.text[0] != '\0');
		return;
	}
	if (plan.interception != PLAN_INTERCEPTION_NONE)
		ruleset_build(&plan, config->version_text, &ruleset);
	plan_free(&plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reply reply = {.code = 0};
	struct config config;
	char *text = malloc(size + 1);
	FILE *in;
	int rc;

	FUZZ_CHECK(text != NULL);
	memcpy(text, data, size);
	in = fmemopen(text, size, "r");
	if (in == NULL) {
		free(text);
		return 0;
	}
	rc = config_read(&config, in, &reply);
	if (rc == 0)
		rc = config_check(&config, &reply);
	if (rc == 0)
		build(&config);
	else
		FUZZ_CHECK(reply.code != 0 && reply.error.text[0] != '\0');
	config_read_log(&config);
	config_free(&config);
	(void)fclose(in);
	free(text);
	return 0;
}
