/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy's readers and decisions. The first byte says what the rest is: "r" a file of resources, "m" mesh settings,
 * "f" a name that some connection tells, "p" a regular expression, a newline, and a text.
 */
#include "tests/fuzz/fuzz.h"

#include "proxy/policy/decide.h"
#include "proxy/policy/rewrite.h"
#include "proxy/policy/suggest.h"

#include <string.h>

static void check_report(const struct report *report)
{
	FUZZ_CHECK(report->count <= report->errors + report->warnings);
	for (size_t i = 0; i < report->count; i++)
		for (const unsigned char *c = (const unsigned char *)report->problems[i].text; *c != '\0'; c++)
			FUZZ_CHECK(*c >= ' ' && *c != 0x7f);
}

static struct policy *build(const struct store *store, struct report *report)
{
	static const struct policy_options options = {.namespace_ = "default"};
	struct policy *policy;
	struct mesh mesh;

	mesh_default(&mesh);
	mesh.mode = MESH_REGISTRY_ONLY;
	policy = policy_build(store, &mesh, &options, report);
	FUZZ_CHECK(policy != NULL);
	return policy;
}

static void put(struct store *store, const char *path, const uint8_t *data, size_t size, struct report *report)
{
	FUZZ_CHECK(store_put(store, path, (const char *)data, size, report) == 0);
}

/* --- decisions */

static void check_decision(const struct policy_facts *facts, const struct policy_decision *d)
{
	char out[512];

	FUZZ_CHECK((d->action == POLICY_ROUTE) == (d->cluster != NULL));
	FUZZ_CHECK(d->header_count <= 2);
	if (d->action == POLICY_ROUTE)
		FUZZ_CHECK(d->cluster_name == d->cluster->name && d->cluster->port > 0);
	if (d->action == POLICY_REDIRECT)
		(void)rewrite_location(d, facts, out, sizeof out);
	if (d->rewrite != NULL)
		(void)rewrite_path(d, facts, out, sizeof out);
	if (d->action == POLICY_REDIRECT || d->action == POLICY_RESPOND)
		FUZZ_CHECK(d->status >= 200 && d->status <= 599);
}

static void decide(const struct policy *policy, struct policy_facts facts)
{
	static const char path[] = "/a/b?c=d";

	for (facts.protocol = POLICY_OPAQUE; facts.protocol <= POLICY_HTTP2; facts.protocol++) {
		struct policy_decision d;

		facts.method = facts.protocol == POLICY_HTTP ? "GET" : NULL;
		facts.method_length = facts.protocol == POLICY_HTTP ? 3 : 0;
		facts.path = facts.protocol == POLICY_HTTP ? path : NULL;
		facts.path_length = facts.protocol == POLICY_HTTP ? sizeof path - 1 : 0;
		policy_decide(policy, &facts, &d);
		check_decision(&facts, &d);
	}
}

/* Each cluster is asked for by its own name, and by an address that may be its. */
static void decide_all(const struct policy *policy)
{
	for (size_t i = 0; i < policy->cluster_count && i < 64; i++) {
		const struct policy_cluster *cluster = policy->clusters[i];
		const char *name = *cluster->host == '*' ? cluster->host + 1 : cluster->host;
		struct policy_facts facts = {.name = name, .name_length = strlen(name), .random = i};

		facts.destination.port = cluster->port;
		if (cluster->resource->service_entry->subnet_count > 0)
			facts.destination.address = cluster->resource->service_entry->subnets[0].address;
		decide(policy, facts);
	}
}

/* --- what the bytes are */

/* Twice the same content is the same policy; and a broken file after a good one keeps the good one. */
static void read_resources(const uint8_t *data, size_t size)
{
	struct report report = {.problems = NULL};
	struct policy *policies[2];
	struct store store;

	FUZZ_CHECK(store_init(&store, "default") == 0);
	put(&store, "a", data, size, &report);
	policies[0] = build(&store, &report);
	decide_all(policies[0]);
	put(&store, "a", data, size, &report);
	put(&store, "b", data, size / 2, &report);
	policies[1] = build(&store, &report);
	FUZZ_CHECK(policies[1]->cluster_count >= policies[0]->cluster_count);
	put(&store, "a", (const uint8_t *)"{", 1, &report);
	policy_unref(policies[1]);
	policies[1] = build(&store, &report);
	FUZZ_CHECK(policies[1]->cluster_count >= policies[0]->cluster_count);
	store_free(&store);
	decide_all(policies[1]);
	policy_unref(policies[0]);
	policy_unref(policies[1]);
	check_report(&report);
	report_free(&report);
}

static void read_mesh(const uint8_t *data, size_t size)
{
	struct report report = {.problems = NULL};
	struct arena arena = {.pieces = NULL};
	struct mesh mesh;
	int rc = mesh_read(&arena, "mesh", (const char *)data, size, &report, &mesh);

	FUZZ_CHECK((rc < 0) == (report.errors > 0));
	check_report(&report);
	report_free(&report);
	arena_free(&arena);
}

/* Whatever is told, the entry that is suggested for it loads, and lets it through. */
static void suggest(const uint8_t *data, size_t size)
{
	struct policy_facts facts = {.name = (const char *)data, .name_length = size, .random = size};

	facts.destination.port = 443;
	facts.destination.address.bytes[15] = 1;
	for (facts.protocol = POLICY_OPAQUE; facts.protocol <= POLICY_HTTP2; facts.protocol++) {
		struct report report = {.problems = NULL};
		struct policy_decision d;
		char text[SUGGEST_SIZE];
		struct policy *policy;
		struct store store;

		facts.path = facts.protocol == POLICY_HTTP ? "/" : NULL;
		facts.path_length = facts.protocol == POLICY_HTTP ? 1 : 0;
		FUZZ_CHECK(store_init(&store, "default") == 0);
		(void)policy_suggest(text, &facts);
		put(&store, "s", (const uint8_t *)text, strlen(text), &report);
		policy = build(&store, &report);
		FUZZ_CHECK(report.errors + report.warnings == 0);
		policy_decide(policy, &facts, &d);
		check_decision(&facts, &d);
		FUZZ_CHECK(d.action == POLICY_ROUTE);
		policy_unref(policy);
		store_free(&store);
	}
}

static void match(const uint8_t *data, size_t size)
{
	const uint8_t *newline = memchr(data, '\n', size);
	size_t length = newline != NULL ? (size_t)(newline - data) : size;
	struct pattern_span groups[PATTERN_GROUP_MAX];
	struct arena arena = {.pieces = NULL};
	const struct pattern *pattern;
	const char *text = newline != NULL ? (const char *)newline + 1 : "";
	size_t text_length = newline != NULL ? size - length - 1 : 0;
	char *expression = arena_copy(&arena, (const char *)data, length);
	struct error e;

	FUZZ_CHECK(expression != NULL);
	if (text_length > 256)
		text_length = 256;
	if (strlen(expression) == length && pattern_compile(&arena, expression, &pattern, &e) == 0) {
		bool whole = pattern_matches(pattern, text, text_length);
		int found = pattern_search(pattern, text, text_length, 0, groups);

		FUZZ_CHECK(found == 1 || !whole);
		FUZZ_CHECK(found == 0 || (groups[0].start <= groups[0].end && groups[0].end <= text_length));
	}
	arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	switch (data[0]) {
	case 'r':
		read_resources(data + 1, size - 1);
		break;
	case 'm':
		read_mesh(data + 1, size - 1);
		break;
	case 'f':
		suggest(data + 1, size - 1);
		break;
	case 'p':
		match(data + 1, size - 1);
		break;
	default:
		break;
	}
	return 0;
}
