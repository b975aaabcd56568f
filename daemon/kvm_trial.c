/*
 * The KVM trial: QEMU, the payload, and a judge with limits.
 *
 * The payload's loop is 100 million instructions: 0.05 s where the processor
 * runs them, some 90 s where KVM interprets them (0.9 us each, measured on
 * kvm-pvm). The limit of 3 s is counted in QEMU's own processor time, so a
 * busy host does not look like a broken one. A QEMU that uses none hangs.
 */
#include "daemon/kvm_trial.h"
#include "daemon/kvm_payload.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/kvm.h>

extern char **environ;

enum {
	CPU_LIMIT_MS = 3000,
	CLOCK_LIMIT_MS = 60000,
	SLEEP_LIMIT_MS = 5000, /* with less than SLEEP_CPU_MS used meanwhile */
	SLEEP_CPU_MS = 50,
	TICK_MS = 50,
};

struct trial {
	const char *accelerator;
	pid_t pid;
	int pidfd;
	int pipes[2];   /* what QEMU says: [0] payload, [1] stderr */
	char steps[16]; /* the payload's letters */
	size_t n_steps;
	char message[160]; /* the first line of stderr that is no warning */
	size_t n_message;
	bool complete;                     /* that line has ended */
	long cpu_ms, clock_ms;             /* used so far */
	long awake_cpu_ms, awake_clock_ms; /* when it was last seen working */
};

