/* SPDX-License-Identifier: Apache-2.0 */
#include "redirect/plan/setting.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/*
 * Names of flags and environment are those of Istio's init container, 1.23 and later; annotations are Istio's, and
 * weir's own under weir.dev/. The order is that of enum setting.
 */
#define TRAFFIC "traffic.sidecar.istio.io/"

static const struct setting_spec specs[] = {
	[SETTING_INTERCEPTION_MODE] = {"sidecar.istio.io/interceptionMode", "interceptionMode",
		"istio-inbound-interception-mode", 'm', {"ISTIO_INBOUND_INTERCEPTION_MODE"},
		.kind = SETTING_KIND_MODE, .pod_default = "REDIRECT", .flag_default = "REDIRECT"},
	[SETTING_INCLUDE_OUTBOUND_IP_RANGES] = {TRAFFIC "includeOutboundIPRanges", "includeOutboundIPRanges",
		"istio-service-cidr", 'i', {"ISTIO_SERVICE_CIDR"},
		.kind = SETTING_KIND_RANGES_ALL, .pod_default = "*", .flag_default = ""},
	[SETTING_EXCLUDE_OUTBOUND_IP_RANGES] = {TRAFFIC "excludeOutboundIPRanges", "excludeOutboundIPRanges",
		"istio-service-exclude-cidr", 'x', {"ISTIO_SERVICE_EXCLUDE_CIDR"},
		.kind = SETTING_KIND_RANGES, .pod_default = "", .flag_default = ""},
	[SETTING_INCLUDE_OUTBOUND_PORTS] = {TRAFFIC "includeOutboundPorts", "includeOutboundPorts",
		"istio-outbound-ports", 'q', {"ISTIO_OUTBOUND_PORTS"},
		.kind = SETTING_KIND_PORTS, .pod_default = "", .flag_default = ""},
	[SETTING_EXCLUDE_OUTBOUND_PORTS] = {TRAFFIC "excludeOutboundPorts", "excludeOutboundPorts",
		"istio-local-outbound-ports-exclude", 'o', {"ISTIO_LOCAL_OUTBOUND_PORTS_EXCLUDE"},
		.kind = SETTING_KIND_PORTS, .pod_default = "", .flag_default = ""},
	[SETTING_INCLUDE_INBOUND_PORTS] = {TRAFFIC "includeInboundPorts", "includeInboundPorts",
		"istio-inbound-ports", 'b', {"ISTIO_INBOUND_PORTS"},
		.kind = SETTING_KIND_PORTS_ALL, .pod_default = "", .flag_default = ""},
	[SETTING_EXCLUDE_INBOUND_PORTS] = {TRAFFIC "excludeInboundPorts", "excludeInboundPorts",
		"istio-local-exclude-ports", 'd', {"ISTIO_LOCAL_EXCLUDE_PORTS"},
		.kind = SETTING_KIND_PORTS, .pod_default = "15020,15021,15090", .flag_default = ""},
	[SETTING_EXCLUDE_INTERFACES] = {TRAFFIC "excludeInterfaces", "excludeInterfaces",
		"istio-exclude-interfaces", 'c', {"ISTIO_EXCLUDE_INTERFACES"},
		.kind = SETTING_KIND_INTERFACES, .pod_default = "", .flag_default = ""},
	[SETTING_KUBEVIRT_INTERFACES] = {TRAFFIC "kubevirtInterfaces", "kubevirtInterfaces",
		"kube-virt-interfaces", 'k', {"KUBE_VIRT_INTERFACES"},
		.kind = SETTING_KIND_INTERFACES, .pod_default = "", .flag_default = ""},
	[SETTING_REROUTE_VIRTUAL_INTERFACES] = {"istio.io/reroute-virtual-interfaces", "reroute-virtual-interfaces",
		.kind = SETTING_KIND_INTERFACES, .pod_default = "", .flag_default = ""},
	[SETTING_DNS_CAPTURE] = {"weir.dev/dnsCapture", "dnsCapture",
		"redirect-dns", 0, {"REDIRECT_DNS", "ISTIO_META_DNS_CAPTURE"},
		.kind = SETTING_KIND_SWITCH, .pod_default = "false", .flag_default = "false"},
	/* The plugin runs before there is a resolv.conf in the pod: what it captures is DNS to any server. */
	[SETTING_CAPTURE_ALL_DNS] = {NULL, NULL,
		"capture-all-dns", 0, {"CAPTURE_ALL_DNS"},
		.kind = SETTING_KIND_SWITCH, .pod_default = "true", .flag_default = "false"},
	/* Left out, weir-init reads them from /etc/resolv.conf. */
	[SETTING_DNS_SERVERS] = {NULL, NULL,
		"dns-servers", 0, {NULL},
		.kind = SETTING_KIND_RANGES, .pod_default = "", .flag_default = ""},
	[SETTING_DROP_INVALID] = {"weir.dev/dropInvalid", "dropInvalid",
		"drop-invalid", 0, {"DROP_INVALID", "INVALID_DROP"},
		.kind = SETTING_KIND_SWITCH, .pod_default = "false", .flag_default = "false"},
	[SETTING_INCLUDE_OWNER_GROUPS] = {"weir.dev/includeOwnerGroups", "includeOwnerGroups",
		NULL, 0, {"ISTIO_OUTBOUND_OWNER_GROUPS"}, .empty_environment_counts = true,
		.kind = SETTING_KIND_GROUPS, .pod_default = "*", .flag_default = "*"},
	[SETTING_EXCLUDE_OWNER_GROUPS] = {"weir.dev/excludeOwnerGroups", "excludeOwnerGroups",
		NULL, 0, {"ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE"},
		.kind = SETTING_KIND_GROUPS_ONLY, .pod_default = "", .flag_default = ""},
	[SETTING_CONTAINMENT] = {"weir.dev/containment", "containment",
		.kind = SETTING_KIND_CONTAINMENT, .pod_default = "off", .flag_default = "off", .inert = "off"},
	[SETTING_PROXY_UID] = {NULL, "proxyUID",
		"proxy-uid", 'u', {"PROXY_UID"},
		.kind = SETTING_KIND_IDS, .pod_default = "1337", .flag_default = "1337"},
	/* Empty stands for the same IDs as the user's, as in Istio. */
	[SETTING_PROXY_GID] = {NULL, "proxyGID",
		"proxy-gid", 'g', {"PROXY_GID"},
		.kind = SETTING_KIND_IDS, .pod_default = "", .flag_default = ""},
	[SETTING_PROXY_PORT] = {NULL, "proxyPort",
		"envoy-port", 'p', {NULL},
		.kind = SETTING_KIND_PORT, .pod_default = "15001", .flag_default = "15001"},
	[SETTING_INBOUND_PORT] = {NULL, "inboundPort",
		"inbound-capture-port", 'z', {"INBOUND_CAPTURE_PORT"},
		.kind = SETTING_KIND_PORT, .pod_default = "15006", .flag_default = "15006"},
	[SETTING_INBOUND_TUNNEL_PORT] = {NULL, NULL,
		"inbound-tunnel-port", 'e', {"INBOUND_TUNNEL_PORT"},
		.kind = SETTING_KIND_PORT, .pod_default = "15008", .flag_default = "15008"},
	[SETTING_TPROXY_MARK] = {NULL, "tproxyMark",
		"istio-inbound-tproxy-mark", 't', {"ISTIO_INBOUND_TPROXY_MARK"},
		.kind = SETTING_KIND_NUMBER, .pod_default = "1337", .flag_default = "1337"},
	[SETTING_TPROXY_ROUTE_TABLE] = {NULL, "tproxyRouteTable",
		"istio-inbound-tproxy-route-table", 'r', {"ISTIO_INBOUND_TPROXY_ROUTE_TABLE"},
		.kind = SETTING_KIND_NUMBER, .pod_default = "133", .flag_default = "133"},
	[SETTING_LOOPBACK_CIDR] = {NULL, "loopbackCIDR",
		NULL, 0, {"ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR"}, .empty_environment_counts = true,
		.kind = SETTING_KIND_LOOPBACK, .pod_default = "127.0.0.1/32", .flag_default = "127.0.0.1/32"},
};
static_assert(sizeof specs / sizeof *specs == SETTING_COUNT, "every setting has a row");

