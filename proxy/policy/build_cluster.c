/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ServiceEntries and DestinationRules become clusters.
 */
#include "proxy/policy/array.h"
#include "proxy/policy/build.h"
#include "proxy/policy/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- DestinationRules */

/* A rule for some pods only has none of its labels wrong. */
static bool is_selected(const struct builder *b, const struct resource *resource)
{
	const struct pairs *selector = resource->destination_rule->selector;

	if (selector == NULL)
		return true;
	return strcmp(resource->namespace_, b->options->namespace_) == 0 && check_labels_match(selector, &b->options->labels);
}

int build_rule(struct builder *b, const struct store_item *item)
{
	bool own = strcmp(item->resource->namespace_, b->options->namespace_) == 0;
	const char *host = item->resource->destination_rule->host;
	struct host_index *index = &b->rules[own ? 0 : 1];
	struct build_rule *first = host_index_get(index, host, 0);
	struct build_rule *rule;

	if (!is_selected(b, item->resource))
		return 0;
	for (rule = first; rule != NULL; rule = rule->next) {
		if (strcmp(rule->item->resource->namespace_, item->resource->namespace_) == 0) {
			build_warn(b, item, "host %s: DestinationRule %s/%s of %s holds, this one has no effect", host,
				rule->item->resource->namespace_, rule->item->resource->name, rule->item->batch->path);
			return 0;
		}
	}
	rule = arena_alloc(&b->scratch, sizeof *rule);
	if (rule == NULL)
		return -ENOMEM;
	rule->item = item;
	if (first == NULL)
		return host_index_add(index, host, 0, rule);
	rule->next = first->next;
	first->next = rule;
	return 0;
}

static const struct store_item *rule_of(const struct build_rule *rule, const char *namespace_)
{
	for (; rule != NULL; rule = rule->next)
		if (strcmp(rule->item->resource->namespace_, namespace_) == 0)
			return rule->item;
	return NULL;
}

/* The pod's own namespace says it, or else the service's, or else the mesh's root. */
static const struct store_item *find_rule(const struct builder *b, const char *host, const char *namespace_)
{
	const struct build_rule *rule = host_index_cover(&b->rules[0], host, 0);
	const struct store_item *item;

	if (rule != NULL)
		return rule->item;
	rule = host_index_cover(&b->rules[1], host, 0);
	item = rule_of(rule, namespace_);
	return item != NULL ? item : rule_of(rule, b->mesh->root_namespace);
}

static void apply_rule(struct builder *b, struct policy_cluster *cluster)
{
	const struct store_item *item = find_rule(b, cluster->host, cluster->resource->namespace_);

	if (item == NULL)
		return;
	cluster->traffic = destination_rule_policy(item->resource->destination_rule, NULL, cluster->port);
	if (cluster->traffic.tls == NULL)
		return;
	if (service_protocol_is_tls(cluster->protocol))
		build_warn(b, item, "port %u of %s carries TLS already: it passes as it is", cluster->port, cluster->host);
	else if (cluster->protocol != SERVICE_HTTP)
		build_warn(b, item, "port %u of %s: TLS is begun for HTTP/1.x requests alone, and what else comes is refused",
			cluster->port, cluster->host);
}

/* --- endpoints */

static uint16_t endpoint_port(const struct service_endpoint *endpoint, const struct service_port *port)
{
	for (size_t i = 0; i < endpoint->port_count; i++)
		if (strcmp(endpoint->ports[i].name, port->name) == 0)
			return (uint16_t)endpoint->ports[i].number;
	return (uint16_t)(port->target_port != 0 ? port->target_port : port->number);
}

static void fill_endpoint(struct policy_endpoint *out, const char *address, uint16_t port, int32_t weight)
{
	out->port = port;
	out->weight = weight > 0 ? (uint32_t)weight : 1;
	if (address_parse(address, strlen(address), &out->address) < 0)
		out->name = address;
}

