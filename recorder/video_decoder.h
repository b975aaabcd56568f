/*
 * Video of a stream that is not MJPEG, by libavcodec: one thread, bit-exact,
 * every frame shown as soon as it is there.
 *
 * Pixels are within 5 of a component, 3 in the mean, of those that
 * spice-client-glib's GStreamer makes of the same frames (measured with
 * tests/oracle; MJPEG, which is not decoded here, is equal).
 */
#ifndef RECORDER_VIDEO_DECODER_H
#define RECORDER_VIDEO_DECODER_H

#include "recorder/bytes.h"
#include "recorder/error.h"
#include "recorder/image.h"

/* SPICE_VIDEO_CODEC_TYPE_* */
enum video_codec {
	VIDEO_CODEC_MJPEG = 1,
	VIDEO_CODEC_VP8,
	VIDEO_CODEC_H264,
	VIDEO_CODEC_VP9,
	VIDEO_CODEC_H265,
};

struct video_decoder;

/*
 * Bytes of frames that all decoders of a session keep; what libavcodec has
 * beside them is about as much again.
 */
#define VIDEO_FRAME_BYTES_MAX (256u << 20)

/*
 * *frame_bytes counts for all of them. -ENOTSUP for another codec or one that
 * libavcodec lacks.
 */
int video_decoder_new(struct video_decoder **decoder, uint8_t codec,
		      uint64_t *frame_bytes, struct error *error);
void video_decoder_free(struct video_decoder *decoder);
/*
 * One frame's bytes. *image is the newest picture, for the caller to unref,
 * or NULL when none came out. -EBADMSG: damaged.
 */
int video_decoder_decode(struct video_decoder *decoder, struct bytes frame,
			 struct image **image, struct error *error);

#endif
