/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which resources count for this pod, in which order, and who comes after whom.
 */
#include "proxy/policy/build.h"

#include "proxy/policy/array.h"
#include "proxy/policy/check.h"
#include "proxy/policy/name.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void build_warn(struct builder *b, const struct store_item *item, const char *format, ...)
{
	const struct resource *resource = item->resource;
	char title[512];
	struct report_place place = {.file = item->batch->path, .line = resource->line, .resource = title};
	va_list arguments;

	(void)snprintf(title, sizeof title, "%s %.128s/%.300s", resource_kind_name(resource->kind), resource->namespace_,
		resource->name);
	va_start(arguments, format);
	report_add_list(b->report, REPORT_WARNING, &place, format, arguments);
	va_end(arguments);
}

/* --- who counts */

static const struct texts *export_list(const struct resource *resource)
{
	static const struct texts everybody = {NULL, 0};

	switch (resource->kind) {
	case RESOURCE_SERVICE_ENTRY:
		return &resource->service_entry->export_to;
	case RESOURCE_VIRTUAL_SERVICE:
		return &resource->virtual_service->export_to;
	case RESOURCE_DESTINATION_RULE:
		return &resource->destination_rule->export_to;
	case RESOURCE_HTTP_ROUTE:
	case RESOURCE_SIDECAR:
	case RESOURCE_KIND_COUNT:
		break;
	}
	return &everybody;
}

static bool is_exported(const struct builder *b, const struct resource *resource)
{
	const struct texts *list = export_list(resource);
	const char *own = b->options->namespace_;

	for (size_t i = 0; i < list->count; i++) {
		const char *to = list->items[i];

		if (strcmp(to, "*") == 0 || strcmp(to, own) == 0 || (strcmp(to, ".") == 0 && strcmp(resource->namespace_, own) == 0))
			return true;
	}
	return list->count == 0;
}

/* Moves those of the pod's own namespace to the front, and drops what is not exported to it; the order stays else. */
static int order_items(struct builder *b)
{
	const struct store_item **items = malloc((b->item_count > 0 ? b->item_count : 1) * sizeof(struct store_item *));
	size_t used = 0;

	if (items == NULL)
		return -ENOMEM;
	for (int own = 1; own >= 0; own--) {
		for (size_t i = 0; i < b->item_count; i++) {
			const struct resource *resource = b->items[i]->resource;
			bool is_own = strcmp(resource->namespace_, b->options->namespace_) == 0;

			if (is_own == (own == 1) && is_exported(b, resource))
				items[used++] = b->items[i];
		}
	}
	free(b->items);
	b->items = items;
	b->item_count = used;
	return 0;
}

/* How closely a Sidecar is meant for this pod: 3 by its labels, 2 by its namespace, 1 as one of all pods; 0 not at all. */
static int sidecar_rank(const struct builder *b, const struct resource *resource)
{
	const struct pairs *selector = resource->sidecar->selector;
	bool own = strcmp(resource->namespace_, b->options->namespace_) == 0;

	if (own && selector != NULL && selector->count > 0)
		return check_labels_match(selector, &b->options->labels) ? 3 : 0;
	if (selector != NULL && selector->count > 0)
		return 0;
	if (own)
		return 2;
	return strcmp(resource->namespace_, b->mesh->root_namespace) == 0 ? 1 : 0;
}

static void choose_sidecar(struct builder *b)
{
	int best = 0;

	for (size_t i = 0; i < b->item_count; i++) {
		const struct store_item *item = b->items[i];
		int rank = item->resource->kind == RESOURCE_SIDECAR ? sidecar_rank(b, item->resource) : 0;

		if (rank > best) {
			best = rank;
			b->sidecar = item;
		} else if (rank > 0 && rank == best) {
			build_warn(b, item, "has no effect: Sidecar %s/%s of %s is there for the same pods",
				b->sidecar->resource->namespace_, b->sidecar->resource->name, b->sidecar->batch->path);
		}
	}
	if (b->sidecar != NULL && b->sidecar->resource->sidecar->has_mode)
		b->policy->mode = b->sidecar->resource->sidecar->mode;
}

/* --- routes by host */

static bool has_rules(const struct virtual_service *service, enum build_class class)
{
	switch (class) {
	case BUILD_HTTP:
		return service->http_count > 0;
	case BUILD_TLS:
		return service->tls_count > 0;
	default:
		return service->tcp_count > 0;
	}
}

