/* SPDX-License-Identifier: Apache-2.0 */
#include "init/identity.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_name(const char *candidate, const char *name, size_t length)
{
	return strlen(candidate) == length && memcmp(candidate, name, length) == 0;
}

/* The ID of a name, -1 where there is none of that name, or -ENOMEM. */
static int64_t find(FILE *file, enum identity_kind kind, const char *name, size_t length)
{
	const struct passwd *user;
	const struct group *group;

	errno = 0;
	while (kind == IDENTITY_USER && (user = fgetpwent(file)) != NULL)
		if (is_name(user->pw_name, name, length))
			return user->pw_uid;
	while (kind == IDENTITY_GROUP && (group = fgetgrent(file)) != NULL)
		if (is_name(group->gr_name, name, length))
			return group->gr_gid;
	return errno == ENOMEM ? -ENOMEM : -1;
}

/* Copies one item, or its ID. Returns 0 or -ENOMEM. A file that cannot be opened holds no names. */
static int copy_item(FILE *out, const char *item, size_t length, enum identity_kind kind, const char *path)
{
	bool numeric = strspn(item, "0123456789-: ") >= length;
	FILE *file = numeric ? NULL : fopen(path, "re");
	int64_t id = -1;

	if (file != NULL) {
		id = find(file, kind, item, length);
		(void)fclose(file);
	} else if (!numeric && errno == ENOMEM) {
		id = -ENOMEM;
	}
	if (id == -ENOMEM)
		return -ENOMEM;
	if (id >= 0)
		(void)fprintf(out, "%lld", (long long)id);
	else
		(void)fwrite(item, 1, length, out);
	return 0;
}

static int copy_items(FILE *out, const char *list, enum identity_kind kind, const char *path)
{
	for (;;) {
		size_t blanks = strspn(list, " \t");
		size_t length = strcspn(list + blanks, ",");
		int rc;

		while (length > 0 && (list[blanks + length - 1] == ' ' || list[blanks + length - 1] == '\t'))
			length--;
		rc = copy_item(out, list + blanks, length, kind, path);
		list += strcspn(list, ",");
		if (rc < 0 || *list == '\0')
			return rc;
		(void)fputc(*list++, out);
	}
}

int identity_resolve(const char *list, enum identity_kind kind, const char *path, char **ret_text)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	int rc;

	if (out == NULL)
		return -ENOMEM;
	rc = copy_items(out, list, kind, path);
	if (fclose(out) != 0 || text == NULL)
		rc = -ENOMEM;
	if (rc < 0)
		free(text);
	else
		*ret_text = text;
	return rc;
}
