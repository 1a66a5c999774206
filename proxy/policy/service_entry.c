/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/policy/service_entry.h"

#include "proxy/policy/name.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

static_assert(sizeof(struct service_entry) <= SERVICE_ENTRY_SIZE_MAX, "an entry is small");
static_assert(READER_ITEM_MAX <= UINT16_MAX, "a list's length fits");

#define FIELD_COUNT(fields) (sizeof(fields) / sizeof *(fields))

/* --- protocols and resolutions */

static const char *const protocols[] = {
	[SERVICE_UNSET] = "",
	[SERVICE_HTTP] = "HTTP",
	[SERVICE_HTTP2] = "HTTP2",
	[SERVICE_GRPC] = "GRPC",
	[SERVICE_GRPC_WEB] = "GRPC-Web",
	[SERVICE_HTTP_PROXY] = "HTTP_PROXY",
	[SERVICE_HTTPS] = "HTTPS",
	[SERVICE_TLS] = "TLS",
	[SERVICE_TCP] = "TCP",
	[SERVICE_MONGO] = "Mongo",
	[SERVICE_MYSQL] = "MySQL",
	[SERVICE_REDIS] = "Redis",
	[SERVICE_UDP] = "UDP",
};
static_assert(sizeof protocols / sizeof *protocols == SERVICE_PROTOCOL_COUNT, "every protocol has a name");

static const char *const resolutions[] = {
	[SERVICE_NONE] = "NONE",
	[SERVICE_STATIC] = "STATIC",
	[SERVICE_DNS] = "DNS",
	[SERVICE_DNS_ROUND_ROBIN] = "DNS_ROUND_ROBIN",
};
static_assert(sizeof resolutions / sizeof *resolutions == SERVICE_RESOLUTION_COUNT, "every resolution has a name");

bool service_protocol_is_http(enum service_protocol protocol)
{
	return protocol >= SERVICE_HTTP && protocol <= SERVICE_HTTP_PROXY;
}

bool service_protocol_is_tls(enum service_protocol protocol)
{
	return protocol == SERVICE_HTTPS || protocol == SERVICE_TLS;
}

bool service_protocol_is_tcp(enum service_protocol protocol)
{
	return protocol >= SERVICE_TCP && protocol <= SERVICE_REDIS;
}

bool service_endpoint_is_unix(const struct service_endpoint *endpoint)
{
	return strncmp(endpoint->address, SERVICE_UNIX_PREFIX, strlen(SERVICE_UNIX_PREFIX)) == 0;
}

const char *service_resolution_name(enum service_resolution resolution)
{
	return resolutions[resolution];
}

/* --- reading */

static void read_address(struct reader *r, const struct node *node, void *target)
{
	const char *text = reader_scalar(r, node);
	struct error e;

	if (text != NULL && subnet_parse(text, target, &e) < 0)
		reader_error(r, "", "%s", e.text);
}

static void read_addresses(struct reader *r, const struct node *node, void *target)
{
	struct service_entry *entry = target;
	size_t count;

	entry->subnets = reader_items(r, node, sizeof *entry->subnets, read_address, "must be a string", &count);
	entry->subnet_count = (uint16_t)count;
	for (const struct node_item *item = count > 0 ? node->first : NULL; item != NULL; item = item->next)
		if (item->value->type == NODE_SCALAR && strchr(item->value->text, '/') != NULL)
			entry->has_range = true;
}

/* As Istio does: without regard to case. */
static void read_protocol(struct reader *r, const struct node *node, void *target)
{
	const char *text = reader_scalar(r, node);
	enum service_protocol *protocol = target;

	for (int i = 0; text != NULL && i < SERVICE_PROTOCOL_COUNT; i++) {
		if (strcasecmp(protocols[i], text) == 0) {
			*protocol = (enum service_protocol)i;
			return;
		}
	}
	if (text != NULL)
		reader_error(r, "", "unsupported protocol: %s", text);
}

static void read_port(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"number", reader_integer, offsetof(struct service_port, number)},
		{"protocol", read_protocol, offsetof(struct service_port, protocol)},
		{"name", reader_text, offsetof(struct service_port, name)},
		{"targetPort", reader_integer, offsetof(struct service_port, target_port)},
	};
	struct service_port *port = target;

	port->name = "";
	reader_object(r, node, fields, FIELD_COUNT(fields), port);
}

