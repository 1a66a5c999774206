/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of the entry are one table; each row has a reader, which complains of a value of the wrong type. Keys of the
 * specification and of runtimes pass unread, as does any key with a "/"; any other is refused, and the nearest known
 * one named. Settings stand in "defaults"; those that a pod must not have (no annotation) may stand at the top, too.
 */
#include "cni/config.h"

#include "cni/document.h"
#include "cni/nearest.h"

#include <assert.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#define ANNOTATIONS_KEY "io.kubernetes.cri.pod-annotations"

static const char *const versions[] = {
	[CONFIG_VERSION_0_3_0] = "0.3.0",
	[CONFIG_VERSION_0_3_1] = "0.3.1",
	[CONFIG_VERSION_0_4_0] = "0.4.0",
	[CONFIG_VERSION_1_0_0] = "1.0.0",
	[CONFIG_VERSION_1_1_0] = "1.1.0",
};

static void read_version(struct config *config)
{
	struct json_object *value = json_object_object_get(config->root, "cniVersion");
	const char *text = json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";

	config->version_text = REPLY_NEWEST_VERSION;
	for (enum config_version v = CONFIG_VERSION_0_3_0; v <= CONFIG_VERSION_1_1_0; v++) {
		if (strcmp(text, versions[v]) == 0) {
			config->version = v;
			config->version_text = versions[v];
		}
	}
}

int config_read(struct config *config, FILE *in, struct reply *reply)
{
	int rc;

	*config = (struct config){.version_text = REPLY_NEWEST_VERSION, .log_level = LOG_LEVEL_INFO};
	rc = document_read(in, &config->root, reply);
	if (rc == 0)
		read_version(config);
	return rc;
}

void config_free(struct config *config)
{
	for (enum setting s = 0; s < SETTING_COUNT; s++)
		free(config->defaults[s]);
	(void)json_object_put(config->root);
	*config = (struct config){.root = NULL};
}

/* --- keys */

static int wrong_type(struct reply *reply, const char *key, const char *valid)
{
	return error_set(&reply->error, EINVAL, "CNI configuration key %s: valid: %s", key, valid);
}

/* The place of a text among words, or -1. */
static int word_index(struct json_object *value, const char *const *words, int count)
{
	if (!json_object_is_type(value, json_type_string))
		return -1;
	for (int i = 0; i < count; i++)
		if (strcmp(json_object_get_string(value), words[i]) == 0)
			return i;
	return -1;
}

static int read_name(struct config *config, struct json_object *value, struct reply *reply)
{
	const char *text = json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";

	(void)config;
	if (strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") != strlen(text) ||
		*text == '\0' || strchr("_.-", *text) != NULL)
		return wrong_type(reply, "name", "a letter or digit, then letters, digits, \"_\", \".\", \"-\"");
	return 0;
}

static int read_capture(struct config *config, struct json_object *value, struct reply *reply)
{
	static const char *const words[] = {"annotated", "injected", "all"};
	int index = word_index(value, words, 3);

	if (index < 0)
		return wrong_type(reply, "capture", "\"annotated\", \"injected\", \"all\"");
	config->capture = (enum capture_mode)index;
	return 0;
}

static int read_missing(struct config *config, struct json_object *value, struct reply *reply)
{
	static const char *const words[] = {"skip", "capture", "error"};
	int index = word_index(value, words, 3);

	if (index < 0)
		return wrong_type(reply, "missingAnnotations", "\"skip\", \"capture\", \"error\"");
	config->missing = (enum capture_missing)index;
	return 0;
}

static int read_exclude_namespaces(struct config *config, struct json_object *value, struct reply *reply)
{
	static const char valid[] = "an array of strings";

	if (!json_object_is_type(value, json_type_array))
		return wrong_type(reply, "excludeNamespaces", valid);
	for (size_t i = 0; i < json_object_array_length(value); i++)
		if (!json_object_is_type(json_object_array_get_idx(value, i), json_type_string))
			return wrong_type(reply, "excludeNamespaces", valid);
	config->exclude_namespaces = value;
	return 0;
}

static int read_log_file(struct config *config, struct json_object *value, struct reply *reply)
{
	if (!json_object_is_type(value, json_type_string))
		return wrong_type(reply, "logFile", "the path of a file, or \"\" for no log");
	config->log_file = json_object_get_string(value);
	return 0;
}

