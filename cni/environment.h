/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the runtime says in the environment: the verb, the container, its namespace, and in CNI_ARGS the pod's names
 * (CNI spec 1.1.0, section 2).
 */
#ifndef WEIR_CNI_ENVIRONMENT_H
#define WEIR_CNI_ENVIRONMENT_H

#include "redirect/base/error.h"

#include <stddef.h>

/* Bytes of a pod's name or namespace with their NUL: 253 is Kubernetes' limit. */
#define ENVIRONMENT_NAME_SIZE 256

enum environment_verb {
	VERB_NONE, /* CNI_COMMAND is not set: somebody calls the plugin by hand */
	VERB_ADD,
	VERB_DEL,
	VERB_CHECK,
	VERB_GC,
	VERB_STATUS,
	VERB_VERSION,
	VERB_COUNT
};

struct environment {
	enum environment_verb verb;
	const char *container_id; /* borrowed from the process's environment; "" when absent */
	const char *netns;
	const char *ifname;
	char pod_name[ENVIRONMENT_NAME_SIZE]; /* "" when unknown */
	char pod_namespace[ENVIRONMENT_NAME_SIZE];
};

/* Looks a variable up; getenv(3), or a test's own. */
typedef char *environment_getter(const char *name);

/*
 * Reads the environment and checks what the verb needs. Returns 0 or -EINVAL, with `ret->verb` set whenever it could be
 * told; the text names every variable that is missing or wrong.
 */
int environment_read(environment_getter *get, struct environment *ret, struct error *e);

/* The verb as it is spelled in CNI_COMMAND. */
const char *environment_verb_name(enum environment_verb verb);

#endif
