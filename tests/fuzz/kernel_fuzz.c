/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel that lies: what the netlink socket answers, to a reading of the table (first byte even) or to a transaction
 * (odd). The answers stand one behind the other, each with its length in front, in two bytes, the lower one first. The
 * numbers by which an answer is known for ours are put right, or nothing else would ever be looked at.
 */
#include "tests/fuzz/fuzz.h"

#include "redirect/nft/compare.h"
#include "redirect/nft/encode.h"
#include "redirect/nft/socket.h"
#include "redirect/nft/state.h"
#include "redirect/plan/plan.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define PORT 4711

static const uint8_t *next;
static const uint8_t *end;
static uint8_t room[NFT_SOCKET_BUFFER_SIZE] __attribute__((aligned(NLMSG_ALIGNTO)));
static struct nft_socket netlink = {.buffer = room, .port = PORT};
static struct redirect_plan plan;
static struct ruleset want;

/* Fills one answer in. Returns its size, or -1 with EAGAIN when there are no more. */
static ssize_t answer(void *buffer, size_t size)
{
	size_t length;
	int left;

	if (end - next < 2) {
		errno = EAGAIN;
		return -1;
	}
	length = (size_t)next[0] | (size_t)next[1] << 8;
	next += 2;
	length = length < (size_t)(end - next) ? length : (size_t)(end - next);
	length = length < size ? length : size;
	memcpy(buffer, next, length);
	next += length;
	left = (int)length;
	for (struct nlmsghdr *m = buffer; mnl_nlmsg_ok(m, left) && m->nlmsg_len <= length; m = mnl_nlmsg_next(m, &left)) {
		m->nlmsg_pid = PORT;
		if (netlink.sequence != 0)
			m->nlmsg_seq = netlink.sequence;
	}
	return (ssize_t)length;
}

/* --- in place of libmnl's and the C library's */

ssize_t mnl_socket_sendto(const struct mnl_socket *socket, const void *request, size_t length)
{
	(void)socket;
	(void)request;
	return (ssize_t)length;
}

ssize_t mnl_socket_recvfrom(const struct mnl_socket *socket, void *buffer, size_t size)
{
	(void)socket;
	return answer(buffer, size);
}

int mnl_socket_get_fd(const struct mnl_socket *socket)
{
	(void)socket;
	return -1;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	(void)fd;
	(void)flags;
	return (ssize_t)message->msg_iov[0].iov_len;
}

ssize_t recv(int fd, void *buffer, size_t size, int flags)
{
	(void)fd;
	(void)flags;
	return answer(buffer, size);
}

/* --- the two ways in */

static void check_difference(void *context, const struct nft_difference *difference)
{
	char text[NFT_DIFFERENCE_SIZE];

	(void)context;
	FUZZ_CHECK(nft_difference_format(text, difference)[0] != '\0');
}

static void read_table(void)
{
	struct nft_differences differences = {.listener = check_difference};
	struct nft_state state;
	struct error e = {.text = ""};
	int rc;

	netlink.sequence = 0;
	rc = nft_state_read(&netlink, &state, &e);
	FUZZ_CHECK(rc <= 0 && (rc == 0) == (e.text[0] == '\0'));
	if (rc == 0)
		FUZZ_CHECK(nft_compare(&want, &state, &differences) == 0);
	nft_state_free(&state);
}

static void commit(void)
{
	struct nft_object refused = {.kind = NULL};
	struct error e = {.text = ""};
	struct nft_batch batch;
	int rc;

	FUZZ_CHECK(nft_batch_init(&batch) == 0 && nft_encode_ruleset(&want, true, &batch) == 0 && nft_batch_end(&batch) == 0);
	netlink.sequence = 0;
	rc = nft_socket_commit(&netlink, &batch, &refused, &e);
	FUZZ_CHECK(rc <= 0 && (rc == 0) == (e.text[0] == '\0'));
	nft_batch_free(&batch);
}

/* The rules that the corpus's answers were recorded from. */
static void make_rules(void)
{
	static const char *const lists[][2] = {{"10.0.0.0/8,2001:db8::/32", "10.1.0.0/16"}};
	static struct plan_report report;
	struct settings settings;

	settings_init_for_flags(&settings);
	settings_set(&settings, SETTING_INCLUDE_OUTBOUND_IP_RANGES, SETTING_WAY_FLAG, "i", lists[0][0], strlen(lists[0][0]));
	settings_set(&settings, SETTING_EXCLUDE_OUTBOUND_IP_RANGES, SETTING_WAY_FLAG, "x", lists[0][1], strlen(lists[0][1]));
	settings_set(&settings, SETTING_EXCLUDE_OUTBOUND_PORTS, SETTING_WAY_FLAG, "o", "80,443", 6);
	settings_set(&settings, SETTING_EXCLUDE_INTERFACES, SETTING_WAY_FLAG, "c", "eth+", 4);
	FUZZ_CHECK(plan_build(&settings, &plan, &report) == 0);
	ruleset_build(&plan, NULL, &want);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (want.chain_count == 0)
		make_rules();
	if (size == 0)
		return 0;
	next = data + 1;
	end = data + size;
	if (data[0] % 2 == 0)
		read_table();
	else
		commit();
	return 0;
}
