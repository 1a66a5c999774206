/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decisions: resources in, facts in, and where it goes.
 */
#include "tests/unit/policy_fixture.h"

#include "proxy/policy/name.h"
#include "proxy/policy/suggest.h"

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
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: maybe}\n"
	"spec:\n  hosts: [maybe.example.org]\n  ports: [{number: 9001, name: any}]\n  resolution: DNS\n---\n"
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
		{"198.51.100.3", "grpc.example.org"}, {"198.51.100.4", "httpbin.org"}, {"198.51.100.5", "maybe.example.org"}};
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
	{"whatever it is called", POLICY_HTTP, "1.2.3.4:80", "a_b-1.wild.org", "outbound|80||*.wild.org", false, V_LOG},
	{"but not two hosts", POLICY_HTTP, "1.2.3.4:80", "evil.org,x.wild.org", NULL, false, V_OFF},
	{"nor a path", POLICY_HTTP, "1.2.3.4:80", "evil.org/.wild.org", NULL, false, V_OFF},
	{"nor a user", POLICY_HTTP, "1.2.3.4:80", "evil.org@x.wild.org", NULL, false, V_OFF},
	{"nor a star", POLICY_HTTP, "1.2.3.4:80", "*.wild.org", NULL, false, V_OFF},
	{"nor two labels in one", POLICY_TLS, "1.2.3.4:443", "evil.org\\x.wild.org", NULL, false, V_OFF},
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
	{"without a protocol, what may be HTTP", POLICY_OPAQUE, "10.3.0.1:9000", NULL, "outbound|9000||any.example.org", false, V_OFF},
	{"without a protocol, TLS", POLICY_TLS, "10.3.0.1:9000", "other.org", "outbound|9000||any.example.org", true, V_OFF},
	{"the same by resolved address", POLICY_OPAQUE, "198.51.100.5:9001", NULL, "outbound|9001||maybe.example.org", false, V_OFF},
	{"TLS by resolved address", POLICY_TLS, "198.51.100.5:9001", "other.org", "outbound|9001||maybe.example.org", true, V_OFF},
	{"HTTP at a resolved address", POLICY_HTTP, "198.51.100.5:9001", "maybe.example.org", "outbound|9001||maybe.example.org",
		false, V_OFF},
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
		char operation[POLICY_OPERATION_SIZE];

		assert_string_equal(d->route_name, "default");
		(void)snprintf(operation, sizeof operation, "%s:%u/*", d->cluster->host, d->cluster->port);
		fixture_expect_operation(d, operation);
		assert_ptr_equal(d->retries, &route_default_retries);
	} else {
		assert_null(d->route_name);
		fixture_expect_operation(d, NULL);
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
	fixture_expect_operation(d, NULL);
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

static void clusters_say_where_to_dial(void **state)
{
	const struct policy_cluster *cluster;
	struct fixture f;

	(void)state;
	fixture_start(&f, MESH_REGISTRY_ONLY);
	fixture_put(&f, "entries.yaml", entries);
	fixture_build(&f);
	cluster = fixture_cluster(&f, "outbound|80||httpbin.org");
	assert_int_equal(cluster->endpoint_count, 1);
	assert_string_equal(cluster->endpoints[0].name, "httpbin.org");
	assert_int_equal(cluster->endpoints[0].port, 80);
	cluster = fixture_cluster(&f, "outbound|5432||db.example.org");
	assert_int_equal(cluster->endpoint_count, 2);
	assert_null(cluster->endpoints[0].name);
	assert_int_equal(cluster->endpoints[0].port, 6432);
	assert_int_equal(cluster->endpoints[0].weight, 1);
	assert_int_equal(cluster->endpoints[1].port, 7432);
	assert_int_equal(cluster->endpoints[1].weight, 3);
	cluster = fixture_cluster(&f, "outbound|25||queue.example.org");
	assert_string_equal(cluster->endpoints[0].name, "q1.example.net");
	assert_int_equal(cluster->endpoints[0].port, 2525);
	assert_null(cluster->endpoints[1].name);
	cluster = fixture_cluster(&f, "outbound|8080||port.example.org");
	assert_int_equal(cluster->endpoint_count, 0);
	assert_int_equal(cluster->target_port, 80);
	assert_int_equal(cluster->resolution, SERVICE_NONE);
	fixture_end(&f);
}

/* Nobody dials a Unix socket; the others of the host's endpoints are. */
static void sockets_are_no_endpoints(void **state)
{
	static const char text[] =
		"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: u}\n"
		"spec: {hosts: [u.org], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC,\n"
		"  endpoints: [{address: 'unix:///run/u.sock'}, {address: 192.0.2.1}]}\n";
	const struct policy_cluster *cluster;
	struct fixture f;

	(void)state;
	fixture_start(&f, MESH_REGISTRY_ONLY);
	fixture_put(&f, "u.yaml", text);
	fixture_build(&f);
	fixture_expect(&f, REPORT_WARNING, "u.yaml:5: ServiceEntry default/u: spec.endpoints[0].address: unix sockets are not supported");
	cluster = fixture_cluster(&f, "outbound|80||u.org");
	assert_int_equal(cluster->endpoint_count, 1);
	assert_null(cluster->endpoints[0].name);
	assert_int_equal(cluster->endpoints[0].address.bytes[15], 1);
	fixture_end(&f);
}

static size_t name_of_all(void *context, const struct address *address, const char **ret_names, size_t size)
{
	(void)address;
	(void)size;
	ret_names[0] = context;
	return 1;
}

/* HTTP/2 is for the first entry that has the name, be it its host or one of its endpoints. */
static void http2_names_belong_to_the_first(void **state)
{
	static const char named[] = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: named}\n"
		"spec: {hosts: [name.org], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}\n";
	static const char other[] = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: other}\n"
		"spec: {hosts: [other.org], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS,\n"
		"  endpoints: [{address: name.org}]}\n";

	(void)state;
	for (int first = 0; first < 2; first++) {
		struct policy_facts facts = fixture_facts(POLICY_HTTP2, "192.0.2.1:80", NULL, NULL);
		char name[] = "name.org";
		char host[] = "other.org";
		struct policy_decision d;
		struct fixture f;

		facts.names = name_of_all;
		facts.context = name;
		fixture_start(&f, MESH_REGISTRY_ONLY);
		fixture_put(&f, "first.yaml", first == 0 ? named : other);
		fixture_put(&f, "second.yaml", first == 0 ? other : named);
		fixture_build(&f);
		policy_decide(f.policy, &facts, &d);
		assert_string_equal(d.cluster_name, first == 0 ? "outbound|80||name.org" : "outbound|80||other.org");
		facts.context = host;
		policy_decide(f.policy, &facts, &d);
		assert_int_equal(d.action, POLICY_BLOCK);
		/* What a host is found by once takes one place. */
		assert_int_equal(f.policy->http_names.keys.count, first);
		fixture_end(&f);
	}
}

