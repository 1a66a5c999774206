/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Combinations of settings that do not do what a user may think they do.
 */
#ifndef WEIR_PLAN_WARN_H
#define WEIR_PLAN_WARN_H

#include "redirect/plan/plan.h"

/* Adds a warning to the report. */
void plan_warn(struct plan_report *report, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Warns of what a user would take for a protection or a bypass, and is none. */
void plan_warn_of_no_effect(const struct settings *settings, const struct redirect_plan *plan,
	struct plan_report *report);

#endif
