/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decisions: resources in, facts in, and where it goes.
 */
#include "tests/unit/policy_fixture.h"

#include "proxy/policy/name.h"
#include "proxy/policy/rewrite.h"
#include "proxy/policy/suggest.h"

#include <errno.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* A few entries of each kind, as users write them. */
static const char entries[] =
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: httpbin-ext}\n"
	"spec:\n  hosts: [httpbin.org]\n  ports: [{number: 80, name: http, protocol: HTTP}]\n"
	"  resolution: DNS\n  location: MESH_EXTERNAL\n---\n"
	"apiVersion: networking.istio.io/v1beta1\nkind: ServiceEntry\nmetadata: {name: google}\n"
	"spec:\n  hosts: [www.google.com]\n  ports: [{number: 443, name: https, protocol: HTTPS}]\n"
	"  resolution: DNS\n  location: MESH_EXTERNAL\n---\n"
	"apiVersion: networking.istio.io/v1alpha3\nkind: ServiceEntry\nmetadata: {name: wild}\n"
	"spec:\n  hosts: ['*.wild.org', a.b.wild.org]\n"
	"  ports: [{number: 80, name: http, protocol: http}, {number: 443, name: tls, protocol: TLS}]\n"
	"  resolution: NONE\n---\n"
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: database}\n"
	"spec:\n  hosts: [db.example.org]\n  addresses: [10.1.0.1, 10.2.0.0/16, '2001:db8::/64']\n"
	"  ports: [{number: 5432, name: pg, protocol: TCP, targetPort: 6432}]\n  resolution: STATIC\n"
	"  endpoints: [{address: 192.0.2.1}, {address: 192.0.2.2, ports: {pg: 7432}, weight: 3}]\n---\n"
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: mail}\n"
	"spec:\n  hosts: [mail.example.org]\n  ports: [{number: 443, name: tcp, protocol: TCP}, {number: 25, name: smtp, protocol: TCP}]\n"
	"  resolution: DNS\n---\n"
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: queue}\n"
	"spec:\n  hosts: [queue.example.org]\n  ports: [{number: 25, name: smtp, protocol: TCP}]\n  resolution: DNS\n"
	"  endpoints: [{address: q1.example.net, ports: {smtp: 2525}}, {address: 192.0.2.25}]\n---\n"
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: sniffed}\n"
	"spec:\n  hosts: [any.example.org]\n  addresses: [10.3.0.1]\n  ports: [{number: 9000, name: any}]\n  resolution: NONE\n---\n"
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: tls-vip}\n"
	"spec:\n  hosts: [vip.example.org]\n  addresses: [10.4.0.1, 10.5.0.0/16]\n"
	"  ports: [{number: 8443, name: tls, protocol: TLS}]\n  resolution: NONE\n---\n"
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: grpc}\n"
	"spec:\n  hosts: [grpc.example.org]\n  ports: [{number: 50051, name: grpc, protocol: GRPC}]\n  resolution: DNS\n---\n"
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: port}\n"
	"spec:\n  hosts: [port.example.org]\n  ports: [{number: 8080, name: http, protocol: HTTP, targetPort: 80}]\n  resolution: NONE\n";

/* Whom addresses belong to, in these tests. */
static size_t resolve(void *context, const struct address *address, const char **ret_names, size_t size)
{
	static const struct {
		const char *address;
		const char *name;
	} known[] = {{"198.51.100.1", "mail.example.org"}, {"198.51.100.2", "q1.example.net"},
		{"198.51.100.3", "grpc.example.org"}, {"198.51.100.4", "httpbin.org"}};
	char text[ADDRESS_TEXT_SIZE];
	size_t count = 0;

	(void)context;
	for (size_t i = 0; i < COUNT(known) && count < size; i++)
		if (strcmp(address_format(text, address), known[i].address) == 0)
			ret_names[count++] = known[i].name;
	return count;
}

struct decision_case {
	const char *what;
	enum policy_protocol protocol;
	const char *to;
	const char *name;
	const char *cluster; /* NULL: unknown */
	bool whole;
	enum mesh_verify verify;
};

#define V_LOG MESH_VERIFY_LOG
#define V_OFF MESH_VERIFY_OFF

