/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DestinationRule: TLS towards a host, limits and timeouts of the connections there.
 */
#ifndef WEIR_POLICY_DESTINATION_RULE_H
#define WEIR_POLICY_DESTINATION_RULE_H

#include "proxy/policy/reader.h"

enum destination_tls_mode { DESTINATION_TLS_DISABLE, DESTINATION_TLS_SIMPLE, DESTINATION_TLS_MODE_COUNT };

struct destination_tls {
	enum destination_tls_mode mode;
	const char *sni;             /* NULL: the request's host */
	const char *ca_certificates; /* a file; NULL: the system's */
	struct texts subject_alt_names; /* none: the request's host */
	bool insecure_skip_verify;
	bool is_unusable; /* asks for what the proxy does not do: nothing is sent */
};

/* Limits that are not set, or zero, are not there. */
struct destination_pool {
	struct number max_connections;
	struct duration connect_timeout;
	struct duration max_connection_duration;
	struct duration tcp_idle_timeout;
	bool keepalive;
	struct number keepalive_probes;
	struct duration keepalive_time;
	struct duration keepalive_interval;
	struct number max_pending_requests;
	struct number max_requests;
	struct number max_requests_per_connection;
	struct number max_retries;
	struct duration http_idle_timeout;
};

struct traffic_policy {
	const struct destination_tls *tls;   /* NULL: none; in a cluster's, DISABLE is none, too */
	const struct destination_pool *pool; /* NULL: none */
};

struct port_traffic_policy {
	int32_t port;
	struct traffic_policy policy;
};

/* The settings of a port stand instead of the host's, whole. */
struct host_traffic_policy {
	struct traffic_policy all;
	struct port_traffic_policy *ports;
	size_t port_count;
};

struct destination_subset {
	const char *name;
	struct pairs labels;
	struct host_traffic_policy policy;
};

struct destination_rule {
	const char *host; /* small letters, without a dot at the end; may be a wildcard */
	struct host_traffic_policy policy;
	struct destination_subset *subsets;
	size_t subset_count;
	struct texts export_to;
	const struct pairs *selector; /* workloadSelector.matchLabels; NULL: all */
};

/* Reads the spec of a DestinationRule into a struct destination_rule, and checks it. */
void destination_rule_read(struct reader *r, const struct node *node, void *target);

/* The subset of a name, or NULL. */
const struct destination_subset *destination_rule_subset(const struct destination_rule *rule, const char *name);

/* Whether a pool (NULL: none) limits what all connections of a destination have in common. */
bool destination_pool_is_limited(const struct destination_pool *pool);

/* What holds for a port of the host, and of the subset if there is one (NULL: none). */
struct traffic_policy destination_rule_policy(const struct destination_rule *rule, const struct destination_subset *subset,
	uint16_t port);

#endif
