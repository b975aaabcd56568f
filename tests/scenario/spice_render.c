/*
 * A capture as video or picture: spice_render CAPTURE OUT.mp4, or
 * spice_render CAPTURE OUT.ppm [SECONDS [cursor]]. Prints what it found.
 */
#include <fcntl.h>
#include <inttypes.h>
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

static int video(int in, const char *path, struct error *error)
{
	struct render_options options = {0};
	struct render_result result;
	int out = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644), r;

	if (out < 0)
		return error_errno(error, errno, "cannot write %s", path);
	r = render(in, out, &options, NULL, NULL, &result, error);
	close(out);
	if (r)
		return r;
	printf("size %ux%u\nframes %" PRIu64 "\nduration %.3f\n"
	       "sound %.3f\nundrawn %" PRIu64 "\ndamaged %" PRIu64
	       "\nmissing %" PRIu64 "\ncomplete %d\ndamage %s\n",
	       result.width, result.height, result.frames,
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
		fprintf(stderr, "usage: spice_render CAPTURE OUT.mp4\n"
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
				    : video(in, argv[2], &error);
	if (r)
		fprintf(stderr, "spice_render: %s\n", error.text);
	return r ? 1 : 0;
}
