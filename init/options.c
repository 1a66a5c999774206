/* SPDX-License-Identifier: Apache-2.0 */
#include "init/options.h"

#include "redirect/plan/value.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Istio's defaults: the port of an application that --run-validation plays, and how long it waits. */
#define PROBE_PORT 15002
#define PROBE_TIMEOUT 5000

/* Either a setting of the rules or an option of the program. */
struct target {
	bool is_setting;
	enum setting setting;
	enum option option;
};

static bool is_word(const char *name, size_t length, const char *word)
{
	return word != NULL && strlen(word) == length && memcmp(name, word, length) == 0;
}

static bool find_flag(const char *name, size_t length, struct target *ret)
{
	for (enum setting s = 0; s < SETTING_COUNT; s++) {
		if (is_word(name, length, setting_spec(s)->flag)) {
			*ret = (struct target){.is_setting = true, .setting = s};
			return true;
		}
	}
	for (enum option o = 0; o < OPTION_COUNT; o++) {
		if (is_word(name, length, option_spec(o)->flag)) {
			*ret = (struct target){.option = o};
			return true;
		}
	}
	return false;
}

static bool find_letter(char letter, struct target *ret)
{
	for (enum setting s = 0; s < SETTING_COUNT; s++) {
		if (setting_spec(s)->letter == letter) {
			*ret = (struct target){.is_setting = true, .setting = s};
			return true;
		}
	}
	for (enum option o = 0; o < OPTION_COUNT; o++) {
		if (option_spec(o)->letter == letter) {
			*ret = (struct target){.option = o};
			return true;
		}
	}
	return false;
}

static bool is_switch(const struct target *target)
{
	return target->is_setting ? setting_spec(target->setting)->kind == SETTING_KIND_SWITCH
				  : option_spec(target->option)->kind == OPTION_KIND_SWITCH;
}

/* Milliseconds; no probe takes longer than a day. */
#define DURATION_MAX 86400000.0

/* Reads a Go duration, numbers with units, as in "5s" or "1m30s", up to DURATION_MAX. */
static bool read_duration(const char *text, int *ret_milliseconds)
{
	static const struct unit {
		const char *name;
		double milliseconds;
	} units[] = {{"ns", 1e-6}, {"us", 1e-3}, {"ms", 1}, {"s", 1e3}, {"m", 6e4}, {"h", 3.6e6}};
	double sum = 0;

	if (*text == '\0')
		return false;
	while (*text != '\0') {
		size_t unit = 0;
		char *end = NULL;
		double number;

		if ((*text < '0' || *text > '9') && *text != '.')
			return false;
		number = strtod(text, &end);
		if (end == text || strspn(text, "0123456789.") != (size_t)(end - text))
			return false;
		text = end;
		while (unit < 6 && strncmp(text, units[unit].name, strlen(units[unit].name)) != 0)
			unit++;
		if (unit == 6)
			return false;
		sum += number * units[unit].milliseconds;
		text += strlen(units[unit].name);
	}
	*ret_milliseconds = (int)(sum < DURATION_MAX ? sum : DURATION_MAX);
	return true;
}

/* Takes the text of an option; `origin` names how it came. */
static int take_option(struct options *options, enum option option, const char *origin, const char *name,
	const char *text, struct error *e)
{
	const struct option_spec *spec = option_spec(option);
	char quote[ERROR_QUOTE_SIZE];
	int milliseconds;
	uint32_t port;

	(void)error_quote(quote, text, strlen(text));
	if (spec->kind == OPTION_KIND_SWITCH && value_read_switch(text, strlen(text), &options->on[option]) != NULL)
		return error_set(e, EINVAL, "%s%s is %s; valid: true, false", origin, name, quote);
	if (spec->kind == OPTION_KIND_PORT && value_read_number(text, strlen(text), 1, UINT16_MAX, &port) != NULL)
		return error_set(e, EINVAL, "%s%s is %s; valid: one port, 1 to 65535", origin, name, quote);
	if (spec->kind == OPTION_KIND_DURATION && !read_duration(text, &milliseconds))
		return error_set(e, EINVAL, "%s%s is %s; valid: a duration as 5s or 1m30s", origin, name, quote);
	options->text[option] = text;
	return 0;
}

