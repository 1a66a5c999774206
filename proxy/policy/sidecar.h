/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sidecar: which hosts pods see, and what happens to the others.
 */
#ifndef WEIR_POLICY_SIDECAR_H
#define WEIR_POLICY_SIDECAR_H

#include "proxy/policy/mesh.h"
#include "proxy/policy/reader.h"

/* One host that is imported: "namespace/name". */
struct sidecar_import {
	const char *namespace_; /* "*", a name, or "." for the Sidecar's own */
	const char *host;       /* "*", a name, or a wildcard */
};

struct sidecar_egress {
	int32_t port; /* 0: all ports that have no listener of their own */
	struct sidecar_import *imports;
	size_t import_count;
};

struct sidecar {
	const struct pairs *selector; /* workloadSelector.labels; NULL: all pods of the namespace */
	bool has_mode;
	enum mesh_mode mode;
	struct sidecar_egress *egress; /* none: everything is seen */
	size_t egress_count;
};

/* Reads the spec of a Sidecar into a struct sidecar, and checks it. */
void sidecar_read(struct reader *r, const struct node *node, void *target);

/* Whether a Sidecar of namespace `own` lets its pods see a host of `namespace_` on a port; port 0 is any. */
bool sidecar_imports(const struct sidecar *sidecar, const char *own, const char *namespace_, const char *host,
	uint16_t port);

#endif
