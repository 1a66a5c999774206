/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where each cluster will be looked for.
 *
 * HTTP: by the request's host. TLS: by the server name, or by a declared address. TCP: by a declared address, or else by
 * the name that the dialled address belongs to. A port without a protocol is HTTP where the bytes are, and TCP else.
 */
#include "proxy/policy/build.h"
#include "proxy/policy/name.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The port where Istio puts a VirtualService's host that nobody declares. */
#define UNDECLARED_PORT 80

static struct policy_host *new_host(struct builder *b, const struct policy_cluster *cluster)
{
	struct policy_host *host = arena_alloc(&b->policy->arena, sizeof *host);

	if (host != NULL)
		host->cluster = cluster;
	return host;
}

static struct build_service *find_service(struct builder *b, enum build_class class, const char *host)
{
	struct build_service *service = host_index_cover(&b->services[class], host, 0);

	if (service != NULL)
		service->used = true;
	return service;
}

static int own_port(struct builder *b, uint16_t port, unsigned owner)
{
	uint8_t **page = &b->policy->ports[port >> 8];

	if (*page == NULL)
		*page = arena_alloc(&b->policy->arena, 256);
	if (*page == NULL)
		return -ENOMEM;
	(*page)[port & 255] |= (uint8_t)owner;
	return 0;
}

/* Adds a host where there is none yet. */
static int add_name(struct host_index *index, const char *name, uint16_t port, struct policy_host *host)
{
	return host_index_get(index, name, port) == NULL ? host_index_add(index, name, port, host) : 0;
}

static int add_subnet(struct builder *b, struct prefix_index *index, const struct subnet *subnet, struct policy_host *host)
{
	const struct policy_cluster *cluster = host->cluster;
	const struct policy_host *other = prefix_index_get(index, subnet, cluster->port);
	char text[ADDRESS_TEXT_SIZE];
	struct report_place place = {.file = NULL};

	if (other == NULL)
		return prefix_index_add(index, subnet, cluster->port, host);
	if (other->cluster != cluster && index == &b->policy->addresses)
		report_add(b->report, REPORT_WARNING, &place, "address %s/%u, port %u: %s holds, %s has no effect there",
			address_format(text, &subnet->address),
			address_is_ipv4(&subnet->address) ? subnet->bits - 96u : subnet->bits, cluster->port, other->cluster->host,
			cluster->host);
	return 0;
}

/* --- names whose addresses decide */

static int add_resolved(struct builder *b, const char *name, struct policy_host *host)
{
	struct policy *policy = b->policy;

	if (host_index_get(&b->resolved, name, 0) != NULL)
		return 0;
	if (policy->resolve_count == b->resolve_capacity) {
		size_t capacity = b->resolve_capacity == 0 ? 16 : b->resolve_capacity * 2;
		const char **names = realloc(policy->resolve, capacity * sizeof(const char *));

		if (names == NULL)
			return -ENOMEM;
		policy->resolve = names;
		b->resolve_capacity = capacity;
	}
	policy->resolve[policy->resolve_count++] = name;
	return host_index_add(&b->resolved, name, 0, host);
}

/* A name may belong to several hosts: the first one holds. */
static int add_dialled_name(struct builder *b, struct host_index *index, const char *name, struct policy_host *host,
	bool resolve)
{
	int rc = add_name(index, name, host->cluster->port, host);

	return rc == 0 && resolve ? add_resolved(b, name, host) : rc;
}

/* By what the endpoints are, or by what the host resolves to. */
static int add_by_endpoints(struct builder *b, struct prefix_index *addresses, struct host_index *names,
	struct policy_host *host, bool resolve)
{
	const struct policy_cluster *cluster = host->cluster;
	int rc = 0;

	if (cluster->endpoint_count == 0 && !name_is_wildcard(cluster->host) && cluster->resolution == SERVICE_NONE)
		return add_dialled_name(b, names, cluster->host, host, resolve);
	for (uint32_t i = 0; i < cluster->endpoint_count && rc == 0; i++) {
		const struct policy_endpoint *endpoint = &cluster->endpoints[i];
		struct subnet subnet = {.address = endpoint->address, .bits = SUBNET_BITS_MAX};

		if (endpoint->unix_path != NULL)
			continue;
		if (endpoint->name != NULL)
			rc = add_dialled_name(b, names, endpoint->name, host, resolve);
		else
			rc = add_subnet(b, addresses, &subnet, host);
	}
	return rc;
}