static void read_ports(struct reader *r, const struct node *node, void *target)
{
	struct service_entry *entry = target;
	size_t count;

	entry->ports = reader_items(r, node, sizeof *entry->ports, read_port, "service entry port may not be null", &count);
	entry->port_count = (uint16_t)count;
}

static void read_endpoint_ports(struct reader *r, const struct node *node, void *target)
{
	struct service_endpoint *endpoint = target;
	size_t i = 0;

	if (node->type != NODE_MAP) {
		reader_error(r, "", "must be an object of port names and numbers");
		return;
	}
	if (node->count == 0)
		return;
	endpoint->ports = reader_alloc(r, node->count, sizeof *endpoint->ports);
	if (endpoint->ports == NULL)
		return;
	for (const struct node_item *item = node->first; item != NULL; item = item->next, i++) {
		reader_enter(r, item->key);
		endpoint->ports[i].name = reader_copy(r, item->key);
		reader_integer(r, item->value, &endpoint->ports[i].number);
		reader_leave(r);
	}
	endpoint->port_count = node->count;
}

static void read_endpoint(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"address", reader_text, offsetof(struct service_endpoint, address)},
		{"ports", read_endpoint_ports, 0},
		{"labels", reader_pairs, offsetof(struct service_endpoint, labels)},
		{"weight", reader_integer, offsetof(struct service_endpoint, weight)},
		{"network", NULL, 0},
		{"locality", NULL, 0},
		{"serviceAccount", reader_ignore, 0},
	};
	struct service_endpoint *endpoint = target;

	endpoint->address = "";
	reader_object(r, node, fields, FIELD_COUNT(fields), endpoint);
}

static void read_endpoints(struct reader *r, const struct node *node, void *target)
{
	struct service_entry *entry = target;
	size_t count;

	entry->endpoints = reader_items(r, node, sizeof *entry->endpoints, read_endpoint, "endpoint cannot be nil", &count);
	entry->endpoint_count = (uint16_t)count;
}

static void read_location(struct reader *r, const struct node *node, void *target)
{
	static const char *const words[] = {"MESH_EXTERNAL", "MESH_INTERNAL"};
	struct service_entry *entry = target;

	entry->is_external = reader_word(r, node, words, FIELD_COUNT(words), 0) == 0;
}

/* An enum's value may also be written as its number, but nobody does. */
static void read_resolution(struct reader *r, const struct node *node, void *target)
{
	enum service_resolution *resolution = target;

	if (node->type == NODE_SCALAR) {
		for (int i = 0; i < SERVICE_RESOLUTION_COUNT; i++) {
			if (strcmp(node->text, resolutions[i]) == 0) {
				*resolution = (enum service_resolution)i;
				return;
			}
		}
	}
	reader_error(r, "", "unsupported resolution type %.64s", node->type == NODE_SCALAR ? node->text : "");
}

static void read_selector(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {{"labels", reader_pairs, 0}};
	struct service_entry *entry = target;
	struct pairs labels = {.items = NULL};

	reader_object(r, node, fields, FIELD_COUNT(fields), &labels);
	entry->has_selector = true;
	entry->selects_labels = labels.count > 0;
}

void service_entry_read(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"hosts", reader_texts, offsetof(struct service_entry, hosts)},
		{"addresses", read_addresses, 0},
		{"ports", read_ports, 0},
		{"location", read_location, 0},
		{"resolution", read_resolution, offsetof(struct service_entry, resolution)},
		{"endpoints", read_endpoints, 0},
		{"workloadSelector", read_selector, 0},
		{"exportTo", reader_texts, offsetof(struct service_entry, export_to)},
		{"subjectAltNames", NULL, 0}, /* names of a certificate are a matter of the DestinationRule here */
	};
	struct service_entry *entry = target;

	entry->is_external = true;
	reader_object(r, node, fields, FIELD_COUNT(fields), entry);
	/* What could not be read is not worth a second complaint about what it would mean. */
	if (!r->failed)
		service_entry_check(r, entry);
}