static long clock_ms(clockid_t clock)
{
	struct timespec t = {0};

	clock_gettime(clock, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Who owns the device decides what to tell the administrator. */
static void say_permission(const char *path, char *reason, size_t size)
{
	struct group group, *found = NULL;
	char names[4096];
	struct stat st;

	if (stat(path, &st) == 0) {
		if (st.st_gid == 0 || (st.st_mode & 060) != 060) {
			snprintf(reason, size,
				 "no permission to open %s, which is root's "
				 "alone: chgrp kvm %s && chmod 660 %s, add "
				 "this user to group kvm and start again",
				 path, path, path);
			return;
		}
		getgrgid_r(st.st_gid, &group, names, sizeof(names), &found);
	}
	snprintf(reason, size,
		 "no permission to open %s: add this user to group %s "
		 "(usermod -aG %s USER) and start again",
		 path, found ? found->gr_name : "kvm",
		 found ? found->gr_name : "kvm");
}

bool kvm_trial_device(const char *path, char *reason, size_t reason_size)
{
	int fd = open(path, O_RDWR | O_CLOEXEC), version;

	if (fd < 0 && (errno == EACCES || errno == EPERM)) {
		say_permission(path, reason, reason_size);
		return false;
	}
	if (fd < 0) {
		snprintf(reason, reason_size,
			 "cannot open %s (%s): switch virtualisation (VT-x or "
			 "AMD-V) on in the host's firmware and load the module "
			 "kvm_intel or kvm_amd",
			 path, strerror(errno));
		return false;
	}
	version = ioctl(fd, KVM_GET_API_VERSION, 0);
	close(fd);
	if (version == KVM_API_VERSION)
		return true;
	snprintf(reason, reason_size, "%s is not KVM with API version %d", path,
		 KVM_API_VERSION);
	return false;
}

/* The payload as a file that QEMU can open; -1 with errno set. */
static int payload_file(void)
{
	int fd = memfd_create("kvm-payload", MFD_CLOEXEC);

	if (fd >= 0 &&
	    write(fd, kvm_payload, KVM_PAYLOAD_SIZE) != KVM_PAYLOAD_SIZE) {
		close(fd);
		return -1;
	}
	return fd;
}

static int spawn(struct trial *t, const char *qemu, int payload, int out,
		 int err)
{
	const char *argv[] = {qemu,
			      "-nodefaults",
			      "-no-user-config",
			      "-no-reboot",
			      "-display",
			      "none",
			      "-machine",
			      "q35",
			      "-accel",
			      t->accelerator,
			      "-m",
			      "16",
			      "-bios",
			      "/proc/self/fd/3",
			      "-debugcon",
			      "stdio",
			      "-device",
			      "isa-debug-exit,iobase=0xf4,iosize=4",
			      NULL};
	posix_spawn_file_actions_t actions;
	int error;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out, 1);
	posix_spawn_file_actions_adddup2(&actions, err, 2);
	posix_spawn_file_actions_adddup2(&actions, payload, 3);
	error = posix_spawnp(&t->pid, qemu, &actions, NULL, (char *const *)argv,
			     environ);
	posix_spawn_file_actions_destroy(&actions);
	return -error;
}

/* Keeps the first line of stderr that is not a warning. */
static void take_message(struct trial *t, const char *text, size_t n)
{
	for (size_t i = 0; i < n && !t->complete; i++) {
		if (text[i] != '\n') {
			if (t->n_message < sizeof(t->message) - 1)
				t->message[t->n_message++] = text[i];
			continue;
		}
		t->message[t->n_message] = 0;
		t->complete = !strstr(t->message, "warning:");
		if (!t->complete)
			t->n_message = 0;
	}
	t->message[t->n_message] = 0;
}

/* Reads what is there; false at the end of the pipe. */
static bool take(struct trial *t, int which)
{
	char text[512];
	ssize_t n = read(t->pipes[which], text, sizeof(text));

	if (n <= 0)
		return false;
	if (which == 1)
		take_message(t, text, (size_t)n);
	for (ssize_t i = 0; which == 0 && i < n; i++)
		if (t->n_steps < sizeof(t->steps) - 1)
			t->steps[t->n_steps++] = text[i];
	return true;
}

static bool internal_error(const struct trial *t)
{
	return strstr(t->message, "KVM internal error") != NULL;
}

static bool beyond_limits(struct trial *t)
{
	if (t->cpu_ms - t->awake_cpu_ms >= SLEEP_CPU_MS) {
		t->awake_cpu_ms = t->cpu_ms;
		t->awake_clock_ms = t->clock_ms;
	}
	return t->cpu_ms > CPU_LIMIT_MS || t->clock_ms > CLOCK_LIMIT_MS ||
	       t->clock_ms - t->awake_clock_ms > SLEEP_LIMIT_MS;
}

/* Until QEMU ends, KVM gives up, or a limit is reached. True: it ended. */
static bool watch(struct trial *t)
{
	struct pollfd fds[] = {{t->pipes[0], POLLIN, 0},
			       {t->pipes[1], POLLIN, 0},
			       {t->pidfd, POLLIN, 0}};
	long begin = clock_ms(CLOCK_MONOTONIC);
	clockid_t cpu;

	if (clock_getcpuclockid(t->pid, &cpu) != 0)
		cpu = CLOCK_MONOTONIC;
	for (;;) {
		poll(fds, 3, TICK_MS);
		for (int i = 0; i < 2; i++)
			if (fds[i].revents && !take(t, i))
				fds[i].fd = -1;
		t->clock_ms = clock_ms(CLOCK_MONOTONIC) - begin;
		if (fds[0].fd < 0 && fds[1].fd < 0 && fds[2].revents)
			return true;
		if (!fds[2].revents && cpu != CLOCK_MONOTONIC)
			t->cpu_ms = clock_ms(cpu);
		if (internal_error(t) || beyond_limits(t))
			return false;
	}
}

/* What the payload was about to do when its letters ended. */
static const char *next_step(const struct trial *t)
{
	static const char *const steps[] = {
		"l", "entering long mode",
		"m", "setting a kernel's MSRs",
		"p", "taking a page fault",
		"f", "using SSE registers",
		"u", "entering and leaving user mode",
		"h", "waking up by a timer",
		"s", "sleeping",
		"e", "running 100 million instructions"};

	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i += 2)
		if (!strchr(t->steps, *steps[i]))
			return steps[i + 1];
	return "ending";
}

static const char *const otherwise =
	"guests will be emulated (TCG); for KVM use a host with VT-x or AMD-V, "
	"or nested virtualisation switched on";

