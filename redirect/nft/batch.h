/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One nf_tables transaction as a row of netlink messages in memory. Each message knows the object that it is about, so
 * that a refusal can be told in words.
 */
#ifndef WEIR_NFT_BATCH_H
#define WEIR_NFT_BATCH_H

#include "redirect/base/error.h"

#include <libmnl/libmnl.h>
#include <stddef.h>
#include <stdint.h>

/* No message is longer: the kernel reads an attribute's length as 16 bits. */
#define NFT_MESSAGE_MAX 65536u

/* What a message is about. The texts are borrowed. */
struct nft_object {
	const char *kind;   /* "table", "set", "elements of set", "chain", "rule", ... */
	const char *name;   /* its name; of a rule, its chain's */
	size_t index;       /* of a rule in its chain, counted from 1; else 0 */
	const char *detail; /* a rule's comment, or NULL */
};

struct nft_batch {
	uint8_t *data; /* owned */
	size_t size;
	size_t capacity;
	size_t last;       /* where the last message begins, the end not counted */
	uint32_t sequence; /* of the batch's first message; the following ones count up */
	struct nft_object *objects; /* one a message, the batch's begin and end included; owned */
	size_t count;
	size_t object_capacity;
};

/* Starts an empty transaction. Returns 0 or -ENOMEM; then, too, nft_batch_free() must be called. */
int nft_batch_init(struct nft_batch *batch);

/*
 * Appends an nf_tables message of the inet family, and returns it for its attributes to be put, of up
 * to NFT_MESSAGE_MAX bytes in all; nft_batch_finish_message() must follow. Returns NULL when memory is out.
 */
struct nlmsghdr *nft_batch_message(struct nft_batch *batch, uint16_t type, uint16_t flags, struct nft_object object);

/* Takes a message, with the attributes that it got, into the batch. */
void nft_batch_finish_message(struct nft_batch *batch, const struct nlmsghdr *message);

/* Closes the transaction, whose last message gets NLM_F_ACK. Returns 0 or -ENOMEM. */
int nft_batch_end(struct nft_batch *batch);

/* Frees the memory. */
void nft_batch_free(struct nft_batch *batch);

/* Writes an nf_tables message's headers at `buffer`. */
struct nlmsghdr *nft_message_init(void *buffer, uint16_t type, uint16_t flags, uint32_t sequence);

/* Writes what an object is in words: `rule 3 of chain outbound ("bypass: excludeOutboundPorts")`. Returns `out`. */
const char *nft_object_format(char *out, size_t size, const struct nft_object *object);

#endif
