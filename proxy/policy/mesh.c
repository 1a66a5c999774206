/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/policy/mesh.h"

#include "proxy/policy/check.h"
#include "proxy/policy/yaml.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define FIELD_COUNT(fields) (sizeof(fields) / sizeof *(fields))

void mesh_default(struct mesh *mesh)
{
	*mesh = (struct mesh){
		.mode = MESH_ALLOW_ANY,
		.access_log_file = "/dev/stdout",
		.access_log_encoding = MESH_TEXT,
		.connect_timeout = MESH_CONNECT_TIMEOUT,
		.detection_timeout = MESH_DETECTION_TIMEOUT,
		.dns_refresh_rate = MESH_DNS_REFRESH_RATE,
		.root_namespace = "istio-system",
		.verify_destination = MESH_VERIFY_LOG,
		.tracing = true,
	};
}

/* --- words */

static const char *const modes[] = {
	[MESH_REGISTRY_ONLY] = "REGISTRY_ONLY",
	[MESH_ALLOW_ANY] = "ALLOW_ANY",
	[MESH_AUDIT] = "AUDIT",
};
static_assert(FIELD_COUNT(modes) == MESH_MODE_COUNT, "every mode has a word");

static const char *const encodings[] = {[MESH_TEXT] = "TEXT", [MESH_JSON] = "JSON"};
static_assert(FIELD_COUNT(encodings) == MESH_ENCODING_COUNT, "every encoding has a word");

static const char *const verifications[] = {
	[MESH_VERIFY_LOG] = "log",
	[MESH_VERIFY_ENFORCE] = "enforce",
	[MESH_VERIFY_OFF] = "off",
};
static_assert(FIELD_COUNT(verifications) == MESH_VERIFY_COUNT, "every value has a word");

const char *mesh_mode_name(enum mesh_mode mode)
{
	return modes[mode];
}

const char *mesh_encoding_name(enum mesh_encoding encoding)
{
	return encodings[encoding];
}

const char *mesh_verify_name(enum mesh_verify verify)
{
	return verifications[verify];
}

/* --- reading */

void mesh_read_mode(struct reader *r, const struct node *node, void *target)
{
	enum mesh_mode *mode = target;

	*mode = (enum mesh_mode)reader_word(r, node, modes, FIELD_COUNT(modes), MESH_REGISTRY_ONLY);
}

/* Unlike a Sidecar's, the mesh's policy without a mode allows. */
static void read_policy(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {{"mode", mesh_read_mode, 0}};

	reader_object(r, node, fields, FIELD_COUNT(fields), target);
}

static void read_encoding(struct reader *r, const struct node *node, void *target)
{
	enum mesh_encoding *encoding = target;

	*encoding = (enum mesh_encoding)reader_word(r, node, encodings, FIELD_COUNT(encodings), MESH_TEXT);
}

static void read_verify(struct reader *r, const struct node *node, void *target)
{
	enum mesh_verify *verify = target;

	*verify = (enum mesh_verify)reader_word(r, node, verifications, FIELD_COUNT(verifications), MESH_VERIFY_LOG);
}

/* An empty text asks for the default, as in Istio. */
static void read_format(struct reader *r, const struct node *node, void *target)
{
	const char **format = target;

	reader_text(r, node, format);
	if (*format != NULL && **format == '\0')
		*format = NULL;
}

static void read_timeout(struct reader *r, const struct node *node, void *target)
{
	struct duration duration = {.is_set = false};
	int64_t *nanoseconds = target;

	reader_duration(r, node, &duration);
	check_duration(r, "", &duration);
	if (duration.is_set)
		*nanoseconds = duration.nanoseconds;
}

/* Zero is a value of its own: it waits for ever. */
static void read_detection_timeout(struct reader *r, const struct node *node, void *target)
{
	struct duration duration = {.is_set = false};
	int64_t *nanoseconds = target;

	reader_duration(r, node, &duration);
	if (duration.nanoseconds != 0)
		check_duration(r, "", &duration);
	if (duration.is_set)
		*nanoseconds = duration.nanoseconds;
	if (duration.is_set && duration.nanoseconds == 0)
		reader_warn(r, "", "0s waits for ever for a client of a server that speaks first");
}

static void read_weir(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"verifyDestination", read_verify, offsetof(struct mesh, verify_destination)},
		{"refusePrivateAnswers", reader_boolean, offsetof(struct mesh, refuse_private_answers)},
	};

	reader_object(r, node, fields, FIELD_COUNT(fields), target);
}

