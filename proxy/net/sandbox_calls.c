/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One table lists what a running proxy calls, and why. It becomes a program for the kernel (seccomp(2), linux/filter.h):
 * the machine must be the one that this was compiled for, then one comparison a call. Calls that are allowed whatever
 * their arguments are remembered by the kernel (since Linux 5.11) and cost the relay next to nothing; only socket(),
 * ioctl(), mmap() and mprotect(), which are rare, have arguments looked at.
 *
 * What is not listed fails with EPERM, and is logged where the kernel audits: it is a bug or an attack, and in either case
 * the pod keeps its way out.
 */
#include "proxy/net/sandbox.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define MACHINE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define MACHINE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define MACHINE AUDIT_ARCH_RISCV64
#elif defined(__powerpc64__) && __BYTE_ORDER == __LITTLE_ENDIAN
#define MACHINE AUDIT_ARCH_PPC64LE
#elif defined(__s390x__)
#define MACHINE AUDIT_ARCH_S390X
#else
/* cppcheck-suppress preprocessorErrorDirective ; its own choice of macros names none */
#error "name this machine, as linux/audit.h does"
#endif

static const int calls[] = {
	/* the relay */
	SYS_accept4, SYS_connect, SYS_sendto, SYS_recvfrom, SYS_shutdown, SYS_close, SYS_getsockopt, SYS_setsockopt,
	SYS_getsockname, SYS_epoll_ctl, SYS_epoll_pwait, SYS_sendmsg,
#ifdef SYS_epoll_wait
	SYS_epoll_wait,
#endif
	/* the log, the signals, and the clients of the status ports */
	SYS_write, SYS_read, SYS_ppoll, SYS_openat, SYS_dup3, SYS_fcntl, SYS_clock_nanosleep, SYS_clock_gettime,
#ifdef SYS_poll
	SYS_poll,
#endif
#ifdef SYS_open
	SYS_open,
#endif
	/* the configuration's files */
	SYS_getdents64, SYS_lseek, SYS_statx,
	/* the resolver, as c-ares does it over TCP */
	SYS_writev,
	/* memory and threads, as the C library manages them; what is mapped, see below */
	SYS_brk, SYS_munmap, SYS_mremap, SYS_madvise, SYS_futex, SYS_sched_yield, SYS_restart_syscall, SYS_rt_sigreturn,
	SYS_rt_sigprocmask, SYS_getrandom,
#ifdef SYS_newfstatat
	SYS_newfstatat,
#endif
#ifdef SYS_fstat
	SYS_fstat,
#endif
	/* the end */
	SYS_exit, SYS_exit_group, SYS_gettid, SYS_getpid, SYS_tgkill, SYS_rt_sigaction,
#ifdef __SANITIZE_ADDRESS__
	/* A sanitizer looks for leaks from a process of its own, which stops the threads; and reports. */
	SYS_clone, SYS_ptrace, SYS_wait4, SYS_prctl, SYS_sigaltstack, SYS_readlinkat, SYS_getppid, SYS_kill,
#ifdef SYS_getdents
	SYS_getdents, SYS_readlink,
#endif
#endif
};

#define CALL_COUNT (sizeof calls / sizeof *calls)

/* Instructions: four ahead, two a call, six for sockets and for interfaces, five for each way to map memory, and the last. */
#define PROGRAM_SIZE (4 + 2 * CALL_COUNT + 6 + 6 + 5 + 5 + 1)
static_assert(PROGRAM_SIZE <= BPF_MAXINSNS, "a program has 4,096 instructions at most");

/* The low half of an argument. */
#define ARGUMENT(i) \
	((uint32_t)(offsetof(struct seccomp_data, args) + sizeof(uint64_t) * (i) + (__BYTE_ORDER == __BIG_ENDIAN ? 4 : 0)))

#define LOAD(offset) ((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(offset)))
#define RETURN(action) ((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, (action)))
#define IF_EQUAL(value, then, otherwise) \
	((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), (uint8_t)(then), (uint8_t)(otherwise)))
#define IF_SET(bits, then, otherwise) \
	((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (uint32_t)(bits), (uint8_t)(then), (uint8_t)(otherwise)))

#define ALLOW SECCOMP_RET_ALLOW
#define REFUSE (SECCOMP_RET_ERRNO | EPERM)

/* Sockets of IP, and no others. */
static size_t put_socket(struct sock_filter *out)
{
	out[0] = IF_EQUAL(SYS_socket, 0, 5);
	out[1] = LOAD(ARGUMENT(0));
	out[2] = IF_EQUAL(AF_INET, 2, 0);
	out[3] = IF_EQUAL(AF_INET6, 1, 0);
	out[4] = RETURN(REFUSE);
	out[5] = RETURN(ALLOW);
	return 6;
}

/* Which interface a name or a number means: a DNS server may be behind one. */
static size_t put_interfaces(struct sock_filter *out)
{
	out[0] = IF_EQUAL(SYS_ioctl, 0, 5);
	out[1] = LOAD(ARGUMENT(1));
	out[2] = IF_EQUAL(SIOCGIFINDEX, 2, 0);
	out[3] = IF_EQUAL(SIOCGIFNAME, 1, 0);
	out[4] = RETURN(REFUSE);
	out[5] = RETURN(ALLOW);
	return 6;
}

/* Memory, but not to be executed: code from elsewhere finds no place. */
static size_t put_mapping(struct sock_filter *out, int call)
{
	out[0] = IF_EQUAL(call, 0, 4);
	out[1] = LOAD(ARGUMENT(2));
	out[2] = IF_SET(PROT_EXEC, 0, 1);
	out[3] = RETURN(REFUSE);
	out[4] = RETURN(ALLOW);
	return 5;
}

static size_t make_program(struct sock_filter out[PROGRAM_SIZE])
{
	size_t n = 0;

	out[n++] = LOAD(offsetof(struct seccomp_data, arch));
	out[n++] = IF_EQUAL(MACHINE, 1, 0);
	out[n++] = RETURN(SECCOMP_RET_KILL_PROCESS);
	out[n++] = LOAD(offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < CALL_COUNT; i++) {
		out[n++] = IF_EQUAL(calls[i], 0, 1);
		out[n++] = RETURN(ALLOW);
	}
	n += put_socket(out + n);
	n += put_interfaces(out + n);
	n += put_mapping(out + n, SYS_mmap);
	n += put_mapping(out + n, SYS_mprotect);
	out[n++] = RETURN(REFUSE);
	return n;
}

int sandbox_calls(struct error *e)
{
	/* Without SPEC_ALLOW, kernels before 5.16 slow a filtered process down against Spectre. */
	const unsigned flags = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW | SECCOMP_FILTER_FLAG_LOG;
	struct sock_filter filter[PROGRAM_SIZE];
	struct sock_fprog program = {.filter = filter};
	long rc;

	program.len = (unsigned short)make_program(filter);
	assert(program.len == PROGRAM_SIZE);
	rc = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
	if (rc > 0)
		return error_set(e, EBUSY, "cannot restrict the system calls: a thread is in another sandbox");
	return rc < 0 ? error_set_errno(e, errno, "cannot restrict the system calls (seccomp)") : 0;
}
