/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a connection or a request goes. Pure: the answer is a matter of the snapshot and the facts alone.
 */
#ifndef WEIR_POLICY_DECIDE_H
#define WEIR_POLICY_DECIDE_H

#include "proxy/policy/name.h"
#include "proxy/policy/policy.h"

/* Names that one address may belong to, as far as they are asked for. */
#define POLICY_NAMES_MAX 32u

enum policy_protocol {
	POLICY_OPAQUE, /* nothing that tells a name, also a server that speaks first, or a client that says nothing */
	POLICY_TLS,
	POLICY_HTTP, /* 1.0 and 1.1: each request for itself */
	POLICY_HTTP2 /* with prior knowledge: passed through whole, decided by the dialled address */
};

/*
 * What is known. Texts need no NUL, and may be NULL where they are absent. Headers that come several times are one text,
 * joined with commas; names of headers are asked for in the case of the resource.
 */
struct policy_facts {
	struct endpoint destination; /* where the application dialled */
	enum policy_protocol protocol;
	const char *name; /* the server name of TLS, or the authority of a request, as received */
	size_t name_length;
	const char *method;
	size_t method_length;
	const char *path; /* with its query */
	size_t path_length;
	uint64_t random; /* for weights and faults */

	/* A request's header, or NULL. The function may be NULL: there are none. */
	const char *(*header)(void *context, const char *name, size_t *ret_length);
	/*
	 * The names, in small letters and NUL-terminated, that resolve to an address right now. Returns how many were
	 * written. Asked only where a TCP entry without addresses, or one for HTTP/2, may be meant; may be NULL.
	 */
	size_t (*names)(void *context, const struct address *address, const char **ret_names, size_t size);
	void *context;
};

enum policy_action {
	POLICY_PASS,      /* on to where the application dialled: PassthroughCluster */
	POLICY_BLOCK,     /* BlackHoleCluster: a reset; HTTP: block_all, `status` */
	POLICY_ROUTE,     /* to one of the cluster's endpoints, or, where it has none by its resolution, as dialled */
	POLICY_REDIRECT,  /* answer with `status` and the location of rewrite_location() */
	POLICY_RESPOND,   /* answer with `status`, and the body of `response` if there is one */
	POLICY_NO_ROUTE,  /* HTTP: no rule of the host matches: `status`, NR route_not_found */
	POLICY_NO_CLUSTER /* the rule names a destination that nobody declares: `status`, NC cluster_not_found */
};

/* Plain data; all that it points to belongs to the snapshot. */
struct policy_decision {
	enum policy_action action;
	bool would_block; /* AUDIT: REGISTRY_ONLY would have blocked it */
	bool whole;       /* decided for the connection, whatever its bytes are: pass it through as it is */
	enum mesh_verify verify; /* whether the dialled address must be one of the name's; MESH_VERIFY_OFF: not here */
	const struct policy_cluster *cluster; /* POLICY_ROUTE */
	const char *cluster_name;             /* as it is logged; NULL: "-" */
	const char *route_name;               /* the same */

	/* HTTP only, from here on. */
	bool is_traced;        /* with x-envoy-decorator-operation: policy_operation() */
	const char *operation; /* a route's; NULL: the cluster's */
	uint16_t status;
	int64_t timeout; /* of the whole request, in nanoseconds; 0: none */
	const struct route_retries *retries;      /* NULL: none */
	const struct route_headers *headers[2];   /* apply in order; operations on the authority are left out, see below */
	size_t header_count;
	const char *authority;                    /* instead of the request's; NULL: that one */
	const struct route_rewrite *rewrite;      /* see rewrite_path(); NULL: none */
	size_t matched;                           /* bytes of the path that the rule's prefix took */
	const struct route_redirect *redirect;
	const struct direct_response *response;
	int64_t fault_delay;           /* nanoseconds to wait first; 0: none */
	uint16_t fault_status;         /* then abort with this; 0: no */
	struct number fault_grpc_status; /* and with this, instead of what gRPC makes of `fault_status` */

	unsigned probes; /* places that were looked at, which does not grow with the number of entries */
};

/* Bytes of the operation that a cluster has, with its NUL. */
#define POLICY_OPERATION_SIZE (NAME_LENGTH_MAX + sizeof ":65535/*")

/*
 * What x-envoy-decorator-operation says of a decision: the route's text, which is the snapshot's, or else host, port and
 * any path, in `out`. NULL: nothing.
 */
const char *policy_operation(const struct policy_decision *decision, char out[POLICY_OPERATION_SIZE]);

/* Decides. */
void policy_decide(const struct policy *policy, const struct policy_facts *facts, struct policy_decision *ret_decision);

#endif
