/*
 * After its set-up the gateway relays bytes between descriptors it has or is
 * given. It needs no files, no programs, no new threads and no sockets of its
 * own; a call that is not in the list fails with EPERM.
 */
#include "daemon/gateway_front.h"

#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "daemon/sanitized.h"

static const int calls[] = {
	/* sockets and epoll */
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(accept4),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(setsockopt),
	SCMP_SYS(getsockopt),
	SCMP_SYS(geteuid), /* compared with the peer's */
	SCMP_SYS(shutdown),
	SCMP_SYS(eventfd2),
	/* descriptors and capture files */
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(pwritev),
	SCMP_SYS(fdatasync),
	SCMP_SYS(fsync),
	SCMP_SYS(ftruncate),
	SCMP_SYS(fallocate),
	SCMP_SYS(lseek),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(fcntl),
	SCMP_SYS(close),
	/* memory, time, threads that are there */
	SCMP_SYS(mmap),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(mprotect),
	SCMP_SYS(madvise),
	SCMP_SYS(brk),
	SCMP_SYS(futex),
	SCMP_SYS(sched_yield),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(getrandom),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	/* the process itself */
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(tgkill),
	SCMP_SYS(restart_syscall),
};

static int filter_calls(struct error *error)
{
	scmp_filter_ctx c = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r = c ? 0 : -ENOMEM;

	/* Loops and capture threads run already. */
	if (r == 0)
		r = seccomp_attr_set(c, SCMP_FLTATR_CTL_TSYNC, 1);
	for (size_t i = 0; r == 0 && i < sizeof(calls) / sizeof(calls[0]); i++)
		r = seccomp_rule_add(c, SCMP_ACT_ALLOW, calls[i], 0);
	if (r == 0)
		r = seccomp_load(c);
	seccomp_release(c);
	if (r < 0)
		return error_errno(error, r,
				   "cannot restrict the gateway's system "
				   "calls (seccomp)");
	return 0;
}

int gateway_sandbox(struct error *error)
{
	struct rlimit none = {0, 0};

	/* Its memory holds the TLS key. */
	if (setrlimit(RLIMIT_CORE, &none) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(error, errno, "cannot restrict the gateway");
#ifdef SANITIZED
	(void)filter_calls; /* sanitizers call more, and may not be refused */
	return 0;
#else
	return filter_calls(error);
#endif
}
