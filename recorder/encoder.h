/*
 * Pictures and sound into a video file; encoder_codec.h says which kinds.
 *
 * Video is encoded on a thread of its own; the caller prepares the next
 * picture meanwhile, and encodes sound. Pictures are prepared in a few canvases that take turns; each
 * remembers which part of it is older than what the caller shows, so that
 * only what changed is converted.
 *
 * What is encoded goes into a log (encoder_log.h) first, and from there into
 * the file at the end. An encoder that finds a log of the same video goes on
 * where that ends: its first frames are only counted.
 *
 * The file begins with its index, so that a browser can play and seek it
 * while it loads; its fd must be readable, writable and seekable.
 */
#ifndef RECORDER_ENCODER_H
#define RECORDER_ENCODER_H

#include <pixman.h>
#include <stdbool.h>
#include <stdint.h>

#include "recorder/encoder_codec.h"
#include "recorder/encoder_log.h"
#include "recorder/error.h"
#include "recorder/yuv.h"

struct encoder_canvas {
	uint8_t *planes[3]; /* as the format says */
	int strides[3];
	enum yuv_format format;
	pixman_region32_t stale; /* to be converted, px of Y */
};

struct encoder;

/*
 * Writes to out_fd, by way of log_fd; both stay the caller's. `id` says what
 * is encoded: a log with another id, or of another encoder, begins anew.
 */
int encoder_new(struct encoder **encoder, int out_fd, int log_fd,
		const uint8_t id[ENCODER_LOG_ID],
		const struct encoder_options *options, struct error *error);
void encoder_free(struct encoder *encoder);

/* True until as many frames were skipped as there are: take no canvas. */
bool encoder_has_frame(const struct encoder *encoder);
/* The frame at `time` is one of those. */
void encoder_skip(struct encoder *encoder, uint64_t time);

/*
 * A canvas nobody reads; `changed` is added to what is stale in all of them.
 * Waits when the encoder is behind. NULL after a failure.
 */
struct encoder_canvas *encoder_take(struct encoder *encoder,
				    pixman_region32_t *changed,
				    struct error *error);
/*
 * Gives it back as the frame at `time` (ns from the start, rising); nothing
 * of it may be stale. A key frame can be sought to.
 */
int encoder_frame(struct encoder *encoder, struct encoder_canvas *canvas,
		  uint64_t time, bool key, struct error *error);

/* Interleaved stereo that follows what was given before; from time 0. */
int encoder_sound(struct encoder *encoder, enum encoder_sound sound,
		  const int16_t *samples, unsigned frames, struct error *error);

/*
 * Encodes what is left and writes the file. `progress` (may be NULL) is
 * called now and then with 0..1; another value than 0 ends it with -ECANCELED.
 * -ESTALE: the log was of another video, and the file is not written.
 */
int encoder_finish(struct encoder *encoder,
		   int (*progress)(void *user, double done), void *user,
		   struct error *error);

#endif
