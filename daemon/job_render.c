/*
 * Renders: the files of a session's video, and what becomes of them.
 *
 * A job writes NAME.part, and NAME.partial with what it has encoded so far;
 * that one outlives a job that was killed, a restart and a power cut, and the
 * next attempt goes on where it ends. It is as large as the video, so for a
 * moment at the end the video takes twice its place. NAME is "video", or
 * "render-JOB" for a file that is not the session's own video; only that of a
 * session has thumbnails. A job that failed or was cancelled leaves nothing,
 * and the session the video that it had before.
 */
#include "daemon/job_list.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/catalogue.h"
#include "daemon/control.h"
#include "daemon/folder.h"
#include "daemon/log.h"
#include "daemon/session.h"
#include "daemon/units.h"
#include "daemon/video_options.h"

#define CPU_SECONDS (24 * 3600)
#define ATTEMPTS 3

/* Files that a render writes; the last of them is not kept. */
enum { VIDEO, THUMBS, VTT, PARTIAL, FILES };

struct target {
	bool separate;
	char folder[PATH_MAX];
	char names[FILES][64]; /* "" = is not made */
	int fds[FILES];
};

static void write_video(struct jobs *jobs, const char *session,
			const char *state, uint64_t bytes, const char *text)
{
	struct error error;

	if (catalogue_write(jobs->control->catalogue,
			    "UPDATE session SET video = ?, video_bytes = ?, "
			    "video_error = ? WHERE id = ?",
			    CATALOGUE_VALUES(catalogue_text(state),
					     catalogue_int((int64_t)bytes),
					     catalogue_text(text),
					     catalogue_text(session)),
			    NULL, NULL, &error) < 0)
		log_error("session %s: %s", session, error.text);
}

/* Bytes of the video that a session has; 0 when it has none. */
static uint64_t video_size(struct jobs *jobs, const char *session)
{
	char path[PATH_MAX];
	struct stat st;

	session_path(jobs->control, session, "video.mp4", path);
	return stat(path, &st) ? 0 : (uint64_t)st.st_size;
}

/* After an attempt that brought none: the one that was there, if any. */
void job_render_restore(struct jobs *jobs, const char *session,
			const char *state, const char *text)
{
	uint64_t bytes = video_size(jobs, session);

	write_video(jobs, session, bytes ? "ready" : state, bytes, text);
}

/* The options as they were when the job was queued. */
static int read_options(const char *text, struct video_options *options,
			struct error *error)
{
	json_t *json = json_loads(text, 0, NULL);
	int r = video_options_read(options, json, error);

	options->render.preset = NULL; /* was the JSON's */
	json_decref(json);
	return r;
}

static int choose_target(struct running *running, struct target *t,
			 struct error *error)
{
	struct video_options options;
	int r = read_options(running->options, &options, error);

	*t = (struct target){.separate = options.separate};
	session_path(running->jobs->control, running->session, NULL, t->folder);
	if (r)
		return r;
	if (options.separate) {
		snprintf(t->names[VIDEO], sizeof(t->names[VIDEO]),
			 "render-%s.%s", running->id,
			 video_options_format(&options));
		snprintf(t->names[PARTIAL], sizeof(t->names[PARTIAL]),
			 "render-%s.partial", running->id);
		return 0;
	}
	strcpy(t->names[VIDEO], "video.mp4");
	strcpy(t->names[THUMBS], "thumbs.jpg");
	strcpy(t->names[VTT], "thumbs.vtt");
	strcpy(t->names[PARTIAL], "video.partial");
	return 0;
}

/* Where a file is while it is written. */
static void part_path(const struct target *t, unsigned file,
		      char path[PATH_MAX + 80])
{
	snprintf(path, PATH_MAX + 80, "%s/%s%s", t->folder, t->names[file],
		 file == PARTIAL ? "" : ".part");
}

static int open_target(struct target *t, struct error *error)
{
	char path[PATH_MAX + 80];

	for (unsigned i = 0; i < FILES; i++)
		t->fds[i] = -1;
	for (unsigned i = 0; i < FILES; i++) {
		if (!t->names[i][0])
			continue;
		part_path(t, i, path);
		t->fds[i] = open(path,
				 O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW |
					 (i == PARTIAL ? 0 : O_TRUNC),
				 0600);
		if (t->fds[i] < 0)
			return error_errno(error, errno, "can't write %s",
					   path);
	}
	return 0;
}

static void close_target(struct target *t)
{
	for (unsigned i = 0; i < FILES; i++)
		if (t->fds[i] >= 0)
			close(t->fds[i]);
}