static const struct decision_case cases[] = {
	{"HTTP host", POLICY_HTTP, "1.2.3.4:80", "httpbin.org", "outbound|80||httpbin.org", false, V_OFF},
	{"its port is ignored", POLICY_HTTP, "1.2.3.4:80", "httpbin.org:8443", "outbound|80||httpbin.org", false, V_OFF},
	{"whatever it is", POLICY_HTTP, "1.2.3.4:80", "httpbin.org:abc", "outbound|80||httpbin.org", false, V_OFF},
	{"case is ignored", POLICY_HTTP, "1.2.3.4:80", "HttpBin.ORG", "outbound|80||httpbin.org", false, V_OFF},
	{"a dot at the end is, too", POLICY_HTTP, "1.2.3.4:80", "httpbin.org.", "outbound|80||httpbin.org", false, V_OFF},
	{"user info is none", POLICY_HTTP, "1.2.3.4:80", "user@httpbin.org", NULL, false, V_OFF},
	{"joined hosts are none", POLICY_HTTP, "1.2.3.4:80", "httpbin.org,evil.example", NULL, false, V_OFF},
	{"another port", POLICY_HTTP, "1.2.3.4:81", "httpbin.org", NULL, false, V_OFF},
	{"no host", POLICY_HTTP, "1.2.3.4:80", NULL, NULL, false, V_OFF},
	{"another host", POLICY_HTTP, "1.2.3.4:80", "example.com", NULL, false, V_OFF},
	{"TLS to an HTTP port", POLICY_TLS, "1.2.3.4:80", "httpbin.org", NULL, false, V_OFF},
	{"nothing to an HTTP port", POLICY_OPAQUE, "1.2.3.4:80", NULL, NULL, false, V_OFF},
	{"nor by its address", POLICY_OPAQUE, "198.51.100.4:80", NULL, NULL, false, V_OFF},
	{"SNI", POLICY_TLS, "1.2.3.4:443", "www.google.com", "outbound|443||www.google.com", false, V_OFF},
	{"SNI in capitals", POLICY_TLS, "1.2.3.4:443", "WWW.google.com", "outbound|443||www.google.com", false, V_OFF},
	{"HTTP to a TLS port", POLICY_HTTP, "1.2.3.4:443", "www.google.com", NULL, false, V_OFF},
	{"no SNI", POLICY_TLS, "1.2.3.4:443", NULL, NULL, false, V_OFF},
	{"a broken SNI", POLICY_TLS, "1.2.3.4:443", "invalid:www_google.com", NULL, false, V_OFF},
	{"HTTP wildcard", POLICY_HTTP, "1.2.3.4:80", "x.wild.org", "outbound|80||*.wild.org", false, V_LOG},
	{"of several labels", POLICY_HTTP, "1.2.3.4:80", "y.x.wild.org", "outbound|80||*.wild.org", false, V_LOG},
	{"not of none", POLICY_HTTP, "1.2.3.4:80", "wild.org", NULL, false, V_OFF},
	{"exact before wildcard", POLICY_HTTP, "1.2.3.4:80", "a.b.wild.org", "outbound|80||a.b.wild.org", false, V_LOG},
	{"TLS wildcard", POLICY_TLS, "1.2.3.4:443", "x.wild.org", "outbound|443||*.wild.org", false, V_LOG},
	{"TCP address", POLICY_OPAQUE, "10.1.0.1:5432", NULL, "outbound|5432||db.example.org", true, V_OFF},
	{"TCP range", POLICY_OPAQUE, "10.2.9.9:5432", NULL, "outbound|5432||db.example.org", true, V_OFF},
	{"TCP range, IPv6", POLICY_OPAQUE, "[2001:db8::9]:5432", NULL, "outbound|5432||db.example.org", true, V_OFF},
	{"whatever the bytes are", POLICY_HTTP, "10.1.0.1:5432", "example.com", "outbound|5432||db.example.org", true, V_OFF},
	{"TLS or not", POLICY_TLS, "10.1.0.1:5432", "example.com", "outbound|5432||db.example.org", true, V_OFF},
	{"another address", POLICY_OPAQUE, "10.1.0.2:5432", NULL, NULL, false, V_OFF},
	{"its endpoint is not declared", POLICY_OPAQUE, "192.0.2.1:5432", NULL, NULL, false, V_OFF},
	{"TCP by resolved address", POLICY_OPAQUE, "198.51.100.1:25", NULL, "outbound|25||mail.example.org", true, V_OFF},
	{"two on one port", POLICY_OPAQUE, "198.51.100.2:25", NULL, "outbound|25||queue.example.org", true, V_OFF},
	{"by an endpoint's address", POLICY_OPAQUE, "192.0.2.25:25", NULL, "outbound|25||queue.example.org", true, V_OFF},
	{"nobody's address", POLICY_OPAQUE, "198.51.100.9:25", NULL, NULL, false, V_OFF},
	{"TCP on 443 takes its own only", POLICY_TLS, "198.51.100.1:443", "mail.example.org", "outbound|443||mail.example.org", true,
		V_OFF},
	{"a declared SNI goes before a resolved address", POLICY_TLS, "198.51.100.1:443", "www.google.com",
		"outbound|443||www.google.com", false, V_OFF},
	{"an unknown SNI to nobody's address", POLICY_TLS, "1.2.3.4:443", "example.com", NULL, false, V_OFF},
	{"without a protocol, HTTP", POLICY_HTTP, "10.3.0.1:9000", "any.example.org", "outbound|9000||any.example.org", false, V_OFF},
	{"HTTP elsewhere", POLICY_HTTP, "1.2.3.4:9000", "any.example.org", "outbound|9000||any.example.org", false, V_LOG},
	{"HTTP of its address", POLICY_HTTP, "10.3.0.1:9000", "10.3.0.1:9000", "outbound|9000||any.example.org", false, V_OFF},
	{"HTTP of another host there", POLICY_HTTP, "10.3.0.1:9000", "other.org", "outbound|9000||any.example.org", true, V_OFF},
	{"without a protocol, TCP", POLICY_OPAQUE, "10.3.0.1:9000", NULL, "outbound|9000||any.example.org", true, V_OFF},
	{"TCP elsewhere", POLICY_OPAQUE, "10.3.0.2:9000", NULL, NULL, false, V_OFF},
	{"TLS address, any SNI", POLICY_TLS, "10.4.0.1:8443", "other.org", "outbound|8443||vip.example.org", true, V_OFF},
	{"TLS address, no SNI", POLICY_TLS, "10.4.0.1:8443", NULL, "outbound|8443||vip.example.org", true, V_OFF},
	{"TLS range with the SNI", POLICY_TLS, "10.5.1.1:8443", "vip.example.org", "outbound|8443||vip.example.org", false, V_OFF},
	{"TLS range with another", POLICY_TLS, "10.5.1.1:8443", "other.org", NULL, false, V_OFF},
	{"the SNI outside the range", POLICY_TLS, "1.2.3.4:8443", "vip.example.org", NULL, false, V_OFF},
	{"HTTP/2 by resolved address", POLICY_HTTP2, "198.51.100.3:50051", NULL, "outbound|50051||grpc.example.org", true, V_OFF},
	{"HTTP/2 to a plain host", POLICY_HTTP2, "198.51.100.4:80", NULL, "outbound|80||httpbin.org", true, V_OFF},
	{"HTTP/2 to nobody", POLICY_HTTP2, "1.2.3.4:80", NULL, NULL, false, V_OFF},
	{"HTTP to a gRPC port", POLICY_HTTP, "1.2.3.4:50051", "grpc.example.org", "outbound|50051||grpc.example.org", false, V_OFF},
	{"target port", POLICY_HTTP, "1.2.3.4:8080", "port.example.org", "outbound|8080||port.example.org", false, V_LOG},
};

static void check_known(const struct decision_case *c, const struct policy_decision *d)
{
	if (d->action != POLICY_ROUTE || d->cluster == NULL) {
		fail_msg("%s: not routed", c->what);
		return;
	}
	assert_string_equal(d->cluster_name, c->cluster);
	assert_ptr_equal(d->cluster_name, d->cluster->name);
	if (d->whole != c->whole || d->verify != c->verify || d->would_block)
		fail_msg("%s: whole %d, verify %d", c->what, d->whole, d->verify);
	if (c->protocol == POLICY_HTTP && !c->whole) {
		assert_string_equal(d->route_name, "default");
		assert_string_equal(d->operation, d->cluster->operation);
		assert_ptr_equal(d->retries, &route_default_retries);
	} else {
		assert_null(d->route_name);
		assert_null(d->operation);
		assert_null(d->retries);
	}
	assert_int_equal(d->timeout, 0);
}

static void check_unknown(const struct decision_case *c, const struct policy_decision *d, enum mesh_mode mode)
{
	bool http = c->protocol == POLICY_HTTP;
	const char *cluster = mode != MESH_REGISTRY_ONLY ? "PassthroughCluster" : http ? NULL : "BlackHoleCluster";
	const char *route = !http ? NULL : mode == MESH_REGISTRY_ONLY ? "block_all" : "allow_any";

	if (d->action != (mode == MESH_REGISTRY_ONLY ? POLICY_BLOCK : POLICY_PASS) || d->cluster != NULL)
		fail_msg("%s: action %d, %s", c->what, d->action, d->cluster_name);
	assert_int_equal(d->would_block, mode == MESH_AUDIT);
	assert_false(d->whole);
	assert_int_equal(d->verify, MESH_VERIFY_OFF);
	if (cluster == NULL)
		assert_null(d->cluster_name);
	else
		assert_string_equal(d->cluster_name, cluster);
	if (route == NULL)
		assert_null(d->route_name);
	else
		assert_string_equal(d->route_name, route);
	assert_null(d->operation);
	assert_null(d->retries);
	if (http && mode == MESH_REGISTRY_ONLY)
		assert_int_equal(d->status, 502);
}

/* What is declared is so in every mode; the mode is for the rest. */
static void decisions_in_all_modes(void **state)
{
	(void)state;
	for (int mode = 0; mode < MESH_MODE_COUNT; mode++) {
		struct fixture f;

		fixture_start(&f, (enum mesh_mode)mode);
		fixture_put(&f, "entries.yaml", entries);
		fixture_build(&f);
		assert_int_equal(f.report.errors, 0);
		for (size_t i = 0; i < COUNT(cases); i++) {
			struct policy_facts facts = fixture_facts(cases[i].protocol, cases[i].to, cases[i].name, NULL);
			struct policy_decision d;

			facts.names = resolve;
			policy_decide(f.policy, &facts, &d);
			if (cases[i].cluster != NULL)
				check_known(&cases[i], &d);
			else
				check_unknown(&cases[i], &d, (enum mesh_mode)mode);
		}
		fixture_end(&f);
	}
}

static const struct policy_cluster *cluster_of(const struct fixture *f, const char *name)
{
	for (size_t i = 0; i < f->policy->cluster_count; i++)
		if (strcmp(f->policy->clusters[i]->name, name) == 0)
			return f->policy->clusters[i];
	fail_msg("no cluster %s", name);
	return NULL;
}

