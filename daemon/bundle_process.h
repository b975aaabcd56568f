/*
 * The process of an export or import, from the control role's side: started,
 * answered, followed and ended.
 */
#ifndef DAEMON_BUNDLE_PROCESS_H
#define DAEMON_BUNDLE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/bundle_link.h"
#include "daemon/job_work.h"

struct bundle_process;

struct bundle_start {
	const char *kind;          /* "export" or "import" */
	const char *vault;         /* for ps(1) */
	int bundle, plan, journal; /* stay the caller's; journal: or -1 */
	/* What it asks for; on a thread of its own. */
	int (*answer)(void *data, const struct bundle_question *asked,
		      struct buffer *text, int *fd, struct error *error);
	/* How far it is, 0 to 1; on a thread of its own, may be NULL. */
	void (*progress)(void *data, double done);
	void *data;
};

/*
 * Takes a journal for one process and those who wait for it; a process that
 * lives on after its daemon was killed still has it for a moment. -EBUSY.
 */
int bundle_process_take(int journal, struct error *error);

/* From a thread that lives as long as the process shall: it dies with it. */
int bundle_process_start(struct bundle_process **process,
			 const struct bundle_start *start, struct error *error);

/*
 * Waits for its end, and frees it. work: it is killed when that is cancelled;
 * may be NULL. The error is its own.
 */
int bundle_process_wait(struct bundle_process *process, struct job_work *work,
			struct error *error);

/* Kills it and frees it; NULL is fine. */
void bundle_process_kill(struct bundle_process *process);

#endif
