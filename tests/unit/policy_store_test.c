/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of resources: new, changed, broken, twice, gone; in files that are given, and in a directory.
 */
#include "tests/unit/policy_fixture.h"

#include "proxy/policy/loader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

#define PATH_SIZE 512

/* An entry for a host on port 80, under a name. */
#define ENTRY(name, host) \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: " name "}\n" \
	"spec: {hosts: [" host "], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}\n"

#define BAD_ENTRY(name) \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: " name "}\nspec: {hosts: ['*']}\n"

static bool allows(struct fixture *f, const char *host)
{
	struct policy_facts facts = fixture_facts(POLICY_HTTP, "1.2.3.4:80", host, NULL);
	struct policy_decision d;

	fixture_build(f);
	policy_decide(f->policy, &facts, &d);
	return d.action == POLICY_ROUTE;
}

static void forget(struct fixture *f)
{
	report_free(&f->report);
}

static void changed_files(void **state)
{
	struct fixture f;

	(void)state;
	fixture_start(&f, MESH_REGISTRY_ONLY);
	assert_false(allows(&f, "a.org"));
	fixture_put(&f, "f", ENTRY("a", "a.org") ENTRY("b", "b.org"));
	assert_true(allows(&f, "a.org") && allows(&f, "b.org"));
	fixture_put(&f, "f", ENTRY("a", "a2.org"));
	assert_true(!allows(&f, "a.org") && allows(&f, "a2.org") && !allows(&f, "b.org"));
	assert_true(store_remove(&f.store, "f"));
	assert_false(store_remove(&f.store, "f"));
	assert_false(allows(&f, "a2.org"));
	fixture_expect_clean(&f);
	fixture_end(&f);
}

static void a_bad_resource_is_refused_alone(void **state)
{
	struct fixture f;

	(void)state;
	fixture_start(&f, MESH_REGISTRY_ONLY);
	fixture_put(&f, "f", ENTRY("a", "a.org") BAD_ENTRY("b") ENTRY("c", "c.org"));
	fixture_expect(&f, REPORT_ERROR, "f:10: ServiceEntry default/b: spec.hosts[0]: invalid host *");
	assert_true(allows(&f, "a.org") && allows(&f, "c.org"));
	fixture_put(&f, "f", ENTRY("a", "a.org") ENTRY("b", "b.org"));
	assert_true(allows(&f, "b.org") && !allows(&f, "c.org"));
	/* From now on it has a last good version. */
	fixture_put(&f, "f", BAD_ENTRY("b") ENTRY("a", "a2.org"));
	assert_true(allows(&f, "b.org") && allows(&f, "a2.org") && !allows(&f, "a.org"));
	fixture_put(&f, "f", BAD_ENTRY("b"));
	assert_true(allows(&f, "b.org") && !allows(&f, "a2.org"));
	fixture_put(&f, "f", ENTRY("b", "b2.org"));
	assert_true(allows(&f, "b2.org") && !allows(&f, "b.org"));
	fixture_end(&f);
}

static void an_unreadable_document_keeps_what_was(void **state)
{
	struct fixture f;

	(void)state;
	fixture_start(&f, MESH_REGISTRY_ONLY);
	fixture_put(&f, "f", ENTRY("a", "a.org") ENTRY("b", "b.org") ENTRY("c", "c.org"));
	/* One document is broken: it may have been any of those that are not there any more. */
	fixture_put(&f, "f", ENTRY("a", "a2.org") "---\nkind: [\n" ENTRY("c", "c2.org"));
	fixture_expect(&f, REPORT_ERROR, "neither YAML nor JSON");
	assert_true(allows(&f, "a2.org") && allows(&f, "b.org") && allows(&f, "c2.org"));
	fixture_put(&f, "f", "{");
	assert_true(allows(&f, "a2.org") && allows(&f, "b.org") && allows(&f, "c2.org"));
	fixture_put(&f, "f", "---\nkind: ServiceEntry\n");
	assert_true(allows(&f, "a2.org") && allows(&f, "b.org") && allows(&f, "c2.org"));
	fixture_put(&f, "f", ENTRY("b", "b.org"));
	assert_true(!allows(&f, "a2.org") && allows(&f, "b.org") && !allows(&f, "c2.org"));
	/* And an empty file says that there is nothing. */
	fixture_put(&f, "f", "# nothing\n");
	assert_false(allows(&f, "b.org"));
	fixture_end(&f);
}

