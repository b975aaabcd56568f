/*
 * The limits of a job: rlimits, no new privileges, a list of system calls.
 *
 * What is not in a list ends the process. A few calls that libraries try
 * when they begin (to open a file, to ask for a terminal) fail instead, and
 * the libraries go on without. A job of the network reads files and connects
 * besides; to it what is not in the lists is refused, as resolvers and TLS
 * libraries try many things.
 */
#include "daemon/job_sandbox.h"

#include <fcntl.h>
#include <errno.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "daemon/sanitized.h"

static const int allowed[] = {
	/* the descriptors it has */
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(pread64),
	SCMP_SYS(preadv),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(pwrite64),
	SCMP_SYS(pwritev),
	SCMP_SYS(lseek),
	SCMP_SYS(fstat),
	SCMP_SYS(close),
	SCMP_SYS(ftruncate),
	SCMP_SYS(fsync),
	SCMP_SYS(fdatasync),
	SCMP_SYS(fallocate),
	SCMP_SYS(memfd_create),
	SCMP_SYS(fadvise64),
	SCMP_SYS(dup),
	/* sockets that were sent to it */
	SCMP_SYS(recvmsg),
	SCMP_SYS(recvfrom),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(shutdown),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(select),
	SCMP_SYS(pselect6),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(eventfd2),
	SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(fcntl),
	/* memory */
	SCMP_SYS(brk),
	SCMP_SYS(mmap),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(mprotect),
	SCMP_SYS(madvise),
	SCMP_SYS(membarrier),
	/* threads */
	SCMP_SYS(clone3),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(set_tid_address),
	SCMP_SYS(futex),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_setaffinity),
	SCMP_SYS(sched_getparam),
	SCMP_SYS(sched_getscheduler),
	SCMP_SYS(getpriority),
	SCMP_SYS(prctl),
	SCMP_SYS(gettid),
	SCMP_SYS(getpid),
	SCMP_SYS(tgkill),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(getcpu),
	SCMP_SYS(fstatfs),
	/* time, chance, limits */
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(times),
	SCMP_SYS(getrandom),
	SCMP_SYS(getrusage),
	SCMP_SYS(sysinfo),
	SCMP_SYS(uname),
};

/* Of a job of the network. */
static const int connecting[] = {
	SCMP_SYS(socket),     SCMP_SYS(socketpair), SCMP_SYS(connect),
	SCMP_SYS(bind),       SCMP_SYS(sendmmsg),   SCMP_SYS(recvmmsg),
	SCMP_SYS(stat),       SCMP_SYS(lstat),      SCMP_SYS(statx),
	SCMP_SYS(newfstatat), SCMP_SYS(access),     SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2), SCMP_SYS(readlink),   SCMP_SYS(getdents64),
	SCMP_SYS(pipe2),      SCMP_SYS(clone),      SCMP_SYS(getuid),
	SCMP_SYS(geteuid),    SCMP_SYS(getgid),     SCMP_SYS(getegid),
};

/* These fail with EACCES. */
static const int refused[] = {
	SCMP_SYS(open),
	SCMP_SYS(openat),
	SCMP_SYS(stat),
	SCMP_SYS(statx),
	SCMP_SYS(access),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(getcwd),
	SCMP_SYS(socket),
	SCMP_SYS(connect),
	SCMP_SYS(ioctl),
	SCMP_SYS(prlimit64),
	SCMP_SYS(getuid),
	SCMP_SYS(setpriority),
	SCMP_SYS(sched_setscheduler),
};

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static int limit(int resource, rlim_t value)
{
	const struct rlimit limit = {value, value};

	return setrlimit(resource, &limit);
}

static int add_list(scmp_filter_ctx filter, uint32_t action, const int *calls,
		    size_t count)
{
	int r = 0;

	for (size_t i = 0; !r && i < count; i++)
		r = seccomp_rule_add(filter, action, calls[i], 0);
	return r;
}

static int add_rules(scmp_filter_ctx filter)
{
	/* fstat() of glibc 2.33 and later; only of a descriptor. */
	const struct scmp_arg_cmp by_descriptor = {
		.arg = 3, .op = SCMP_CMP_EQ, .datum_a = AT_EMPTY_PATH};
	const struct scmp_arg_cmp by_name = {
		.arg = 3, .op = SCMP_CMP_NE, .datum_a = AT_EMPTY_PATH};
	int r = add_list(filter, SCMP_ACT_ALLOW, allowed, COUNT(allowed));

	if (!r)
		r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW,
					   SCMP_SYS(newfstatat), 1,
					   &by_descriptor);
	if (!r)
		r = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EACCES),
					   SCMP_SYS(newfstatat), 1, &by_name);
	return r ? r
		 : add_list(filter, SCMP_ACT_ERRNO(EACCES), refused,
			    COUNT(refused));
}

static int add_network_rules(scmp_filter_ctx filter)
{
	/* Files are for reading. */
	const struct scmp_arg_cmp read_only = {.arg = 2,
					       .op = SCMP_CMP_MASKED_EQ,
					       .datum_a = O_ACCMODE | O_CREAT |
							  O_TRUNC,
					       .datum_b = O_RDONLY};
	const struct scmp_arg_cmp not_blocking = {
		.arg = 1, .op = SCMP_CMP_EQ, .datum_a = FIONBIO};
	int r = add_list(filter, SCMP_ACT_ALLOW, allowed, COUNT(allowed));

	if (!r)
		r = add_list(filter, SCMP_ACT_ALLOW, connecting,
			     COUNT(connecting));
	if (!r)
		r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW,
					   SCMP_SYS(openat), 1, &read_only);
	return r ? r
		 : seccomp_rule_add_array(filter, SCMP_ACT_ALLOW,
					  SCMP_SYS(ioctl), 1, &not_blocking);
}

static int enter(unsigned long memory, unsigned long cpu, uint32_t otherwise,
		 int (*rules)(scmp_filter_ctx), struct error *error)
{
	scmp_filter_ctx filter;
	int r;

	/* Sanitizers reserve terabytes of addresses. */
#ifndef SANITIZED
	if (limit(RLIMIT_AS, (rlim_t)memory << 20))
		return error_errno(error, errno, "no limit of memory");
#else
	(void)memory;
#endif
	if (limit(RLIMIT_CPU, cpu) || limit(RLIMIT_CORE, 0) ||
	    limit(RLIMIT_NOFILE, 256))
		return error_errno(error, errno, "no limits");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return error_errno(error, errno, "no sandbox");
#ifdef SANITIZED
	/* They call more than the list has. */
	(void)otherwise;
	(void)rules;
	(void)filter;
	(void)r;
	return 0;
#else
	filter = seccomp_init(otherwise);
	if (!filter)
		return error_set(error, -ENOMEM, "no memory");
	r = rules(filter);
	if (!r)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r ? error_errno(error, r, "no sandbox (seccomp)") : 0;
#endif
}

int job_sandbox_enter(unsigned long memory, unsigned long cpu,
		      struct error *error)
{
	return enter(memory, cpu, SCMP_ACT_KILL_PROCESS, add_rules, error);
}

int job_sandbox_enter_network(unsigned long memory, unsigned long cpu,
			      struct error *error)
{
	return enter(memory, cpu, SCMP_ACT_ERRNO(EPERM), add_network_rules,
		     error);
}
