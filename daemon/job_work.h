/*
 * Long work on a vault that the control role does itself, because it needs
 * libvirt, the catalogue or several processes: a job in a thread of its own,
 * at the lowest priority, with progress, a result, and an end when cancelled.
 *
 * A job ends with the daemon. What it leaves half-made is the business of its
 * kind: its next run goes on with it or takes it away.
 */
#ifndef DAEMON_JOB_WORK_H
#define DAEMON_JOB_WORK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/job.h"
#include "daemon/job_process.h"

struct job_work;

struct job_work_kind {
	const char *kind; /* as the job list shows it */
	/*
	 * In the thread. 0: done; -ECANCELED: cancelled; else failed, and the
	 * error is the job's.
	 */
	int (*run)(struct job_work *work, void *data, struct error *error);
	/* Frees data, after the end of the job is written; may be NULL. */
	void (*free)(void *data);
	/*
	 * Whether one that runs, of this very kind, does what is ordered again;
	 * NULL: never. Reads what does not change while it runs.
	 */
	bool (*same)(const void *runs, const void *ordered);
};

/*
 * Begins it; data is the job's from here on, whatever is returned. vault: its
 * UUID. When the same is being done already, id is that job's; -EBUSY when
 * another one of this kind is at work on the vault.
 */
int job_work_start(struct jobs *jobs, const struct job_work_kind *kind,
		   const char *vault, void *data, char id[JOB_ID_SIZE],
		   struct error *error);

/* --- for run() -------------------------------------------------------- */

struct control *job_work_control(const struct job_work *work);
const char *job_work_id(const struct job_work *work);

/*
 * How far it is, any number of times a second. Rate and time left are made of
 * the bytes since the first call; `done` may begin above 0 when an earlier
 * run's work is gone on with.
 */
void job_work_bytes(struct job_work *work, uint64_t done, uint64_t all);
/* The same without bytes, 0 to 1; step: what it is at, a static text or NULL.
 */
void job_work_progress(struct job_work *work, double done, const char *step);

/* -ECANCELED when it shall end: cancelled, or the daemon ends. */
int job_work_check(struct job_work *work, struct error *error);
/* Whether that is because the daemon ends: nobody gave the work up. */
bool job_work_is_interrupted(const struct job_work *work);

/* An object that is shown with the job from its end on; taken. Members of
 * several are joined. */
void job_work_result(struct job_work *work, json_t *result);

/*
 * Runs a process of the job role as a part of this one, to its end: it is
 * killed when the job is cancelled. Its progress moves the job's from `from`
 * to `to`. Errors as of job_process_follow.
 */
int job_work_process(struct job_work *work, const struct job_start *start,
		     double from, double to, struct error *error);

#endif