/* The new files take the place of the old ones. */
static int keep_target(struct target *t, uint64_t *bytes, struct error *error)
{
	char part[PATH_MAX + 80], whole[PATH_MAX + 80];
	struct stat st;

	for (unsigned i = 0; i < PARTIAL; i++) {
		if (t->fds[i] < 0)
			continue;
		part_path(t, i, part);
		snprintf(whole, sizeof(whole), "%s/%s", t->folder, t->names[i]);
		if (fsync(t->fds[i]) || fstat(t->fds[i], &st) ||
		    rename(part, whole))
			return error_errno(error, errno, "can't write %s",
					   whole);
		if (i == VIDEO)
			*bytes = (uint64_t)st.st_size;
	}
	return folder_sync(t->folder, error);
}

static void drop_target(const struct target *t, bool partial)
{
	char path[PATH_MAX + 80];

	for (unsigned i = 0; i < FILES; i++) {
		if (!t->names[i][0] || (i == PARTIAL && !partial))
			continue;
		part_path(t, i, path);
		unlink(path);
	}
}

static int run_job(struct running *running, const struct target *t,
		   struct error *error)
{
	struct job_start start = {
		.kind = "render",
		.session = running->session,
		.video = running->options,
		.output = t->fds[VIDEO],
		.more = {t->fds[PARTIAL], t->fds[THUMBS], t->fds[VTT]},
		.more_count = t->separate ? 1 : 3,
		.memory =
			(unsigned)running->jobs->control->config.render_memory,
		.cpu = CPU_SECONDS,
		.dies_with_us = true,
	};
	int r = job_open_capture(running->jobs, running->session, &start.input,
				 error);

	if (r)
		return r;
	r = job_run_process(running, &start, error);
	close(start.input);
	return r;
}

static bool is_ending(struct jobs *jobs, struct running *running,
		      bool *cancelled)
{
	bool ending;

	pthread_mutex_lock(&jobs->lock);
	running->pid = 0;
	*cancelled = running->cancelled;
	ending = jobs->ending && !running->cancelled;
	pthread_mutex_unlock(&jobs->lock);
	return ending;
}

/* It was killed, not by us: what it has done so far is not lost. */
static bool try_again(struct jobs *jobs, struct running *running)
{
	if (running->attempts >= ATTEMPTS ||
	    catalogue_write(jobs->control->catalogue,
			    "UPDATE job SET state = 'queued' WHERE id = ?",
			    CATALOGUE_VALUES(catalogue_text(running->id)), NULL,
			    NULL, NULL) != 1)
		return false;
	pthread_mutex_lock(&jobs->lock);
	jobs->waiting = true;
	pthread_mutex_unlock(&jobs->lock);
	return true;
}

/* r: of the job; -ENODATA: there is nothing to be shown. */
static void write_end(struct jobs *jobs, struct running *running, bool separate,
		      bool cancelled, int r, uint64_t bytes, const char *text)
{
	const char *session = running->session;

	if (!separate && !r)
		write_video(jobs, session, "ready", bytes,
			    running->note[0] ? running->note : NULL);
	else if (!separate)
		job_render_restore(jobs, session,
				   cancelled || r == -ENODATA ? "none"
							      : "failed",
				   cancelled ? NULL : text);
	jobs_write_end(jobs, running->id, "render", session,
		       !r          ? "done"
		       : cancelled ? "cancelled"
				   : "failed",
		       r && !cancelled ? text : NULL);
}

void job_render_run(struct jobs *jobs, struct running *running)
{
	struct error error = {0};
	struct target target;
	uint64_t bytes = 0;
	bool cancelled;
	int r = choose_target(running, &target, &error);

	if (!r && !target.separate)
		write_video(jobs, running->session, "rendering", 0, NULL);
	if (!r) {
		r = open_target(&target, &error);
		if (!r)
			r = run_job(running, &target, &error);
		if (!r)
			r = keep_target(&target, &bytes, &error);
		close_target(&target);
	}
	if (is_ending(jobs, running, &cancelled) && r) {
		drop_target(&target, false);
		return; /* the next start does it again */
	}
	if (r == -EINTR && !cancelled && try_again(jobs, running)) {
		drop_target(&target, false);
		return;
	}
	drop_target(&target, true);
	write_end(jobs, running, target.separate, cancelled, r, bytes,
		  error.text);
}

struct open_job {
	char id[JOB_ID_SIZE];
	char options[VIDEO_OPTIONS_SIZE];
	const char *wanted;
	bool same, clash;
};

