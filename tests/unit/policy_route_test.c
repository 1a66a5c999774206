/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes of requests: which rule takes one, what it does, and what becomes of paths.
 */
#include "tests/unit/policy_fixture.h"

#include "proxy/policy/rewrite.h"

#include <errno.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

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
		fixture_expect_text(d.cluster_name, table[i].cluster);
		fixture_expect_text(d.route_name, table[i].route);
		fixture_expect_operation(&d, table[i].operation);
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
		fixture_expect_operation(&d, "one:80/split*");
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
		length = rewrite_location(&d, &facts, out, sizeof out);
	else
		length = d.rewrite != NULL ? rewrite_path(&d, &facts, out, sizeof out) : -EINVAL;
	if (length != (int)strlen(expected) || memcmp(out, expected, strlen(expected)) != 0)
		fail_msg("%s%s: %d, %.*s, not %s", host, path, length, length > 0 ? length : 0, out, expected);
	/* What does not fit is said, and nothing is written past the end. */
	for (int size = 0; size < length; size++) {
		char *small = malloc((size_t)size + 1);

		assert_non_null(small);
		if (d.action == POLICY_REDIRECT)
			assert_int_equal(rewrite_location(&d, &facts, small, (size_t)size), -ENOSPC);
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
		"    filters: [{type: RequestRedirect, requestRedirect: {hostname: y.org, path: {type: ReplacePrefixMatch, replacePrefixMatch: /there}}}]\n"
		"  - matches: [{path: {type: PathPrefix, value: /tls}}]\n"
		"    filters: [{type: RequestRedirect, requestRedirect: {scheme: https, port: 8443}}]\n"
		"  - matches: [{path: {type: PathPrefix, value: /default}}]\n"
		"    filters: [{type: RequestRedirect, requestRedirect: {scheme: https, port: 443}}]\n";
	struct fixture f;

	(void)state;
	fixture_start(&f, MESH_REGISTRY_ONLY);
	fixture_put(&f, "h.yaml", text);
	fixture_build(&f);
	fixture_expect_no_errors(&f);
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
	check_path(&f, "g.org", "/away/a?b", "http://y.org/there/a?b");
	check_path(&f, "g.org:80", "/tls", "https://g.org:8443/tls");
	check_path(&f, "g.org:80", "/default", "https://g.org/default");
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
	fixture_expect_no_errors(&f);
	fixture_expect(&f, REPORT_WARNING, "backend(none.org) not found");
	fixture_expect(&f, REPORT_WARNING, "backend(service.default.svc.cluster.local) not found");
	for (size_t i = 0; i < COUNT(table); i++) {
		struct headers headers = table[i].headers;
		struct policy_decision d;

		decide_http(&f, table[i].to, "httpbin.org", table[i].path, &headers, &d);
		if (d.action != table[i].action)
			fail_msg("%s: action %d", table[i].path, d.action);
		fixture_expect_text(d.route_name, table[i].route);
		assert_int_equal(d.status, table[i].status);
		assert_int_equal(d.timeout, table[i].timeout);
		if (d.action == POLICY_ROUTE)
			fixture_expect_operation(&d, "httpbin.org:80/*");
	}
	fixture_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_are_tried_in_order),
		cmocka_unit_test(routes_say_what_to_do),
		cmocka_unit_test(weights_are_kept),
		cmocka_unit_test(faults_come_by_chance),
		cmocka_unit_test(paths_are_rewritten),
		cmocka_unit_test(gateway_routes),
	};

	return cmocka_run_group_tests_name("policy_route", tests, NULL, NULL);
}
