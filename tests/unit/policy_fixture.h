/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tests of the policy share: resources as text in, decisions out.
 */
#ifndef WEIR_TESTS_POLICY_FIXTURE_H
#define WEIR_TESTS_POLICY_FIXTURE_H

#include "proxy/policy/decide.h"
#include "proxy/policy/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
	struct store store;
	struct report report;
	struct mesh mesh;
	struct policy_options options;
	struct policy *policy;
};

static inline void fixture_start(struct fixture *f, enum mesh_mode mode)
{
	*f = (struct fixture){.options = {.namespace_ = "default"}};
	mesh_default(&f->mesh);
	f->mesh.mode = mode;
	assert_int_equal(store_init(&f->store, "default"), 0);
}

static inline void fixture_end(struct fixture *f)
{
	policy_unref(f->policy);
	store_free(&f->store);
	report_free(&f->report);
}

static inline void fixture_put(struct fixture *f, const char *path, const char *text)
{
	assert_int_equal(store_put(&f->store, path, text, strlen(text), &f->report), 0);
}

/* Makes a snapshot of what the store holds now. */
static inline void fixture_build(struct fixture *f)
{
	policy_unref(f->policy);
	f->policy = policy_build(&f->store, &f->mesh, &f->options, &f->report);
	assert_non_null(f->policy);
}

/* Whether a problem of the severity has the text in it. */
static inline bool fixture_has(const struct fixture *f, enum report_severity severity, const char *text)
{
	for (size_t i = 0; i < f->report.count; i++)
		if (f->report.problems[i].severity == severity && strstr(f->report.problems[i].text, text) != NULL)
			return true;
	return false;
}

static inline void fixture_print(const struct fixture *f)
{
	for (size_t i = 0; i < f->report.count; i++)
		print_message("# %s %s\n", f->report.problems[i].severity == REPORT_ERROR ? "error" : "warning",
			f->report.problems[i].text);
}

static inline void fixture_expect(const struct fixture *f, enum report_severity severity, const char *text)
{
	if (!fixture_has(f, severity, text)) {
		fixture_print(f);
		fail_msg("not reported: %s", text);
	}
}

static inline void fixture_expect_no_errors(const struct fixture *f)
{
	if (f->report.errors > 0)
		fixture_print(f);
	assert_int_equal(f->report.errors, 0);
}

static inline void fixture_expect_clean(const struct fixture *f)
{
	if (f->report.errors + f->report.warnings > 0) {
		fixture_print(f);
		fail_msg("problems where there should be none");
	}
}

/* A destination as "1.2.3.4:80" or "[::1]:80". */
static inline struct endpoint fixture_endpoint(const char *text)
{
	const char *colon = strrchr(text, ':');
	const char *start = *text == '[' ? text + 1 : text;
	struct endpoint endpoint = {.port = 0};

	assert_non_null(colon);
	assert_int_equal(address_parse(start, (size_t)(colon - start) - (*text == '[' ? 1 : 0), &endpoint.address), 0);
	for (const char *c = colon + 1; *c != '\0'; c++)
		endpoint.port = (uint16_t)(endpoint.port * 10 + (*c - '0'));
	return endpoint;
}

static inline struct policy_facts fixture_facts(enum policy_protocol protocol, const char *to, const char *name,
	const char *path)
{
	struct policy_facts facts = {.destination = fixture_endpoint(to), .protocol = protocol};

	facts.name = name;
	facts.name_length = name != NULL ? strlen(name) : 0;
	if (protocol == POLICY_HTTP) {
		facts.method = "GET";
		facts.method_length = 3;
		facts.path = path != NULL ? path : "/";
		facts.path_length = strlen(facts.path);
	}
	return facts;
}

/* The cluster of a name, which must be there. */
static inline const struct policy_cluster *fixture_cluster(const struct fixture *f, const char *name)
{
	for (size_t i = 0; i < f->policy->cluster_count; i++)
		if (strcmp(f->policy->clusters[i]->name, name) == 0)
			return f->policy->clusters[i];
	fail_msg("no cluster %s", name);
	return NULL;
}

/* Decides for a request. */
static inline void fixture_decide(const struct fixture *f, const char *to, const char *host, const char *path, struct policy_decision *d)
{
	struct policy_facts facts = fixture_facts(POLICY_HTTP, to, host, path);

	policy_decide(f->policy, &facts, d);
}

/* NULL expects NULL. */
static inline void fixture_expect_text(const char *text, const char *expected)
{
	if (expected == NULL)
		assert_null(text);
	else
		assert_string_equal(text, expected);
}

/* Expects an operation; NULL expects none. */
static inline void fixture_expect_operation(const struct policy_decision *d, const char *expected)
{
	char operation[POLICY_OPERATION_SIZE];

	fixture_expect_text(policy_operation(d, operation), expected);
}

/* Decides, and expects a cluster, or NULL for nothing that is declared. */
static inline void fixture_expect_cluster(const struct fixture *f, enum policy_protocol protocol, const char *to, const char *name,
	const char *expected)
{
	struct policy_facts facts = fixture_facts(protocol, to, name, NULL);
	struct policy_decision d;

	policy_decide(f->policy, &facts, &d);
	fixture_expect_text(d.action == POLICY_ROUTE ? d.cluster_name : NULL, expected);
}

#endif
