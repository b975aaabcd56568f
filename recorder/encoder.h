/*
 * Pictures and sound into a video file; encoder_codec.h says which kinds.
 *
 * Encoding runs on a thread of its own; the caller prepares the next picture
 * meanwhile. Pictures are prepared in a few canvases that take turns; each
 * remembers which part of it is older than what the caller shows, so that
 * only what changed is converted.
 *
 * Colours: BT.709, limited range, 4:2:0. The file begins with its index
 * (faststart), so that a browser can play and seek it while it loads; its fd
 * must be readable, writable and seekable.
 */
#ifndef RECORDER_ENCODER_H
#define RECORDER_ENCODER_H

#include <pixman.h>
#include <stdbool.h>
#include <stdint.h>

#include "recorder/encoder_codec.h"
#include "recorder/error.h"
#include "recorder/yuv.h"

struct encoder_canvas {
	uint8_t *planes[3]; /* as the format says */
	int strides[3];
	enum yuv_format format;
	pixman_region32_t stale; /* to be converted, px of Y */
};

struct encoder;

/* Writes to out_fd, which stays the caller's. */
int encoder_new(struct encoder **encoder, int out_fd,
		const struct encoder_options *options, struct error *error);
void encoder_free(struct encoder *encoder);

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
int encoder_sound(struct encoder *encoder, const int16_t *samples,
		  unsigned frames, struct error *error);

/* Writes what is left and the index. */
int encoder_finish(struct encoder *encoder, struct error *error);

#endif
