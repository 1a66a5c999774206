/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/policy/resource.h"

#include "proxy/policy/name.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define FIELD_COUNT(fields) (sizeof(fields) / sizeof *(fields))

/* Versions of one group's kinds that have the same fields. */
#define VERSION_MAX 3

/* The longest name of a resource, and of a label (Kubernetes' own limits). */
#define RESOURCE_NAME_MAX 253u

static const struct kind {
	const char *name;
	const char *group;
	const char *versions[VERSION_MAX];
	reader_function *read;
	size_t size;
} kinds[] = {
	[RESOURCE_SERVICE_ENTRY] = {"ServiceEntry", "networking.istio.io", {"v1", "v1beta1", "v1alpha3"}, service_entry_read,
		sizeof(struct service_entry)},
	[RESOURCE_VIRTUAL_SERVICE] = {"VirtualService", "networking.istio.io", {"v1", "v1beta1", "v1alpha3"},
		virtual_service_read, sizeof(struct virtual_service)},
	[RESOURCE_HTTP_ROUTE] = {"HTTPRoute", "gateway.networking.k8s.io", {"v1", "v1beta1"}, http_route_read,
		sizeof(struct http_route)},
	[RESOURCE_DESTINATION_RULE] = {"DestinationRule", "networking.istio.io", {"v1", "v1beta1", "v1alpha3"},
		destination_rule_read, sizeof(struct destination_rule)},
	[RESOURCE_SIDECAR] = {"Sidecar", "networking.istio.io", {"v1", "v1beta1", "v1alpha3"}, sidecar_read,
		sizeof(struct sidecar)},
};
static_assert(sizeof kinds / sizeof *kinds == RESOURCE_KIND_COUNT, "every kind has a row");

const char *resource_kind_name(enum resource_kind kind)
{
	return kinds[kind].name;
}

const struct node *resource_list_items(const struct node *root)
{
	const struct node *kind = node_get(root, "kind");
	const struct node *items = node_get(root, "items");
	size_t length;

	if (kind == NULL || kind->type != NODE_SCALAR || items == NULL || items->type != NODE_LIST)
		return NULL;
	length = strlen(kind->text);
	return length >= 4 && strcmp(kind->text + length - 4, "List") == 0 ? items : NULL;
}

/* --- the head */

struct head {
	const char *api_version;
	const char *kind;
	const char *name;
	const char *namespace_;
	const struct node *spec;
};

static void read_metadata(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"name", reader_text, offsetof(struct head, name)},
		{"namespace", reader_text, offsetof(struct head, namespace_)},
		{"labels", reader_ignore, 0},
		{"annotations", reader_ignore, 0},
		{"uid", reader_ignore, 0},
		{"resourceVersion", reader_ignore, 0},
		{"generation", reader_ignore, 0},
		{"creationTimestamp", reader_ignore, 0},
		{"managedFields", reader_ignore, 0},
		{"ownerReferences", reader_ignore, 0},
		{"finalizers", reader_ignore, 0},
		{"selfLink", reader_ignore, 0},
	};

	reader_object(r, node, fields, FIELD_COUNT(fields), target);
}

static void take_spec(struct reader *r, const struct node *node, void *target)
{
	(void)r;
	*(const struct node **)target = node;
}

static void read_head(struct reader *r, const struct node *root, struct head *head)
{
	static const struct reader_field fields[] = {
		{"apiVersion", reader_text, offsetof(struct head, api_version)},
		{"kind", reader_text, offsetof(struct head, kind)},
		{"metadata", read_metadata, 0},
		{"spec", take_spec, offsetof(struct head, spec)},
		{"status", reader_ignore, 0},
	};

	*head = (struct head){.name = ""};
	reader_object(r, root, fields, FIELD_COUNT(fields), head);
}

/* Whether an apiVersion is of a group. */
static bool is_group(const char *api_version, const char *group)
{
	size_t length = strlen(group);

	return strncmp(api_version, group, length) == 0 && api_version[length] == '/';
}

