/* A table of codecs and what libavcodec's encoders call our settings. */
#include "recorder/encoder_codec.h"

#include <libavutil/channel_layout.h>
#include <libavutil/dict.h>
#include <stdio.h>
#include <string.h>

#include "recorder/encoder_file.h"

#define ANY (1u << ENCODER_MP4 | 1u << ENCODER_WEBM)

static const char *const formats[] = {"mp4", "webm"};
static const char *const video_names[] = {"", "h264", "vp9", "av1"};
static const char *const audio_names[] = {"", "aac", "opus"};

struct video {
	unsigned formats; /* a bit for each */
	const char *encoder, *lossless_encoder;
	enum AVPixelFormat lossless_pixels;
	unsigned crf, crf_most;
	/* NULL: is not opened here */
	int (*set)(AVDictionary **d, const struct encoder_options *o);
};

static int set_vp9(AVDictionary **d, const struct encoder_options *o);
static int set_av1(AVDictionary **d, const struct encoder_options *o);

/*
 * AV1 by libaom, not by the faster SVT-AV1, which cannot be told where a key
 * frame is to be. What libaom 3.6 calls lossless is not at the speeds that
 * are of use here: some pixels of RGB come back changed.
 */
static const struct video videos[] = {
	[ENCODER_H264] = {1u << ENCODER_MP4, "libx264", "libx264rgb",
			  AV_PIX_FMT_BGR0, 23, 51, NULL},
	[ENCODER_VP9] = {ANY, "libvpx-vp9", "libvpx-vp9", AV_PIX_FMT_GBRP, 32,
			 63, set_vp9},
	[ENCODER_AV1] = {ANY, "libaom-av1", NULL, AV_PIX_FMT_NONE, 32, 63,
			 set_av1},
};

static const struct {
	unsigned formats;
	const char *encoder;
} audios[] = {
	[ENCODER_AAC] = {1u << ENCODER_MP4, "aac"},
	[ENCODER_OPUS] = {ANY, "libopus"},
};

/* libx264's presets, and the speeds of the other two. */
static const struct {
	const char *name;
	int vp9, av1;
} presets[] = {
	{"ultrafast", 8, 10}, {"superfast", 8, 9}, {"veryfast", 8, 8},
	{"faster", 7, 7},     {"fast", 6, 7},      {"medium", 5, 6},
	{"slow", 5, 5},       {"slower", 5, 5},    {"veryslow", 5, 5},
};

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static int by_name(const char *const *names, unsigned count, const char *name)
{
	for (unsigned i = 0; *name && i < count; i++)
		if (!strcmp(names[i], name))
			return (int)i;
	return -1;
}

int encoder_format_by_name(const char *name)
{
	return by_name(formats, COUNT(formats), name);
}

int encoder_video_by_name(const char *name)
{
	return by_name(video_names, COUNT(video_names), name);
}

int encoder_audio_by_name(const char *name)
{
	return by_name(audio_names, COUNT(audio_names), name);
}

static int preset_of(const char *name)
{
	for (unsigned i = 0; i < COUNT(presets); i++)
		if (!strcmp(presets[i].name, name))
			return (int)i;
	return -1;
}

void encoder_codec_choose(struct encoder_options *o)
{
	bool webm = o->format == ENCODER_WEBM;

	if (!o->video)
		o->video = webm ? ENCODER_VP9 : ENCODER_H264;
	if (!o->audio)
		o->audio = webm ? ENCODER_OPUS : ENCODER_AAC;
	if (!o->crf && !o->lossless)
		o->crf = videos[o->video].crf;
	if (!o->preset)
		o->preset = "veryfast";
}

int encoder_codec_check(const struct encoder_options *o, struct error *error)
{
	const struct video *v = &videos[o->video];

	if (!(v->formats & 1u << o->format))
		return error_set(
			error, EINVAL, "%s does not go into a %s file; use %s",
			video_names[o->video], formats[o->format],
			o->format == ENCODER_WEBM ? "vp9 or av1" : "h264");
	if ((o->sounds[ENCODER_GUEST] || o->sounds[ENCODER_MICROPHONE]) &&
	    !(audios[o->audio].formats & 1u << o->format))
		return error_set(error, EINVAL,
				 "%s does not go into a %s file; use opus",
				 audio_names[o->audio], formats[o->format]);
	if (o->lossless && !v->lossless_encoder)
		return error_set(error, EINVAL,
				 "%s cannot be lossless; use h264 or vp9",
				 video_names[o->video]);
	if (o->lossless && o->crf)
		return error_set(error, EINVAL,
				 "a lossless video has no quality to choose; "
				 "leave crf out");
	if (o->crf > v->crf_most)
		return error_set(error, EINVAL,
				 "crf is %u; of %s it may be 1 to %u", o->crf,
				 video_names[o->video], v->crf_most);
	if (preset_of(o->preset) < 0)
		return error_set(error, EINVAL,
				 "there is no preset %s; use ultrafast, "
				 "superfast, veryfast, faster, fast, medium, "
				 "slow, slower or veryslow",
				 o->preset);
	return 0;
}

/* Columns of tiles that threads can share: at least 256 px wide each. */
static int tile_columns(const struct encoder_options *o)
{
	int log2 = 0;

	while (log2 < 4 && 1u << log2 < o->threads &&
	       o->width >> (log2 + 1) >= 256)
		log2++;
	return log2;
}