static void clusters_say_where_to_dial(void **state)
{
	const struct policy_cluster *cluster;
	struct fixture f;

	(void)state;
	fixture_start(&f, MESH_REGISTRY_ONLY);
	fixture_put(&f, "entries.yaml", entries);
	fixture_build(&f);
	cluster = cluster_of(&f, "outbound|80||httpbin.org");
	assert_int_equal(cluster->endpoint_count, 1);
	assert_string_equal(cluster->endpoints[0].name, "httpbin.org");
	assert_int_equal(cluster->endpoints[0].port, 80);
	assert_string_equal(cluster->operation, "httpbin.org:80/*");
	cluster = cluster_of(&f, "outbound|5432||db.example.org");
	assert_int_equal(cluster->endpoint_count, 2);
	assert_null(cluster->endpoints[0].name);
	assert_int_equal(cluster->endpoints[0].port, 6432);
	assert_int_equal(cluster->endpoints[0].weight, 1);
	assert_int_equal(cluster->endpoints[1].port, 7432);
	assert_int_equal(cluster->endpoints[1].weight, 3);
	cluster = cluster_of(&f, "outbound|25||queue.example.org");
	assert_string_equal(cluster->endpoints[0].name, "q1.example.net");
	assert_int_equal(cluster->endpoints[0].port, 2525);
	assert_null(cluster->endpoints[1].name);
	cluster = cluster_of(&f, "outbound|8080||port.example.org");
	assert_int_equal(cluster->endpoint_count, 0);
	assert_int_equal(cluster->target_port, 80);
	assert_int_equal(cluster->resolution, SERVICE_NONE);
	fixture_end(&f);
}

static void ports_have_owners(void **state)
{
	struct fixture f;

	(void)state;
	fixture_start(&f, MESH_ALLOW_ANY);
	fixture_put(&f, "entries.yaml", entries);
	fixture_build(&f);
	assert_int_equal(policy_port_owners(f.policy, 80), POLICY_PORT_HTTP);
	assert_int_equal(policy_port_owners(f.policy, 443), POLICY_PORT_TLS | POLICY_PORT_TCP);
	assert_int_equal(policy_port_owners(f.policy, 25), POLICY_PORT_TCP);
	assert_int_equal(policy_port_owners(f.policy, 9000), POLICY_PORT_HTTP | POLICY_PORT_TCP | POLICY_PORT_UNSET);
	assert_int_equal(policy_port_owners(f.policy, 22), 0);
	/* Names that must be known before anybody dials: those of TCP and HTTP/2 without addresses. */
	assert_int_equal(f.policy->resolve_count, 3);
	assert_string_equal(f.policy->resolve[0], "mail.example.org");
	assert_string_equal(f.policy->resolve[1], "q1.example.net");
	assert_string_equal(f.policy->resolve[2], "grpc.example.org");
	fixture_end(&f);
}

/* --- HTTP routes */

static const char routes[] =
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: one}\n"
	"spec: {hosts: [one.org], ports: [{number: 80, name: http, protocol: HTTP}, {number: 81, name: h, protocol: HTTP}], resolution: DNS}\n"
	"---\n"
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: two}\n"
	"spec: {hosts: [two.org], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}\n"
	"---\n"
	"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: one}\n"
	"spec:\n  hosts: [one.org]\n  http:\n"
	"  - match: [{uri: {exact: /exact}}, {name: second, uri: {regex: '/r[0-9]+'}}]\n    name: named\n"
	"    route: [{destination: {host: one.org}}]\n    timeout: 3s\n"
	"  - match: [{uri: {prefix: /old/}, method: {exact: GET}}]\n    rewrite: {uri: /new/, authority: other.org}\n"
	"    route: [{destination: {host: one.org, port: {number: 80}}}]\n"
	"  - match: [{headers: {x-user: {prefix: adm}, x-on: {}}, withoutHeaders: {x-off: {}}}]\n"
	"    route: [{destination: {host: two.org}}]\n    retries: {attempts: 5, perTryTimeout: 250ms, retryOn: 'gateway-error,429'}\n"
	"  - match: [{queryParams: {v: {exact: '2'}}}]\n    directResponse: {status: 403, body: {string: nope}}\n"
	"  - match: [{uri: {prefix: /UP}, ignoreUriCase: true}]\n    redirect: {uri: /down, authority: two.org, redirectCode: 308}\n"
	"  - match: [{uri: {prefix: /gone}}]\n    route: [{destination: {host: nowhere.org}}]\n"
	"  - match: [{uri: {prefix: /split}}]\n"
	"    route: [{destination: {host: one.org}, weight: 1, headers: {request: {set: {x-to: one}}}}, {destination: {host: two.org}, weight: 3}]\n"
	"    headers: {request: {set: {Host: split.org}}, response: {remove: [server]}}\n"
	"  - match: [{uri: {prefix: /never}}]\n    retries: {attempts: 0}\n    route: [{destination: {host: one.org}}]\n"
	"  - match: [{uri: {prefix: /81}, port: 81}]\n    route: [{destination: {host: two.org}}]\n"
	"  - match: [{uri: {prefix: /auth}, authority: {exact: 'one.org:80'}}]\n    route: [{destination: {host: two.org}}]\n";

struct headers {
	const char *items[4][2];
};

static const char *find_header(void *context, const char *name, size_t *ret_length)
{
	const struct headers *headers = context;

	for (size_t i = 0; i < COUNT(headers->items); i++) {
		if (headers->items[i][0] != NULL && strcmp(headers->items[i][0], name) == 0) {
			*ret_length = strlen(headers->items[i][1]);
			return headers->items[i][1];
		}
	}
	return NULL;
}

static void decide_http(const struct fixture *f, const char *to, const char *host, const char *path, struct headers *headers,
	struct policy_decision *d)
{
	struct policy_facts facts = fixture_facts(POLICY_HTTP, to, host, path);

	facts.header = find_header;
	facts.context = headers;
	policy_decide(f->policy, &facts, d);
}

static void expect_text(const char *text, const char *expected)
{
	if (expected == NULL)
		assert_null(text);
	else
		assert_string_equal(text, expected);
}

