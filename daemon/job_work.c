/* Jobs of the control role: their thread, and what is told of them. */
#include "daemon/job_work.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/catalogue.h"
#include "daemon/control.h"
#include "daemon/job_list.h"
#include "daemon/log.h"
#include "daemon/units.h"

#define POST_US 500000
#define RATE_US 1000000 /* a rate of less says nothing */

struct job_work {
	struct jobs *jobs;
	struct running *running;
	const struct job_work_kind *kind;
	void *data;
	char id[JOB_ID_SIZE], vault[JOB_ID_SIZE];
	json_t *result;
	int64_t began;   /* us, units_steady_us; of the first bytes */
	uint64_t before; /* bytes that were done then */
	double from, to; /* of the process that runs */
};

struct control *job_work_control(const struct job_work *work)
{
	return work->jobs->control;
}

const char *job_work_id(const struct job_work *work)
{
	return work->id;
}

/* --- progress --------------------------------------------------------- */

/* Takes more. */
static void tell(struct job_work *work, double done, json_t *more)
{
	struct jobs *jobs = work->jobs;
	int64_t now = units_steady_us();
	bool post;

	pthread_mutex_lock(&jobs->lock);
	post = now - work->running->posted > POST_US;
	work->running->progress = done;
	if (post) {
		work->running->posted = now;
		json_decref(work->running->detail);
		work->running->detail = json_deep_copy(more);
	}
	pthread_mutex_unlock(&jobs->lock);
	if (post) {
		json_object_set_new(more, "progress", json_real(done));
		jobs_post(jobs, "job.progress", work->id, work->kind->kind,
			  work->vault, more);
	} else {
		json_decref(more);
	}
}

void job_work_bytes(struct job_work *work, uint64_t done, uint64_t all)
{
	int64_t now = units_steady_us();
	json_t *more = json_pack("{s:I, s:I}", "bytes", (json_int_t)done,
				 "bytes_all", (json_int_t)all);
	double seconds, rate;

	if (!work->began) {
		work->began = now;
		work->before = done;
	}
	seconds = (double)(now - work->began) / 1e6;
	if (now - work->began > RATE_US && done > work->before) {
		rate = (double)(done - work->before) / seconds;
		json_object_set_new(more, "rate",
				    json_integer((json_int_t)rate));
		if (all > done)
			json_object_set_new(
				more, "seconds_left",
				json_integer((json_int_t)((double)(all - done) /
								  rate +
							  1)));
	}
	tell(work, all ? (double)done / (double)all : 1, more);
}

void job_work_progress(struct job_work *work, double done, const char *step)
{
	tell(work, done, json_pack("{s:s*}", "step", step));
}

int job_work_check(struct job_work *work, struct error *error)
{
	bool end;

	pthread_mutex_lock(&work->jobs->lock);
	end = work->running->cancelled || work->jobs->ending;
	pthread_mutex_unlock(&work->jobs->lock);
	return end ? error_set(error, -ECANCELED, "cancelled") : 0;
}

bool job_work_is_interrupted(const struct job_work *work)
{
	bool ending;

	pthread_mutex_lock(&work->jobs->lock);
	ending = work->jobs->ending;
	pthread_mutex_unlock(&work->jobs->lock);
	return ending;
}

void job_work_result(struct job_work *work, json_t *result)
{
	if (work->result)
		json_object_update_new(work->result, result);
	else
		work->result = result;
}

/* --- processes -------------------------------------------------------- */

static void process_progressed(void *data, double done)
{
	struct job_work *work = data;

	job_work_progress(work, work->from + done * (work->to - work->from),
			  NULL);
}

int job_work_process(struct job_work *work, const struct job_start *start,
		     double from, double to, struct error *error)
{
	struct jobs *jobs = work->jobs;
	struct job_process process;
	int r = job_work_check(work, error);

	if (r)
		return r;
	work->from = from;
	work->to = to;
	pthread_mutex_lock(&jobs->lock);
	r = job_process_start(&process, start, error);
	if (!r)
		work->running->pid = process.pid;
	pthread_mutex_unlock(&jobs->lock);
	if (r)
		return r;
	r = job_process_follow(&process, process_progressed, work,
			       work->running->note, error);
	pthread_mutex_lock(&jobs->lock);
	work->running->pid = 0;
	pthread_mutex_unlock(&jobs->lock);
	if (r && job_work_check(work, NULL)) {
		error_clear(error);
		return error_set(error, -ECANCELED, "cancelled");
	}
	return r;
}

/* --- the thread ------------------------------------------------------- */

static void write_result(struct job_work *work)
{
	char *text = json_dumps(work->result, JSON_COMPACT);
	struct error error;

	if (catalogue_write(work->jobs->control->catalogue,
			    "UPDATE job SET result = ? WHERE id = ?",
			    CATALOGUE_VALUES(catalogue_text(text),
					     catalogue_text(work->id)),
			    NULL, NULL, &error) < 0)
		log_error("job %s: %s", work->id, error.text);
	free(text);
}

