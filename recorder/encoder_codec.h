/*
 * Which codecs a file may hold, and their opening with libavcodec.
 *
 * Video of a lossless file is RGB, so that decoding it gives back exactly the
 * screen's pixels; any other is 4:2:0, BT.709, limited range.
 *
 * H.264 at the presets up to veryfast has a constant quantiser and only I and P
 * frames: a desktop that stands still costs little time and no bytes. Slower
 * presets have libx264's rate control.
 *
 * VP9 and AV1 are encoded with the encoders' settings for live video: the
 * others need a minute for seconds of a screen.
 */
#ifndef RECORDER_ENCODER_CODEC_H
#define RECORDER_ENCODER_CODEC_H

#include <libavcodec/avcodec.h>
#include <stdbool.h>
#include <stdint.h>

#include "recorder/error.h"

#define ENCODER_PIXELS_MAX (139264u * 256) /* H.264 level 6.2 */
#define ENCODER_RATE 48000                 /* Hz */
#define ENCODER_CHANNELS 2
#define ENCODER_TIME_BASE 90000 /* of video, per second */

enum encoder_format { ENCODER_MP4, ENCODER_WEBM };
enum encoder_video {
	ENCODER_VIDEO_USUAL, /* of the format */
	ENCODER_H264,
	ENCODER_VP9,
	ENCODER_AV1
};
enum encoder_audio { ENCODER_AUDIO_USUAL, ENCODER_AAC, ENCODER_OPUS };
enum encoder_sound { ENCODER_GUEST, ENCODER_MICROPHONE, ENCODER_SOUNDS };

struct encoder_options {
	enum encoder_format format;
	enum encoder_video video;
	enum encoder_audio audio;
	bool lossless;
	uint32_t width, height;   /* px, even */
	unsigned fps;             /* what rate control expects */
	unsigned crf;             /* lower is better: 1..51 of H.264, 1..63 of
				   * the others; 0 = the usual one, or
				   * lossless */
	const char *preset;       /* a name of libx264's: "veryfast" … */
	unsigned threads;         /* of the video codec; the same number gives
				   * the same bytes */
	unsigned keyframe_frames; /* most frames between key frames */
	bool sounds[ENCODER_SOUNDS];
	unsigned sound_bitrate; /* bit/s, of each */
};

/* The names of formats and codecs as people write them; -1: there is none. */
int encoder_format_by_name(const char *name);
int encoder_video_by_name(const char *name);
int encoder_audio_by_name(const char *name);

/*
 * Puts what is usual where nothing was chosen: H.264 and AAC into MP4, VP9
 * and Opus into WebM, the codec's quality, "veryfast".
 */
void encoder_codec_choose(struct encoder_options *o);

/* -EINVAL with the reason when no file can be made like this. */
int encoder_codec_check(const struct encoder_options *o, struct error *error);

/*
 * Opens a codec, whose pix_fmt, sample_fmt and frame_size say what it wants
 * to be fed; the caller frees it with avcodec_free_context, after a failure
 * too. That of H.264 is not open, as encoder_x264.h wants it. -ENOTSUP when
 * libavcodec lacks the encoder, -ENOMEM, -EIO.
 */
int encoder_codec_video(AVCodecContext **codec, const struct encoder_options *o,
			struct error *error);
int encoder_codec_audio(AVCodecContext **codec, const struct encoder_options *o,
			struct error *error);

#endif
