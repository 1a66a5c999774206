/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether `path` names the same namespace. One that cannot be looked at (process 1's, in a sandbox) is another. */
static bool is_same(const struct stat *status, const char *path)
{
	struct stat other;

	return stat(path, &other) == 0 && other.st_dev == status->st_dev && other.st_ino == status->st_ino;
}

static int check(int fd, const char *path, struct error *e)
{
	struct stat status;

	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		return error_set(e, EINVAL, "%s is not a network namespace", path);
	if (fstat(fd, &status) < 0)
		return error_set_errno(e, errno, "cannot look at the network namespace %s", path);
	if (is_same(&status, "/proc/self/ns/net") || is_same(&status, "/proc/1/ns/net"))
		return error_set(e, EPERM, "%s is the host's own network namespace, whose traffic is not a pod's", path);
	return 0;
}

int netns_enter(const char *path, struct error *e)
{
	/* Not blocking, so that a FIFO put there does not hold up the runtime. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int rc;

	if (fd < 0)
		return error_set_errno(e, errno, "cannot open the network namespace %s", path);
	rc = check(fd, path, e);
	if (rc == 0 && setns(fd, CLONE_NEWNET) < 0)
		rc = error_set_errno(e, errno, "cannot enter the network namespace %s", path);
	(void)close(fd);
	return rc;
}

int netns_enter_new(struct error *e)
{
	if (unshare(CLONE_NEWNET) < 0)
		return error_set_errno(e, errno, "cannot make a network namespace");
	return 0;
}