static int read_log_level(struct config *config, struct json_object *value, struct reply *reply)
{
	if (!json_object_is_type(value, json_type_string) ||
		!log_level_parse(json_object_get_string(value), &config->log_level))
		return wrong_type(reply, "logLevel", "\"debug\", \"info\", \"warn\", \"error\"");
	return 0;
}

/* Writes one value, or the next of an array. Returns 0, -EINVAL for a wrong type, or -ENOMEM. */
static int put_value(FILE *out, struct json_object *value, bool alone, bool first)
{
	enum json_type type = json_object_get_type(value);
	const char *text;

	if (type != json_type_string && type != json_type_int && !(type == json_type_boolean && alone))
		return -EINVAL;
	text = json_object_get_string(value);
	return text != NULL && fprintf(out, "%s%s", first ? "" : ",", text) >= 0 ? 0 : -ENOMEM;
}

/* One value, or an array of values, as the text that a flag would have had; the caller frees it. Returns as above. */
static int setting_text(struct json_object *value, char **ret_text)
{
	bool many = json_object_is_type(value, json_type_array);
	size_t count = many ? json_object_array_length(value) : 1;
	size_t size = 0;
	char *text = NULL;
	FILE *out = open_memstream(&text, &size);
	int rc = out != NULL ? 0 : -ENOMEM;

	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = put_value(out, many ? json_object_array_get_idx(value, i) : value, !many, i == 0);
	if (out != NULL && (fclose(out) != 0 || text == NULL))
		rc = rc == 0 ? -ENOMEM : rc;
	if (rc < 0)
		free(text);
	else
		*ret_text = text;
	return rc;
}

static int read_setting(struct config *config, enum setting setting, struct json_object *value, struct reply *reply)
{
	const char *key = setting_spec(setting)->key;
	int rc;

	if (config->defaults[setting] != NULL)
		return error_set(&reply->error, EINVAL, "CNI configuration key %s is given twice: at the top and in defaults", key);
	rc = setting_text(value, &config->defaults[setting]);
	if (rc == -ENOMEM)
		return error_set(&reply->error, ENOMEM, "no memory for CNI configuration key %s", key);
	return rc == 0 ? 0 : wrong_type(reply, key, "a string, a number, true or false, or an array of strings and numbers");
}

static bool find_setting(const char *key, enum setting *ret_setting)
{
	for (enum setting s = 0; s < SETTING_COUNT; s++) {
		if (setting_spec(s)->key != NULL && strcmp(setting_spec(s)->key, key) == 0) {
			*ret_setting = s;
			return true;
		}
	}
	return false;
}

static int unknown_key(struct reply *reply, const char *where, const char *key, const char *near)
{
	char quote[ERROR_QUOTE_SIZE];

	(void)error_quote(quote, key, strlen(key));
	if (near == NULL)
		return error_set(&reply->error, EINVAL, "CNI configuration: unknown key %s%s", quote, where);
	return error_set(&reply->error, EINVAL, "CNI configuration: unknown key %s%s; did you mean \"%s\"?", quote, where, near);
}

static int read_defaults(struct config *config, struct json_object *value, struct reply *reply)
{
	int rc = 0;

	if (!json_object_is_type(value, json_type_object))
		return wrong_type(reply, "defaults", "an object of settings");
	json_object_object_foreach(value, key, item)
	{
		enum setting setting;

		if (find_setting(key, &setting)) {
			rc = read_setting(config, setting, item, reply);
		} else {
			struct nearest nearest = nearest_begin(key);

			for (enum setting s = 0; s < SETTING_COUNT; s++)
				nearest_try(&nearest, setting_spec(s)->key);
			rc = unknown_key(reply, " in defaults", key, nearest.best);
		}
		if (rc < 0)
			break;
	}
	return rc;
}

static int read_runtime_config(struct config *config, struct json_object *value, struct reply *reply)
{
	struct json_object *annotations;

	if (value == NULL)
		return 0;
	if (!json_object_is_type(value, json_type_object))
		return wrong_type(reply, "runtimeConfig", "an object");
	annotations = json_object_object_get(value, ANNOTATIONS_KEY);
	if (annotations == NULL)
		return 0;
	if (!json_object_is_type(annotations, json_type_object))
		return wrong_type(reply, "runtimeConfig." ANNOTATIONS_KEY, "an object of strings, or null");
	json_object_object_foreach(annotations, key, text)
	{
		if (!json_object_is_type(text, json_type_string))
			return error_set(&reply->error, EINVAL, "annotation %.128s is not a string", key);
	}
	config->annotations = annotations;
	return 0;
}