/* `labels` are a subset's; NULL: all endpoints. */
static int set_endpoints(struct builder *b, struct policy_cluster *cluster, const struct service_port *port,
	const struct pairs *labels)
{
	const struct service_entry *entry = cluster->resource->service_entry;
	size_t count = entry->endpoint_count;
	struct policy_endpoint *endpoints;
	bool by_host = count == 0 && (entry->resolution == SERVICE_DNS || entry->resolution == SERVICE_DNS_ROUND_ROBIN);

	if (count == 0 && !by_host)
		return 0;
	endpoints = arena_array(&b->policy->arena, by_host ? 1 : count, sizeof *endpoints);
	if (endpoints == NULL)
		return -ENOMEM;
	cluster->endpoints = endpoints;
	if (by_host) {
		int32_t target = port->target_port != 0 ? port->target_port : port->number;

		endpoints[cluster->endpoint_count++] =
			(struct policy_endpoint){.name = cluster->host, .port = (uint16_t)target, .weight = 1};
		return 0;
	}
	for (size_t i = 0; i < count; i++) {
		const struct service_endpoint *endpoint = &entry->endpoints[i];

		if (service_endpoint_is_unix(endpoint))
			continue;
		if (labels == NULL || check_labels_match(labels, &endpoint->labels))
			fill_endpoint(&endpoints[cluster->endpoint_count++], endpoint->address, endpoint_port(endpoint, port),
				endpoint->weight);
	}
	return 0;
}

/* --- clusters */

static int list_cluster(struct builder *b, struct policy_cluster *cluster)
{
	struct policy *policy = b->policy;
	struct policy_cluster **clusters;

	clusters = array_room(policy->clusters, policy->cluster_count, &b->cluster_capacity, sizeof(struct policy_cluster *));
	if (clusters == NULL)
		return -ENOMEM;
	policy->clusters = clusters;
	policy->clusters[policy->cluster_count++] = cluster;
	if (destination_pool_is_limited(cluster->traffic.pool))
		cluster->circuit = ++policy->circuit_count;
	return 0;
}

/* What a cluster is, but for the subset's part of it. */
static struct policy_cluster *new_cluster(struct builder *b, const char *host, const char *subset, uint16_t port)
{
	struct policy_cluster *cluster = arena_alloc(&b->policy->arena, sizeof *cluster);

	if (cluster == NULL)
		return NULL;
	cluster->host = host;
	cluster->subset = subset;
	cluster->port = port;
	cluster->name = arena_format(&b->policy->arena, "outbound|%u|%s|%s", port, subset, host);
	return cluster->name != NULL ? cluster : NULL;
}

static int make_cluster(struct builder *b, const struct store_item *item, const char *host, const struct service_port *port,
	struct policy_cluster **ret_cluster)
{
	const struct service_entry *entry = item->resource->service_entry;
	struct policy_cluster *cluster = new_cluster(b, host, "", (uint16_t)port->number);
	int rc;

	if (cluster == NULL)
		return -ENOMEM;
	cluster->resource = item->resource;
	cluster->protocol = port->protocol;
	cluster->resolution = entry->resolution;
	cluster->target_port = (uint16_t)port->target_port;
	apply_rule(b, cluster);
	rc = set_endpoints(b, cluster, port, NULL);
	*ret_cluster = cluster;
	return rc == 0 ? list_cluster(b, cluster) : rc;
}

static int find_group(struct builder *b, const struct store_item *item, const char *host, struct build_group **ret_group)
{
	struct build_group *group = host_index_get(&b->groups, host, 0);

	if (group == NULL) {
		group = arena_alloc(&b->scratch, sizeof *group);
		if (group == NULL)
			return -ENOMEM;
		group->host = host;
		group->owner = item;
		if (host_index_add(&b->groups, host, 0, group) < 0)
			return -ENOMEM;
	}
	*ret_group = group;
	return 0;
}

/* A second entry for a host and port adds something only where it is told apart by addresses of its own. */
static bool is_apart(const struct service_entry *entry, const struct service_port *port)
{
	return entry->subnet_count > 0 && service_protocol_is_tcp(port->protocol);
}

static int add_cluster(struct builder *b, const struct store_item *item, struct build_group *group,
	const struct service_port *port)
{
	const struct policy_cluster *other = host_index_get(&b->clusters, group->host, (uint16_t)port->number);
	struct policy_cluster *cluster;
	int rc;

	if (other != NULL && !is_apart(item->resource->service_entry, port)) {
		build_warn(b, item, "host %s, port %d: ServiceEntry %s/%s holds, this one has no effect", group->host, port->number,
			other->resource->namespace_, other->resource->name);
		return 0;
	}
	rc = make_cluster(b, item, group->host, port, &cluster);
	if (rc == 0 && other == NULL)
		rc = host_index_add(&b->clusters, cluster->host, cluster->port, cluster);
	if (rc < 0)
		return rc;
	if (group->last != NULL)
		group->last->next = cluster;
	else
		group->first = cluster;
	group->last = cluster;
	return 0;
}

