/*
 * Long work in processes of their own: started, watched, cancelled.
 *
 * A render waits in the catalogue's queue and is done as cores come free; one
 * that was killed or that a restart interrupted goes on, three times at most.
 * A replay and an export live only
 * as long as somebody uses them.
 */
#ifndef DAEMON_JOB_H
#define DAEMON_JOB_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "recorder/error.h"

struct control;
struct jobs;

#define JOB_ID_SIZE 40

int jobs_new(struct jobs **jobs, struct control *control, struct error *error);
/* Begins with what the queue holds since an earlier run. */
int jobs_start(struct jobs *jobs, struct error *error);
/* Running renders end and are queued for the next start. */
void jobs_free(struct jobs *jobs);

/*
 * Queues a video, or finds the job that does it; its id in `id`, which may be
 * NULL. options: text of video_options.h, "{}" for the usual ones. -EBUSY
 * when the session's video is being made with others.
 */
int job_render(struct jobs *jobs, const char *session, const char *options,
	       char id[JOB_ID_SIZE], struct error *error);

/* The file that a render has made, in its session's folder. */
struct job_video {
	char session[JOB_ID_SIZE];
	char name[64];
	bool separate; /* not the session's own video */
	bool webm;
};

/* -ENOENT when there is no such render, or it is not done. */
int job_video(struct jobs *jobs, const char *id, struct job_video *video,
	      struct error *error);

/*
 * Runs `kind` on a session's capture; *fd is the end of its output pipe.
 * look: its options, see look.h.
 */
int job_pipe(struct jobs *jobs, const char *kind, const char *look,
	     const char *session, int *fd, struct error *error);

/* The same to its end, into a file; the error is its own. */
int job_run(struct jobs *jobs, const char *kind, const char *look,
	    const char *session, int output, struct error *error);

/*
 * Verifies all that is frozen of a vault, in a thread of its own. The job fails
 * when something has changed; its error says what, its result all of it. In the
 * background it keeps to the rate and the hours of the configuration.
 */
int job_verify(struct jobs *jobs, const char *vault, bool background,
	       char id[JOB_ID_SIZE], struct error *error);
/* Makes digests that are missing, in the background. */
int job_digest(struct jobs *jobs, const char *vault, char id[JOB_ID_SIZE],
	       struct error *error);

/* A replay that waits for its viewer; start and connect come with it. */
int job_replay(struct jobs *jobs, const char *session, double speed,
	       char id[JOB_ID_SIZE], struct error *error);
int job_replay_start(struct jobs *jobs, const char *id, struct error *error);
/* A new connected stream socket to the replaying SPICE server. */
int job_replay_connect(struct jobs *jobs, const char *id, int *fd,
		       struct error *error);
void job_replay_end(struct jobs *jobs, const char *id);

int job_list(struct jobs *jobs, json_t **list, struct error *error);
int job_show(struct jobs *jobs, const char *id, json_t **job,
	     struct error *error);
/* Ends a job; of one that is done, removes the file that is its own. */
int job_cancel(struct jobs *jobs, const char *id, struct error *error);
void job_cancel_session(struct jobs *jobs, const char *session);
/* The open job of a session; false when there is none. */
bool job_of_session(struct jobs *jobs, const char *session,
		    char id[JOB_ID_SIZE]);
unsigned jobs_active(struct jobs *jobs);
/* Forgets jobs that ended before the time, and replays nobody came to see. */
void jobs_sweep(struct jobs *jobs, int64_t before);

/* `mediavmd job KIND …`: the job's own process; an exit status. */
int job_main(int argc, char **argv);

#endif
