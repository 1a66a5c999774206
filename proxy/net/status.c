/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client sends one request, gets one answer, and is then read until it closes, or too long: closing first, with bytes
 * of its unread, would be a reset that takes the answer with it.
 */
#include "proxy/net/status.h"

#include "proxy/log/warn.h"
#include "proxy/net/admin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Milliseconds that a client has, from its connecting to its end. */
#define CLIENT_TIMEOUT 5000

/* Milliseconds between looks at the clock while there are clients, and without new ones while descriptors are out. */
#define TICK 1000

#define ADMIN_BACKLOG 16
#define ADMIN_MODE 0660

/* Bytes of "level=..." with its NUL. */
#define LEVEL_SIZE 32

/* --- what is asked, and answered */

static void write_head(FILE *out, const char *status, const char *type, size_t length)
{
	(void)fprintf(out, "HTTP/1.1 %s\r\ncontent-type: %s\r\ncontent-length: %zu\r\nconnection: close\r\n\r\n", status, type,
		length);
}

static void write_answer(FILE *out, const char *status, const char *text)
{
	write_head(out, status, "text/plain", strlen(text));
	(void)fputs(text, out);
}

static void answer_ready(struct status *status, const char *query, FILE *out)
{
	(void)query;
	if (status->draining)
		write_answer(out, "503 Service Unavailable", "draining\n");
	else
		write_answer(out, "200 OK", "");
}

/* An answer whose body a function writes, of a length that is known when it has. */
static void write_body(struct status *status, FILE *out, const char *type, void (*write)(struct status *status, FILE *body))
{
	char *text = NULL;
	size_t length = 0;
	FILE *body = open_memstream(&text, &length);

	if (body != NULL)
		write(status, body);
	if (body == NULL || fclose(body) != 0) {
		write_answer(out, "503 Service Unavailable", "no memory\n");
	} else {
		write_head(out, "200 OK", type, length);
		(void)fwrite(text, 1, length, out);
	}
	free(text);
}

static void write_metrics(struct status *status, FILE *body)
{
	metrics_write(status->metrics, sink_dropped(status->sink), body);
}

static void write_configuration(struct status *status, FILE *body)
{
	admin_write_configuration(status->source, body);
}

static void write_clusters(struct status *status, FILE *body)
{
	admin_write_clusters(status->source, status->resolver, body);
}

static void answer_metrics(struct status *status, const char *query, FILE *out)
{
	(void)query;
	write_body(status, out, "text/plain; version=0.0.4", write_metrics);
}

static void answer_configuration(struct status *status, const char *query, FILE *out)
{
	(void)query;
	write_body(status, out, "application/json", write_configuration);
}

static void answer_clusters(struct status *status, const char *query, FILE *out)
{
	(void)query;
	write_body(status, out, "text/plain", write_clusters);
}

static void answer_logging(struct status *status, const char *query, FILE *out)
{
	static const char key[] = "level=";
	char name[LEVEL_SIZE];
	enum warn_level level;

	(void)status;
	(void)snprintf(name, sizeof name, "%.*s", (int)strcspn(query, " &"), query);
	if (strncmp(name, key, sizeof key - 1) != 0 || !warn_read_level(name + sizeof key - 1, &level)) {
		write_answer(out, "400 Bad Request", "valid: level=off, level=warning, level=info\n");
		return;
	}
	warn_set_level(level);
	write_answer(out, "200 OK", "OK\n");
}

static void answer_quit(struct status *status, const char *query, FILE *out)
{
	(void)query;
	status->drain_asked = true;
	write_answer(out, "200 OK", "OK\n");
}

static const struct route {
	const char *method;
	const char *path;
	enum status_door door; /* beside the admin socket, which has all */
	void (*answer)(struct status *status, const char *query, FILE *out);
} routes[] = {
	{"GET", "/healthz/ready", STATUS_READY, answer_ready},
	{"GET", "/stats/prometheus", STATUS_METRICS, answer_metrics},
	{"POST", "/quitquitquit", STATUS_ADMIN, answer_quit},
	{"POST", "/drain", STATUS_ADMIN, answer_quit},
	{"GET", "/config_dump", STATUS_ADMIN, answer_configuration},
	{"GET", "/clusters", STATUS_ADMIN, answer_clusters},
	{"POST", "/logging", STATUS_ADMIN, answer_logging},
};