static void rules_are_tried_in_order(void **state)
{
	static const struct {
		const char *to;
		const char *host;
		const char *path;
		struct headers headers;
		enum policy_action action;
		const char *cluster;
		const char *route;
		const char *operation;
	} table[] = {
		{"1.2.3.4:80", "one.org", "/exact", {{{0}}}, POLICY_ROUTE, "outbound|80||one.org", "named", "one.org:80/exact"},
		{"1.2.3.4:80", "one.org", "/exact?q=1", {{{0}}}, POLICY_ROUTE, "outbound|80||one.org", "named", "one.org:80/exact"},
		{"1.2.3.4:81", "one.org", "/exact", {{{0}}}, POLICY_ROUTE, "outbound|81||one.org", "named", "one.org:81/exact"},
		{"1.2.3.4:80", "one.org", "/r77", {{{0}}}, POLICY_ROUTE, "outbound|80||one.org", "named.second", "one.org:80/r[0-9]+"},
		{"1.2.3.4:80", "one.org", "/old/x", {{{0}}}, POLICY_ROUTE, "outbound|80||one.org", NULL, "one.org:80/old/*"},
		{"1.2.3.4:80", "one.org", "/x", {{{"x-user", "admin"}, {"x-on", ""}}}, POLICY_ROUTE, "outbound|80||two.org", NULL,
			"two.org:80/*"},
		{"1.2.3.4:80", "one.org", "/x", {{{"x-user", "admin"}, {"x-on", "1"}, {"x-off", "1"}}}, POLICY_NO_ROUTE, NULL, NULL, NULL},
		{"1.2.3.4:80", "one.org", "/x", {{{"x-user", "user"}, {"x-on", "1"}}}, POLICY_NO_ROUTE, NULL, NULL, NULL},
		{"1.2.3.4:80", "one.org", "/x?a&v=2&v=3", {{{0}}}, POLICY_RESPOND, NULL, NULL, NULL},
		{"1.2.3.4:80", "one.org", "/x?v=22", {{{0}}}, POLICY_NO_ROUTE, NULL, NULL, NULL},
		{"1.2.3.4:80", "one.org", "/up/x?y", {{{0}}}, POLICY_REDIRECT, NULL, NULL, NULL},
		{"1.2.3.4:80", "one.org", "/gone", {{{0}}}, POLICY_NO_CLUSTER, NULL, NULL, NULL},
		{"1.2.3.4:80", "one.org", "/never", {{{0}}}, POLICY_ROUTE, "outbound|80||one.org", NULL, "one.org:80/never*"},
		{"1.2.3.4:81", "one.org", "/81", {{{0}}}, POLICY_ROUTE, "outbound|80||two.org", NULL, "two.org:80/81*"},
		{"1.2.3.4:80", "one.org", "/81", {{{0}}}, POLICY_NO_ROUTE, NULL, NULL, NULL},
		{"1.2.3.4:80", "one.org:80", "/auth", {{{0}}}, POLICY_ROUTE, "outbound|80||two.org", NULL, "two.org:80/auth*"},
		{"1.2.3.4:80", "one.org", "/auth", {{{0}}}, POLICY_NO_ROUTE, NULL, NULL, NULL},
		{"1.2.3.4:80", "two.org", "/exact", {{{0}}}, POLICY_ROUTE, "outbound|80||two.org", "default", "two.org:80/*"},
	};
	struct fixture f;

	(void)state;
	fixture_start(&f, MESH_REGISTRY_ONLY);
	fixture_put(&f, "routes.yaml", routes);
	fixture_build(&f);
	assert_int_equal(f.report.errors, 0);
	fixture_expect(&f, REPORT_WARNING, "destination host nowhere.org, port 80 is not declared");
	for (size_t i = 0; i < COUNT(table); i++) {
		struct headers headers = table[i].headers;
		struct policy_decision d;

		decide_http(&f, table[i].to, table[i].host, table[i].path, &headers, &d);
		if (d.action != table[i].action)
			fail_msg("%s%s: action %d", table[i].host, table[i].path, d.action);
		expect_text(d.cluster_name, table[i].cluster);
		expect_text(d.route_name, table[i].route);
		expect_text(d.operation, table[i].operation);
	}
	fixture_end(&f);
}

static void routes_say_what_to_do(void **state)
{
	struct headers none = {{{NULL, NULL}}};
	struct headers admin = {{{"x-user", "admin"}, {"x-on", "1"}}};
	struct policy_decision d;
	struct fixture f;

	(void)state;
	fixture_start(&f, MESH_REGISTRY_ONLY);
	fixture_put(&f, "routes.yaml", routes);
	fixture_build(&f);
	decide_http(&f, "1.2.3.4:80", "one.org", "/exact", &none, &d);
	assert_int_equal(d.timeout, 3000000000);
	assert_ptr_equal(d.retries, &route_default_retries);
	decide_http(&f, "1.2.3.4:80", "one.org", "/x", &admin, &d);
	assert_int_equal(d.retries->attempts, 5);
	assert_int_equal(d.retries->per_try_timeout.nanoseconds, 250000000);
	assert_int_equal(d.retries->retry_on, RETRY_GATEWAY_ERROR | RETRY_STATUS_CODES);
	assert_int_equal(d.retries->code_count, 1);
	assert_int_equal(d.retries->codes[0], 429);
	assert_int_equal(d.timeout, 0);
	decide_http(&f, "1.2.3.4:80", "one.org", "/never", &none, &d);
	assert_null(d.retries);
	decide_http(&f, "1.2.3.4:80", "one.org", "/old/x", &none, &d);
	assert_string_equal(d.authority, "other.org");
	assert_string_equal(d.rewrite->uri, "/new/");
	decide_http(&f, "1.2.3.4:80", "one.org", "/x?v=2", &none, &d);
	assert_int_equal(d.status, 403);
	assert_string_equal(d.response->body, "nope");
	decide_http(&f, "1.2.3.4:80", "one.org", "/upper", &none, &d);
	assert_int_equal(d.status, 308);
	decide_http(&f, "1.2.3.4:80", "one.org", "/gone", &none, &d);
	assert_int_equal(d.status, 503);
	decide_http(&f, "1.2.3.4:80", "one.org", "/nothing", &none, &d);
	assert_int_equal(d.status, 404);
	fixture_end(&f);
}

/* One in four goes to the first, three to the second; each with its own headers. */
static void weights_are_kept(void **state)
{
	unsigned counts[2] = {0, 0};
	struct fixture f;

	(void)state;
	fixture_start(&f, MESH_REGISTRY_ONLY);
	fixture_put(&f, "routes.yaml", routes);
	fixture_build(&f);
	for (uint64_t i = 0; i < 4000; i++) {
		struct policy_facts facts = fixture_facts(POLICY_HTTP, "1.2.3.4:80", "one.org", "/split");
		struct policy_decision d;
		bool first;

		facts.random = i;
		policy_decide(f.policy, &facts, &d);
		first = strcmp(d.cluster_name, "outbound|80||one.org") == 0;
		counts[first ? 0 : 1]++;
		assert_int_equal(d.header_count, first ? 2 : 1);
		assert_string_equal(d.authority, "split.org");
		assert_string_equal(d.headers[d.header_count - 1]->response.remove.items[0], "server");
		if (first)
			assert_string_equal(d.headers[0]->request.set.items[0].value, "one");
		assert_string_equal(d.operation, "one:80/split*");
		policy_decide(f.policy, &facts, &d);
		assert_int_equal(strcmp(d.cluster_name, "outbound|80||one.org") == 0, first);
	}
	assert_in_range(counts[0], 900, 1100);
	fixture_end(&f);
}

static void faults_come_by_chance(void **state)
{
	unsigned delays = 0;
	unsigned aborts = 0;
	struct fixture f;

	(void)state;
	fixture_start(&f, MESH_REGISTRY_ONLY);
	fixture_put(&f, "a.yaml", routes);
	fixture_put(&f, "b.yaml",
		"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: two}\n"
		"spec: {hosts: [two.org], http: [{route: [{destination: {host: two.org}}],\n"
		"  fault: {delay: {fixedDelay: 2s, percentage: {value: 50}}, abort: {httpStatus: 418, percent: 10}}}]}\n");
	fixture_build(&f);
	for (uint64_t i = 0; i < 10000; i++) {
		struct policy_facts facts = fixture_facts(POLICY_HTTP, "1.2.3.4:80", "two.org", "/");
		struct policy_decision d;

		facts.random = i * 7919;
		policy_decide(f.policy, &facts, &d);
		assert_true(d.fault_delay == 0 || d.fault_delay == 2000000000);
		assert_true(d.fault_status == 0 || d.fault_status == 418);
		assert_string_equal(d.cluster_name, "outbound|80||two.org");
		delays += d.fault_delay != 0;
		aborts += d.fault_status != 0;
	}
	assert_in_range(delays, 4700, 5300);
	assert_in_range(aborts, 850, 1150);
	fixture_end(&f);
}

/* --- paths and locations */

