/*
 * Renders a capture into an MP4 file: picture, pointer and sound.
 *
 * The file's clock is the capture's: 0 is its first packet. The picture has
 * the size of the largest screen of the session (even, at most the encoder's
 * limits); smaller screens are centred in it unscaled, so that every pixel
 * stays what it was. A frame is made when something changed, RENDER_SETTLE
 * later so that what belongs together comes together, and not more than
 * `fps` a second; a still screen repeats its frame every few seconds.
 *
 * The capture is read twice: first only for sizes, times and whether there
 * is sound, then for the picture. Both readings see the same bytes, also of
 * a capture that is still being written.
 */
#ifndef RECORDER_RENDER_H
#define RECORDER_RENDER_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/error.h"
#include "recorder/playback.h"

#define RENDER_SETTLE 8000000u            /* ns */
#define RENDER_REPEAT 5000000000u         /* ns, of a still screen */
#define RENDER_DURATION_MAX (14u * 86400) /* s; the rest is left out */
#define RENDER_COUNTS_MAX 64u

struct render_options {         /* 0 or NULL: the default in brackets */
	unsigned fps;           /* most frames a second [30] */
	unsigned crf;           /* of libx264, lower is better [23] */
	const char *preset;     /* of libx264 [veryfast] */
	unsigned threads;       /* of libx264 [2] */
	unsigned key_seconds;   /* between key frames of a picture that
				 * moves [10]; at most six times that when
				 * little changes */
	unsigned sound_bitrate; /* of AAC, bit/s [128000] */
	bool no_cursor;         /* leave the pointer out */
};

/* Messages or images of one kind. */
struct render_count {
	const char *name;
	uint64_t count;
	uint64_t undrawn; /* of them left out: not implemented */
};

struct render_result {
	uint32_t width, height; /* px, of the video */
	uint64_t frames;
	uint64_t duration; /* ns */
	uint64_t sound;    /* ns of samples, silence not counted */
	struct render_count messages[RENDER_COUNTS_MAX]; /* display */
	unsigned message_kinds;
	struct render_count images[RENDER_COUNTS_MAX];
	unsigned image_kinds;
	uint64_t undrawn, damaged, missing; /* messages, all channels */
	struct playback_state playback;     /* volume and mute at the end */
	bool complete;                      /* the capture was, too */
	char damage[720]; /* what was wrong first; "" = nothing */
};

/* Called now and then; done is 0..1. Another value than 0 cancels. */
typedef int render_progress_fn(void *user, double done);

/*
 * out_fd must be readable, writable and seekable; neither fd is closed.
 * A capture that is cut or damaged is rendered up to there: 0, with
 * result->damage. -ENODATA: the session never showed a picture (and nothing
 * is written). -ECANCELED, -ENOMEM, -EIO, -ENOSPC.
 */
int render(int capture_fd, int out_fd, const struct render_options *options,
	   render_progress_fn *progress, void *user,
	   struct render_result *result, struct error *error);

#endif
