/* mediavmctl session … */
#include "daemon/ctl.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Does METHOD on /api/v1/sessions/ID+tail. */
static int on_session(struct ctl *ctl, const char *method, const char *tail,
		      json_t *body, json_t **answer, struct error *error)
{
	char *id = ctl_path("%s", ctl->arguments[0]), *path = NULL;
	int result;

	if (!id || asprintf(&path, "/api/v1/sessions/%s%s", id, tail) < 0)
		path = NULL;
	result = ctl_call(ctl, method, path, body, answer, error);
	free(id);
	free(path);
	return result;
}

/* --- list and show ---------------------------------------------------- */

static const struct ctl_column list_columns[] = {
	{"ID", false, false},       {"VAULT", false, true},
	{"CLIENT", false, true},    {"STARTED", false, false},
	{"DURATION", true, false},  {"TO CLIENT", true, false},
	{"RECORDING", true, false}, {"STATE", false, false},
	{"VIDEO", false, false},
};

static void list_row(struct ctl_table *table, const json_t *session)
{
	char text[CTL_TEXT_SIZE];

	ctl_table_add(table, ctl_text(session, "id"));
	ctl_table_add(table, ctl_text(session, "vault"));
	ctl_table_add(table, ctl_text(session, "client"));
	ctl_table_add(table, ctl_time(ctl_text(session, "started_at"), text));
	ctl_table_add(table,
		      ctl_duration(ctl_number(session, "duration_ms"), text));
	ctl_table_add(table,
		      ctl_size(ctl_number(session, "bytes_to_client"), text));
	ctl_table_add(table,
		      ctl_size(ctl_number(json_object_get(session, "capture"),
					  "bytes"),
			       text));
	ctl_table_add(table, ctl_text(session, "state"));
	ctl_table_add(table,
		      ctl_text(json_object_get(session, "video"), "state"));
}

int ctl_session_list(struct ctl *ctl, struct error *error)
{
	static const char *const filters[] = {"vault", "since", "text", "state",
					      "limit"};
	struct ctl_table *table;
	json_t *list, *session;
	size_t i;
	int result;

	result = ctl_list(ctl, "/api/v1/sessions", filters, 5, &list, error);
	if (result)
		return result;
	if (ctl->json) {
		ctl_print_json(list);
	} else if (!json_array_size(list)) {
		ctl_print("no sessions");
	} else {
		table = ctl_table_new(list_columns, 9);
		json_array_foreach(list, i, session)
		{
			list_row(table, session);
		}
		ctl_table_print(table);
	}
	json_decref(list);
	return 0;
}

static void show_end(const json_t *session)
{
	char text[CTL_TEXT_SIZE];

	if (!ctl_text(session, "ended_at")[0])
		return;
	ctl_print("%-12s %s (%s%s%s)", "ended",
		  ctl_time(ctl_text(session, "ended_at"), text),
		  ctl_text(session, "end_reason"),
		  ctl_text(session, "end_text")[0] ? ": " : "",
		  ctl_text(session, "end_text"));
}

static void show(const json_t *session)
{
	const json_t *capture = json_object_get(session, "capture");
	const json_t *video = json_object_get(session, "video");
	char text[CTL_TEXT_SIZE], other[CTL_TEXT_SIZE];

	ctl_print("%-12s %s", "id", ctl_text(session, "id"));
	ctl_print("%-12s %s", "vault", ctl_text(session, "vault"));
	ctl_print("%-12s %s", "client", ctl_text(session, "client"));
	ctl_print("%-12s %s", "state", ctl_text(session, "state"));
	ctl_print("%-12s %s", "started",
		  ctl_time(ctl_text(session, "started_at"), text));
	show_end(session);
	ctl_print("%-12s %s", "duration",
		  ctl_duration(ctl_number(session, "duration_ms"), text));
	ctl_print("%-12s %s to the client, %s to the guest", "bytes",
		  ctl_size(ctl_number(session, "bytes_to_client"), text),
		  ctl_size(ctl_number(session, "bytes_to_guest"), other));
	ctl_print("%-12s %s%s%s", "recording",
		  ctl_size(ctl_number(capture, "bytes"), text),
		  ctl_text(capture, "sha256")[0] ? ", SHA-256 " : "",
		  ctl_text(capture, "sha256"));
	ctl_print("%-12s %s%s%s", "video", ctl_text(video, "state"),
		  ctl_text(video, "error")[0] ? ": " : "",
		  ctl_text(video, "error"));
	if (json_is_true(json_object_get(session, "hold")))
		ctl_print("%-12s kept from deletion", "hold");
}

int ctl_session_show(struct ctl *ctl, struct error *error)
{
	json_t *session;
	int result = on_session(ctl, "GET", "", NULL, &session, error);

	if (result)
		return result;
	if (ctl->json)
		ctl_print_json(session);
	else
		show(session);
	json_decref(session);
	return 0;
}

/* --- kill, hold, verify, delete --------------------------------------- */

