/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/log/warn.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

/* Less than PIPE_BUF: a pipe that says it is writable takes it whole. */
#define LINE_SIZE 2048

void warn(const char *format, ...)
{
	static const char name[] = "weir-proxy: ";
	struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
	char line[LINE_SIZE];
	size_t used = sizeof name - 1;
	va_list arguments;
	int n;

	(void)snprintf(line, sizeof line, "%s", name);
	va_start(arguments, format);
	n = vsnprintf(line + used, sizeof line - used - 1, format, arguments);
	va_end(arguments);
	if (n < 0)
		return;
	used += (size_t)n < sizeof line - used - 1 ? (size_t)n : sizeof line - used - 2;
	line[used++] = '\n';
	if (poll(&ready, 1, 0) > 0 && (ready.revents & POLLOUT) != 0)
		(void)!write(STDERR_FILENO, line, used);
}