/* Whether the request line's word, up to `end`, is this one. */
static bool is_word(const char *word, size_t length, const char *expected)
{
	return length == strlen(expected) && memcmp(word, expected, length) == 0;
}

static void answer_request(struct status *status, enum status_door door, const char *request, FILE *out)
{
	size_t method_length = strcspn(request, " \r\n");
	const char *path = request + method_length + (request[method_length] == ' ');
	size_t path_length = strcspn(path, " ?\r\n");

	if (strncmp(path + strcspn(path, " \r\n"), " HTTP/1.", 8) != 0) {
		write_answer(out, "400 Bad Request", "not a request of HTTP/1.1\n");
		return;
	}
	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
		const struct route *route = &routes[i];

		if ((door != route->door && door != STATUS_ADMIN) || !is_word(path, path_length, route->path))
			continue;
		if (is_word(request, method_length, route->method))
			route->answer(status, path + path_length + (path[path_length] == '?'), out);
		else
			write_answer(out, "405 Method Not Allowed", "");
		return;
	}
	write_answer(out, "404 Not Found", "");
}

/* --- clients */

/* Any descriptor will do: it only keeps a number taken. */
static void take_spare(struct status *status)
{
	if (status->spare < 0)
		status->spare = fcntl(status->listeners[STATUS_READY][0], F_DUPFD_CLOEXEC, 0);
}

static void close_client(struct status *status, struct status_client *client)
{
	(void)close(client->fd);
	client->fd = -1;
	free(client->answer);
	client->answer = NULL;
	take_spare(status);
}

static void make_answer(struct status *status, struct status_client *client)
{
	FILE *out = open_memstream(&client->answer, &client->answer_size);

	client->request[client->used] = '\0';
	if (out != NULL)
		answer_request(status, client->door, client->request, out);
	if (out == NULL || fclose(out) != 0)
		close_client(status, client);
}

static void send_answer(struct status *status, struct status_client *client)
{
	ssize_t n = send(client->fd, client->answer + client->sent, client->answer_size - client->sent, MSG_NOSIGNAL);

	if (n >= 0)
		client->sent += (size_t)n;
	else if (errno != EAGAIN && errno != EINTR)
		close_client(status, client);
	if (client->fd >= 0 && client->sent == client->answer_size)
		(void)shutdown(client->fd, SHUT_WR);
}

static bool is_answered(const struct status_client *client)
{
	return client->answer != NULL && client->sent == client->answer_size;
}

/* One more piece of the request, or, behind the answer, of whatever it still sends. */
static void read_client(struct status *status, struct status_client *client)
{
	size_t used = is_answered(client) ? 0 : client->used;
	ssize_t n = recv(client->fd, client->request + used, sizeof client->request - 1 - used, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close_client(status, client);
		return;
	}
	if (is_answered(client))
		return;
	client->used += (size_t)n;
	if (memmem(client->request, client->used, "\r\n\r\n", 4) != NULL || client->used == sizeof client->request - 1)
		make_answer(status, client);
}

static void serve_client(struct status *status, struct status_client *client, short events)
{
	if (client->answer == NULL || is_answered(client))
		read_client(status, client);
	if (client->fd >= 0 && client->answer != NULL && !is_answered(client))
		send_answer(status, client);
	else if (client->fd >= 0 && (events & POLLERR) != 0)
		close_client(status, client);
}

/* --- doors */

static int accept_one(struct status *status, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0 || (errno != EMFILE && errno != ENFILE) || status->spare < 0)
		return fd;
	(void)close(status->spare);
	status->spare = -1;
	return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static struct status_client *find_place(struct status *status)
{
	for (size_t i = 0; i < STATUS_CLIENT_MAX; i++)
		if (status->clients[i].fd < 0)
			return &status->clients[i];
	return NULL;
}

static void accept_client(struct status *status, enum status_door door, int listener, int64_t now)
{
	struct status_client *client = find_place(status);
	int fd = client != NULL ? accept_one(status, listener) : -1;

	if (fd < 0) {
		status->paused = client == NULL || (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR);
		return;
	}
	client->fd = fd;
	client->door = door;
	client->since = now;
	client->used = client->sent = 0;
}