static void read_mesh(struct reader *r, const struct node *node, struct mesh *mesh)
{
	static const struct reader_field fields[] = {
		{"outboundTrafficPolicy", read_policy, offsetof(struct mesh, mode)},
		{"accessLogFile", reader_text, offsetof(struct mesh, access_log_file)},
		{"accessLogEncoding", read_encoding, offsetof(struct mesh, access_log_encoding)},
		{"accessLogFormat", read_format, offsetof(struct mesh, access_log_format)},
		{"connectTimeout", read_timeout, offsetof(struct mesh, connect_timeout)},
		{"protocolDetectionTimeout", read_detection_timeout, offsetof(struct mesh, detection_timeout)},
		{"dnsRefreshRate", read_timeout, offsetof(struct mesh, dns_refresh_rate)},
		{"rootNamespace", reader_text, offsetof(struct mesh, root_namespace)},
		{"enableTracing", reader_boolean, offsetof(struct mesh, tracing)},
		{"weir", read_weir, 0},
		/* Istio's own, which have nothing to do here; those of them that would change what leaves a pod are told of. */
		{"accessLogService", reader_ignore, 0},
		{"defaultConfig", NULL, 0},
		{"defaultDestinationRuleExportTo", NULL, 0},
		{"defaultHttpRetryPolicy", NULL, 0},
		{"defaultProviders", NULL, 0},
		{"defaultServiceExportTo", NULL, 0},
		{"defaultVirtualServiceExportTo", NULL, 0},
		{"discoverySelectors", reader_ignore, 0},
		{"enableAutoMtls", reader_ignore, 0},
		{"enablePrometheusMerge", reader_ignore, 0},
		{"extensionProviders", NULL, 0},
		{"ingressControllerMode", reader_ignore, 0},
		{"ingressService", reader_ignore, 0},
		{"localityLbSetting", NULL, 0},
		{"meshMTLS", NULL, 0},
		{"pathNormalization", NULL, 0},
		{"tcpKeepalive", NULL, 0},
		{"trustDomain", reader_ignore, 0},
		{"trustDomainAliases", reader_ignore, 0},
	};

	reader_object(r, node, fields, FIELD_COUNT(fields), mesh);
}

/* What is around mesh settings elsewhere is none: read as settings, it would be those that let everything pass. */
static int check_kind(const struct node *root, struct error *e)
{
	const struct node *kind = node_get(root, "kind");

	if (kind == NULL || kind->type != NODE_SCALAR)
		return 0;
	return error_set(e, EINVAL, "kind: %.100s is no mesh settings: those are the fields of Istio's MeshConfig, as in data.mesh "
				    "of its ConfigMap, or in spec.meshConfig of an IstioOperator", kind->text);
}

/* The one document that is not empty. */
static int read_document(struct arena *scratch, const char *file, const char *text, size_t length, struct report *report,
	struct node **ret_root)
{
	struct yaml_cursor cursor = yaml_begin(text, length);
	struct yaml_document document;
	struct node *root = NULL;

	while (yaml_next(&cursor, &document)) {
		struct report_place place = {.file = file, .line = document.line};
		struct node *next = NULL;
		struct error e;
		int rc = yaml_read(&document, scratch, &next, &place.line, &e);

		if (rc == 0 && node_is_null(next))
			continue;
		if (rc == 0)
			rc = check_kind(next, &e);
		if (rc == 0 && root != NULL)
			rc = error_set(&e, EINVAL, "a second document: mesh settings are one");
		if (rc < 0) {
			report_add(report, REPORT_ERROR, &place, "%s", e.text);
			return rc;
		}
		root = next;
	}
	*ret_root = root;
	return 0;
}

int mesh_read(struct arena *arena, const char *file, const char *text, size_t length, struct report *report,
	struct mesh *ret_mesh)
{
	struct reader r = {.arena = arena, .report = report, .file = file, .namespace_ = ""};
	struct arena scratch = {.pieces = NULL};
	struct node *root = NULL;
	struct mesh mesh;
	int rc = read_document(&scratch, file, text, length, report, &root);

	mesh_default(&mesh);
	r.root = root;
	if (rc == 0 && root != NULL)
		read_mesh(&r, root, &mesh);
	arena_free(&scratch);
	if (rc == 0 && r.failed)
		rc = r.no_memory ? -ENOMEM : -EINVAL;
	if (rc == 0)
		*ret_mesh = mesh;
	return rc;
}
