/*
 * Jobs: the queue and what a restart does to it, cancelling, the words of a
 * job's process, and what its sandbox lets it do. This program is its own
 * job role: started with "job" it does what FAKE_JOB says.
 */
#include "daemon/catalogue.h"
#include "daemon/control.h"
#include "daemon/event.h"
#include "daemon/folder.h"
#include "daemon/job.h"
#include "daemon/job_sandbox.h"
#include "daemon/session.h"
#include "daemon/session_live.h"
#include "daemon/units.h"
#include "daemon/video_options.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static struct control control;

/* The job role of this program. */
static int fake_job(const char *kind, const char *options)
{
	const char *what = getenv("FAKE_JOB");
	struct stat st;

	for (int fd = 9; fd < 64; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			return 9; /* it inherited what it must not */
	if (!strcmp(what, "hang"))
		for (;;)
			pause();
	if (!strcmp(what, "crash"))
		raise(SIGKILL);
	/* Dies with something encoded, and goes on the next time. */
	if (!strcmp(what, "die once") && !fstat(6, &st) && !st.st_size) {
		dprintf(6, "half");
		raise(SIGKILL);
	}
	if (!strcmp(what, "encode")) {
		dprintf(6, "half");
		for (;;)
			pause();
	}
	if (!strcmp(what, "nothing")) {
		dprintf(5, "nothing it never showed a picture\n");
		return 1;
	}
	if (!strcmp(what, "options"))
		return dprintf(4, "%s", options) < 0;
	if (!strcmp(what, "fail")) {
		dprintf(5, "progress 0.5\nerror it has no \"picture\"\n");
		return 1;
	}
	if (!strcmp(what, "rant"))
		for (int i = 0; i < 100000; i++)
			if (write(5, "xxxxxxxxxxxxxxxxxxxxxxxxxxxx", 28) < 0)
				return 1;
	if (!strcmp(kind, "replay")) {
		char byte;

		/* Ends with the socket over which sockets come. */
		while (recv(4, &byte, 1, 0) == 1)
			;
		return 0;
	}
	dprintf(5, "progress 0.25\nprogress 7\nnonsense\nprogress 1\n");
	return fstat(3, &st) || write(4, "video", 5) != 5;
}

static int make_control(void **state)
{
	char path[640];

	(void)state;
	memset(&control, 0, sizeof(control));
	config_default(&control.config);
	strcpy(control.config.state, "/tmp/mediavm-job-XXXXXX");
	setenv("FAKE_JOB", "ok", 1);
	dup2(STDERR_FILENO, 40); /* not close-on-exec */
	if (!mkdtemp(control.config.state))
		return -1;
	snprintf(path, sizeof(path), "%s/c.db", control.config.state);
	return catalogue_open(&control.catalogue, path, schema_migrations,
			      NULL) ||
	       events_new(&control.events, control.catalogue, NULL) ||
	       sessions_new(&control.sessions, NULL) ||
	       jobs_new(&control.jobs, &control, NULL);
}

static int remove_control(void **state)
{
	(void)state;
	jobs_free(control.jobs);
	sessions_free(control.sessions);
	events_free(control.events);
	catalogue_free(control.catalogue);
	return folder_remove(control.config.state, NULL);
}

static void make_session(struct session *session)
{
	int capture;

	memset(session, 0, sizeof(*session));
	strcpy(session->vault, "u");
	strcpy(session->vault_name, "v");
	strcpy(session->client, "::1");
	session->recorded = true;
	assert_int_equal(session_make(&control, session, &capture, NULL), 0);
	assert_int_equal(session_insert(&control, session, NULL), 0);
	close(capture);
	assert_int_equal(
		catalogue_write(control.catalogue,
				"UPDATE session SET state = 'ended' "
				"WHERE id = ?",
				CATALOGUE_VALUES(catalogue_text(session->id)),
				NULL, NULL, NULL),
		1);
}

/* Waits until the job is in that state; its error, to be freed. */
static char *wait_state(const char *id, const char *state)
{
	for (int i = 0; i < 1000; i++) {
		json_t *job;
		const char *now, *error;
		char *copy = NULL;
		bool there;

		assert_int_equal(job_show(control.jobs, id, &job, NULL), 0);
		now = json_string_value(json_object_get(job, "state"));
		error = json_string_value(json_object_get(job, "error"));
		there = !strcmp(now, state);
		if (there)
			copy = strdup(error ? error : "");
		json_decref(job);
		if (there)
			return copy;
		usleep(10000);
	}
	fail_msg("job %s did not become %s", id, state);
	return NULL;
}

static void expect_state(const char *id, const char *state, const char *error)
{
	char *text = wait_state(id, state);

	if (!strstr(text, error))
		fail_msg("\"%s\" does not say \"%s\"", text, error);
	free(text);
}

static void a_render_makes_the_video(void **state)
{
	struct session session;
	char id[JOB_ID_SIZE], again[JOB_ID_SIZE], path[PATH_MAX];
	struct stat st;

	(void)state;
	make_session(&session);
	assert_int_equal(job_render(control.jobs, session.id, "{}", id, NULL),
			 0);
	assert_int_equal(session_find(&control, session.id, &session, NULL), 0);
	assert_string_equal(session.video, "queued");
	/* Asked twice it is the same job. */
	assert_int_equal(
		job_render(control.jobs, session.id, "{}", again, NULL), 0);
	assert_string_equal(id, again);
	assert_int_equal(jobs_start(control.jobs, NULL), 0);
	expect_state(id, "done", "");
	assert_int_equal(session_find(&control, session.id, &session, NULL), 0);
	assert_string_equal(session.video, "ready");
	assert_int_equal(session.video_bytes, 5);
	session_path(&control, session.id, "video.mp4", path);
	assert_int_equal(stat(path, &st), 0);
	session_path(&control, session.id, "video.mp4.part", path);
	assert_int_not_equal(stat(path, &st), 0);
	assert_true(job_of_session(control.jobs, session.id, again));
	assert_string_equal(id, again);
}

static void failures_are_told(void **state)
{
	static const char *const cases[][2] = {
		{"fail", "it has no \"picture\""},
		{"crash", "signal 9"},
	};
	struct session session;
	char id[JOB_ID_SIZE], path[PATH_MAX];

	(void)state;
	make_session(&session);
	assert_int_equal(jobs_start(control.jobs, NULL), 0);
	for (unsigned i = 0; i < 2; i++) {
		setenv("FAKE_JOB", cases[i][0], 1);
		assert_int_equal(
			job_render(control.jobs, session.id, "{}", id, NULL),
			0);
		expect_state(id, "failed", cases[i][1]);
		assert_int_equal(
			session_find(&control, session.id, &session, NULL), 0);
		assert_string_equal(session.video, "failed");
		assert_non_null(strstr(session.video_error, cases[i][1]));
		session_path(&control, session.id, "video.mp4", path);
		assert_int_not_equal(access(path, F_OK), 0);
	}
	/* Endless words without a line's end are no harm. */
	setenv("FAKE_JOB", "rant", 1);
	assert_int_equal(job_render(control.jobs, session.id, "{}", id, NULL),
			 0);
	expect_state(id, "done", "");
}

static bool has_file(const struct session *session, const char *name)
{
	char path[PATH_MAX];

	session_path(&control, session->id, name, path);
	return !access(path, F_OK);
}

static char *render_to_state(const struct session *session, const char *does,
			     const char *options, const char *state)
{
	static char id[JOB_ID_SIZE];

	setenv("FAKE_JOB", does, 1);
	assert_int_equal(
		job_render(control.jobs, session->id, options, id, NULL), 0);
	expect_state(id, state, "");
	while (!strcmp(state, "running") ? false : jobs_active(control.jobs))
		usleep(1000);
	return id;
}

static void a_killed_one_goes_on(void **state)
{
	struct session session;

	(void)state;
	make_session(&session);
	assert_int_equal(jobs_start(control.jobs, NULL), 0);
	render_to_state(&session, "die once", "{}", "done");
	assert_true(has_file(&session, "video.mp4"));
	assert_true(has_file(&session, "thumbs.jpg"));
	assert_true(has_file(&session, "thumbs.vtt"));
	assert_false(has_file(&session, "video.partial"));
}

static void what_is_encoded_outlives_a_restart(void **state)
{
	struct session session;
	char *id;

	(void)state;
	make_session(&session);
	assert_int_equal(jobs_start(control.jobs, NULL), 0);
	id = render_to_state(&session, "encode", "{}", "running");
	while (!has_file(&session, "video.partial"))
		usleep(1000);
	usleep(50000);
	jobs_free(control.jobs);
	assert_true(has_file(&session, "video.partial"));
	assert_false(has_file(&session, "video.mp4.part"));
	assert_int_equal(jobs_new(&control.jobs, &control, NULL), 0);
	assert_int_equal(jobs_start(control.jobs, NULL), 0);
	expect_state(id, "running", "");
	assert_int_equal(job_cancel(control.jobs, id, NULL), 0);
	expect_state(id, "cancelled", "");
	while (jobs_active(control.jobs))
		usleep(1000);
	assert_false(has_file(&session, "video.partial"));
}

static void another_attempt_takes_nothing_away(void **state)
{
	struct session session;
	char *id;

	(void)state;
	make_session(&session);
	assert_int_equal(jobs_start(control.jobs, NULL), 0);
	render_to_state(&session, "ok", "{}", "done");
	render_to_state(&session, "fail", "{}", "failed");
	assert_int_equal(session_find(&control, session.id, &session, NULL), 0);
	assert_string_equal(session.video, "ready");
	assert_int_equal(session.video_bytes, 5);
	assert_string_equal(session.video_error, "it has no \"picture\"");
	id = render_to_state(&session, "hang", "{}", "running");
	assert_int_equal(job_cancel(control.jobs, id, NULL), 0);
	expect_state(id, "cancelled", "");
	while (jobs_active(control.jobs))
		usleep(1000);
	assert_int_equal(session_find(&control, session.id, &session, NULL), 0);
	assert_string_equal(session.video, "ready");
}

static void without_a_picture_there_is_none(void **state)
{
	struct session session;
	json_t *json, *video;

	(void)state;
	make_session(&session);
	assert_int_equal(jobs_start(control.jobs, NULL), 0);
	render_to_state(&session, "nothing", "{}", "failed");
	assert_int_equal(session_find(&control, session.id, &session, NULL), 0);
	assert_string_equal(session.video, "none");
	json = session_json(&control, &session);
	video = json_object_get(json, "video");
	assert_string_equal(json_string_value(json_object_get(video, "note")),
			    "it never showed a picture");
	assert_null(json_object_get(video, "error"));
	json_decref(json);
}

static void a_separate_one_is_a_file_of_the_job(void **state)
{
	static const char options[] = "{\"format\":\"webm\",\"separate\":true}";
	struct session session;
	struct job_video video;
	char *id, path[PATH_MAX], text[80] = "";
	int fd;

	(void)state;
	make_session(&session);
	assert_int_equal(jobs_start(control.jobs, NULL), 0);
	render_to_state(&session, "ok", "{}", "done");
	id = render_to_state(&session, "options", options, "done");
	assert_int_equal(job_video(control.jobs, id, &video, NULL), 0);
	assert_true(video.separate && video.webm);
	session_path(&control, session.id, video.name, path);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	/* It got them as they were queued; the session's video is as it was. */
	assert_string_equal(text, options);
	assert_int_equal(session_find(&control, session.id, &session, NULL), 0);
	assert_int_equal(session.video_bytes, 5);
	assert_int_equal(job_cancel(control.jobs, id, NULL), 0);
	assert_int_not_equal(access(path, F_OK), 0);
	assert_int_equal(job_cancel(control.jobs, id, NULL), -EBUSY);
	id = render_to_state(&session, "options", options, "done");
	assert_int_equal(job_video(control.jobs, id, &video, NULL), 0);
	assert_true(has_file(&session, video.name));
	jobs_sweep(control.jobs, INT64_MAX);
	assert_false(has_file(&session, video.name));
	assert_int_equal(job_video(control.jobs, id, &video, NULL), -ENOENT);
	assert_true(has_file(&session, "video.mp4"));
}

static void two_ways_at_once_are_refused(void **state)
{
	struct session session;
	struct error error;
	char id[JOB_ID_SIZE];

	(void)state;
	make_session(&session);
	assert_int_equal(job_render(control.jobs, session.id, "{}", id, NULL),
			 0);
	assert_int_equal(job_render(control.jobs, session.id, "{\"crf\":18}",
				    NULL, &error),
			 -EBUSY);
	assert_non_null(strstr(error.text, id));
	assert_int_equal(job_render(control.jobs, session.id,
				    "{\"crf\":18,\"separate\":true}", NULL,
				    NULL),
			 0);
}

static void options_are_read(void **state)
{
	static const struct {
		const char *json, *error;
	} cases[] = {
		{"{\"format\":\"avi\"}",
		 "format is \"avi\"; it may be mp4 or webm"},
		{"{\"sound\":\"mp3\"}",
		 "sound is \"mp3\"; it may be aac, opus or none"},
		{"{\"colour\":1}", "\"colour\" is not known here"},
		{"{\"crf\":0}", "crf: it must be a number, 1 at least"},
		{"{\"fps\":1000}", "fps is 1000; at most 120"},
		{"{\"format\":\"webm\"}",
		 "the session's own video is MP4 with H.264, which every "
		 "browser plays; make another one as a file of its own (-o "
		 "FILE)"},
		{"{\"format\":\"webm\",\"separate\":true}", NULL},
		{"{\"lossless\":true}",
		 "the session's own video is MP4 with H.264, which every "
		 "browser plays; make another one as a file of its own (-o "
		 "FILE)"},
		{"{\"crf\":\"18\",\"sound\":\"opus\",\"key_seconds\":2}", NULL},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		json_t *json = json_loads(cases[i].json, 0, NULL);
		struct video_options options;
		struct error error = {0};

		assert_int_equal(video_options_read(&options, json, &error),
				 cases[i].error ? -EINVAL : 0);
		assert_string_equal(error.text,
				    cases[i].error ? cases[i].error : "");
		json_decref(json);
	}
}

static void a_running_job_is_cancelled(void **state)
{
	struct session session;
	char id[JOB_ID_SIZE];

	(void)state;
	make_session(&session);
	setenv("FAKE_JOB", "hang", 1);
	assert_int_equal(jobs_start(control.jobs, NULL), 0);
	assert_int_equal(job_render(control.jobs, session.id, "{}", id, NULL),
			 0);
	expect_state(id, "running", "");
	assert_int_equal(job_cancel(control.jobs, id, NULL), 0);
	expect_state(id, "cancelled", "");
	/* Its thread may still be at it. */
	while (jobs_active(control.jobs))
		usleep(1000);
	assert_int_equal(job_cancel(control.jobs, id, NULL), -EBUSY);
	assert_int_equal(session_find(&control, session.id, &session, NULL), 0);
	assert_string_equal(session.video, "none");
	/* Deleting a session ends its job first. */
	assert_int_equal(job_render(control.jobs, session.id, "{}", id, NULL),
			 0);
	expect_state(id, "running", "");
	assert_int_equal(session_delete(&control, session.id, NULL), 0);
	assert_int_equal(jobs_active(control.jobs), 0);
}

static void a_queued_job_is_cancelled(void **state)
{
	struct session session;
	char id[JOB_ID_SIZE];

	(void)state;
	make_session(&session);
	assert_int_equal(job_render(control.jobs, session.id, "{}", id, NULL),
			 0);
	assert_int_equal(job_cancel(control.jobs, id, NULL), 0);
	expect_state(id, "cancelled", "");
	assert_int_equal(session_find(&control, session.id, &session, NULL), 0);
	assert_string_equal(session.video, "none");
}

static void restart(void)
{
	jobs_free(control.jobs);
	assert_int_equal(jobs_new(&control.jobs, &control, NULL), 0);
	assert_int_equal(jobs_start(control.jobs, NULL), 0);
}

static void a_restart_takes_the_queue_up(void **state)
{
	struct session session;
	char id[JOB_ID_SIZE];

	(void)state;
	make_session(&session);
	setenv("FAKE_JOB", "hang", 1);
	assert_int_equal(jobs_start(control.jobs, NULL), 0);
	assert_int_equal(job_render(control.jobs, session.id, "{}", id, NULL),
			 0);
	expect_state(id, "running", "");
	setenv("FAKE_JOB", "ok", 1);
	restart();
	expect_state(id, "done", "");
}

static void it_is_given_up_after_three_attempts(void **state)
{
	struct session session;
	char id[JOB_ID_SIZE];

	(void)state;
	make_session(&session);
	setenv("FAKE_JOB", "hang", 1);
	assert_int_equal(jobs_start(control.jobs, NULL), 0);
	assert_int_equal(job_render(control.jobs, session.id, "{}", id, NULL),
			 0);
	for (int i = 0; i < 3; i++) {
		expect_state(id, "running", "");
		/* Till it has the process, not only the row. */
		while (!jobs_active(control.jobs))
			usleep(1000);
		restart();
	}
	expect_state(id, "failed", "three");
	assert_int_equal(session_find(&control, session.id, &session, NULL), 0);
	assert_string_equal(session.video, "failed");
}

static void a_replay_lives_as_long_as_it_is_seen(void **state)
{
	struct session session;
	char id[JOB_ID_SIZE];
	int fd;

	(void)state;
	make_session(&session);
	assert_int_equal(jobs_start(control.jobs, NULL), 0);
	assert_int_equal(job_replay(control.jobs, session.id, 2, id, NULL), 0);
	assert_int_equal(job_replay_connect(control.jobs, id, &fd, NULL),
			 -ENOENT);
	assert_int_equal(job_replay_start(control.jobs, id, NULL), 0);
	assert_int_equal(job_replay_start(control.jobs, id, NULL), -ENOENT);
	assert_int_equal(job_replay_connect(control.jobs, id, &fd, NULL), 0);
	close(fd);
	job_replay_end(control.jobs, id);
	expect_state(id, "done", "");
	assert_int_equal(job_replay_connect(control.jobs, id, &fd, NULL),
			 -ENOENT);
}

static void output_comes_through_a_pipe(void **state)
{
	struct session session;
	char text[16] = "";
	int fd;

	(void)state;
	make_session(&session);
	assert_int_equal(
		job_pipe(control.jobs, "stats", "", session.id, &fd, NULL), 0);
	assert_int_equal(read(fd, text, sizeof(text)), 5);
	assert_string_equal(text, "video");
	assert_int_equal(read(fd, text, sizeof(text)), 0);
	close(fd);
	assert_int_equal(job_pipe(control.jobs, "stats", "",
				  "01M81RW8BWY7CY77C11QX9JVXH", &fd, NULL),
			 -ENOENT);
}

/* Runs one act in a sandboxed process; its wait status. */
static int sandboxed(int (*act)(int fd))
{
	int status, pipe[2];
	pid_t pid;

	assert_int_equal(pipe2(pipe, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		if (job_sandbox_enter(512, 10, NULL))
			_exit(99);
		_exit(act(pipe[1]));
	}
	close(pipe[0]);
	close(pipe[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int work(int fd)
{
	struct stat st;
	void *memory = malloc(1 << 20);

	signal(SIGPIPE, SIG_IGN);
	if (!memory || fstat(fd, &st))
		return 1;
	free(memory);
	return write(fd, "x", 1) == 1 || errno == EPIPE ? 0 : 2;
}

static int open_a_file(int fd)
{
	(void)fd;
	return open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES ? 0 : 1;
}

static int make_a_socket(int fd)
{
	(void)fd;
	return socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EACCES ? 0 : 1;
}

static int look_at_a_file(int fd)
{
	struct stat st;

	(void)fd;
	return stat("/etc/passwd", &st) < 0 && errno == EACCES ? 0 : 1;
}

static int start_a_program(int fd)
{
	(void)fd;
	execl("/bin/true", "true", (char *)NULL);
	return 0;
}

static int kill_another(int fd)
{
	(void)fd;
	return kill(getppid(), 0);
}

static int take_memory(int fd)
{
	(void)fd;
	return mmap(NULL, 1ul << 30, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
		       ? 0
		       : 1;
}

static void the_sandbox_holds(void **state)
{
	(void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	skip();
#endif
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
	skip();
#endif
#endif
	assert_int_equal(sandboxed(work), 0);
	assert_int_equal(sandboxed(open_a_file), 0);
	assert_int_equal(sandboxed(look_at_a_file), 0);
	assert_int_equal(sandboxed(make_a_socket), 0);
	assert_int_equal(sandboxed(take_memory), 0);
	assert_int_equal(WTERMSIG(sandboxed(start_a_program)), SIGSYS);
	assert_int_equal(WTERMSIG(sandboxed(kill_another)), SIGSYS);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_control, remove_control)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(a_render_makes_the_video),
		TEST(failures_are_told),
		TEST(a_killed_one_goes_on),
		TEST(what_is_encoded_outlives_a_restart),
		TEST(another_attempt_takes_nothing_away),
		TEST(without_a_picture_there_is_none),
		TEST(a_separate_one_is_a_file_of_the_job),
		TEST(two_ways_at_once_are_refused),
		cmocka_unit_test(options_are_read),
		TEST(a_running_job_is_cancelled),
		TEST(a_queued_job_is_cancelled),
		TEST(a_restart_takes_the_queue_up),
		TEST(it_is_given_up_after_three_attempts),
		TEST(a_replay_lives_as_long_as_it_is_seen),
		TEST(output_comes_through_a_pipe),
		cmocka_unit_test(the_sandbox_holds),
	};

	if (argc > 2 && !strcmp(argv[1], "job"))
		return fake_job(argv[2], argv[argc - 1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
