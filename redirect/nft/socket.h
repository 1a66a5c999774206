/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A netlink socket to nf_tables: sends one transaction and reads every answer, or reads objects back.
 */
#ifndef WEIR_NFT_SOCKET_H
#define WEIR_NFT_SOCKET_H

#include "redirect/base/error.h"
#include "redirect/nft/batch.h"

#include <libmnl/libmnl.h>
#include <stdint.h>

/* Bytes received at once: the kernel fills dump answers up to 32 KiB when it sees that there is room. */
#define NFT_SOCKET_BUFFER_SIZE 65536u

struct nft_socket {
	struct mnl_socket *mnl;
	uint8_t *buffer; /* of NFT_SOCKET_BUFFER_SIZE, for what comes in; owned */
	uint32_t port;
	uint32_t sequence; /* of the last request */
};

/* Opens the socket in the thread's network namespace. Returns 0, -EPROTONOSUPPORT without nf_tables, or -errno. */
int nft_socket_open(struct nft_socket *ret_socket, struct error *e);

/* Opens a socket to routing there, for nft_socket_read(). Returns 0 or -errno. */
int nft_socket_open_routing(struct nft_socket *ret_socket, struct error *e);

/* Closes it. Where a transaction deleted a table, this waits some milliseconds for the kernel's grace period. */
void nft_socket_close(struct nft_socket *socket);

/*
 * Sends a finished batch as one message and reads all that the kernel answers. Returns 0 when it has committed; else
 * -errno of the first message that it refused, `*ret_refused` being that message's object. -ENOBUFS means that answers
 * were lost, and that nobody knows: read back.
 */
int nft_socket_commit(struct nft_socket *socket, const struct nft_batch *batch, struct nft_object *ret_refused,
	struct error *e);

/* Called for each object of an answer. Returns 0, or -errno, which ends the reading. */
typedef int nft_object_reader(const struct nlmsghdr *message, void *context);

/*
 * Sends one request (built by nft_message_init, or of routing) and hands each object of the answer to `reader`. Returns 0, -EINTR
 * where the rules changed while they were read (the reader may have seen some), or -errno.
 */
int nft_socket_read(struct nft_socket *socket, struct nlmsghdr *request, nft_object_reader *reader, void *context);

#endif
