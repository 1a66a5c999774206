/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The making of a snapshot; for the build*.c files alone.
 *
 * Resources come by age, those of the pod's own namespace first, and the first of two that say something of one thing
 * holds. First the clusters are made out of ServiceEntries, with what DestinationRules say of them (build_cluster.c); then
 * VirtualServices and HTTPRoutes are found by host (build.c) and compiled for each port (build_route.c); then each
 * cluster is put where it will be looked for (build_host.c).
 */
#ifndef WEIR_POLICY_BUILD_H
#define WEIR_POLICY_BUILD_H

#include "proxy/policy/policy.h"

/* An HTTPRoute that has a host's ServiceEntry as its parent. */
struct build_attachment {
	struct build_attachment *next;
	const struct store_item *item;
	int32_t port; /* 0: all */
};

/* A host, with all its ports. */
struct build_group {
	const char *host;
	const struct store_item *owner; /* the first ServiceEntry that declares it */
	struct policy_cluster *first;
	struct policy_cluster *last;
	struct build_attachment *attachments; /* in order */
	struct build_attachment *last_attachment;
};

/* A ServiceEntry, by its name. */
struct build_entry {
	const struct store_item *item;
};

/* DestinationRules of one host, of one namespace each. */
struct build_rule {
	struct build_rule *next;
	const struct store_item *item;
};

/* The VirtualService that holds for a host. */
struct build_service {
	const struct store_item *item;
	bool used;
};

enum build_class { BUILD_HTTP, BUILD_TLS, BUILD_TCP, BUILD_CLASS_COUNT };

struct builder {
	struct policy *policy;
	const struct policy_options *options;
	const struct mesh *mesh;
	struct report *report;
	const struct store_item **items; /* in order */
	size_t item_count;
	const struct store_item *sidecar; /* NULL: none */
	struct arena scratch;
	struct host_index groups;   /* struct build_group by host */
	struct host_index clusters; /* struct policy_cluster by host and port; subsets as "subset|host" */
	struct host_index entries;  /* struct build_entry by "namespace/name" */
	struct host_index rules[2]; /* struct build_rule by host: of the pod's own namespace, and of others */
	struct host_index services[BUILD_CLASS_COUNT]; /* struct build_service by host */
	struct host_index resolved; /* the names of policy.resolve */
	size_t cluster_capacity;
	size_t resolve_capacity;
};

/* Reports something about a resource. */
void build_warn(struct builder *b, const struct store_item *item, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Makes the clusters of a ServiceEntry. These return 0 or -ENOMEM. */
int build_clusters(struct builder *b, const struct store_item *item);

/* Notes a DestinationRule. */
int build_rule(struct builder *b, const struct store_item *item);

/* The cluster that a route means, on a port of its own; NULL where nobody declares it. */
int build_destination(struct builder *b, const struct destination *destination, uint16_t port,
	const struct policy_cluster **ret_cluster);

/* Compiles the http rules of a VirtualService, or else of a group's HTTPRoutes, for a port. */
int build_service_routes(struct builder *b, const struct store_item *item, uint16_t port, struct policy_rules *rules);
int build_attached_routes(struct builder *b, const struct build_group *group, uint16_t port, struct policy_rules *rules);

/* Compiles tls or tcp rules of a VirtualService for a port. */
int build_streams(struct builder *b, const struct store_item *item, enum build_class class, uint16_t port,
	struct policy_rules *rules);

/* Puts the group's clusters into the snapshot's indexes. */
int build_hosts(struct builder *b, const struct build_group *group);

/* Puts a VirtualService's host there that no ServiceEntry declares by itself. */
int build_service_host(struct builder *b, const char *host, enum build_class class, struct build_service *service);

#endif
