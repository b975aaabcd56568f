/*
 * One codec and the packets it makes, into an encoder's log.
 *
 * A track goes on where the log ends. Video begins anew with the key frame
 * that was cut off. Sound is encoded again from a little before its end on,
 * and those packets that are there already are left out: so that the codec is
 * in the state that the next packet needs, and nothing is heard at the seam.
 */
#ifndef RECORDER_ENCODER_TRACK_H
#define RECORDER_ENCODER_TRACK_H

#include <libavcodec/avcodec.h>
#include <pixman.h>
#include <stdbool.h>
#include <stdint.h>

#include "recorder/encoder_codec.h"
#include "recorder/encoder_log.h"
#include "recorder/error.h"

struct encoder_track;

/* Opens the codec: of the video, or of a sound. */
int encoder_track_new(struct encoder_track **track, bool video,
		      const struct encoder_options *options,
		      struct error *error);
void encoder_track_free(struct encoder_track *track);

const AVCodecContext *encoder_track_codec(const struct encoder_track *track);
/* To be called once, before the first frame or sample. */
void encoder_track_begin(struct encoder_track *track, struct encoder_log *log,
			 unsigned number);

/*
 * A frame of the video, its pts set; `changed` is where it differs from the
 * frame before. -ESTALE: the log was not of this video;
 * nothing of it can be kept.
 */
int encoder_track_frame(struct encoder_track *track, AVFrame *frame,
			pixman_region32_t *changed, struct error *error);
/* A frame that the log has. */
void encoder_track_skip(struct encoder_track *track, int64_t pts);

/* Interleaved stereo, which follows what was given before. */
int encoder_track_samples(struct encoder_track *track, const int16_t *samples,
			  unsigned frames, struct error *error);

/* No more comes: what the codec still holds. */
int encoder_track_end(struct encoder_track *track, struct error *error);

#endif
