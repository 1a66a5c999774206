/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/policy/virtual_service.h"

#include "proxy/policy/check.h"

#include <string.h>

#define FIELD_COUNT(fields) (sizeof(fields) / sizeof *(fields))

bool virtual_service_is_mesh(const struct texts *gateways)
{
	for (size_t i = 0; i < gateways->count; i++)
		if (strcmp(gateways->items[i], "mesh") == 0)
			return true;
	return gateways->count == 0;
}

static void read_delegate(struct reader *r, const struct node *node, void *target)
{
	(void)node;
	(void)target;
	reader_error(r, "", "delegate is not supported");
}

static void read_http_rule(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"name", reader_text, offsetof(struct http_rule, name)},
		{"match", route_read_matches, 0},
		{"route", route_read_destinations, offsetof(struct http_rule, route)},
		{"timeout", reader_duration, offsetof(struct http_rule, timeout)},
		{"retries", route_read_retries, offsetof(struct http_rule, retries)},
		{"fault", route_read_fault, offsetof(struct http_rule, fault)},
		{"rewrite", route_read_rewrite, offsetof(struct http_rule, rewrite)},
		{"headers", route_read_headers, offsetof(struct http_rule, headers)},
		{"redirect", route_read_redirect, offsetof(struct http_rule, redirect)},
		{"directResponse", route_read_response, offsetof(struct http_rule, response)},
		{"delegate", read_delegate, 0},
		{"mirror", NULL, 0},
		{"mirrors", NULL, 0},
		{"mirrorPercent", NULL, 0},
		{"mirrorPercentage", NULL, 0},
		{"corsPolicy", NULL, 0},
	};

	reader_object(r, node, fields, FIELD_COUNT(fields), target);
	if (!node_is_null(node_get(node, "mirror")) && !node_is_null(node_get(node, "mirrors")))
		reader_error(r, "mirror", "HTTP route cannot contain both mirror and mirrors");
}

static void read_tls_match(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"sniHosts", reader_texts, offsetof(struct stream_match, sni_hosts)},
		{"destinationSubnets", reader_texts, offsetof(struct stream_match, destination_subnets)},
		{"port", reader_integer, offsetof(struct stream_match, port)},
		{"sourceLabels", reader_pairs, offsetof(struct stream_match, source_labels)},
		{"sourceNamespace", reader_text, offsetof(struct stream_match, source_namespace)},
		{"gateways", reader_texts, offsetof(struct stream_match, gateways)},
	};

	reader_object(r, node, fields, FIELD_COUNT(fields), target);
}

static void read_tcp_match(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"destinationSubnets", reader_texts, offsetof(struct stream_match, destination_subnets)},
		{"port", reader_integer, offsetof(struct stream_match, port)},
		{"sourceLabels", reader_pairs, offsetof(struct stream_match, source_labels)},
		{"sourceNamespace", reader_text, offsetof(struct stream_match, source_namespace)},
		{"gateways", reader_texts, offsetof(struct stream_match, gateways)},
		{"sourceSubnet", NULL, 0},
	};

	reader_object(r, node, fields, FIELD_COUNT(fields), target);
}

static void read_tls_matches(struct reader *r, const struct node *node, void *target)
{
	struct stream_rule *rule = target;

	rule->matches = reader_items(r, node, sizeof *rule->matches, read_tls_match, "TLS match may not be null",
		&rule->match_count);
}

static void read_tcp_matches(struct reader *r, const struct node *node, void *target)
{
	struct stream_rule *rule = target;

	rule->matches = reader_items(r, node, sizeof *rule->matches, read_tcp_match, "tcp match may not be nil",
		&rule->match_count);
}

static void read_tls_rule(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"match", read_tls_matches, 0},
		{"route", route_read_stream_destinations, offsetof(struct stream_rule, route)},
	};

	reader_object(r, node, fields, FIELD_COUNT(fields), target);
}

static void read_tcp_rule(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"match", read_tcp_matches, 0},
		{"route", route_read_stream_destinations, offsetof(struct stream_rule, route)},
	};

	reader_object(r, node, fields, FIELD_COUNT(fields), target);
}

static void read_http(struct reader *r, const struct node *node, void *target)
{
	struct virtual_service *service = target;

	service->http = reader_items(r, node, sizeof *service->http, read_http_rule, "http route may not be null",
		&service->http_count);
}

static void read_tls(struct reader *r, const struct node *node, void *target)
{
	struct virtual_service *service = target;

	service->tls = reader_items(r, node, sizeof *service->tls, read_tls_rule, "tls route may not be null",
		&service->tls_count);
}

static void read_tcp(struct reader *r, const struct node *node, void *target)
{
	struct virtual_service *service = target;

	service->tcp = reader_items(r, node, sizeof *service->tcp, read_tcp_rule, "tcp route may not be null",
		&service->tcp_count);
}

void virtual_service_read(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"hosts", reader_texts, offsetof(struct virtual_service, hosts)},
		{"gateways", reader_texts, offsetof(struct virtual_service, gateways)},
		{"exportTo", reader_texts, offsetof(struct virtual_service, export_to)},
		{"http", read_http, 0},
		{"tls", read_tls, 0},
		{"tcp", read_tcp, 0},
	};

	reader_object(r, node, fields, FIELD_COUNT(fields), target);
	if (!r->failed)
		virtual_service_check(r, target);
}
