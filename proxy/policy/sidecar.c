/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/policy/sidecar.h"

#include "proxy/policy/check.h"
#include "proxy/policy/name.h"

#include <string.h>

#define FIELD_COUNT(fields) (sizeof(fields) / sizeof *(fields))

/* --- egress */

static bool is_namespace(const char *text)
{
	return strcmp(text, "*") == 0 || strcmp(text, ".") == 0 || strcmp(text, "~") == 0 || name_is_label(text);
}

static void read_import(struct reader *r, const struct node *node, void *target)
{
	struct sidecar_import *import = target;
	const char *text = NULL;
	const char *slash;

	reader_text(r, node, &text);
	if (text == NULL)
		return;
	slash = strchr(text, '/');
	if (slash == NULL || strchr(slash + 1, '/') != NULL || slash[1] == '\0') {
		reader_error(r, "", "host must be of form namespace/dnsName");
		return;
	}
	import->namespace_ = arena_copy(r->arena, text, (size_t)(slash - text));
	if (import->namespace_ == NULL) {
		(void)reader_no_memory(r);
		return;
	}
	if (!is_namespace(import->namespace_))
		reader_error(r, "", "invalid namespace value \"%s\" in sidecar", import->namespace_);
	import->host = slash + 1;
	if (strcmp(import->host, "*") == 0)
		return;
	if (strchr(import->host, '.') == NULL)
		reader_error(r, "", "short names (non FQDN) are not allowed");
	else
		import->host = check_host(r, "", import->host, true);
}

static void read_imports(struct reader *r, const struct node *node, void *target)
{
	struct sidecar_egress *egress = target;

	egress->imports = reader_items(r, node, sizeof *egress->imports, read_import, "must be a string",
		&egress->import_count);
}

static void read_egress_port(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"number", reader_integer, 0},
		{"protocol", reader_ignore, 0},
		{"name", reader_ignore, 0},
		{"targetPort", reader_ignore, 0},
	};
	int32_t *number = target;

	reader_object(r, node, fields, FIELD_COUNT(fields), number);
	check_port(r, "number", *number);
}

static void read_one_egress(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"port", read_egress_port, offsetof(struct sidecar_egress, port)},
		{"hosts", read_imports, 0},
		{"bind", NULL, 0},
		{"captureMode", NULL, 0},
	};
	const struct sidecar_egress *egress = target;

	reader_object(r, node, fields, FIELD_COUNT(fields), target);
	if (egress->import_count == 0)
		reader_error(r, "hosts", "sidecar: egress listener must contain at least one host");
}

static void read_egress(struct reader *r, const struct node *node, void *target)
{
	struct sidecar *sidecar = target;
	size_t catch_all = 0;

	sidecar->egress = reader_items(r, node, sizeof *sidecar->egress, read_one_egress,
		"sidecar: egress listener may not be null", &sidecar->egress_count);
	for (size_t i = 0; i < sidecar->egress_count; i++) {
		reader_enter_index(r, i);
		if (sidecar->egress[i].port == 0)
			catch_all++;
		if (catch_all > 1)
			reader_error(r, "", "sidecar: egress can have only one catch all listener (with no port, bind and "
					    "captureMode)");
		else if (catch_all == 1 && sidecar->egress[i].port != 0)
			reader_error(r, "", "sidecar: the egress listener with empty port should be the last listener in the list");
		for (size_t j = 0; j < i; j++)
			if (sidecar->egress[i].port != 0 && sidecar->egress[j].port == sidecar->egress[i].port)
				reader_error(r, "port", "sidecar: ports on egress listeners must be unique");
		reader_leave(r);
	}
}

/* --- the rest */

/* What was to leave by another way only must not leave by the usual one unsaid. */
static void refuse_proxy(struct reader *r, const struct node *node, void *target)
{
	(void)node;
	(void)target;
	reader_error(r, "", "egressProxy is not supported");
}

/* Istio's zero is REGISTRY_ONLY here, though it is ALLOW_ANY in the mesh's settings. */
static void read_policy(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"mode", mesh_read_mode, offsetof(struct sidecar, mode)},
		{"egressProxy", refuse_proxy, 0},
	};
	struct sidecar *sidecar = target;

	sidecar->has_mode = true;
	sidecar->mode = MESH_REGISTRY_ONLY;
	reader_object(r, node, fields, FIELD_COUNT(fields), sidecar);
	if (node_is_null(node_get(node, "mode")))
		reader_warn(r, "mode", "without a mode, REGISTRY_ONLY is meant: hosts that are not declared are blocked");
}

static void read_selector(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {{"labels", reader_pairs, 0}};
	struct pairs *labels = reader_alloc(r, 1, sizeof *labels);

	if (labels != NULL)
		reader_object(r, node, fields, FIELD_COUNT(fields), labels);
	*(const struct pairs **)target = labels;
}

void sidecar_read(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"workloadSelector", read_selector, offsetof(struct sidecar, selector)},
		{"egress", read_egress, 0},
		{"outboundTrafficPolicy", read_policy, 0},
		{"ingress", NULL, 0},
		{"inboundConnectionPool", NULL, 0},
	};
	const struct sidecar *sidecar = target;

	reader_object(r, node, fields, FIELD_COUNT(fields), target);
	if (sidecar->egress_count == 0 && !sidecar->has_mode && node_get(node, "ingress") == NULL &&
		node_get(node, "inboundConnectionPool") == NULL && !r->failed)
		reader_error(r, "", "sidecar: empty configuration provided");
}

/* --- use */

static bool matches(const struct sidecar_import *import, const char *own, const char *namespace_, const char *host)
{
	const char *wanted = strcmp(import->namespace_, ".") == 0 ? own : import->namespace_;

	if (strcmp(wanted, "*") != 0 && strcmp(wanted, namespace_) != 0)
		return false;
	return strcmp(import->host, "*") == 0 || name_is_subset(host, import->host);
}

static bool egress_imports(const struct sidecar_egress *egress, const char *own, const char *namespace_, const char *host)
{
	for (size_t i = 0; i < egress->import_count; i++)
		if (matches(&egress->imports[i], own, namespace_, host))
			return true;
	return false;
}

bool sidecar_imports(const struct sidecar *sidecar, const char *own, const char *namespace_, const char *host, uint16_t port)
{
	bool found = false;

	if (sidecar->egress_count == 0)
		return true;
	for (size_t i = 0; i < sidecar->egress_count && port != 0; i++)
		if (sidecar->egress[i].port == port)
			return egress_imports(&sidecar->egress[i], own, namespace_, host);
	for (size_t i = 0; i < sidecar->egress_count && !found; i++)
		if (sidecar->egress[i].port == 0 || port == 0)
			found = egress_imports(&sidecar->egress[i], own, namespace_, host);
	return found;
}