static void check_path(const struct fixture *f, const char *host, const char *path, const char *expected)
{
	struct policy_facts facts = fixture_facts(POLICY_HTTP, "1.2.3.4:80", host, path);
	struct policy_decision d;
	char out[256];
	int length;

	policy_decide(f->policy, &facts, &d);
	if (d.action == POLICY_REDIRECT)
		length = redirect_location(&d, &facts, out, sizeof out);
	else
		length = d.rewrite != NULL ? rewrite_path(&d, &facts, out, sizeof out) : -EINVAL;
	if (length != (int)strlen(expected) || memcmp(out, expected, strlen(expected)) != 0)
		fail_msg("%s%s: %d, %.*s, not %s", host, path, length, length > 0 ? length : 0, out, expected);
	/* What does not fit is said, and nothing is written past the end. */
	for (int size = 0; size < length; size++) {
		char *small = malloc((size_t)size + 1);

		assert_non_null(small);
		if (d.action == POLICY_REDIRECT)
			assert_int_equal(redirect_location(&d, &facts, small, (size_t)size), -ENOSPC);
		else
			assert_int_equal(rewrite_path(&d, &facts, small, (size_t)size), -ENOSPC);
		free(small);
	}
}

static void paths_are_rewritten(void **state)
{
	static const char text[] =
		"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: h}\n"
		"spec: {hosts: [h.org, g.org, r.org], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}\n---\n"
		"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: h}\n"
		"spec:\n  hosts: [h.org]\n  http:\n"
		"  - {match: [{uri: {prefix: /old/}}], rewrite: {uri: /new/}, route: [{destination: {host: h.org}}]}\n"
		"  - {match: [{uri: {exact: /one}}], rewrite: {uri: /two}, route: [{destination: {host: h.org}}]}\n"
		"  - {match: [{uri: {regex: '/a.*'}}], rewrite: {uriRegexRewrite: {match: '/(\\w+)/(\\d+)', rewrite: '/\\2/\\1\\\\'}}, route: [{destination: {host: h.org}}]}\n"
		"  - {match: [{uri: {prefix: '/q?x'}}], rewrite: {uri: /n}, route: [{destination: {host: h.org}}]}\n"
		"  - {match: [{uri: {prefix: /e}}], rewrite: {uriRegexRewrite: {match: 'b*', rewrite: '-'}}, route: [{destination: {host: h.org}}]}\n"
		"  - {rewrite: {uri: /all}, route: [{destination: {host: h.org}}]}\n---\n"
		"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: r}\n"
		"spec:\n  hosts: [r.org]\n  http:\n"
		"  - {match: [{uri: {prefix: /s}}], redirect: {scheme: https}}\n"
		"  - {match: [{uri: {prefix: /p}}], redirect: {port: 8080, authority: p.org}}\n"
		"  - {match: [{uri: {prefix: /d}}], redirect: {derivePort: FROM_REQUEST_PORT, uri: '/x?y=1'}}\n"
		"  - {match: [{uri: {prefix: /u}}], redirect: {uri: '%PREFIX()%/v'}}\n"
		"  - {redirect: {uri: /home}}\n---\n"
		"apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: g}\n"
		"spec:\n  parentRefs: [{kind: ServiceEntry, group: networking.istio.io, name: h}]\n  rules:\n"
		"  - matches: [{path: {type: PathPrefix, value: /pre}}]\n"
		"    filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /fix/}}}]\n"
		"    backendRefs: [{kind: Hostname, group: networking.istio.io, name: g.org, port: 80}]\n"
		"  - matches: [{path: {type: PathPrefix, value: /cut}}]\n"
		"    filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]\n"
		"    backendRefs: [{kind: Hostname, group: networking.istio.io, name: g.org, port: 80}]\n"
		"  - matches: [{path: {type: PathPrefix, value: /full}}]\n"
		"    filters: [{type: URLRewrite, urlRewrite: {hostname: x.org, path: {type: ReplaceFullPath, replaceFullPath: /whole}}}]\n"
		"    backendRefs: [{kind: Hostname, group: networking.istio.io, name: g.org, port: 80}]\n"
		"  - matches: [{path: {type: PathPrefix, value: /away}}]\n"
		"    filters: [{type: RequestRedirect, requestRedirect: {hostname: y.org, path: {type: ReplacePrefixMatch, replacePrefixMatch: /there}}}]\n";
	struct fixture f;

	(void)state;
	fixture_start(&f, MESH_REGISTRY_ONLY);
	fixture_put(&f, "h.yaml", text);
	fixture_build(&f);
	if (f.report.errors > 0)
		fixture_print(&f);
	assert_int_equal(f.report.errors, 0);
	check_path(&f, "h.org", "/old/x?y", "/new/x?y");
	check_path(&f, "h.org", "/one?y=/", "/two?y=/");
	check_path(&f, "h.org", "/ab/12/cd/34?/ab/12", "/12/ab\\/34/cd\\?/ab/12");
	check_path(&f, "h.org", "/q?xyz", "/nyz");
	check_path(&f, "h.org", "/ebbc", "-/-e-c-");
	check_path(&f, "h.org", "/x?y", "/allx?y");
	check_path(&f, "g.org", "/pre", "/fix");
	check_path(&f, "g.org", "/pre/a?b", "/fix/a?b");
	check_path(&f, "g.org", "/cut", "/");
	check_path(&f, "g.org", "/cut/a", "/a");
	check_path(&f, "g.org", "/full/a?b", "/whole?b");
	check_path(&f, "g.org", "/away/a?b", "http://y.org:80/there/a?b");
	check_path(&f, "r.org:80", "/s?q", "https://r.org/s?q");
	check_path(&f, "r.org:8080", "/s", "https://r.org:8080/s");
	check_path(&f, "r.org:80", "/p?q", "http://p.org:8080/p?q");
	check_path(&f, "r.org:81", "/d?z", "http://r.org:80/x?y=1");
	check_path(&f, "r.org", "/u/a?b", "http://r.org/v/a?b");
	check_path(&f, "r.org", "/z?q=1", "http://r.org/home?q=1");
	fixture_end(&f);
}

/* --- HTTPRoute */

static const char gateway[] =
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: httpbin-ext}\n"
	"spec: {hosts: [httpbin.org], ports: [{number: 80, name: http, protocol: HTTP}, {number: 8080, name: h, protocol: HTTP}], resolution: DNS}\n"
	"---\n"
	"apiVersion: gateway.networking.k8s.io/v1beta1\nkind: HTTPRoute\nmetadata: {name: httpbin-ext}\n"
	"spec:\n  parentRefs: [{kind: ServiceEntry, group: networking.istio.io, name: httpbin-ext}]\n  hostnames: [ignored.org]\n"
	"  rules:\n"
	"  - timeouts: {request: 3s}\n    backendRefs: [{kind: Hostname, group: networking.istio.io, name: httpbin.org, port: 80}]\n"
	"  - matches: [{path: {value: /a}}, {path: {type: Exact, value: /a/b}}, {path: {value: /a}, method: POST}]\n"
	"    backendRefs: [{kind: Hostname, group: networking.istio.io, name: httpbin.org, port: 80, weight: 0}]\n"
	"  - matches: [{path: {value: /none}}]\n    backendRefs: [{kind: Hostname, group: networking.istio.io, name: none.org, port: 80}]\n"
	"  - matches: [{path: {value: /none}, headers: [{name: x-a, value: '1'}]}]\n"
	"    backendRefs: [{name: service, port: 80}]\n    timeouts: {backendRequest: 1s, request: 2s}\n"
	"---\n"
	"apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: second}\n"
	"spec:\n  parentRefs: [{kind: ServiceEntry, group: networking.istio.io, name: httpbin-ext, port: 8080}]\n"
	"  rules: [{matches: [{path: {value: /a/b/c}}], timeouts: {request: 0s}, backendRefs: [{kind: Hostname, group: networking.istio.io, name: httpbin.org, port: 80}]}]\n";

