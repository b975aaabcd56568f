/* The list of jobs: what runs, what is shown, what is cancelled. */
#include "daemon/job_list.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/catalogue.h"
#include "daemon/control.h"
#include "daemon/units.h"

#define UNSEEN_US (3600 * 1000000ll) /* of a replay; its ticket ends before */
#define COLUMNS "id, kind, session, state, created_at, ended_at, error, result"

void running_add(struct jobs *jobs, struct running *running)
{
	running->jobs = jobs;
	running->next = jobs->list;
	jobs->list = running;
}

void running_remove(struct jobs *jobs, struct running *running)
{
	struct running **at = &jobs->list;

	while (*at != running)
		at = &(*at)->next;
	*at = running->next;
	json_decref(running->detail);
	free(running);
	pthread_cond_broadcast(&jobs->wake);
}

struct running *running_find(struct jobs *jobs, const char *id)
{
	struct running *running = jobs->list;

	while (running && strcmp(running->id, id))
		running = running->next;
	return running;
}

static int take_job(void *data, const struct catalogue_row *row)
{
	const char *state = catalogue_row_text(row, 3);
	const char *result = catalogue_row_text(row, 7);

	json_array_append_new(
		data,
		json_pack(
			"{s:s, s:s, s:s, s:s, s:f, s:o, s:o, s:s?, s:o*}", "id",
			catalogue_row_text(row, 0), "kind",
			catalogue_row_text(row, 1), "session",
			catalogue_row_text(row, 2), "state", state, "progress",
			(double)!strcmp(state, "done"), "created_at",
			units_time_json(catalogue_row_int(row, 4)), "ended_at",
			units_time_json(catalogue_row_int(row, 5)), "error",
			catalogue_row_text(row, 6), "result",
			result ? json_loads(result, 0, NULL) : NULL));
	return 0;
}

/* How far those are that run. */
static void add_progress(struct jobs *jobs, json_t *array)
{
	json_t *job;
	size_t i;

	pthread_mutex_lock(&jobs->lock);
	json_array_foreach(array, i, job)
	{
		struct running *running = running_find(
			jobs, json_string_value(json_object_get(job, "id")));

		if (!running)
			continue;
		json_object_set_new(job, "progress",
				    json_real(running->progress));
		json_object_update(job, running->detail);
	}
	pthread_mutex_unlock(&jobs->lock);
}

int job_list(struct jobs *jobs, json_t **list, struct error *error)
{
	int64_t r;

	*list = json_array();
	r = catalogue_read(jobs->control->catalogue,
			   "SELECT " COLUMNS " FROM job "
			   "ORDER BY seq DESC LIMIT 200",
			   CATALOGUE_NONE, take_job, *list, error);

	add_progress(jobs, *list);
	return r < 0 ? (int)r : 0;
}

int job_show(struct jobs *jobs, const char *id, json_t **job,
	     struct error *error)
{
	json_t *list = json_array();
	int64_t r = catalogue_read(jobs->control->catalogue,
				   "SELECT " COLUMNS " FROM job WHERE id = ?",
				   CATALOGUE_VALUES(catalogue_text(id)),
				   take_job, list, error);

	add_progress(jobs, list);
	*job = json_incref(json_array_get(list, 0));
	json_decref(list);
	if (!r)
		return error_set(error, -ENOENT, "there is no job \"%s\"", id);
	return r < 0 ? (int)r : 0;
}

struct queued {
	char session[JOB_ID_SIZE];
	char kind[16];
	bool is_own_video;
};

static int take_queued(void *data, const struct catalogue_row *row)
{
	struct queued *queued = data;

	snprintf(queued->session, JOB_ID_SIZE, "%s",
		 catalogue_row_text(row, 0));
	snprintf(queued->kind, sizeof(queued->kind), "%s",
		 catalogue_row_text(row, 1));
	queued->is_own_video =
		!strcmp(queued->kind, "render") &&
		!strstr(catalogue_row_text(row, 2), "\"separate\":true");
	return 0;
}

