/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that runs out at any place: the store keeps what it had, a snapshot is whole or not there, and nothing leaks
 * (under ASan). The linker lets the policy's own allocations come here first.
 */
#include "tests/unit/policy_fixture.h"

#include "proxy/policy/loader.h"
#include "proxy/policy/rewrite.h"

#include <errno.h>
#include <stdlib.h>

/* How the linker calls what it wraps. */
// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);
// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)

static struct {
	unsigned long fails; /* 0: none */
	unsigned long seen;
} allocations;

static bool fails(void)
{
	return allocations.fails != 0 && ++allocations.seen == allocations.fails;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return fails() ? NULL : __real_realloc(memory, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

/* Something of every kind. */
static const char resources[] =
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}\n"
	"spec:\n  hosts: [A.org, '*.w.org']\n  addresses: [10.0.0.1]\n  resolution: STATIC\n"
	"  ports: [{number: 80, name: http, protocol: HTTP}, {number: 443, name: tls, protocol: TLS}]\n"
	"  endpoints: [{address: 192.0.2.1, ports: {http: 81}, labels: {v: '1'}}]\n---\n"
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: b, namespace: n}\n"
	"spec: {hosts: [b.org], ports: [{number: 22, name: ssh, protocol: TCP}, {number: 9, name: any}], resolution: DNS}\n---\n"
	"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\n"
	"spec:\n  hosts: [a.org, x.w.org, u.org]\n  http:\n"
	"  - match: [{name: m, uri: {regex: '/(a+)'}, headers: {x: {exact: y}}, queryParams: {q: {}}}]\n    name: n\n"
	"    rewrite: {uriRegexRewrite: {match: 'a(b)', rewrite: '\\1'}}\n    fault: {delay: {fixedDelay: 1s, percent: 1}}\n"
	"    headers: {request: {set: {a: b}, remove: [c]}}\n    retries: {attempts: 1, retryOn: 5xx}\n"
	"    route: [{destination: {host: a.org, subset: v1}, weight: 1}, {destination: {host: b.org, port: {number: 9}}, weight: 1}]\n"
	"  - match: [{uri: {prefix: /r}}]\n    redirect: {uri: /x}\n"
	"  - match: [{uri: {prefix: /d}}]\n    directResponse: {status: 200, body: {bytes: aGk=}}\n"
	"  - route: [{destination: {host: a.org}}]\n"
	"  tls: [{match: [{sniHosts: [a.org], destinationSubnets: [10.0.0.0/8]}], route: [{destination: {host: a.org, port: {number: 443}}}]}]\n---\n"
	"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: b}\n"
	"spec: {hosts: [b.org], tcp: [{match: [{port: 22}], route: [{destination: {host: b.org, port: {number: 22}}}]}]}\n---\n"
	"apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\n"
	"spec: {host: a.org, trafficPolicy: {tls: {mode: SIMPLE}, connectionPool: {tcp: {maxConnections: 1}}}, subsets: [{name: v1, labels: {v: '1'}}]}\n---\n"
	"apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: a}\nspec: {egress: [{hosts: ['*/*']}]}\n---\n"
	"apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: a}\n"
	"spec:\n  parentRefs: [{kind: ServiceEntry, group: networking.istio.io, name: b, namespace: n}]\n"
	"  rules: [{matches: [{path: {value: /a/}}, {path: {type: Exact, value: /b}}], timeouts: {request: 1s},\n"
	"    filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /c}}}],\n"
	"    backendRefs: [{kind: Hostname, group: networking.istio.io, name: b.org, port: 9}]}]\n---\n"
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: bad}\nspec: {hosts: ['*']}\n---\n[\n";

static const char first[] =
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: first}\n"
	"spec: {hosts: [first.org], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}\n";

static enum policy_action decide(const struct policy *policy, const char *host)
{
	struct policy_facts facts = fixture_facts(POLICY_HTTP, "10.0.0.1:80", host, "/");
	struct policy_decision d;

	policy_decide(policy, &facts, &d);
	return d.action;
}

/* Returns whether the allocation that was to fail was reached. */
static bool reached(void)
{
	bool seen = allocations.seen >= allocations.fails;

	allocations.fails = allocations.seen = 0;
	return seen;
}

static void fail_at(unsigned long n)
{
	allocations.fails = n;
	allocations.seen = 0;
}

static void files_are_taken_or_not(void **state)
{
	bool more = true;

	(void)state;
	for (unsigned long n = 1; more; n++) {
		struct fixture f;
		int rc;

		fixture_start(&f, MESH_REGISTRY_ONLY);
		fixture_put(&f, "f", first);
		fail_at(n);
		rc = store_put(&f.store, "f", resources, strlen(resources), &f.report);
		more = reached();
		assert_true(rc == 0 || (more && rc == -ENOMEM));
		/* What was not read for want of memory is no bad resource. */
		if (rc == 0)
			assert_int_equal(f.report.errors, 2);
		fixture_build(&f);
		/* The file's last document is broken: what it said before holds, too. */
		assert_int_equal(decide(f.policy, "first.org"), POLICY_ROUTE);
		assert_int_equal(decide(f.policy, "a.org"), rc == 0 ? POLICY_ROUTE : POLICY_BLOCK);
		fixture_end(&f);
	}
}