static void gateway_routes(void **state)
{
	static const struct {
		const char *to;
		const char *path;
		const char *method;
		struct headers headers;
		enum policy_action action;
		const char *route;
		unsigned status;
		int64_t timeout;
	} table[] = {
		{"1.1.1.1:80", "/delay/5", "GET", {{{0}}}, POLICY_ROUTE, "default.httpbin-ext.0", 0, 3000000000},
		{"1.1.1.1:8080", "/delay/5", "GET", {{{0}}}, POLICY_ROUTE, "default.httpbin-ext.0", 0, 3000000000},
		{"1.1.1.1:80", "/a/b", "GET", {{{0}}}, POLICY_RESPOND, "default.httpbin-ext.1", 500, 0},
		{"1.1.1.1:80", "/ab", "GET", {{{0}}}, POLICY_ROUTE, "default.httpbin-ext.0", 0, 3000000000},
		{"1.1.1.1:80", "/none/x", "GET", {{{0}}}, POLICY_NO_CLUSTER, "default.httpbin-ext.2", 500, 0},
		{"1.1.1.1:80", "/none", "GET", {{{"x-a", "1"}}}, POLICY_NO_CLUSTER, "default.httpbin-ext.3", 500, 0},
		{"1.1.1.1:80", "/a/b/c", "GET", {{{0}}}, POLICY_RESPOND, "default.httpbin-ext.1", 500, 0},
		{"1.1.1.1:8080", "/a/b/c", "GET", {{{0}}}, POLICY_ROUTE, "default.second.0", 0, 0},
	};
	struct fixture f;

	(void)state;
	fixture_start(&f, MESH_REGISTRY_ONLY);
	fixture_put(&f, "gateway.yaml", gateway);
	fixture_build(&f);
	if (f.report.errors > 0)
		fixture_print(&f);
	assert_int_equal(f.report.errors, 0);
	fixture_expect(&f, REPORT_WARNING, "backend(none.org) not found");
	fixture_expect(&f, REPORT_WARNING, "backend(service.default.svc.cluster.local) not found");
	for (size_t i = 0; i < COUNT(table); i++) {
		struct headers headers = table[i].headers;
		struct policy_decision d;

		decide_http(&f, table[i].to, "httpbin.org", table[i].path, &headers, &d);
		if (d.action != table[i].action)
			fail_msg("%s: action %d", table[i].path, d.action);
		expect_text(d.route_name, table[i].route);
		assert_int_equal(d.status, table[i].status);
		assert_int_equal(d.timeout, table[i].timeout);
		if (d.action == POLICY_ROUTE)
			assert_string_equal(d.operation, "httpbin.org:80/*");
	}
	fixture_end(&f);
}

/* --- the task, and others */

static void the_task(void **state)
{
	static const char service[] =
		"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: httpbin-ext}\nspec:\n"
		"  hosts:\n  - httpbin.org\n  http:\n  - timeout: 3s\n    route:\n      - destination:\n          host: httpbin.org\n"
		"        weight: 100\n";
	struct policy_decision d;
	struct headers none = {{{NULL, NULL}}};
	struct fixture f;

	(void)state;
	fixture_start(&f, MESH_REGISTRY_ONLY);
	fixture_put(&f, "entries.yaml", entries);
	fixture_build(&f);
	decide_http(&f, "1.2.3.4:80", "httpbin.org", "/delay/5", &none, &d);
	assert_string_equal(d.route_name, "default");
	assert_string_equal(d.operation, "httpbin.org:80/*");
	assert_int_equal(d.timeout, 0);
	fixture_put(&f, "service.yaml", service);
	fixture_build(&f);
	decide_http(&f, "1.2.3.4:80", "httpbin.org", "/delay/5", &none, &d);
	assert_null(d.route_name);
	assert_string_equal(d.operation, "httpbin.org:80/*");
	assert_string_equal(d.cluster_name, "outbound|80||httpbin.org");
	assert_int_equal(d.timeout, 3000000000);
	assert_true(store_remove(&f.store, "service.yaml"));
	assert_true(store_remove(&f.store, "entries.yaml"));
	fixture_build(&f);
	decide_http(&f, "1.2.3.4:80", "httpbin.org", "/delay/5", &none, &d);
	assert_int_equal(d.action, POLICY_BLOCK);
	fixture_end(&f);
}

static void expect_cluster(const struct fixture *f, enum policy_protocol protocol, const char *to, const char *name,
	const char *expected)
{
	struct policy_facts facts = fixture_facts(protocol, to, name, NULL);
	struct policy_decision d;

	policy_decide(f->policy, &facts, &d);
	expect_text(d.action == POLICY_ROUTE ? d.cluster_name : NULL, expected);
}

static void tls_and_tcp_routes(void **state)
{
	static const char text[] =
		"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}\n"
		"spec: {hosts: [a.org, b.org, '*.w.org'], ports: [{number: 443, name: tls, protocol: TLS}], resolution: NONE}\n---\n"
		"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: t}\n"
		"spec: {hosts: [t.org], addresses: [10.0.0.0/8], ports: [{number: 9, name: tcp, protocol: TCP}], resolution: STATIC, endpoints: [{address: 192.0.2.9}]}\n---\n"
		"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: u}\n"
		"spec: {hosts: [u.org], addresses: [192.0.2.0/24], ports: [{number: 9, name: tcp, protocol: TCP}], resolution: NONE}\n---\n"
		"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\n"
		"spec:\n  hosts: [a.org, x.w.org, '*.y.w.org']\n  tls:\n"
		"  - {match: [{sniHosts: [a.org], destinationSubnets: [10.0.0.0/8]}], route: [{destination: {host: b.org}}]}\n"
		"  - {match: [{sniHosts: [x.w.org], port: 443}], route: [{destination: {host: a.org}}]}\n"
		"  - {match: [{sniHosts: [a.org], port: 444}], route: [{destination: {host: a.org}}]}\n---\n"
		"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: t}\n"
		"spec:\n  hosts: [t.org]\n  tcp:\n"
		"  - {match: [{destinationSubnets: [10.1.0.0/16], port: 9}], route: [{destination: {host: u.org, port: {number: 9}}}]}\n";
	struct fixture f;

	(void)state;
	fixture_start(&f, MESH_REGISTRY_ONLY);
	fixture_put(&f, "t.yaml", text);
	fixture_build(&f);
	if (f.report.errors > 0)
		fixture_print(&f);
	assert_int_equal(f.report.errors, 0);
	expect_cluster(&f, POLICY_TLS, "10.0.0.1:443", "a.org", "outbound|443||b.org");
	expect_cluster(&f, POLICY_TLS, "11.0.0.1:443", "a.org", NULL);
	expect_cluster(&f, POLICY_TLS, "11.0.0.1:443", "b.org", "outbound|443||b.org");
	expect_cluster(&f, POLICY_TLS, "11.0.0.1:443", "x.w.org", "outbound|443||a.org");
	expect_cluster(&f, POLICY_TLS, "11.0.0.1:443", "z.w.org", "outbound|443||*.w.org");
	expect_cluster(&f, POLICY_OPAQUE, "10.1.0.1:9", NULL, "outbound|9||u.org");
	expect_cluster(&f, POLICY_OPAQUE, "10.2.0.1:9", NULL, "outbound|9||t.org");
	expect_cluster(&f, POLICY_OPAQUE, "192.0.2.1:9", NULL, "outbound|9||u.org");
	fixture_end(&f);
}

