/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/dns/query.h"

/* Debian 12 has none of the functions that newer versions would rather see. */
#define CARES_NO_DEPRECATED
#include <ares.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Each server is asked this often, and has this long the first time, in milliseconds, then twice as long. */
#define TRY_COUNT 2
#define TRY_TIME 2000

/* Bytes of an answer over UDP that are asked for: what passes every network unfragmented. */
#define UDP_SIZE 1232

/* The longest time that query_timeout() returns, in milliseconds. */
#define TIMEOUT_MAX 60000

/* --- the channel */

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

/* c-ares takes a file that it cannot read for one without servers. */
static int check_readable(const char *resolv_conf, struct error *e)
{
	int fd = open(resolv_conf, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_set_errno(e, errno, "cannot read the DNS servers from %s", resolv_conf);
	(void)close(fd);
	return 0;
}

static int open_channel(struct query *query, char *resolv_conf)
{
	char lookups[] = "b"; /* DNS, and no file */
	struct ares_options options = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS,
		.timeout = TRY_TIME,
		.tries = TRY_COUNT,
		.ednspsz = UDP_SIZE,
		.lookups = lookups,
		.resolvconf_path = resolv_conf,
		.sock_state_cb = watch_socket,
		.sock_state_cb_data = query,
	};
	int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ | ARES_OPT_LOOKUPS |
		   ARES_OPT_RESOLVCONF | ARES_OPT_SOCK_STATE_CB;
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

int query_open(struct query *query, int epoll, const char *resolv_conf, struct error *e)
{
	int rc = check_readable(resolv_conf, e);
	char *path;
	int status;

	if (rc < 0)
		return rc;
	*query = (struct query){.epoll = epoll};
	path = strdup(resolv_conf);
	status = path == NULL ? ARES_ENOMEM : ares_library_init(ARES_LIB_INIT_ALL);
	if (status == ARES_SUCCESS) {
		status = open_channel(query, path);
		if (status != ARES_SUCCESS)
			ares_library_cleanup();
	}
	free(path);
	if (status != ARES_SUCCESS)
		return error_set(e, status == ARES_ENOMEM ? ENOMEM : EINVAL, "cannot use %s: %s", resolv_conf,
			ares_strerror(status));
	return 0;
}

void query_close(struct query *query)
{
	ares_destroy(query->channel);
	ares_library_cleanup();
	query->channel = NULL;
}

/* --- answers */

static enum answer_error error_of(int status)
{
	switch (status) {
	case ARES_SUCCESS:
		return ANSWER_OK;
	case ARES_ENODATA:
		return ANSWER_NODATA;
	case ARES_ENOTFOUND:
		return ANSWER_NXDOMAIN;
	case ARES_ESERVFAIL:
		return ANSWER_SERVFAIL;
	case ARES_EREFUSED:
		return ANSWER_REFUSED;
	case ARES_ETIMEOUT:
		return ANSWER_TIMEOUT;
	case ARES_ECONNREFUSED:
		return ANSWER_UNREACHABLE;
	case ARES_ENOMEM:
		return ANSWER_NO_MEMORY;
	default:
		return ANSWER_MALFORMED;
	}
}

/* One that is above 2^31 - 1 means 0 (RFC 2181 section 8). */
static void add_ttl(struct reply *reply, int ttl)
{
	uint32_t own = ttl > 0 ? (uint32_t)ttl : 0;

	if (reply->count == 0 || own < reply->ttl)
		reply->ttl = own;
}

static int read_ipv4(const unsigned char *bytes, int length, struct reply *reply)
{
	struct ares_addrttl found[ANSWER_FAMILY_MAX];
	int count = ANSWER_FAMILY_MAX;
	int status = ares_parse_a_reply(bytes, length, NULL, found, &count);

	for (int i = 0; status == ARES_SUCCESS && i < count; i++) {
		struct address *address = &reply->addresses[reply->count];

		*address = (struct address){{[10] = 0xff, 0xff}};
		memcpy(address->bytes + 12, &found[i].ipaddr, 4);
		add_ttl(reply, found[i].ttl);
		reply->count++;
	}
	return status;
}

static int read_ipv6(const unsigned char *bytes, int length, struct reply *reply)
{
	struct ares_addr6ttl found[ANSWER_FAMILY_MAX];
	int count = ANSWER_FAMILY_MAX;
	int status = ares_parse_aaaa_reply(bytes, length, NULL, found, &count);

	for (int i = 0; status == ARES_SUCCESS && i < count; i++) {
		struct address *address = &reply->addresses[reply->count];

		memcpy(address->bytes, &found[i].ip6addr, sizeof address->bytes);
		/* An IPv4 address in IPv6's clothes belongs into no answer. */
		if (address_is_ipv4(address))
			continue;
		add_ttl(reply, found[i].ttl);
		reply->count++;
	}
	return status;
}

void query_read(enum family family, const unsigned char *bytes, int length, struct reply *ret_reply)
{
	struct reply reply = {0};
	int status = family == FAMILY_IPV4 ? read_ipv4(bytes, length, &reply) : read_ipv6(bytes, length, &reply);

	if (status == ARES_SUCCESS && reply.count == 0)
		status = ARES_ENODATA;
	reply.error = error_of(status);
	*ret_reply = reply;
}

static void take_answer(void *argument, int status, int timeouts, unsigned char *bytes, int length)
{
	struct question *question = argument;

	(void)timeouts;
	if (status == ARES_SUCCESS)
		query_read(question->family, bytes, length, &question->reply);
	else
		question->reply.error = error_of(status);
	question->done(question);
}

void query_ask(struct query *query, struct question *question, const char *name)
{
	question->reply = (struct reply){0};
	/* Asks for the name as it is: what looks at search lists and files in c-ares are other functions. */
	ares_query(query->channel, name, ns_c_in, question->family == FAMILY_IPV4 ? ns_t_a : ns_t_aaaa, take_answer,
		question);
}

/* --- the loop */

void query_serve(struct query *query, int fd, uint32_t events)
{
	const uint32_t failed = EPOLLERR | EPOLLHUP;

	ares_process_fd(query->channel, (events & (EPOLLIN | failed)) != 0 ? fd : ARES_SOCKET_BAD,
		(events & (EPOLLOUT | failed)) != 0 ? fd : ARES_SOCKET_BAD);
}

void query_tick(struct query *query)
{
	ares_process_fd(query->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

int query_timeout(const struct query *query)
{
	struct timeval left;

	if (ares_timeout(query->channel, NULL, &left) == NULL)
		return -1;
	if (left.tv_sec >= TIMEOUT_MAX / 1000)
		return TIMEOUT_MAX;
	return (int)(left.tv_sec * 1000 + (left.tv_usec + 999) / 1000);
}
