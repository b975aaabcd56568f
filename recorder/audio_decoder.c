/* Opus and CELT by libavcodec; other rates by libswresample. */
#include "recorder/audio_decoder.h"

#include <libavcodec/avcodec.h>
#include <libavutil/channel_layout.h>
#include <libswresample/swresample.h>
#include <stdlib.h>

#define CELT_FRAME 256 /* samples, as libspice-server cuts them */

struct audio_decoder {
	uint32_t channels, rate;
	AVCodecContext *codec; /* of codec_mode, NULL when there is none */
	uint16_t codec_mode;
	AVPacket *packet;
	AVFrame *frame;
	SwrContext *resampler;
	int resampler_format, resampler_rate, resampler_channels;
	int16_t *samples; /* of this call */
	int count, room;  /* frames */
};

int audio_decoder_new(struct audio_decoder **decoder, struct error *error)
{
	struct audio_decoder *a = calloc(1, sizeof(*a));

	*decoder = NULL;
	if (a) {
		a->packet = av_packet_alloc();
		a->frame = av_frame_alloc();
	}
	if (!a || !a->packet || !a->frame) {
		audio_decoder_free(a);
		return error_set(error, ENOMEM, "no memory for sound");
	}
	*decoder = a;
	return 0;
}

void audio_decoder_free(struct audio_decoder *a)
{
	if (!a)
		return;
	avcodec_free_context(&a->codec);
	av_packet_free(&a->packet);
	av_frame_free(&a->frame);
	swr_free(&a->resampler);
	free(a->samples);
	free(a);
}

int audio_decoder_start(struct audio_decoder *a, uint32_t channels,
			uint32_t rate, struct error *error)
{
	if (!channels || channels > AUDIO_SOURCE_CHANNELS_MAX ||
	    rate < AUDIO_SOURCE_RATE_MIN || rate > AUDIO_SOURCE_RATE_MAX)
		return error_set(error, EBADMSG,
				 "sound of %u channels and %u Hz is out of "
				 "bounds",
				 channels, rate);
	swr_free(&a->resampler);
	if (channels != a->channels || rate != a->rate)
		avcodec_free_context(&a->codec);
	else if (a->codec)
		avcodec_flush_buffers(a->codec);
	a->channels = channels;
	a->rate = rate;
	return 0;
}

/* libswresample would make a single channel softer on each side. */
static int double_mono(SwrContext *resampler)
{
	static const double both[] = {1, 1};

	return swr_set_matrix(resampler, both, 1);
}

static int set_resampler(struct audio_decoder *a, int format, int rate,
			 int channels, struct error *error)
{
	AVChannelLayout in, out;
	int r;

	if (a->resampler && a->resampler_format == format &&
	    a->resampler_rate == rate && a->resampler_channels == channels)
		return 0;
	swr_free(&a->resampler);
	av_channel_layout_default(&in, channels);
	av_channel_layout_default(&out, AUDIO_CHANNELS);
	r = swr_alloc_set_opts2(&a->resampler, &out, AV_SAMPLE_FMT_S16,
				AUDIO_RATE, &in, format, rate, 0, NULL);
	if (!r && channels == 1)
		r = double_mono(a->resampler);
	if (!r)
		r = swr_init(a->resampler);
	if (r < 0) {
		swr_free(&a->resampler);
		if (r == AVERROR(ENOMEM))
			return error_set(error, ENOMEM, "no memory for sound");
		return error_set(error, EBADMSG,
				 "sound of %d channels at %d Hz can't be "
				 "played",
				 channels, rate);
	}
	a->resampler_format = format;
	a->resampler_rate = rate;
	a->resampler_channels = channels;
	return 0;
}

static int make_room(struct audio_decoder *a, int frames, struct error *error)
{
	int16_t *samples;

	if (frames <= a->room)
		return 0;
	samples = realloc(a->samples,
			  (size_t)frames * AUDIO_CHANNELS * sizeof(*samples));
	if (!samples)
		return error_set(error, ENOMEM, "no memory for sound");
	a->samples = samples;
	a->room = frames;
	return 0;
}

/* Adds to what this call gives; without planes, what is left inside. */
static int convert(struct audio_decoder *a, const uint8_t *const *planes,
		   int frames, struct error *error)
{
	int r, out = swr_get_out_samples(a->resampler, frames);
	uint8_t *at;

	if (out >= 0) {
		r = make_room(a, a->count + out + 1, error);
		if (r)
			return r;
		at = (uint8_t *)(a->samples + a->count * AUDIO_CHANNELS);
		out = swr_convert(a->resampler, &at, out,
				  (const uint8_t **)planes, frames);
	}
	if (out == AVERROR(ENOMEM))
		return error_set(error, ENOMEM, "no memory for sound");
	if (out < 0)
		return error_set(error, EBADMSG, "sound can't be resampled");
	a->count += out;
	return 0;
}

