/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mesh's settings: defaults, what may be set, and what is wrong. And the labels of the pod.
 */
#include "tests/unit/policy_fixture.h"

#include "proxy/policy/labels.h"

#include <errno.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static int read_mesh(const char *text, struct arena *arena, struct report *report, struct mesh *mesh)
{
	return mesh_read(arena, "mesh", text, strlen(text), report, mesh);
}

static void mesh_settings(void **state)
{
	struct arena arena = {.pieces = NULL};
	struct report report = {.problems = NULL};
	struct mesh mesh;

	(void)state;
	assert_int_equal(read_mesh("", &arena, &report, &mesh), 0);
	assert_int_equal(mesh.mode, MESH_ALLOW_ANY);
	assert_string_equal(mesh.access_log_file, "/dev/stdout");
	assert_int_equal(mesh.detection_timeout, 300000000);
	assert_int_equal(mesh.verify_destination, MESH_VERIFY_LOG);
	assert_int_equal(read_mesh("outboundTrafficPolicy: {mode: AUDIT}\naccessLogFile: \"\"\naccessLogEncoding: JSON\n"
				   "accessLogFormat: '%START_TIME%'\nconnectTimeout: 2s\nprotocolDetectionTimeout: 100ms\n"
				   "dnsRefreshRate: 1m\nrootNamespace: root\nenableTracing: false\nweir: {verifyDestination: enforce, refusePrivateAnswers: true}\n",
				 &arena, &report, &mesh), 0);
	assert_int_equal(report.errors + report.warnings, 0);
	assert_int_equal(mesh.mode, MESH_AUDIT);
	assert_string_equal(mesh.access_log_file, "");
	assert_int_equal(mesh.access_log_encoding, MESH_JSON);
	assert_string_equal(mesh.access_log_format, "%START_TIME%");
	assert_int_equal(mesh.connect_timeout, 2000000000);
	assert_int_equal(mesh.detection_timeout, 100000000);
	assert_int_equal(mesh.dns_refresh_rate, 60000000000);
	assert_string_equal(mesh.root_namespace, "root");
	assert_int_equal(mesh.verify_destination, MESH_VERIFY_ENFORCE);
	assert_false(mesh.tracing);
	assert_true(mesh.refuse_private_answers);
	assert_int_equal(read_mesh("outboundTrafficPolicy: {}\nprotocolDetectionTimeout: 0s\nweir: {verifyDestination: off}\n", &arena,
				 &report, &mesh), 0);
	assert_int_equal(mesh.mode, MESH_ALLOW_ANY);
	assert_int_equal(mesh.detection_timeout, 0);
	assert_int_equal(mesh.verify_destination, MESH_VERIFY_OFF);
	assert_false(mesh.refuse_private_answers);
	/* Documents that are empty are none; an editor's mark at the beginning says nothing. */
	assert_int_equal(read_mesh("\xef\xbb\xbf---\n# nothing\n---\noutboundTrafficPolicy: {mode: AUDIT}\n---\n", &arena, &report,
				 &mesh), 0);
	assert_int_equal(mesh.mode, MESH_AUDIT);
	/* What Istio knows and weir does not is told of; what nobody knows, too. */
	assert_int_equal(read_mesh("defaultConfig: {}\ntrustDomain: x\ncolour: red\n", &arena, &report, &mesh), 0);
	assert_int_equal(report.warnings, 3);
	assert_non_null(strstr(report.problems[1].text, "mesh:1: defaultConfig: not supported, and has no effect"));
	assert_non_null(strstr(report.problems[2].text, "mesh:3: colour: unknown field, ignored"));
	report_free(&report);
	arena_free(&arena);
}

static void broken_mesh_settings(void **state)
{
	static const struct {
		const char *text;
		const char *problem;
	} cases[] = {
		{"outboundTrafficPolicy: {mode: DENY}\n", "mesh:1: outboundTrafficPolicy.mode: unknown value \"DENY\""},
		{"\naccessLogEncoding: XML\n", "mesh:2: accessLogEncoding: unknown value \"XML\"; valid: TEXT, JSON"},
		{"connectTimeout: 0s\n", "duration must be greater than 1ms"},
		{"connectTimeout: soon\n", "must be a duration"},
		{"weir: {verifyDestination: maybe}\n", "valid: log, enforce, off"},
		{"a: [\n", "neither YAML nor JSON"},
		{"a: 1\n---\nb: 2\n", "mesh:2: a second document"},
		{"[]\n", "must be an object"},
		{"apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec: {meshConfig: {}}\n",
			"mesh:1: kind: IstioOperator is no mesh settings"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena arena = {.pieces = NULL};
		struct fixture f;

		fixture_start(&f, MESH_AUDIT);
		assert_true(read_mesh(cases[i].text, &arena, &f.report, &f.mesh) < 0);
		fixture_expect(&f, REPORT_ERROR, cases[i].problem);
		assert_int_equal(f.mesh.mode, MESH_AUDIT);
		fixture_end(&f);
		arena_free(&arena);
	}
}

static void labels_of_the_pod(void **state)
{
	static const char *const broken[] = {"app", "app=web\n", "=\"x\"", "a=\"b\"c\"", "a=\"", "a=\"\\n\""};
	static const char text[] = "app=\"web\"\n\napp.kubernetes.io/name=\"\"\nx=\"a=b\"";
	struct arena arena = {.pieces = NULL};
	struct pairs labels;
	struct error e;

	(void)state;
	assert_int_equal(labels_read(&arena, "", 0, &labels, &e), 0);
	assert_int_equal(labels.count, 0);
	assert_int_equal(labels_read(&arena, text, strlen(text), &labels, &e), 0);
	assert_int_equal(labels.count, 3);
	assert_string_equal(labels.items[0].name, "app");
	assert_string_equal(labels.items[0].value, "web");
	assert_string_equal(labels.items[1].value, "");
	assert_string_equal(labels.items[2].value, "a=b");
	for (size_t i = 0; i < COUNT(broken); i++) {
		assert_int_equal(labels_read(&arena, broken[i], strlen(broken[i]), &labels, &e), -EINVAL);
		assert_string_equal(e.text, "line 1 is not NAME=\"VALUE\"");
	}
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mesh_settings),
		cmocka_unit_test(broken_mesh_settings),
		cmocka_unit_test(labels_of_the_pod),
	};

	return cmocka_run_group_tests_name("policy_mesh", tests, NULL, NULL);
}
