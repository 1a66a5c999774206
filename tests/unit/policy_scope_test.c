/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which resources count: DestinationRules, namespaces, Sidecars, and the first of several.
 */
#include "tests/unit/policy_fixture.h"

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
	cluster = fixture_cluster(&f, "outbound|80||a.org");
	assert_non_null(cluster->traffic.tls);
	assert_string_equal(cluster->traffic.tls->sni, "s.org");
	assert_string_equal(cluster->traffic.tls->subject_alt_names.items[0], "n.org");
	assert_null(cluster->traffic.pool);
	assert_int_equal(cluster->circuit, 0);
	assert_int_equal(cluster->endpoints[0].port, 443);
	cluster = fixture_cluster(&f, "outbound|81||a.org");
	assert_null(cluster->traffic.tls);
	assert_int_equal(cluster->traffic.pool->max_connections.value, 7);
	assert_int_equal(cluster->traffic.pool->connect_timeout.nanoseconds, 2000000000);
	assert_int_equal(cluster->circuit, 1);
	cluster = fixture_cluster(&f, "outbound|81|v2|a.org");
	assert_int_equal(cluster->endpoint_count, 1);
	assert_int_equal(cluster->endpoints[0].address.bytes[15], 2);
	assert_int_equal(cluster->traffic.pool->max_retries.value, 1);
	assert_false(cluster->traffic.pool->max_connections.is_set);
	assert_int_equal(cluster->circuit, 2);
	assert_int_equal(f.policy->circuit_count, 2);
	assert_non_null(fixture_cluster(&f, "outbound|443||b.a.org")->traffic.tls);
	fixture_expect(&f, REPORT_WARNING, "port 443 of b.a.org carries TLS already");
	fixture_expect(&f, REPORT_WARNING, "destination host a.org, subset v3, port 80 is not declared");
	fixture_expect_cluster(&f, POLICY_HTTP, "1.1.1.1:81", "a.org", "outbound|81|v2|a.org");
	fixture_expect_cluster(&f, POLICY_HTTP, "1.1.1.1:80", "a.org", NULL);
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
	fixture_expect_cluster(&f, POLICY_HTTP, "1.1.1.1:80", "a.org", NULL);
	fixture_expect_cluster(&f, POLICY_HTTP, "1.1.1.1:80", "b.org", "outbound|80||b.org");
	fixture_expect_cluster(&f, POLICY_HTTP, "1.1.1.1:80", "x.w.org", "outbound|80||*.w.org");
	/* The pod's own namespace has the host, and so all of it. */
	assert_string_equal(fixture_cluster(&f, "outbound|80||c.org")->resource->namespace_, "default");
	fixture_expect_cluster(&f, POLICY_HTTP, "1.1.1.1:81", "c.org", NULL);
	fixture_expect(&f, REPORT_WARNING, "host c.org: ServiceEntry default/d of s.yaml holds, this one has no effect");
	f.options.namespace_ = "team";
	fixture_build(&f);
	fixture_expect_cluster(&f, POLICY_HTTP, "1.1.1.1:80", "a.org", "outbound|80||a.org");
	fixture_expect_cluster(&f, POLICY_HTTP, "1.1.1.1:80", "b.org", NULL);
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
	fixture_expect_cluster(&f, POLICY_HTTP, "1.1.1.1:80", "b.org", NULL);
	fixture_expect_cluster(&f, POLICY_HTTP, "1.1.1.1:80", "c.org", "outbound|80||c.org");
	fixture_expect_cluster(&f, POLICY_HTTP, "1.1.1.1:80", "x.w.org", "outbound|80||*.w.org");
	fixture_expect_cluster(&f, POLICY_HTTP, "1.1.1.1:81", "x.w.org", NULL);
	f.options.labels = (struct pairs){&label, 1};
	fixture_build(&f);
	assert_int_equal(f.policy->mode, MESH_REGISTRY_ONLY);
	fixture_expect_cluster(&f, POLICY_HTTP, "1.1.1.1:80", "c.org", NULL);
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
	struct fixture f;

	(void)state;
	fixture_start(&f, MESH_REGISTRY_ONLY);
	fixture_put(&f, "a.yaml", a);
	fixture_put(&f, "b.yaml", b);
	fixture_build(&f);
	fixture_expect(&f, REPORT_WARNING, "b.yaml:1: ServiceEntry default/b: host h.org, port 80: ServiceEntry default/a holds");
	fixture_expect(&f, REPORT_WARNING, "VirtualService default/b: host h.org: VirtualService default/a of a.yaml holds");
	assert_int_equal(fixture_cluster(&f, "outbound|80||h.org")->resolution, SERVICE_DNS);
	fixture_decide(&f, "1.1.1.1:80", "h.org", "/", &d);
	assert_string_equal(d.route_name, "first");
	fixture_decide(&f, "1.1.1.1:81", "h.org", "/", &d);
	assert_string_equal(d.route_name, "first");
	assert_string_equal(d.cluster_name, "outbound|81||h.org");
	/* A host that only a VirtualService knows is one on port 80. */
	fixture_expect(&f, REPORT_WARNING, "no ServiceEntry declares host u.org: it is routed on port 80 only");
	fixture_decide(&f, "1.1.1.1:80", "u.org", "/", &d);
	assert_string_equal(d.route_name, "second");
	assert_string_equal(d.cluster_name, "outbound|80||h.org");
	fixture_decide(&f, "1.1.1.1:80", "x.v.org", "/", &d);
	assert_string_equal(d.route_name, "second");
	fixture_decide(&f, "1.1.1.1:81", "u.org", "/", &d);
	assert_int_equal(d.action, POLICY_BLOCK);
	/* When the first is gone, the second is there. */
	assert_true(store_remove(&f.store, "a.yaml"));
	fixture_build(&f);
	fixture_decide(&f, "1.1.1.1:80", "h.org", "/", &d);
	assert_string_equal(d.route_name, "second");
	assert_int_equal(d.cluster->resolution, SERVICE_NONE);
	fixture_end(&f);
}

