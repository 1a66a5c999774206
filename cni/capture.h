/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which pods are captured. Pure: what is known of a pod goes in, a decision with its reason comes out.
 */
#ifndef WEIR_CNI_CAPTURE_H
#define WEIR_CNI_CAPTURE_H

#include <stdbool.h>

/* The configuration's `capture`. */
enum capture_mode {
	CAPTURE_MODE_ANNOTATED, /* pods with an annotation of weir's, or an injector's stamp */
	CAPTURE_MODE_INJECTED,  /* stamped pods only */
	CAPTURE_MODE_ALL,
};

/* The configuration's `missingAnnotations`: what to do where the runtime passes no annotations at all. */
enum capture_missing {
	CAPTURE_MISSING_SKIP,
	CAPTURE_MISSING_CAPTURE,
	CAPTURE_MISSING_ERROR,
};

/* What is known of a pod. */
struct capture_facts {
	bool namespace_excluded;
	bool annotations_passed; /* the runtime passed annotations, if only an empty object */
	bool annotated;          /* with one that weir reads */
	bool stamped;            /* by an injector */
	bool inject_false;       /* sidecar.istio.io/inject says no */
	bool interception_none;  /* interceptionMode is NONE */
};

enum capture_decision {
	CAPTURE_NO,
	CAPTURE_YES,
	CAPTURE_UNKNOWN, /* without annotations, and the configuration calls that an error */
};

/* Decides. `*ret_reason` is a text that never changes. */
enum capture_decision capture_decide(enum capture_mode mode, enum capture_missing missing,
	const struct capture_facts *facts, const char **ret_reason);

/* Whether the value of sidecar.istio.io/inject means no. */
bool capture_means_no(const char *text);

#endif
