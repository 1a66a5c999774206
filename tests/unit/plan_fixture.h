/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tests of the plan share: settings in by any way, and the plan's lists as text.
 */
#ifndef WEIR_TESTS_PLAN_FIXTURE_H
#define WEIR_TESTS_PLAN_FIXTURE_H

#include "redirect/base/address.h"
#include "redirect/plan/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Of the last plan that was built. */
static struct plan_report report;

static inline void set(struct settings *settings, enum setting setting, enum setting_way way, const char *text)
{
	const struct setting_spec *spec = setting_spec(setting);
	const char *spelling = way == SETTING_WAY_ANNOTATION      ? spec->annotation
			       : way == SETTING_WAY_CONFIGURATION ? spec->key
			       : way == SETTING_WAY_FLAG          ? spec->flag
								  : spec->environment[0];

	settings_set(settings, setting, way, spelling, text, strlen(text));
}

static inline bool has_way(enum setting setting, enum setting_way way)
{
	const struct setting_spec *spec = setting_spec(setting);

	switch (way) {
	case SETTING_WAY_ANNOTATION:
		return spec->annotation != NULL;
	case SETTING_WAY_CONFIGURATION:
		return spec->key != NULL;
	case SETTING_WAY_FLAG:
		return spec->flag != NULL;
	case SETTING_WAY_ENVIRONMENT:
		return spec->environment[0] != NULL;
	default:
		return false;
	}
}

/* A merged list as text: ranges of numbers, or of addresses. */
static inline const char *list_text(const struct interval_list *list)
{
	static char text[1024];
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < list->count; i++) {
		char bounds[2][ADDRESS_TEXT_SIZE];

		for (int b = 0; b < 2; b++) {
			const uint8_t *key = b == 0 ? list->items[i].first : list->items[i].last;
			struct address address = {.bytes = {[10] = 0xff, [11] = 0xff}};

			if (list->key_size == 2)
				(void)snprintf(bounds[b], sizeof *bounds, "%d", key[0] << 8 | key[1]);
			else if (list->key_size == 4)
				memcpy(address.bytes + 12, key, 4);
			else
				memcpy(address.bytes, key, 16);
			if (list->key_size != 2)
				(void)address_format(bounds[b], &address);
		}
		used += (size_t)snprintf(text + used, sizeof text - used, "%s%s-%s", i > 0 ? " " : "", bounds[0], bounds[1]);
	}
	return text;
}

static inline void build(const struct settings *settings, struct redirect_plan *plan)
{
	int rc = plan_build(settings, plan, &report);

	if (rc < 0)
		fail_msg("%s", report.error.text);
}

#endif
