/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/capture.h"

#include <stddef.h>
#include <strings.h>

bool capture_means_no(const char *text)
{
	static const char *const words[] = {"false", "0", "f", "no", "n", "off"};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcasecmp(text, words[i]) == 0)
			return true;
	return false;
}

static enum capture_decision decide_missing(enum capture_missing missing, const char **ret_reason)
{
	switch (missing) {
	case CAPTURE_MISSING_CAPTURE:
		*ret_reason = "the runtime passed no annotations, and missingAnnotations is \"capture\"";
		return CAPTURE_YES;
	case CAPTURE_MISSING_ERROR:
		*ret_reason = "the runtime passed no annotations, and missingAnnotations is \"error\"";
		return CAPTURE_UNKNOWN;
	default:
		*ret_reason = "the runtime passed no annotations, and missingAnnotations is \"skip\"";
		return CAPTURE_NO;
	}
}

enum capture_decision capture_decide(enum capture_mode mode, enum capture_missing missing,
	const struct capture_facts *facts, const char **ret_reason)
{
	const char *no = facts->namespace_excluded  ? "its namespace is in excludeNamespaces"
			 : facts->inject_false      ? "sidecar.istio.io/inject says no"
			 : facts->interception_none ? "interceptionMode is NONE"
						    : NULL;

	if (no != NULL) {
		*ret_reason = no;
		return CAPTURE_NO;
	}
	if (mode == CAPTURE_MODE_ALL) {
		*ret_reason = "capture is \"all\"";
		return CAPTURE_YES;
	}
	if (!facts->annotations_passed)
		return decide_missing(missing, ret_reason);
	if (facts->stamped) {
		*ret_reason = "an injector has stamped it";
		return CAPTURE_YES;
	}
	if (mode == CAPTURE_MODE_ANNOTATED && facts->annotated) {
		*ret_reason = "it is annotated";
		return CAPTURE_YES;
	}
	*ret_reason = mode == CAPTURE_MODE_INJECTED ? "no injector has stamped it, and capture is \"injected\""
						    : "it carries no annotation of weir's";
	return CAPTURE_NO;
}