/* The kind of a document, if it is one of weir's; NULL for another, and after an error. */
static const struct kind *find_kind(struct reader *r, const struct node *root)
{
	const struct node *api_version = node_get(root, "apiVersion");
	const struct node *name = node_get(root, "kind");

	if (api_version == NULL || api_version->type != NODE_SCALAR || name == NULL || name->type != NODE_SCALAR) {
		reader_error(r, "", "apiVersion and kind are required");
		return NULL;
	}
	for (size_t i = 0; i < FIELD_COUNT(kinds); i++)
		if (strcmp(kinds[i].name, name->text) == 0 && is_group(api_version->text, kinds[i].group))
			return &kinds[i];
	reader_warn(r, "kind", "%s of %s has no effect here", name->text, api_version->text);
	return NULL;
}

static void check_head(struct reader *r, const struct kind *kind, const struct head *head)
{
	const char *version = head->api_version + strlen(kind->group) + 1;
	bool known = false;

	for (size_t i = 0; i < VERSION_MAX && kind->versions[i] != NULL; i++)
		known = known || strcmp(kind->versions[i], version) == 0;
	if (!known)
		reader_error(r, "apiVersion", "unknown version %s of %s; valid: %s, %s%s%s", version, kind->group, kind->versions[0],
			kind->versions[1], kind->versions[2] != NULL ? ", " : "", kind->versions[2] != NULL ? kind->versions[2] : "");
	if (*head->name == '\0')
		reader_error(r, "metadata.name", "name is required");
	else if (strlen(head->name) > RESOURCE_NAME_MAX)
		reader_error(r, "metadata.name", "name is longer than %u", RESOURCE_NAME_MAX);
	else if (head->name[strspn(head->name, "abcdefghijklmnopqrstuvwxyz0123456789-.")] != '\0')
		reader_error(r, "metadata.name", "name may have small letters, digits, \"-\" and \".\" only");
	if (!name_is_label(head->namespace_))
		reader_error(r, "metadata.namespace", "%s is not a valid namespace", head->namespace_);
	if (head->spec == NULL)
		reader_error(r, "spec", "spec is required");
}

/* --- the whole */

static const void *read_spec(struct reader *r, const struct kind *kind, const struct head *head)
{
	void *spec;

	if (r->failed)
		return NULL;
	reader_enter(r, "spec");
	spec = reader_new(r, head->spec, kind->size, kind->read);
	reader_leave(r);
	return spec;
}

static void set_spec(struct resource *resource, const void *spec)
{
	switch (resource->kind) {
	case RESOURCE_SERVICE_ENTRY:
		resource->service_entry = spec;
		break;
	case RESOURCE_VIRTUAL_SERVICE:
		resource->virtual_service = spec;
		break;
	case RESOURCE_HTTP_ROUTE:
		resource->http_route = spec;
		break;
	case RESOURCE_DESTINATION_RULE:
		resource->destination_rule = spec;
		break;
	case RESOURCE_SIDECAR:
	case RESOURCE_KIND_COUNT:
		resource->sidecar = spec;
		break;
	}
}

enum resource_result resource_read(struct reader *r, const struct node *root, struct resource *ret_resource)
{
	const char *outer = r->namespace_;
	const struct kind *kind;
	struct head head;
	char title[512];

	r->root = root;
	r->depth = 0;
	r->resource = "";
	*ret_resource = (struct resource){.line = root->line};
	kind = find_kind(r, root);
	if (kind == NULL)
		return r->failed ? RESOURCE_REFUSED : RESOURCE_OTHER;
	read_head(r, root, &head);
	if (r->no_memory || head.name == NULL)
		return RESOURCE_REFUSED;
	if (head.namespace_ == NULL || *head.namespace_ == '\0')
		head.namespace_ = outer;
	(void)snprintf(title, sizeof title, "%s %.128s/%.300s", kind->name, head.namespace_, head.name);
	r->resource = title;
	r->namespace_ = head.namespace_;
	if (!r->failed)
		check_head(r, kind, &head);
	ret_resource->kind = (enum resource_kind)(kind - kinds);
	ret_resource->namespace_ = head.namespace_ == outer ? reader_copy(r, outer) : head.namespace_;
	ret_resource->name = head.name;
	set_spec(ret_resource, read_spec(r, kind, &head));
	ret_resource->refused = r->failed;
	r->resource = "";
	r->namespace_ = outer;
	return r->failed ? RESOURCE_REFUSED : RESOURCE_READ;
}

int resource_compare(const struct resource *a, const struct resource *b)
{
	int order = (int)a->kind - (int)b->kind;

	if (order == 0)
		order = strcmp(a->namespace_, b->namespace_);
	return order != 0 ? order : strcmp(a->name, b->name);
}
