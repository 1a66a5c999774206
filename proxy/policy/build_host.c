/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where each cluster will be looked for.
 *
 * HTTP: by the request's host. TLS: by the server name, or by a declared address. TCP: by a declared address, or else by
 * the name that the dialled address belongs to. A port without a protocol is HTTP where the bytes are, and TCP else.
 */
#include "proxy/policy/array.h"
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

/* Routes that there are. */
static int set_rules(struct builder *b, struct policy_host *host, const struct policy_rules *rules)
{
	struct policy_rules *kept;

	if (rules->route_count == 0 && rules->stream_count == 0)
		return 0;
	kept = arena_alloc(&b->policy->arena, sizeof *kept);
	if (kept == NULL)
		return -ENOMEM;
	*kept = *rules;
	host->rules = kept;
	return 0;
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

/* The address lives as long as the snapshot. */
static int add_range(struct builder *b, struct prefix_index *index, const struct address *address, uint8_t bits,
	struct policy_host *host)
{
	const struct policy_cluster *cluster = host->cluster;
	const struct policy_host *other = prefix_index_get(index, address, bits, cluster->port);
	char text[ADDRESS_TEXT_SIZE];
	struct report_place place = {.file = NULL};

	if (other == NULL)
		return prefix_index_add(index, address, bits, cluster->port, host);
	if (other->cluster != cluster && index == &b->policy->addresses)
		report_add(b->report, REPORT_WARNING, &place, "address %s/%u, port %u: %s holds, %s has no effect there",
			address_format(text, address), address_is_ipv4(address) ? bits - 96u : bits, cluster->port,
			other->cluster->host, cluster->host);
	return 0;
}

/* --- names whose addresses decide */

static int add_resolved(struct builder *b, const char *name, struct policy_host *host)
{
	struct policy *policy = b->policy;
	const char **names;

	if (host_index_get(&b->resolved, name, 0) != NULL)
		return 0;
	names = array_room(policy->resolve, policy->resolve_count, &b->resolve_capacity, sizeof(const char *));
	if (names == NULL)
		return -ENOMEM;
	policy->resolve = names;
	policy->resolve[policy->resolve_count++] = name;
	return host_index_add(&b->resolved, name, 0, host);
}

/* What is found by its host where requests find it needs no second place. */
static bool is_found_by_host(const struct policy *policy, const char *name, uint16_t port)
{
	const struct policy_host *host = host_index_get(&policy->http, name, port);

	return host != NULL && host->cluster != NULL && host->cluster->is_by_name;
}

/* A name may belong to several hosts: the first one holds. */
static int add_dialled_name(struct builder *b, struct host_index *index, const char *name, struct policy_host *host,
	bool resolve)
{
	uint16_t port = host->cluster->port;
	int rc = 0;

	if (index != &b->policy->http_names || !is_found_by_host(b->policy, name, port))
		rc = add_name(index, name, port, host);
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

		if (endpoint->name != NULL)
			rc = add_dialled_name(b, names, endpoint->name, host, resolve);
		else
			rc = add_range(b, addresses, &endpoint->address, SUBNET_BITS_MAX, host);
	}
	return rc;
}

static int add_by_address(struct builder *b, struct prefix_index *addresses, struct host_index *names,
	struct policy_host *host, bool resolve)
{
	const struct service_entry *entry = host->cluster->resource->service_entry;
	int rc = 0;

	if (entry->subnet_count == 0)
		return add_by_endpoints(b, addresses, names, host, resolve);
	for (size_t i = 0; i < entry->subnet_count && rc == 0; i++)
		rc = add_range(b, addresses, &entry->subnets[i].address, entry->subnets[i].bits, host);
	return rc;
}

/* --- HTTP */

static int find_routes(struct builder *b, const struct build_group *group, uint16_t port, struct policy_rules *rules)
{
	const struct build_service *service = find_service(b, BUILD_HTTP, group->host);

	if (service == NULL)
		return build_attached_routes(b, group, port, rules);
	for (const struct build_attachment *a = group->attachments; a != NULL; a = a->next)
		build_warn(b, a->item, "host %s: VirtualService %s/%s of %s holds, this one has no effect", group->host,
			service->item->resource->namespace_, service->item->resource->name, service->item->batch->path);
	return build_service_routes(b, service->item, port, rules);
}