static int decode_raw(struct audio_decoder *a, struct bytes *in,
		      struct error *error)
{
	const uint8_t *data = in->data + in->at;
	int frames = (int)(bytes_left(in) / (2 * a->channels));
	int r = set_resampler(a, AV_SAMPLE_FMT_S16, (int)a->rate,
			      (int)a->channels, error);

	return r || !frames ? r : convert(a, &data, frames, error);
}

static int open_codec(struct audio_decoder *a, uint16_t mode,
		      struct error *error)
{
	const char *name = mode == AUDIO_OPUS ? "Opus" : "CELT";
	const AVCodec *codec = avcodec_find_decoder(
		mode == AUDIO_OPUS ? AV_CODEC_ID_OPUS : AV_CODEC_ID_CELT);
	int r;

	if (a->codec && a->codec_mode == mode)
		return 0;
	avcodec_free_context(&a->codec);
	if (!codec)
		return error_set(error, ENOTSUP,
				 "the sound is %s, which the installed "
				 "libavcodec can't decode; the rest of the "
				 "session is not affected",
				 name);
	a->codec = avcodec_alloc_context3(codec);
	if (!a->codec)
		return error_set(error, ENOMEM, "no memory for sound");
	a->codec->sample_rate = mode == AUDIO_OPUS ? AUDIO_RATE : (int)a->rate;
	a->codec->frame_size = mode == AUDIO_OPUS ? 0 : CELT_FRAME;
	a->codec->thread_count = 1;
	a->codec->flags |= AV_CODEC_FLAG_BITEXACT;
	av_channel_layout_default(&a->codec->ch_layout, (int)a->channels);
	r = avcodec_open2(a->codec, codec, NULL);
	if (r) {
		avcodec_free_context(&a->codec);
		if (r == AVERROR(ENOMEM))
			return error_set(error, ENOMEM, "no memory for sound");
		return error_set(error, EBADMSG,
				 "%s of %u channels can't be decoded", name,
				 a->channels);
	}
	a->codec_mode = mode;
	return 0;
}

static int decode_packet(struct audio_decoder *a, struct bytes *in,
			 struct error *error)
{
	int r = av_new_packet(a->packet, (int)bytes_left(in));

	if (r)
		return error_set(error, ENOMEM, "no memory for sound");
	memcpy(a->packet->data, in->data + in->at, bytes_left(in));
	r = avcodec_send_packet(a->codec, a->packet);
	av_packet_unref(a->packet);
	if (r == AVERROR(ENOMEM))
		return error_set(error, ENOMEM, "no memory for sound");
	if (r)
		return error_set(error, EBADMSG,
				 "a packet of sound is damaged");
	while (!avcodec_receive_frame(a->codec, a->frame)) {
		const AVFrame *f = a->frame;

		r = set_resampler(a, f->format, f->sample_rate,
				  f->ch_layout.nb_channels, error);
		if (!r)
			r = convert(a, (const uint8_t *const *)f->extended_data,
				    f->nb_samples, error);
		av_frame_unref(a->frame);
		if (r)
			return r;
	}
	return 0;
}

int audio_decoder_decode(struct audio_decoder *a, uint16_t mode,
			 struct bytes packet, int16_t **samples,
			 unsigned *frames, struct error *error)
{
	int r;

	a->count = 0;
	*frames = 0;
	switch (mode) {
	case AUDIO_RAW:
		r = decode_raw(a, &packet, error);
		break;
	case AUDIO_CELT:
	case AUDIO_OPUS:
		r = open_codec(a, mode, error);
		if (!r)
			r = decode_packet(a, &packet, error);
		break;
	default:
		return error_set(error, ENOTSUP,
				 "sound of mode %u is not decoded", mode);
	}
	*samples = a->samples;
	*frames = r ? 0 : (unsigned)a->count;
	return r;
}

int audio_decoder_drain(struct audio_decoder *a, int16_t **samples,
			unsigned *frames, struct error *error)
{
	int r = 0;

	a->count = 0;
	if (a->resampler)
		r = convert(a, NULL, 0, error);
	*samples = a->samples;
	*frames = r ? 0 : (unsigned)a->count;
	swr_free(&a->resampler);
	return r;
}
