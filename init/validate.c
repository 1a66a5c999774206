/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What should happen to a connection is asked of the same rules that were programmed, and then tried. Only connections
 * that must end at the pod's own listeners are opened: one that the rules let go would reach a stranger.
 *
 * The rules see the user and the group that a socket was made by, which a thread with the right to may choose (setfsuid).
 */
#include "init/validate.h"

#include "redirect/plan/explain.h"
#include "redirect/plan/value.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST; the kernel's headers for them clash with netinet/in.h. */
#define ORIGINAL_DST 80

/* The proxy's three ports and the application's, in two families. */
#define LISTENER_MAX 8
#define DESTINATION_MAX 16
#define IDENTITY_MAX 4

/* A user and a group that nobody captures or excludes by accident. */
#define APPLICATION_ID 65534

struct identity {
	const char *name;
	uint32_t uid;
	uint32_t gid;
};

struct test {
	const struct redirect_plan *plan;
	const struct ruleset *ruleset;
	uint16_t port;
	int patience;
	validate_say *say;
	struct pollfd listeners[LISTENER_MAX];
	uint16_t ports[LISTENER_MAX];
	size_t listener_count;
	struct endpoint destinations[DESTINATION_MAX];
	size_t destination_count;
	struct ifaddrs *interfaces; /* owned */
	int tried;
	int wrong;
};

/* --- the two ends */

static int listen_on(struct test *test, int family, uint16_t port)
{
	struct endpoint any = {.address = {.bytes = {0}}, .port = port};
	struct sockaddr_storage address;
	struct pollfd *listener = &test->listeners[test->listener_count];
	int on = 1;
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	socklen_t length;

	if (fd < 0)
		return errno == EAFNOSUPPORT ? 0 : -errno;
	if (family == AF_INET)
		memset(any.address.bytes + 10, 0xff, 2);
	length = endpoint_to_sockaddr(&any, &address);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, 8) < 0) {
		int code = errno;

		(void)close(fd);
		return -code;
	}
	*listener = (struct pollfd){.fd = fd, .events = POLLIN};
	test->ports[test->listener_count++] = port;
	return 0;
}

static int listen_everywhere(struct test *test)
{
	const uint16_t ports[] = {test->plan->proxy_port, test->plan->inbound_port, PLAN_DNS_PORT, test->port};

	for (size_t i = 0; i < sizeof ports / sizeof *ports; i++) {
		int rc = listen_on(test, AF_INET, ports[i]);

		if (rc == 0)
			rc = listen_on(test, AF_INET6, ports[i]);
		if (rc < 0) {
			test->say("validation: cannot listen on port %u: %s", ports[i], strerror(-rc));
			return rc;
		}
	}
	return 0;
}

static int socket_as(int family, const struct identity *identity)
{
	int uid = setfsuid((uid_t)identity->uid);
	int gid = setfsgid((gid_t)identity->gid);
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	(void)setfsgid((gid_t)gid);
	(void)setfsuid((uid_t)uid);
	return fd;
}

/* Whether the process may make sockets of somebody else. */
static bool can_be(const struct identity *identity)
{
	int uid = setfsuid((uid_t)identity->uid);
	int gid = setfsgid((gid_t)identity->gid);
	bool can = setfsuid((uid_t)-1) == (int)identity->uid && setfsgid((gid_t)-1) == (int)identity->gid;

	(void)setfsgid((gid_t)gid);
	(void)setfsuid((uid_t)uid);
	return can;
}

static uint16_t port_of(int fd, bool of_peer)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof address;
	struct endpoint endpoint = {.port = 0};

	if ((of_peer ? getpeername(fd, (struct sockaddr *)&address, &length)
		     : getsockname(fd, (struct sockaddr *)&address, &length)) == 0)
		(void)endpoint_from_sockaddr(&address, &endpoint);
	return endpoint.port;
}

/* Whether an accepted connection is the one that was opened, and still knows where it was going. */
static bool is_ours(int accepted, int opened, const struct endpoint *destination, bool captured)
{
	bool ipv4 = address_is_ipv4(&destination->address);
	struct sockaddr_storage address;
	socklen_t length = sizeof address;
	struct endpoint seen;

	if (port_of(accepted, true) != port_of(opened, false))
		return false;
	return !captured || (getsockopt(accepted, ipv4 ? SOL_IP : SOL_IPV6, ORIGINAL_DST, &address, &length) == 0 &&
				    endpoint_from_sockaddr(&address, &seen) == 0 && endpoint_equal(&seen, destination));
}

