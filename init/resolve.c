/* SPDX-License-Identifier: Apache-2.0 */
#include "init/resolve.h"

#include "init/identity.h"
#include "redirect/plan/value.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The user whose ID the proxy has where neither flag nor variable says it, as in Istio. */
#define PROXY_USER "istio-proxy"

#define RESOLV_CONF "/etc/resolv.conf"

/* Keeps a text, and makes it the setting's. NULL is out of memory. */
static int keep(struct resolved *resolved, struct setting_value *value, char *text)
{
	if (text == NULL)
		return -ENOMEM;
	assert(resolved->count < RESOLVE_TEXT_MAX);
	resolved->texts[resolved->count++] = text;
	value->text = text;
	value->length = strlen(text);
	return 0;
}

static int resolve_list(struct settings *settings, enum setting setting, enum identity_kind kind, const char *path,
	struct resolved *resolved)
{
	struct setting_value *value = &settings->values[setting];
	char *text = NULL;

	/* A file's lists hold IDs only. */
	if (value->length > 0 && value->text[0] == '@')
		return 0;
	if (identity_resolve(value->text, kind, path, &text) < 0)
		return -ENOMEM;
	return keep(resolved, value, text);
}

/* The proxy's user where nobody says it: the one of a name, if there is such a user. */
static int resolve_default_user(struct settings *settings, struct resolved *resolved)
{
	const char *user = getenv("ENVOY_USER");
	char *text = NULL;

	if (identity_resolve(user != NULL && *user != '\0' ? user : PROXY_USER, IDENTITY_USER, "/etc/passwd", &text) < 0)
		return -ENOMEM;
	if (strspn(text, "0123456789") == strlen(text))
		return keep(resolved, &settings->values[SETTING_PROXY_UID], text);
	free(text);
	return 0;
}

/* Writes the address of one server, without the zone that a link-local one may have. */
static void write_server(FILE *out, const char *text, size_t length)
{
	const char *zone = memchr(text, '%', length);

	(void)fprintf(out, "%s%.*s", ftell(out) > 0 ? "," : "", (int)(zone != NULL ? (size_t)(zone - text) : length), text);
}

static void write_servers(FILE *out, FILE *conf)
{
	static const char keyword[] = "nameserver";
	char *line = NULL;
	size_t size = 0;
	size_t left = RESOLVE_CONF_SIZE_MAX;
	ssize_t read;

	while ((read = getline(&line, &size, conf)) >= 0 && (size_t)read <= left) {
		const char *text = line + strlen(keyword);
		struct value_range ignored;
		size_t length;

		left -= (size_t)read;
		if (strncmp(line, keyword, strlen(keyword)) != 0 || strspn(text, " \t") == 0)
			continue;
		text += strspn(text, " \t");
		length = strcspn(text, " \t\r\n#;");
		/* What is no address, the C library passes over, too. */
		if (value_read_range(text, strcspn(text, "% \t\r\n#;"), &ignored) == NULL)
			write_server(out, text, length);
	}
	free(line);
}

char *resolve_servers(const char *path)
{
	FILE *conf = fopen(path, "re");
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (out != NULL && conf != NULL)
		write_servers(out, conf);
	if (conf != NULL)
		(void)fclose(conf);
	if (out != NULL && fclose(out) != 0) {
		free(text);
		text = NULL;
	}
	return text;
}

/* Servers of the system's file count where nobody has named others. */
static int resolve_dns(struct settings *settings, struct resolved *resolved)
{
	struct setting_value *value = &settings->values[SETTING_DNS_SERVERS];
	const struct setting_value *dns = &settings->values[SETTING_DNS_CAPTURE];
	bool on = false;

	if (value->way != SETTING_WAY_DEFAULT || value_read_switch(dns->text, dns->length, &on) != NULL || !on)
		return 0;
	value->way = SETTING_WAY_FILE;
	value->spelling = RESOLV_CONF;
	return keep(resolved, value, resolve_servers(RESOLV_CONF));
}

int resolve_settings(struct settings *settings, struct resolved *ret_resolved, struct error *e)
{
	const struct setting_value *uid = &settings->values[SETTING_PROXY_UID];
	static const enum setting of_groups[] = {
		SETTING_PROXY_GID, SETTING_INCLUDE_OWNER_GROUPS, SETTING_EXCLUDE_OWNER_GROUPS};
	int rc;

	*ret_resolved = (struct resolved){.count = 0};
	if (uid->way == SETTING_WAY_DEFAULT || uid->length == 0)
		rc = resolve_default_user(settings, ret_resolved);
	else
		rc = resolve_list(settings, SETTING_PROXY_UID, IDENTITY_USER, "/etc/passwd", ret_resolved);
	for (size_t i = 0; rc == 0 && i < sizeof of_groups / sizeof *of_groups; i++)
		rc = resolve_list(settings, of_groups[i], IDENTITY_GROUP, "/etc/group", ret_resolved);
	if (rc == 0)
		rc = resolve_dns(settings, ret_resolved);
	return rc < 0 ? error_set(e, ENOMEM, "no memory for the names of users, groups and servers") : 0;
}

void resolved_free(struct resolved *resolved)
{
	for (size_t i = 0; i < resolved->count; i++)
		free(resolved->texts[i]);
	resolved->count = 0;
}