static int take(struct options *options, const struct target *target, const char *text, struct error *e)
{
	if (!target->is_setting)
		return take_option(options, target->option, "flag --", option_spec(target->option)->flag, text, e);
	settings_set(&options->settings, target->setting, SETTING_WAY_FLAG, setting_spec(target->setting)->flag, text,
		strlen(text));
	return 0;
}

/* --- environment */

static int read_environment(struct options *options, options_getter *get, struct error *e)
{
	for (enum setting s = 0; s < SETTING_COUNT; s++) {
		const struct setting_spec *spec = setting_spec(s);

		/* The first name wins, so it is taken last. */
		for (int i = 1; i >= 0; i--) {
			const char *text = spec->environment[i] != NULL ? get(spec->environment[i]) : NULL;

			if (text != NULL && (*text != '\0' || spec->empty_environment_counts))
				settings_set(&options->settings, s, SETTING_WAY_ENVIRONMENT, spec->environment[i], text,
					strlen(text));
		}
	}
	for (enum option o = 0; o < OPTION_COUNT; o++) {
		for (int i = 1; i >= 0; i--) {
			const char *name = option_spec(o)->environment[i];
			const char *text = name != NULL ? get(name) : NULL;
			int rc = 0;

			if (text != NULL && *text != '\0')
				rc = take_option(options, o, "environment variable ", name, text, e);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

/* --- arguments */

struct arguments {
	char *const *next;
	char *const *end;
};

static int missing_value(struct error *e, const char *flag)
{
	return error_set(e, ENOENT, "flag needs an argument: %s", flag);
}

static int read_long(struct options *options, const char *argument, struct arguments *rest, struct error *e)
{
	const char *name = argument + 2;
	size_t length = strcspn(name, "=");
	struct target target;

	if (!find_flag(name, length, &target))
		return error_set(e, ENOENT, "unknown flag: --%.*s", (int)(length < 64 ? length : 64), name);
	if (name[length] == '=')
		return take(options, &target, name + length + 1, e);
	if (is_switch(&target))
		return take(options, &target, "true", e);
	if (rest->next == rest->end)
		return missing_value(e, argument);
	return take(options, &target, *rest->next++, e);
}

/* One or more letters: switches may stand together, the first that needs a value takes the rest, or the next word. */
static int read_short(struct options *options, const char *argument, struct arguments *rest, struct error *e)
{
	for (const char *letter = argument + 1; *letter != '\0'; letter++) {
		struct target target;
		int rc;

		if (!find_letter(*letter, &target))
			return error_set(e, ENOENT, "unknown shorthand flag: '%c' in %.64s", isprint((unsigned char)*letter)
				? *letter : '?', argument);
		if (letter[1] == '=')
			return take(options, &target, letter + 2, e);
		if (!is_switch(&target) && letter[1] != '\0')
			return take(options, &target, letter + 1, e);
		if (!is_switch(&target) && rest->next == rest->end)
			return error_set(e, ENOENT, "flag needs an argument: '%c' in %.64s", *letter, argument);
		if (!is_switch(&target))
			return take(options, &target, *rest->next++, e);
		rc = take(options, &target, "true", e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int stray(const char *argument, struct error *e)
{
	char quote[ERROR_QUOTE_SIZE];

	return error_set(e, EINVAL, "unexpected argument %s; a switch takes its value as in --dual-stack=true",
		error_quote(quote, argument, strlen(argument)));
}

static int read_arguments(struct options *options, struct arguments rest, struct error *e)
{
	/* In Istio's image the program is a sub-command, whose name templates pass. */
	if (rest.next < rest.end && strcmp(*rest.next, "istio-iptables") == 0)
		rest.next++;
	while (rest.next < rest.end) {
		const char *argument = *rest.next++;
		int rc;

		if (strcmp(argument, "--") == 0)
			return rest.next < rest.end ? stray(*rest.next, e) : 0;
		if (strncmp(argument, "--", 2) == 0)
			rc = read_long(options, argument, &rest, e);
		else if (argument[0] == '-' && argument[1] != '\0')
			rc = read_short(options, argument, &rest, e);
		else
			rc = stray(argument, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* --- what goes together */

/* Whether a text is one of the words that stand between commas. */
static bool is_one_of(const char *text, const char *words)
{
	for (; words != NULL; words = strchr(words, ',') != NULL ? strchr(words, ',') + 1 : NULL)
		if (is_word(words, strcspn(words, ","), text))
			return true;
	return false;
}

static bool is_given(const struct options *options, enum option option)
{
	return option_spec(option)->kind == OPTION_KIND_SWITCH ? options->on[option] : options->text[option] != NULL;
}

static int check_words(const struct options *options, struct error *e)
{
	for (enum option o = 0; o < OPTION_COUNT; o++) {
		const struct option_spec *spec = option_spec(o);
		const char *text = options->text[o];
		char quote[ERROR_QUOTE_SIZE];

		if (!is_given(options, o) || spec->words == NULL || is_one_of(text, spec->words))
			continue;
		/* Templates pass an empty flavour for none. */
		if (o != OPTION_FORCE_IPTABLES_BINARY || *text != '\0')
			return error_set(e, EINVAL, "--%s is %s; valid: %s", spec->flag, error_quote(quote, text, strlen(text)),
				spec->words);
	}
	return 0;
}

/* What the program is to do instead of applying the rules: one thing only, but for the pairs below. */
static const enum option modes[] = {OPTION_EXPLAIN, OPTION_CHECK, OPTION_DIFF, OPTION_DRY_RUN, OPTION_FORMAT,
	OPTION_CLEANUP_ONLY, OPTION_SKIP_RULE_APPLY, OPTION_RUN_VALIDATION};
static const struct pair {
	enum option first;
	enum option second;
} pairs[] = {
	{OPTION_DRY_RUN, OPTION_FORMAT},
	{OPTION_DRY_RUN, OPTION_CLEANUP_ONLY},
	{OPTION_CHECK, OPTION_CLEANUP_ONLY},
	{OPTION_DIFF, OPTION_CLEANUP_ONLY},
	{OPTION_SKIP_RULE_APPLY, OPTION_RUN_VALIDATION},
};

static bool go_together(enum option first, enum option second)
{
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
		if (pairs[i].first == first && pairs[i].second == second)
			return true;
	return false;
}

static int refuse_contradictions(const struct options *options, struct error *e)
{
	static const enum option of_explain[] = {OPTION_UID, OPTION_GID, OPTION_OIF, OPTION_IIF, OPTION_UDP,
		OPTION_SOURCE, OPTION_MARK, OPTION_JSON};
	static const size_t count = sizeof modes / sizeof *modes;

	for (size_t i = 0; i < count; i++)
		for (size_t j = i + 1; j < count; j++)
			if (is_given(options, modes[i]) && is_given(options, modes[j]) && !go_together(modes[i], modes[j]))
				return error_set(e, EINVAL, "--%s and --%s cannot go together", option_spec(modes[i])->flag,
					option_spec(modes[j])->flag);
	for (size_t i = 0; i < sizeof of_explain / sizeof *of_explain; i++)
		if (is_given(options, of_explain[i]) && !is_given(options, OPTION_EXPLAIN))
			return error_set(e, EINVAL, "--%s belongs to --explain", option_spec(of_explain[i])->flag);
	return 0;
}

int options_read(int argc, char *const argv[], options_getter *get, struct options *ret, struct error *e)
{
	int rc;

	*ret = (struct options){.text = {NULL}};
	settings_init_for_flags(&ret->settings);
	rc = read_environment(ret, get, e);
	if (rc == 0)
		rc = read_arguments(ret, (struct arguments){argv + 1, argv + argc}, e);
	if (rc < 0 || ret->on[OPTION_HELP] || ret->on[OPTION_VERSION])
		return rc;
	rc = check_words(ret, e);
	return rc == 0 ? refuse_contradictions(ret, e) : rc;
}

int options_probe_timeout(const struct options *options)
{
	int milliseconds = PROBE_TIMEOUT;

	if (options->text[OPTION_PROBE_TIMEOUT] != NULL)
		(void)read_duration(options->text[OPTION_PROBE_TIMEOUT], &milliseconds);
	return milliseconds;
}

uint16_t options_probe_port(const struct options *options)
{
	const char *text = options->text[OPTION_IPTABLES_PROBE_PORT];
	uint32_t port = PROBE_PORT;

	if (text != NULL)
		(void)value_read_number(text, strlen(text), 1, UINT16_MAX, &port);
	return (uint16_t)port;
}
