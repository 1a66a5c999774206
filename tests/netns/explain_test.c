/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --explain against real packets: random settings become a plan and rules, which are programmed in a namespace; random
 * connections are opened there, and who accepts each must be who explain_walk() says.
 *
 *     pod namespace                       outside namespace
 *     probes, as user and group           one listener a family behind a redirection of all ports
 *     listeners: 15001, 15006, 15053
 *     (the proxy's)
 *     eth0 10.77.0.2 fd77::2  ----------- veth0 10.77.0.1 fd77::1, all of 10/8, 192.0.2/24, 2001:db8::/32
 *     net1 10.78.0.2 fd78::2  ----------- veth1 10.78.0.1 fd78::1, to 192.0.2.0/24 and 2001:db8:78::/48
 *
 * Both namespaces are the process's own and go with it. WEIR_SEED repeats a run, WEIR_PLANS changes its length. TAP.
 */
#include "redirect/nft/table.h"
#include "redirect/plan/explain.h"
#include "redirect/plan/plan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PLAN_COUNT 2000
#define PROBE_COUNT 20
#define TEXT_SIZE 1024
/* SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST; the kernel's headers for them clash with netinet/in.h. */
#define ORIGINAL_DST 80
#define OUTSIDE_PORT 9999
/* Source ports begin above those that something listens on. */
#define PORT_MIN 16000
/* Milliseconds; every connection here is answered at once. */
#define PATIENCE 5000

/* The proxy's three ports, then the outside's: two listeners each, one a family. */
enum who { WHO_OUTBOUND, WHO_INBOUND, WHO_DNS, WHO_DIRECT, WHO_COUNT };
enum { LISTENER_COUNT = 2 * WHO_COUNT };

static const uint16_t ports[WHO_COUNT] = {15001, 15006, 15053, OUTSIDE_PORT};
static struct pollfd listeners[LISTENER_COUNT];
static int outside = -1;
static int pod = -1;

static void die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

/* --- the namespaces */

static void must_run(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void must_run(const char *format, ...)
{
	char command[TEXT_SIZE];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(command, sizeof command, format, arguments);
	va_end(arguments);
	/* The commands are this file's own, every word of them. NOLINTNEXTLINE(cert-env33-c) */
	if (system(command) != 0)
		die(command);
}

static int fresh_namespace(void)
{
	int fd;

	if (unshare(CLONE_NEWNET) < 0)
		die("unshare");
	must_run("ip link set lo up");
	fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die("ns/net");
	return fd;
}

static void enter(int namespace)
{
	if (setns(namespace, CLONE_NEWNET) < 0)
		die("setns");
}

static void listen_on(struct pollfd *listener, int family, uint16_t port)
{
	struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	int on = 1;
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (fd < 0 || (family == AF_INET6 ? bind(fd, (struct sockaddr *)&any6, sizeof any6)
					  : bind(fd, (struct sockaddr *)&any4, sizeof any4)) < 0 ||
		listen(fd, 16) < 0)
		die("listener");
	*listener = (struct pollfd){.fd = fd, .events = POLLIN};
}

static void listen_as(enum who who)
{
	listen_on(&listeners[2 * who], AF_INET, ports[who]);
	listen_on(&listeners[2 * who + 1], AF_INET6, ports[who]);
}

static void make_namespaces(void)
{
	outside = fresh_namespace();
	listen_as(WHO_DIRECT);
	must_run("nft 'add table inet t; add chain inet t c { type nat hook prerouting priority -100; }; "
		 "add rule inet t c meta l4proto tcp redirect to :%d'", OUTSIDE_PORT);
	pod = fresh_namespace();
	for (enum who who = WHO_OUTBOUND; who < WHO_DIRECT; who++)
		listen_as(who);
	for (int i = 0; i < 2; i++) {
		const char *name = i == 0 ? "eth0" : "net1";

		enter(pod);
		must_run("ip link add %s type veth peer name veth%d netns /proc/%d/fd/%d", name, i, getpid(), outside);
		must_run("ip link set %s up && ip address add 10.%d.0.2/24 dev %s && ip address add fd%d::2/64 dev %s nodad",
			name, 77 + i, name, 77 + i, name);
		enter(outside);
		must_run("ip link set veth%d up && ip address add 10.%d.0.1/24 dev veth%d && "
			 "ip address add fd%d::1/64 dev veth%d nodad", i, 77 + i, i, 77 + i, i);
	}
	must_run("ip route add local 10.0.0.0/8 dev lo && ip route add local 192.0.2.0/24 dev lo && "
		 "ip -6 route add local 2001:db8::/32 dev lo");
	enter(pod);
	must_run("ip route add default via 10.77.0.1 && ip route add 192.0.2.0/24 via 10.78.0.1 && "
		 "ip -6 route add default via fd77::1 && ip -6 route add 2001:db8:78::/48 via fd78::1");
}

/* --- random settings, from a small world, so that rules and probes meet */

static unsigned draw(unsigned below)
{
	return (unsigned)random() % below;
}

static const char *pick(const char *const *texts, unsigned count)
{
	return texts[draw(count)];
}
#define PICK(...) pick((const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void put_range(char *out, size_t size)
{
	switch (draw(5)) {
	case 0:
		(void)snprintf(out, size, "10.%u.%u.%u/%u", draw(4), draw(4), draw(256), 8 + draw(25));
		break;
	case 1:
		(void)snprintf(out, size, "10.%u.%u.%u", draw(4), draw(4), draw(4));
		break;
	case 2:
		(void)snprintf(out, size, "2001:db8:%x:%x::/%u", 0x77 + draw(3), draw(4), 30 + draw(35));
		break;
	case 3:
		(void)snprintf(out, size, "2001:db8:%x::%x", 0x77 + draw(3), draw(4));
		break;
	default:
		(void)snprintf(out, size, "%s", PICK("0.0.0.0/0", "::/0", "192.0.2.0/24", "192.0.2.128/25", "10.77.0.0/24",
			"fd77::/16", "10.0.0.0/8", "2001:db8::/32", "128.0.0.0/1"));
		break;
	}
}

static void put_numbers(char *out, size_t size)
{
	unsigned first = draw(12);

	if (draw(3) == 0)
		(void)snprintf(out, size, "%u-%u", first, first + draw(4));
	else
		(void)snprintf(out, size, "%u", first);
}

static void put_interface(char *out, size_t size)
{
	(void)snprintf(out, size, "%s", PICK("eth0", "net1", "eth+", "n*", "lo", "l+", "eth1", "net10", "et"));
}

/* A list of up to `most` items, at times with blanks. */
static const char *put_list(char text[TEXT_SIZE], void (*put)(char *out, size_t size), unsigned most)
{
	unsigned count = draw(most + 1);
	size_t used = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < count; i++) {
		used += (size_t)snprintf(text + used, TEXT_SIZE - used, "%s", i == 0 ? "" : draw(2) == 0 ? "," : " , ");
		put(text + used, TEXT_SIZE - used);
		used += strlen(text + used);
	}
	return text;
}

struct texts {
	char text[SETTING_COUNT][TEXT_SIZE];
};

static void give(struct settings *settings, struct texts *texts, enum setting setting, const char *text)
{
	if (text != texts->text[setting])
		(void)snprintf(texts->text[setting], TEXT_SIZE, "%s", text);
	settings_set(settings, setting, SETTING_WAY_FLAG, setting_name(setting), texts->text[setting],
		strlen(texts->text[setting]));
}

static void draw_settings(struct settings *settings, struct texts *texts)
{
	char(*t)[TEXT_SIZE] = texts->text;

	settings_init_for_flags(settings);
	give(settings, texts, SETTING_INCLUDE_OUTBOUND_IP_RANGES, draw(3) == 0 ? "*"
		: put_list(t[SETTING_INCLUDE_OUTBOUND_IP_RANGES], put_range, 6));
	if (draw(5) == 0 && strcmp(t[SETTING_INCLUDE_OUTBOUND_IP_RANGES], "*") != 0)
		give(settings, texts, SETTING_INCLUDE_OUTBOUND_IP_RANGES, PICK("127.0.0.0/8", "127.1.0.0/16,10.1.0.0/16", "::1",
			"127.0.0.1,2001:db8::/32", "10.0.0.0/8,::1"));
	give(settings, texts, SETTING_EXCLUDE_OUTBOUND_IP_RANGES, draw(2) == 0 ? ""
		: put_list(t[SETTING_EXCLUDE_OUTBOUND_IP_RANGES], put_range, 4));
	give(settings, texts, SETTING_INCLUDE_OUTBOUND_PORTS, draw(2) == 0 ? ""
		: put_list(t[SETTING_INCLUDE_OUTBOUND_PORTS], put_numbers, 3));
	give(settings, texts, SETTING_EXCLUDE_OUTBOUND_PORTS, draw(2) == 0 ? ""
		: put_list(t[SETTING_EXCLUDE_OUTBOUND_PORTS], put_numbers, 3));
	give(settings, texts, SETTING_EXCLUDE_INTERFACES, draw(3) != 0 ? ""
		: put_list(t[SETTING_EXCLUDE_INTERFACES], put_interface, 2));
	give(settings, texts, SETTING_PROXY_UID, put_list(t[SETTING_PROXY_UID], put_numbers, 2));
	give(settings, texts, SETTING_PROXY_GID, put_list(t[SETTING_PROXY_GID], put_numbers, 2));
	if (draw(3) == 0)
		give(settings, texts, SETTING_INCLUDE_OWNER_GROUPS, put_list(t[SETTING_INCLUDE_OWNER_GROUPS], put_numbers, 3));
	else
		give(settings, texts, SETTING_EXCLUDE_OWNER_GROUPS, put_list(t[SETTING_EXCLUDE_OWNER_GROUPS], put_numbers, 2));
	give(settings, texts, SETTING_DNS_CAPTURE, PICK("true", "false"));
	give(settings, texts, SETTING_CAPTURE_ALL_DNS, PICK("true", "false"));
	give(settings, texts, SETTING_DNS_SERVERS, PICK("10.1.0.1,127.0.0.53", "2001:db8:77::1,10.77.0.2", "10.0.0.0/8", ""));
	give(settings, texts, SETTING_INTERCEPTION_MODE, PICK("REDIRECT", "TPROXY"));
	give(settings, texts, SETTING_LOOPBACK_CIDR, PICK("", "127.0.0.1/32", "127.0.0.0/8", "127.1.0.0/16"));
}

/* --- random connections */

static void draw_probe(struct explain_probe *probe)
{
	char text[TEXT_SIZE];
	const char *oif = "eth0";

	*probe = (struct explain_probe){.has_uid = true, .has_gid = true, .uid = draw(16), .gid = draw(16)};
	switch (draw(6)) {
	case 0:
		oif = "lo";
		(void)snprintf(text, sizeof text, "%s", PICK("127.0.0.1", "127.1.2.3", "127.0.0.6", "127.0.0.53", "::1", "10.77.0.2", "fd77::2",
			"10.78.0.2", "fd78::2", "127.255.255.254"));
		break;
	case 1:
		oif = "net1";
		(void)snprintf(text, sizeof text, draw(2) == 0 ? "192.0.2.%u" : "2001:db8:78:%x::1", draw(256));
		break;
	case 2:
	case 3:
		(void)snprintf(text, sizeof text, "2001:db8:%x:%x::%x", draw(2) == 0 ? 0x77 : 0x79, draw(4), draw(4));
		break;
	default:
		(void)snprintf(text, sizeof text, "10.%u.%u.%u", draw(4), draw(4), draw(256));
		break;
	}
	if (address_parse(text, strlen(text), &probe->destination.address) < 0)
		die(text);
	probe->destination.port = draw(4) == 0 ? 53 : (uint16_t)(1 + draw(15));
	memcpy(probe->oif, oif, strlen(oif));
}

/*
 * Every connection gets a source port of its own. One that had the addresses and ports of an earlier connection would
 * belong to it in the eyes of connection tracking, and go where that one went.
 */
static void bind_to_fresh_port(int fd, int family)
{
	static uint16_t next = PORT_MIN;
	struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons(next)};
	struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons(next)};

	if ((family == AF_INET6 ? bind(fd, (struct sockaddr *)&any6, sizeof any6)
				: bind(fd, (struct sockaddr *)&any4, sizeof any4)) < 0)
		die("bind");
	next = next == UINT16_MAX ? PORT_MIN : (uint16_t)(next + 1);
}