static int read_prev_result(struct config *config, struct json_object *value, struct reply *reply)
{
	if (value != NULL && !json_object_is_type(value, json_type_object))
		return wrong_type(reply, "prevResult", "the result of the plugins before, an object");
	config->prev_result = value;
	return 0;
}

typedef int read_key(struct config *config, struct json_object *value, struct reply *reply);

/* Keys without a reader are the specification's or the runtime's business. */
static const struct key {
	const char *name;
	read_key *read;
} keys[] = {
	{"cniVersion", NULL},
	{"name", read_name},
	{"type", NULL},
	{"args", NULL},
	{"ipam", NULL},
	{"dns", NULL},
	{"ipMasq", NULL},
	{"capabilities", NULL},
	{"runtimeConfig", read_runtime_config},
	{"prevResult", read_prev_result},
	{"disableCheck", NULL},
	{"disableGC", NULL},
	{"loadOnlyInlinedPlugins", NULL},
	{"cniVersions", NULL},
	{"capture", read_capture},
	{"missingAnnotations", read_missing},
	{"excludeNamespaces", read_exclude_namespaces},
	{"defaults", read_defaults},
	{"logFile", read_log_file},
	{"logLevel", read_log_level},
};

static const struct key *find_key(const char *name)
{
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
	return NULL;
}

static int unknown_top_key(const char *name, struct reply *reply)
{
	struct nearest nearest = nearest_begin(name);

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		nearest_try(&nearest, keys[i].name);
	for (enum setting s = 0; s < SETTING_COUNT; s++)
		if (setting_spec(s)->annotation == NULL)
			nearest_try(&nearest, setting_spec(s)->key);
	return unknown_key(reply, "", name, nearest.best);
}

static int read_top_key(struct config *config, const char *name, struct json_object *value, struct reply *reply)
{
	const struct key *key = find_key(name);
	enum setting setting;

	if (key != NULL)
		return key->read != NULL ? key->read(config, value, reply) : 0;
	if (strchr(name, '/') != NULL)
		return 0;
	if (!find_setting(name, &setting))
		return unknown_top_key(name, reply);
	if (setting_spec(setting)->annotation == NULL)
		return read_setting(config, setting, value, reply);
	return error_set(&reply->error, EINVAL, "CNI configuration: key %s belongs into \"defaults\"", name);
}

int config_check(struct config *config, struct reply *reply)
{
	json_object_object_foreach(config->root, name, value)
	{
		int rc = read_top_key(config, name, value, reply);

		if (rc < 0)
			return reply_fail(reply, REPLY_BAD_CONFIGURATION, rc);
	}
	return 0;
}

void config_read_log(struct config *config)
{
	struct reply ignored;

	if (config->root == NULL)
		return;
	(void)read_log_file(config, json_object_object_get(config->root, "logFile"), &ignored);
	(void)read_log_level(config, json_object_object_get(config->root, "logLevel"), &ignored);
}

/* --- use */

bool config_excludes(const struct config *config, const char *name)
{
	size_t count = config->exclude_namespaces != NULL ? json_object_array_length(config->exclude_namespaces) : 0;

	for (size_t i = 0; i < count; i++)
		if (strcmp(json_object_get_string(json_object_array_get_idx(config->exclude_namespaces, i)), name) == 0)
			return true;
	return false;
}

const char *config_annotation(const struct config *config, const char *key, size_t *ret_length)
{
	struct json_object *value =
		config->annotations != NULL ? json_object_object_get(config->annotations, key) : NULL;

	if (value == NULL)
		return NULL;
	*ret_length = (size_t)json_object_get_string_len(value);
	return json_object_get_string(value);
}

static bool is_setting(const char *annotation)
{
	for (enum setting s = 0; s < SETTING_COUNT; s++)
		if (setting_spec(s)->annotation != NULL && strcmp(setting_spec(s)->annotation, annotation) == 0)
			return true;
	return strcmp(annotation, "weir.dev/status") == 0;
}

void config_unknown_annotations(const struct config *config, void (*tell)(void *context, const char *key),
	void *context)
{
	if (config->annotations == NULL)
		return;
	json_object_object_foreach(config->annotations, key, value)
	{
		(void)value;
		if ((strncmp(key, "traffic.sidecar.istio.io/", 25) == 0 || strncmp(key, "weir.dev/", 9) == 0) &&
			!is_setting(key))
			tell(context, key);
	}
}
