/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Istio's validation says of a ServiceEntry, in its words, and a few warnings more where Istio takes silently what
 * does not do what it looks like.
 */
#include "proxy/policy/check.h"
#include "proxy/policy/name.h"
#include "proxy/policy/service_entry.h"

#include <string.h>

static bool is_dns(const struct service_entry *entry)
{
	return entry->resolution == SERVICE_DNS || entry->resolution == SERVICE_DNS_ROUND_ROBIN;
}

static bool is_address(const char *text)
{
	struct address address;

	return address_parse(text, strlen(text), &address) == 0;
}

/* --- ports */

static bool has_wildcard(const struct service_entry *entry)
{
	for (size_t i = 0; i < entry->hosts.count; i++)
		if (name_is_wildcard(entry->hosts.items[i]))
			return true;
	return false;
}

/* Nothing tells which connections are meant: no address is declared, none can be resolved, and no name is on the wire. */
static bool is_unreachable(const struct service_entry *entry, const struct service_port *port)
{
	bool opaque = service_protocol_is_tcp(port->protocol) || port->protocol == SERVICE_UNSET;

	return opaque && entry->subnet_count == 0 && entry->endpoint_count == 0 && has_wildcard(entry);
}

static void check_one_port(struct reader *r, const struct service_entry *entry, size_t index)
{
	const struct service_port *port = &entry->ports[index];

	for (size_t i = 0; i < index; i++) {
		if (strcmp(entry->ports[i].name, port->name) == 0)
			reader_error(r, "name", "service entry port name \"%s\" already defined", port->name);
		if (entry->ports[i].number == port->number)
			reader_error(r, "number", "service entry port %d already defined", port->number);
	}
	if (port->target_port != 0)
		check_port(r, "targetPort", port->target_port);
	if (is_unreachable(entry, port))
		reader_warn(r, "", "addresses are required for ports serving TCP (or unset) protocol when "
				   "ISTIO_META_DNS_AUTO_ALLOCATE is not set on a proxy");
	if (!name_is_label(port->name))
		reader_error(r, "name", "invalid port name: %s", port->name);
	if (port->protocol == SERVICE_UDP)
		reader_warn(r, "protocol", "UDP does not go through the proxy: this port has no effect");
	check_port(r, "number", port->number);
}

static void check_ports(struct reader *r, const struct service_entry *entry)
{
	reader_enter(r, "ports");
	for (size_t i = 0; i < entry->port_count; i++) {
		reader_enter_index(r, i);
		check_one_port(r, entry, i);
		reader_leave(r);
	}
	reader_leave(r);
	if (entry->port_count == 0)
		reader_warn(r, "ports", "service entry without ports has no effect");
}

/* With several hosts, only a name on the wire can say which one is meant. */
static void check_several_hosts(struct reader *r, const struct service_entry *entry)
{
	bool opaque = false;
	bool tcp = false;

	for (size_t i = 0; i < entry->port_count; i++) {
		enum service_protocol protocol = entry->ports[i].protocol;

		opaque = opaque || (!service_protocol_is_http(protocol) && !service_protocol_is_tls(protocol));
		tcp = tcp || service_protocol_is_tcp(protocol);
	}
	if (entry->hosts.count < 2 || entry->resolution == SERVICE_NONE)
		return;
	if (is_dns(entry) && entry->subnet_count > 0 && tcp)
		reader_warn(r, "hosts", "service entry can not have more than one host specified simultaneously with address "
					"and tcp port");
	if (opaque)
		reader_error(r, "hosts", "multiple hosts provided with non-HTTP, non-TLS ports");
}

/* --- endpoints */

static bool has_port_name(const struct service_entry *entry, const char *name)
{
	for (size_t i = 0; i < entry->port_count; i++)
		if (strcmp(entry->ports[i].name, name) == 0)
			return true;
	return false;
}

