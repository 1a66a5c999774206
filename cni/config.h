/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the runtime sends on stdin: the plugin's entry of the conflist, the result of the plugins before it, and the
 * pod's annotations.
 */
#ifndef WEIR_CNI_CONFIG_H
#define WEIR_CNI_CONFIG_H

#include "cni/capture.h"
#include "cni/log.h"
#include "cni/reply.h"
#include "redirect/plan/setting.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* The versions of the specification, in their order. */
enum config_version {
	CONFIG_VERSION_UNKNOWN,
	CONFIG_VERSION_0_3_0,
	CONFIG_VERSION_0_3_1,
	CONFIG_VERSION_0_4_0,
	CONFIG_VERSION_1_0_0,
	CONFIG_VERSION_1_1_0,
};

struct json_object;

struct config {
	struct json_object *root;        /* owned; all texts below live in it */
	struct json_object *annotations; /* an object, or NULL: none were passed */
	struct json_object *prev_result; /* an object, or NULL */
	enum config_version version;
	const char *version_text; /* as given; the newest version's where it is missing or unknown */
	enum capture_mode capture;
	enum capture_missing missing;
	struct json_object *exclude_namespaces; /* an array of strings, or NULL */
	const char *log_file;                   /* NULL: not given */
	enum log_level log_level;
	char *defaults[SETTING_COUNT]; /* owned; NULL: not given */
};

/* Reads all of `in` and decodes it. Nothing but the version is looked at. Returns 0, or -errno with `reply` filled in. */
int config_read(struct config *config, FILE *in, struct reply *reply);

/* Reads the keys, refusing what is unknown or of a wrong type. Returns 0, or -EINVAL with `reply` filled in. */
int config_check(struct config *config, struct reply *reply);

/* Takes what can be taken for the log, and complains of nothing: for DEL, which must not fail. */
void config_read_log(struct config *config);

/* Frees everything. */
void config_free(struct config *config);

/* Whether excludeNamespaces holds the namespace. */
bool config_excludes(const struct config *config, const char *name);

/* An annotation's text, NUL-terminated, with its length; NULL when the pod does not carry it. */
const char *config_annotation(const struct config *config, const char *key, size_t *ret_length);

/* Calls `tell` for each annotation below weir's or Istio's traffic prefix that no setting has. */
void config_unknown_annotations(const struct config *config, void (*tell)(void *context, const char *key),
	void *context);

#endif
