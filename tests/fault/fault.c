/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library for LD_PRELOAD that lets a program meet what is rare: memory that runs out, and netlink that fails. What is
 * to go wrong stands in the environment; a test asks afterwards whether it did.
 *
 *   WEIR_FAULT_FD=FD          a byte is written to this file when a fault happens
 *   WEIR_FAIL_ALLOCATION=N    the Nth allocation fails, whichever library asks for it
 *   WEIR_FAULT=CALL:CODE:N    the Nth call on a netlink socket fails with this errno, or each one where N is 0.
 *                             CALL is socket, sendto, recvmsg, or, of a transaction, sendmsg and recv; or force, for
 *                             buffers that are made larger by force. What a failing call was to send is not sent;
 *                             what it was to receive is lost.
 *   WEIR_FAULT=ack:CODE:N     the Nth transaction is not sent, and answered with this error
 *   WEIR_FAULT=repeat:CODE:N  every call fails N times before it works
 *
 * Calls of the kernel are made directly. Memory comes from whoever is next, so that this goes together with ASan.
 */
#include <dlfcn.h>
#include <errno.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAME_SIZE 16

static int report_fd = -1;

static struct {
	unsigned long long fails; /* 0: none */
	unsigned long long seen;
} allocations;

static struct {
	char name[NAME_SIZE]; /* empty: no fault */
	int code;
	unsigned n;
	unsigned seen;     /* calls, or failures in a row, so far */
	uint32_t sequence; /* of the message to be answered with an error; 0: none */
} netlink_fault;

static unsigned long long number(const char *name)
{
	const char *text = getenv(name);

	return text != NULL ? strtoull(text, NULL, 10) : 0;
}

static __attribute__((constructor)) void read_environment(void)
{
	const char *text = getenv("WEIR_FAULT");

	if (getenv("WEIR_FAULT_FD") != NULL)
		report_fd = (int)number("WEIR_FAULT_FD");
	/* A misspelt fault would be a test that tests nothing. NOLINTNEXTLINE(cert-err34-c) */
	if (text != NULL && sscanf(text, "%15[a-z]:%d:%u", netlink_fault.name, &netlink_fault.code, &netlink_fault.n) != 3)
		abort();
	allocations.fails = number("WEIR_FAIL_ALLOCATION");
}

static int fail(int code)
{
	if (report_fd >= 0 && write(report_fd, "!", 1) != 1)
		abort();
	errno = code;
	return -1;
}

/* --- memory */

static bool allocation_fails(void)
{
	if (allocations.fails == 0 || ++allocations.seen != allocations.fails)
		return false;
	(void)fail(ENOMEM);
	return true;
}

/* Finds the function of this name that stands behind ours. */
static void find_next(void *function, const char *name)
{
	void *next = dlsym(RTLD_NEXT, name);

	if (next == NULL)
		abort();
	memcpy(function, &next, sizeof next);
}

void *malloc(size_t size)
{
	static void *(*next)(size_t size);

	if (next == NULL)
		find_next(&next, "malloc");
	return allocation_fails() ? NULL : next(size);
}

void *calloc(size_t count, size_t size)
{
	static void *(*next)(size_t count, size_t size);

	if (next == NULL)
		find_next(&next, "calloc");
	return allocation_fails() ? NULL : next(count, size);
}

void *realloc(void *old, size_t size)
{
	static void *(*next)(void *old, size_t size);

	if (next == NULL)
		find_next(&next, "realloc");
	return allocation_fails() ? NULL : next(old, size);
}

void *reallocarray(void *old, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(old, bytes);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	static void *(*next)(size_t alignment, size_t size);

	if (next == NULL)
		find_next(&next, "aligned_alloc");
	return allocation_fails() ? NULL : next(alignment, size);
}

/* --- netlink */

static bool is_netlink(int fd)
{
	int domain = 0;
	socklen_t length = sizeof domain;

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_NETLINK;
}

static bool is_due(const char *name)
{
	if (strcmp(netlink_fault.name, name) != 0)
		return false;
	return ++netlink_fault.seen == netlink_fault.n || netlink_fault.n == 0;
}

static bool is_to_repeat(void)
{
	if (strcmp(netlink_fault.name, "repeat") != 0)
		return false;
	if (netlink_fault.seen++ < netlink_fault.n)
		return true;
	netlink_fault.seen = 0;
	return false;
}

int socket(int domain, int type, int protocol)
{
	if (domain == AF_NETLINK && is_due("socket"))
		return fail(netlink_fault.code);
	return (int)syscall(SYS_socket, domain, type, protocol);
}

int setsockopt(int fd, int level, int option, const void *value, socklen_t length)
{
	bool by_force = level == SOL_SOCKET && (option == SO_SNDBUFFORCE || option == SO_RCVBUFFORCE);

	if (by_force && is_due("force"))
		return fail(netlink_fault.code);
	return (int)syscall(SYS_setsockopt, fd, level, option, value, length);
}

ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t length)
{
	if (is_netlink(fd) && (is_to_repeat() || is_due("sendto")))
		return fail(netlink_fault.code);
	return syscall(SYS_sendto, fd, data, size, flags, to, length);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	if (is_netlink(fd) && (is_to_repeat() || is_due("sendmsg")))
		return fail(netlink_fault.code);
	if (is_netlink(fd) && is_due("ack")) {
		/* The first message begins the transaction, and is never answered. */
		netlink_fault.sequence = ((const struct nlmsghdr *)message->msg_iov->iov_base)->nlmsg_seq + 1;
		return (ssize_t)message->msg_iov->iov_len;
	}
	return syscall(SYS_sendmsg, fd, message, flags);
}

static ssize_t answer_with_error(void *data, size_t size)
{
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
	} answer = {.header = {.nlmsg_len = sizeof answer, .nlmsg_type = NLMSG_ERROR}};

	answer.header.nlmsg_seq = netlink_fault.sequence;
	answer.error.error = -netlink_fault.code;
	netlink_fault.sequence = 0;
	if (size < sizeof answer)
		abort();
	memcpy(data, &answer, sizeof answer);
	(void)fail(0);
	return sizeof answer;
}

ssize_t recv(int fd, void *data, size_t size, int flags)
{
	if (!is_netlink(fd))
		return syscall(SYS_recvfrom, fd, data, size, flags, NULL, NULL);
	if (netlink_fault.sequence != 0)
		return answer_with_error(data, size);
	if (is_to_repeat())
		return fail(netlink_fault.code);
	if (is_due("recv")) {
		(void)syscall(SYS_recvfrom, fd, data, size, flags, NULL, NULL);
		return fail(netlink_fault.code);
	}
	return syscall(SYS_recvfrom, fd, data, size, flags, NULL, NULL);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	if (is_netlink(fd) && is_to_repeat())
		return fail(netlink_fault.code);
	if (is_netlink(fd) && is_due("recvmsg")) {
		(void)syscall(SYS_recvmsg, fd, message, flags);
		return fail(netlink_fault.code);
	}
	return syscall(SYS_recvmsg, fd, message, flags);
}