/* A host belongs to one namespace: the pod's own, or else the first that declares it. */
static int add_host(struct builder *b, const struct store_item *item, const char *host)
{
	const struct service_entry *entry = item->resource->service_entry;
	const char *namespace_ = item->resource->namespace_;
	struct build_group *group = NULL;
	int rc = 0;

	for (size_t i = 0; i < entry->port_count && rc == 0; i++) {
		const struct service_port *port = &entry->ports[i];
		const struct store_item *sidecar = b->sidecar;

		if (port->protocol == SERVICE_UDP)
			continue;
		if (sidecar != NULL && !sidecar_imports(sidecar->resource->sidecar, sidecar->resource->namespace_, namespace_, host,
					       (uint16_t)port->number))
			continue;
		if (group == NULL)
			rc = find_group(b, item, host, &group);
		if (rc == 0 && strcmp(group->owner->resource->namespace_, namespace_) != 0) {
			build_warn(b, item, "host %s: ServiceEntry %s/%s of %s holds, this one has no effect", host,
				group->owner->resource->namespace_, group->owner->resource->name, group->owner->batch->path);
			return 0;
		}
		if (rc == 0)
			rc = add_cluster(b, item, group, port);
	}
	return rc;
}

int build_clusters(struct builder *b, const struct store_item *item)
{
	const struct texts *hosts = &item->resource->service_entry->hosts;
	int rc = 0;

	for (size_t i = 0; i < hosts->count && rc == 0; i++)
		rc = add_host(b, item, hosts->items[i]);
	return rc;
}

/* --- what routes mean */

static const struct service_port *port_of(const struct policy_cluster *cluster)
{
	const struct service_entry *entry = cluster->resource->service_entry;

	for (size_t i = 0; i < entry->port_count; i++)
		if (entry->ports[i].number == cluster->port)
			return &entry->ports[i];
	return NULL;
}

/* A part of a cluster's endpoints; NULL where no DestinationRule knows it. */
static int find_subset(struct builder *b, const struct policy_cluster *whole, const char *name,
	const struct policy_cluster **ret_cluster)
{
	const struct store_item *item = find_rule(b, whole->host, whole->resource->namespace_);
	const struct destination_rule *rule = item != NULL ? item->resource->destination_rule : NULL;
	const struct destination_subset *subset = rule != NULL ? destination_rule_subset(rule, name) : NULL;
	struct policy_cluster *cluster;
	char *key;
	int rc;

	*ret_cluster = NULL;
	if (subset == NULL)
		return 0;
	key = arena_format(&b->scratch, "%s|%s", name, whole->host);
	if (key == NULL)
		return -ENOMEM;
	*ret_cluster = host_index_get(&b->clusters, key, whole->port);
	if (*ret_cluster != NULL)
		return 0;
	cluster = new_cluster(b, whole->host, subset->name, whole->port);
	if (cluster == NULL)
		return -ENOMEM;
	cluster->resource = whole->resource;
	cluster->protocol = whole->protocol;
	cluster->resolution = whole->resolution;
	cluster->target_port = whole->target_port;
	cluster->traffic = destination_rule_policy(rule, subset, whole->port);
	rc = set_endpoints(b, cluster, port_of(whole), &subset->labels);
	if (rc == 0)
		rc = list_cluster(b, cluster);
	if (rc == 0)
		rc = host_index_add(&b->clusters, key, cluster->port, cluster);
	*ret_cluster = cluster;
	return rc;
}

int build_destination(struct builder *b, const struct destination *destination, uint16_t port,
	const struct policy_cluster **ret_cluster)
{
	const struct build_group *group = destination->host != NULL ? host_index_get(&b->groups, destination->host, 0) : NULL;

	*ret_cluster = NULL;
	if (group == NULL || group->first == NULL)
		return 0;
	if (destination->port != 0)
		port = (uint16_t)destination->port;
	else if (group->first->next == NULL)
		port = group->first->port;
	*ret_cluster = host_index_get(&b->clusters, group->host, port);
	if (*ret_cluster == NULL || destination->subset == NULL)
		return 0;
	return find_subset(b, *ret_cluster, destination->subset, ret_cluster);
}