static int note_service(struct builder *b, const struct store_item *item, const char *host, enum build_class class)
{
	struct build_service *service = host_index_get(&b->services[class], host, 0);

	if (service != NULL) {
		build_warn(b, item, "host %s: VirtualService %s/%s of %s holds, this one has no effect", host,
			service->item->resource->namespace_, service->item->resource->name, service->item->batch->path);
		return 0;
	}
	service = arena_alloc(&b->scratch, sizeof *service);
	if (service == NULL)
		return -ENOMEM;
	service->item = item;
	return host_index_add(&b->services[class], host, 0, service);
}

static bool is_imported(const struct builder *b, const struct store_item *item, const char *host)
{
	const struct store_item *sidecar = b->sidecar;

	return sidecar == NULL || sidecar_imports(sidecar->resource->sidecar, sidecar->resource->namespace_,
					  item->resource->namespace_, host, 0);
}

static int note_services(struct builder *b, const struct store_item *item)
{
	const struct virtual_service *service = item->resource->virtual_service;
	int rc = 0;

	if (!virtual_service_is_mesh(&service->gateways))
		return 0;
	for (size_t i = 0; i < service->hosts.count && rc == 0; i++)
		for (int class = 0; class < BUILD_CLASS_COUNT && rc == 0; class ++)
			if (has_rules(service, (enum build_class)class) && is_imported(b, item, service->hosts.items[i]))
				rc = note_service(b, item, service->hosts.items[i], (enum build_class)class);
	return rc;
}

static int attach_to_host(struct builder *b, const struct store_item *item, const char *host, int32_t port)
{
	struct build_group *group = host_index_get(&b->groups, host, 0);
	struct build_attachment *attachment;

	if (group == NULL)
		return 0;
	attachment = arena_alloc(&b->scratch, sizeof *attachment);
	if (attachment == NULL)
		return -ENOMEM;
	*attachment = (struct build_attachment){NULL, item, port};
	if (group->last_attachment != NULL)
		group->last_attachment->next = attachment;
	else
		group->attachments = attachment;
	group->last_attachment = attachment;
	return 0;
}

/* A route of another namespace than its parent's is for the clients of its own namespace only. */
static int attach_route(struct builder *b, const struct store_item *item, const struct http_route_parent *parent)
{
	const char *namespace_ = parent->namespace_ != NULL ? parent->namespace_ : item->resource->namespace_;
	const struct build_entry *entry;
	const struct texts *hosts;
	char key[512];
	int rc = 0;

	if (strcmp(item->resource->namespace_, namespace_) != 0 &&
		strcmp(item->resource->namespace_, b->options->namespace_) != 0)
		return 0;
	(void)snprintf(key, sizeof key, "%.128s/%.300s", namespace_, parent->name);
	entry = host_index_get(&b->entries, key, 0);
	if (entry == NULL) {
		build_warn(b, item, "parent ServiceEntry %s not found", key);
		return 0;
	}
	hosts = &entry->item->resource->service_entry->hosts;
	for (size_t i = 0; i < hosts->count && rc == 0; i++)
		rc = attach_to_host(b, item, hosts->items[i], parent->port);
	return rc;
}

static int attach_routes(struct builder *b, const struct store_item *item)
{
	const struct http_route *route = item->resource->http_route;
	int rc = 0;

	for (size_t i = 0; i < route->parent_count && rc == 0; i++)
		if (http_route_parent_is_entry(&route->parents[i]))
			rc = attach_route(b, item, &route->parents[i]);
	return rc;
}

static int note_entry(struct builder *b, const struct store_item *item)
{
	char *key = arena_format(&b->scratch, "%.128s/%.300s", item->resource->namespace_, item->resource->name);
	struct build_entry *entry = arena_alloc(&b->scratch, sizeof *entry);

	if (key == NULL || entry == NULL)
		return -ENOMEM;
	entry->item = item;
	return host_index_add(&b->entries, key, 0, entry);
}

/* --- the whole */

static int for_each(struct builder *b, enum resource_kind kind, int (*take)(struct builder *, const struct store_item *))
{
	int rc = 0;

	for (size_t i = 0; i < b->item_count && rc == 0; i++)
		if (b->items[i]->resource->kind == kind)
			rc = take(b, b->items[i]);
	return rc;
}

static bool has_any(const struct builder *b, enum resource_kind kind)
{
	for (size_t i = 0; i < b->item_count; i++)
		if (b->items[i]->resource->kind == kind)
			return true;
	return false;
}

