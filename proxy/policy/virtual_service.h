/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VirtualService, as far as it is about what leaves the pod.
 */
#ifndef WEIR_POLICY_VIRTUAL_SERVICE_H
#define WEIR_POLICY_VIRTUAL_SERVICE_H

#include "proxy/policy/reader.h"
#include "proxy/policy/route.h"

struct virtual_service {
	struct texts hosts; /* small letters, without a dot at the end */
	struct texts gateways;
	struct texts export_to;
	struct http_rule *http;
	size_t http_count;
	struct stream_rule *tls;
	size_t tls_count;
	struct stream_rule *tcp;
	size_t tcp_count;
};

/* Reads the spec of a VirtualService into a struct virtual_service, and checks it. */
void virtual_service_read(struct reader *r, const struct node *node, void *target);

/* What virtual_service_read() checks at the end. */
void virtual_service_check(struct reader *r, struct virtual_service *service);

/* Whether a list of gateways, of a service or of a match, is about sidecars. An empty list is. */
bool virtual_service_is_mesh(const struct texts *gateways);

#endif
