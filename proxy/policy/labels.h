/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The labels of the pod, as the Downward API writes them into a file: NAME="VALUE", one a line. Pure.
 */
#ifndef WEIR_POLICY_LABELS_H
#define WEIR_POLICY_LABELS_H

#include "proxy/policy/reader.h"
#include "redirect/base/error.h"

/* Labels of one pod. */
#define LABELS_MAX 1000u

/* Reads a file's text; the labels are in `arena`. Returns 0, -EINVAL with the line, -E2BIG or -ENOMEM. */
int labels_read(struct arena *arena, const char *text, size_t length, struct pairs *ret_labels, struct error *e);

#endif
