/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Istio's validation says of a VirtualService, in its words, where it takes more than one field to see it.
 */
#include "proxy/policy/check.h"
#include "proxy/policy/name.h"
#include "proxy/policy/virtual_service.h"

#include <stdio.h>
#include <string.h>

/* Matches that are compared with each other: beyond that nobody is warned of duplicates. */
#define COMPARED_MATCH_MAX 2000u

/* --- hosts */

static void check_vs_hosts(struct reader *r, struct virtual_service *service)
{
	reader_enter(r, "hosts");
	for (size_t i = 0; i < service->hosts.count; i++) {
		const char *host = service->hosts.items[i];
		struct address address;

		reader_enter_index(r, i);
		if (strcmp(host, "*") == 0) {
			if (virtual_service_is_mesh(&service->gateways))
				reader_error(r, "", "wildcard host * is not allowed for virtual services bound to the mesh gateway");
		} else if (address_parse(host, strlen(host), &address) < 0) {
			host = check_host(r, "", host, true);
			if (host != NULL)
				service->hosts.items[i] = host;
		}
		reader_leave(r);
	}
	reader_leave(r);
}

static void check_overlap(struct reader *r, const struct virtual_service *service)
{
	for (size_t i = 0; i < service->hosts.count; i++)
		for (size_t j = i + 1; j < service->hosts.count; j++)
			if (name_is_subset(service->hosts.items[i], service->hosts.items[j]) ||
				name_is_subset(service->hosts.items[j], service->hosts.items[i]))
				reader_error(r, "hosts", "duplicate hosts in virtual service: %s & %s", service->hosts.items[i],
					service->hosts.items[j]);
}

/* --- http */

static void check_redirect_alone(struct reader *r, const struct http_rule *rule)
{
	if (rule->route.count > 0)
		reader_error(r, "redirect", "HTTP route cannot contain both route and redirect");
	if (rule->fault != NULL)
		reader_error(r, "redirect", "HTTP route cannot contain both fault and redirect");
	if (rule->rewrite != NULL)
		reader_error(r, "redirect", "HTTP route rule cannot contain both rewrite and redirect");
	if (rule->response != NULL)
		reader_error(r, "redirect", "HTTP route rule cannot contain both direct_response and redirect");
}

static void check_response_alone(struct reader *r, const struct http_rule *rule)
{
	if (rule->route.count > 0)
		reader_error(r, "directResponse", "HTTP route cannot contain both route and direct_response");
	if (rule->fault != NULL)
		reader_error(r, "directResponse", "HTTP route cannot contain both fault and direct_response");
	if (rule->rewrite != NULL)
		reader_error(r, "directResponse", "HTTP route rule cannot contain both rewrite and direct_response");
}

static void check_authority_once(struct reader *r, const struct http_rule *rule)
{
	const char *current = rule->rewrite != NULL ? rule->rewrite->authority : NULL;
	const struct pairs *lists[2];

	if (rule->headers == NULL)
		return;
	lists[0] = &rule->headers->request.set;
	lists[1] = &rule->headers->request.add;
	for (size_t l = 0; l < 2; l++) {
		for (size_t i = 0; i < lists[l]->count; i++) {
			const struct pair *pair = &lists[l]->items[i];

			if (!check_is_authority(pair->name))
				continue;
			if (current != NULL) {
				reader_error(r, "headers", "authority header cannot be set multiple times: have \"%s\", attempting "
							   "to set \"%s\"", current, pair->value);
				return;
			}
			current = pair->value;
		}
	}
}

static void check_http_rule(struct reader *r, const struct http_rule *rule)
{
	if (rule->redirect != NULL)
		check_redirect_alone(r, rule);
	else if (rule->response != NULL)
		check_response_alone(r, rule);
	else if (rule->route.count == 0)
		reader_error(r, "", "HTTP route, redirect or direct_response is required");
	check_authority_once(r, rule);
	check_duration(r, "timeout", &rule->timeout);
}

/* --- rules that no request reaches */

static bool is_always(const struct http_match *match)
{
	bool all = match->uri.type == MATCH_NONE || (match->uri.type == MATCH_PREFIX && strcmp(match->uri.text, "/") == 0);

	return all && match->scheme.type == MATCH_NONE && match->method.type == MATCH_NONE &&
	       match->authority.type == MATCH_NONE && match->headers.count == 0 && match->without_headers.count == 0 &&
	       match->queries.count == 0 && match->port == 0 && match->source_labels.count == 0 &&
	       match->source_namespace == NULL && match->gateways.count == 0;
}

static bool takes_everything(const struct http_rule *rule)
{
	for (size_t i = 0; i < rule->match_count; i++)
		if (is_always(&rule->matches[i]))
			return true;
	return rule->match_count == 0;
}

static const char *rule_name(const struct http_rule *rule, size_t index, char out[32])
{
	if (rule->name != NULL && *rule->name != '\0')
		return rule->name;
	(void)snprintf(out, 32, "#%zu", index);
	return out;
}

static bool is_path_only(const struct http_match *match)
{
	struct http_match rest = *match;

	rest.uri = (struct string_match){.type = MATCH_NONE};
	return match->uri.type != MATCH_NONE && match->uri.type != MATCH_PRESENT && is_always(&rest);
}

/* Whether two matches that ask for nothing but a path ask for the same. */
static bool is_same_path(const struct http_match *a, const struct http_match *b)
{
	return a->uri.type == b->uri.type && a->uri.text != NULL && b->uri.text != NULL &&
	       strcmp(a->uri.text, b->uri.text) == 0 && a->uri.ignore_case == b->uri.ignore_case && is_path_only(a) &&
	       is_path_only(b);
}