/* --- what a route, or a rule, asks of the pod */

static void pods_are_matched(void **state)
{
	static const char text[] =
		"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}\n"
		"spec: {hosts: [a.org, b.org], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS_ROUND_ROBIN}\n---\n"
		"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\n"
		"spec:\n  hosts: [a.org]\n  http:\n"
		"  - {name: labels, match: [{sourceLabels: {app: web}}], route: [{destination: {host: a.org}}]}\n"
		"  - {name: space, match: [{sourceNamespace: other}], route: [{destination: {host: a.org}}]}\n"
		"  - {name: gateway, match: [{gateways: [istio/egress]}], route: [{destination: {host: a.org}}]}\n"
		"  - {name: mesh, match: [{gateways: [istio/egress, mesh]}], route: [{destination: {host: a.org}}]}\n---\n"
		"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: b}\n"
		"spec: {hosts: [b.org], gateways: [istio/egress], http: [{name: b, route: [{destination: {host: a.org}}]}]}\n---\n"
		"apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\n"
		"spec: {host: b.org, workloadSelector: {matchLabels: {app: web}}, trafficPolicy: {tls: {mode: SIMPLE}}}\n---\n"
		"apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: root, namespace: istio-system}\n"
		"spec: {host: '*.org', trafficPolicy: {connectionPool: {tcp: {maxConnections: 9}}}}\n";
	struct pair label = {"app", "web"};
	struct policy_decision d;
	struct fixture f;

	(void)state;
	fixture_start(&f, MESH_REGISTRY_ONLY);
	fixture_put(&f, "p.yaml", text);
	fixture_build(&f);
	assert_int_equal(f.report.errors, 0);
	fixture_decide(&f, "1.1.1.1:80", "a.org", "/", &d);
	fixture_expect_text(d.route_name, "mesh");
	assert_int_equal(d.cluster->resolution, SERVICE_DNS_ROUND_ROBIN);
	assert_int_equal(d.cluster->traffic.pool->max_connections.value, 9);
	fixture_decide(&f, "1.1.1.1:80", "b.org", "/", &d);
	fixture_expect_text(d.route_name, "default");
	assert_null(d.cluster->traffic.tls);
	f.options.labels = (struct pairs){&label, 1};
	fixture_build(&f);
	fixture_decide(&f, "1.1.1.1:80", "a.org", "/", &d);
	fixture_expect_text(d.route_name, "labels");
	fixture_decide(&f, "1.1.1.1:80", "b.org", "/", &d);
	assert_non_null(d.cluster->traffic.tls);
	assert_null(d.cluster->traffic.pool);
	f.options.labels = (struct pairs){NULL, 0};
	f.options.namespace_ = "other";
	fixture_build(&f);
	fixture_decide(&f, "1.1.1.1:80", "a.org", "/", &d);
	fixture_expect_text(d.route_name, "space");
	fixture_end(&f);
}

/* A route in the namespace of its clients is for them alone; one beside its parent is for everybody. */
static void routes_of_other_namespaces(void **state)
{
	static const char text[] =
		"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a, namespace: shop}\n"
		"spec: {hosts: [a.org], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}\n---\n"
		"apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r, namespace: team}\n"
		"spec:\n  parentRefs: [{kind: ServiceEntry, group: networking.istio.io, name: a, namespace: shop},\n"
		"    {kind: ServiceEntry, group: networking.istio.io, name: b, namespace: team}]\n"
		"  rules: [{backendRefs: [{kind: Hostname, group: networking.istio.io, name: a.org, port: 80}]}]\n";
	static const char beside[] =
		"apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: s, namespace: shop}\n"
		"spec:\n  parentRefs: [{kind: ServiceEntry, group: networking.istio.io, name: a}]\n"
		"  rules: [{backendRefs: [{kind: Hostname, group: networking.istio.io, name: a.org, port: 80}]}]\n";
	struct policy_decision d;
	struct fixture f;

	(void)state;
	fixture_start(&f, MESH_REGISTRY_ONLY);
	fixture_put(&f, "a.yaml", text);
	fixture_build(&f);
	fixture_expect(&f, REPORT_WARNING, "HTTPRoute team/r: parent ServiceEntry team/b not found");
	fixture_decide(&f, "1.1.1.1:80", "a.org", "/", &d);
	fixture_expect_text(d.route_name, "default");
	f.options.namespace_ = "team";
	fixture_build(&f);
	fixture_decide(&f, "1.1.1.1:80", "a.org", "/", &d);
	fixture_expect_text(d.route_name, "team.r.0");
	f.options.namespace_ = "default";
	fixture_put(&f, "b.yaml", beside);
	fixture_build(&f);
	fixture_decide(&f, "1.1.1.1:80", "a.org", "/", &d);
	fixture_expect_text(d.route_name, "shop.s.0");
	fixture_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(destination_rules),
		cmocka_unit_test(entries_are_exported),
		cmocka_unit_test(sidecars_filter),
		cmocka_unit_test(the_first_holds),
		cmocka_unit_test(pods_are_matched),
		cmocka_unit_test(routes_of_other_namespaces),
	};

	return cmocka_run_group_tests_name("policy_scope", tests, NULL, NULL);
}