/* A socket of a user and a group; the process stays what it is. */
static int open_as(const struct explain_probe *probe, int family)
{
	int fd;

	/* The C library would change all threads; the kernel's own calls are enough, and there is one thread. */
	if (syscall(SYS_setresgid, -1, probe->gid, -1) < 0 || syscall(SYS_setresuid, -1, probe->uid, -1) < 0)
		die("become the probe's user");
	fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (syscall(SYS_setresuid, -1, 0, -1) < 0 || syscall(SYS_setresgid, -1, 0, -1) < 0)
		die("become root again");
	if (fd < 0)
		die("socket");
	bind_to_fresh_port(fd, family);
	return fd;
}

static bool saw_destination(int fd, const struct endpoint *expected)
{
	bool ipv4 = address_is_ipv4(&expected->address);
	struct sockaddr_storage seen;
	struct endpoint endpoint;
	socklen_t length = sizeof seen;

	return getsockopt(fd, ipv4 ? SOL_IP : SOL_IPV6, ORIGINAL_DST, &seen, &length) == 0 &&
	       endpoint_from_sockaddr(&seen, &endpoint) == 0 && endpoint_equal(&endpoint, expected);
}

/* Resets on close, so that nothing waits in the namespaces. */
static void drop(int fd)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	(void)close(fd);
}

