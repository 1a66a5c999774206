/* SPDX-License-Identifier: Apache-2.0 */
/*
 * play POD OUTSIDE SEED FIRST COUNT - plays random scripts by number, each on two connections from the network namespace POD to the
 * namespace OUTSIDE at the same time: to port 9000, which is redirected to the proxy, and to port 9001, which is not.
 *
 * Prints what is wrong ("wrong ..."), what the proxy's line about each connection must say ("line ..."), and how many
 * scripts had which ending ("ending ..."). What is wrong: where TCP determines what the ends see, a difference between
 * the two connections; and on either of them what TCP never does (see the rules in check_end). The script's number is
 * also its destination, by which accepted connections find their script.
 */
#include "redirect/base/address.h"
#include "tests/netns/play/actor.h"
#include "tests/netns/play/script.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PORT_PROXIED 9000
#define PORT_DIRECT 9001
/* Runs that are played at the same time. */
#define RUNS_AT_ONCE 64
/* A number is the lower half of an IPv4 address. */
#define NUMBER_MAX 65536u
/*
 * Source ports of redirected connections, one for each number, below those that the kernel chooses: all of them go to
 * the proxy's port, and of two with the same source port within minutes, connection tracking would change one's.
 */
#define SOURCE_PORT_MIN 17000
#define SOURCE_PORT_COUNT 15768u
/* Milliseconds without any progress, after which the runs are stuck. */
#define PATIENCE 30000
#define EVENT_BATCH 256
#define BACKLOG 4096

enum way { WAY_DIRECT, WAY_PROXIED, WAY_COUNT };

/* Of a run: both sides, both ways. */
#define END_COUNT ((int)WAY_COUNT * (int)SCRIPT_SIDE_COUNT)

static const char *const way_names[] = {"direct", "proxied"};
static const char *const side_names[] = {"client", "server"};

struct run {
	bool active;
	struct script script;
	struct actor actors[WAY_COUNT][SCRIPT_SIDE_COUNT];
	struct endpoint source; /* of the proxied connection */
	struct endpoint destination;
};

static struct run runs[RUNS_AT_ONCE];
static struct actor listeners[4]; /* only their descriptors */
static unsigned endings[SCRIPT_ENDING_COUNT];
static uint64_t seed;
static int epoll;

static _Noreturn void die(const char *what)
{
	(void)fprintf(stderr, "play: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void enter(const char *namespace)
{
	char path[256];
	int fd;

	(void)snprintf(path, sizeof path, "/run/netns/%s", namespace);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		die(path);
	(void)close(fd);
}

static void watch(struct actor *actor, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = actor};

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, actor->fd, &event) < 0)
		die("epoll_ctl");
}

static int64_t now_milliseconds(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- sockets */

static int make_socket(bool ipv6, uint16_t port, bool any_address)
{
	struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int fd = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0 ||
		(ipv6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &any_address, sizeof on) < 0))
		die("socket");
	if ((ipv6 ? bind(fd, (struct sockaddr *)&in6, sizeof in6) : bind(fd, (struct sockaddr *)&in4, sizeof in4)) < 0)
		die("bind");
	return fd;
}

static void open_listeners(void)
{
	for (size_t i = 0; i < 4; i++) {
		listeners[i].fd = make_socket(i % 2 == 0, i < 2 ? PORT_PROXIED : PORT_DIRECT, true);
		if (listen(listeners[i].fd, BACKLOG) < 0)
			die("listen");
		watch(&listeners[i], EPOLLIN);
	}
}

static void limit_window(const struct actor *actor)
{
	int size = (int)actor->part->window;

	if (size > 0)
		(void)setsockopt(actor->fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, &size, sizeof size);
}

/* 10.1.0.0/16 and 2001:db8:1::/48, by number. */
static struct endpoint destination_of(const struct script *script, enum way way)
{
	struct endpoint endpoint = {.port = way == WAY_PROXIED ? PORT_PROXIED : PORT_DIRECT};
	char text[64];

	if (script->ipv6)
		(void)snprintf(text, sizeof text, "2001:db8:1::%x", script->number);
	else
		(void)snprintf(text, sizeof text, "10.1.%u.%u", script->number >> 8, script->number & 255);
	if (address_parse(text, strlen(text), &endpoint.address) < 0)
		die(text);
	return endpoint;
}

