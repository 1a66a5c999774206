/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/log.h"

#include "redirect/base/time.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {
	[LOG_LEVEL_DEBUG] = "debug",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_ERROR] = "error",
};
static_assert(sizeof level_names / sizeof *level_names == LOG_LEVEL_COUNT, "every level has a name");

bool log_level_parse(const char *text, enum log_level *ret_level)
{
	for (enum log_level l = 0; l < LOG_LEVEL_COUNT; l++) {
		if (strcmp(text, level_names[l]) == 0) {
			*ret_level = l;
			return true;
		}
	}
	return false;
}

/* Opens the file for appending. Anything that is no regular file could block, and is no log. */
static int open_file(const char *path)
{
	struct stat status;
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);

	if (fd >= 0 && (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

/* Whether the file behind `fd` still stands under its name, and has grown too large. */
static bool is_due(int fd, const char *path, size_t size_max)
{
	struct stat open_status;
	struct stat named_status;

	return fstat(fd, &open_status) == 0 && stat(path, &named_status) == 0 &&
	       open_status.st_ino == named_status.st_ino && open_status.st_dev == named_status.st_dev &&
	       (size_t)open_status.st_size >= size_max;
}

/* Of the plugins that find the file too large, the one that gets its lock renames it; the others go on writing. */
static int rotate(int fd, const char *path, size_t size_max)
{
	char old[PATH_MAX];
	int fresh;

	if (!is_due(fd, path, size_max) || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return fd;
	if (!is_due(fd, path, size_max) || (size_t)snprintf(old, sizeof old, "%s.1", path) >= sizeof old ||
		rename(path, old) < 0)
		return fd;
	fresh = open_file(path);
	if (fresh < 0)
		return fd;
	(void)close(fd);
	return fresh;
}

void log_open(struct log *log, const char *path, enum log_level level, size_t size_max)
{
	*log = (struct log){.fd = -1, .level = level};
	if (path == NULL) {
		log->fd = STDERR_FILENO;
		return;
	}
	if (*path == '\0')
		return;
	log->fd = open_file(path);
	log->owned = log->fd >= 0;
	if (log->owned)
		log->fd = rotate(log->fd, path, size_max);
}

void log_close(struct log *log)
{
	if (log->owned)
		(void)close(log->fd);
	log->fd = -1;
}

/* Copies text with control bytes as \xNN, as far as it fits. Returns the bytes written. */
static size_t escape(char *out, size_t size, const char *text)
{
	size_t used = 0;

	for (; *text != '\0' && used + 5 <= size; text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= 0x20 && c != 0x7f)
			out[used++] = (char)c;
		else
			used += (size_t)snprintf(out + used, size - used, "\\x%02x", c);
	}
	return used;
}

void log_write(const struct log *log, enum log_level level, const char *format, ...)
{
	char message[LOG_LINE_SIZE];
	char line[LOG_LINE_SIZE];
	char text[TIME_TEXT_SIZE];
	struct timespec now;
	va_list arguments;
	size_t used;
	ssize_t n;

	if (log->fd < 0 || level < log->level)
		return;
	va_start(arguments, format);
	(void)vsnprintf(message, sizeof message, format, arguments);
	va_end(arguments);
	(void)clock_gettime(CLOCK_REALTIME, &now);
	used = (size_t)snprintf(line, sizeof line, "%s %s ",
		time_format(text, (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000), level_names[level]);
	used += escape(line + used, sizeof line - used - 2, log->subject);
	line[used++] = ' ';
	used += escape(line + used, sizeof line - used - 1, message);
	line[used++] = '\n';
	do
		n = write(log->fd, line, used);
	while (n < 0 && errno == EINTR);
}