/* A request may also name the address that is declared for the host. */
static int add_address_names(struct builder *b, struct policy_host *host)
{
	const struct policy_cluster *cluster = host->cluster;
	int rc = 0;

	for (size_t i = 0; i < cluster->resource->service_entry->subnet_count && rc == 0; i++) {
		const struct subnet *subnet = &cluster->resource->service_entry->subnets[i];
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

/* Whether what its host resolves to is what the application dials. */
static bool has_own_name(const struct policy_cluster *cluster)
{
	if (cluster->resource->service_entry->subnet_count > 0)
		return false;
	for (uint32_t i = 0; i < cluster->endpoint_count; i++)
		if (cluster->endpoints[i].name != NULL && strcmp(cluster->endpoints[i].name, cluster->host) == 0)
			return true;
	return cluster->endpoint_count == 0 && cluster->resolution == SERVICE_NONE && !name_is_wildcard(cluster->host);
}

static int put_http(struct builder *b, const struct build_group *group, struct policy_cluster *cluster)
{
	struct policy *policy = b->policy;
	struct policy_host *host = new_host(b, cluster);
	struct policy_rules rules = {.routes = NULL};
	int rc = host != NULL ? find_routes(b, group, cluster->port, &rules) : -ENOMEM;

	if (rc == 0)
		rc = set_rules(b, host, &rules);
	if (rc == 0)
		rc = add_name(&policy->http, group->host, cluster->port, host);
	if (rc == 0)
		rc = add_address_names(b, host);
	if (rc < 0)
		return rc;
	cluster->is_by_name = has_own_name(cluster) && host_index_get(&policy->http, cluster->host, cluster->port) == host &&
			      host_index_get(&policy->http_names, cluster->host, cluster->port) == NULL;
	return add_by_address(b, &policy->http_addresses, &policy->http_names, host, is_http2(cluster->protocol));
}

/* --- TLS */

/* Server names of a VirtualService stand instead of the host. */
static int add_server_names(struct builder *b, struct policy_host *host, uint16_t port)
{
	const struct policy_rules *rules = host->rules;
	int rc = 0;

	for (size_t i = 0; rules != NULL && i < rules->stream_count; i++)
		for (size_t j = 0; j < rules->streams[i].match->sni_hosts.count && rc == 0; j++)
			rc = add_name(&b->policy->tls, rules->streams[i].match->sni_hosts.items[j], port, host);
	return rc;
}

static int set_streams(struct builder *b, enum build_class class, const struct build_service *service,
	struct policy_host *host)
{
	struct policy_rules rules = {.only_streams = class == BUILD_TLS};
	int rc = service != NULL ? build_streams(b, service->item, class, host->cluster->port, &rules) : 0;

	return rc == 0 ? set_rules(b, host, &rules) : rc;
}

static int put_tls(struct builder *b, const struct policy_cluster *cluster)
{
	struct policy_host *host = new_host(b, cluster);
	const struct service_entry *entry = cluster->resource->service_entry;
	int rc = -ENOMEM;

	if (host != NULL)
		rc = set_streams(b, BUILD_TLS, find_service(b, BUILD_TLS, cluster->host), host);
	for (size_t i = 0; i < entry->subnet_count && rc == 0; i++)
		if (entry->subnets[i].bits == SUBNET_BITS_MAX)
			rc = add_range(b, &b->policy->addresses, &entry->subnets[i].address, SUBNET_BITS_MAX, host);
	if (rc == 0 && host->rules != NULL)
		return add_server_names(b, host, cluster->port);
	return rc == 0 ? add_name(&b->policy->tls, cluster->host, cluster->port, host) : rc;
}

/* --- TCP */

static int put_tcp(struct builder *b, const struct policy_cluster *cluster)
{
	struct policy_host *host = new_host(b, cluster);
	int rc = -ENOMEM;

	if (host != NULL)
		rc = set_streams(b, BUILD_TCP, find_service(b, BUILD_TCP, cluster->host), host);
	return rc == 0 ? add_by_address(b, &b->policy->addresses, &b->policy->tcp_names, host, true) : rc;
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

static int put_cluster(struct builder *b, const struct build_group *group, struct policy_cluster *cluster)
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

	for (struct policy_cluster *cluster = group->first; cluster != NULL && rc == 0; cluster = cluster->next)
		rc = put_cluster(b, group, cluster);
	return rc;
}

/* A host of a VirtualService under the wildcard of a ServiceEntry has a place of its own there. */
static int put_under_wildcard(struct builder *b, const char *name, enum build_class class, struct build_service *service,
	const struct build_group *group)
{
	int rc = 0;

	for (const struct policy_cluster *cluster = group->first; cluster != NULL && rc == 0; cluster = cluster->next) {
		struct policy_rules rules = {.routes = NULL};
		bool http = service_protocol_is_http(cluster->protocol) || cluster->protocol == SERVICE_UNSET;
		struct policy_host *host;

		if (class == BUILD_HTTP ? !http : !service_protocol_is_tls(cluster->protocol))
			continue;
		host = new_host(b, cluster);
		if (host == NULL)
			return -ENOMEM;
		service->used = true;
		if (class == BUILD_TLS) {
			rc = set_streams(b, BUILD_TLS, service, host);
			rc = rc == 0 ? add_server_names(b, host, cluster->port) : rc;
			continue;
		}
		rc = build_service_routes(b, service->item, cluster->port, &rules);
		if (rc == 0)
			rc = set_rules(b, host, &rules);
		if (rc == 0 && host->rules != NULL)
			rc = add_name(&b->policy->http, name, cluster->port, host);
	}
	return rc;
}

static int put_undeclared(struct builder *b, const char *name, struct build_service *service)
{
	struct policy_host *host = new_host(b, NULL);
	struct policy_rules rules = {.routes = NULL};
	int rc = host != NULL ? build_service_routes(b, service->item, UNDECLARED_PORT, &rules) : -ENOMEM;

	build_warn(b, service->item, "no ServiceEntry declares host %s: it is routed on port %d only", name, UNDECLARED_PORT);
	if (rc < 0 || rules.route_count == 0)
		return rc;
	rc = set_rules(b, host, &rules);
	if (rc == 0)
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
