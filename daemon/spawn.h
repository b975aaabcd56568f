/*
 * Starts the other roles: this program again, with chosen descriptors.
 */
#ifndef DAEMON_SPAWN_H
#define DAEMON_SPAWN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "recorder/error.h"

#define SPAWN_FDS 8

struct spawn {
	const char *program; /* another one, by its path; NULL: this one */
	const char *const *arguments; /* behind the program's name, NULL ends */
	/* Become descriptors 3, 4, … of the child; every other is closed. */
	int fds[SPAWN_FDS];
	unsigned fd_count;
	/* Becomes its stdout and stderr; 0: they are ours. */
	int output;
	const char *const *environment; /* NULL ends; NULL: ours */
	/* It is killed when the calling thread ends. */
	bool dies_with_us;
	/* It is ended by SIGALRM after so many seconds; 0: never. */
	unsigned alarm_s;
	uint64_t memory; /* bytes of addresses, and no core dump; 0: as we */
};

/* stdin is /dev/null. A program that is not there ends with status 127. */
int spawn_self(const struct spawn *spawn, pid_t *pid, struct error *error);

/*
 * Runs another program, the first argument, for what it prints: read *output
 * to its end, fclose it and wait for *pid.
 */
int spawn_output(const char *const *arguments, FILE **output, pid_t *pid,
		 struct error *error);

#endif
