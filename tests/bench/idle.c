/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idle COUNT DESTINATION PORT PATH HOST - opens that many connections, sends one HTTP request for PATH of HOST on each
 * and reads its answer, so that all of them are in use as far as the way there is concerned. Then it prints "ready" and
 * holds them until it is killed.
 */
#include "tests/bench/measure.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define COUNT_MAX 9000
#define ANSWER_SIZE 65536
#define REQUEST_SIZE 512
#define TIMEOUT_SECONDS 10

/* Bytes of the whole answer, or 0 while its head or its length is not there. */
static size_t answer_size(const char *answer)
{
	const char *body = strstr(answer, "\r\n\r\n");
	const char *length = strcasestr(answer, "\r\nContent-Length:");

	if (body == NULL || length == NULL || length > body)
		return 0;
	return (size_t)(body + 4 - answer) + strtoul(length + strlen("\r\nContent-Length:"), NULL, 10);
}

static void read_answer(int fd)
{
	static char answer[ANSWER_SIZE];
	size_t have = 0;
	size_t whole = 0;

	while (whole == 0 || have < whole) {
		ssize_t n = recv(fd, answer + have, sizeof answer - 1 - have, 0);

		if (n <= 0)
			measure_die("no whole answer");
		have += (size_t)n;
		answer[have] = '\0';
		if (whole == 0)
			whole = answer_size(answer);
	}
}

static void open_one(const struct sockaddr_in *to, const char *request)
{
	struct timeval limit = {.tv_sec = TIMEOUT_SECONDS};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0)
		measure_die("cannot make a socket");
	if (connect(fd, (const struct sockaddr *)to, sizeof *to) < 0)
		measure_die("cannot connect");
	if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
		measure_die("cannot send");
	read_answer(fd);
}

int main(int argc, char *argv[])
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	char request[REQUEST_SIZE];
	size_t count;

	if (argc != 6)
		measure_die("usage: idle COUNT DESTINATION PORT PATH HOST");
	count = measure_read_number(argv[1], COUNT_MAX);
	to.sin_port = htons((uint16_t)measure_read_number(argv[3], UINT16_MAX));
	if (inet_pton(AF_INET, argv[2], &to.sin_addr) != 1)
		measure_die("%s is no IPv4 address", argv[2]);
	(void)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", argv[4], argv[5]);
	for (size_t i = 0; i < count; i++)
		open_one(&to, request);
	(void)puts("ready");
	(void)fflush(stdout);
	for (;;)
		(void)pause();
}
