/*
 * H.264 by libx264 itself: libavcodec does not pass on to it which parts of a
 * frame are as they were in the frame before, and those need no search.
 */
#ifndef RECORDER_ENCODER_X264_H
#define RECORDER_ENCODER_X264_H

#include <libavcodec/avcodec.h>
#include <pixman.h>

#include "recorder/encoder_codec.h"
#include "recorder/error.h"

struct encoder_x264;

/*
 * `codec` is not open and only says what there is: its size, pixels, colours,
 * times and threads are read; extradata and has_b_frames are set.
 */
int encoder_x264_new(struct encoder_x264 **x264, AVCodecContext *codec,
		     const struct encoder_options *options,
		     struct error *error);
void encoder_x264_free(struct encoder_x264 *x264);

/*
 * Encodes a frame, or what is held back when it is NULL. `changed` is what
 * differs from the frame before, in px of Y. 1 and a packet, 0 without one:
 * of NULL, there is no more.
 */
int encoder_x264_encode(struct encoder_x264 *x264, const AVFrame *frame,
			pixman_region32_t *changed, AVPacket *packet,
			struct error *error);

#endif