/* Of the session's open jobs: the one that does it, one that is in the way. */
static int take_open(void *data, const struct catalogue_row *row)
{
	struct open_job *open = data;
	const char *options = catalogue_row_text(row, 1);
	bool separate = strstr(open->wanted, "\"separate\":true");

	if (!strcmp(options, open->wanted)) {
		open->same = true;
	} else if (!separate && !strstr(options, "\"separate\":true")) {
		open->clash = true;
	} else {
		return 0;
	}
	snprintf(open->id, JOB_ID_SIZE, "%s", catalogue_row_text(row, 0));
	return open->same;
}

static int queue(struct jobs *jobs, const char *session, const char *options,
		 char id[JOB_ID_SIZE], struct error *error)
{
	int r = jobs_insert(jobs, "render", session, options, id, error);

	if (!r && !strstr(options, "\"separate\":true"))
		write_video(jobs, session, "queued", 0, NULL);
	jobs->waiting = true;
	pthread_cond_signal(&jobs->wake);
	return r;
}

int job_render(struct jobs *jobs, const char *session, const char *options,
	       char id[JOB_ID_SIZE], struct error *error)
{
	struct open_job open = {.wanted = options};
	char own[JOB_ID_SIZE];
	int64_t r;

	id = id ? id : own;
	/* Two that ask at once get the same job. */
	pthread_mutex_lock(&jobs->lock);
	r = catalogue_read(jobs->control->catalogue,
			   "SELECT id, options FROM job WHERE session = ? AND "
			   "kind = 'render' AND "
			   "state IN ('queued', 'running')",
			   CATALOGUE_VALUES(catalogue_text(session)), take_open,
			   &open, error);
	if (r >= 0 && open.same)
		snprintf(id, JOB_ID_SIZE, "%s", open.id);
	else if (r >= 0 && open.clash)
		r = error_set(error, -EBUSY,
			      "the video of session %s is being made with "
			      "other options; cancel job %s first",
			      session, open.id);
	else if (r >= 0)
		r = queue(jobs, session, options, id, error);
	pthread_mutex_unlock(&jobs->lock);
	return r < 0 ? (int)r : 0;
}

struct done_job {
	char session[JOB_ID_SIZE], state[16];
	char options[VIDEO_OPTIONS_SIZE];
};

static int take_done(void *data, const struct catalogue_row *row)
{
	struct done_job *done = data;

	snprintf(done->session, sizeof(done->session), "%s",
		 catalogue_row_text(row, 0));
	snprintf(done->state, sizeof(done->state), "%s",
		 catalogue_row_text(row, 1));
	snprintf(done->options, sizeof(done->options), "%s",
		 catalogue_row_text(row, 2));
	return 1;
}

int job_video(struct jobs *jobs, const char *id, struct job_video *video,
	      struct error *error)
{
	struct video_options options;
	struct done_job done = {0};
	int64_t r = catalogue_read(jobs->control->catalogue,
				   "SELECT session, state, options FROM job "
				   "WHERE id = ? AND kind = 'render'",
				   CATALOGUE_VALUES(catalogue_text(id)),
				   take_done, &done, error);

	if (r < 0)
		return (int)r;
	if (r && strcmp(done.state, "done"))
		return error_set(error, -ENOENT,
				 "job %s has no video: it is %s", id,
				 done.state);
	if (r && read_options(done.options, &options, error))
		return -EIO;
	if (!r)
		return error_set(error, -ENOENT, "there is no render \"%s\"",
				 id);
	video->separate = options.separate;
	video->webm = options.render.format == ENCODER_WEBM;
	snprintf(video->session, sizeof(video->session), "%s", done.session);
	if (options.separate)
		snprintf(video->name, sizeof(video->name), "render-%s.%s", id,
			 video_options_format(&options));
	else
		strcpy(video->name, "video.mp4");
	return 0;
}

void job_render_forget(struct jobs *jobs, const char *session, const char *id)
{
	static const char *const ends[] = {"mp4", "webm", "partial"};
	char name[64], path[PATH_MAX];

	for (unsigned i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		snprintf(name, sizeof(name), "render-%s.%s", id, ends[i]);
		session_path(jobs->control, session, name, path);
		unlink(path);
	}
}

bool job_render_take_away(struct jobs *jobs, const char *id)
{
	struct job_video video;
	char path[PATH_MAX];

	if (job_video(jobs, id, &video, NULL) || !video.separate)
		return false;
	session_path(jobs->control, video.session, video.name, path);
	return !unlink(path);
}
