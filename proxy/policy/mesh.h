/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mesh's settings: what weir knows of Istio's MeshConfig, and a block of its own.
 */
#ifndef WEIR_POLICY_MESH_H
#define WEIR_POLICY_MESH_H

#include "proxy/policy/reader.h"
#include "redirect/base/error.h"

enum mesh_mode { MESH_REGISTRY_ONLY, MESH_ALLOW_ANY, MESH_AUDIT, MESH_MODE_COUNT };

enum mesh_encoding { MESH_TEXT, MESH_JSON, MESH_ENCODING_COUNT };

/* What happens where a name was dialled at an address that the name does not have (resolution NONE). */
enum mesh_verify { MESH_VERIFY_LOG, MESH_VERIFY_ENFORCE, MESH_VERIFY_OFF, MESH_VERIFY_COUNT };

/* Defaults of what may be left out, in nanoseconds. */
#define MESH_CONNECT_TIMEOUT INT64_C(10000000000)
#define MESH_DETECTION_TIMEOUT INT64_C(300000000)
#define MESH_DNS_REFRESH_RATE INT64_C(60000000000)

struct mesh {
	enum mesh_mode mode;
	const char *access_log_file; /* "" is off */
	enum mesh_encoding access_log_encoding;
	const char *access_log_format; /* NULL: the default; for JSON, an object of texts in JSON */
	int64_t connect_timeout;   /* these three in nanoseconds */
	int64_t detection_timeout; /* 0: no limit */
	int64_t dns_refresh_rate;
	const char *root_namespace;
	enum mesh_verify verify_destination;
	bool refuse_private_answers; /* addresses of no use on the internet, in answers for names of the public DNS */
	bool tracing; /* whether routes tell their operation (x-envoy-decorator-operation) */
};

/* What holds without a file. Texts are static. */
void mesh_default(struct mesh *mesh);

/*
 * Reads mesh settings, YAML or JSON, as one document. Texts are in `arena`. Returns 0, or -EINVAL or -ENOMEM with
 * what is wrong in the report, and `*ret_mesh` untouched.
 */
int mesh_read(struct arena *arena, const char *file, const char *text, size_t length, struct report *report,
	struct mesh *ret_mesh);

/* The words that the settings have for these. */
const char *mesh_mode_name(enum mesh_mode mode);
const char *mesh_encoding_name(enum mesh_encoding encoding);
const char *mesh_verify_name(enum mesh_verify verify);

/* Reads a mode of outboundTrafficPolicy into an enum mesh_mode. */
void mesh_read_mode(struct reader *r, const struct node *node, void *target);

#endif
