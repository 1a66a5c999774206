/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/side.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int side_socket(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd >= 0 ? fd : -errno;
}

int side_watch(struct side *side, int epoll, uint32_t events, uint64_t reference)
{
	struct epoll_event event = {.events = events, .data.u64 = reference};

	if (epoll_ctl(epoll, side->watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, side->fd, &event) < 0)
		return -errno;
	side->watched = events;
	return 0;
}

void side_take_events(struct side *side, uint32_t events)
{
	if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
		side->readable = true;
	if ((events & EPOLLERR) != 0)
		side->broken = true;
	else if ((events & EPOLLRDHUP) != 0)
		side->ending = true;
}

ssize_t side_read(struct side *side, uint8_t *data, size_t size)
{
	ssize_t n;
	bool dry;

	do
		n = recv(side->fd, data, size, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		n = -errno;
	/* A short read has emptied the socket: asking again would cost a system call to hear so. */
	dry = n > 0 && (size_t)n < size && !side->broken;
	if (n == 0 || (dry && side->ending))
		side->read_ended = true;
	else if (n == -EAGAIN || dry)
		side->readable = false;
	return n;
}

/* The first write finds nothing unacknowledged, and goes out at once in any case: many a socket sees no other. */
static void prepare_write(struct side *side)
{
	int on = 1;

	if (side->was_written && !side->no_delay) {
		(void)setsockopt(side->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		side->no_delay = true;
	}
	side->was_written = true;
}

static ssize_t write_some(struct side *side, const uint8_t *data, size_t size, bool last)
{
	ssize_t n;

	prepare_write(side);
	do
		n = send(side->fd, data, size, MSG_NOSIGNAL | (last ? MSG_MORE : 0));
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	return errno == EAGAIN ? 0 : -errno;
}

ssize_t side_write(struct side *side, const uint8_t *data, size_t size, bool last)
{
	ssize_t n = write_some(side, data, size, last);
	size_t rest = n >= 0 ? size - (size_t)n : 0;

	if (rest == 0)
		return n;
	side->pending = malloc(rest);
	if (side->pending == NULL)
		return -ENOMEM;
	memcpy(side->pending, data + n, rest);
	side->pending_size = (uint32_t)rest;
	side->pending_start = 0;
	return n;
}

/* Keeps what of the pieces is behind the first `written` bytes, behind what is kept already. */
static int keep_pieces(struct side *side, const struct iovec *pieces, unsigned count, size_t written)
{
	size_t size = 0;
	uint8_t *kept;

	for (unsigned i = 0; i < count; i++)
		size += pieces[i].iov_len;
	size -= written;
	if (size == 0)
		return 0;
	kept = malloc(side->pending_size + size);
	if (kept == NULL)
		return -ENOMEM;
	if (side->pending_size > 0)
		memcpy(kept, side->pending + side->pending_start, side->pending_size);
	free(side->pending);
	side->pending = kept;
	side->pending_start = 0;
	for (unsigned i = 0; i < count; i++) {
		size_t skip = written < pieces[i].iov_len ? written : pieces[i].iov_len;

		memcpy(kept + side->pending_size, (const uint8_t *)pieces[i].iov_base + skip, pieces[i].iov_len - skip);
		side->pending_size += (uint32_t)(pieces[i].iov_len - skip);
		written -= skip;
	}
	return 0;
}

int side_write_pieces(struct side *side, struct iovec *pieces, unsigned count)
{
	struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
	ssize_t n = 0;

	if (count == 1 && side->pending_size == 0) {
		n = side_write(side, pieces[0].iov_base, pieces[0].iov_len, false);
		return n < 0 ? (int)n : 0;
	}
	if (side->pending_size == 0) {
		prepare_write(side);
		do
			n = sendmsg(side->fd, &message, MSG_NOSIGNAL);
		while (n < 0 && errno == EINTR);
		if (n < 0 && errno != EAGAIN)
			return -errno;
	}
	return keep_pieces(side, pieces, count, n > 0 ? (size_t)n : 0);
}

ssize_t side_write_pending(struct side *side)
{
	ssize_t n = write_some(side, side->pending + side->pending_start, side->pending_size, false);

	if (n < 0)
		return n;
	side->pending_start += (uint32_t)n;
	side->pending_size -= (uint32_t)n;
	if (side->pending_size == 0) {
		free(side->pending);
		side->pending = NULL;
	}
	return n;
}

void side_end(struct side *side)
{
	if (side->write_ended)
		return;
	(void)shutdown(side->fd, SHUT_WR);
	side->write_ended = true;
}

void side_set_acknowledging(const struct side *side, bool at_once)
{
	int on = at_once;

	(void)setsockopt(side->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

void side_keep_alive(const struct side *side, int seconds, int interval, int probes)
{
	int on = 1;

	(void)setsockopt(side->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	if (seconds > 0)
		(void)setsockopt(side->fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
	if (interval > 0)
		(void)setsockopt(side->fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
	if (probes > 0)
		(void)setsockopt(side->fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

void side_reset(const struct side *side)
{
	const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

	if (side->fd >= 0)
		(void)setsockopt(side->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void side_close(struct side *side)
{
	if (side->fd >= 0)
		(void)close(side->fd);
	side->fd = -1;
	side->watched = 0;
	free(side->pending);
	side->pending = NULL;
	side->pending_size = 0;
}