static int64_t now(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* The port that a connection arrives at; 0: none. */
static uint16_t arrival(struct test *test, int opened, const struct endpoint *destination, bool captured)
{
	int64_t end = now() + test->patience;

	for (int64_t left = test->patience; left > 0; left = end - now()) {
		int rc = poll(test->listeners, test->listener_count, (int)left);

		if (rc < 0 && errno != EINTR)
			return 0;
		for (size_t i = 0; rc > 0 && i < test->listener_count; i++) {
			int accepted = (test->listeners[i].revents & POLLIN) != 0
				? accept(test->listeners[i].fd, NULL, NULL) : -1;
			bool ours = accepted >= 0 && is_ours(accepted, opened, destination, captured);

			if (accepted >= 0)
				(void)close(accepted);
			if (ours)
				return test->ports[i];
		}
	}
	return 0;
}

/* --- what is tried */

/* The interface that a packet to an address leaves by, as far as the pod's addresses tell. False: there is no way. */
static bool find_way(const struct test *test, const struct endpoint *destination, uint8_t oif[INTERVAL_KEY_MAX])
{
	struct sockaddr_storage to;
	struct sockaddr_storage from;
	socklen_t length = endpoint_to_sockaddr(destination, &to);
	socklen_t from_length = sizeof from;
	struct endpoint source;
	int fd = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool found = fd >= 0 && connect(fd, (struct sockaddr *)&to, length) == 0 &&
		     getsockname(fd, (struct sockaddr *)&from, &from_length) == 0 &&
			endpoint_from_sockaddr(&from, &source) == 0;

	if (fd >= 0)
		(void)close(fd);
	for (const struct ifaddrs *i = found ? test->interfaces : NULL; i != NULL; i = i->ifa_next) {
		struct sockaddr_storage address;
		struct endpoint own;
		size_t size = i->ifa_addr == NULL                  ? 0
			      : i->ifa_addr->sa_family == AF_INET  ? sizeof(struct sockaddr_in)
			      : i->ifa_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
								   : 0;

		if (size == 0)
			continue;
		memset(&address, 0, sizeof address);
		memcpy(&address, i->ifa_addr, size);
		if (endpoint_from_sockaddr(&address, &own) < 0)
			continue;
		/* What goes to one of the pod's own addresses stays inside. */
		if (memcmp(own.address.bytes, destination->address.bytes, sizeof own.address.bytes) == 0) {
			memcpy(oif, "lo", 3);
			return true;
		}
		if (memcmp(own.address.bytes, source.address.bytes, sizeof own.address.bytes) == 0)
			memcpy(oif, i->ifa_name, strnlen(i->ifa_name, INTERVAL_KEY_MAX - 1));
	}
	if (address_is_loopback(&destination->address)) {
		memset(oif, 0, INTERVAL_KEY_MAX);
		memcpy(oif, "lo", 3);
	}
	return found;
}

static bool is_inside(const uint8_t oif[INTERVAL_KEY_MAX])
{
	return strcmp((const char *)oif, "lo") == 0;
}

static void try_one(struct test *test, const struct endpoint *destination, const struct identity *identity)
{
	struct explain_probe probe = {.destination = *destination, .has_uid = true, .uid = identity->uid,
		.has_gid = true,
		.gid = identity->gid};
	struct explanation said;
	struct sockaddr_storage address;
	socklen_t length = endpoint_to_sockaddr(destination, &address);
	char text[ADDRESS_TEXT_SIZE];
	uint16_t expected;
	uint16_t seen;
	int fd;

	if (!find_way(test, destination, probe.oif))
		return;
	explain_walk(test->ruleset, &probe, &said);
	if (said.verdict != RULE_REDIRECT && (!is_inside(probe.oif) || destination->port != test->port))
		return;
	expected = said.verdict == RULE_REDIRECT ? said.port : test->port;
	fd = socket_as(address.ss_family, identity);
	if (fd < 0)
		return;
	test->tried++;
	(void)connect(fd, (struct sockaddr *)&address, length);
	seen = arrival(test, fd, destination, said.verdict == RULE_REDIRECT);
	(void)close(fd);
	if (seen == expected)
		return;
	test->wrong++;
	(void)endpoint_format(text, destination);
	if (seen == 0)
		test->say("validation: %s, opened as %s: did not arrive at port %u (rule %zu: \"%s\")", text,
			identity->name,
			expected, said.place, said.rule->comment);
	else
		test->say("validation: %s, opened as %s: arrived at port %u, not at %u (rule %zu: \"%s\")", text,
			identity->name, seen,
			expected, said.place, said.rule->comment);
}

static void add_destination(struct test *test, const char *text, uint16_t port)
{
	struct endpoint *destination = &test->destinations[test->destination_count];

	if (test->destination_count < DESTINATION_MAX &&
		address_parse(text, strlen(text), &destination->address) == 0) {
		destination->port = port;
		test->destination_count++;
	}
}

/* The first address of a list of ranges. */
static void add_first(struct test *test, enum plan_list list, uint16_t port)
{
	const struct interval_list *ranges = &test->plan->lists[list];
	struct endpoint destination = {.address = {.bytes = {[10] = 0xff, [11] = 0xff}}, .port = port};

	if (ranges->count == 0 || test->destination_count == DESTINATION_MAX)
		return;
	if (ranges->key_size == 4)
		memcpy(destination.address.bytes + 12, ranges->items[0].first, 4);
	else
		memcpy(destination.address.bytes, ranges->items[0].first, 16);
	test->destinations[test->destination_count++] = destination;
}

/* One of the pod's own addresses in each family, for the pod's calls to itself. */
static void add_own(struct test *test)
{
	bool have[2] = {false, false};

	for (const struct ifaddrs *i = test->interfaces; i != NULL; i = i->ifa_next) {
		int family = i->ifa_addr != NULL ? i->ifa_addr->sa_family : AF_UNSPEC;
		struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
		struct endpoint own;
		bool link_local;

		if ((family != AF_INET && family != AF_INET6) || have[family == AF_INET6] ||
			(i->ifa_flags & IFF_LOOPBACK) != 0 || test->destination_count == DESTINATION_MAX)
			continue;
		memcpy(&address, i->ifa_addr,
			family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
		if (endpoint_from_sockaddr(&address, &own) < 0 || address_is_loopback(&own.address))
			continue;
		link_local = own.address.bytes[0] == 0xfe && (own.address.bytes[1] & 0xc0) == 0x80;
		if (link_local)
			continue;
		have[family == AF_INET6] = true;
		own.port = test->port;
		test->destinations[test->destination_count++] = own;
	}
}

/* Addresses for documentation stand for all the world; a packet to them leaves only if the rules are wrong. */
static void add_destinations(struct test *test)
{
	static const char *const everywhere[] = {"127.0.0.1", "127.0.0.6", "192.0.2.1", "::1", "2001:db8::1"};

	for (size_t i = 0; i < sizeof everywhere / sizeof *everywhere; i++)
		add_destination(test, everywhere[i], test->port);
	add_own(test);
	add_first(test, PLAN_INCLUDED_IPV4, test->port);
	add_first(test, PLAN_INCLUDED_IPV6, test->port);
	add_first(test, PLAN_DNS_IPV4, 53);
	add_first(test, PLAN_DNS_IPV6, 53);
	if (test->plan->dns == PLAN_DNS_ALL) {
		add_destination(test, "192.0.2.1", 53);
		add_destination(test, "2001:db8::1", 53);
	}
}

static uint32_t first_id(const struct interval_list *ids)
{
	const uint8_t *key = ids->items[0].first;

	return (uint32_t)key[0] << 24 | (uint32_t)key[1] << 16 | (uint32_t)key[2] << 8 | key[3];
}

static void try_all(struct test *test)
{
	const struct identity identities[IDENTITY_MAX] = {
		{"this process", (uint32_t)geteuid(), (uint32_t)getegid()},
		{"the proxy, by user", first_id(&test->plan->lists[PLAN_PROXY_UIDS]), APPLICATION_ID},
		{"the proxy, by group", APPLICATION_ID, first_id(&test->plan->lists[PLAN_PROXY_GIDS])},
		{"an application", APPLICATION_ID, APPLICATION_ID},
	};

	for (size_t i = 0; i < IDENTITY_MAX; i++)
		for (size_t d = 0; can_be(&identities[i]) && d < test->destination_count; d++)
			try_one(test, &test->destinations[d], &identities[i]);
}

int validate_run(const struct redirect_plan *plan, const struct ruleset *ruleset, uint16_t port, int patience,
	validate_say *say)
{
	struct test test = {.plan = plan, .ruleset = ruleset, .port = port, .patience = patience, .say = say};
	int rc = getifaddrs(&test.interfaces) == 0 ? 0 : -errno;

	if (rc < 0)
		say("validation: cannot list the pod's addresses: %s", strerror(-rc));
	else
		rc = listen_everywhere(&test);
	if (rc == 0) {
		add_destinations(&test);
		try_all(&test);
		say("validation: %d connections, %d of them wrong", test.tried, test.wrong);
	}
	for (size_t i = 0; i < test.listener_count; i++)
		(void)close(test.listeners[i].fd);
	if (test.interfaces != NULL)
		freeifaddrs(test.interfaces);
	return rc < 0 ? rc : test.wrong;
}