static void snapshots_are_whole_or_not_there(void **state)
{
	bool more = true;

	(void)state;
	for (unsigned long n = 1; more; n++) {
		struct policy *policy;
		struct fixture f;

		fixture_start(&f, MESH_REGISTRY_ONLY);
		fixture_put(&f, "f", resources);
		fixture_put(&f, "g", first);
		fail_at(n);
		policy = policy_build(&f.store, &f.mesh, &f.options, &f.report);
		more = reached();
		assert_true(policy != NULL || more);
		if (policy != NULL) {
			assert_int_equal(decide(policy, "first.org"), POLICY_ROUTE);
			assert_int_equal(decide(policy, "a.org"), POLICY_ROUTE);
			assert_int_equal(decide(policy, "x.w.org"), POLICY_ROUTE);
			assert_int_equal(policy->cluster_count, 8);
		}
		policy_unref(policy);
		fixture_end(&f);
	}
}

static void settings_are_read_or_not(void **state)
{
	static const char text[] = "outboundTrafficPolicy: {mode: AUDIT}\naccessLogFile: /dev/null\nrootNamespace: root\nunknown: 1\n";
	bool more = true;

	(void)state;
	for (unsigned long n = 1; more; n++) {
		struct arena arena = {.pieces = NULL};
		struct fixture f;
		int rc;

		fixture_start(&f, MESH_REGISTRY_ONLY);
		fail_at(n);
		rc = mesh_read(&arena, "mesh", text, strlen(text), &f.report, &f.mesh);
		more = reached();
		assert_true(rc == 0 || (more && rc == -ENOMEM));
		assert_int_equal(f.mesh.mode, rc == 0 ? MESH_AUDIT : MESH_REGISTRY_ONLY);
		arena_free(&arena);
		fixture_end(&f);
	}
}

static void a_directory_is_read_again(void **state)
{
	char path[] = "/tmp/weir-memory-XXXXXX";
	char name[64];
	bool more = true;
	FILE *file;

	(void)state;
	assert_non_null(mkdtemp(path));
	(void)snprintf(name, sizeof name, "%s/a.yaml", path);
	file = fopen(name, "w");
	assert_non_null(file);
	assert_true(fputs(first, file) >= 0);
	assert_int_equal(fclose(file), 0);
	for (unsigned long n = 1; more; n++) {
		struct loader loader = {.directory = NULL};
		struct fixture f;
		struct error e;
		int rc;

		fixture_start(&f, MESH_REGISTRY_ONLY);
		fail_at(n);
		rc = loader_init(&loader, path);
		if (rc == 0)
			rc = loader_scan(&loader, &f.store, &f.report, &e);
		more = reached();
		assert_true(rc == 1 || (more && rc == -ENOMEM));
		if (loader.directory != NULL && rc < 0)
			assert_int_equal(loader_scan(&loader, &f.store, &f.report, &e), 1);
		if (loader.directory != NULL) {
			fixture_build(&f);
			assert_int_equal(decide(f.policy, "first.org"), POLICY_ROUTE);
		}
		loader_free(&loader);
		fixture_end(&f);
	}
	assert_int_equal(remove(name), 0);
	assert_int_equal(remove(path), 0);
}

/* A rewrite by a regular expression is the only thing that needs memory for a request. */
static void a_path_is_rewritten_or_not(void **state)
{
	struct policy_facts facts = fixture_facts(POLICY_HTTP, "10.0.0.1:80", "a.org", "/xab");
	struct arena arena = {.pieces = NULL};
	struct route_rewrite rewrite = {.substitution = "-\\1"};
	struct policy_decision d = {.rewrite = &rewrite};
	bool more = true;
	char out[16];
	struct error e;

	(void)state;
	assert_int_equal(pattern_compile(&arena, "a(b)", &rewrite.pattern, &e), 0);
	for (unsigned long n = 1; more; n++) {
		int rc;

		fail_at(n);
		rc = rewrite_path(&d, &facts, out, sizeof out);
		more = reached();
		assert_true(rc == 4 || (more && rc == -ENOMEM));
		if (rc == 4)
			assert_memory_equal(out, "/x-b", 4);
	}
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_taken_or_not),
		cmocka_unit_test(snapshots_are_whole_or_not_there),
		cmocka_unit_test(settings_are_read_or_not),
		cmocka_unit_test(a_directory_is_read_again),
		cmocka_unit_test(a_path_is_rewritten_or_not),
	};

	return cmocka_run_group_tests_name("policy_memory", tests, NULL, NULL);
}