static void work_free(struct job_work *work)
{
	if (work->kind->free)
		work->kind->free(work->data);
	json_decref(work->result);
	free(work);
}

static void *work_thread(void *data)
{
	struct job_work *work = data;
	struct jobs *jobs = work->jobs;
	struct running *running = work->running;
	struct error error = {0};
	int r;

	/* Of this thread only, as Linux has it. */
	setpriority(PRIO_PROCESS, (id_t)gettid(), 19);
	r = work->kind->run(work, work->data, &error);
	if (work->result)
		write_result(work);
	jobs_write_end(jobs, work->id, work->kind->kind, work->vault,
		       !r                ? "done"
		       : r == -ECANCELED ? "cancelled"
					 : "failed",
		       r && error.text[0] ? error.text : NULL);
	pthread_mutex_lock(&jobs->lock);
	running->work = NULL;
	pthread_mutex_unlock(&jobs->lock);
	work_free(work);
	pthread_mutex_lock(&jobs->lock);
	running_remove(jobs, running);
	pthread_mutex_unlock(&jobs->lock);
	return NULL;
}

/* With the lock held. */
static bool does_the_same(const struct running *r, const struct job_work *work)
{
	return r->id[0] && r->work && r->work->kind == work->kind &&
	       work->kind->same && work->kind->same(r->work->data, work->data);
}

/*
 * In the list of what runs; 1, with its id, when there is one that does the
 * same; -EBUSY when there is another of the kind.
 */
static int enlist(struct job_work *work, char id[JOB_ID_SIZE],
		  struct error *error)
{
	struct jobs *jobs = work->jobs;
	struct running *r;
	bool ending;
	int result;

	pthread_mutex_lock(&jobs->lock);
	ending = jobs->ending;
	for (r = jobs->list; r; r = r->next)
		if (!strcmp(r->kind, work->kind->kind) &&
		    !strcmp(r->session, work->vault))
			break;
	if (!r && !ending)
		running_add(jobs, work->running);
	result = !r ? 0 : does_the_same(r, work) ? 1 : -EBUSY;
	if (r)
		strcpy(id, r->id);
	pthread_mutex_unlock(&jobs->lock);
	if (result < 0)
		return error_set(error, result,
				 "another %s is at work on it (job %s); wait "
				 "for its end",
				 work->kind->kind, id);
	if (result)
		return result;
	return ending ? error_set(error, -ESHUTDOWN, "the daemon ends") : 0;
}

/* After its thread began, the job may be over at any moment. */
static int begin(struct job_work *work, char id[JOB_ID_SIZE],
		 struct error *error)
{
	struct jobs *jobs = work->jobs;
	pthread_t thread;
	int r = jobs_insert(jobs, work->kind->kind, work->vault, "{}", work->id,
			    error);

	if (r)
		return r;
	pthread_mutex_lock(&jobs->lock);
	strcpy(work->running->id, work->id);
	strcpy(id, work->id);
	pthread_mutex_unlock(&jobs->lock);
	catalogue_write(jobs->control->catalogue,
			"UPDATE job SET state = 'running', started_at = ? "
			"WHERE id = ?",
			CATALOGUE_VALUES(catalogue_int(units_now_us()),
					 catalogue_text(work->id)),
			NULL, NULL, NULL);
	r = pthread_create(&thread, NULL, work_thread, work);
	if (r) {
		error_errno(error, r, "can't start a thread");
		jobs_write_end(jobs, work->id, work->kind->kind, work->vault,
			       "failed", error ? error->text : NULL);
		return -r;
	}
	pthread_detach(thread);
	return 0;
}

int job_work_start(struct jobs *jobs, const struct job_work_kind *kind,
		   const char *vault, void *data, char id[JOB_ID_SIZE],
		   struct error *error)
{
	struct job_work *work = calloc(1, sizeof(*work));
	struct running *running = calloc(1, sizeof(*running));
	int r;

	if (!work || !running) {
		free(work);
		free(running);
		if (kind->free)
			kind->free(data);
		return error_set(error, -ENOMEM, "no memory");
	}
	*work = (struct job_work){
		.jobs = jobs, .running = running, .kind = kind, .data = data};
	snprintf(work->vault, sizeof(work->vault), "%s", vault);
	running->work = work;
	running->kind = kind->kind;
	running->control = -1;
	strcpy(running->session, work->vault);
	r = enlist(work, id, error);
	if (r) {
		free(running);
		work_free(work);
		return r > 0 ? 0 : r;
	}
	r = begin(work, id, error);
	if (!r)
		return 0;
	pthread_mutex_lock(&jobs->lock);
	running_remove(jobs, running);
	pthread_mutex_unlock(&jobs->lock);
	work_free(work);
	return r;
}
