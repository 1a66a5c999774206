/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What configuration and annotations say of one pod: whether it is captured, and the plan of its rules.
 */
#ifndef WEIR_CNI_POD_H
#define WEIR_CNI_POD_H

#include "cni/capture.h"
#include "cni/config.h"
#include "cni/reply.h"
#include "redirect/plan/plan.h"
#include "redirect/plan/setting.h"

/* What the decision about a pod of that namespace asks for. */
struct capture_facts pod_facts(const struct config *config, const char *namespace);

/* Gives the settings their texts: defaults, and the pod's annotations in their place. Borrows the texts. */
void pod_fill_settings(const struct config *config, struct settings *settings);

/*
 * Makes the plan, with the lists that stand in files. Returns 0, and the caller frees the plan; or -errno with `reply`
 * filled in. The warnings of `report` are there either way.
 */
int pod_plan(const struct config *config, struct redirect_plan *ret_plan, struct plan_report *report,
	struct reply *reply);

#endif