/* A POST whose answer is printed as JSON, or as `done` for people. */
static int post(struct ctl *ctl, const char *method, const char *tail,
		json_t *body, const char *done, struct error *error)
{
	json_t *answer;
	int result = on_session(ctl, method, tail, body, &answer, error);

	if (result)
		return result;
	if (ctl->json)
		ctl_print_json(answer);
	else
		ctl_print("session %s %s", ctl->arguments[0], done);
	json_decref(answer);
	return 0;
}

int ctl_session_kill(struct ctl *ctl, struct error *error)
{
	json_t *body = json_object();

	if (ctl_option(ctl, "reason"))
		json_object_set_new(body, "reason",
				    json_string(ctl_option(ctl, "reason")));
	return post(ctl, "POST", "/kill", body, "is ended", error);
}

int ctl_session_hold(struct ctl *ctl, struct error *error)
{
	bool on = !ctl_option(ctl, "off");

	return post(ctl, "POST", "/hold", json_pack("{s:b}", "hold", on),
		    on ? "is held" : "is no longer held", error);
}

int ctl_session_delete(struct ctl *ctl, struct error *error)
{
	char question[200];

	snprintf(question, sizeof(question),
		 "Delete the recording of session %s, for good?",
		 ctl->arguments[0]);
	if (!ctl_confirm(ctl, question))
		return error_set(error, ECANCELED, "nothing was deleted");
	return post(ctl, "DELETE", "", NULL, "is deleted", error);
}

int ctl_session_verify(struct ctl *ctl, struct error *error)
{
	json_t *found;
	bool good;
	int result = on_session(ctl, "POST", "/verify", NULL, &found, error);

	if (result)
		return result;
	good = json_is_true(json_object_get(found, "ok"));
	if (ctl->json)
		ctl_print_json(found);
	else if (good)
		ctl_print("session %s: %s", ctl->arguments[0],
			  ctl_text(found, "text"));
	if (!good)
		result = error_set(error, EBADMSG, "session %s: %s",
				   ctl->arguments[0], ctl_text(found, "text"));
	json_decref(found);
	return result;
}

/* --- render ----------------------------------------------------------- */

/* Ctrl-C leaves; the job goes on. */
static void on_interrupt(int number)
{
	static const char text[] = "\nmediavmctl: left; the job goes on\n";
	ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)n;
	signal(number, SIG_DFL);
	raise(number);
}

static bool is_over(const json_t *job)
{
	const char *state = ctl_text(job, "state");

	return strcmp(state, "queued") != 0 && strcmp(state, "running") != 0;
}

/* Replaces *job until it has ended. */
/* "82.1 MB/s, 0:12 left", or "". */
static void describe_speed(const json_t *job, char text[CTL_TEXT_SIZE])
{
	int64_t rate = ctl_number(job, "rate");
	int64_t left = ctl_number(job, "seconds_left");
	char size[CTL_TEXT_SIZE];
	int n;

	text[0] = '\0';
	if (rate <= 0)
		return;
	n = snprintf(text, CTL_TEXT_SIZE, "%.24s/s", ctl_size(rate, size));
	if (left > 0 && n < CTL_TEXT_SIZE)
		snprintf(text + n, CTL_TEXT_SIZE - (size_t)n,
			 ", %lld:%02lld left", (long long)left / 60,
			 (long long)left % 60);
}

static void show_job(const json_t *job)
{
	const char *step = ctl_text(job, "step");
	char speed[CTL_TEXT_SIZE];

	describe_speed(job, speed);
	ctl_progress(step[0] ? step : ctl_text(job, "kind"),
		     json_number_value(json_object_get(job, "progress")),
		     speed);
}

int ctl_wait_for_job(struct ctl *ctl, json_t **job, struct error *error)
{
	const struct timespec pause = {.tv_nsec = 200000000};
	char *path = ctl_path("/api/v1/jobs/%s", ctl_text(*job, "id"));
	int result = 0;

	signal(SIGINT, on_interrupt);
	while (!result && !is_over(*job)) {
		show_job(*job);
		nanosleep(&pause, NULL);
		json_decref(*job);
		*job = NULL;
		result = ctl_call(ctl, "GET", path, NULL, job, error);
	}
	ctl_progress_end();
	signal(SIGINT, SIG_DFL);
	free(path);
	if (result || strcmp(ctl_text(*job, "state"), "done") == 0)
		return result;
	if (ctl->json)
		ctl_print_json(*job);
	return error_set(error, EREMOTEIO, "%s %s%s%s", ctl_text(*job, "kind"),
			 ctl_text(*job, "state"),
			 ctl_text(*job, "error")[0] ? ": " : "",
			 ctl_text(*job, "error"));
}

/* GET of a path into a file; what: for the progress bar. */
static int fetch_path(struct ctl *ctl, const char *path, const char *what,
		      const char *name, struct error *error)
{
	struct error ignored = {0};
	struct ctl_file file;
	int result = ctl_file_open(&file, name, error);

	if (result)
		return result;
	result = ctl_download(ctl, path, file.stream, what, error);
	if (result)
		ctl_file_close(&file, false, &ignored);
	else
		result = ctl_file_close(&file, true, error);
	return result;
}

