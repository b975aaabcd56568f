/*
 * Jobs: the queue of renders in the catalogue, threads that work on it, and
 * the list of processes that run.
 */
#include "daemon/job.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/catalogue.h"
#include "daemon/control.h"
#include "daemon/event.h"
#include "daemon/folder.h"
#include "daemon/job_list.h"
#include "daemon/job_process.h"
#include "daemon/log.h"
#include "daemon/session.h"
#include "daemon/units.h"

#define CPU_SECONDS (24 * 3600)
#define PIPE_MEMORY 1024 /* MiB, of exports */

int jobs_new(struct jobs **jobs, struct control *control, struct error *error)
{
	struct jobs *j = calloc(1, sizeof(*j));

	*jobs = j;
	if (!j)
		return error_set(error, -ENOMEM, "no memory");
	j->control = control;
	pthread_mutex_init(&j->lock, NULL);
	pthread_cond_init(&j->wake, NULL);
	return 0;
}

void jobs_post(struct jobs *jobs, const char *type, const char *id,
	       const char *kind, const char *session, json_t *more)
{
	json_t *members = json_pack("{s:s, s:s, s:s}", "job", id, "kind", kind,
				    "session", session);

	json_object_update_new(members, more);
	events_post(jobs->control->events, type, session, members);
}

void jobs_write_end(struct jobs *jobs, const char *id, const char *kind,
		    const char *session, const char *state, const char *text)
{
	struct error error;

	if (catalogue_write(jobs->control->catalogue,
			    "UPDATE job SET state = ?, ended_at = ?, error = ? "
			    "WHERE id = ?",
			    CATALOGUE_VALUES(catalogue_text(state),
					     catalogue_int(units_now_us()),
					     catalogue_text(text),
					     catalogue_text(id)),
			    NULL, NULL, &error) < 0)
		log_error("job %s: %s", id, error.text);
	jobs_post(jobs, "job.ended", id, kind, session,
		  json_pack("{s:s, s:s?}", "state", state, "error", text));
}

static void progressed(void *data, double done)
{
	struct running *running = data;
	struct jobs *jobs = running->jobs;
	int64_t now = units_steady_us();
	bool post;

	pthread_mutex_lock(&jobs->lock);
	post = now - running->posted > 500000;
	running->progress = done;
	if (post)
		running->posted = now;
	pthread_mutex_unlock(&jobs->lock);
	if (post)
		jobs_post(jobs, "job.progress", running->id, running->kind,
			  running->session,
			  json_pack("{s:f}", "progress", done));
}

int job_open_capture(struct jobs *jobs, const char *session, int *fd,
		     struct error *error)
{
	char path[PATH_MAX];

	session_path(jobs->control, session, "wire.pcapng.zst", path);
	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (*fd >= 0)
		return 0;
	if (errno == ENOENT)
		return error_set(error, -ENOENT, "session %s was not recorded",
				 session);
	return error_errno(error, errno, "can't read %s", path);
}

int job_run_process(struct running *running, const struct job_start *start,
		    struct error *error)
{
	struct jobs *jobs = running->jobs;
	struct job_process process;
	int r = 0;

	pthread_mutex_lock(&jobs->lock);
	if (running->cancelled || jobs->ending)
		r = error_set(error, -ECANCELED, "cancelled");
	else
		r = job_process_start(&process, start, error);
	if (!r)
		running->pid = process.pid;
	pthread_mutex_unlock(&jobs->lock);
	if (r)
		return r;
	r = job_process_follow(&process, progressed, running, running->note,
			       error);
	return r;
}

static int take_next(void *data, const struct catalogue_row *row)
{
	struct running *running = data;

	snprintf(running->id, JOB_ID_SIZE, "%s", catalogue_row_text(row, 0));
	snprintf(running->session, JOB_ID_SIZE, "%s",
		 catalogue_row_text(row, 1));
	snprintf(running->options, sizeof(running->options), "%s",
		 catalogue_row_text(row, 2));
	running->attempts = (unsigned)catalogue_row_int(row, 3);
	return 0;
}

/* Marks the oldest queued render as running; NULL when there is none. */
static struct running *next_render(struct jobs *jobs)
{
	struct running *running = calloc(1, sizeof(*running));
	struct error error;
	int64_t r;

