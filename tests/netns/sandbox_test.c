/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The proxy's sandbox on the real kernel: what a process can no longer do once it is inside, and what it still can.
 * Each test is a process of its own, since nobody comes out again; what it saw is its exit status.
 */
#include "proxy/net/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define USER 1337

static char folder[] = "/tmp/weir-sandbox-XXXXXX";
static char log_path[64];

static char resolv_conf[64]; /* a link to real/conf */
static char real_folder[64];
static char real_conf[64];
static char neighbour[64]; /* beside that */

static int make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	return fd < 0 ? -1 : close(fd);
}

static int make_folder(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL || chown(folder, USER, USER) < 0)
		return -1;
	(void)snprintf(log_path, sizeof log_path, "%s/access.log", folder);
	(void)snprintf(resolv_conf, sizeof resolv_conf, "%s/link", folder);
	(void)snprintf(real_folder, sizeof real_folder, "%s/real", folder);
	(void)snprintf(real_conf, sizeof real_conf, "%s/real/conf", folder);
	(void)snprintf(neighbour, sizeof neighbour, "%s/real/neighbour", folder);
	return mkdir(real_folder, 0755) < 0 || make_file(real_conf) < 0 || make_file(neighbour) < 0 ||
			       symlink("real/conf", resolv_conf) < 0
		       ? -1
		       : 0;
}

static int remove_folder(void **state)
{
	(void)state;
	(void)unlink(log_path);
	(void)unlink(resolv_conf);
	(void)unlink(real_conf);
	(void)unlink(neighbour);
	(void)rmdir(real_folder);
	return rmdir(folder);
}

static bool asks_names; /* whether the sandbox lets resolv.conf be read */

static void enter(void)
{
	const struct sandbox_files files = {.log = log_path, .resolv_conf = asks_names ? resolv_conf : NULL};
	struct error e;

	if (sandbox_drop(true, USER, USER, &e) < 0 || sandbox_paths(&files, &e) < 0 || sandbox_calls(&e) < 0) {
		(void)fprintf(stderr, "%s\n", e.text);
		_exit(99);
	}
}

/* Runs a test inside the sandbox; it returns the errno value of what it tried, or 0. */
static void expect(int (*attempt)(void), int expected)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		enter();
		_exit(attempt());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), expected);
}

static int result(long rc)
{
	return rc < 0 ? errno : 0;
}

/* --- calls */

static int execute(void)
{
	char *const arguments[] = {(char[]){"true"}, NULL};

	return result(execv("/bin/true", arguments));
}

static int become_root(void)
{
	return result(setuid(0));
}

