/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/log/warn.h"

#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Less than PIPE_BUF: a pipe that says it is writable takes it whole. */
#define LINE_SIZE 2048

static _Atomic enum warn_level said = WARN_WARNING;

bool warn_read_level(const char *name, enum warn_level *ret_level)
{
	static const struct {
		const char *name;
		enum warn_level level;
	} levels[] = {{"off", WARN_OFF}, {"critical", WARN_WARNING}, {"error", WARN_WARNING}, {"warning", WARN_WARNING},
		{"warn", WARN_WARNING}, {"info", WARN_INFO}, {"debug", WARN_INFO}, {"trace", WARN_INFO}};

	for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
		if (strcmp(name, levels[i].name) != 0)
			continue;
		*ret_level = levels[i].level;
		return true;
	}
	return false;
}

void warn_set_level(enum warn_level level)
{
	said = level;
}

static void write_line(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));

static void write_line(const char *format, va_list arguments)
{
	static const char name[] = "weir-proxy: ";
	struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
	char line[LINE_SIZE];
	size_t used = sizeof name - 1;
	int n;

	(void)snprintf(line, sizeof line, "%s", name);
	n = vsnprintf(line + used, sizeof line - used - 1, format, arguments);
	if (n < 0)
		return;
	used += (size_t)n < sizeof line - used - 1 ? (size_t)n : sizeof line - used - 2;
	line[used++] = '\n';
	if (poll(&ready, 1, 0) > 0 && (ready.revents & POLLOUT) != 0)
		(void)!write(STDERR_FILENO, line, used);
}

void warn(const char *format, ...)
{
	va_list arguments;

	if (said < WARN_WARNING)
		return;
	va_start(arguments, format);
	write_line(format, arguments);
	va_end(arguments);
}

void inform(const char *format, ...)
{
	va_list arguments;

	if (said < WARN_INFO)
		return;
	va_start(arguments, format);
	write_line(format, arguments);
	va_end(arguments);
}