static int add_by_address(struct builder *b, struct prefix_index *addresses, struct host_index *names,
	struct policy_host *host, bool resolve)
{
	const struct service_entry *entry = host->cluster->entry;
	int rc = 0;

	if (entry->addresses.count == 0)
		return add_by_endpoints(b, addresses, names, host, resolve);
	for (size_t i = 0; i < entry->addresses.count && rc == 0; i++)
		rc = add_subnet(b, addresses, &entry->subnets[i], host);
	return rc;
}

/* --- HTTP */

static int set_routes(struct builder *b, const struct build_group *group, uint16_t port, struct policy_host *host)
{
	const struct build_service *service = find_service(b, BUILD_HTTP, group->host);

	if (service == NULL)
		return build_attached_routes(b, group, port, host);
	for (const struct build_attachment *a = group->attachments; a != NULL; a = a->next)
		build_warn(b, a->item, "host %s: VirtualService %s/%s of %s holds, this one has no effect", group->host,
			service->item->resource->namespace_, service->item->resource->name, service->item->batch->path);
	return build_service_routes(b, service->item, port, host);
}

/* A request may also name the address that is declared for the host. */
static int add_address_names(struct builder *b, struct policy_host *host)
{
	const struct policy_cluster *cluster = host->cluster;
	int rc = 0;

	for (size_t i = 0; i < cluster->entry->addresses.count && rc == 0; i++) {
		const struct subnet *subnet = &cluster->entry->subnets[i];
		char text[ADDRESS_TEXT_SIZE];
		const char *name;

		if (subnet->bits != SUBNET_BITS_MAX)
			continue;
		(void)address_format(text, &subnet->address);
		name = arena_format(&b->policy->arena, address_is_ipv4(&subnet->address) ? "%s" : "[%s]", text);
		rc = name != NULL ? add_name(&b->policy->http, name, cluster->port, host) : -ENOMEM;
	}
	return rc;
}

static bool is_http2(enum service_protocol protocol)
{
	return protocol == SERVICE_HTTP2 || protocol == SERVICE_GRPC || protocol == SERVICE_UNSET;
}

static int put_http(struct builder *b, const struct build_group *group, const struct policy_cluster *cluster)
{
	struct policy_host *host = new_host(b, cluster);
	int rc = host != NULL ? set_routes(b, group, cluster->port, host) : -ENOMEM;

	if (rc == 0)
		rc = add_name(&b->policy->http, group->host, cluster->port, host);
	if (rc == 0)
		rc = add_address_names(b, host);
	if (rc == 0)
		rc = add_by_address(b, &b->policy->http_addresses, &b->policy->http_names, host, is_http2(cluster->protocol));
	return rc;
}

/* --- TLS */

/* Server names of a VirtualService stand instead of the host. */
static int add_server_names(struct builder *b, struct policy_host *host, uint16_t port)
{
	int rc = 0;

	for (size_t i = 0; i < host->stream_count; i++)
		for (size_t j = 0; j < host->streams[i].match->sni_hosts.count && rc == 0; j++)
			rc = add_name(&b->policy->tls, host->streams[i].match->sni_hosts.items[j], port, host);
	return rc;
}

static int set_tls_streams(struct builder *b, struct policy_host *host)
{
	const struct build_service *service = find_service(b, BUILD_TLS, host->cluster->host);
	int rc = service != NULL ? build_streams(b, service->item, BUILD_TLS, host->cluster->port, host) : 0;

	host->has_streams = host->stream_count > 0;
	return rc;
}

static int put_tls(struct builder *b, const struct policy_cluster *cluster)
{
	struct policy_host *host = new_host(b, cluster);
	const struct service_entry *entry = cluster->entry;
	int rc = host != NULL ? set_tls_streams(b, host) : -ENOMEM;

	if (rc < 0)
		return rc;
	host->only = entry->subnets;
	host->only_count = entry->addresses.count;
	for (size_t i = 0; i < entry->addresses.count && rc == 0; i++)
		if (entry->subnets[i].bits == SUBNET_BITS_MAX)
			rc = add_subnet(b, &b->policy->addresses, &entry->subnets[i], host);
	if (rc == 0 && host->has_streams)
		return add_server_names(b, host, cluster->port);
	return rc == 0 ? add_name(&b->policy->tls, cluster->host, cluster->port, host) : rc;
}

/* --- TCP */