static void destination_rules(void **state)
{
	static const char text[] =
		"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}\n"
		"spec:\n  hosts: [a.org]\n  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 443}, {number: 81, name: b, protocol: HTTP}]\n"
		"  resolution: STATIC\n  endpoints: [{address: 192.0.2.1, labels: {v: '1'}}, {address: 192.0.2.2, labels: {v: '2'}}]\n---\n"
		"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: b}\n"
		"spec: {hosts: [b.a.org], ports: [{number: 443, name: tls, protocol: TLS}], resolution: DNS}\n---\n"
		"apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\n"
		"spec:\n  host: a.org\n  trafficPolicy:\n    connectionPool: {tcp: {maxConnections: 7, connectTimeout: 2s}}\n"
		"    portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE, sni: s.org, subjectAltNames: [n.org]}}]\n"
		"  subsets: [{name: v2, labels: {v: '2'}, trafficPolicy: {connectionPool: {http: {maxRetries: 1}}}}]\n---\n"
		"apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: w}\n"
		"spec: {host: '*.a.org', trafficPolicy: {tls: {mode: SIMPLE}}}\n---\n"
		"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\n"
		"spec: {hosts: [a.org], http: [{match: [{port: 81}], route: [{destination: {host: a.org, subset: v2, port: {number: 81}}}]},\n"
		"  {route: [{destination: {host: a.org, subset: v3}}]}]}\n";
	const struct policy_cluster *cluster;
	struct fixture f;

	(void)state;
	fixture_start(&f, MESH_REGISTRY_ONLY);
	fixture_put(&f, "d.yaml", text);
	fixture_build(&f);
	assert_int_equal(f.report.errors, 0);
	cluster = cluster_of(&f, "outbound|80||a.org");
	assert_non_null(cluster->traffic.tls);
	assert_string_equal(cluster->traffic.tls->sni, "s.org");
	assert_string_equal(cluster->traffic.tls->subject_alt_names.items[0], "n.org");
	assert_null(cluster->traffic.pool);
	assert_int_equal(cluster->endpoints[0].port, 443);
	cluster = cluster_of(&f, "outbound|81||a.org");
	assert_null(cluster->traffic.tls);
	assert_int_equal(cluster->traffic.pool->max_connections.value, 7);
	assert_int_equal(cluster->traffic.pool->connect_timeout.nanoseconds, 2000000000);
	cluster = cluster_of(&f, "outbound|81|v2|a.org");
	assert_int_equal(cluster->endpoint_count, 1);
	assert_int_equal(cluster->endpoints[0].address.bytes[15], 2);
	assert_int_equal(cluster->traffic.pool->max_retries.value, 1);
	assert_false(cluster->traffic.pool->max_connections.is_set);
	assert_non_null(cluster_of(&f, "outbound|443||b.a.org")->traffic.tls);
	fixture_expect(&f, REPORT_WARNING, "port 443 of b.a.org carries TLS already");
	fixture_expect(&f, REPORT_WARNING, "destination host a.org, subset v3, port 80 is not declared");
	expect_cluster(&f, POLICY_HTTP, "1.1.1.1:81", "a.org", "outbound|81|v2|a.org");
	expect_cluster(&f, POLICY_HTTP, "1.1.1.1:80", "a.org", NULL);
	fixture_end(&f);
}

/* --- namespaces and Sidecars */

static const char shared[] =
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a, namespace: team}\n"
	"spec: {hosts: [a.org], exportTo: [.], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}\n---\n"
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: b, namespace: team}\n"
	"spec: {hosts: [b.org], exportTo: [other, default], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}\n---\n"
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: c, namespace: team}\n"
	"spec: {hosts: [c.org, '*.w.org'], ports: [{number: 80, name: http, protocol: HTTP}, {number: 81, name: h, protocol: HTTP}], resolution: NONE}\n---\n"
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: d}\n"
	"spec: {hosts: [c.org], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}\n";

static void entries_are_exported(void **state)
{
	struct fixture f;

	(void)state;
	fixture_start(&f, MESH_REGISTRY_ONLY);
	fixture_put(&f, "s.yaml", shared);
	fixture_build(&f);
	expect_cluster(&f, POLICY_HTTP, "1.1.1.1:80", "a.org", NULL);
	expect_cluster(&f, POLICY_HTTP, "1.1.1.1:80", "b.org", "outbound|80||b.org");
	expect_cluster(&f, POLICY_HTTP, "1.1.1.1:80", "x.w.org", "outbound|80||*.w.org");
	/* The pod's own namespace has the host, and so all of it. */
	assert_string_equal(cluster_of(&f, "outbound|80||c.org")->namespace_, "default");
	expect_cluster(&f, POLICY_HTTP, "1.1.1.1:81", "c.org", NULL);
	fixture_expect(&f, REPORT_WARNING, "host c.org: ServiceEntry default/d of s.yaml holds, this one has no effect");
	f.options.namespace_ = "team";
	fixture_build(&f);
	expect_cluster(&f, POLICY_HTTP, "1.1.1.1:80", "a.org", "outbound|80||a.org");
	expect_cluster(&f, POLICY_HTTP, "1.1.1.1:80", "b.org", NULL);
	fixture_end(&f);
}

static void sidecars_filter(void **state)
{
	static const char text[] =
		"apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: root, namespace: istio-system}\n"
		"spec: {outboundTrafficPolicy: {mode: ALLOW_ANY}}\n---\n"
		"apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: own}\n"
		"spec: {egress: [{port: {number: 81, protocol: HTTP, name: h}, hosts: ['*/c.org']}, {hosts: ['./*', 'team/*.w.org']}]}\n---\n"
		"apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: labelled}\n"
		"spec: {workloadSelector: {labels: {app: web}}, outboundTrafficPolicy: {}, egress: [{hosts: ['~/*']}]}\n";
	struct pair label = {"app", "web"};
	struct fixture f;

	(void)state;
	fixture_start(&f, MESH_AUDIT);
	fixture_put(&f, "a.yaml", text);
	fixture_put(&f, "s.yaml", shared);
	fixture_build(&f);
	assert_int_equal(f.report.errors, 0);
	fixture_expect(&f, REPORT_WARNING, "REGISTRY_ONLY is meant");
	assert_int_equal(f.policy->mode, MESH_AUDIT);
	expect_cluster(&f, POLICY_HTTP, "1.1.1.1:80", "b.org", NULL);
	expect_cluster(&f, POLICY_HTTP, "1.1.1.1:80", "c.org", "outbound|80||c.org");
	expect_cluster(&f, POLICY_HTTP, "1.1.1.1:80", "x.w.org", "outbound|80||*.w.org");
	expect_cluster(&f, POLICY_HTTP, "1.1.1.1:81", "x.w.org", NULL);
	f.options.labels = (struct pairs){&label, 1};
	fixture_build(&f);
	assert_int_equal(f.policy->mode, MESH_REGISTRY_ONLY);
	expect_cluster(&f, POLICY_HTTP, "1.1.1.1:80", "c.org", NULL);
	f.options.labels = (struct pairs){NULL, 0};
	f.options.namespace_ = "elsewhere";
	fixture_build(&f);
	assert_int_equal(f.policy->mode, MESH_ALLOW_ANY);
	fixture_end(&f);
}

/* --- hosts in several places */

