/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/dns/query.h"

#include "proxy/dns/channel.h"

/* Debian 12 has none of the functions that newer versions would rather see. */
#define CARES_NO_DEPRECATED
#include <ares.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

/* The longest time that query_timeout() returns, in milliseconds. */
#define TIMEOUT_MAX 60000

/* --- begin and end */

int query_open(int epoll, const struct servers *servers, struct query **ret_query, struct error *e)
{
	struct query *query = calloc(1, sizeof *query);
	int rc;

	if (query == NULL)
		return error_set(e, ENOMEM, "no memory for DNS");
	query->epoll = epoll;
	rc = channel_open(query, servers, e);
	if (rc < 0)
		free(query);
	else
		*ret_query = query;
	return rc;
}

void query_close(struct query *query)
{
	if (query == NULL)
		return;
	channel_close(query);
	free(query);
}

bool query_is_idle(const struct query *query)
{
	return query->asked == 0;
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

/* One that is above 2^31 - 1 means 0 (RFC 2181 section 8); newer versions of c-ares make 2^31 - 1 of it. */
static void add_ttl(struct reply *reply, int ttl)
{
	uint32_t own = ttl > 0 && ttl < INT_MAX ? (uint32_t)ttl : 0;

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
	question->query->asked--;
	if (status == ARES_SUCCESS)
		query_read(question->family, bytes, length, &question->reply);
	else
		question->reply.error = error_of(status);
	question->done(question);
}

void query_ask(struct query *query, struct question *question, const char *name)
{
	question->reply = (struct reply){0};
	question->query = query;
	query->asked++;
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
