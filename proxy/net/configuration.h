/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the proxy was told, in versions: the mesh settings (--mesh-config) and the resources (--config-dir). A version
 * never changes. Workers take up the newest between two batches of events. A request keeps the one that it began with; a
 * connection that is relayed goes over to a newer one that says the same of it, so that the old ones can go.
 */
#ifndef WEIR_PROXY_CONFIGURATION_H
#define WEIR_PROXY_CONFIGURATION_H

#include "proxy/log/format.h"
#include "proxy/net/circuit.h"
#include "proxy/net/notices.h"
#include "proxy/policy/labels.h"
#include "proxy/policy/loader.h"
#include "proxy/policy/mesh.h"
#include "proxy/policy/policy.h"
#include "proxy/tls/context.h"
#include "redirect/base/error.h"

#include <pthread.h>
#include <stdatomic.h>

struct configuration {
	_Atomic unsigned references;
	uint64_t number; /* counts up */
	struct policy *policy; /* owned reference */
	struct format *format; /* of the access log; owned reference */
	struct arena arena;    /* of the mesh's texts */
	struct mesh mesh;
	struct configuration_tls *tls; /* owned: one for each block that asks for TLS */
	size_t tls_count;
	struct circuit **circuits; /* owned: a reference for each of the policy's clusters that has limits */
};

struct configuration_tls {
	const struct destination_tls *settings; /* of the policy */
	struct tls_context *context;            /* reference; NULL: it cannot be had, which was said */
};

/* The context for a cluster's TLS, or NULL. */
struct tls_context *configuration_find_tls(const struct configuration *configuration, const struct destination_tls *settings);

/* The circuit of a cluster, which may be NULL; or NULL: it has no limits. */
struct circuit *configuration_find_circuit(const struct configuration *configuration,
	const struct policy_cluster *cluster);

/*
 * The files that the TLS of this version's clusters was made of, and will be made of again. Returns how many; the caller
 * frees the array, not the names, or it is NULL without memory.
 */
size_t configuration_files(const struct configuration *configuration, const char ***ret_files);

/* Takes a reference more, or gives one back; NULL is allowed. */
struct configuration *configuration_ref(struct configuration *configuration);
void configuration_unref(struct configuration *configuration);

/* Reads the file of the pod's labels (--pod-labels), into an arena. Returns 0 or -errno. */
int configuration_read_labels(struct arena *arena, const char *path, struct pairs *ret_labels, struct error *e);

/* Where versions come from, and the newest one. The files are read by one thread alone. */
struct configuration_source {
	const char *mesh_path; /* NULL: none */
	const char *directory; /* NULL: none */
	struct policy_options options;
	struct loader loader;
	struct store store;
	struct circuits circuits;
	uint64_t mesh_content; /* a hash of what was read, good or bad, or of why it could not be */
	char *mesh_text;       /* owned: the last good one; NULL: the defaults */
	size_t mesh_length;
	struct notices notices; /* about the newest version */
	bool is_stale;         /* the newest version lacks something that was read */
	uint64_t problems;     /* resources and settings that were refused so far */
	pthread_mutex_t lock;
	struct configuration *newest;    /* reference; NULL: there is no configuration, everything passes */
	_Atomic uint64_t number;         /* of the newest */
};

/*
 * Reads both for the first time. Mesh settings that cannot be used, or a directory that cannot be read, are an error;
 * resources that are refused are told on stderr. Returns 0 or -errno; configuration_close() is due in either case.
 */
int configuration_open(struct configuration_source *source, const char *mesh_path, const char *directory,
	const struct policy_options *options, struct error *e);

/*
 * Reads what has changed, and makes a new version of it; mesh settings that have become bad are told, and stay as they
 * were. Returns 1 where there is a new version, 0, or -errno (the newest is as it was).
 */
int configuration_scan(struct configuration_source *source, struct error *e);

/* The newest version's number, for the price of a load; 0: none. */
uint64_t configuration_number(const struct configuration_source *source);

/* A reference to the newest version, or NULL. */
struct configuration *configuration_newest(struct configuration_source *source);

/* Frees what the source holds. */
void configuration_close(struct configuration_source *source);

#endif
