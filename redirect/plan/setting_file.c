/* SPDX-License-Identifier: Apache-2.0 */
/*
 * @FILE: a list that is too long for an argument, read from a file. Only a regular file will do: a pipe or a device
 * could keep a starting pod waiting for ever.
 */
#include "redirect/plan/setting.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_all(int fd, char *buffer, size_t size, size_t *ret_length)
{
	size_t length = 0;

	while (length < size) {
		ssize_t n = read(fd, buffer + length, size - length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		length += (size_t)n;
	}
	*ret_length = length;
	return 0;
}

/* Reads a regular file into memory that the caller frees. */
static int read_file(const char *path, char **ret_text, size_t *ret_length, struct error *e)
{
	struct stat status;
	char *text = NULL;
	int rc;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return error_set_errno(e, errno, "cannot open file %s", path);
	if (fstat(fd, &status) < 0) {
		rc = error_set_errno(e, errno, "cannot look at file %s", path);
	} else if (!S_ISREG(status.st_mode)) {
		rc = error_set(e, EINVAL, "%s is not a regular file", path);
	} else if (status.st_size > SETTING_FILE_SIZE_MAX) {
		rc = error_set(e, EFBIG, "file %s has %lld bytes, more than %u", path, (long long)status.st_size,
			SETTING_FILE_SIZE_MAX);
	} else if ((text = malloc((size_t)status.st_size + 1)) == NULL) {
		rc = error_set(e, ENOMEM, "no memory for file %s", path);
	} else {
		rc = read_all(fd, text, (size_t)status.st_size, ret_length);
		if (rc < 0)
			(void)error_set_errno(e, -rc, "cannot read file %s", path);
	}
	(void)close(fd);
	if (rc < 0)
		free(text);
	else
		*ret_text = text;
	return rc;
}

/* The text behind the "@", without blanks around it, as the name of a file. */
static int file_name(const struct setting_value *value, char path[PATH_MAX], struct error *e)
{
	const char *name = value->text + 1;
	size_t length = value->length - 1;

	while (length > 0 && (name[length - 1] == ' ' || name[length - 1] == '\n'))
		length--;
	if (length == 0)
		return error_set(e, EINVAL, "\"@\" without the name of a file behind it");
	if (length >= PATH_MAX || memchr(name, '\0', length) != NULL)
		return error_set(e, EINVAL, "the name of the file behind \"@\" is too long or holds a NUL byte");
	memcpy(path, name, length);
	path[length] = '\0';
	return 0;
}

static int read_value(struct setting_value *value, struct error *e)
{
	char path[PATH_MAX];
	int rc;

	if (value->way == SETTING_WAY_ANNOTATION)
		return error_set(e, EPERM, "a pod cannot make the host read a file (@FILE); write the items themselves");
	rc = file_name(value, path, e);
	if (rc == 0)
		rc = read_file(path, &value->file_text, &value->length, e);
	if (rc < 0)
		return rc;
	value->text = value->file_text;
	value->file_name = strdup(path);
	if (value->file_name == NULL)
		return error_set(e, ENOMEM, "no memory for the name of a file");
	return 0;
}

static bool is_list(enum setting_kind kind)
{
	switch (kind) {
	case SETTING_KIND_RANGES:
	case SETTING_KIND_RANGES_ALL:
	case SETTING_KIND_PORTS:
	case SETTING_KIND_PORTS_ALL:
	case SETTING_KIND_INTERFACES:
	case SETTING_KIND_IDS:
	case SETTING_KIND_GROUPS:
	case SETTING_KIND_GROUPS_ONLY:
		return true;
	default:
		return false;
	}
}

int settings_read_files(struct settings *settings, enum setting *ret_failed, struct error *e)
{
	for (enum setting s = 0; s < SETTING_COUNT; s++) {
		struct setting_value *value = &settings->values[s];
		char origin[128];
		int rc;

		if (value->file_name != NULL || value->length == 0 || value->text[0] != '@' || !is_list(setting_spec(s)->kind))
			continue;
		rc = read_value(value, e);
		if (rc < 0) {
			*ret_failed = s;
			return error_wrap(e, rc, "%s", setting_origin(origin, sizeof origin, value));
		}
	}
	return 0;
}

void settings_free(struct settings *settings)
{
	for (enum setting s = 0; s < SETTING_COUNT; s++) {
		struct setting_value *value = &settings->values[s];

		free(value->file_name);
		free(value->file_text);
		*value = (struct setting_value){.text = "", .way = value->way, .spelling = value->spelling};
	}
}
