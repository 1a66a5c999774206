/* SPDX-License-Identifier: Apache-2.0 */
#include "redirect/nft/batch.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int reserve(struct nft_batch *batch)
{
	if (batch->capacity - batch->size < 2 * NFT_MESSAGE_MAX) {
		size_t capacity = batch->capacity * 2 + 4 * NFT_MESSAGE_MAX;
		uint8_t *data = realloc(batch->data, capacity);

		if (data == NULL)
			return -ENOMEM;
		batch->data = data;
		batch->capacity = capacity;
	}
	if (batch->count == batch->object_capacity) {
		size_t capacity = batch->object_capacity * 2 + 64;
		struct nft_object *objects = realloc(batch->objects, capacity * sizeof *objects);

		if (objects == NULL)
			return -ENOMEM;
		batch->objects = objects;
		batch->object_capacity = capacity;
	}
	return 0;
}

static struct nlmsghdr *put_headers(void *buffer, uint16_t type, uint16_t flags, uint32_t sequence, uint8_t family,
	uint16_t resource)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *header;

	message->nlmsg_type = type;
	message->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	message->nlmsg_seq = sequence;
	header = mnl_nlmsg_put_extra_header(message, sizeof *header);
	header->nfgen_family = family;
	header->version = NFNETLINK_V0;
	header->res_id = htons(resource);
	return message;
}

struct nlmsghdr *nft_message_init(void *buffer, uint16_t type, uint16_t flags, uint32_t sequence)
{
	return put_headers(buffer, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, sequence, NFPROTO_INET, 0);
}

static int add_delimiter(struct nft_batch *batch, uint16_t type)
{
	struct nlmsghdr *message;
	uint32_t sequence;

	if (reserve(batch) < 0)
		return -ENOMEM;
	sequence = batch->sequence + (uint32_t)batch->count;
	message = put_headers(batch->data + batch->size, type, 0, sequence, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	batch->objects[batch->count++] = (struct nft_object){.kind = "transaction", .name = ""};
	batch->size += message->nlmsg_len;
	return 0;
}

int nft_batch_init(struct nft_batch *batch)
{
	*batch = (struct nft_batch){.sequence = 1};
	return add_delimiter(batch, NFNL_MSG_BATCH_BEGIN);
}

struct nlmsghdr *nft_batch_message(struct nft_batch *batch, uint16_t type, uint16_t flags, struct nft_object object)
{
	uint32_t sequence;

	if (reserve(batch) < 0)
		return NULL;
	sequence = batch->sequence + (uint32_t)batch->count;
	batch->objects[batch->count++] = object;
	return nft_message_init(batch->data + batch->size, type, flags, sequence);
}

void nft_batch_finish_message(struct nft_batch *batch, const struct nlmsghdr *message)
{
	batch->last = batch->size;
	batch->size += MNL_ALIGN(message->nlmsg_len);
}

int nft_batch_end(struct nft_batch *batch)
{
	struct nlmsghdr *last = (void *)(batch->data + batch->last);

	assert(batch->count > 1);
	last->nlmsg_flags |= NLM_F_ACK;
	return add_delimiter(batch, NFNL_MSG_BATCH_END);
}

void nft_batch_free(struct nft_batch *batch)
{
	free(batch->data);
	free(batch->objects);
	*batch = (struct nft_batch){0};
}

const char *nft_object_format(char *out, size_t size, const struct nft_object *object)
{
	if (object->index > 0)
		(void)snprintf(out, size, "%s %zu of chain %s (\"%s\")", object->kind, object->index, object->name,
			object->detail != NULL ? object->detail : "");
	else
		(void)snprintf(out, size, "%s%s%s", object->kind, *object->name != '\0' ? " " : "", object->name);
	return out;
}