static void the_first_holds(void **state)
{
	static const char a[] = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}\n"
				"spec: {hosts: [h.org], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}\n---\n"
				"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\n"
				"spec: {hosts: [h.org], http: [{name: first, route: [{destination: {host: h.org}}]}]}\n";
	static const char b[] = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: b}\n"
				"spec: {hosts: [h.org], ports: [{number: 80, name: http, protocol: HTTP}, {number: 81, name: h, protocol: HTTP}], resolution: NONE}\n---\n"
				"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: b}\n"
				"spec: {hosts: [h.org, u.org, '*.v.org'], http: [{name: second, route: [{destination: {host: h.org}}]}]}\n";
	struct policy_decision d;
	struct headers none = {{{NULL, NULL}}};
	struct fixture f;

	(void)state;
	fixture_start(&f, MESH_REGISTRY_ONLY);
	fixture_put(&f, "a.yaml", a);
	fixture_put(&f, "b.yaml", b);
	fixture_build(&f);
	fixture_expect(&f, REPORT_WARNING, "b.yaml:1: ServiceEntry default/b: host h.org, port 80: ServiceEntry default/a of a.yaml holds");
	fixture_expect(&f, REPORT_WARNING, "VirtualService default/b: host h.org: VirtualService default/a of a.yaml holds");
	assert_int_equal(cluster_of(&f, "outbound|80||h.org")->resolution, SERVICE_DNS);
	decide_http(&f, "1.1.1.1:80", "h.org", "/", &none, &d);
	assert_string_equal(d.route_name, "first");
	decide_http(&f, "1.1.1.1:81", "h.org", "/", &none, &d);
	assert_string_equal(d.route_name, "first");
	assert_string_equal(d.cluster_name, "outbound|81||h.org");
	/* A host that only a VirtualService knows is one on port 80. */
	fixture_expect(&f, REPORT_WARNING, "no ServiceEntry declares host u.org: it is routed on port 80 only");
	decide_http(&f, "1.1.1.1:80", "u.org", "/", &none, &d);
	assert_string_equal(d.route_name, "second");
	assert_string_equal(d.cluster_name, "outbound|80||h.org");
	decide_http(&f, "1.1.1.1:80", "x.v.org", "/", &none, &d);
	assert_string_equal(d.route_name, "second");
	decide_http(&f, "1.1.1.1:81", "u.org", "/", &none, &d);
	assert_int_equal(d.action, POLICY_BLOCK);
	/* When the first is gone, the second is there. */
	assert_true(store_remove(&f.store, "a.yaml"));
	fixture_build(&f);
	decide_http(&f, "1.1.1.1:80", "h.org", "/", &none, &d);
	assert_string_equal(d.route_name, "second");
	assert_int_equal(d.cluster->resolution, SERVICE_NONE);
	fixture_end(&f);
}

static void tracing_may_be_off(void **state)
{
	struct policy_decision d;
	struct headers none = {{{NULL, NULL}}};
	struct fixture f;

	(void)state;
	fixture_start(&f, MESH_REGISTRY_ONLY);
	f.mesh.tracing = false;
	fixture_put(&f, "entries.yaml", entries);
	fixture_build(&f);
	decide_http(&f, "1.2.3.4:80", "httpbin.org", "/", &none, &d);
	assert_null(d.operation);
	fixture_end(&f);
}

/* --- suggestions */

static void suggestions_allow(void **state)
{
	static const struct {
		enum policy_protocol protocol;
		const char *to;
		const char *name;
		const char *cluster;
	} table[] = {
		{POLICY_HTTP, "93.184.216.34:80", "example.com", "outbound|80||example.com"},
		{POLICY_HTTP, "93.184.216.34:8080", "Example.COM:8080", "outbound|8080||example.com"},
		{POLICY_TLS, "93.184.216.34:443", "a-b.example.com.", "outbound|443||a-b.example.com"},
		{POLICY_TLS, "93.184.216.34:443", "a.b.example.com", "outbound|443||a.b.example.com"},
		{POLICY_TLS, "93.184.216.34:443", NULL, "outbound|443||ip-93-184-216-34-443.internal"},
		{POLICY_TLS, "93.184.216.34:444", "invalid:a_b.example", "outbound|444||ip-93-184-216-34-444.internal"},
		{POLICY_HTTP, "93.184.216.34:81", "93.184.216.34:81", "outbound|81||ip-93-184-216-34-81.internal"},
		{POLICY_HTTP, "[2001:db8::]:81", "[2001:db8::]:81", "outbound|81||ip-2001-db8---81.internal"},
		{POLICY_HTTP, "1.2.3.4:82", "evil\"]}\n- x", "outbound|82||ip-1-2-3-4-82.internal"},
		{POLICY_HTTP, "1.2.3.4:83", NULL, "outbound|83||ip-1-2-3-4-83.internal"},
		{POLICY_OPAQUE, "1.2.3.4:22", NULL, "outbound|22||ip-1-2-3-4-22.internal"},
		{POLICY_HTTP2, "1.2.3.4:50051", NULL, "outbound|50051||ip-1-2-3-4-50051.internal"},
	};
	struct fixture f;

	(void)state;
	fixture_start(&f, MESH_REGISTRY_ONLY);
	fixture_build(&f);
	for (size_t i = 0; i < COUNT(table); i++) {
		struct policy_facts facts = fixture_facts(table[i].protocol, table[i].to, table[i].name, NULL);
		char path[32];
		char text[SUGGEST_SIZE];
		struct policy_decision d;

		policy_decide(f.policy, &facts, &d);
		assert_int_equal(d.action, POLICY_BLOCK);
		(void)snprintf(path, sizeof path, "%zu.yaml", i);
		fixture_put(&f, path, policy_suggest(text, &facts));
		fixture_build(&f);
		fixture_expect_clean(&f);
		policy_decide(f.policy, &facts, &d);
		assert_int_equal(d.action, POLICY_ROUTE);
		assert_string_equal(d.cluster_name, table[i].cluster);
	}
	fixture_end(&f);
}

/* The longest host, and the longest address, still fit. */
static void suggestions_fit(void **state)
{
	char host[NAME_LENGTH_MAX + 1];
	char text[SUGGEST_SIZE];
	struct policy_facts facts;
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < NAME_LENGTH_MAX; i++)
		host[i] = i % 50 == 49 ? '.' : 'a';
	host[NAME_LENGTH_MAX] = '\0';
	facts = fixture_facts(POLICY_TLS, "[1111:2222:3333:4444:5555:6666:7777:8888]:65535", host, NULL);
	fixture_start(&f, MESH_REGISTRY_ONLY);
	fixture_put(&f, "long.yaml", policy_suggest(text, &facts));
	facts.name = NULL;
	fixture_put(&f, "address.yaml", policy_suggest(text, &facts));
	fixture_build(&f);
	fixture_expect_clean(&f);
	assert_int_equal(f.policy->cluster_count, 2);
	fixture_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decisions_in_all_modes),
		cmocka_unit_test(clusters_say_where_to_dial),
		cmocka_unit_test(ports_have_owners),
		cmocka_unit_test(rules_are_tried_in_order),
		cmocka_unit_test(routes_say_what_to_do),
		cmocka_unit_test(weights_are_kept),
		cmocka_unit_test(faults_come_by_chance),
		cmocka_unit_test(paths_are_rewritten),
		cmocka_unit_test(gateway_routes),
		cmocka_unit_test(the_task),
		cmocka_unit_test(tls_and_tcp_routes),
		cmocka_unit_test(destination_rules),
		cmocka_unit_test(entries_are_exported),
		cmocka_unit_test(sidecars_filter),
		cmocka_unit_test(the_first_holds),
		cmocka_unit_test(tracing_may_be_off),
		cmocka_unit_test(suggestions_allow),
		cmocka_unit_test(suggestions_fit),
	};

	return cmocka_run_group_tests_name("policy_decide", tests, NULL, NULL);
}
