/*
 * A capture as video or picture: spice_render CAPTURE OUT.mp4 [OPTION=VALUE …],
 * or spice_render CAPTURE OUT.ppm [SECONDS [cursor]]. Prints what it found.
 *
 * partial=FILE is kept for the next run; die=N ends the process as a kill
 * would when N of 1000 are done.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/picture.h"
#include "recorder/render.h"

static void print(const char *what, const struct render_count *counts,
		  unsigned kinds)
{
	for (unsigned i = 0; i < kinds; i++)
		printf("%s %s %" PRIu64 " undrawn %" PRIu64 "\n", what,
		       counts[i].name, counts[i].count, counts[i].undrawn);
}

static int open_beside(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0644);

	if (fd < 0) {
		perror(path);
		exit(1);
	}
	return fd;
}

static int die_at = 2000; /* of 1000 */

static int progress(void *user, double done)
{
	(void)user;
	if (done * 1000 >= die_at)
		kill(getpid(), SIGKILL);
	return 0;
}

static bool take_number(struct render_options *o, const char *name,
			unsigned value)
{
	const struct {
		const char *name;
		unsigned *to;
	} numbers[] = {
		{"fps", &o->fps},         {"crf", &o->crf},
		{"threads", &o->threads}, {"key-seconds", &o->key_seconds},
		{"monitor", &o->monitor},
	};

	for (unsigned i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		if (!strcmp(numbers[i].name, name)) {
			*numbers[i].to = value;
			return true;
		}
	return false;
}

static void take_option(struct render_options *o, char *option)
{
	char *value = strchr(option, '=');

	if (value)
		*value++ = '\0';
	value = value ? value : option;
	if (!strcmp(option, "format"))
		o->format = (enum encoder_format)encoder_format_by_name(value);
	else if (!strcmp(option, "video"))
		o->video = (enum encoder_video)encoder_video_by_name(value);
	else if (!strcmp(option, "sound") && !strcmp(value, "none"))
		o->no_sound = true;
	else if (!strcmp(option, "sound"))
		o->audio = (enum encoder_audio)encoder_audio_by_name(value);
	else if (!strcmp(option, "preset"))
		o->preset = value;
	else if (!strcmp(option, "lossless"))
		o->lossless = true;
	else if (!strcmp(option, "no-cursor"))
		o->no_cursor = true;
	else if (!strcmp(option, "as-heard"))
		o->as_heard = true;
	else if (!strcmp(option, "partial"))
		o->partial_fd = open_beside(value);
	else if (!strcmp(option, "thumbs"))
		o->thumbs_fd = open_beside(value);
	else if (!strcmp(option, "vtt"))
		o->vtt_fd = open_beside(value);
	else if (!strcmp(option, "die"))
		die_at = atoi(value);
	else if (!take_number(o, option, (unsigned)atoi(value))) {
		fprintf(stderr, "spice_render: %s is no option\n", option);
		exit(2);
	}
}

static int video(int in, char **argv, struct error *error)
{
	const char *path = argv[2];
	struct render_options options = {0};
	struct render_result result;
	int out = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644), r;

	if (out < 0)
		return error_errno(error, errno, "cannot write %s", path);
	for (argv += 3; *argv; argv++)
		take_option(&options, *argv);
	r = render(in, out, &options, progress, NULL, &result, error);
	close(out);
	if (r)
		return r;
	printf("size %ux%u\nframes %" PRIu64 "\nkept %" PRIu64
	       "\nduration %.3f\nsound %.3f\nundrawn %" PRIu64
	       "\ndamaged %" PRIu64 "\nmissing %" PRIu64
	       "\ncomplete %d\ndamage %s\n",
	       result.width, result.height, result.frames, result.kept,
	       (double)result.duration / 1e9, (double)result.sound / 1e9,
	       result.undrawn, result.damaged, result.missing, result.complete,
	       result.damage);
	print("message", result.messages, result.message_kinds);
	print("image", result.images, result.image_kinds);
	return 0;
}

static int picture(int in, char **argv, struct error *error)
{
	int64_t at = argv[3] ? (int64_t)(atof(argv[3]) * 1e9) : PICTURE_AT_END;
	struct picture *p;
	FILE *file;
	int r;

	r = picture_render(in, at, 0, argv[3] && argv[4], &p, error);
	if (r)
		return r;
	file = fopen(argv[2], "wb");
	if (!file)
		r = error_errno(error, errno, "cannot write %s", argv[2]);
	else
		r = picture_write_ppm(p, file, error);
	if (file)
		fclose(file);
	picture_free(p);
	return r;
}

int main(int argc, char **argv)
{
	struct error error = {0};
	int in, r;

	if (argc < 3) {
		fprintf(stderr, "usage: spice_render CAPTURE OUT.mp4 "
				"[OPTION=VALUE …]\n"
				"       spice_render CAPTURE OUT.ppm "
				"[SECONDS [cursor]]\n");
		return 2;
	}
	in = open(argv[1], O_RDONLY);
	if (in < 0) {
		perror(argv[1]);
		return 1;
	}
	r = strstr(argv[2], ".ppm") ? picture(in, argv, &error)
				    : video(in, argv, &error);
	if (r)
		fprintf(stderr, "spice_render: %s\n", error.text);
	return r ? 1 : 0;
}