/* QEMU had to be killed. A negative errno value if that proves nothing. */
static int judge_limits(const struct trial *t, char *reason, size_t size,
			struct error *error)
{
	if (internal_error(t))
		snprintf(reason, size,
			 "this KVM cannot carry an ordinary kernel: it gave up "
			 "at %s (%s); %s",
			 next_step(t), t->message, otherwise);
	else if (t->cpu_ms > CPU_LIMIT_MS)
		snprintf(reason, size,
			 "this KVM interprets kernels: %s took more than %d s "
			 "of processor time; %s",
			 next_step(t), CPU_LIMIT_MS / 1000, otherwise);
	else
		return error_set(error, ETIMEDOUT,
				 "the trial of KVM hung at %s: in %ld s QEMU "
				 "used %ld ms of processor time; if this host "
				 "is very busy, try again later",
				 next_step(t), t->clock_ms / 1000, t->cpu_ms);
	return 0;
}

/* QEMU has ended: was it the payload's doing? */
static bool judge_end(const struct trial *t, const siginfo_t *end, char *reason,
		      size_t size)
{
	bool exited = end->si_code == CLD_EXITED;
	bool passed = exited && end->si_status == KVM_PAYLOAD_PASSED &&
		      strcmp(t->steps, "lmpfuhse") == 0;

	if (passed)
		snprintf(reason, size,
			 "a kernel's instructions ran to their end in %ld ms",
			 t->clock_ms);
	else if (exited && end->si_status == KVM_PAYLOAD_FAILED)
		snprintf(reason, size,
			 "this KVM cannot carry an ordinary kernel: %s went "
			 "wrong; %s",
			 next_step(t), otherwise);
	else if (exited && end->si_status == 0)
		snprintf(reason, size,
			 "this KVM cannot carry an ordinary kernel: the "
			 "machine reset itself at %s; %s",
			 next_step(t), otherwise);
	else
		snprintf(reason, size,
			 "QEMU with -accel %s ended with %s %d%s%s",
			 t->accelerator, exited ? "status" : "signal",
			 end->si_status, *t->message ? ": " : "", t->message);
	return passed;
}

static int judge(struct trial *t, bool *works, char *reason, size_t size,
		 struct error *error)
{
	siginfo_t end = {0};
	bool ended = watch(t);

	if (!ended)
		kill(t->pid, SIGKILL);
	while (waitid(P_PID, (id_t)t->pid, &end, WEXITED) && errno == EINTR)
		;
	if (!ended)
		return judge_limits(t, reason, size, error);
	*works = judge_end(t, &end, reason, size);
	return 0;
}

/* Starts QEMU with both pipes; 0 or a negative errno value. */
static int start(struct trial *t, const char *qemu)
{
	int out[2], err[2], payload, code;

	if (pipe2(out, O_CLOEXEC) != 0)
		return -errno;
	if (pipe2(err, O_CLOEXEC) != 0) {
		code = -errno;
		close(out[0]);
		close(out[1]);
		return code;
	}
	payload = payload_file();
	code = payload < 0 ? -errno : spawn(t, qemu, payload, out[1], err[1]);
	if (payload >= 0)
		close(payload);
	close(out[1]);
	close(err[1]);
	t->pipes[0] = out[0];
	t->pipes[1] = err[0];
	return code;
}

int kvm_trial_run(const char *qemu, const char *accelerator, bool *works,
		  char *reason, size_t reason_size, struct error *error)
{
	struct trial t = {
		.accelerator = accelerator, .pidfd = -1, .pipes = {-1, -1}};
	int code = start(&t, qemu);

	*works = false;
	if (code == 0) {
		t.pidfd = pidfd_open(t.pid, 0);
		code = judge(&t, works, reason, reason_size, error);
	} else {
		error_errno(error, code, "cannot try KVM with %s", qemu);
	}
	for (int i = 0; i < 2; i++)
		if (t.pipes[i] >= 0)
			close(t.pipes[i]);
	if (t.pidfd >= 0)
		close(t.pidfd);
	return code;
}

int kvm_trial(const char *qemu, bool *works, char *reason, size_t reason_size,
	      struct error *error)
{
	*works = false;
	if (!kvm_trial_device("/dev/kvm", reason, reason_size))
		return 0;
	return kvm_trial_run(qemu, "kvm", works, reason, reason_size, error);
}
