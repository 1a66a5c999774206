/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/environment.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The longest interface name, without its NUL. */
#define IFNAME_MAX 15

/* Which variables a verb cannot do without. */
enum { NEEDS_CONTAINER = 1, NEEDS_NETNS = 2, NEEDS_IFNAME = 4 };

static const struct verb {
	const char *name;
	unsigned needs;
} verbs[] = {
	[VERB_NONE] = {"", 0},
	[VERB_ADD] = {"ADD", NEEDS_CONTAINER | NEEDS_NETNS | NEEDS_IFNAME},
	/* By the time of DEL the namespace may be gone. */
	[VERB_DEL] = {"DEL", NEEDS_CONTAINER | NEEDS_IFNAME},
	[VERB_CHECK] = {"CHECK", NEEDS_CONTAINER | NEEDS_NETNS | NEEDS_IFNAME},
	[VERB_GC] = {"GC", 0},
	[VERB_STATUS] = {"STATUS", 0},
	[VERB_VERSION] = {"VERSION", 0},
};
static_assert(sizeof verbs / sizeof *verbs == VERB_COUNT, "every verb has a row");

const char *environment_verb_name(enum environment_verb verb)
{
	return verbs[verb].name;
}

static int read_verb(const char *text, enum environment_verb *ret_verb, struct error *e)
{
	char quote[ERROR_QUOTE_SIZE];

	for (enum environment_verb v = VERB_NONE; v < VERB_COUNT; v++) {
		if (strcmp(text, verbs[v].name) == 0) {
			*ret_verb = v;
			return 0;
		}
	}
	return error_set(e, EINVAL, "CNI_COMMAND is %s; valid: ADD, DEL, CHECK, GC, STATUS, VERSION",
		error_quote(quote, text, strlen(text)));
}

static int check_missing(const struct environment *env, struct error *e)
{
	unsigned needs = verbs[env->verb].needs;
	bool container = (needs & NEEDS_CONTAINER) != 0 && *env->container_id == '\0';
	bool netns = (needs & NEEDS_NETNS) != 0 && *env->netns == '\0';
	bool ifname = (needs & NEEDS_IFNAME) != 0 && *env->ifname == '\0';

	if (!container && !netns && !ifname)
		return 0;
	return error_set(e, EINVAL, "%s needs these environment variables, which are not set:%s%s%s",
		verbs[env->verb].name, container ? " CNI_CONTAINERID" : "", netns ? " CNI_NETNS" : "",
		ifname ? " CNI_IFNAME" : "");
}

/* The specification's alphabet of container IDs and network names. */
static bool is_identifier(const char *text)
{
	if (!isalnum((unsigned char)*text))
		return false;
	for (; *text != '\0'; text++)
		if (!isalnum((unsigned char)*text) && strchr("_.-", *text) == NULL)
			return false;
	return true;
}

