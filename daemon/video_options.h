/*
 * How a video is to be made: the body of POST /sessions/{id}/render, kept in
 * the catalogue as JSON and read again by the job that does it.
 *
 * The catalogue's own video of a session is one that browsers play: MP4 with
 * H.264, not lossless. Anything else is made beside it, as a file of the job
 * ("separate"), and so is what is only wanted once.
 */
#ifndef DAEMON_VIDEO_OPTIONS_H
#define DAEMON_VIDEO_OPTIONS_H

#include <jansson.h>
#include <stdbool.h>

#include "recorder/error.h"
#include "recorder/render.h"

#define VIDEO_OPTIONS_SIZE 400

struct video_options {
	struct render_options render; /* preset borrowed from the JSON */
	bool again;                   /* also when there is a video */
	bool separate;                /* a file of the job's own */
};

/* -EINVAL with the reason when they make no sense. */
int video_options_read(struct video_options *options, const json_t *json,
		       struct error *error);
/* Without "again", members in order: equal options are equal text. */
int video_options_text(const json_t *json, char text[VIDEO_OPTIONS_SIZE],
		       struct error *error);

/* "mp4" or "webm", also the end of the file's name. */
const char *video_options_format(const struct video_options *options);

#endif
