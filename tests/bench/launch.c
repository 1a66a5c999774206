/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launch - runs programs again and again, each time on a fresh network namespace, and measures them.
 *
 *     launch [-a] ROUNDS SECONDS -- NAME MODE STDIN COMMAND... [-- NAME MODE STDIN COMMAND...]...
 *
 * Each round runs every case once, beginning with another one each time, so that whatever else the machine does falls
 * on all of them alike. SECONDS ends it early, though not before three rounds. With -a, each case instead runs ROUNDS
 * times at once. The time is from before the process is started until it has been waited for.
 *
 * MODE is "cni" (in this namespace, with the environment that a runtime sets for ADD), "in" (inside the fresh one) or
 * "told" (inside; the time is what the program prints on stdout, in microseconds).
 *
 * The namespaces have no name, only a descriptor: nothing is left behind, however this ends.
 *
 * Prints, for each case, NAME.median, NAME.p99, NAME.cpu (mean), NAME.memory (kB, the largest), NAME.runs, and with
 * -a NAME.all, the time until the last one ended. A program that fails ends the measuring.
 */
#include "tests/bench/measure.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define CASE_MAX 16
#define ROUND_MAX 1000
#define SECONDS_MAX 600
#define ROUND_MIN 3

enum mode { MODE_CNI, MODE_IN, MODE_TOLD };

static const char *const modes[] = {[MODE_CNI] = "cni", [MODE_IN] = "in", [MODE_TOLD] = "told"};

struct end {
	pid_t pid;
	int status;
	double time;
	struct rusage usage;
};

struct process {
	pid_t pid;
	double start;
};

struct subject {
	const char *name;
	enum mode mode;
	const char *input;
	char **command;
	size_t count;
	double times[ROUND_MAX];
	double cpu[ROUND_MAX];
	long memory;
};

struct launcher {
	struct subject subjects[CASE_MAX];
	size_t count;
	int home; /* this program's own namespace */
	int errors; /* where the programs' stderr goes */
};

/* --- namespaces */

static int open_namespace(void)
{
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		measure_die("cannot open the network namespace");
	return fd;
}

static void enter(int namespace)
{
	if (setns(namespace, CLONE_NEWNET) < 0)
		measure_die("cannot enter a network namespace");
}

/* Stays open until the end: taking a namespace down is work for the kernel, which must not fall on the next program. */
static int new_namespace(const struct launcher *launcher)
{
	int fd;

	if (unshare(CLONE_NEWNET) < 0)
		measure_die("cannot make a network namespace");
	fd = open_namespace();
	enter(launcher->home);
	return fd;
}

/* --- processes */

/* Sets what a runtime sets; the programs of the other modes do not look at it. */
static void set_environment(int namespace)
{
	static const char id[] = "4f0c2f3e8b0d4c39a3f1f9b0a5f0d3c2e1b8a7964533221100ffeeddccbbaa99";
	char path[64];
	char arguments[256];

	(void)snprintf(path, sizeof path, "/proc/%d/fd/%d", getpid(), namespace);
	(void)snprintf(arguments, sizeof arguments, "IgnoreUnknown=1;K8S_POD_NAMESPACE=team-a;K8S_POD_NAME=web-0;"
		"K8S_POD_INFRA_CONTAINER_ID=%s;K8S_POD_UID=5f1c0f52-6b0a-4f8e-9a53-0d3f6f0d7c11", id);
	(void)setenv("CNI_COMMAND", "ADD", 1);
	(void)setenv("CNI_CONTAINERID", id, 1);
	(void)setenv("CNI_NETNS", path, 1);
	(void)setenv("CNI_IFNAME", "eth0", 1);
	(void)setenv("CNI_PATH", "/opt/cni/bin", 1);
	(void)setenv("CNI_ARGS", arguments, 1);
}

static struct process start(const struct launcher *launcher, const struct subject *subject, int namespace, int output)
{
	struct process process;
	posix_spawn_file_actions_t files;

