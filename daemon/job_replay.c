/*
 * Replays: a process that is a SPICE server, which gets one end of a socket
 * pair for each channel that the gateway opens.
 */
#include "daemon/job_list.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/catalogue.h"
#include "daemon/control.h"
#include "daemon/job_process.h"
#include "daemon/log.h"
#include "daemon/session.h"
#include "daemon/units.h"
#include "recorder/replay_wire.h"

#define MEMORY 1024 /* MiB */
#define CPU_SECONDS (24 * 3600)

int job_replay(struct jobs *jobs, const char *session, double speed,
	       char id[JOB_ID_SIZE], struct error *error)
{
	char options[48];

	snprintf(options, sizeof(options), "{\"speed\": %g}", speed);
	return jobs_insert(jobs, "replay", session, options, id, error);
}

struct replay {
	char session[JOB_ID_SIZE];
	double speed;
};

static int take_replay(void *data, const struct catalogue_row *row)
{
	struct replay *replay = data;
	json_t *options = json_loads(catalogue_row_text(row, 1), 0, NULL);

	snprintf(replay->session, sizeof(replay->session), "%s",
		 catalogue_row_text(row, 0));
	replay->speed = json_number_value(json_object_get(options, "speed"));
	json_decref(options);
	return 0;
}

static void *follow(void *data)
{
	struct running *running = data;
	struct jobs *jobs = running->jobs;
	struct job_process process;
	struct error error = {0};
	bool cancelled;
	int r;

	pthread_mutex_lock(&jobs->lock);
	process = (struct job_process){running->pid, running->words};
	pthread_mutex_unlock(&jobs->lock);
	r = job_process_follow(&process, NULL, NULL, running->note, &error);
	pthread_mutex_lock(&jobs->lock);
	running->pid = 0;
	cancelled = running->cancelled;
	pthread_mutex_unlock(&jobs->lock);
	jobs_write_end(jobs, running->id, "replay", running->session,
		       cancelled ? "cancelled"
		       : r       ? "failed"
				 : "done",
		       r && !cancelled ? error.text : NULL);
	pthread_mutex_lock(&jobs->lock);
	if (running->control >= 0)
		close(running->control);
	running_remove(jobs, running);
	pthread_mutex_unlock(&jobs->lock);
	return NULL;
}

/* The process, its control socket and the thread that follows it. */
static int launch(struct jobs *jobs, struct running *running,
		  const struct replay *replay, struct error *error)
{
	struct job_start start = {.kind = "replay",
				  .session = replay->session,
				  .memory = MEMORY,
				  .cpu = CPU_SECONDS,
				  .speed = replay->speed};
	struct job_process process;
	char path[PATH_MAX];
	pthread_t thread;
	int pair[2], r;

	session_path(jobs->control, replay->session, "wire.pcapng.zst", path);
	start.input = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (start.input < 0)
		return error_errno(error, errno, "can't read %s", path);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		r = error_errno(error, errno, "no sockets");
		close(start.input);
		return r;
	}
	start.output = pair[1];
	r = job_process_start(&process, &start, error);
	close(start.input);
	close(pair[1]);
	if (r) {
		close(pair[0]);
		return r;
	}
	running->pid = process.pid;
	running->control = pair[0];
	running->words = process.progress;
	running_add(jobs, running);
	if (pthread_create(&thread, NULL, follow, running)) {
		kill(process.pid, SIGKILL);
		abort();
	}
	pthread_detach(thread);
	return 0;
}

int job_replay_start(struct jobs *jobs, const char *id, struct error *error)
{
	struct running *running = calloc(1, sizeof(*running));
	struct replay replay = {.speed = 1};
	int64_t r;

	if (!running)
		return error_set(error, -ENOMEM, "no memory");
	r = catalogue_write(jobs->control->catalogue,
			    "UPDATE job SET state = 'running', started_at = ? "
			    "WHERE id = ? AND kind = 'replay' AND "
			    "state = 'queued' RETURNING session, options",
			    CATALOGUE_VALUES(catalogue_int(units_now_us()),
					     catalogue_text(id)),
			    take_replay, &replay, error);
	if (!r)
		r = error_set(error, -ENOENT, "the replay is over");
	if (r < 0) {
		free(running);
		return (int)r;
	}
	running->kind = "replay";
	snprintf(running->id, sizeof(running->id), "%s", id);
	snprintf(running->session, sizeof(running->session), "%s",
		 replay.session);
	pthread_mutex_lock(&jobs->lock);
	r = launch(jobs, running, &replay, error);
	pthread_mutex_unlock(&jobs->lock);
	if (r) {
		jobs_write_end(jobs, id, "replay", replay.session, "failed",
			       error ? error->text : NULL);
		free(running);
	}
	return (int)r;
}

int job_replay_connect(struct jobs *jobs, const char *id, int *fd,
		       struct error *error)
{
	struct running *running;
	int pair[2], r = -ENOENT;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return error_errno(error, errno, "no sockets");
	pthread_mutex_lock(&jobs->lock);
	running = running_find(jobs, id);
	if (running && running->control >= 0)
		r = replay_wire_hand(running->control, pair[1]);
	pthread_mutex_unlock(&jobs->lock);
	close(pair[1]);
	if (r) {
		close(pair[0]);
		return error_set(error, r, "the replay is over");
	}
	*fd = pair[0];
	return 0;
}

void job_replay_end(struct jobs *jobs, const char *id)
{
	struct running *running;

	pthread_mutex_lock(&jobs->lock);
	running = running_find(jobs, id);
	/* It ends when nobody can hand it sockets any more. */
	if (running && running->control >= 0) {
		close(running->control);
		running->control = -1;
	}
	pthread_mutex_unlock(&jobs->lock);
}
