/*
 * reaper PROGRAM ARGUMENT... - runs a program, and is to its orphans what init
 * is on a host: a guest that has ended is gone at once. (An init that looks
 * for them once in a while, as in some containers, lets libvirt wait for each
 * guest that it ends.) Hands signals that ask for an end on to the program;
 * ends with it, and with its exit status.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile pid_t program;

static void pass_on(int signal)
{
	if (program > 0)
		kill(program, signal);
}

static int wait_for_program(void)
{
	for (;;) {
		int status;
		pid_t one = wait(&status);

		if (one < 0 && errno != EINTR)
			return 1;
		if (one == program)
			return WIFEXITED(status) ? WEXITSTATUS(status)
						 : 128 + WTERMSIG(status);
	}
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = pass_on};

	if (argc < 2) {
		fprintf(stderr, "usage: reaper PROGRAM ARGUMENT...\n");
		return 2;
	}
	if (prctl(PR_SET_CHILD_SUBREAPER, 1)) {
		perror("reaper: prctl");
		return 1;
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	program = fork();
	if (program < 0) {
		perror("reaper: fork");
		return 1;
	}
	if (program == 0) {
		execvp(argv[1], argv + 1);
		perror(argv[1]);
		_exit(127);
	}
	return wait_for_program();
}
