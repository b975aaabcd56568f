/* Starting this program again in another role. */
#include "daemon/spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGUMENTS 30

/*
 * In the child of a process with threads: only calls that a signal handler
 * may make.
 */
static void become(const struct spawn *spawn, char *const *arguments,
		   pid_t parent)
{
	const struct rlimit memory = {spawn->memory, spawn->memory};
	const struct rlimit nothing = {0, 0};
	int moved[SPAWN_FDS];
	sigset_t none;
	int null, output;

	if (spawn->dies_with_us) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(127);
	}
	for (unsigned i = 0; i < spawn->fd_count; i++) {
		moved[i] = fcntl(spawn->fds[i], F_DUPFD, 3 + SPAWN_FDS);
		if (moved[i] < 0)
			_exit(127);
	}
	output = spawn->output ? fcntl(spawn->output, F_DUPFD, 3 + SPAWN_FDS)
			       : -1;
	for (unsigned i = 0; i < spawn->fd_count; i++)
		if (dup2(moved[i], 3 + (int)i) < 0)
			_exit(127);
	if (spawn->output && (dup2(output, 1) < 0 || dup2(output, 2) < 0))
		_exit(127);
	close_range(3 + spawn->fd_count, ~0u, 0);
	null = open("/dev/null", O_RDONLY);
	if (null > 0) {
		dup2(null, 0);
		close(null);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (spawn->alarm_s)
		alarm(spawn->alarm_s);
	/* Last: we may hold more. A lower limit that is there already stays. */
	if (spawn->memory) {
		setrlimit(RLIMIT_CORE, &nothing);
		setrlimit(RLIMIT_AS, &memory);
	}
	execve(spawn->program ? spawn->program : "/proc/self/exe", arguments,
	       spawn->environment ? (char *const *)spawn->environment
				  : environ);
	_exit(127);
}

int spawn_self(const struct spawn *spawn, pid_t *pid, struct error *error)
{
	char *arguments[ARGUMENTS + 2];
	pid_t parent = getpid();
	unsigned n = 0;

	arguments[n++] = (char *)(spawn->program ? spawn->program : "mediavmd");
	for (; spawn->arguments[n - 1]; n++) {
		if (n > ARGUMENTS)
			return error_set(error, -E2BIG, "too many arguments");
		arguments[n] = (char *)spawn->arguments[n - 1];
	}
	arguments[n] = NULL;
	*pid = fork();
	if (*pid < 0)
		return error_errno(error, errno, "can't start a process");
	if (*pid == 0)
		become(spawn, arguments, parent);
	return 0;
}

int spawn_output(const char *const *arguments, FILE **output, pid_t *pid,
		 struct error *error)
{
	char *const environment[] = {"PATH=/usr/bin:/bin", "LC_ALL=C", NULL};
	posix_spawn_file_actions_t actions;
	int fds[2], result;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_errno(error, errno, "no pipe");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
	result = posix_spawn(pid, arguments[0], &actions, NULL,
			     (char *const *)arguments, environment);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	*output = result == 0 ? fdopen(fds[0], "r") : NULL;
	if (*output)
		return 0;
	close(fds[0]);
	if (result == 0) {
		waitpid(*pid, NULL, 0);
		result = ENOMEM;
	}
	return error_errno(error, result, "cannot run %s", arguments[0]);
}
