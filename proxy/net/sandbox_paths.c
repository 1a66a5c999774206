/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock (Documentation/userspace-api/landlock.rst): what is handled, and has no rule that allows it, is forbidden.
 * Each version of its interface handles more; a kernel is asked for what it knows. The numbers stand here where an older
 * linux/landlock.h lacks them.
 */
#include "proxy/net/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Rights to files, up to and including "make symbolic link": version 1. */
#define RIGHTS_1 ((1ull << 13) - 1)
#define RIGHT_REFER (1ull << 13)     /* version 2 */
#define RIGHT_TRUNCATE (1ull << 14)  /* version 3 */
#define RIGHT_BIND_TCP (1ull << 0)   /* version 4 */
#define RIGHT_IOCTL_DEV (1ull << 15) /* version 5 */

/* linux/landlock.h of version 4, whose size older kernels take as long as the rest is zero. */
struct ruleset {
	uint64_t handled_access_fs;
	uint64_t handled_access_net;
};

#define PATH_SIZE 4096

/* What a log takes. */
#define LOG_RIGHTS ((uint64_t)(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG))

static struct ruleset rights_of(long version, bool log_moves)
{
	struct ruleset ruleset = {.handled_access_fs = RIGHTS_1};

	if (version >= 2)
		ruleset.handled_access_fs |= RIGHT_REFER;
	if (version >= 3)
		ruleset.handled_access_fs |= RIGHT_TRUNCATE;
	if (version >= 4)
		ruleset.handled_access_net = RIGHT_BIND_TCP;
	if (version >= 5)
		ruleset.handled_access_fs |= RIGHT_IOCTL_DEV;
	if (log_moves)
		ruleset.handled_access_fs &= ~LOG_RIGHTS;
	return ruleset;
}

/* Keeps rights to a file, or to all that is in a folder. */
static int allow(int ruleset, const char *path, uint64_t rights, struct error *e)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = rights, .parent_fd = open(path, O_PATH | O_CLOEXEC)};
	long rc;

	if (rule.parent_fd < 0)
		return error_set_errno(e, errno, "cannot open %s", path);
	rc = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	if (rc < 0)
		rc = error_set_errno(e, errno, "cannot keep the right to %s", path);
	(void)close(rule.parent_fd);
	return (int)rc;
}

static int find_folder(const char *path, char out[PATH_SIZE], struct error *e)
{
	const char *slash = strrchr(path, '/');

	if (strlen(path) >= PATH_SIZE)
		return error_set(e, ENAMETOOLONG, "the path of a file is longer than %d bytes", PATH_SIZE - 1);
	if (slash == NULL)
		(void)snprintf(out, PATH_SIZE, ".");
	else
		(void)snprintf(out, PATH_SIZE, "%.*s", slash == path ? 1 : (int)(slash - path), path);
	return 0;
}

/* The folder that a file is in, since a file may be replaced. */
static int allow_beside(int ruleset, const char *path, uint64_t rights, struct error *e)
{
	char folder[PATH_SIZE];
	int rc = find_folder(path, folder, e);

	return rc == 0 ? allow(ruleset, folder, rights, e) : rc;
}

/* Whether a file is mounted where it is, as runtimes do with resolv.conf: then nobody can put another one in its place. */
static bool is_mounted(const char *path)
{
	char folder[PATH_SIZE];
	struct stat file;
	struct stat around;

	return find_folder(path, folder, NULL) == 0 && lstat(path, &file) == 0 && stat(folder, &around) == 0 &&
	       file.st_dev != around.st_dev;
}

/*
 * The DNS servers' file may be a link into another folder, and either may not be there yet. What asks them draws random
 * numbers, in older versions of c-ares from this device.
 */
static int allow_resolver(int ruleset, const char *resolv_conf, struct error *e)
{
	const uint64_t reading = LANDLOCK_ACCESS_FS_READ_FILE;
	char target[PATH_SIZE];
	int rc = is_mounted(resolv_conf) ? allow(ruleset, resolv_conf, reading, e)
					 : allow_beside(ruleset, resolv_conf, reading, e);

	if ((rc == 0 || rc == -ENOENT) && realpath(resolv_conf, target) != NULL && strcmp(resolv_conf, target) != 0)
		rc = allow_beside(ruleset, target, reading, e);
	if (rc == 0 || rc == -ENOENT)
		rc = allow(ruleset, "/dev/urandom", reading, e);
	return rc == -ENOENT ? 0 : rc;
}

static bool is_root(const char *folder)
{
	struct stat root;
	struct stat status;

	return stat("/", &root) < 0 || stat(folder, &status) < 0 || (status.st_dev == root.st_dev && status.st_ino == root.st_ino);
}

/* A folder, and the one that it is in: a name that may lead elsewhere tomorrow. That of a folder in "/" would be all. */
static int allow_by_name(int ruleset, const char *folder, uint64_t rights, struct error *e)
{
	char parent[PATH_SIZE];
	size_t length = strlen(folder);
	int rc = allow(ruleset, folder, rights, e);

	while (length > 1 && folder[length - 1] == '/')
		length--;
	while (length > 0 && folder[length - 1] != '/')
		length--;
	if (rc < 0 || length >= sizeof parent)
		return rc;
	(void)snprintf(parent, sizeof parent, "%.*s", length > 0 ? (int)length : 1, length > 0 ? folder : ".");
	return is_root(parent) ? 0 : allow(ruleset, parent, rights, e);
}

/* The log is opened anew, and made where it is gone; the others are read again and again. */
static int allow_files(int ruleset, const struct sandbox_files *files, struct error *e)
{
	const uint64_t reading = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
	bool has_log = !files->log_moves && files->log != NULL && *files->log != '\0' && strcmp(files->log, "/dev/stdout") != 0 &&
		       strcmp(files->log, "/dev/stderr") != 0;
	int rc = has_log ? allow_beside(ruleset, files->log, LOG_RIGHTS, e) : 0;

	if (rc == 0 && files->mesh_config != NULL)
		rc = allow_beside(ruleset, files->mesh_config, reading, e);
	if (rc == 0 && files->certificates != NULL)
		rc = allow_beside(ruleset, files->certificates, reading, e);
	if (rc == 0 && files->config_dir != NULL)
		rc = allow_by_name(ruleset, files->config_dir, reading, e);
	if (rc == 0 && files->resolv_conf != NULL)
		rc = allow_resolver(ruleset, files->resolv_conf, e);
	for (size_t i = 0; i < files->other_count && rc == 0; i++)
		(void)allow_beside(ruleset, files->others[i], reading, e);
	return rc;
}

/* A sanitizer's last act is to look for leaks, in the threads that /proc lists. */
static int allow_sanitizer(int ruleset, struct error *e)
{
#ifdef __SANITIZE_ADDRESS__
	return allow(ruleset, "/proc", LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR, e);
#else
	(void)ruleset;
	(void)e;
	return 0;
#endif
}

int sandbox_paths(const struct sandbox_files *files, struct error *e)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct ruleset attribute = rights_of(version, files->log_moves);
	size_t size = version >= 4 ? sizeof attribute : sizeof attribute.handled_access_fs;
	int ruleset;
	int rc;

	/* Not built in, or not switched on. */
	if (version < 0)
		return 0;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attribute, size, 0);
	if (ruleset < 0)
		return error_set_errno(e, errno, "cannot make a Landlock ruleset");
	rc = allow_files(ruleset, files, e);
	if (rc == 0)
		rc = allow_sanitizer(ruleset, e);
	if (rc == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		rc = error_set_errno(e, errno, "cannot restrict the files that can be opened");
	(void)close(ruleset);
	return rc;
}
