/* SPDX-License-Identifier: Apache-2.0 */
/*
 * floor - the least that a CNI plugin of this kind can do: it reads stdin, enters the namespace CNI_NETNS, makes one
 * round trip to nf_tables there, and exits. What a real plugin takes beyond this is its own doing. Plain sockets and
 * no library, and nothing shared with the other programs here, so that nothing else is in the time.
 */
#include <fcntl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int fail(const char *what)
{
	perror(what);
	return 1;
}

static int enter(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return -1;
	rc = setns(fd, CLONE_NEWNET);
	(void)close(fd);
	return rc;
}

/* Asks for the number of the ruleset's generation: the smallest question that nf_tables answers. */
static int ask(void)
{
	struct {
		struct nlmsghdr header;
		struct nfgenmsg body;
	} request = {
		.header = {
			.nlmsg_len = sizeof request,
			.nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN,
			.nlmsg_flags = NLM_F_REQUEST,
			.nlmsg_seq = 1,
		},
	};
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	char answer[4096] __attribute__((aligned(NLMSG_ALIGNTO)));
	const struct nlmsghdr *header = (const struct nlmsghdr *)answer;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	ssize_t n;

	if (fd < 0 || bind(fd, (struct sockaddr *)&kernel, sizeof kernel) < 0 ||
		sendto(fd, &request, sizeof request, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0)
		return -1;
	n = recv(fd, answer, sizeof answer, 0);
	return n >= (ssize_t)sizeof *header && header->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN) ? 0 : -1;
}

int main(void)
{
	const char *path = getenv("CNI_NETNS");
	char buffer[16384];
	ssize_t n;

	do
		n = read(STDIN_FILENO, buffer, sizeof buffer);
	while (n > 0);
	if (n < 0)
		return fail("floor: stdin");
	if (path == NULL || enter(path) < 0)
		return fail("floor: CNI_NETNS");
	return ask() < 0 ? fail("floor: nf_tables") : 0;
}
