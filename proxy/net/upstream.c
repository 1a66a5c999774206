/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/upstream.h"

#include "proxy/net/destination.h"
#include "proxy/net/limit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A name that a connection waits for. */
struct lookup {
	struct resolver_wait wait;
	uint32_t index;
	uint32_t generation;
	char name[]; /* the wait borrows it */
};

void upstream_waiter(const struct resolver_wait *wait, uint32_t *ret_index, uint32_t *ret_generation)
{
	const struct lookup *lookup = (const struct lookup *)((const char *)wait - offsetof(struct lookup, wait));

	*ret_index = lookup->index;
	*ret_generation = lookup->generation;
}

void upstream_forget_lookup(struct connection *connection, const struct connection_context *context)
{
	if (connection->lookup == NULL)
		return;
	resolver_cancel(context->resolver, &connection->lookup->wait);
	answer_unref(connection->lookup->wait.answer);
	free(connection->lookup);
	connection->lookup = NULL;
}

void upstream_lookup(struct connection *connection, struct connection_context *context, const char *name)
{
	size_t size = strlen(name) + 1;
	struct lookup *lookup;

	upstream_forget_lookup(connection, context);
	lookup = context->resolver != NULL ? calloc(1, sizeof *lookup + size) : NULL;
	if (lookup == NULL)
		return;
	memcpy(lookup->name, name, size);
	lookup->index = connection->index;
	lookup->generation = connection->generation;
	connection->lookup = lookup;
	if (resolver_lookup(context->resolver, context->resolved, &lookup->wait, lookup->name) <= 0)
		upstream_forget_lookup(connection, context);
}

bool upstream_is_of(const struct connection *connection, const struct connection_context *context, const char *name,
	bool *ret_unknown)
{
	const struct answer *answer = context->resolver != NULL ? resolver_find(context->resolver, name) : NULL;
	bool has = answer != NULL && answer_has(answer, &connection->facts.destination.address);

	*ret_unknown = answer == NULL || answer->state == ANSWER_NONE;
	answer_unref(answer);
	return has;
}

/* The first name of the cluster's that nobody has answered yet. */
static const char *find_unknown(const struct policy_cluster *cluster, struct resolver *resolver)
{
	for (uint32_t i = 0; i < cluster->endpoint_count; i++) {
		const char *name = cluster->endpoints[i].name;
		const struct answer *answer = name != NULL ? resolver_find(resolver, name) : NULL;
		bool unknown = name != NULL && (answer == NULL || answer->state == ANSWER_NONE);

		answer_unref(answer);
		if (unknown)
			return name;
	}
	return NULL;
}

enum dial_result upstream_find(struct connection *connection, struct connection_context *context)
{
	struct facts *facts = &connection->facts;
	enum dial_result result = dial_pick(connection->cluster, &facts->destination, context->resolver, context->turn++,
		&facts->upstream);
	const char *name = result == DIAL_UNKNOWN && context->resolver != NULL
				   ? find_unknown(connection->cluster, context->resolver)
				   : NULL;

	if (result != DIAL_UNKNOWN)
		return result;
	if (name != NULL)
		upstream_lookup(connection, context, name);
	return connection->lookup != NULL ? DIAL_UNKNOWN : DIAL_NOWHERE;
}

static void learn_local(struct connection *connection)
{
	struct sockaddr_storage storage;
	socklen_t length = sizeof storage;

	if (getsockname(connection->upstream.fd, (struct sockaddr *)&storage, &length) == 0 &&
		endpoint_from_sockaddr(&storage, &connection->facts.upstream_local) == 0)
		destination_remember(&connection->facts.upstream_local, &connection->facts.upstream);
}

/* The spare socket is of the family that the client came by. */
static int take_socket(const struct facts *facts, int *spare)
{
	bool ipv4 = address_is_ipv4(&facts->upstream.address);
	int fd = *spare;

	if (fd < 0 || ipv4 != address_is_ipv4(&facts->source.address))
		return side_socket(ipv4 ? AF_INET : AF_INET6);
	*spare = -1;
	return fd;
}

int upstream_connect(struct connection *connection, const struct connection_context *context, int *spare)
{
	struct sockaddr_storage storage;
	socklen_t length = endpoint_to_sockaddr(&connection->facts.upstream, &storage);
	int fd = take_socket(&connection->facts, spare);

	connection->facts.has_upstream = true;
	connection->facts.has_upstream_local = false;
	if (fd < 0)
		return fd;
	connection->upstream = (struct side){.fd = fd};
	connection->keeps_alive = limit_keep_alive(connection->cluster, &connection->upstream);
	/* The handshake's last packet may wait for the first bytes, which mostly are there already: see relay_start(). */
	side_set_acknowledging(&connection->upstream, false);
	if (connect(fd, (struct sockaddr *)&storage, length) < 0 && errno != EINPROGRESS)
		return -errno;
	learn_local(connection);
	return connection_watch(connection, context, true, SIDE_EDGES | EPOLLOUT);
}

/* A socket that is merely writable has got through. */
int upstream_result(const struct connection *connection, uint32_t events)
{
	int code = 0;
	socklen_t length = sizeof code;

	if ((events & (EPOLLERR | EPOLLHUP)) != 0 &&
		getsockopt(connection->upstream.fd, SOL_SOCKET, SO_ERROR, &code, &length) < 0)
		code = errno;
	return code;
}

void upstream_drop(struct connection *connection)
{
	if (connection->upstream.fd >= 0)
		destination_forget(&connection->facts.upstream_local);
	side_close(&connection->upstream);
	connection->upstream = (struct side){.fd = -1};
	connection->facts.has_upstream_local = false;
}
