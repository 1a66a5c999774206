/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/ready.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Milliseconds that a client has for its request. */
#define CLIENT_TIMEOUT 5000

void ready_init(struct ready *ready)
{
	for (size_t i = 0; i < READY_CLIENT_MAX; i++)
		ready->clients[i].fd = -1;
}

int ready_accept(struct ready *ready, int fd, int64_t now)
{
	for (int i = 0; i < READY_CLIENT_MAX; i++) {
		if (ready->clients[i].fd >= 0)
			continue;
		ready->clients[i].fd = fd;
		ready->clients[i].since = now;
		ready->clients[i].used = 0;
		return i;
	}
	(void)close(fd);
	return -1;
}

static void close_client(struct ready_client *client)
{
	(void)close(client->fd);
	client->fd = -1;
}

static void answer(const struct ready_client *client)
{
	static const char good[] = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
	static const char bad[] = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
	static const char asked[] = "GET /healthz/ready HTTP/1.";
	bool found = client->used >= sizeof asked && memcmp(client->request, asked, sizeof asked - 1) == 0;

	/* Short enough for any socket's buffer; a client that is gone already need not hear it. */
	if (found)
		(void)send(client->fd, good, sizeof good - 1, MSG_NOSIGNAL);
	else
		(void)send(client->fd, bad, sizeof bad - 1, MSG_NOSIGNAL);
	(void)shutdown(client->fd, SHUT_WR);
}

void ready_event(struct ready *ready, size_t index)
{
	struct ready_client *client = &ready->clients[index];
	ssize_t n;

	if (client->fd < 0)
		return;
	n = recv(client->fd, client->request + client->used, sizeof client->request - client->used, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		client->used += (size_t)n;
	if (n > 0 && client->used < sizeof client->request && memmem(client->request, client->used, "\r\n\r\n", 4) == NULL)
		return;
	if (client->used > 0)
		answer(client);
	close_client(client);
}

void ready_check_time(struct ready *ready, int64_t now)
{
	for (size_t i = 0; i < READY_CLIENT_MAX; i++)
		if (ready->clients[i].fd >= 0 && now - CLIENT_TIMEOUT >= ready->clients[i].since)
			close_client(&ready->clients[i]);
}
