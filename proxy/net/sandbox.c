/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int sandbox_check(bool run_as, bool allow_root, struct error *e)
{
	if (geteuid() != 0 || run_as || allow_root)
		return 0;
	return error_set(e, EPERM,
		"refusing to run as root, whose connections the rules would redirect back here: "
		"start as uid 1337, or give --run-as 1337:1337 (or --allow-root)");
}

static int become(uint32_t uid, uint32_t gid, struct error *e)
{
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return error_set_errno(e, errno, "cannot become %u:%u", uid, gid);
	return 0;
}

static int drop_capabilities(struct error *e)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

	/* Where the process may not, the bounding set has nothing that it could ever get. */
	for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; capability++)
		(void)prctl(PR_CAPBSET_DROP, capability);
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capset, &header, none) < 0)
		return error_set_errno(e, errno, "cannot drop capabilities");
	return 0;
}

int sandbox_drop(bool run_as, uint32_t uid, uint32_t gid, struct error *e)
{
	int rc = 0;

	/* The bounding set can be emptied only while there are capabilities, IDs can be changed only before they go. */
	for (int capability = 0; geteuid() == 0 && prctl(PR_CAPBSET_READ, capability) >= 0; capability++)
		(void)prctl(PR_CAPBSET_DROP, capability);
	if (run_as && geteuid() == 0)
		rc = become(uid, gid, e);
	if (rc == 0)
		rc = drop_capabilities(e);
	if (rc == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		rc = error_set_errno(e, errno, "cannot set no_new_privs");
	return rc;
}