static int set_vp9(AVDictionary **d, const struct encoder_options *o)
{
	int bad = 0;

	bad |= av_dict_set(d, "deadline", "realtime", 0);
	bad |= av_dict_set_int(d, "cpu-used", presets[preset_of(o->preset)].vp9,
			       0);
	bad |= av_dict_set_int(d, "row-mt", 1, 0);
	bad |= av_dict_set_int(d, "tile-columns", tile_columns(o), 0);
	bad |= av_dict_set_int(d, "lag-in-frames", 0, 0);
	bad |= av_dict_set_int(d, "auto-alt-ref", 0, 0);
	bad |= av_dict_set(d, "tune-content", "screen", 0);
	if (o->lossless)
		bad |= av_dict_set_int(d, "lossless", 1, 0);
	else
		bad |= av_dict_set_int(d, "crf", o->crf, 0);
	return bad;
}

static int set_av1(AVDictionary **d, const struct encoder_options *o)
{
	int bad = 0;
	char more[64];

	bad |= av_dict_set(d, "usage", "realtime", 0);
	bad |= av_dict_set_int(d, "row-mt", 1, 0);
	bad |= av_dict_set_int(d, "tile-columns", tile_columns(o), 0);
	bad |= av_dict_set_int(d, "lag-in-frames", 0, 0);
	/* Of its own option libavcodec knows the speeds up to 8 only. */
	snprintf(more, sizeof(more), "tune-content=screen:cpu-used=%d",
		 presets[preset_of(o->preset)].av1);
	bad |= av_dict_set(d, "aom-params", more, 0);
	bad |= av_dict_set_int(d, "crf", o->crf, 0);
	return bad;
}

static int make_context(AVCodecContext **codec, const char *encoder,
			struct error *error)
{
	const AVCodec *found = avcodec_find_encoder_by_name(encoder);

	*codec = NULL;
	if (!found)
		return error_set(error, ENOTSUP,
				 "libavcodec has no %s; install Debian's "
				 "libavcodec",
				 encoder);
	*codec = avcodec_alloc_context3(found);
	if (!*codec)
		return error_set(error, ENOMEM, "no memory for an encoder");
	return 0;
}

/* Takes the settings; each must be one that the encoder knows. */
static int open_context(AVCodecContext *c, AVDictionary **settings,
			struct error *error)
{
	const char *name = c->codec->name; /* which a failure forgets */
	int r = avcodec_open2(c, c->codec, settings);
	char what[60];

	if (r >= 0 && av_dict_count(*settings))
		r = AVERROR_OPTION_NOT_FOUND;
	av_dict_free(settings);
	if (r >= 0)
		return 0;
	snprintf(what, sizeof(what), "start %s", name);
	return encoder_error(error, r, what);
}

static void set_colours(AVCodecContext *c, bool lossless)
{
	c->color_primaries = AVCOL_PRI_BT709;
	c->color_trc = lossless ? AVCOL_TRC_IEC61966_2_1 : AVCOL_TRC_BT709;
	c->color_range = lossless ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
	c->colorspace = lossless ? AVCOL_SPC_RGB : AVCOL_SPC_BT709;
}

int encoder_codec_video(AVCodecContext **codec, const struct encoder_options *o,
			struct error *error)
{
	const struct video *v = &videos[o->video];
	AVDictionary *settings = NULL;
	AVCodecContext *c;
	int r = make_context(
		codec, o->lossless ? v->lossless_encoder : v->encoder, error);

	if (r)
		return r;
	c = *codec;
	c->width = (int)o->width;
	c->height = (int)o->height;
	c->pix_fmt = o->lossless ? v->lossless_pixels : AV_PIX_FMT_YUV420P;
	c->time_base = (AVRational){1, ENCODER_TIME_BASE};
	c->framerate = (AVRational){(int)o->fps, 1};
	c->gop_size = (int)o->keyframe_frames;
	c->thread_count = (int)o->threads;
	c->bit_rate = 0;
	c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
	set_colours(c, o->lossless);
	if (!v->set)
		return 0;
	if (v->set(&settings, o) < 0) {
		av_dict_free(&settings);
		return error_set(error, ENOMEM, "no memory for an encoder");
	}
	return open_context(c, &settings, error);
}

int encoder_codec_audio(AVCodecContext **codec, const struct encoder_options *o,
			struct error *error)
{
	AVDictionary *settings = NULL;
	AVCodecContext *c;
	int r = make_context(codec, audios[o->audio].encoder, error);

	if (r)
		return r;
	c = *codec;
	c->sample_rate = ENCODER_RATE;
	c->sample_fmt = o->audio == ENCODER_AAC ? AV_SAMPLE_FMT_FLTP
						: AV_SAMPLE_FMT_FLT;
	c->bit_rate = o->sound_bitrate;
	c->time_base = (AVRational){1, ENCODER_RATE};
	c->thread_count = 1;
	c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_BITEXACT;
	av_channel_layout_default(&c->ch_layout, ENCODER_CHANNELS);
	if (o->audio == ENCODER_AAC &&
	    av_dict_set(&settings, "aac_coder", "fast", 0) < 0)
		return error_set(error, ENOMEM, "no memory for an encoder");
	return open_context(c, &settings, error);
}