/* What a VirtualService says of a name under a wildcard is for the wildcard's addresses. */
static void a_name_under_a_wildcard_has_its_addresses(void **state)
{
	static const char text[] = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: w}\n"
		"spec: {hosts: ['*.w.org'], addresses: [10.1.0.0/16], ports: [{number: 443, name: tls, protocol: TLS}], resolution: NONE}\n"
		"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: w}\n"
		"spec: {hosts: [a.w.org], tls: [{match: [{sniHosts: [a.w.org]}],\n"
		"  route: [{destination: {host: '*.w.org', port: {number: 443}}}]}]}\n";
	struct fixture f;

	(void)state;
	fixture_start(&f, MESH_REGISTRY_ONLY);
	fixture_put(&f, "w.yaml", text);
	fixture_build(&f);
	fixture_expect_cluster(&f, POLICY_TLS, "10.1.2.3:443", "a.w.org", "outbound|443||*.w.org");
	fixture_expect_cluster(&f, POLICY_TLS, "10.2.2.3:443", "a.w.org", NULL);
	fixture_expect_cluster(&f, POLICY_TLS, "10.2.2.3:443", "b.w.org", NULL);
	fixture_end(&f);
}

/* Where the application says both name and address, the mesh says what a mismatch means. */
static void verification_is_a_setting(void **state)
{
	struct policy_facts facts = fixture_facts(POLICY_TLS, "1.2.3.4:443", "x.wild.org", NULL);
	struct fixture f;

	(void)state;
	for (int verify = 0; verify < MESH_VERIFY_COUNT; verify++) {
		struct policy_decision d;

		fixture_start(&f, MESH_REGISTRY_ONLY);
		f.mesh.verify_destination = (enum mesh_verify)verify;
		fixture_put(&f, "entries.yaml", entries);
		fixture_build(&f);
		policy_decide(f.policy, &facts, &d);
		assert_int_equal(d.action, POLICY_ROUTE);
		assert_int_equal(d.verify, verify);
		fixture_end(&f);
	}
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
	assert_int_equal(f.policy->resolve_count, 4);
	assert_string_equal(f.policy->resolve[0], "mail.example.org");
	assert_string_equal(f.policy->resolve[1], "q1.example.net");
	assert_string_equal(f.policy->resolve[2], "maybe.example.org");
	assert_string_equal(f.policy->resolve[3], "grpc.example.org");
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
	struct fixture f;

	(void)state;
	fixture_start(&f, MESH_REGISTRY_ONLY);
	fixture_put(&f, "entries.yaml", entries);
	fixture_build(&f);
	fixture_decide(&f, "1.2.3.4:80", "httpbin.org", "/delay/5", &d);
	assert_string_equal(d.route_name, "default");
	fixture_expect_operation(&d, "httpbin.org:80/*");
	assert_int_equal(d.timeout, 0);
	fixture_put(&f, "service.yaml", service);
	fixture_build(&f);
	fixture_decide(&f, "1.2.3.4:80", "httpbin.org", "/delay/5", &d);
	assert_null(d.route_name);
	fixture_expect_operation(&d, "httpbin.org:80/*");
	assert_string_equal(d.cluster_name, "outbound|80||httpbin.org");
	assert_int_equal(d.timeout, 3000000000);
	assert_true(store_remove(&f.store, "service.yaml"));
	assert_true(store_remove(&f.store, "entries.yaml"));
	fixture_build(&f);
	fixture_decide(&f, "1.2.3.4:80", "httpbin.org", "/delay/5", &d);
	assert_int_equal(d.action, POLICY_BLOCK);
	fixture_end(&f);
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
	fixture_expect_no_errors(&f);
	fixture_expect_cluster(&f, POLICY_TLS, "10.0.0.1:443", "a.org", "outbound|443||b.org");
	fixture_expect_cluster(&f, POLICY_TLS, "11.0.0.1:443", "a.org", NULL);
	fixture_expect_cluster(&f, POLICY_TLS, "11.0.0.1:443", "b.org", "outbound|443||b.org");
	fixture_expect_cluster(&f, POLICY_TLS, "11.0.0.1:443", "x.w.org", "outbound|443||a.org");
	fixture_expect_cluster(&f, POLICY_TLS, "11.0.0.1:443", "z.w.org", "outbound|443||*.w.org");
	fixture_expect_cluster(&f, POLICY_OPAQUE, "10.1.0.1:9", NULL, "outbound|9||u.org");
	fixture_expect_cluster(&f, POLICY_OPAQUE, "10.2.0.1:9", NULL, "outbound|9||t.org");
	fixture_expect_cluster(&f, POLICY_OPAQUE, "192.0.2.1:9", NULL, "outbound|9||u.org");
	fixture_end(&f);
}

