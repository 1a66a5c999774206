/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes in and what comes out are files in memory: no pipe can fill up, and the program is waited for only once.
 */
#include "redirect/iptables/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Exit statuses of a child that could not become the program. */
#define EXIT_NO_PROGRAM 127
#define EXIT_NOT_STARTED 126

enum { IN, OUT, ERR, FILE_COUNT };

static int write_all(int fd, const char *text, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, text, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		size -= (size_t)n;
	}
	return lseek(fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

/* All that a file holds, up to a limit. The caller frees it. */
static int read_back(int fd, size_t limit, char **ret_text)
{
	struct stat status;
	size_t size;
	ssize_t n;
	char *text;

	if (fstat(fd, &status) < 0)
		return -errno;
	size = (size_t)status.st_size < limit ? (size_t)status.st_size : limit;
	text = malloc(size + 1);
	if (text == NULL)
		return -ENOMEM;
	n = pread(fd, text, size, 0);
	if (n < 0) {
		free(text);
		return -errno;
	}
	text[n] = '\0';
	*ret_text = text;
	return 0;
}

static void become(const char *const argv[], const int files[FILE_COUNT])
{
	union {
		const char *const *given;
		char *const *wanted; /* execvp() changes nothing */
	} arguments = {argv};

	for (int i = 0; i < FILE_COUNT; i++)
		if (dup2(files[i], i) < 0)
			_exit(EXIT_NOT_STARTED);
	/* The C library's own choice has no sbin. */
	if (getenv("PATH") == NULL)
		(void)setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	(void)execvp(argv[0], arguments.wanted);
	_exit(errno == ENOENT ? EXIT_NO_PROGRAM : EXIT_NOT_STARTED);
}

/* Waits for the child, and ends it when it takes too long. */
static int wait_for(pid_t child, int *ret_status)
{
	int process = (int)syscall(SYS_pidfd_open, child, 0);
	struct pollfd end = {.fd = process, .events = POLLIN};
	bool late = false;
	int rc;

	if (process >= 0) {
		do
			rc = poll(&end, 1, TOOL_SECONDS * 1000);
		while (rc < 0 && errno == EINTR);
		late = rc == 0;
		(void)close(process);
	}
	if (late)
		(void)kill(child, SIGKILL);
	while (waitpid(child, ret_status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return late ? -ETIMEDOUT : 0;
}

/* What a program said, as one line, without the hint that iptables-restore ends with. */
static const char *one_line(char *text)
{
	size_t length = strlen(text);
	char *line;

	while (length > 0 && text[length - 1] == '\n')
		text[--length] = '\0';
	line = strstr(text, "\nTry `");
	if (line != NULL)
		*line = '\0';
	for (char *c = text; *c != '\0'; c++)
		if ((unsigned char)*c < ' ')
			*c = ' ';
	return text;
}

static int judge(const char *name, int status, int errors, struct error *e)
{
	char *text = NULL;
	int rc;

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NO_PROGRAM)
		return error_set(e, ENOENT, "there is no program %s", name);
	rc = read_back(errors, ERROR_TEXT_SIZE / 2, &text);
	if (text == NULL)
		return error_set_errno(e, -rc, "cannot read what %s said", name);
	if (WIFEXITED(status))
		rc = error_set(e, EREMOTEIO, "%s failed with status %d: %s", name, WEXITSTATUS(status), one_line(text));
	else
		rc = error_set(e, EREMOTEIO, "%s was ended by signal %d", name, WTERMSIG(status));
	free(text);
	return rc;
}

static int run_with(const char *const argv[], const int files[FILE_COUNT], char **ret_output, struct error *e)
{
	int status = 0;
	pid_t child = fork();
	int rc;

	if (child < 0)
		return error_set_errno(e, errno, "cannot start %s", argv[0]);
	if (child == 0)
		become(argv, files);
	rc = wait_for(child, &status);
	if (rc == -ETIMEDOUT)
		return error_set(e, ETIMEDOUT, "%s was ended: it took more than %d seconds", argv[0], TOOL_SECONDS);
	if (rc < 0)
		return error_set_errno(e, -rc, "cannot wait for %s", argv[0]);
	rc = judge(argv[0], status, files[ERR], e);
	if (rc == 0 && ret_output != NULL) {
		rc = read_back(files[OUT], TOOL_OUTPUT_MAX, ret_output);
		if (rc < 0)
			(void)error_set_errno(e, -rc, "cannot read what %s printed", argv[0]);
	}
	return rc;
}

int tool_run(const char *const argv[], const char *input, size_t input_size, char **ret_output, struct error *e)
{
	int files[FILE_COUNT] = {-1, -1, -1};
	int rc = 0;

	for (int i = 0; rc == 0 && i < FILE_COUNT; i++) {
		files[i] = memfd_create("weir", MFD_CLOEXEC);
		rc = files[i] < 0 ? error_set_errno(e, errno, "cannot make a file in memory") : 0;
	}
	if (rc == 0 && input != NULL) {
		rc = write_all(files[IN], input, input_size);
		if (rc < 0)
			(void)error_set_errno(e, -rc, "no room for what %s is to read", argv[0]);
	}
	if (rc == 0)
		rc = run_with(argv, files, ret_output, e);
	for (int i = 0; i < FILE_COUNT; i++)
		if (files[i] >= 0)
			(void)close(files[i]);
	return rc;
}