static int put_tcp(struct builder *b, const struct policy_cluster *cluster)
{
	const struct build_service *service = find_service(b, BUILD_TCP, cluster->host);
	struct policy_host *host = new_host(b, cluster);
	int rc = host != NULL ? 0 : -ENOMEM;

	if (rc == 0 && service != NULL)
		rc = build_streams(b, service->item, BUILD_TCP, cluster->port, host);
	if (rc < 0)
		return rc;
	return add_by_address(b, &b->policy->addresses, &b->policy->tcp_names, host, true);
}

/* --- the whole */

static unsigned owner_of(enum service_protocol protocol)
{
	if (protocol == SERVICE_UNSET)
		return POLICY_PORT_HTTP | POLICY_PORT_TCP | POLICY_PORT_UNSET;
	if (service_protocol_is_tls(protocol))
		return POLICY_PORT_TLS;
	return service_protocol_is_http(protocol) ? POLICY_PORT_HTTP : POLICY_PORT_TCP;
}

static int put_cluster(struct builder *b, const struct build_group *group, const struct policy_cluster *cluster)
{
	unsigned owner = owner_of(cluster->protocol);
	int rc = own_port(b, cluster->port, owner);

	if (rc == 0 && (owner & POLICY_PORT_TLS) != 0)
		rc = put_tls(b, cluster);
	if (rc == 0 && (owner & POLICY_PORT_HTTP) != 0)
		rc = put_http(b, group, cluster);
	if (rc == 0 && (owner & POLICY_PORT_TCP) != 0)
		rc = put_tcp(b, cluster);
	return rc;
}

int build_hosts(struct builder *b, const struct build_group *group)
{
	int rc = 0;

	for (const struct policy_cluster *cluster = group->first; cluster != NULL && rc == 0; cluster = cluster->next)
		rc = put_cluster(b, group, cluster);
	return rc;
}

/* A host of a VirtualService under the wildcard of a ServiceEntry has a place of its own there. */
static int put_under_wildcard(struct builder *b, const char *name, enum build_class class, struct build_service *service,
	const struct build_group *group)
{
	int rc = 0;

	for (const struct policy_cluster *cluster = group->first; cluster != NULL && rc == 0; cluster = cluster->next) {
		bool http = service_protocol_is_http(cluster->protocol) || cluster->protocol == SERVICE_UNSET;
		struct policy_host *host;

		if (class == BUILD_HTTP ? !http : !service_protocol_is_tls(cluster->protocol))
			continue;
		host = new_host(b, cluster);
		if (host == NULL)
			return -ENOMEM;
		service->used = true;
		if (class == BUILD_HTTP) {
			rc = build_service_routes(b, service->item, cluster->port, host);
			rc = rc == 0 && host->route_count > 0 ? add_name(&b->policy->http, name, cluster->port, host) : rc;
		} else {
			rc = build_streams(b, service->item, BUILD_TLS, cluster->port, host);
			host->has_streams = host->stream_count > 0;
			rc = rc == 0 ? add_server_names(b, host, cluster->port) : rc;
		}
	}
	return rc;
}

static int put_undeclared(struct builder *b, const char *name, struct build_service *service)
{
	struct policy_host *host = new_host(b, NULL);
	int rc = host != NULL ? build_service_routes(b, service->item, UNDECLARED_PORT, host) : -ENOMEM;

	build_warn(b, service->item, "no ServiceEntry declares host %s: it is routed on port %d only", name, UNDECLARED_PORT);
	if (rc < 0 || host->route_count == 0)
		return rc;
	rc = own_port(b, UNDECLARED_PORT, POLICY_PORT_HTTP);
	return rc == 0 ? add_name(&b->policy->http, name, UNDECLARED_PORT, host) : rc;
}

int build_service_host(struct builder *b, const char *host, enum build_class class, struct build_service *service)
{
	const struct build_group *group;

	if (host_index_get(&b->groups, host, 0) != NULL)
		return 0;
	group = name_is_wildcard(host) ? NULL : host_index_cover(&b->groups, host, 0);
	if (group != NULL && class != BUILD_TCP)
		return put_under_wildcard(b, host, class, service, group);
	if (service->used)
		return 0;
	if (class == BUILD_HTTP && strcmp(host, "*") != 0)
		return put_undeclared(b, host, service);
	build_warn(b, service->item, "no ServiceEntry declares host %s: its %s routes have no effect", host,
		class == BUILD_TLS ? "tls" : "tcp");
	return 0;
}