static bool is_interface_name(const char *text)
{
	if (strlen(text) > IFNAME_MAX || strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		return false;
	for (; *text != '\0'; text++)
		if (*text == '/' || *text == ':' || isspace((unsigned char)*text))
			return false;
	return true;
}

static int check_values(const struct environment *env, struct error *e)
{
	char quote[ERROR_QUOTE_SIZE];

	if (*env->container_id != '\0' && !is_identifier(env->container_id))
		return error_set(e, EINVAL,
			"CNI_CONTAINERID is %s; valid: a letter or digit, then letters, digits, \"_\", \".\", \"-\"",
			error_quote(quote, env->container_id, strlen(env->container_id)));
	if (!is_interface_name(env->ifname))
		return error_set(e, EINVAL,
			"CNI_IFNAME is %s; valid: at most 15 bytes without \"/\", \":\" and blanks, not \".\" or \"..\"",
			error_quote(quote, env->ifname, strlen(env->ifname)));
	return 0;
}

/* --- CNI_ARGS */

struct argument {
	const char *key;
	size_t key_length;
	const char *value;
	size_t value_length;
};

static bool key_is(const struct argument *argument, const char *key)
{
	return argument->key_length == strlen(key) && memcmp(argument->key, key, argument->key_length) == 0;
}

static int split(const char *pair, size_t length, struct argument *ret, struct error *e)
{
	const char *equals = memchr(pair, '=', length);
	char quote[ERROR_QUOTE_SIZE];

	if (equals == NULL || memchr(equals + 1, '=', length - (size_t)(equals + 1 - pair)) != NULL)
		return error_set(e, EINVAL, "CNI_ARGS: %s; valid: KEY=VALUE pairs, separated by \";\"",
			error_quote(quote, pair, length));
	*ret = (struct argument){pair, (size_t)(equals - pair), equals + 1, length - (size_t)(equals + 1 - pair)};
	return 0;
}

static int keep_name(const struct argument *argument, char out[ENVIRONMENT_NAME_SIZE], struct error *e)
{
	if (argument->value_length >= ENVIRONMENT_NAME_SIZE)
		return error_set(e, EINVAL, "CNI_ARGS: the value of %.*s is longer than %d bytes", (int)argument->key_length,
			argument->key, ENVIRONMENT_NAME_SIZE - 1);
	memcpy(out, argument->value, argument->value_length);
	out[argument->value_length] = '\0';
	return 0;
}

static bool is_known(const struct argument *argument)
{
	static const char *const known[] = {"K8S_POD_NAME", "K8S_POD_NAMESPACE", "K8S_POD_INFRA_CONTAINER_ID",
		"K8S_POD_UID", "IgnoreUnknown", "IP", "MAC", "GATEWAY"};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (key_is(argument, known[i]))
			return true;
	return false;
}

static int read_arguments(const char *text, struct environment *env, struct error *e)
{
	struct argument unknown = {.key = NULL};
	bool ignore_unknown = false;
	char quote[ERROR_QUOTE_SIZE];
	int rc = 0;

	for (size_t length; rc == 0 && *text != '\0'; text += length + (text[length] == ';')) {
		struct argument argument = {.key = NULL};

		length = strcspn(text, ";");
		if (length == 0)
			continue;
		rc = split(text, length, &argument, e);
		if (rc < 0)
			break;
		if (key_is(&argument, "IgnoreUnknown"))
			ignore_unknown = (argument.value_length == 1 && *argument.value == '1') ||
					 (argument.value_length == 4 && strncasecmp(argument.value, "true", 4) == 0);
		else if (key_is(&argument, "K8S_POD_NAME"))
			rc = keep_name(&argument, env->pod_name, e);
		else if (key_is(&argument, "K8S_POD_NAMESPACE"))
			rc = keep_name(&argument, env->pod_namespace, e);
		else if (!is_known(&argument))
			unknown = argument;
	}
	if (rc == 0 && unknown.key != NULL && !ignore_unknown)
		return error_set(e, EINVAL, "CNI_ARGS: unknown key %s; add IgnoreUnknown=1 to pass keys that are for others",
			error_quote(quote, unknown.key, unknown.key_length));
	return rc;
}

static const char *get_or_empty(environment_getter *get, const char *name)
{
	const char *value = get(name);

	return value != NULL ? value : "";
}

int environment_read(environment_getter *get, struct environment *ret, struct error *e)
{
	int rc;

	*ret = (struct environment){
		.verb = VERB_NONE,
		.container_id = get_or_empty(get, "CNI_CONTAINERID"),
		.netns = get_or_empty(get, "CNI_NETNS"),
		.ifname = get_or_empty(get, "CNI_IFNAME"),
	};
	rc = read_verb(get_or_empty(get, "CNI_COMMAND"), &ret->verb, e);
	/* VERSION needs nothing, and runtimes send made-up values with it. */
	if (rc < 0 || ret->verb == VERB_NONE || ret->verb == VERB_VERSION)
		return rc;
	rc = check_missing(ret, e);
	if (rc == 0)
		rc = check_values(ret, e);
	if (rc == 0)
		rc = read_arguments(get_or_empty(get, "CNI_ARGS"), ret, e);
	return rc;
}
