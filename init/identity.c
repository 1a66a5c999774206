/* SPDX-License-Identifier: Apache-2.0 */
#include "init/identity.h"

#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_name(const char *candidate, const char *name, size_t length)
{
	return strlen(candidate) == length && memcmp(candidate, name, length) == 0;
}

static bool find(FILE *file, enum identity_kind kind, const char *name, size_t length, unsigned *ret_id)
{
	const struct passwd *user;
	const struct group *group;

	while (kind == IDENTITY_USER && (user = fgetpwent(file)) != NULL) {
		if (is_name(user->pw_name, name, length)) {
			*ret_id = user->pw_uid;
			return true;
		}
	}
	while (kind == IDENTITY_GROUP && (group = fgetgrent(file)) != NULL) {
		if (is_name(group->gr_name, name, length)) {
			*ret_id = group->gr_gid;
			return true;
		}
	}
	return false;
}

static void copy_item(FILE *out, const char *item, size_t length, enum identity_kind kind, const char *path)
{
	bool numeric = strspn(item, "0123456789-: ") >= length;
	FILE *file = numeric ? NULL : fopen(path, "re");
	unsigned id;

	if (file != NULL && find(file, kind, item, length, &id))
		(void)fprintf(out, "%u", id);
	else
		(void)fwrite(item, 1, length, out);
	if (file != NULL)
		(void)fclose(file);
}

char *identity_resolve(const char *list, enum identity_kind kind, const char *path)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return NULL;
	for (;;) {
		size_t blanks = strspn(list, " \t");
		size_t length = strcspn(list + blanks, ",");

		while (length > 0 && (list[blanks + length - 1] == ' ' || list[blanks + length - 1] == '\t'))
			length--;
		copy_item(out, list + blanks, length, kind, path);
		list += strcspn(list, ",");
		if (*list == '\0')
			break;
		(void)fputc(*list++, out);
	}
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