static int open_admin(const char *path, int *ret_fd, struct error *e)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat there;
	int fd;
	int code;

	if (strlen(path) >= sizeof address.sun_path)
		return error_set(e, EINVAL, "--admin-socket is longer than the %zu bytes that a socket's path may have",
			sizeof address.sun_path - 1);
	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	/* Only what is a socket: a mistaken path must not cost anybody a file. */
	if (lstat(path, &there) == 0 && S_ISSOCK(there.st_mode))
		(void)unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && chmod(path, ADMIN_MODE) == 0 &&
		listen(fd, ADMIN_BACKLOG) == 0) {
		*ret_fd = fd;
		return 0;
	}
	code = errno;
	if (fd >= 0)
		(void)close(fd);
	return error_set_errno(e, code, "cannot listen on --admin-socket %s", path);
}

void status_init(struct status *status, struct metrics *metrics, struct sink *sink)
{
	*status = (struct status){.spare = -1, .metrics = metrics, .sink = sink};
	for (size_t door = 0; door < STATUS_DOOR_COUNT; door++)
		for (size_t i = 0; i < LISTENER_COUNT; i++)
			status->listeners[door][i] = -1;
	for (size_t i = 0; i < STATUS_CLIENT_MAX; i++)
		status->clients[i].fd = -1;
}

int status_open(struct status *status, uint16_t ready_port, uint16_t metrics_port, const char *admin_path,
	struct error *e)
{
	int rc = listener_open(ready_port, status->listeners[STATUS_READY], e);

	if (rc == 0)
		rc = listener_open(metrics_port, status->listeners[STATUS_METRICS], e);
	if (rc == 0 && *admin_path != '\0')
		rc = open_admin(admin_path, &status->listeners[STATUS_ADMIN][0], e);
	take_spare(status);
	return rc;
}

/* --- all of it */

size_t status_watch(const struct status *status, struct pollfd *out)
{
	size_t count = 0;

	for (size_t door = 0; door < STATUS_DOOR_COUNT; door++)
		for (size_t i = 0; i < LISTENER_COUNT; i++)
			if (status->listeners[door][i] >= 0 && !status->paused)
				out[count++] = (struct pollfd){.fd = status->listeners[door][i], .events = POLLIN};
	for (size_t i = 0; i < STATUS_CLIENT_MAX; i++) {
		const struct status_client *client = &status->clients[i];
		bool owes = client->answer != NULL && !is_answered(client);

		if (client->fd >= 0)
			out[count++] = (struct pollfd){.fd = client->fd, .events = owes ? POLLOUT : POLLIN};
	}
	return count;
}

int status_timeout(const struct status *status)
{
	for (size_t i = 0; i < STATUS_CLIENT_MAX; i++)
		if (status->clients[i].fd >= 0)
			return TICK;
	return status->paused ? TICK : -1;
}

static short events_of(const struct pollfd *polled, size_t count, int fd)
{
	for (size_t i = 0; i < count; i++)
		if (polled[i].fd == fd)
			return polled[i].revents;
	return 0;
}

void status_serve(struct status *status, const struct pollfd *polled, size_t count, int64_t now)
{
	status->paused = false;
	for (size_t i = 0; i < STATUS_CLIENT_MAX; i++) {
		struct status_client *client = &status->clients[i];
		short events = client->fd >= 0 ? events_of(polled, count, client->fd) : 0;

		if (events != 0)
			serve_client(status, client, events);
		if (client->fd >= 0 && now - client->since >= CLIENT_TIMEOUT)
			close_client(status, client);
	}
	for (enum status_door door = 0; door < STATUS_DOOR_COUNT; door++)
		for (size_t i = 0; i < LISTENER_COUNT; i++)
			if (status->listeners[door][i] >= 0 && events_of(polled, count, status->listeners[door][i]) != 0)
				accept_client(status, door, status->listeners[door][i], now);
}

void status_free(struct status *status)
{
	for (size_t i = 0; i < STATUS_CLIENT_MAX; i++)
		if (status->clients[i].fd >= 0)
			close_client(status, &status->clients[i]);
	for (size_t door = 0; door < STATUS_DOOR_COUNT; door++)
		for (size_t i = 0; i < LISTENER_COUNT; i++)
			if (status->listeners[door][i] >= 0)
				(void)close(status->listeners[door][i]);
	if (status->spare >= 0)
		(void)close(status->spare);
}
