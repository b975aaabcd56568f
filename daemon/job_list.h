/*
 * What the parts of jobs share: the list of processes that run. For job.c,
 * job_replay.c and job_list.c only.
 */
#ifndef DAEMON_JOB_LIST_H
#define DAEMON_JOB_LIST_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/job.h"
#include "daemon/job_process.h"

#define JOBS_THREADS 8

struct running {
	struct jobs *jobs;
	char id[JOB_ID_SIZE]; /* "" for an export */
	char session[JOB_ID_SIZE];
	const char *kind;
	pid_t pid;   /* 0: not started, or collected */
	int words;   /* its progress pipe */
	int control; /* of a replay: takes sockets; else -1 */
	bool cancelled;
	double progress;
	char note[JOB_NOTE_SIZE]; /* of its result */
	int64_t posted; /* last progress event, us */
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
int jobs_insert(struct jobs *jobs, const char *kind, const char *session,
		const char *options, char id[JOB_ID_SIZE], struct error *error);

#endif
