/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a transaction is sent: the whole batch in one sendmsg(), so the kernel has it all or has none of it. The kernel
 * works inside sendmsg() and queues its answers, in the order of the messages: an error for each that it refuses, asked
 * for or not, and an acknowledgement for each that asks. Only the last one asks, so its answer is the end of them all,
 * and a batch without a fault costs one. All are there when sendmsg() returns. The buffers are sized beforehand for the
 * case that every message is refused, past the system's limits where the process may.
 */
#include "redirect/nft/socket.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* The kernel accounts about this much of the receive buffer for one queued answer. */
#define ANSWER_COST 1024u

/* What the kernel itself adds to a message in the send buffer. */
#define SEND_OVERHEAD 4096u

/* The highest errno value that the kernel answers with. */
#define ERRNO_MAX 4095

/* Bytes of an object in words with its NUL. */
#define OBJECT_TEXT_SIZE 256

static int open_socket(int protocol, const char *name, struct nft_socket *ret_socket, struct error *e)
{
	struct nft_socket s = {.mnl = mnl_socket_open2(protocol, SOCK_CLOEXEC)};
	int on = 1;
	int code;

	if (s.mnl == NULL) {
		code = errno == EAFNOSUPPORT ? EPROTONOSUPPORT : errno;
		return error_set_errno(e, code, "cannot open a netlink socket to %s", name);
	}
	/* Not on the stack, where a compiler that probes for clashes would touch all of it, for answers of a few bytes. */
	s.buffer = malloc(NFT_SOCKET_BUFFER_SIZE);
	if (s.buffer == NULL) {
		nft_socket_close(&s);
		return error_set(e, ENOMEM, "no memory for a netlink socket to %s", name);
	}
	if (mnl_socket_bind(s.mnl, 0, MNL_SOCKET_AUTOPID) < 0) {
		code = errno;
		nft_socket_close(&s);
		return error_set_errno(e, code, "cannot bind a netlink socket");
	}
	/* Without CAP_ACK each refusal would carry the refused message; both options are as old as inet nat. */
	(void)mnl_socket_setsockopt(s.mnl, NETLINK_CAP_ACK, &on, sizeof on);
	(void)mnl_socket_setsockopt(s.mnl, NETLINK_EXT_ACK, &on, sizeof on);
	s.port = mnl_socket_get_portid(s.mnl);
	*ret_socket = s;
	return 0;
}

int nft_socket_open(struct nft_socket *ret_socket, struct error *e)
{
	return open_socket(NETLINK_NETFILTER, "netfilter", ret_socket, e);
}

int nft_socket_open_routing(struct nft_socket *ret_socket, struct error *e)
{
	return open_socket(NETLINK_ROUTE, "routing", ret_socket, e);
}

void nft_socket_close(struct nft_socket *socket)
{
	if (socket->mnl != NULL)
		(void)mnl_socket_close(socket->mnl);
	free(socket->buffer);
	socket->mnl = NULL;
	socket->buffer = NULL;
}

/* Makes a socket buffer large enough, by force where the process may, else as far as the system lets it. */
static void size_buffer(int fd, int force_option, int option, size_t bytes)
{
	int size = bytes > INT32_MAX / 2 ? INT32_MAX / 2 : (int)bytes;
	int now = 0;
	socklen_t length = sizeof now;

	/* The kernel doubles what it is told, and reports the double. */
	if (getsockopt(fd, SOL_SOCKET, option, &now, &length) == 0 && now / 2 >= size)
		return;
	if (setsockopt(fd, SOL_SOCKET, force_option, &size, sizeof size) < 0)
		(void)setsockopt(fd, SOL_SOCKET, option, &size, sizeof size);
}

static int send_batch(int fd, const struct nft_batch *batch, struct error *e)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	struct iovec part = {.iov_base = batch->data, .iov_len = batch->size};
	struct msghdr message = {
		.msg_name = &kernel, .msg_namelen = sizeof kernel, .msg_iov = &part, .msg_iovlen = 1};
	int allowed = 0;
	socklen_t length = sizeof allowed;
	ssize_t n;

	size_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, batch->size + SEND_OVERHEAD);
	size_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, batch->count * ANSWER_COST);
	do
		n = sendmsg(fd, &message, 0);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return 0;
	if (errno != EMSGSIZE)
		return error_set_errno(e, errno, "cannot send the transaction");
	(void)getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &allowed, &length);
	return error_set(e, EMSGSIZE,
		"the transaction has %zu bytes, and the socket may hold %d: raise net.core.wmem_max, or grant "
		"CAP_NET_ADMIN in the initial user namespace",
		batch->size, allowed);
}

/* libmnl takes a length over 2 GiB for a negative one, and would go backwards. */
static bool holds_whole_messages(const uint8_t *buffer, size_t size)
{
	while (size >= NLMSG_HDRLEN) {
		uint32_t length = ((const struct nlmsghdr *)(const void *)buffer)->nlmsg_len;

		if (length < NLMSG_HDRLEN || length > size)
			return false;
		if (MNL_ALIGN(length) >= size)
			return true;
		buffer += MNL_ALIGN(length);
		size -= MNL_ALIGN(length);
	}
	return true;
}

