/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ServiceEntry: hosts outside the mesh, and how they are reached.
 */
#ifndef WEIR_POLICY_SERVICE_ENTRY_H
#define WEIR_POLICY_SERVICE_ENTRY_H

#include "proxy/policy/reader.h"
#include "proxy/policy/subnet.h"

enum service_protocol {
	SERVICE_UNSET, /* told by the first bytes */
	SERVICE_HTTP,
	SERVICE_HTTP2,
	SERVICE_GRPC,
	SERVICE_GRPC_WEB,
	SERVICE_HTTP_PROXY,
	SERVICE_HTTPS,
	SERVICE_TLS,
	SERVICE_TCP,
	SERVICE_MONGO,
	SERVICE_MYSQL,
	SERVICE_REDIS,
	SERVICE_UDP,
	SERVICE_PROTOCOL_COUNT
} __attribute__((packed));

enum service_resolution {
	SERVICE_NONE,            /* where the application dialled */
	SERVICE_STATIC,          /* the endpoints' addresses */
	SERVICE_DNS,             /* all addresses of the host, or of the endpoints' names */
	SERVICE_DNS_ROUND_ROBIN, /* the first address of the newest answer */
	SERVICE_RESOLUTION_COUNT
} __attribute__((packed));

struct service_port {
	const char *name;
	int32_t number;
	int32_t target_port; /* 0: the same */
	enum service_protocol protocol;
};

/* How the address of a Unix socket begins. */
#define SERVICE_UNIX_PREFIX "unix://"

struct service_endpoint_port {
	const char *name;
	int32_t number;
};

struct service_endpoint {
	const char *address; /* IP, name, or "unix:///path", which is not dialled */
	struct service_endpoint_port *ports;
	size_t port_count;
	struct pairs labels;
	int32_t weight;
};

/* There are thousands of them: SERVICE_ENTRY_SIZE_MAX. */
struct service_entry {
	struct texts hosts;     /* small letters, without a dot at the end */
	struct subnet *subnets; /* addresses */
	struct service_port *ports;
	struct service_endpoint *endpoints;
	struct texts export_to;
	uint16_t subnet_count;
	uint16_t port_count;
	uint16_t endpoint_count;
	enum service_resolution resolution;
	bool is_external : 1;    /* location */
	bool has_range : 1;      /* one of the addresses is written with the length of a prefix */
	bool has_selector : 1;   /* workloadSelector */
	bool selects_labels : 1; /* and it names some */
};

/* Bytes of an entry without what it points to. */
#define SERVICE_ENTRY_SIZE_MAX 64u

/* Hosts, addresses and ports of one entry, as in Kubernetes' schema of it. */
#define SERVICE_ENTRY_ITEM_MAX 256u

/* How a protocol is recognised on the wire. */
bool service_protocol_is_http(enum service_protocol protocol);
bool service_protocol_is_tls(enum service_protocol protocol);
bool service_protocol_is_tcp(enum service_protocol protocol);

/* Whether an endpoint is a Unix socket. The proxy's sandbox has sockets of IP alone: nobody dials it. */
bool service_endpoint_is_unix(const struct service_endpoint *endpoint);

/* The resolution's name. */
const char *service_resolution_name(enum service_resolution resolution);

/* Reads the spec of a ServiceEntry into a struct service_entry, and checks it. */
void service_entry_read(struct reader *r, const struct node *node, void *target);

/* What service_entry_read() checks at the end: everything that takes more than one field, or Istio's words. */
void service_entry_check(struct reader *r, struct service_entry *entry);

#endif
