/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot: everything that decides, ready to be looked up. It is never changed; a reload makes another one, and those
 * who still need the old one keep a reference. Any thread may read it, and give references back.
 */
#ifndef WEIR_POLICY_POLICY_H
#define WEIR_POLICY_POLICY_H

#include "proxy/policy/host_index.h"
#include "proxy/policy/prefix_index.h"
#include "proxy/policy/store.h"

/* What is declared for a port, whatever the host. */
enum policy_port {
	POLICY_PORT_HTTP = 1 << 0,
	POLICY_PORT_TLS = 1 << 1,
	POLICY_PORT_TCP = 1 << 2,
	POLICY_PORT_UNSET = 1 << 3 /* an entry without a protocol; HTTP and TCP are set, too */
};

/* Where to dial: an address, a name to resolve, or the path of a Unix socket. */
struct policy_endpoint {
	const char *name;      /* NULL: it is an address */
	const char *unix_path; /* NULL: it is none */
	struct address address;
	uint16_t port;
	uint32_t weight;
};

/* A host's port, as a ServiceEntry declares it. */
struct policy_cluster {
	const char *name; /* "outbound|80||httpbin.org" */
	const char *host;
	const char *subset;    /* "": none */
	const char *operation; /* host, port and path as x-envoy-decorator-operation tells them */
	const char *namespace_; /* of the ServiceEntry, and its name */
	const char *entry_name;
	const struct service_entry *entry;
	const struct policy_endpoint *endpoints; /* none with resolution NONE: the application's destination is dialled */
	uint32_t endpoint_count;
	uint16_t port;
	uint16_t target_port; /* of the dialled destination with resolution NONE; 0: as dialled */
	enum service_protocol protocol;
	enum service_resolution resolution;
	struct traffic_policy traffic;
	struct policy_cluster *next; /* another port of the host, or NULL */
};

/* One destination of a route. */
struct policy_share {
	const struct policy_cluster *cluster; /* NULL: nobody declares it */
	uint32_t weight;
	const struct route_headers *headers; /* NULL: none */
};

struct policy_shares {
	const struct policy_share *items;
	size_t count;
	uint32_t total; /* of the weights */
};

/* One match of an HTTP rule, or a rule without a match. */
struct policy_route {
	const struct http_rule *rule;
	const struct http_match *match; /* NULL: every request */
	struct policy_shares shares;
	const char *name;        /* NULL: none */
	const char *operation;   /* NULL: nothing is sent on */
	uint16_t missing_status; /* where the chosen destination is not declared */
};

/* One match of a TLS or TCP rule, or a rule without a match. */
struct policy_stream {
	const struct stream_match *match; /* NULL: every connection */
	struct policy_shares shares;
};

/* What decides for a host and port. */
struct policy_host {
	const struct policy_cluster *cluster; /* NULL: only routes say where to */
	const struct policy_route *routes;    /* in order; none: the cluster, with the default route */
	const struct policy_stream *streams;  /* in order; none: the cluster */
	size_t route_count;
	size_t stream_count;
	bool has_streams;          /* TLS: only the streams' names count */
	const struct subnet *only; /* TLS: only to these ranges; NULL: to any address */
	size_t only_count;
};

struct policy {
	struct arena arena;
	struct batch **batches; /* references */
	size_t batch_count;
	enum mesh_mode mode;
	enum mesh_verify verify;
	bool tracing;
	struct host_index http;       /* by host, of requests */
	struct host_index tls;        /* by server name */
	struct host_index tcp_names;  /* by the name that the dialled address belongs to */
	struct host_index http_names; /* the same for HTTP/2 that is passed through whole */
	struct prefix_index addresses;      /* by declared address: TCP, and TLS */
	struct prefix_index http_addresses; /* for HTTP/2 */
	const char **resolve; /* names that must be resolved before anybody asks for them */
	size_t resolve_count;
	struct policy_cluster **clusters; /* all of them, by age */
	size_t cluster_count;
	uint8_t *ports[256]; /* enum policy_port, or-ed: by the port's high byte, and then by its low one; NULL: none */
	_Atomic unsigned references;
};

/* Who the proxy works for. */
struct policy_options {
	const char *namespace_; /* --namespace */
	struct pairs labels;    /* of the pod */
};

/*
 * Makes a snapshot of what a store holds. Conflicts between resources, and what has no effect, are reported. Returns NULL
 * only when memory is out; the caller owns one reference.
 */
struct policy *policy_build(const struct store *store, const struct mesh *mesh, const struct policy_options *options,
	struct report *report);

/* Takes a reference more. Returns the policy. */
struct policy *policy_ref(struct policy *policy);

/* Gives a reference back; NULL is allowed. */
void policy_unref(struct policy *policy);

/*
 * What is declared for a port: enum policy_port, or-ed. Where an HTTP or TLS entry owns it, the client's first bytes are
 * waited for.
 */
unsigned policy_port_owners(const struct policy *policy, uint16_t port);

/* Bytes of memory that the snapshot itself takes, without the resources that it shares. */
size_t policy_size(const struct policy *policy);

#endif