static void check_endpoint_ports(struct reader *r, const struct service_entry *entry,
	const struct service_endpoint *endpoint)
{
	reader_enter(r, "ports");
	for (size_t i = 0; i < endpoint->port_count; i++) {
		const struct service_endpoint_port *port = &endpoint->ports[i];

		if (!has_port_name(entry, port->name))
			reader_error(r, port->name, "endpoint port %d is not defined by the service entry", port->number);
		if (!name_is_label(port->name))
			reader_error(r, port->name, "invalid port name: %s", port->name);
		check_port(r, port->name, port->number);
	}
	reader_leave(r);
}

static void check_unix_endpoint(struct reader *r, const struct service_entry *entry,
	const struct service_endpoint *endpoint)
{
	const char *path = endpoint->address + strlen(SERVICE_UNIX_PREFIX);

	if (*path == '\0')
		reader_error(r, "address", "unix address must not be empty");
	else if (*path != '/' && *path != '@')
		reader_error(r, "address", "%s is not an absolute path", path);
	if (endpoint->port_count > 0)
		reader_error(r, "ports", "unix endpoint %s must not include ports", endpoint->address);
	if (entry->port_count != 1)
		reader_error(r, "", "exactly 1 service port required for unix endpoints");
	reader_warn(r, "address",
		"unix sockets are not supported, the proxy opens sockets of IP alone: this endpoint is not used");
}

static void check_static_endpoint(struct reader *r, const struct service_entry *entry,
	const struct service_endpoint *endpoint)
{
	if (*endpoint->address == '\0')
		reader_error(r, "", "address is required");
	else if (service_endpoint_is_unix(endpoint))
		check_unix_endpoint(r, entry, endpoint);
	else if (!is_address(endpoint->address))
		reader_error(r, "address", "endpoint address \"%s\" is not a valid IP address", endpoint->address);
}

static void warn_of_name(struct reader *r, const char *field, const char *name)
{
	if (!name_is_wildcard(name) && !name_is_resolvable(name))
		reader_warn(r, field,
			"%s is a name that DNS cannot be asked for: it has more than %u bytes, or ends in a number", name,
			NAME_RESOLVABLE_MAX);
}

static void check_dns_endpoint(struct reader *r, struct service_endpoint *endpoint)
{
	const char *name;
	struct error e;

	if (is_address(endpoint->address))
		return;
	if (name_check_full(endpoint->address, &e) < 0) {
		reader_error(r, "address", "endpoint address \"%s\" is not a valid FQDN or an IP address", endpoint->address);
		return;
	}
	name = check_host(r, "address", endpoint->address, false);
	if (name == NULL)
		return;
	endpoint->address = name;
	warn_of_name(r, "address", name);
}

static void check_endpoints(struct reader *r, struct service_entry *entry)
{
	reader_enter(r, "endpoints");
	for (size_t i = 0; i < entry->endpoint_count; i++) {
		struct service_endpoint *endpoint = &entry->endpoints[i];

		reader_enter_index(r, i);
		if (entry->resolution == SERVICE_STATIC)
			check_static_endpoint(r, entry, endpoint);
		else
			check_dns_endpoint(r, endpoint);
		check_endpoint_ports(r, entry, endpoint);
		if (endpoint->weight < 0)
			reader_error(r, "weight", "weight %d < 0", endpoint->weight);
		reader_leave(r);
	}
	reader_leave(r);
}

/* --- resolution */

static void check_full_hosts(struct reader *r, const struct service_entry *entry)
{
	struct error e;

	reader_enter(r, "hosts");
	for (size_t i = 0; i < entry->hosts.count; i++) {
		reader_enter_index(r, i);
		if (entry->endpoint_count == 0 && name_check_full(entry->hosts.items[i], &e) < 0)
			reader_error(r, "", "hosts must be FQDN if no endpoints are provided for resolution mode %s",
				service_resolution_name(entry->resolution));
		else if (entry->endpoint_count == 0)
			warn_of_name(r, "", entry->hosts.items[i]);
		else if (name_is_wildcard(entry->hosts.items[i]))
			reader_warn(r, "", "every name under %s is sent to the endpoints, whatever it resolves to",
				entry->hosts.items[i]);
		reader_leave(r);
	}
	reader_leave(r);
}