	if (!running)
		return NULL;
	r = catalogue_write(jobs->control->catalogue,
			    "UPDATE job SET state = 'running', started_at = ?, "
			    "attempts = attempts + 1 WHERE seq = "
			    "(SELECT seq FROM job WHERE state = 'queued' AND "
			    "kind = 'render' ORDER BY seq LIMIT 1) "
			    "RETURNING id, session, options, attempts",
			    CATALOGUE_VALUES(catalogue_int(units_now_us())),
			    take_next, running, &error);
	if (r == 1) {
		running->kind = "render";
		running->control = -1;
		running_add(jobs, running);
		return running;
	}
	if (r < 0)
		log_error("jobs: %s", error.text);
	free(running);
	return NULL;
}

static void *work(void *data)
{
	struct jobs *jobs = data;
	struct running *running;

	pthread_mutex_lock(&jobs->lock);
	while (!jobs->ending) {
		if (!jobs->waiting) {
			pthread_cond_wait(&jobs->wake, &jobs->lock);
			continue;
		}
		running = next_render(jobs);
		if (!running) {
			jobs->waiting = false;
			continue;
		}
		pthread_mutex_unlock(&jobs->lock);
		job_render_run(jobs, running);
		pthread_mutex_lock(&jobs->lock);
		running_remove(jobs, running);
	}
	pthread_mutex_unlock(&jobs->lock);
	return NULL;
}

/* What an earlier run left: again, or given up. */
static int take_up(struct jobs *jobs, struct error *error)
{
	static const char *const statements[] = {
		"UPDATE job SET state = 'queued' "
		"WHERE state = 'running' AND kind = 'render' AND attempts < 3",
		"UPDATE session SET video = 'failed', "
		"video_error = 'given up after three attempts' "
		"WHERE id IN (SELECT session FROM job "
		"WHERE state = 'running' AND kind = 'render' AND "
		"options NOT LIKE '%\"separate\":true%')",
		"UPDATE job SET state = 'failed', "
		"error = 'given up after three attempts' "
		"WHERE state = 'running' AND kind = 'render'",
		"UPDATE job SET state = 'failed', "
		"error = 'the daemon was restarted' "
		"WHERE state IN ('queued', 'running') AND kind <> 'render'",
	};

	for (unsigned i = 0; i < sizeof(statements) / sizeof(*statements); i++)
		if (catalogue_write(jobs->control->catalogue, statements[i],
				    CATALOGUE_NONE, NULL, NULL, error) < 0)
			return -EIO;
	return 0;
}

int jobs_start(struct jobs *jobs, struct error *error)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	int r = take_up(jobs, error);

	jobs->waiting = true;
	while (!r && jobs->thread_count < JOBS_THREADS &&
	       (long)jobs->thread_count < (cores > 0 ? cores : 1)) {
		if (pthread_create(&jobs->threads[jobs->thread_count], NULL,
				   work, jobs))
			r = error_set(error, -EAGAIN, "can't start a thread");
		else
			jobs->thread_count++;
	}
	return r;
}

void jobs_free(struct jobs *jobs)
{
	if (!jobs)
		return;
	pthread_mutex_lock(&jobs->lock);
	jobs->ending = true;
	for (struct running *r = jobs->list; r; r = r->next)
		if (r->pid)
			kill(r->pid, SIGKILL);
	pthread_cond_broadcast(&jobs->wake);
	pthread_mutex_unlock(&jobs->lock);
	for (unsigned i = 0; i < jobs->thread_count; i++)
		pthread_join(jobs->threads[i], NULL);
	/* Exports and replays have threads of their own. */
	pthread_mutex_lock(&jobs->lock);
	while (jobs->list)
		pthread_cond_wait(&jobs->wake, &jobs->lock);
	pthread_mutex_unlock(&jobs->lock);
	pthread_mutex_destroy(&jobs->lock);
	pthread_cond_destroy(&jobs->wake);
	free(jobs);
}

static int take_id(void *data, const struct catalogue_row *row)
{
	snprintf(data, JOB_ID_SIZE, "%s", catalogue_row_text(row, 0));
	return 1;
}