static int find_words(const struct nlattr *attribute, void *data)
{
	const char **words = data;

	if (mnl_attr_get_type(attribute) == NLMSGERR_ATTR_MSG && mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) >= 0)
		*words = mnl_attr_get_str(attribute);
	return MNL_CB_OK;
}

/* The kernel's own words in an extended acknowledgement, or NULL. */
static const char *kernel_words(const struct nlmsghdr *message)
{
	const struct nlmsgerr *error = mnl_nlmsg_get_payload(message);
	size_t offset = sizeof *error;
	const char *words = NULL;

	if ((message->nlmsg_flags & NLM_F_ACK_TLVS) == 0)
		return NULL;
	if ((message->nlmsg_flags & NLM_F_CAPPED) == 0)
		offset += mnl_nlmsg_get_payload_len(&error->msg);
	if (offset < mnl_nlmsg_get_payload_len(message))
		(void)mnl_attr_parse(message, (unsigned)offset, find_words, &words);
	return words;
}

/* What has come back so far for a batch. */
struct answers {
	bool complete; /* the last message's was among it */
	int code;      /* of the first refusal, in the order of the messages */
	size_t refused;
};

static int not_understood(struct error *e)
{
	return error_set(e, EPROTO, "the kernel answered a transaction with something else");
}

static int take_answer(const struct nft_batch *batch, const struct nlmsghdr *message, struct answers *answers,
	struct error *e)
{
	const struct nlmsgerr *error = mnl_nlmsg_get_payload(message);
	size_t index = message->nlmsg_seq - batch->sequence;
	char text[OBJECT_TEXT_SIZE];
	const char *words;

	if (message->nlmsg_type != NLMSG_ERROR || message->nlmsg_len < mnl_nlmsg_size(sizeof *error) ||
		index >= batch->count || error->error > 0 || error->error < -ERRNO_MAX)
		return not_understood(e);
	answers->complete |= index == batch->count - 2;
	if (error->error == 0 || (answers->code != 0 && index >= answers->refused))
		return 0;
	answers->code = error->error;
	answers->refused = index;
	words = kernel_words(message);
	(void)nft_object_format(text, sizeof text, &batch->objects[index]);
	(void)error_set_errno(e, -error->error, "the kernel refused %s%s%s", text, words != NULL ? ": " : "",
		words != NULL ? words : "");
	return 0;
}

int nft_socket_commit(struct nft_socket *socket, const struct nft_batch *batch, struct nft_object *ret_refused,
	struct error *e)
{
	int fd = mnl_socket_get_fd(socket->mnl);
	struct answers answers = {0};
	int rc = send_batch(fd, batch, e);

	if (rc < 0)
		return rc;
	while (!answers.complete) {
		ssize_t n = recv(fd, socket->buffer, NFT_SOCKET_BUFFER_SIZE, MSG_DONTWAIT);
		int left = (int)n;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == ENOBUFS)) {
			/* A refusal of the transaction as a whole is the last word; else some were lost. */
			if (answers.code != 0)
				break;
			return error_set(e, ENOBUFS, "acknowledgements of the transaction were lost");
		}
		if (n < 0)
			return error_set_errno(e, errno, "cannot read the acknowledgements of the transaction");
		if (!holds_whole_messages(socket->buffer, (size_t)n))
			return not_understood(e);
		for (const struct nlmsghdr *m = (const void *)socket->buffer; mnl_nlmsg_ok(m, left);
			m = mnl_nlmsg_next(m, &left)) {
			rc = take_answer(batch, m, &answers, e);
			if (rc < 0)
				return rc;
		}
	}
	if (answers.code != 0)
		*ret_refused = batch->objects[answers.refused];
	return answers.code;
}

/* Passes mnl's conventions (errno and -1) over a reader that follows ours. */
struct reading {
	nft_object_reader *reader;
	void *context;
	int rc;
};

static int read_object(const struct nlmsghdr *message, void *data)
{
	struct reading *reading = data;

	reading->rc = reading->reader(message, reading->context);
	return reading->rc < 0 ? MNL_CB_ERROR : MNL_CB_OK;
}

int nft_socket_read(struct nft_socket *socket, struct nlmsghdr *request, nft_object_reader *reader, void *context)
{
	struct reading reading = {reader, context, 0};
	int state = MNL_CB_OK;
	ssize_t sent;

	request->nlmsg_seq = ++socket->sequence;
	do
		sent = mnl_socket_sendto(socket->mnl, request, request->nlmsg_len);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return -errno;
	while (state > MNL_CB_STOP) {
		ssize_t n = mnl_socket_recvfrom(socket->mnl, socket->buffer, NFT_SOCKET_BUFFER_SIZE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!holds_whole_messages(socket->buffer, (size_t)n))
			return -EPROTO;
		errno = 0;
		state = mnl_cb_run(socket->buffer, (size_t)n, socket->sequence, socket->port, read_object, &reading);
		if (state < 0)
			return reading.rc < 0 ? reading.rc : errno > 0 && errno <= ERRNO_MAX ? -errno : -EPROTO;
	}
	return 0;
}