const struct setting_spec *setting_spec(enum setting setting)
{
	assert(setting < SETTING_COUNT);
	return &specs[setting];
}

const char *setting_name(enum setting setting)
{
	const struct setting_spec *spec = setting_spec(setting);

	return spec->annotation != NULL ? spec->annotation
	       : spec->key != NULL      ? spec->key
	       : spec->flag != NULL     ? spec->flag
					: spec->environment[0];
}

void settings_set(struct settings *settings, enum setting setting, enum setting_way way, const char *spelling,
	const char *text, size_t length)
{
	settings->values[setting] =
		(struct setting_value){.text = text, .length = length, .way = way, .spelling = spelling};
}

void settings_init_for_pod(struct settings *settings)
{
	for (enum setting s = 0; s < SETTING_COUNT; s++) {
		const char *spelling = specs[s].annotation != NULL ? specs[s].annotation : specs[s].key;

		settings_set(settings, s, SETTING_WAY_DEFAULT, spelling, specs[s].pod_default,
			strlen(specs[s].pod_default));
	}
}

void settings_init_for_flags(struct settings *settings)
{
	for (enum setting s = 0; s < SETTING_COUNT; s++) {
		const char *spelling = specs[s].flag != NULL ? specs[s].flag : specs[s].environment[0];

		settings_set(settings, s, SETTING_WAY_DEFAULT, spelling, specs[s].flag_default,
			strlen(specs[s].flag_default));
	}
}

const char *setting_origin(char *out, size_t size, const struct setting_value *value)
{
	static const char *const ways[] = {
		[SETTING_WAY_DEFAULT] = "default of ",
		[SETTING_WAY_CONFIGURATION] = "CNI configuration key ",
		[SETTING_WAY_ANNOTATION] = "annotation ",
		[SETTING_WAY_FLAG] = "flag --",
		[SETTING_WAY_ENVIRONMENT] = "environment variable ",
		[SETTING_WAY_FILE] = "file ",
	};

	(void)snprintf(out, size, "%s%s", ways[value->way], value->spelling != NULL ? value->spelling : "(unnamed)");
	return out;
}
