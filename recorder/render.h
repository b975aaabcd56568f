/*
 * Renders a capture into a video file: picture, pointer and sound.
 *
 * The file's clock is the capture's: 0 is its first packet. The picture has
 * the size of the largest screen of the session (even, at most the encoder's
 * limits); smaller screens are centred in it unscaled, so that every pixel
 * stays what it was. It is black until there is a first picture. A frame is
 * made when something changed, RENDER_SETTLE later so that what belongs
 * together comes together, and not more than `fps` a second; a still screen
 * repeats its frame every few seconds.
 *
 * The capture is read twice: first only for sizes, times and whether there
 * is sound, then for the picture. Both readings see the same bytes, also of
 * a capture that is still being written.
 *
 * A rendering that was killed goes on where it was when it is given the same
 * partial file, capture and options again: what is encoded already is then
 * only decoded, which takes a small part of the time, and the result has the
 * same frames at the same times.
 */
#ifndef RECORDER_RENDER_H
#define RECORDER_RENDER_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/encoder_codec.h"
#include "recorder/error.h"
#include "recorder/playback.h"

#define RENDER_SETTLE 8000000u            /* ns */
#define RENDER_REPEAT 5000000000u         /* ns, of a still screen */
#define RENDER_DURATION_MAX (14u * 86400) /* s; the rest is left out */
#define RENDER_COUNTS_MAX 64u

struct render_options {             /* 0 or NULL: the default in brackets */
	enum encoder_format format; /* [MP4] */
	enum encoder_video video;   /* [what is usual in it] */
	enum encoder_audio audio;   /* [what is usual in it] */
	bool lossless;              /* RGB as it was, and much larger */
	bool no_sound;              /* leave all sound out */
	bool no_cursor;             /* leave the pointer out */
	bool as_heard;              /* apply volume and mute to the sound */
	unsigned monitor;           /* only that one, see screen.h [all] */
	unsigned fps;               /* most frames a second [30] */
	unsigned crf;               /* quality, see encoder_codec.h */
	const char *preset;         /* effort, likewise [veryfast] */
	unsigned threads;           /* of the video codec [by processors]; the
				     * same number gives the same bytes */
	unsigned key_seconds;       /* between key frames of a picture that
				     * moves [10]; at most six times that when
				     * little changes */
	unsigned sound_bitrate;     /* bit/s, of each track [128000] */
	/*
	 * Files besides the video, all readable, writable and seekable; not
	 * closed. 0: there is none, for the partial one memory is used.
	 */
	int partial_fd;
	int thumbs_fd, vtt_fd; /* thumbs.h; both or none */
};

/* -EINVAL with the reason when options do not fit together. */
int render_check(const struct render_options *options, struct error *error);

/* Messages or images of one kind. */
struct render_count {
	const char *name;
	uint64_t count;
	uint64_t undrawn; /* of them left out: not implemented */
};

struct render_result {
	uint32_t width, height; /* px, of the video */
	uint64_t frames;
	uint64_t duration;   /* ns */
	uint64_t sound;      /* ns of samples, silence not counted */
	uint64_t microphone; /* likewise */
	uint64_t kept;       /* frames that a partial file had */
	struct render_count messages[RENDER_COUNTS_MAX]; /* display */
	unsigned message_kinds;
	struct render_count images[RENDER_COUNTS_MAX];
	unsigned image_kinds;
	uint64_t undrawn, damaged, missing; /* messages, all channels */
	struct playback_state playback;     /* volume and mute at the end */
	bool complete;                      /* the capture was, too */
	char damage[720];   /* what was wrong first; "" = nothing */
	char left_out[640]; /* the first of the undrawn; "" = none */
};

/* Called now and then; done is 0..1. Another value than 0 cancels. */
typedef int render_progress_fn(void *user, double done);

/*
 * out_fd must be readable, writable and seekable; neither fd is closed.
 * A capture that is cut or damaged is rendered up to there: 0, with
 * result->damage. -ENODATA: the session never showed a picture, or not the
 * monitor (and nothing is written). -EINVAL: render_check. -ECANCELED, -ENOMEM,
 * -EIO, -ENOSPC.
 */
int render(int capture_fd, int out_fd, const struct render_options *options,
	   render_progress_fn *progress, void *user,
	   struct render_result *result, struct error *error);

#endif