static void tracing_may_be_off(void **state)
{
	struct policy_decision d;
	struct fixture f;

	(void)state;
	fixture_start(&f, MESH_REGISTRY_ONLY);
	f.mesh.tracing = false;
	fixture_put(&f, "entries.yaml", entries);
	fixture_build(&f);
	fixture_decide(&f, "1.2.3.4:80", "httpbin.org", "/", &d);
	fixture_expect_operation(&d, NULL);
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
	/* A request to an address opens it for requests to that address alone. */
	for (size_t i = 0; i < 2; i++) {
		struct policy_facts facts = fixture_facts(POLICY_HTTP, i == 0 ? "93.184.216.34:81" : "[2001:db8::]:81", "evil.example", NULL);
		struct policy_decision d;

		policy_decide(f.policy, &facts, &d);
		assert_int_equal(d.action, POLICY_BLOCK);
	}
	fixture_end(&f);
}

/* The longest host, and the longest address, still fit. */
static void expect_to_fit(size_t length)
{
	char host[NAME_LENGTH_MAX + 1];
	char text[SUGGEST_SIZE];
	struct policy_facts facts;
	struct fixture f;

	for (size_t i = 0; i < length; i++)
		host[i] = i % 50 == 49 ? '.' : 'a';
	host[length] = '\0';
	facts = fixture_facts(POLICY_TLS, "[1111:2222:3333:4444:5555:6666:7777:8888]:65535", host, NULL);
	fixture_start(&f, MESH_REGISTRY_ONLY);
	fixture_put(&f, "long.yaml", policy_suggest(text, &facts));
	facts.name = NULL;
	fixture_put(&f, "address.yaml", policy_suggest(text, &facts));
	fixture_build(&f);
	if (length <= NAME_RESOLVABLE_MAX)
		fixture_expect_clean(&f);
	else
		fixture_expect(&f, REPORT_WARNING, "is a name that DNS cannot be asked for");
	assert_int_equal(f.report.errors + f.report.warnings, length > NAME_RESOLVABLE_MAX);
	assert_int_equal(f.policy->cluster_count, 2);
	fixture_end(&f);
}

/* The longest name that DNS can be asked for, and the longest one that can be said. */
static void suggestions_fit(void **state)
{
	(void)state;
	expect_to_fit(NAME_RESOLVABLE_MAX);
	expect_to_fit(NAME_LENGTH_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decisions_in_all_modes),
		cmocka_unit_test(clusters_say_where_to_dial),
		cmocka_unit_test(sockets_are_no_endpoints),
		cmocka_unit_test(http2_names_belong_to_the_first),
		cmocka_unit_test(a_name_under_a_wildcard_has_its_addresses),
		cmocka_unit_test(verification_is_a_setting),
		cmocka_unit_test(ports_have_owners),
		cmocka_unit_test(the_task),
		cmocka_unit_test(tls_and_tcp_routes),
		cmocka_unit_test(tracing_may_be_off),
		cmocka_unit_test(suggestions_allow),
		cmocka_unit_test(suggestions_fit),
	};

	return cmocka_run_group_tests_name("policy_decide", tests, NULL, NULL);
}