/* Opens the connection. Returns who got it: a refusal inside the pod came from nobody's listener, so not the proxy's. */
static enum who send_probe(const struct explain_probe *probe)
{
	struct pollfd wait[LISTENER_COUNT + 1];
	struct sockaddr_storage address;
	socklen_t length = endpoint_to_sockaddr(&probe->destination, &address);
	int fd = open_as(probe, address.ss_family);
	enum who who = WHO_DIRECT;

	if (connect(fd, (struct sockaddr *)&address, length) < 0 && errno != EINPROGRESS && errno != ECONNREFUSED)
		die("connect");
	memcpy(wait, listeners, sizeof listeners);
	wait[LISTENER_COUNT] = (struct pollfd){.fd = fd, .events = POLLERR};
	if (poll(wait, LISTENER_COUNT + 1, PATIENCE) <= 0)
		die("nobody answers a connection");
	for (size_t i = 0; i < LISTENER_COUNT; i++) {
		int accepted = (wait[i].revents & POLLIN) != 0 ? accept(wait[i].fd, NULL, NULL) : -1;

		if (accepted < 0)
			continue;
		who = (enum who)(i / 2);
		if (!saw_destination(accepted, &probe->destination))
			die("the original destination is another");
		drop(accepted);
	}
	drop(fd);
	return who;
}