static void two_of_one_name(void **state)
{
	struct fixture f;

	(void)state;
	fixture_start(&f, MESH_REGISTRY_ONLY);
	fixture_put(&f, "b.yaml", ENTRY("x", "first.org"));
	fixture_put(&f, "a.yaml", ENTRY("x", "second.org") ENTRY("y", "y.org"));
	/* Who was there first holds, whatever the files are called. */
	assert_true(allows(&f, "first.org") && !allows(&f, "second.org") && allows(&f, "y.org"));
	fixture_expect(&f, REPORT_ERROR, "a.yaml:2: ServiceEntry default/x is already in b.yaml, line 2, which holds");
	/* Also when its file is read again. */
	fixture_put(&f, "b.yaml", ENTRY("x", "first2.org"));
	assert_true(allows(&f, "first2.org") && !allows(&f, "second.org"));
	assert_true(store_remove(&f.store, "b.yaml"));
	assert_true(allows(&f, "second.org"));
	forget(&f);
	fixture_put(&f, "a.yaml", ENTRY("x", "one.org") ENTRY("x", "two.org"));
	fixture_expect(&f, REPORT_ERROR, "a.yaml:7: ServiceEntry default/x is already in line 2 of the same file");
	assert_true(allows(&f, "one.org") && !allows(&f, "two.org"));
	forget(&f);
	/* Names count within a namespace and a kind. */
	fixture_put(&f, "a.yaml",
		ENTRY("x", "one.org")
		"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: x, namespace: n}\n"
		"spec: {hosts: [two.org], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}\n"
		"---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: x}\nspec: {host: one.org}\n");
	assert_true(allows(&f, "one.org") && allows(&f, "two.org"));
	fixture_expect_clean(&f);
	fixture_end(&f);
}

/* A connection keeps the snapshot that decided for it, with all its texts. */
static void snapshots_outlive_the_store(void **state)
{
	struct policy_facts facts = fixture_facts(POLICY_HTTP, "1.2.3.4:80", "a.org", NULL);
	struct policy_decision d;
	struct policy *old;
	struct fixture f;

	(void)state;
	fixture_start(&f, MESH_REGISTRY_ONLY);
	fixture_put(&f, "f", ENTRY("a", "a.org"));
	fixture_build(&f);
	old = policy_ref(f.policy);
	fixture_put(&f, "f", ENTRY("b", "b.org"));
	fixture_build(&f);
	fixture_end(&f);
	policy_decide(old, &facts, &d);
	assert_int_equal(d.action, POLICY_ROUTE);
	assert_string_equal(d.cluster->host, "a.org");
	assert_string_equal(d.cluster->resource->service_entry->hosts.items[0], "a.org");
	policy_unref(old);
}

/* --- directories */

struct folder {
	char path[64];
	struct loader loader;
	struct fixture f;
};

static void folder_start(struct folder *folder)
{
	(void)snprintf(folder->path, sizeof folder->path, "/tmp/weir-policy-XXXXXX");
	assert_non_null(mkdtemp(folder->path));
	assert_int_equal(loader_init(&folder->loader, folder->path), 0);
	fixture_start(&folder->f, MESH_REGISTRY_ONLY);
}

static void folder_end(struct folder *folder)
{
	char command[PATH_SIZE];

	(void)snprintf(command, sizeof command, "rm -r %s", folder->path);
	assert_int_equal(system(command), 0); // NOLINT(cert-env33-c): the path is our own
	loader_free(&folder->loader);
	fixture_end(&folder->f);
}