static int trace(void)
{
	return result(syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
}

static int mount_something(void)
{
	return result(syscall(SYS_mount, "none", "/mnt", "tmpfs", 0, NULL));
}

static int open_netlink(void)
{
	return result(socket(AF_NETLINK, SOCK_RAW, 0));
}

static int open_unix(void)
{
	return result(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int open_tcp(void)
{
	return result(socket(AF_INET, SOCK_STREAM, 0)) + result(socket(AF_INET6, SOCK_STREAM, 0));
}

static int map_code(void)
{
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? errno : 0;
}

static int turn_data_into_code(void)
{
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? 99 : result(mprotect(memory, 4096, PROT_READ | PROT_EXEC));
}

static int bind_port(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return fd < 0 ? 99 : result(bind(fd, (struct sockaddr *)&any, sizeof any));
}

static int name_an_interface(void)
{
	struct ifreq request = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	return fd < 0 ? 99 : result(ioctl(fd, SIOCGIFINDEX, &request));
}

static int list_interfaces(void)
{
	struct ifconf request = {.ifc_len = 0};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	return fd < 0 ? 99 : result(ioctl(fd, SIOCGIFCONF, &request));
}

static void forbidden_calls_fail(void **state)
{
	(void)state;
	expect(execute, EPERM);
	expect(become_root, EPERM);
	expect(trace, EPERM);
	expect(mount_something, EPERM);
	expect(open_netlink, EPERM);
	expect(open_unix, EPERM);
	expect(map_code, EPERM);
	expect(turn_data_into_code, EPERM);
	expect(bind_port, EPERM);
	expect(open_tcp, 0);
	expect(name_an_interface, 0);
	expect(list_interfaces, EPERM);
}

static sem_t arrived;
static sem_t go;

static void *execute_later(void *code)
{
	(void)sem_post(&arrived);
	while (sem_wait(&go) < 0)
		;
	*(int *)code = execute();
	return NULL;
}

/* The filter is for the threads, too, that were there before it. */
static void threads_are_inside(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		pthread_t thread;
		struct error e;
		int code = 0;

		(void)sem_init(&arrived, 0, 0);
		(void)sem_init(&go, 0, 0);
		if (sandbox_drop(true, USER, USER, &e) < 0 || pthread_create(&thread, NULL, execute_later, &code) != 0)
			_exit(99);
		while (sem_wait(&arrived) < 0)
			;
		if (sandbox_calls(&e) < 0)
			_exit(98);
		(void)sem_post(&go);
		(void)pthread_join(thread, NULL);
		_exit(code);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EPERM);
}

/* --- paths */

static int open_password_file(void)
{
	return result(open("/etc/passwd", O_RDONLY));
}

static int read_log(void)
{
	return result(open(log_path, O_RDONLY));
}

static int make_log(void)
{
	return result(open(log_path, O_WRONLY | O_APPEND | O_CREAT, 0640));
}

static int write_elsewhere(void)
{
	return result(open("/tmp/weir-sandbox-elsewhere", O_WRONLY | O_CREAT, 0600));
}

static void forbidden_paths_fail(void **state)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	(void)state;
	expect(make_log, 0);
	/* A kernel without Landlock has no such stage. It is one that users have: what holds there is tested too. */
	expect(open_password_file, version < 0 ? 0 : EACCES);
	expect(read_log, version < 0 ? 0 : EACCES);
	if (version >= 0)
		expect(write_elsewhere, EACCES);
}

static int read_resolv_conf(void)
{
	return result(open(resolv_conf, O_RDONLY));
}

static int read_neighbour(void)
{
	return result(open(neighbour, O_RDONLY));
}

static int read_random_numbers(void)
{
	return result(open("/dev/urandom", O_RDONLY));
}

static int list_folder(void)
{
	return result(open(real_folder, O_RDONLY | O_DIRECTORY));
}

/* Through a link, and when another file takes its place; where nobody asks for names, not even then. */
static void resolv_conf_can_be_read(void **state)
{
	bool landlock = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 0;

	(void)state;
	expect(read_resolv_conf, landlock ? EACCES : 0);
	asks_names = true;
	expect(read_resolv_conf, 0);
	expect(read_neighbour, 0);
	expect(read_random_numbers, 0);
	expect(list_folder, landlock ? EACCES : 0);
	expect(open_password_file, landlock ? EACCES : 0);
	asks_names = false;
}

/* In a container it is mounted, and nothing beside it can be read. */
static void a_mounted_resolv_conf_is_read_alone(void **state)
{
	bool landlock = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 0;
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		char outside[] = "/dev/shm/weir-sandbox-XXXXXX";
		int fd;

		if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
			mount("none", "/dev/shm", "tmpfs", 0, NULL) < 0 || (fd = mkstemp(outside)) < 0 ||
			fchmod(fd, 0644) < 0 || mount(outside, real_conf, NULL, MS_BIND, NULL) < 0)
			_exit(99);
		(void)snprintf(resolv_conf, sizeof resolv_conf, "%s", real_conf);
		asks_names = true;
		enter();
		_exit(read_resolv_conf() == 0 && read_neighbour() == (landlock ? EACCES : 0) ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void privileges_are_checked(void **state)
{
	struct error e;

	(void)state;
	assert_int_equal(geteuid(), 0);
	assert_int_equal(sandbox_check(false, false, &e), -EPERM);
	assert_non_null(strstr(e.text, "refusing to run as root"));
	assert_int_equal(sandbox_check(true, false, &e), 0);
	assert_int_equal(sandbox_check(false, true, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(privileges_are_checked),
		cmocka_unit_test(forbidden_calls_fail),
		cmocka_unit_test(threads_are_inside),
		cmocka_unit_test(forbidden_paths_fail),
		cmocka_unit_test(resolv_conf_can_be_read),
		cmocka_unit_test(a_mounted_resolv_conf_is_read_alone),
	};

	return cmocka_run_group_tests_name("sandbox", tests, make_folder, remove_folder);
}
