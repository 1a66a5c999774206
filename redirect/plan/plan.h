/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan: what is to be redirected and what is let through, as plain data. No text of the user is left in it, so
 * equal settings give equal plans, whichever way they came.
 */
#ifndef WEIR_PLAN_H
#define WEIR_PLAN_H

#include "redirect/base/error.h"
#include "redirect/base/interval.h"
#include "redirect/plan/setting.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Warnings that one plan can give, and bytes of each. There are fewer combinations than this. */
#define PLAN_WARNING_MAX 16
#define PLAN_WARNING_SIZE 256

enum plan_interception {
	PLAN_INTERCEPTION_NONE, /* nothing is to be programmed */
	PLAN_INTERCEPTION_REDIRECT,
};

enum plan_list {
	PLAN_PROXY_UIDS,
	PLAN_PROXY_GIDS,
	PLAN_EXCLUDED_INTERFACES,
	PLAN_EXCLUDED_PORTS,
	PLAN_INCLUDED_PORTS,
	PLAN_EXCLUDED_IPV4,
	PLAN_EXCLUDED_IPV6,
	PLAN_INCLUDED_IPV4,
	PLAN_INCLUDED_IPV6,
	PLAN_LIST_COUNT
};

struct redirect_plan {
	enum plan_interception interception;
	uint16_t proxy_port;      /* where captured connections go */
	bool include_everything;  /* includeOutboundIPRanges is "*" */
	bool include_loopback;    /* an included range begins on loopback: pod-local connections are looked at too */
	struct interval loopback; /* IPv4 destinations that always stay in the pod, 4-byte keys */
	struct interval_list lists[PLAN_LIST_COUNT]; /* merged */
};

/* What plan_build() has to say beside the plan. */
struct plan_report {
	struct error error;       /* why it failed */
	enum setting_way way;     /* how the setting at fault came */
	size_t warning_count;
	char warnings[PLAN_WARNING_MAX][PLAN_WARNING_SIZE];
};

/*
 * Reads the settings. A wrong item, a value that this version does not do, is an error that names the setting, the item
 * and what would be valid; a combination that has no effect is a warning. On success the caller frees the plan; on
 * failure there is none. Returns 0, -EINVAL, -E2BIG or -ENOMEM. `report` is filled in either way.
 */
int plan_build(const struct settings *settings, struct redirect_plan *ret_plan, struct plan_report *report);

/* Frees the lists. */
void plan_free(struct redirect_plan *plan);

/* Whether two plans ask for the same. */
bool plan_equal(const struct redirect_plan *a, const struct redirect_plan *b);

#endif