static void folder_write(const struct folder *folder, const char *name, const char *text)
{
	char path[PATH_SIZE];
	FILE *file;

	(void)snprintf(path, sizeof path, "%s/%s", folder->path, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void folder_remove(const struct folder *folder, const char *name)
{
	char path[PATH_SIZE];

	(void)snprintf(path, sizeof path, "%s/%s", folder->path, name);
	assert_int_equal(unlink(path), 0);
}

/* Says that a file was written long ago, so that its time stamp is taken at its word. */
static void folder_age(const struct folder *folder, const char *name, time_t seconds)
{
	const struct timespec times[2] = {{.tv_sec = seconds}, {.tv_sec = seconds}};
	char path[PATH_SIZE];

	(void)snprintf(path, sizeof path, "%s/%s", folder->path, name);
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static int scan(struct folder *folder)
{
	struct error e;

	return loader_scan(&folder->loader, &folder->f.store, &folder->f.report, &e);
}

static void a_directory_changes(void **state)
{
	struct folder folder = {.path = ""};

	(void)state;
	folder_start(&folder);
	assert_int_equal(scan(&folder), 0);
	folder_write(&folder, "a.yaml", ENTRY("a", "a.org"));
	folder_write(&folder, "b.yml", ENTRY("b", "b.org"));
	folder_write(&folder, "c.json", "{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\"}");
	folder_write(&folder, "d.txt", ENTRY("d", "d.org"));
	folder_write(&folder, ".e.yaml", ENTRY("e", "e.org"));
	assert_int_equal(scan(&folder), 1);
	assert_true(allows(&folder.f, "a.org") && allows(&folder.f, "b.org"));
	assert_true(!allows(&folder.f, "d.org") && !allows(&folder.f, "e.org"));
	assert_int_equal(scan(&folder), 0);
	/* A change that leaves size and time as they were, right behind the first. */
	folder_write(&folder, "a.yaml", ENTRY("a", "z.org"));
	assert_int_equal(scan(&folder), 1);
	assert_true(!allows(&folder.f, "a.org") && allows(&folder.f, "z.org"));
	folder_age(&folder, "a.yaml", 1000);
	assert_int_equal(scan(&folder), 0);
	folder_write(&folder, "a.yaml", ENTRY("a", "y.org"));
	assert_int_equal(scan(&folder), 1);
	assert_true(allows(&folder.f, "y.org"));
	folder_remove(&folder, "a.yaml");
	assert_int_equal(scan(&folder), 1);
	assert_true(!allows(&folder.f, "y.org") && allows(&folder.f, "b.org"));
	assert_int_equal(scan(&folder), 0);
	folder_end(&folder);
}

/* A ConfigMap's volume: files are links into "..data", a link that is exchanged in one step. */
static void a_config_map_is_exchanged(void **state)
{
	char command[4 * PATH_SIZE];
	struct folder folder = {.path = ""};

	(void)state;
	folder_start(&folder);
	(void)snprintf(command, sizeof command,
		"cd %s && mkdir ..1 ..2 && cat >..1/a.yaml && sed s/a.org/b.org/ ..1/a.yaml >..2/a.yaml && touch -d @1000 ..1/a.yaml "
		"..2/a.yaml && ln -s ..1 ..data && ln -s ..data/a.yaml a.yaml",
		folder.path);
	{
		FILE *shell = popen(command, "w"); // NOLINT(cert-env33-c): the path is our own

		assert_non_null(shell);
		assert_true(fputs(ENTRY("a", "a.org"), shell) >= 0);
		assert_int_equal(pclose(shell), 0);
	}
	assert_int_equal(scan(&folder), 1);
	assert_true(allows(&folder.f, "a.org"));
	assert_int_equal(scan(&folder), 0);
	(void)snprintf(command, sizeof command, "cd %s && ln -s ..2 ..tmp && mv -T ..tmp ..data", folder.path);
	assert_int_equal(system(command), 0); // NOLINT(cert-env33-c)
	assert_int_equal(scan(&folder), 1);
	assert_true(!allows(&folder.f, "a.org") && allows(&folder.f, "b.org"));
	/* A link that leads nowhere is a file that is gone. */
	folder_remove(&folder, "..data");
	assert_int_equal(scan(&folder), 1);
	assert_false(allows(&folder.f, "b.org"));
	folder_end(&folder);
}

static void what_cannot_be_read_keeps_what_was(void **state)
{
	struct folder folder = {.path = ""};
	char command[PATH_SIZE];
	char moved[PATH_SIZE];
	struct error e;

	(void)state;
	folder_start(&folder);
	folder_write(&folder, "a.yaml", ENTRY("a", "a.org"));
	assert_int_equal(scan(&folder), 1);
	folder_remove(&folder, "a.yaml");
	(void)snprintf(command, sizeof command, "mkdir %s/a.yaml", folder.path);
	assert_int_equal(system(command), 0); // NOLINT(cert-env33-c)
	assert_int_equal(scan(&folder), 0);
	fixture_expect(&folder.f, REPORT_ERROR, "a.yaml: cannot be read: Invalid argument; what it said before holds");
	assert_true(allows(&folder.f, "a.org"));
	/* Said once. */
	report_free(&folder.f.report);
	assert_int_equal(scan(&folder), 0);
	fixture_expect_clean(&folder.f);
	/* The directory itself is away. */
	(void)snprintf(moved, sizeof moved, "%s.away", folder.path);
	assert_int_equal(rename(folder.path, moved), 0);
	assert_int_equal(loader_scan(&folder.loader, &folder.f.store, &folder.f.report, &e), -ENOENT);
	assert_true(allows(&folder.f, "a.org"));
	assert_int_equal(rename(moved, folder.path), 0);
	folder_end(&folder);
}

/* --- size */

static char *many_entries(size_t count, const char *kind)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	for (size_t i = 0; i < count; i++) {
		(void)fprintf(out,
			"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata:\n  name: entry-%zu\nspec:\n"
			"  hosts:\n  - \"%shost-%zu.example.com\"\n  ports:\n  - number: %s\n",
			i, i % 3 == 1 ? "*." : "", i, kind);
		if (i % 3 == 2)
			(void)fprintf(out, "  addresses:\n  - 10.%zu.%zu.0/24\n", i / 256 % 256, i % 256);
	}
	(void)fclose(out);
	return text;
}

struct cost {
	unsigned most;
	unsigned long sum;
};

/* What it costs to find each of the first ten hosts, and what is not there. */
static struct cost measure(const struct fixture *f, const char *port, enum policy_protocol protocol)
{
	struct cost cost = {0, 0};

	for (unsigned i = 0; i < 20; i++) {
		struct policy_facts facts;
		struct policy_decision d;
		char name[64];
		char to[64];

		(void)snprintf(name, sizeof name, "%shost-%u.example.com", i % 3 == 1 ? "www." : "", i < 10 ? i : 1000000 + i);
		(void)snprintf(to, sizeof to, "10.%u.%u.9:%s", i < 10 ? 0u : 200u, i, port);
		facts = fixture_facts(protocol, to, name, NULL);
		policy_decide(f->policy, &facts, &d);
		cost.most = d.probes > cost.most ? d.probes : cost.most;
		cost.sum += d.probes;
	}
	return cost;
}

/* A decision looks at a few places, and at no more of them among ten thousand entries than among ten. */
static void cost_does_not_grow(void **state)
{
	static const struct {
		const char *port;
		const char *spec;
		enum policy_protocol protocol;
	} shapes[] = {
		{"80", "80\n    name: p\n    protocol: HTTP\n  resolution: NONE", POLICY_HTTP},
		{"443", "443\n    name: p\n    protocol: TLS\n  resolution: NONE", POLICY_TLS},
		{"9000", "9000\n    name: p\n    protocol: TCP\n  resolution: NONE", POLICY_OPAQUE},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(shapes); i++) {
		static const size_t counts[] = {10, 10000};
		struct cost costs[2];

		for (size_t j = 0; j < 2; j++) {
			char *text = many_entries(counts[j], shapes[i].spec);
			struct fixture f;

			fixture_start(&f, MESH_REGISTRY_ONLY);
			fixture_put(&f, "many.yaml", text);
			fixture_build(&f);
			assert_int_equal(f.policy->cluster_count, counts[j]);
			costs[j] = measure(&f, shapes[i].port, shapes[i].protocol);
			fixture_end(&f);
			free(text);
		}
		assert_in_range(costs[1].most, 1, 20);
		assert_true(costs[1].sum <= 2 * costs[0].sum);
	}
}

/* Entries of the shapes that there are, ten thousand times, with everything that the store and the snapshot keep of them. */
static void ten_thousand_entries_are_small(void **state)
{
	/* Bytes of one, at most; a third of them has an address, too. */
	static const struct {
		const char *spec;
		size_t most;
	} shapes[] = {
		{"80\n    name: http\n    protocol: HTTP\n  resolution: NONE\n  location: MESH_EXTERNAL", 400},
		{"443\n    name: tls\n    protocol: TLS\n  resolution: NONE", 400},
		{"80\n    name: http\n    protocol: HTTP\n  resolution: STATIC\n  endpoints: [{address: 192.0.2.1}]", 480},
		{"22\n    name: ssh\n    protocol: TCP\n  resolution: STATIC\n  endpoints: [{address: 192.0.2.1}]", 450},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(shapes); i++) {
		char *text = many_entries(10000, shapes[i].spec);
		const struct batch *batch;
		struct fixture f;
		size_t size;

		fixture_start(&f, MESH_REGISTRY_ONLY);
		fixture_put(&f, "many.yaml", text);
		fixture_build(&f);
		assert_int_equal(f.policy->cluster_count, 10000);
		batch = f.policy->batches[0];
		size = policy_size(f.policy) + batch->arena.total + f.store.files[0].count * sizeof *f.store.files[0].items;
		print_message("# %zu bytes an entry, %zu of them the snapshot's own\n", size / 10000, policy_size(f.policy) / 10000);
		assert_in_range(size / 10000, 0, shapes[i].most);
		fixture_end(&f);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changed_files),
		cmocka_unit_test(a_bad_resource_is_refused_alone),
		cmocka_unit_test(an_unreadable_document_keeps_what_was),
		cmocka_unit_test(two_of_one_name),
		cmocka_unit_test(snapshots_outlive_the_store),
		cmocka_unit_test(a_directory_changes),
		cmocka_unit_test(a_config_map_is_exchanged),
		cmocka_unit_test(what_cannot_be_read_keeps_what_was),
		cmocka_unit_test(cost_does_not_grow),
		cmocka_unit_test(ten_thousand_entries_are_small),
	};

	return cmocka_run_group_tests_name("policy_store", tests, NULL, NULL);
}