static bool has_port(const struct service_entry *entry, bool (*is)(enum service_protocol))
{
	for (size_t i = 0; i < entry->port_count; i++)
		if (is(entry->ports[i].protocol))
			return true;
	return false;
}

/* Who is reached by what a name resolves to, or is held against it. */
static void warn_of_names(struct reader *r, const struct service_entry *entry)
{
	reader_enter(r, "hosts");
	for (size_t i = 0; i < entry->hosts.count; i++) {
		reader_enter_index(r, i);
		warn_of_name(r, "", entry->hosts.items[i]);
		reader_leave(r);
	}
	reader_leave(r);
}

/* The application says the name, and the application says the address: nothing but weir.verifyDestination compares. */
static void warn_of_none(struct reader *r, const struct service_entry *entry)
{
	bool named = has_port(entry, service_protocol_is_http) || has_port(entry, service_protocol_is_tls);

	if (named && entry->is_external && entry->subnet_count == 0)
		reader_warn(r, "resolution", "with NONE an application reaches any address under these host names, unless "
					     "weir.verifyDestination is enforce; DNS binds them to their addresses");
}

static void check_resolution(struct reader *r, struct service_entry *entry)
{
	switch (entry->resolution) {
	case SERVICE_NONE:
		if (entry->endpoint_count > 0)
			reader_error(r, "endpoints", "no endpoints should be provided for resolution type none");
		if (entry->has_selector)
			reader_warn(r, "workloadSelector", "workloadSelector should not be set when resolution mode is NONE");
		warn_of_none(r, entry);
		warn_of_names(r, entry);
		return;
	case SERVICE_STATIC:
		if (entry->endpoint_count == 0)
			reader_warn(r, "endpoints", "without endpoints nothing can be reached: requests get 503");
		check_endpoints(r, entry);
		return;
	case SERVICE_DNS_ROUND_ROBIN:
		if (entry->endpoint_count > 1)
			reader_error(r, "endpoints", "there must only be 0 or 1 endpoint for resolution mode %s",
				service_resolution_name(entry->resolution));
		break;
	default:
		break;
	}
	check_full_hosts(r, entry);
	check_endpoints(r, entry);
}

static void check_selector(struct reader *r, const struct service_entry *entry)
{
	if (!entry->has_selector)
		return;
	if (entry->endpoint_count > 0)
		reader_error(r, "workloadSelector", "only one of WorkloadSelector or Endpoints is allowed in Service Entry");
	if (!entry->selects_labels)
		reader_warn(r, "workloadSelector", "service entry: workload selector specified without labels, will be applied "
						   "to all services in namespace");
	else
		reader_warn(r, "workloadSelector", "not supported: the workloads of a cluster are not known here");
}

static bool check_counts(struct reader *r, const struct service_entry *entry)
{
	const struct {
		const char *field;
		size_t count;
	} lists[] = {{"hosts", entry->hosts.count}, {"addresses", entry->subnet_count}, {"ports", entry->port_count}};
	bool good = true;

	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		if (lists[i].count <= SERVICE_ENTRY_ITEM_MAX)
			continue;
		reader_error(r, lists[i].field, "must have at most %u items", SERVICE_ENTRY_ITEM_MAX);
		good = false;
	}
	return good;
}

void service_entry_check(struct reader *r, struct service_entry *entry)
{
	if (!check_counts(r, entry))
		return;
	check_selector(r, entry);
	if (entry->hosts.count == 0)
		reader_error(r, "hosts", "service entry must have at least one host");
	check_hosts(r, "hosts", &entry->hosts);
	if (entry->has_range && is_dns(entry))
		reader_error(r, "addresses", "CIDR addresses are allowed only for NONE/STATIC resolution types");
	check_ports(r, entry);
	check_resolution(r, entry);
	check_several_hosts(r, entry);
	check_export_to(r, &entry->export_to, true);
}
