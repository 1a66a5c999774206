/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a connection was declared as, from the surest sign to the weakest:
 *
 *   1. its address and port are declared, for TCP or for TLS;
 *   2. its name is: the request's host, or the server name of TLS, on this port;
 *   3. its address is one that a declared TCP host resolves to, or for HTTP/2 any host;
 *   4. nothing says so: the mode decides.
 *
 * Each is one look into an index. Only the rules of the one host that was found are walked through.
 */
#include "proxy/policy/decide.h"

#include "proxy/policy/check.h"
#include "proxy/policy/match.h"

#include <string.h>

#define STATUS_BLOCKED 502
#define STATUS_NO_ROUTE 404
#define STATUS_NO_BACKEND 500
#define STATUS_MOVED 301
#define STATUS_OF_GRPC 200 /* what a fault with a status of gRPC's alone has, as in Envoy, whoever asks */

struct state {
	const struct policy *policy;
	const struct policy_facts *facts;
	struct policy_decision *decision;
	char name[NAME_LENGTH_MAX]; /* as hosts are compared */
	size_t name_length;         /* 0: none */
	bool by_address;            /* decided by where the application dialled: no name has to be believed */
	uint64_t random;
};

/* --- chance */

/* The next number of a sequence that the caller's number begins (splitmix64). */
static uint64_t draw(struct state *s)
{
	uint64_t z = s->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* A million is what Envoy divides by. */
static bool draw_percent(struct state *s, const struct fault_percent *percent)
{
	return percent->is_set && draw(s) % 1000000 < (uint64_t)(percent->value * 10000);
}

static const struct policy_share *draw_share(struct state *s, const struct policy_shares *shares)
{
	uint64_t place = shares->count > 1 ? draw(s) % shares->total : 0;

	for (size_t i = 0; i < shares->count; i++) {
		if (place < shares->items[i].weight)
			return &shares->items[i];
		place -= shares->items[i].weight;
	}
	return &shares->items[0];
}

/* --- outcomes */

static void decide_unknown(struct state *s)
{
	struct policy_decision *d = s->decision;
	bool http = s->facts->protocol == POLICY_HTTP;

	d->would_block = s->policy->mode == MESH_AUDIT;
	if (s->policy->mode == MESH_REGISTRY_ONLY) {
		d->action = POLICY_BLOCK;
		d->cluster_name = http ? NULL : "BlackHoleCluster";
		d->route_name = http ? "block_all" : NULL;
		d->status = STATUS_BLOCKED;
		return;
	}
	d->action = POLICY_PASS;
	d->cluster_name = "PassthroughCluster";
	d->route_name = http ? "allow_any" : NULL;
}

static bool is_declared_address(const struct service_entry *entry, const struct address *address)
{
	for (size_t i = 0; i < entry->subnet_count; i++)
		if (subnet_contains(&entry->subnets[i], address))
			return true;
	return false;
}

static void route_to(struct state *s, const struct policy_cluster *cluster)
{
	struct policy_decision *d = s->decision;

	d->action = POLICY_ROUTE;
	d->cluster = cluster;
	d->cluster_name = cluster->name;
	/* Only where a name was what decided, and the application says where to dial. */
	if (!s->by_address && cluster->resolution == SERVICE_NONE &&
		!is_declared_address(cluster->resource->service_entry, &s->facts->destination.address))
		d->verify = s->policy->verify;
}

/* --- connections */

/* By an address; which is all that counts, but where the bytes may be HTTP, which is decided request by request. */
static void set_by_address(struct state *s, const struct policy_host *host)
{
	s->by_address = true;
	s->decision->whole = host->cluster->protocol != SERVICE_UNSET || s->facts->protocol != POLICY_OPAQUE;
}

/* Returns false where none of the host's rules is for this connection. */
static bool route_connection(struct state *s, const struct policy_host *host)
{
	const struct policy_rules *rules = host->rules;
	const struct policy_share *share;
	bool named = s->facts->protocol == POLICY_TLS && s->name_length > 0;

	if (rules == NULL) {
		route_to(s, host->cluster);
		return true;
	}
	for (size_t i = 0; i < rules->stream_count; i++) {
		const struct policy_stream *stream = &rules->streams[i];

		if (stream->match != NULL && !match_stream(stream->match, &s->facts->destination.address,
						     named ? s->name : NULL, s->name_length))
			continue;
		share = draw_share(s, &stream->shares);
		if (share->cluster != NULL)
			route_to(s, share->cluster);
		else
			s->decision->action = POLICY_NO_CLUSTER;
		return true;
	}
	/* TCP rules that do not match leave the host as it is; server names that do not match leave it unknown. */
	if (!rules->only_streams)
		route_to(s, host->cluster);
	return !rules->only_streams;
}

/* Where addresses are declared for a server name, it counts only there. */
static bool is_allowed_address(const struct policy_host *host, const struct address *address)
{
	const struct service_entry *entry = host->cluster->resource->service_entry;

	return entry->subnet_count == 0 || is_declared_address(entry, address);
}

/* --- requests */

static void add_headers(struct policy_decision *d, const struct route_headers *headers)
{
	const struct pairs *lists[2];

	if (headers == NULL)
		return;
	d->headers[d->header_count++] = headers;
	lists[0] = &headers->request.set;
	lists[1] = &headers->request.add;
	for (size_t l = 0; l < 2; l++)
		for (size_t i = 0; i < lists[l]->count; i++)
			if (check_is_authority(lists[l]->items[i].name))
				d->authority = lists[l]->items[i].value;
}

/* Of several destinations, the chosen one's changes come first, and the route's may change them again, as in Envoy. */
static void set_headers(struct policy_decision *d, const struct policy_route *route, const struct policy_share *share)
{
	if (route->shares.count > 1)
		add_headers(d, share->headers);
	add_headers(d, route->rule->headers);
	if (route->shares.count == 1)
		add_headers(d, share->headers);
}

static void set_fault(struct state *s, const struct route_fault *fault)
{
	struct policy_decision *d = s->decision;

	if (fault == NULL)
		return;
	if (fault->has_delay && draw_percent(s, &fault->delay_percent))
		d->fault_delay = fault->delay.nanoseconds;
	if (fault->has_abort && draw_percent(s, &fault->abort_percent)) {
		d->fault_grpc_status = fault->abort_grpc_status;
		if (fault->abort_status.is_set)
			d->fault_status = (uint16_t)fault->abort_status.value;
		else if (fault->abort_grpc_status.is_set)
			d->fault_status = STATUS_OF_GRPC;
	}
}

/* The part of the path that a rewritten prefix stands for. */
static size_t matched_length(const struct http_match *match, const struct policy_facts *facts)
{
	if (match == NULL || match->uri.type == MATCH_NONE || match->uri.type == MATCH_PRESENT)
		return facts->path_length > 0 ? 1 : 0;
	if (match->uri.type == MATCH_PATH_PREFIX && strcmp(match->uri.text, "/") == 0)
		return 0;
	if (match->uri.type == MATCH_PREFIX || match->uri.type == MATCH_PATH_PREFIX)
		return strlen(match->uri.text);
	return match_path_length(facts->path, facts->path_length);
}

static void respond(struct policy_decision *d, const struct policy_route *route)
{
	const struct http_rule *rule = route->rule;

	if (rule->redirect != NULL) {
		d->action = POLICY_REDIRECT;
		d->redirect = rule->redirect;
		d->status = (uint16_t)(rule->redirect->code != 0 ? rule->redirect->code : STATUS_MOVED);
		return;
	}
	d->action = POLICY_RESPOND;
	d->response = rule->response;
	d->status = rule->response != NULL ? (uint16_t)rule->response->status : STATUS_NO_BACKEND;
}

static void follow_route(struct state *s, const struct policy_route *route)
{
	const struct http_rule *rule = route->rule;
	struct policy_decision *d = s->decision;
	const struct policy_share *share;

	d->route_name = route->name;
	d->matched = matched_length(route->match, s->facts);
	if (route->shares.total == 0) {
		respond(d, route);
		add_headers(d, rule->headers);
		return;
	}
	share = draw_share(s, &route->shares);
	if (rule->rewrite != NULL)
		d->authority = rule->rewrite->authority;
	d->rewrite = rule->rewrite;
	set_headers(d, route, share);
	set_fault(s, rule->fault);
	if (share->cluster == NULL) {
		d->action = POLICY_NO_CLUSTER;
		d->status = route->missing_status;
		return;
	}
	route_to(s, share->cluster);
	d->is_traced = s->policy->tracing;
	d->operation = route->operation;
	d->timeout = rule->timeout.is_set ? rule->timeout.nanoseconds : 0;
	d->retries = rule->retries != NULL ? rule->retries : &route_default_retries;
	if (d->retries->attempts == 0)
		d->retries = NULL;
}

static void route_request(struct state *s, const struct policy_host *host)
{
	const struct policy_rules *rules = host->rules;
	struct policy_decision *d = s->decision;

	if (rules == NULL) {
		route_to(s, host->cluster);
		d->route_name = "default";
		d->is_traced = s->policy->tracing;
		d->retries = &route_default_retries;
		return;
	}
	for (size_t i = 0; i < rules->route_count; i++) {
		const struct policy_route *route = &rules->routes[i];

		if (route->match == NULL || match_request(route->match, s->facts)) {
			follow_route(s, route);
			return;
		}
	}
	d->action = POLICY_NO_ROUTE;
	d->status = STATUS_NO_ROUTE;
}

/* Every request asks for it, and few have the same: it is cheaper to write than to keep. */
const char *policy_operation(const struct policy_decision *decision, char out[POLICY_OPERATION_SIZE])
{
	char digits[sizeof "65535"];
	char *digit = digits + sizeof digits;
	size_t length;
	unsigned port;

	if (!decision->is_traced || decision->operation != NULL)
		return decision->is_traced ? decision->operation : NULL;
	port = decision->cluster->port;
	do
		*--digit = (char)('0' + port % 10);
	while ((port /= 10) > 0);
	length = strnlen(decision->cluster->host, NAME_LENGTH_MAX);
	memcpy(out, decision->cluster->host, length);
	out[length++] = ':';
	memcpy(out + length, digit, (size_t)(digits + sizeof digits - digit));
	length += (size_t)(digits + sizeof digits - digit);
	memcpy(out + length, "/*", sizeof "/*");
	return out;
}

/* --- finding the host */

static bool decide_by_address(struct state *s)
{
	const struct endpoint *to = &s->facts->destination;
	const struct policy *policy = s->policy;
	const struct policy_host *host = NULL;

	if ((policy_port_owners(policy, to->port) & (POLICY_PORT_TCP | POLICY_PORT_TLS)) != 0)
		host = prefix_index_find(&policy->addresses, &to->address, to->port, &s->decision->probes);
	if (host == NULL && s->facts->protocol == POLICY_HTTP2)
		host = prefix_index_find(&policy->http_addresses, &to->address, to->port, &s->decision->probes);
	/* A port without a protocol is HTTP first, where it is HTTP. */
	if (host == NULL || (s->facts->protocol == POLICY_HTTP && host->cluster->protocol == SERVICE_UNSET))
		return false;
	set_by_address(s, host);
	return route_connection(s, host);
}

static bool decide_by_name(struct state *s)
{
	uint16_t port = s->facts->destination.port;
	unsigned *probes = &s->decision->probes;
	const struct policy_host *host;

	if (s->name_length == 0)
		return false;
	s->by_address = s->decision->whole = false;
	if (s->facts->protocol == POLICY_HTTP) {
		host = host_index_find(&s->policy->http, s->name, s->name_length, port, probes);
		if (host != NULL)
			route_request(s, host);
		return host != NULL;
	}
	if (s->facts->protocol != POLICY_TLS)
		return false;
	host = host_index_find(&s->policy->tls, s->name, s->name_length, port, probes);
	return host != NULL && is_allowed_address(host, &s->facts->destination.address) && route_connection(s, host);
}

/* The host for HTTP/2 that a name belongs to. */
static const struct policy_host *find_http2(struct state *s, const char *name, size_t length)
{
	uint16_t port = s->facts->destination.port;
	const struct policy_host *host;

	host = host_index_find(&s->policy->http_names, name, length, port, &s->decision->probes);
	if (host != NULL)
		return host;
	host = host_index_get(&s->policy->http, name, port);
	return host != NULL && host->cluster != NULL && host->cluster->is_by_name ? host : NULL;
}

/* The narrowest sign that there is for what tells no name: whose address it is right now. */
static bool decide_by_resolved(struct state *s)
{
	const struct endpoint *to = &s->facts->destination;
	unsigned owners = policy_port_owners(s->policy, to->port);
	bool http2 = s->facts->protocol == POLICY_HTTP2 && (owners & POLICY_PORT_HTTP) != 0;
	const char *names[POLICY_NAMES_MAX];
	size_t count;

	if (s->facts->names == NULL || ((owners & POLICY_PORT_TCP) == 0 && !http2))
		return false;
	count = s->facts->names(s->facts->context, &to->address, names, POLICY_NAMES_MAX);
	for (size_t i = 0; i < count; i++) {
		const struct policy_host *host = NULL;
		size_t length = strlen(names[i]);

		if (http2)
			host = find_http2(s, names[i], length);
		if (host == NULL)
			host = host_index_find(&s->policy->tcp_names, names[i], length, to->port, &s->decision->probes);
		if (host == NULL)
			continue;
		set_by_address(s, host);
		if (route_connection(s, host))
			return true;
	}
	return false;
}

/* An UNSET port's own address, where the request's host is unknown. */
static bool decide_by_unset_address(struct state *s)
{
	const struct endpoint *to = &s->facts->destination;
	const struct policy_host *host;

	if (s->facts->protocol != POLICY_HTTP || (policy_port_owners(s->policy, to->port) & POLICY_PORT_UNSET) == 0)
		return false;
	host = prefix_index_find(&s->policy->addresses, &to->address, to->port, &s->decision->probes);
	if (host == NULL)
		return false;
	set_by_address(s, host);
	return route_connection(s, host);
}

static void set_name(struct state *s)
{
	const struct policy_facts *facts = s->facts;
	size_t length = facts->name_length;
	int canonical;

	if (facts->name == NULL || (facts->protocol != POLICY_HTTP && facts->protocol != POLICY_TLS))
		return;
	if (facts->protocol == POLICY_HTTP)
		length = name_of_authority(facts->name, length);
	if (!name_is_host(facts->name, length))
		return;
	canonical = name_canonical(s->name, facts->name, length);
	s->name_length = canonical > 0 ? (size_t)canonical : 0;
}

void policy_decide(const struct policy *policy, const struct policy_facts *facts, struct policy_decision *ret_decision)
{
	struct state s;

	s.policy = policy;
	s.facts = facts;
	s.decision = ret_decision;
	s.name_length = 0;
	s.by_address = false;
	s.random = facts->random;
	*ret_decision = (struct policy_decision){.verify = MESH_VERIFY_OFF};
	set_name(&s);
	if (decide_by_address(&s) || decide_by_name(&s) || decide_by_unset_address(&s) || decide_by_resolved(&s))
		return;
	ret_decision->whole = false;
	decide_unknown(&s);
}
