/*
 * What a job may do: work on the descriptors it has, and nothing else.
 */
#ifndef DAEMON_JOB_SANDBOX_H
#define DAEMON_JOB_SANDBOX_H

#include "recorder/error.h"

/*
 * For the whole process and what threads it will have; there is no way back.
 * memory: MiB of address space, cpu: seconds.
 */
int job_sandbox_enter(unsigned long memory, unsigned long cpu,
		      struct error *error);

/* The same for one that connects to servers, and reads files for that. */
int job_sandbox_enter_network(unsigned long memory, unsigned long cpu,
			      struct error *error);

#endif