static int put_hosts(struct builder *b)
{
	int rc = 0;

	for (size_t i = 0; i < b->groups.keys.count && rc == 0; i++)
		rc = build_hosts(b, b->groups.keys.entries[i].value);
	for (int class = 0; class < BUILD_CLASS_COUNT; class ++) {
		const struct key_index *services = &b->services[class].keys;

		for (size_t i = 0; i < services->count && rc == 0; i++)
			rc = build_service_host(b, services->entries[i].key, (enum build_class)class,
				services->entries[i].value);
	}
	return rc;
}

static int compare_batches(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)(*(struct batch *const *)a);
	uintptr_t y = (uintptr_t)(*(struct batch *const *)b);

	return (x > y) - (x < y);
}

/* The snapshot's texts are those of the resources: it keeps all of them. */
static int keep_batches(struct builder *b)
{
	struct batch **batches = malloc((b->item_count > 0 ? b->item_count : 1) * sizeof(struct batch *));
	size_t kept = 0;

	if (batches == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < b->item_count; i++)
		batches[i] = b->items[i]->batch;
	if (b->item_count > 1)
		qsort(batches, b->item_count, sizeof(struct batch *), compare_batches);
	for (size_t i = 0; i < b->item_count; i++)
		if (kept == 0 || batches[kept - 1] != batches[i])
			batches[kept++] = batches[i];
	for (size_t i = 0; i < kept; i++)
		(void)batch_ref(batches[i]);
	b->policy->batches = batches;
	b->policy->batch_count = kept;
	return 0;
}

/* The snapshot will not grow. */
static void fit(struct builder *b)
{
	struct policy *policy = b->policy;

	key_index_fit(&policy->http.keys);
	key_index_fit(&policy->tls.keys);
	key_index_fit(&policy->tcp_names.keys);
	key_index_fit(&policy->http_names.keys);
	key_index_fit(&policy->addresses.keys);
	key_index_fit(&policy->http_addresses.keys);
	policy->resolve = array_fit(policy->resolve, policy->resolve_count, &b->resolve_capacity, sizeof *policy->resolve);
	policy->clusters = array_fit(policy->clusters, policy->cluster_count, &b->cluster_capacity,
		sizeof(struct policy_cluster *));
}

static int build(struct builder *b, const struct store *store)
{
	int rc = store_collect(store, b->report, &b->items, &b->item_count);

	if (rc == 0)
		rc = order_items(b);
	if (rc == 0)
		rc = keep_batches(b);
	if (rc < 0)
		return rc;
	choose_sidecar(b);
	rc = for_each(b, RESOURCE_DESTINATION_RULE, build_rule);
	if (rc == 0)
		rc = for_each(b, RESOURCE_SERVICE_ENTRY, build_clusters);
	/* Only an HTTPRoute finds a ServiceEntry by its name. */
	if (rc == 0 && has_any(b, RESOURCE_HTTP_ROUTE))
		rc = for_each(b, RESOURCE_SERVICE_ENTRY, note_entry);
	if (rc == 0)
		rc = for_each(b, RESOURCE_VIRTUAL_SERVICE, note_services);
	if (rc == 0)
		rc = for_each(b, RESOURCE_HTTP_ROUTE, attach_routes);
	if (rc == 0)
		rc = put_hosts(b);
	fit(b);
	return rc;
}

struct policy *policy_build(const struct store *store, const struct mesh *mesh, const struct policy_options *options,
	struct report *report)
{
	struct builder b = {.options = options, .mesh = mesh, .report = report};
	int rc;

	b.policy = calloc(1, sizeof *b.policy);
	if (b.policy == NULL)
		return NULL;
	atomic_init(&b.policy->references, 1);
	b.policy->mode = mesh->mode;
	b.policy->verify = mesh->verify_destination;
	b.policy->tracing = mesh->tracing;
	rc = build(&b, store);
	free(b.items);
	host_index_free(&b.groups);
	host_index_free(&b.clusters);
	host_index_free(&b.entries);
	host_index_free(&b.resolved);
	host_index_free(&b.rules[0]);
	host_index_free(&b.rules[1]);
	for (int class = 0; class < BUILD_CLASS_COUNT; class ++)
		host_index_free(&b.services[class]);
	arena_free(&b.scratch);
	if (rc < 0) {
		policy_unref(b.policy);
		return NULL;
	}
	return b.policy;
}