/* A job that nobody works on yet; 1 when it was one. */
static int64_t cancel_queued(struct jobs *jobs, const char *id,
			     struct queued *queued, struct error *error)
{
	return catalogue_write(jobs->control->catalogue,
			       "UPDATE job SET state = 'cancelled', "
			       "ended_at = ? WHERE id = ? AND "
			       "state = 'queued' RETURNING session, kind, "
			       "options",
			       CATALOGUE_VALUES(catalogue_int(units_now_us()),
						catalogue_text(id)),
			       take_queued, queued, error);
}

int job_cancel(struct jobs *jobs, const char *id, struct error *error)
{
	struct queued queued;
	struct running *running;
	int64_t r = 1;

	pthread_mutex_lock(&jobs->lock);
	running = running_find(jobs, id);
	if (running) {
		running->cancelled = true;
		if (running->pid)
			kill(running->pid, SIGKILL);
	} else {
		r = cancel_queued(jobs, id, &queued, error);
	}
	pthread_mutex_unlock(&jobs->lock);
	if (!running && r == 1) {
		if (queued.is_own_video)
			job_render_restore(jobs, queued.session, "none", NULL);
		jobs_post(jobs, "job.ended", id, queued.kind, queued.session,
			  json_pack("{s:s}", "state", "cancelled"));
	}
	if (!r && !job_render_take_away(jobs, id))
		return error_set(error, -EBUSY, "job %s neither waits nor runs",
				 id);
	return r < 0 ? (int)r : 0;
}

struct ids {
	char ids[16][JOB_ID_SIZE];
	unsigned count;
};

static int take_open(void *data, const struct catalogue_row *row)
{
	struct ids *ids = data;

	snprintf(ids->ids[ids->count++], JOB_ID_SIZE, "%s",
		 catalogue_row_text(row, 0));
	return ids->count == 16;
}

void job_cancel_session(struct jobs *jobs, const char *session)
{
	struct ids ids = {.count = 0};
	struct running *running;

	catalogue_read(jobs->control->catalogue,
		       "SELECT id FROM job WHERE session = ? AND "
		       "state IN ('queued', 'running')",
		       CATALOGUE_VALUES(catalogue_text(session)), take_open,
		       &ids, NULL);
	for (unsigned i = 0; i < ids.count; i++) {
		job_cancel(jobs, ids.ids[i], NULL);
		/* It holds files of the session until it is gone. */
		pthread_mutex_lock(&jobs->lock);
		while ((running = running_find(jobs, ids.ids[i])))
			pthread_cond_wait(&jobs->wake, &jobs->lock);
		pthread_mutex_unlock(&jobs->lock);
	}
	catalogue_write(
		jobs->control->catalogue, "DELETE FROM job WHERE session = ?",
		CATALOGUE_VALUES(catalogue_text(session)), NULL, NULL, NULL);
}

unsigned jobs_active(struct jobs *jobs)
{
	unsigned count = 0;

	pthread_mutex_lock(&jobs->lock);
	for (struct running *r = jobs->list; r; r = r->next)
		count++;
	pthread_mutex_unlock(&jobs->lock);
	return count;
}

static int forget(void *data, const struct catalogue_row *row)
{
	job_render_forget(data, catalogue_row_text(row, 0),
			  catalogue_row_text(row, 1));
	return 0;
}

void jobs_sweep(struct jobs *jobs, int64_t before)
{
	struct catalogue *catalogue = jobs->control->catalogue;

	catalogue_write(catalogue,
			"DELETE FROM job WHERE state NOT IN "
			"('queued', 'running') AND ended_at < ? "
			"RETURNING session, id",
			CATALOGUE_VALUES(catalogue_int(before)), forget, jobs,
			NULL);
	catalogue_write(
		catalogue,
		"DELETE FROM job WHERE state = 'queued' AND "
		"kind = 'replay' AND created_at < ?",
		CATALOGUE_VALUES(catalogue_int(units_now_us() - UNSEEN_US)),
		NULL, NULL, NULL);
}
