/*
 * What the parts of jobs share: the list of processes that run. For job*.c
 * only.
 */
#ifndef DAEMON_JOB_LIST_H
#define DAEMON_JOB_LIST_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/job.h"
#include "daemon/job_process.h"
#include "daemon/video_options.h"

#define JOBS_THREADS 8

struct job_work;

struct running {
	struct jobs *jobs;
	const struct job_work *work; /* of job_work.h, or NULL */
	char id[JOB_ID_SIZE];        /* "" for an export */
	char session[JOB_ID_SIZE];
	const char *kind;
	pid_t pid;   /* 0: not started, or collected */
	int words;   /* its progress pipe */
	int control; /* of a replay: takes sockets; else -1 */
	bool cancelled;
	char options[VIDEO_OPTIONS_SIZE]; /* of a render */
	unsigned attempts;                /* with this one */
	double progress;
	json_t *detail;           /* shown beside its progress, or NULL */
	char note[JOB_NOTE_SIZE]; /* of its result */
	int64_t posted;           /* last progress event, us */
	struct running *next;
};

struct jobs {
	struct control *control;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool ending;
	bool waiting; /* the queue may hold something */
	struct running *list;
	pthread_t threads[JOBS_THREADS];
	unsigned thread_count;
};

/* With the lock held; remove frees it. */
void running_add(struct jobs *jobs, struct running *running);
void running_remove(struct jobs *jobs, struct running *running);
struct running *running_find(struct jobs *jobs, const char *id);

void jobs_post(struct jobs *jobs, const char *type, const char *id,
	       const char *kind, const char *session, json_t *more);
void jobs_write_end(struct jobs *jobs, const char *id, const char *kind,
		    const char *session, const char *state, const char *text);
int job_open_capture(struct jobs *jobs, const char *session, int *fd,
		     struct error *error);
/* A job's process, from its start to its end. */
int job_run_process(struct running *running, const struct job_start *start,
		    struct error *error);
/* Does a render that was taken from the queue, and writes what became of it. */
void job_render_run(struct jobs *jobs, struct running *running);
/* A render that is no more: the session has what it had, or is in `state`. */
void job_render_restore(struct jobs *jobs, const char *session,
			const char *state, const char *text);
/* Removes a done render's file; false when it has none of its own. */
bool job_render_take_away(struct jobs *jobs, const char *id);
/* Removes files of a render that are not the session's own. */
void job_render_forget(struct jobs *jobs, const char *session, const char *id);
int jobs_insert(struct jobs *jobs, const char *kind, const char *session,
		const char *options, char id[JOB_ID_SIZE], struct error *error);

#endif
