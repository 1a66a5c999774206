/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Servers are given to c-ares as a list of texts, which knows both families and ports. Link-local ones it does not
 * take, or cannot reach (1.18 knows no interfaces, and 1.34 passes such servers over): it gets addresses in their
 * stead, of those that nobody has, and its sockets are connected here.
 */
#include "proxy/dns/channel.h"
#include "proxy/dns/reserve.h"

/* Debian 12 has none of the functions that newer versions would rather see. */
#define CARES_NO_DEPRECATED

#include <ares.h>
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Bytes of an answer over UDP that are asked for: what passes every network unfragmented. */
#define UDP_SIZE 1232

static_assert(SERVERS_SCOPE_SIZE == IF_NAMESIZE, "an interface's name fits");

static void watch_socket(void *data, ares_socket_t fd, int readable, int writable)
{
	const struct query *query = data;
	struct epoll_event event = {.data.fd = fd};

	event.events = (readable ? (uint32_t)EPOLLIN : 0u) | (writable ? (uint32_t)EPOLLOUT : 0u);
	if (event.events == 0)
		(void)epoll_ctl(query->epoll, EPOLL_CTL_DEL, fd, NULL);
	else if (epoll_ctl(query->epoll, EPOLL_CTL_MOD, fd, &event) < 0 && errno == ENOENT)
		/* One that cannot be watched answers nothing, and so the query fails in time. */
		(void)epoll_ctl(query->epoll, EPOLL_CTL_ADD, fd, &event);
}

/* --- link-local servers */

/* What stands for a server: an address of the range that leads nowhere (RFC 6666). */
static struct address stand_in(size_t server)
{
	return (struct address){{[0] = 0x01, [15] = (uint8_t)(server + 1)}};
}

/* An address as it is known on one side, and its interface's number, become those of the other side. */
static void translate(const struct query *query, struct sockaddr *socket_address, bool from_wire)
{
	struct sockaddr_in6 in6;

	if (socket_address->sa_family != AF_INET6)
		return;
	memcpy(&in6, socket_address, sizeof in6);
	for (size_t i = 0; i < query->servers.count; i++) {
		const struct endpoint *server = &query->servers.items[i].endpoint;
		const struct address placeholder = stand_in(i);
		const struct address *before = from_wire ? &server->address : &placeholder;
		const struct address *after = from_wire ? &placeholder : &server->address;

		if (query->scopes[i] == 0 || memcmp(before->bytes, &in6.sin6_addr, sizeof in6.sin6_addr) != 0 ||
			in6.sin6_scope_id != (from_wire ? query->scopes[i] : 0) || server->port != ntohs(in6.sin6_port))
			continue;
		memcpy(&in6.sin6_addr, after->bytes, sizeof in6.sin6_addr);
		in6.sin6_scope_id = from_wire ? 0 : query->scopes[i];
		memcpy(socket_address, &in6, sizeof in6);
		return;
	}
}

static ares_socket_t open_socket(int family, int type, int protocol, void *data)
{
	(void)data;
	return socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
}

static int close_socket(ares_socket_t fd, void *data)
{
	(void)data;
	return close(fd);
}

static int connect_socket(ares_socket_t fd, const struct sockaddr *to, ares_socklen_t length, void *data)
{
	struct sockaddr_storage storage;

	if (length > sizeof storage) {
		errno = EINVAL;
		return -1;
	}
	memcpy(&storage, to, length);
	translate(data, (struct sockaddr *)&storage, false);
	return connect(fd, (struct sockaddr *)&storage, length);
}

static ares_ssize_t receive(ares_socket_t fd, void *buffer, size_t size, int flags, struct sockaddr *from,
	ares_socklen_t *length, void *data)
{
	ares_ssize_t got = recvfrom(fd, buffer, size, flags, from, length);

	if (got >= 0 && from != NULL && *length >= sizeof(struct sockaddr_in6))
		translate(data, from, true);
	return got;
}

static ares_ssize_t send_pieces(ares_socket_t fd, const struct iovec *pieces, int count, void *data)
{
	(void)data;
	return writev(fd, pieces, count);
}

