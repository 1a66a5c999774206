/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan as JSON, for programs that want to know what would be done without reading rules.
 */
#ifndef WEIR_PLAN_JSON_H
#define WEIR_PLAN_JSON_H

#include "redirect/plan/plan.h"

#include <stdio.h>

/*
 * Writes one JSON object: how traffic is intercepted, and every list by the name of its set, as texts in nft's spelling.
 * The caller looks at ferror(out).
 */
void plan_write_json(const struct redirect_plan *plan, FILE *out);

#endif
