/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

/* Connections that may wait to be accepted; the kernel cuts it to net.core.somaxconn. */
#define BACKLOG 4096

static int open_one(const struct sockaddr *address, socklen_t length)
{
	int on = 1;
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int code;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0 &&
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) == 0 &&
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&
		(address->sa_family == AF_INET || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0) &&
		bind(fd, address, length) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	code = errno;
	(void)close(fd);
	return -code;
}

int listener_open(uint16_t port, int ret_fds[LISTENER_COUNT], struct error *e)
{
	struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int fd4 = open_one((struct sockaddr *)&in4, sizeof in4);
	int fd6 = open_one((struct sockaddr *)&in6, sizeof in6);

	if (fd4 < 0) {
		if (fd6 >= 0)
			(void)close(fd6);
		return error_set_errno(e, -fd4, "cannot listen on port %u", port);
	}
	if (fd6 < 0 && fd6 != -EAFNOSUPPORT && fd6 != -EADDRNOTAVAIL) {
		(void)close(fd4);
		return error_set_errno(e, -fd6, "cannot listen on port %u of IPv6", port);
	}
	ret_fds[LISTENER_IPV4] = fd4;
	ret_fds[LISTENER_IPV6] = fd6 >= 0 ? fd6 : -1;
	return 0;
}

int listener_accept(int fd, struct endpoint *ret_source)
{
	struct sockaddr_storage source;
	socklen_t length = sizeof source;
	int accepted = accept4(fd, (struct sockaddr *)&source, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (accepted < 0)
		return -errno;
	if (endpoint_from_sockaddr(&source, ret_source) == 0)
		return accepted;
	(void)close(accepted);
	return -ECONNABORTED;
}