bool job_of_session(struct jobs *jobs, const char *session,
		    char id[JOB_ID_SIZE])
{
	return catalogue_read(jobs->control->catalogue,
			      "SELECT id FROM job WHERE session = ? AND "
			      "kind = 'render' AND options NOT LIKE "
			      "'%\"separate\":true%' ORDER BY state IN "
			      "('queued', 'running') DESC, seq DESC LIMIT 1",
			      CATALOGUE_VALUES(catalogue_text(session)),
			      take_id, id, NULL) == 1;
}

int jobs_insert(struct jobs *jobs, const char *kind, const char *session,
		const char *options, char id[JOB_ID_SIZE], struct error *error)
{
	int64_t r;

	units_id(units_now_us(), id);
	r = catalogue_write(
		jobs->control->catalogue,
		"INSERT INTO job (id, kind, session, options, state, "
		"created_at) VALUES (?, ?, ?, ?, 'queued', ?)",
		CATALOGUE_VALUES(catalogue_text(id), catalogue_text(kind),
				 catalogue_text(session),
				 catalogue_text(options),
				 catalogue_int(units_now_us())),
		NULL, NULL, error);
	return r < 0 ? (int)r : 0;
}

static void *follow_pipe(void *data)
{
	struct running *running = data;
	struct jobs *jobs = running->jobs;
	struct job_process process = {running->pid, running->words};
	struct error error = {0};

	if (job_process_follow(&process, NULL, NULL, running->note, &error))
		log_warning("session %s: %s: %s", running->session,
			    running->kind, error.text);
	pthread_mutex_lock(&jobs->lock);
	running_remove(jobs, running);
	pthread_mutex_unlock(&jobs->lock);
	return NULL;
}

int job_run(struct jobs *jobs, const char *kind, const char *look,
	    const char *session, int output, struct error *error)
{
	struct job_start start = {.kind = kind,
				  .look = look,
				  .session = session,
				  .output = output,
				  .memory = PIPE_MEMORY,
				  .cpu = CPU_SECONDS,
				  .dies_with_us = true};
	struct running *running = calloc(1, sizeof(*running));
	int r;

	r = running ? job_open_capture(jobs, session, &start.input, error)
		    : error_set(error, -ENOMEM, "no memory");
	if (r) {
		free(running);
		return r;
	}
	running->kind = kind;
	running->control = -1;
	snprintf(running->session, JOB_ID_SIZE, "%s", session);
	pthread_mutex_lock(&jobs->lock);
	running_add(jobs, running);
	pthread_mutex_unlock(&jobs->lock);
	r = job_run_process(running, &start, error);
	close(start.input);
	pthread_mutex_lock(&jobs->lock);
	running_remove(jobs, running);
	pthread_mutex_unlock(&jobs->lock);
	return r;
}

int job_pipe(struct jobs *jobs, const char *kind, const char *look,
	     const char *session, int *fd, struct error *error)
{
	struct job_start start = {.kind = kind,
				  .look = look,
				  .session = session,
				  .memory = PIPE_MEMORY,
				  .cpu = CPU_SECONDS};
	struct running *running = calloc(1, sizeof(*running));
	struct job_process process;
	pthread_t thread;
	int pipe[2], r;

	r = running ? job_open_capture(jobs, session, &start.input, error)
		    : error_set(error, -ENOMEM, "no memory");
	if (!r && pipe2(pipe, O_CLOEXEC)) {
		r = error_errno(error, errno, "no pipe");
		close(start.input);
	}
	if (r) {
		free(running);
		return r;
	}
	start.output = pipe[1];
	r = job_process_start(&process, &start, error);
	close(start.input);
	close(pipe[1]);
	if (r) {
		close(pipe[0]);
		free(running);
		return r;
	}
	running->kind = kind;
	running->pid = process.pid;
	running->words = process.progress;
	running->control = -1;
	snprintf(running->session, JOB_ID_SIZE, "%s", session);
	pthread_mutex_lock(&jobs->lock);
	running_add(jobs, running);
	pthread_mutex_unlock(&jobs->lock);
	if (!pthread_create(&thread, NULL, follow_pipe, running))
		pthread_detach(thread);
	else
		follow_pipe(running);
	*fd = pipe[0];
	return 0;
}
