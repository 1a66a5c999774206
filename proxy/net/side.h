/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One side of a connection: a socket, what epoll has said about it, and the bytes that it has not taken yet.
 *
 * A socket is registered with epoll once, for edges. What was reported is remembered as `readable` until a short read
 * shows that the socket is dry; only a side that owes bytes asks for more.
 */
#ifndef WEIR_PROXY_SIDE_H
#define WEIR_PROXY_SIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/types.h>
#include <sys/uio.h>

/* What every socket is watched for; one that connects, or owes bytes, for EPOLLOUT as well. */
#define SIDE_EDGES (EPOLLIN | EPOLLRDHUP | EPOLLET)

struct side {
	int fd;           /* -1: closed */
	uint32_t watched; /* the events that epoll reports; 0: not registered */
	bool readable;    /* epoll said so, and it has not been read dry since */
	bool ending;      /* its peer has sent its last byte: whoever reads it dry has reached the end */
	bool broken;      /* epoll reported an error: reading on tells which */
	bool read_ended;  /* no more bytes will come from it */
	bool write_ended; /* its peer was told that no more will go to it */
	bool was_written; /* bytes have gone to it */
	bool no_delay;    /* small pieces go out without waiting for the last one's acknowledgement (TCP_NODELAY) */
	uint8_t *pending; /* bytes to write that it did not take; owned, mostly NULL */
	uint32_t pending_size;
	uint32_t pending_start;
};

/* Makes a socket to connect with, of AF_INET or AF_INET6. Returns its descriptor, or -errno. */
int side_socket(int family);

/* Registers the socket, or asks again: what holds just now is reported once more. Returns 0 or -errno. */
int side_watch(struct side *side, int epoll, uint32_t events, uint64_t reference);

/* Remembers what epoll has reported. */
void side_take_events(struct side *side, uint32_t events);

/* Reads once, and remembers what that says of the socket. Returns the bytes; 0 at the end; -errno, -EAGAIN when dry. */
ssize_t side_read(struct side *side, uint8_t *data, size_t size);

/*
 * Writes, and keeps what the socket does not take. With `last`, side_end() will follow, and the last bytes wait for it,
 * to share a packet. Returns the bytes that went out, or -errno; -ENOMEM where the rest could not be kept.
 */
ssize_t side_write(struct side *side, const uint8_t *data, size_t size, bool last);

/* As side_write(), for pieces that follow each other; behind what is pending already. Returns 0 or -errno. */
int side_write_pieces(struct side *side, struct iovec *pieces, unsigned count);

/* Writes of what was kept. Returns the bytes that went out, or -errno. */
ssize_t side_write_pending(struct side *side);

/* Tells the peer that no more will come; once. Nothing may be pending. */
void side_end(struct side *side);

/*
 * Whether a connecting socket acknowledges the handshake's last packet but one at once, or with the first bytes.
 * Switched on later, what has been held back goes out.
 */
void side_set_acknowledging(const struct side *side, bool at_once);

/*
 * Lets the kernel probe the peer after a silence of so many seconds, and then at an interval, until it is known to be
 * gone, which it is when so many probes went unanswered. Zeros are what the kernel is set to.
 */
void side_keep_alive(const struct side *side, int seconds, int interval, int probes);

/* Makes side_close() send a reset, not an orderly end. */
void side_reset(const struct side *side);

/* Closes the socket and frees what is pending. */
void side_close(struct side *side);

#endif