/* GET of /api/v1/sessions/ID/what into a file. */
static int fetch(struct ctl *ctl, const char *what, const char *name,
		 struct error *error)
{
	char *path =
		ctl_path("/api/v1/sessions/%s/%s", ctl->arguments[0], what);
	int result = fetch_path(ctl, path, what, name, error);

	free(path);
	return result;
}

/* What was said about the video itself, as the API has it. */
static json_t *video_options(const struct ctl *ctl, const char *file)
{
	static const char *const names[][2] = {
		{"format", "format"},
		{"video", "video"},
		{"sound", "sound"},
		{"preset", "preset"},
		{"crf", "crf"},
		{"fps", "fps"},
		{"key-seconds", "key_seconds"},
		{"monitor", "monitor"},
		{"threads", "threads"},
	};
	const char *end = file ? strrchr(file, '.') : NULL;
	json_t *body = json_object();

	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (ctl_option(ctl, names[i][0]))
			json_object_set_new(
				body, names[i][1],
				json_string(ctl_option(ctl, names[i][0])));
	if (ctl_option(ctl, "lossless"))
		json_object_set_new(body, "lossless", json_true());
	if (ctl_option(ctl, "no-cursor"))
		json_object_set_new(body, "no_cursor", json_true());
	if (ctl_option(ctl, "as-heard"))
		json_object_set_new(body, "as_heard", json_true());
	if (end && !strcmp(end, ".webm") && !ctl_option(ctl, "format"))
		json_object_set_new(body, "format", json_string("webm"));
	return body;
}

/* The job's own file, which is not needed any more afterwards. */
static int fetch_of_job(struct ctl *ctl, const json_t *job, const char *name,
			struct error *error)
{
	char *video = ctl_path("/api/v1/jobs/%s/video", ctl_text(job, "id"));
	char *path = ctl_path("/api/v1/jobs/%s", ctl_text(job, "id"));
	struct error ignored = {0};
	int result = fetch_path(ctl, video, "video", name, error);
	json_t *answer;

	if (!result && !ctl_call(ctl, "DELETE", path, NULL, &answer, &ignored))
		json_decref(answer);
	free(video);
	free(path);
	return result;
}

int ctl_session_render(struct ctl *ctl, struct error *error)
{
	const char *file = ctl_option(ctl, "o");
	json_t *body, *job = NULL;
	bool waits = !ctl_option(ctl, "no-wait"), separate;
	int result;

	if (file && (!waits || (ctl->json && strcmp(file, "-") == 0)))
		return ctl_usage(error, "-o %s does not go with %s", file,
				 waits ? "--json" : "--no-wait");
	body = video_options(ctl, file);
	separate = file && json_object_size(body);
	if (separate)
		json_object_set_new(body, "separate", json_true());
	if (ctl_option(ctl, "again"))
		json_object_set_new(body, "again", json_true());
	result = on_session(ctl, "POST", "/render", body, &job, error);
	if (!result && waits)
		result = ctl_wait_for_job(ctl, &job, error);
	if (!result && separate)
		result = fetch_of_job(ctl, job, file, error);
	else if (!result && file)
		result = fetch(ctl, "video", file, error);
	if (!result && ctl->json)
		ctl_print_json(job);
	else if (!result && file && strcmp(file, "-") != 0)
		ctl_print("%s is written", file);
	else if (!result && !file)
		ctl_print("the video of session %s is %s", ctl->arguments[0],
			  waits ? "ready" : "being made");
	json_decref(job);
	return result;
}

/* --- export ----------------------------------------------------------- */

int ctl_session_export(struct ctl *ctl, struct error *error)
{
	static const char *const kinds[] = {"pcapng", "capture", "video"};
	const char *what = NULL, *file = NULL;
	unsigned i, count = ctl_option(ctl, "stats") ? 1 : 0;
	int result;

	for (i = 0; i < 3; i++) {
		if (!ctl_option(ctl, kinds[i]))
			continue;
		what = kinds[i];
		file = ctl_option(ctl, what);
		count++;
	}
	if (count != 1)
		return ctl_usage(error, "give one of --pcapng FILE, --capture "
					"FILE, --video FILE and --stats");
	if (!what)
		return ctl_print_stats(ctl, error);
	if (ctl_is_file(ctl->arguments[0]))
		return ctl_usage(error,
				 "%s is a file; only --stats goes with "
				 "one",
				 ctl->arguments[0]);
	if (ctl->json && strcmp(file, "-") == 0)
		return ctl_usage(error, "--json does not go with a file on "
					"stdout");
	result = fetch(ctl, what, file, error);
	if (!result && ctl->json) {
		json_t *done = json_pack("{s:s}", "file", file);

		ctl_print_json(done);
		json_decref(done);
	} else if (!result && strcmp(file, "-") != 0) {
		ctl_print("%s is written", file);
	}
	return result;
}
