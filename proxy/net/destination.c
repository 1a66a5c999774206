/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The proxy's own connections are remembered in one slot for each local port: a hash of both ends. Two connections that
 * share a local port share the slot, and the later one is remembered; a loop shows itself within one more round.
 */
#include "proxy/net/destination.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>

/* SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST; the kernel's headers for them clash with netinet/in.h. */
#define ORIGINAL_DST 80

static _Atomic uint32_t own[65536];

int destination_original(int fd, const struct endpoint *source, struct endpoint *ret_destination)
{
	struct sockaddr_storage storage;
	socklen_t length = sizeof storage;
	int level = address_is_ipv4(&source->address) ? SOL_IP : SOL_IPV6;

	if (getsockopt(fd, level, ORIGINAL_DST, &storage, &length) == 0)
		return endpoint_from_sockaddr(&storage, ret_destination);
	length = sizeof storage;
	if (getsockname(fd, (struct sockaddr *)&storage, &length) < 0)
		return -errno;
	return endpoint_from_sockaddr(&storage, ret_destination);
}

/* FNV-1a over both ends; never 0, which is an empty slot. */
static uint32_t hash(const struct endpoint *local, const struct endpoint *remote)
{
	uint8_t bytes[16 + 16 + 2];
	uint32_t h = 2166136261u;

	memcpy(bytes, local->address.bytes, 16);
	memcpy(bytes + 16, remote->address.bytes, 16);
	bytes[32] = (uint8_t)(remote->port >> 8);
	bytes[33] = (uint8_t)remote->port;
	for (size_t i = 0; i < sizeof bytes; i++)
		h = (h ^ bytes[i]) * 16777619u;
	return h | 1u;
}

void destination_remember(const struct endpoint *local, const struct endpoint *remote)
{
	atomic_store_explicit(&own[local->port], hash(local, remote), memory_order_relaxed);
}

void destination_forget(const struct endpoint *local)
{
	atomic_store_explicit(&own[local->port], 0, memory_order_relaxed);
}

bool destination_is_own(const struct endpoint *source, const struct endpoint *destination)
{
	return atomic_load_explicit(&own[source->port], memory_order_relaxed) == hash(source, destination);
}