	if (posix_spawn_file_actions_init(&files) != 0 ||
		posix_spawn_file_actions_addopen(&files, STDIN_FILENO, subject->input, O_RDONLY, 0) != 0 ||
		posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO) != 0 ||
		posix_spawn_file_actions_adddup2(&files, launcher->errors, STDERR_FILENO) != 0)
		measure_die("%s: no memory", subject->name);
	set_environment(namespace);
	enter(subject->mode == MODE_CNI ? launcher->home : namespace);
	process.start = measure_now();
	errno = posix_spawnp(&process.pid, subject->command[0], &files, NULL, subject->command, environ);
	if (errno != 0)
		measure_die("%s: cannot run %s", subject->name, subject->command[0]);
	(void)posix_spawn_file_actions_destroy(&files);
	return process;
}

static struct end wait_for(pid_t pid)
{
	struct end end;

	do
		end.pid = wait4(pid, &end.status, 0, &end.usage);
	while (end.pid < 0 && errno == EINTR);
	end.time = measure_now();
	if (end.pid < 0)
		measure_die("cannot wait for a program");
	return end;
}

/* What failing programs had to say is worth more than any figure. */
static void check_status(const struct launcher *launcher, const struct subject *subject, int status)
{
	char text[4096];
	ssize_t n;

	if (status == 0)
		return;
	n = pread(launcher->errors, text, sizeof text - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	errno = 0;
	measure_die("%s: %s ended with wait status 0x%x\n%s", subject->name, subject->command[0], (unsigned)status, text);
}

static double seconds(const struct timeval *time)
{
	return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

static void note(struct subject *subject, double time, const struct rusage *usage)
{
	subject->times[subject->count] = time;
	subject->cpu[subject->count++] = (seconds(&usage->ru_utime) + seconds(&usage->ru_stime)) * 1e6;
	if (usage->ru_maxrss > subject->memory)
		subject->memory = usage->ru_maxrss;
}

/* --- one after the other */

static double read_told(const struct subject *subject, int fd)
{
	char text[64];
	ssize_t n = read(fd, text, sizeof text - 1);
	char *end;
	double told;

	text[n > 0 ? n : 0] = '\0';
	told = strtod(text, &end);
	if (end == text)
		measure_die("%s told no time", subject->name);
	return told;
}

static void run_once(const struct launcher *launcher, struct subject *subject, bool counts)
{
	struct process process;
	struct end end;
	double time;
	int output[2];

	if (pipe2(output, O_CLOEXEC) < 0 || ftruncate(launcher->errors, 0) < 0 || lseek(launcher->errors, 0, SEEK_SET) < 0)
		measure_die("cannot prepare a run");
	process = start(launcher, subject, new_namespace(launcher), output[1]);
	end = wait_for(process.pid);
	check_status(launcher, subject, end.status);
	time = subject->mode == MODE_TOLD ? read_told(subject, output[0]) : end.time - process.start;
	(void)close(output[0]);
	(void)close(output[1]);
	if (counts)
		note(subject, time, &end.usage);
}

static void run_interleaved(struct launcher *launcher, size_t rounds, size_t limit)
{
	double deadline;

	/* The first round brings programs and files into memory. */
	for (size_t i = 0; i < launcher->count; i++)
		run_once(launcher, &launcher->subjects[i], false);
	deadline = measure_now() + (double)limit * 1e6;
	for (size_t round = 0; round < rounds && (round < ROUND_MIN || measure_now() < deadline); round++)
		for (size_t i = 0; i < launcher->count; i++)
			run_once(launcher, &launcher->subjects[(round + i) % launcher->count], true);
}

/* --- all at once */

/* A thread of its own waits for the programs, since the one that starts them is busy with that. */
struct reaper {
	pthread_t thread;
	sem_t started; /* one count a program that can be waited for */
	struct end ends[ROUND_MAX];
	size_t count;
};

static void *reap(void *data)
{
	struct reaper *reaper = data;

	for (size_t i = 0; i < reaper->count; i++) {
		while (sem_wait(&reaper->started) < 0)
			continue;
		reaper->ends[i] = wait_for(-1);
	}
	return NULL;
}

static const struct end *find_end(const struct reaper *reaper, pid_t pid)
{
	size_t i = 0;

	while (i < reaper->count && reaper->ends[i].pid != pid)
		i++;
	if (i == reaper->count)
		measure_die("a program got lost");
	return &reaper->ends[i];
}

static void run_at_once(const struct launcher *launcher, struct subject *subject, size_t count)
{
	static struct process processes[ROUND_MAX];
	static int namespaces[ROUND_MAX];
	static struct reaper reaper;
	int output = open("/dev/null", O_WRONLY | O_CLOEXEC);

	for (size_t i = 0; i < count; i++)
		namespaces[i] = new_namespace(launcher);
	reaper = (struct reaper){.count = count};
	if (output < 0 || sem_init(&reaper.started, 0, 0) < 0)
		measure_die("cannot prepare the runs");
	errno = pthread_create(&reaper.thread, NULL, reap, &reaper);
	if (errno != 0)
		measure_die("cannot start a thread");
	for (size_t i = 0; i < count; i++) {
		processes[i] = start(launcher, subject, namespaces[i], output);
		(void)sem_post(&reaper.started);
	}
	(void)pthread_join(reaper.thread, NULL);
	for (size_t i = 0; i < count; i++) {
		const struct end *end = find_end(&reaper, processes[i].pid);

		check_status(launcher, subject, end->status);
		note(subject, end->time - processes[i].start, &end->usage);
	}
	(void)printf("%s.all %.1f\n", subject->name, reaper.ends[count - 1].time - processes[0].start);
	(void)sem_destroy(&reaper.started);
	(void)close(output);
}

/* --- arguments */

static _Noreturn void usage(void)
{
	errno = 0;
	measure_die("usage: launch [-a] ROUNDS SECONDS -- NAME cni|in|told STDIN COMMAND... [-- ...]");
}

static enum mode read_mode(const char *text)
{
	for (enum mode mode = MODE_CNI; mode <= MODE_TOLD; mode++)
		if (strcmp(text, modes[mode]) == 0)
			return mode;
	usage();
}

/* Takes one case and ends its command with NULL, in the place of "--". Returns where the next case begins. */
static char **read_subject(struct launcher *launcher, char **next)
{
	struct subject *subject = &launcher->subjects[launcher->count];
	char **end = next;

	while (*end != NULL && strcmp(*end, "--") != 0)
		end++;
	if (end - next < 4 || launcher->count == CASE_MAX)
		usage();
	launcher->count++;
	subject->name = next[0];
	subject->mode = read_mode(next[1]);
	subject->input = next[2];
	subject->command = next + 3;
	if (*end == NULL)
		return end;
	*end = NULL;
	return end + 1;
}

static void print(struct subject *subject)
{
	double sum = 0;

	for (size_t i = 0; i < subject->count; i++)
		sum += subject->cpu[i];
	measure_print(subject->name, subject->times, subject->count);
	(void)printf("%s.cpu %.1f\n%s.memory %ld\n%s.runs %zu\n", subject->name, sum / (double)subject->count,
		subject->name, subject->memory, subject->name, subject->count);
}

int main(int argc, char *argv[])
{
	static struct launcher launcher;
	bool at_once = argc > 1 && strcmp(argv[1], "-a") == 0;
	char **next = argv + 1 + at_once;
	size_t rounds;
	size_t limit;

	if (argc < 8 + at_once || strcmp(next[2], "--") != 0)
		usage();
	rounds = measure_read_number(next[0], ROUND_MAX);
	limit = measure_read_number(next[1], SECONDS_MAX);
	for (next += 3; *next != NULL;)
		next = read_subject(&launcher, next);
	launcher.home = open_namespace();
	launcher.errors = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (launcher.errors < 0)
		measure_die("cannot make a temporary file");
	if (!at_once)
		run_interleaved(&launcher, rounds, limit);
	for (size_t i = 0; i < launcher.count; i++) {
		if (at_once)
			run_at_once(&launcher, &launcher.subjects[i], rounds);
		print(&launcher.subjects[i]);
	}
	return 0;
}