/* --- the property */

static enum who explained(const struct explanation *explanation)
{
	enum who who = WHO_OUTBOUND;

	while (explanation->verdict == RULE_REDIRECT && who < WHO_DIRECT && ports[who] != explanation->port)
		who++;
	return explanation->verdict == RULE_REDIRECT ? who : WHO_DIRECT;
}

static void report(const struct texts *texts, const struct explain_probe *probe, const struct explanation *said,
	enum who who)
{
	char destination[ADDRESS_TEXT_SIZE];

	for (enum setting s = 0; s < SETTING_COUNT; s++)
		if (texts->text[s][0] != '\0')
			printf("# %s: %s\n", setting_name(s), texts->text[s]);
	printf("# %s uid %u gid %u out of %s: explained by rule %zu (\"%s\"), the packet went to port %u\n",
		endpoint_format(destination, &probe->destination), probe->uid, probe->gid, (const char *)probe->oif,
		said->place, said->rule->comment, ports[who]);
}

static unsigned probe_plan(const struct ruleset *ruleset, const struct texts *texts, unsigned counts[WHO_COUNT])
{
	unsigned mismatches = 0;

	for (unsigned i = 0; i < PROBE_COUNT; i++) {
		struct explanation explanation;
		struct explain_probe probe;
		enum who who;

		draw_probe(&probe);
		explain_walk(ruleset, &probe, &explanation);
		who = send_probe(&probe);
		counts[who]++;
		if (explained(&explanation) != who) {
			mismatches++;
			report(texts, &probe, &explanation, who);
		}
	}
	return mismatches;
}

static unsigned test_plan(unsigned counts[WHO_COUNT])
{
	static struct texts texts;
	static struct plan_report plan_report;
	struct settings settings;
	struct redirect_plan plan;
	struct ruleset ruleset;
	enum nft_outcome outcome;
	struct error e;
	unsigned mismatches;

	memset(&texts, 0, sizeof texts);
	draw_settings(&settings, &texts);
	if (plan_build(&settings, &plan, &plan_report) < 0) {
		printf("Bail out! %s\n", plan_report.error.text);
		exit(1);
	}
	ruleset_build(&plan, NULL, &ruleset);
	if (nft_table_apply(&ruleset, false, &outcome, &e) < 0) {
		printf("Bail out! %s\n", e.text);
		exit(1);
	}
	mismatches = probe_plan(&ruleset, &texts, counts);
	plan_free(&plan);
	return mismatches;
}

static unsigned number_from(const char *name, unsigned fallback)
{
	const char *text = getenv(name);

	return text != NULL ? (unsigned)strtoul(text, NULL, 10) : fallback;
}

int main(void)
{
	unsigned seed = number_from("WEIR_SEED", (unsigned)time(NULL));
	unsigned plans = number_from("WEIR_PLANS", PLAN_COUNT);
	unsigned counts[WHO_COUNT] = {0};
	unsigned mismatches = 0;

	printf("1..1\n# seed %u, %u plans\n", seed, plans);
	(void)fflush(stdout);
	srandom(seed);
	make_namespaces();
	for (unsigned i = 0; i < plans; i++)
		mismatches += test_plan(counts);
	/* Were there too few of a kind, nothing would have been shown. */
	for (enum who who = WHO_OUTBOUND; who < WHO_COUNT; who++)
		if (counts[who] < plans / 10)
			mismatches++;
	printf("%s 1 - %u connections to the proxy, %u to its inbound port, %u to its DNS and %u past it went as explained "
	       "(seed %u)\n",
		mismatches == 0 ? "ok" : "not ok", counts[WHO_OUTBOUND], counts[WHO_INBOUND], counts[WHO_DNS], counts[WHO_DIRECT],
		seed);
	return mismatches == 0 ? 0 : 1;
}