/* By its name, or its number. Returns 0 where there is none. */
static unsigned find_interface(const char *scope)
{
	char name[IF_NAMESIZE];
	char *end;
	unsigned long number = strtoul(scope, &end, 10);

	if (*end == '\0' && number <= INT_MAX && if_indextoname((unsigned)number, name) != NULL)
		return (unsigned)number;
	return if_nametoindex(scope);
}

/* Finds the interfaces, and takes over the sockets, where a server is behind one. Returns 0 or -errno. */
static int find_scopes(struct query *query, struct error *e)
{
	static const struct ares_socket_functions functions = {
		open_socket, close_socket, connect_socket, receive, send_pieces};

	for (size_t i = 0; i < query->servers.count; i++) {
		const char *scope = query->servers.items[i].scope;

		if (*scope == '\0')
			continue;
		query->scopes[i] = find_interface(scope);
		if (query->scopes[i] == 0)
			return error_set(e, ENODEV, "there is no interface %s for a DNS server", scope);
		ares_set_socket_functions(query->channel, &functions, query);
	}
	return 0;
}

/* --- the channel */

static int make_channel(struct query *query)
{
	char lookups[] = "b"; /* DNS, and no file */
	char no_file[] = "/dev/null";
	struct in_addr nobody = {htonl(INADDR_LOOPBACK)};
	const struct servers *servers = &query->servers;
	struct ares_options options = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS |
			 (servers->tcp ? ARES_FLAG_USEVC : 0),
		.timeout = (int)servers->timeout * 1000,
		.tries = (int)servers->attempts,
		.ndots = 1,
		.ednspsz = UDP_SIZE,
		.servers = &nobody, /* until it has the servers: what is there is not looked for */
		.nservers = 1,
		.lookups = lookups,
		.resolvconf_path = no_file,
		.sock_state_cb = watch_socket,
		.sock_state_cb_data = query,
	};
	int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS | ARES_OPT_EDNSPSZ |
		   ARES_OPT_SERVERS | ARES_OPT_DOMAINS | ARES_OPT_SORTLIST | ARES_OPT_LOOKUPS | ARES_OPT_RESOLVCONF |
		   ARES_OPT_SOCK_STATE_CB | (servers->rotate ? ARES_OPT_ROTATE : ARES_OPT_NOROTATE);
	ares_channel channel;
	int status;

#ifdef ARES_OPT_QUERY_CACHE
	/* Who asks here has waited for the TTL to pass. */
	options.qcache_max_ttl = 0;
	mask |= ARES_OPT_QUERY_CACHE;
#endif
	status = ares_init_options(&channel, &options, mask);
	if (status == ARES_SUCCESS)
		query->channel = channel;
	return status;
}

static int set_servers(struct query *query)
{
	char list[SERVERS_MAX * (ADDRESS_TEXT_SIZE + 1)];
	char text[ADDRESS_TEXT_SIZE];
	size_t used = 0;

	for (size_t i = 0; i < query->servers.count; i++) {
		struct endpoint endpoint = query->servers.items[i].endpoint;

		if (query->scopes[i] != 0)
			endpoint.address = stand_in(i);
		used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", used > 0 ? "," : "",
			endpoint_format(text, &endpoint));
	}
	return ares_set_servers_ports_csv(query->channel, list);
}

/* c-ares counts its users, without a lock: it is made ready once, and has nothing of its own to free. */
static void init_library(void)
{
	reserve_open();
	(void)ares_library_init_mem(ARES_LIB_INIT_ALL, reserve_malloc, reserve_free, reserve_realloc);
}

int channel_open(struct query *query, const struct servers *servers, struct error *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	int status;
	int rc = 0;

	(void)pthread_once(&once, init_library);
	query->servers = *servers;
	status = make_channel(query);
	if (status == ARES_SUCCESS)
		rc = find_scopes(query, e);
	if (status == ARES_SUCCESS && rc == 0)
		status = set_servers(query);
	if (status != ARES_SUCCESS)
		rc = error_set(e, status == ARES_ENOMEM ? ENOMEM : EINVAL, "cannot set up DNS: %s",
			ares_strerror(status));
	if (rc < 0)
		channel_close(query);
	return rc;
}

void channel_close(struct query *query)
{
	if (query->channel != NULL)
		ares_destroy(query->channel);
	query->channel = NULL;
}