static void dial(struct run *run, enum way way)
{
	uint16_t port = way == WAY_PROXIED ? (uint16_t)(SOURCE_PORT_MIN + run->script.number % SOURCE_PORT_COUNT) : 0;
	struct actor *client = &run->actors[way][SCRIPT_CLIENT];
	struct sockaddr_storage storage;
	socklen_t length = sizeof storage;
	struct endpoint destination = destination_of(&run->script, way);

	client->fd = make_socket(run->script.ipv6, port, false);
	limit_window(client);
	length = endpoint_to_sockaddr(&destination, &storage);
	if (connect(client->fd, (struct sockaddr *)&storage, length) < 0 && errno != EINPROGRESS)
		die("connect");
	length = sizeof storage;
	if (way == WAY_PROXIED && (getsockname(client->fd, (struct sockaddr *)&storage, &length) < 0 ||
					  endpoint_from_sockaddr(&storage, &run->source) < 0))
		die("getsockname");
	run->destination = destination;
	watch(client, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

/* Gives an accepted connection to the run that dialled its address. */
static void accept_one(const struct actor *listener)
{
	enum way way = listener < listeners + 2 ? WAY_PROXIED : WAY_DIRECT;
	struct sockaddr_storage storage;
	socklen_t length = sizeof storage;
	struct endpoint local;
	int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0 || getsockname(fd, (struct sockaddr *)&storage, &length) < 0 ||
		endpoint_from_sockaddr(&storage, &local) < 0)
		die("accept");
	for (size_t i = 0; i < RUNS_AT_ONCE; i++) {
		struct actor *server = &runs[i].actors[way][SCRIPT_SERVER];
		struct endpoint dialled;

		if (!runs[i].active || server->fd >= 0 || server->closed)
			continue;
		dialled = destination_of(&runs[i].script, way);
		if (!endpoint_equal(&dialled, &local))
			continue;
		server->fd = fd;
		limit_window(server);
		watch(server, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
		return;
	}
	errno = 0;
	die("a connection that nobody dialled, or a second one");
}

/* --- what must hold */

static void wrong(const struct run *run, enum way way, enum script_side side, const char *what)
{
	const struct actor *actor = &run->actors[way][side];
	const struct actor *peer = &run->actors[way][!side];

	(void)printf("wrong run %u of seed %llu (%s by the %s, IPv%d), %s, at the %s: %s; step %zu of %zu, read %u of %u%s%s, "
		     "wrote %u, error %d (%s)\n",
		run->script.number, (unsigned long long)seed, script_ending_name(run->script.ending),
		side_names[run->script.actor], run->script.ipv6 ? 6 : 4, way_names[way], side_names[side], what, actor->step,
		actor->part->count, actor->received, peer->sent, actor->intact ? "" : " with other bytes",
		actor->ended ? " and the end" : "", actor->sent, actor->error, actor->error != 0 ? strerror(actor->error) : "none");
}

/* What holds whatever happens on the way. */
static void check_end(const struct run *run, enum way way, enum script_side side)
{
	const struct actor *actor = &run->actors[way][side];
	const struct actor *peer = &run->actors[way][!side];
	bool left_early = actor->dropped || (run->script.ending == SCRIPT_SUDDEN_BOTH && actor->error == 0);

	if (!actor->intact || actor->received > peer->sent)
		wrong(run, way, side, "bytes that nobody sent");
	if (actor->ended && !peer->shut)
		wrong(run, way, side, "an orderly end that nobody made");
	if (actor->ended && actor->received != peer->sent)
		wrong(run, way, side, "an orderly end before the last byte");
	if (actor->error != 0 && run->script.ending == SCRIPT_CLEAN)
		wrong(run, way, side, "an error that nobody caused");
	if (actor->error != 0 && actor->error != ECONNRESET && (actor->error != EPIPE || !peer->shut))
		wrong(run, way, side, "another error");
	if (peer->dropped && !peer->shut && !left_early && actor->error == 0)
		wrong(run, way, side, "a reset that was not passed on");
}

/* What TCP determines is the same with and without the proxy. */
static void check_same(const struct run *run, enum script_side side)
{
	const struct actor *direct = &run->actors[WAY_DIRECT][side];
	const struct actor *proxied = &run->actors[WAY_PROXIED][side];

	if (direct->received != proxied->received || direct->ended != proxied->ended || direct->error != proxied->error ||
		direct->sent != proxied->sent) {
		wrong(run, WAY_DIRECT, side, "this");
		wrong(run, WAY_PROXIED, side, "is not this");
	}
}

/* Flags that the line may have, separated by "|". */
static const char *flags_of(const struct script *script)
{
	if (script->ending == SCRIPT_SUDDEN_BOTH)
		return "-|UR|UF,URX";
	if (script->ending == SCRIPT_CLEAN || script->actor == SCRIPT_CLIENT)
		return "-";
	if (!script_is_sudden(script))
		return "UR";
	if (script->ending == SCRIPT_SUDDEN_CLOSE)
		return "-|UR";
	/* Reset before the proxy has heard that it is connected. */
	return script->ending == SCRIPT_SUDDEN_RESET ? "UR|UF,URX" : "-|UR|UF,URX";
}

/* What the log must say: both ends, bytes from and to the client (from, to), flags, names. */
static void print_line(const struct run *run)
{
	const struct actor *client = &run->actors[WAY_PROXIED][SCRIPT_CLIENT];
	const struct actor *server = &run->actors[WAY_PROXIED][SCRIPT_SERVER];
	const struct script *script = &run->script;
	bool sudden = script_is_sudden(script);
	char source[ADDRESS_TEXT_SIZE];
	char destination[ADDRESS_TEXT_SIZE];

	(void)printf("line %s %s %u %u %u %u %s %s%s %s%s\n", endpoint_format(source, &run->source),
		endpoint_format(destination, &run->destination), sudden ? server->received : client->sent, client->sent,
		sudden ? client->received : server->sent, server->sent, flags_of(script), sudden ? "-|" : "",
		script->host[0] != '\0' ? script->host : "-", sudden ? "-|" : "",
		script->server_name[0] != '\0' ? script->server_name : "-");
}

static void finish(struct run *run)
{
	for (int side = 0; side < SCRIPT_SIDE_COUNT; side++) {
		for (int way = 0; way < WAY_COUNT; way++)
			check_end(run, (enum way)way, (enum script_side)side);
		if (!script_is_sudden(&run->script))
			check_same(run, (enum script_side)side);
	}
	print_line(run);
	endings[run->script.ending]++;
	run->active = false;
}

/* --- the loop */

static void start(struct run *run, uint32_t number)
{
	script_draw(&run->script, seed, number);
	run->active = true;
	for (int way = 0; way < WAY_COUNT; way++) {
		struct actor *actors = run->actors[way];

		actor_init(&actors[SCRIPT_CLIENT], &run->script, SCRIPT_CLIENT, &actors[SCRIPT_SERVER]);
		actor_init(&actors[SCRIPT_SERVER], &run->script, SCRIPT_SERVER, &actors[SCRIPT_CLIENT]);
		dial(run, (enum way)way);
	}
}

/* Lets all four ends play. Returns whether any moved. */
static bool play_run(struct run *run, int64_t now)
{
	bool moved = false;
	bool closed = true;

	for (int i = 0; i < END_COUNT; i++) {
		struct actor *actor = &run->actors[i / SCRIPT_SIDE_COUNT][i % SCRIPT_SIDE_COUNT];

		while (actor_play(actor, now))
			moved = true;
		closed = closed && actor->closed;
	}
	if (closed)
		finish(run);
	return moved;
}

static void report_stuck(void)
{
	for (size_t i = 0; i < RUNS_AT_ONCE; i++)
		for (int j = 0; runs[i].active && j < END_COUNT; j++)
			if (!runs[i].actors[j / SCRIPT_SIDE_COUNT][j % SCRIPT_SIDE_COUNT].closed)
				wrong(&runs[i], (enum way)(j / SCRIPT_SIDE_COUNT), (enum script_side)(j % SCRIPT_SIDE_COUNT), "stuck");
}

static void take_events(int timeout)
{
	struct epoll_event events[EVENT_BATCH];
	int n = epoll_wait(epoll, events, EVENT_BATCH, timeout);

	for (int i = 0; i < n; i++) {
		struct actor *actor = events[i].data.ptr;

		if (actor >= listeners && actor < listeners + 4)
			accept_one(actor);
		else
			actor_event(actor, events[i].events);
	}
}

static void play(uint32_t next, uint32_t end)
{
	int64_t moved_at = now_milliseconds();
	bool busy = true;
	bool moved = true;

	while (busy || next < end) {
		int64_t now;

		take_events(moved ? 0 : 1);
		now = now_milliseconds();
		moved = false;
		busy = false;
		for (size_t i = 0; i < RUNS_AT_ONCE; i++) {
			if (!runs[i].active && next < end)
				start(&runs[i], next++);
			moved = (runs[i].active && play_run(&runs[i], now)) || moved;
			busy = busy || runs[i].active;
		}
		if (moved)
			moved_at = now;
		if (now - moved_at > PATIENCE) {
			report_stuck();
			return;
		}
	}
}

int main(int argc, char *argv[])
{
	uint32_t first;
	uint32_t count;

	if (argc != 6) {
		(void)fputs("usage: play POD OUTSIDE SEED FIRST COUNT\n", stderr);
		return 2;
	}
	seed = strtoull(argv[3], NULL, 10);
	first = (uint32_t)strtoul(argv[4], NULL, 10);
	count = (uint32_t)strtoul(argv[5], NULL, 10);
	if (first > NUMBER_MAX || count > NUMBER_MAX - first) {
		(void)fprintf(stderr, "play: numbers end at %u\n", NUMBER_MAX);
		return 2;
	}
	srandom((unsigned)seed);
	actor_prepare_streams();
	epoll = epoll_create1(EPOLL_CLOEXEC);
	enter(argv[2]);
	open_listeners();
	enter(argv[1]);
	play(first, first + count);
	for (int i = 0; i < SCRIPT_ENDING_COUNT; i++)
		(void)printf("ending %s %u\n", script_ending_name((enum script_ending)i), endings[i]);
	return 0;
}
