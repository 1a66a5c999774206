/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The init program's arguments and environment: strings that end at a NUL, of which those that begin with "$" are
 * variables ("$NAME=VALUE").
 */
#include "tests/fuzz/fuzz.h"

#include "init/options.h"
#include "init/probe.h"
#include "redirect/plan/plan.h"

#include <string.h>

#define STRING_MAX 32

static struct plan_report report;
static char *variables[STRING_MAX];
static size_t variable_count;

static char *get(const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < variable_count; i++)
		if (strncmp(variables[i], name, length) == 0 && variables[i][length] == '=')
			return variables[i] + length + 1;
	return NULL;
}

static void use(struct options *options, struct error *e)
{
	struct explain_probe probe;
	struct redirect_plan plan;

	if (options->text[OPTION_EXPLAIN] != NULL && probe_read(options, &probe, e) < 0)
		FUZZ_CHECK(e->text[0] != '\0');
	if (plan_build(&options->settings, &plan, &report) == 0)
		plan_free(&plan);
	else
		FUZZ_CHECK(report.error.text[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char program[] = "weir-init";
	char *arguments[STRING_MAX + 1] = {program};
	char *text = malloc(size + 1);
	struct options options;
	struct error e = {.text = ""};
	int count = 1;

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	variable_count = 0;
	for (char *next = text; next < text + size; next += strlen(next) + 1) {
		if (*next == '$' && variable_count < STRING_MAX)
			variables[variable_count++] = next + 1;
		else if (*next != '$' && count < STRING_MAX)
			arguments[count++] = next;
	}
	if (options_read(count, arguments, get, &options, &e) == 0)
		use(&options, &e);
	else
		FUZZ_CHECK(e.text[0] != '\0');
	free(text);
	return 0;
}
