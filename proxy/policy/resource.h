/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resources of any kind: what they are called, and where they stand.
 */
#ifndef WEIR_POLICY_RESOURCE_H
#define WEIR_POLICY_RESOURCE_H

#include "proxy/policy/destination_rule.h"
#include "proxy/policy/http_route.h"
#include "proxy/policy/service_entry.h"
#include "proxy/policy/sidecar.h"
#include "proxy/policy/virtual_service.h"

enum resource_kind {
	RESOURCE_SERVICE_ENTRY,
	RESOURCE_VIRTUAL_SERVICE,
	RESOURCE_HTTP_ROUTE,
	RESOURCE_DESTINATION_RULE,
	RESOURCE_SIDECAR,
	RESOURCE_KIND_COUNT
};

/* Plain data in the arena of its file. */
struct resource {
	enum resource_kind kind : 8;
	bool refused; /* only its name, kind and namespace count */
	unsigned line;
	const char *namespace_;
	const char *name;
	union {
		const struct service_entry *service_entry;
		const struct virtual_service *virtual_service;
		const struct http_route *http_route;
		const struct destination_rule *destination_rule;
		const struct sidecar *sidecar;
	};
};

enum resource_result {
	RESOURCE_READ,    /* it is there, and good */
	RESOURCE_REFUSED, /* its name is there, as far as it could be read (NULL otherwise), but it must not be used */
	RESOURCE_OTHER    /* a kind that is not weir's */
};

/* The kind's name. */
const char *resource_kind_name(enum resource_kind kind);

/* The items of a document of kind List, or of SomethingList; NULL for anything else. */
const struct node *resource_list_items(const struct node *root);

/*
 * Reads one resource out of its tree. The reader has arena, report, file and namespace; what is wrong is reported.
 */
enum resource_result resource_read(struct reader *r, const struct node *root, struct resource *ret_resource);

/* Order by kind, namespace and name. */
int resource_compare(const struct resource *a, const struct resource *b);

#endif
