/*
 * The job role: one piece of work on one recording, in a process that can do
 * nothing else.
 *
 * It is started with fd 3 the recording, fd 4 where the result goes (a file,
 * a pipe, or for a replay the socket over which sockets come), and fd 5 for
 * words to the control role. A render has more files: fd 6 what it has encoded
 * so far, fd 7 and 8 thumbnails. Before the first byte of the recording is read
 * it gives up what it can do without: new privileges, memory and time beyond
 * its limits, files and sockets of its own making, and every system call
 * that is not in the list of job_sandbox.c.
 */
#include "daemon/job.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/bundle_job.h"
#include "daemon/job_sandbox.h"
#include "daemon/video_options.h"
#include "daemon/look.h"
#include "daemon/transfer_job.h"
#include "recorder/capture_export.h"
#include "recorder/capture_stats.h"
#include "recorder/picture.h"
#include "recorder/render.h"
#include "recorder/replay_wire.h"

enum { IN = 3, OUT = 4, WORDS = 5, PARTIAL = 6, THUMBS = 7, VTT = 8 };

#define STEP 0.002 /* progress worth telling */

struct options {
	const char *kind;
	unsigned long memory, cpu;
	double speed;
	struct look look;
	json_t *video_json;
	struct video_options video;
};

static double told;

static void say(const char *format, double number, const char *text)
{
	char line[600];
	int n = text ? snprintf(line, sizeof(line), format, text)
		     : snprintf(line, sizeof(line), format, number);

	if (n >= (int)sizeof(line)) {
		n = sizeof(line) - 1;
		line[n - 1] = '\n';
	}
	if (write(WORDS, line, (size_t)n) < 0)
		_exit(1); /* nobody listens any more */
}

static int tell_progress(void *user, double done)
{
	(void)user;
	if (done - told >= STEP) {
		told = done;
		say("progress %.4f\n", done, NULL);
	}
	return 0;
}

/* What the video does not show although the session did. */
static void tell_shortcomings(const struct render_result *result)
{
	char text[360] = "";
	int n = 0;

	if (result->damage[0])
		n = snprintf(text, sizeof(text), "%.200s", result->damage);
	else if (!result->complete)
		n = snprintf(text, sizeof(text),
			     "the recording was cut off; the video shows what "
			     "there is");
	if (result->undrawn + result->missing)
		snprintf(text + n, sizeof(text) - (size_t)n,
			 "%s%llu messages are of kinds that are not shown, "
			 "%llu lack what they refer to%s%.120s",
			 n ? "; " : "", (unsigned long long)result->undrawn,
			 (unsigned long long)result->missing,
			 result->left_out[0] ? "; first " : "",
			 result->left_out);
	if (text[0])
		say("note %s\n", 0, text);
}

/* A descriptor that the one who started us gave, or 0. */
static int given(int fd)
{
	return fcntl(fd, F_GETFD) < 0 ? 0 : fd;
}

static int run_render(const struct options *options, struct error *error)
{
	struct render_options render_options = options->video.render;
	struct render_result *result = calloc(1, sizeof(*result));
	int r;

	if (!result)
		return error_set(error, -ENOMEM, "no memory");
	render_options.partial_fd = given(PARTIAL);
	render_options.thumbs_fd = given(THUMBS);
	render_options.vtt_fd = given(VTT);
	r = render(IN, OUT, &render_options, tell_progress, NULL, result,
		   error);
	if (r == 0)
		tell_shortcomings(result);
	free(result);
	return r;
}

static int run_replay(const struct options *options, struct error *error)
{
	const struct replay_wire_options replay_options = {
		.speed = options->speed,
	};
	struct replay_wire *replay;
	int r = replay_wire_new(&replay, IN, &replay_options, error);

	if (r)
		return r;
	r = replay_wire_run(replay, OUT, error);
	replay_wire_free(replay);
	return r;
}

static int run_pcapng(const struct options *options, struct error *error)
{
	(void)options;
	return capture_export_pcapng(IN, OUT, true, error);
}

static int run_stats(const struct options *options, struct error *error)
{
	(void)options;
	return capture_stats(IN, OUT, error);
}

static int run_dump(const struct options *options, struct error *error)
{
	return dump_capture(IN, OUT, &options->look.dump, error);
}

static int run_frame(const struct options *options, struct error *error)
{
	const struct look *look = &options->look;
	struct picture *picture;
	int r = picture_render(IN, look->at, look->monitor, look->cursor,
			       &picture, error);

	if (r)
		return r;
	r = picture_write_png(picture, OUT, error);
	picture_free(picture);
	return r;
}

static int run_export(const struct options *options, struct error *error)
{
	(void)options;
	return bundle_job_export(tell_progress, error);
}

static int run_import(const struct options *options, struct error *error)
{
	(void)options;
	return bundle_job_import(tell_progress, error);
}

static const struct {
	const char *kind;
	int (*run)(const struct options *options, struct error *error);
} kinds[] = {
	{"export", run_export}, {"import", run_import},
	{"render", run_render}, {"replay", run_replay}, {"pcapng", run_pcapng},
	{"stats", run_stats},   {"dump", run_dump},     {"frame", run_frame},
};

static int read_options(struct options *options, int argc, char **argv)
{
	*options = (struct options){.kind = argc > 1 ? argv[1] : "",
				    .memory = 1024,
				    .cpu = 3600,
				    .speed = 1};
	for (int i = 2; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--memory"))
			options->memory = strtoul(argv[i + 1], NULL, 10);
		else if (!strcmp(argv[i], "--cpu"))
			options->cpu = strtoul(argv[i + 1], NULL, 10);
		else if (!strcmp(argv[i], "--speed"))
			options->speed = strtod(argv[i + 1], NULL);
		else if (!strcmp(argv[i], "--look")) {
			if (look_read(&options->look, argv[i + 1], NULL))
				return -EINVAL;
		} else if (!strcmp(argv[i], "--video")) {
			options->video_json = json_loads(argv[i + 1], 0, NULL);
			if (video_options_read(&options->video,
					       options->video_json, NULL))
				return -EINVAL;
		} else if (strcmp(argv[i], "--session"))
			return -EINVAL;
	}
	return options->memory && options->speed > 0 ? 0 : -EINVAL;
}

int job_main(int argc, char **argv)
{
	struct error error = {0};
	struct options options;
	int r = -EINVAL;

	if (argc > 1 && !strcmp(argv[1], "send"))
		return transfer_job_send();
	if (argc > 1 && !strcmp(argv[1], "fetch"))
		return transfer_job_fetch();
	if (read_options(&options, argc, argv)) {
		fprintf(stderr, "mediavmd job is started by mediavmd\n");
		return 2;
	}
	/* Others that wait for this machine's cores come first. */
	if (!strcmp(options.kind, "render"))
		setpriority(PRIO_PROCESS, 0, 10);
	if (job_sandbox_enter(options.memory, options.cpu, &error)) {
		say("error %s\n", 0, error.text);
		return 1;
	}
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp(kinds[i].kind, options.kind))
			r = kinds[i].run(&options, &error);
	json_decref(options.video_json);
	if (r) {
		say(r == -ENODATA ? "nothing %s\n" : "error %s\n", 0,
		    error.text);
		return 1;
	}
	return 0;
}
