/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connect - how long connect(2) takes where the destination is redirected to a listener of the same namespace.
 *
 *     connect ROUNDS DESTINATION PORT LISTENER-PORT NAME NAMESPACE [NAME NAMESPACE]...
 *
 * Each round connects once in every namespace (a path) to DESTINATION:PORT, and takes the connection off the listener
 * on 0.0.0.0:LISTENER-PORT: it must have come there. Prints NAME.median and NAME.p99, in microseconds.
 */
#include "tests/bench/measure.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#define PLACE_MAX 8
#define ROUND_MAX 10000
#define WARM_UP 50

struct place {
	const char *name;
	int namespace;
	int listener;
	double times[ROUND_MAX];
};

static void enter(const struct place *place)
{
	if (setns(place->namespace, CLONE_NEWNET) < 0)
		measure_die("%s: cannot enter the network namespace", place->name);
}

static struct sockaddr_in endpoint(const char *address, const char *port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)measure_read_number(port, UINT16_MAX))};

	if (inet_pton(AF_INET, address, &to.sin_addr) != 1) {
		errno = 0;
		measure_die("%s is no IPv4 address", address);
	}
	return to;
}

static void listen_in(struct place *place, const struct sockaddr_in *at)
{
	enter(place);
	place->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (place->listener < 0 || bind(place->listener, (const struct sockaddr *)at, sizeof *at) < 0 ||
		listen(place->listener, 16) < 0)
		measure_die("%s: cannot listen", place->name);
}

static double connect_once(const struct place *place, const struct sockaddr_in *to)
{
	/* A reset at the end leaves no waiting socket behind, so ports do not run out. */
	struct linger at_once = {.l_onoff = 1, .l_linger = 0};
	double start;
	double end;
	int accepted;
	int fd;

	enter(place);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) < 0)
		measure_die("%s: cannot make a socket", place->name);
	start = measure_now();
	if (connect(fd, (const struct sockaddr *)to, sizeof *to) < 0)
		measure_die("%s: cannot connect", place->name);
	end = measure_now();
	accepted = accept4(place->listener, NULL, NULL, SOCK_CLOEXEC);
	if (accepted < 0)
		measure_die("%s: the connection was not redirected", place->name);
	(void)close(fd);
	(void)close(accepted);
	return end - start;
}

int main(int argc, char *argv[])
{
	static struct place places[PLACE_MAX];
	struct sockaddr_in any;
	struct sockaddr_in to;
	size_t rounds;
	size_t count = 0;

	if (argc < 7 || argc % 2 == 0 || argc > 5 + 2 * PLACE_MAX)
		measure_die("usage: connect ROUNDS DESTINATION PORT LISTENER-PORT NAME NAMESPACE [NAME NAMESPACE]...");
	rounds = measure_read_number(argv[1], ROUND_MAX);
	to = endpoint(argv[2], argv[3]);
	any = endpoint("0.0.0.0", argv[4]);
	for (int i = 5; i < argc; i += 2, count++) {
		places[count].name = argv[i];
		places[count].namespace = open(argv[i + 1], O_RDONLY | O_CLOEXEC);
		listen_in(&places[count], &any);
	}
	for (size_t round = 0; round < rounds + WARM_UP; round++) {
		for (size_t i = 0; i < count; i++) {
			double time = connect_once(&places[i], &to);

			if (round >= WARM_UP)
				places[i].times[round - WARM_UP] = time;
		}
	}
	for (size_t i = 0; i < count; i++)
		measure_print(places[i].name, places[i].times, rounds);
	return 0;
}