static void warn_of_duplicates(struct reader *r, const struct virtual_service *service, size_t index)
{
	const struct http_rule *rule = &service->http[index];
	char names[2][32];

	for (size_t m = 0; m < rule->match_count; m++)
		for (size_t i = 0; i < index; i++)
			for (size_t k = 0; k < service->http[i].match_count; k++)
				if (is_same_path(&rule->matches[m], &service->http[i].matches[k]))
					reader_warn(r, "match", "virtualService rule %s match #%zu is not used (duplicate/overlapping "
								"match in rule %s)", rule_name(rule, index, names[0]), m,
						rule_name(&service->http[i], i, names[1]));
}

static void warn_of_unreachable(struct reader *r, const struct virtual_service *service)
{
	size_t matches = 0;
	bool closed = false;
	char name[32];

	for (size_t i = 0; i < service->http_count; i++) {
		reader_enter_index(r, i);
		matches += service->http[i].match_count;
		if (closed)
			reader_warn(r, "", "virtualService rule %s not used (only the last rule can have no matches)",
				rule_name(&service->http[i], i, name));
		else if (matches <= COMPARED_MATCH_MAX)
			warn_of_duplicates(r, service, i);
		reader_leave(r);
		closed = closed || takes_everything(&service->http[i]);
	}
}

static void check_http(struct reader *r, const struct virtual_service *service)
{
	reader_enter(r, "http");
	for (size_t i = 0; i < service->http_count; i++) {
		reader_enter_index(r, i);
		check_http_rule(r, &service->http[i]);
		reader_leave(r);
	}
	warn_of_unreachable(r, service);
	reader_leave(r);
}

/* --- tls and tcp */

static void join_hosts(const struct virtual_service *service, char out[512])
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < service->hosts.count && used < 512; i++) {
		int length = snprintf(out + used, 512 - used, "%s%s", i > 0 ? ", " : "", service->hosts.items[i]);

		used += length > 0 ? (size_t)length : 0;
	}
}

static void check_sni_host(struct reader *r, const struct virtual_service *service, const char **host)
{
	struct address address;
	char hosts[512];
	const char *name;

	if (address_parse(*host, strlen(*host), &address) == 0) {
		reader_warn(r, "", "using an IP address (\"%s\") goes against SNI spec and most clients do not support this", *host);
		return;
	}
	name = check_host(r, "", *host, true);
	if (name == NULL)
		return;
	*host = name;
	for (size_t i = 0; i < service->hosts.count; i++)
		if (name_is_subset(name, service->hosts.items[i]))
			return;
	join_hosts(service, hosts);
	reader_error(r, "", "SNI host \"%s\" is not a compatible subset of any of the virtual service hosts: [%s]", name, hosts);
}

static void check_stream_match(struct reader *r, struct stream_match *match)
{
	match->subnets = check_subnets(r, "destinationSubnets", &match->destination_subnets);
	if (match->port != 0)
		check_port(r, "port", match->port);
	if (match->source_namespace != NULL && !name_is_label(match->source_namespace))
		reader_error(r, "sourceNamespace", "sourceNamespace match %s is invalid", match->source_namespace);
}

static void check_tls_match(struct reader *r, const struct virtual_service *service, struct stream_match *match)
{
	if (match->sni_hosts.count == 0)
		reader_error(r, "sniHosts", "TLS match must have at least one SNI host");
	reader_enter(r, "sniHosts");
	for (size_t i = 0; i < match->sni_hosts.count; i++) {
		reader_enter_index(r, i);
		check_sni_host(r, service, &match->sni_hosts.items[i]);
		reader_leave(r);
	}
	reader_leave(r);
	check_stream_match(r, match);
}

static void check_stream_rule(struct reader *r, const struct virtual_service *service, struct stream_rule *rule, bool tls)
{
	if (tls && rule->match_count == 0)
		reader_error(r, "match", "TLS route must have at least one match condition");
	reader_enter(r, "match");
	for (size_t i = 0; i < rule->match_count; i++) {
		reader_enter_index(r, i);
		if (tls)
			check_tls_match(r, service, &rule->matches[i]);
		else
			check_stream_match(r, &rule->matches[i]);
		reader_leave(r);
	}
	reader_leave(r);
	if (rule->route.count == 0)
		reader_error(r, "route", tls ? "TLS route is required" : "TCP route is required");
}

static void check_streams(struct reader *r, const struct virtual_service *service)
{
	reader_enter(r, "tls");
	for (size_t i = 0; i < service->tls_count; i++) {
		reader_enter_index(r, i);
		check_stream_rule(r, service, &service->tls[i], true);
		reader_leave(r);
	}
	reader_leave(r);
	reader_enter(r, "tcp");
	for (size_t i = 0; i < service->tcp_count; i++) {
		reader_enter_index(r, i);
		check_stream_rule(r, service, &service->tcp[i], false);
		reader_leave(r);
	}
	reader_leave(r);
}

void virtual_service_check(struct reader *r, struct virtual_service *service)
{
	if (service->hosts.count == 0)
		reader_error(r, "hosts", "virtual service must have at least one host");
	check_vs_hosts(r, service);
	check_overlap(r, service);
	if (service->http_count == 0 && service->tls_count == 0 && service->tcp_count == 0)
		reader_error(r, "", "http, tcp or tls must be provided in virtual service");
	if (!virtual_service_is_mesh(&service->gateways))
		reader_warn(r, "gateways", "without \"mesh\" among them it has no effect in a pod");
	check_http(r, service);
	check_streams(r, service);
	check_export_to(r, &service->export_to, false);
}
