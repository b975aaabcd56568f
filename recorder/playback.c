/* Playback messages; Opus by libavcodec, other rates by libswresample. */
#include "recorder/playback.h"

#include <libavcodec/avcodec.h>
#include <libavutil/channel_layout.h>
#include <libswresample/swresample.h>
#include <stdlib.h>

/* SPICE_MSG_PLAYBACK_* */
enum {
	MESSAGE_DATA = 101,
	MESSAGE_MODE,
	MESSAGE_START,
	MESSAGE_STOP,
	MESSAGE_VOLUME,
	MESSAGE_MUTE,
	MESSAGE_LATENCY,
};

/* SPICE_AUDIO_DATA_MODE_* */
enum {
	MODE_RAW = 1,
	MODE_CELT,
	MODE_OPUS,
};

#define FRAMES_PER_MS (PLAYBACK_RATE / 1000)
#define FORMAT_S16 1 /* SPICE_AUDIO_FMT_S16 */

struct playback {
	struct playback_sink sink;
	struct playback_state state;
	uint16_t mode;
	bool running;
	uint32_t channels, rate;  /* of what the guest plays */
	uint64_t start;           /* capture time of START */
	uint32_t start_ms;        /* the same moment, server's clock */
	uint64_t played;          /* frames at 48 kHz since START */
	uint64_t window_ms;       /* since START: begin of what follows */
	int64_t earliest, latest; /* packets by the clock, frames late */
	AVCodecContext *opus;
	AVPacket *packet;
	AVFrame *frame;
	SwrContext *resampler;
	int resampler_format, resampler_rate, resampler_channels;
	int16_t *samples; /* room for what the resampler gives */
	int room;         /* frames */
};

int playback_new(struct playback **playback, struct playback_sink sink,
		 struct error *error)
{
	struct playback *p = calloc(1, sizeof(*p));

	*playback = NULL;
	if (p) {
		p->packet = av_packet_alloc();
		p->frame = av_frame_alloc();
	}
	if (!p || !p->packet || !p->frame) {
		playback_free(p);
		return error_set(error, ENOMEM, "no memory for sound");
	}
	p->sink = sink;
	p->mode = MODE_RAW;
	*playback = p;
	return 0;
}

void playback_free(struct playback *p)
{
	if (!p)
		return;
	avcodec_free_context(&p->opus);
	av_packet_free(&p->packet);
	av_frame_free(&p->frame);
	swr_free(&p->resampler);
	free(p->samples);
	free(p);
}

const struct playback_state *playback_state(const struct playback *p)
{
	return &p->state;
}

static int set_resampler(struct playback *p, int format, int rate, int channels,
			 struct error *error)
{
	AVChannelLayout in, out;

	if (p->resampler && p->resampler_format == format &&
	    p->resampler_rate == rate && p->resampler_channels == channels)
		return 0;
	swr_free(&p->resampler);
	av_channel_layout_default(&in, channels);
	av_channel_layout_default(&out, PLAYBACK_CHANNELS);
	if (swr_alloc_set_opts2(&p->resampler, &out, AV_SAMPLE_FMT_S16,
				PLAYBACK_RATE, &in, format, rate, 0, NULL) ||
	    swr_init(p->resampler) < 0) {
		swr_free(&p->resampler);
		return error_set(error, EBADMSG,
				 "sound of %d channels at %d Hz can't be "
				 "played",
				 channels, rate);
	}
	p->resampler_format = format;
	p->resampler_rate = rate;
	p->resampler_channels = channels;
	return 0;
}

static int make_room(struct playback *p, int frames, struct error *error)
{
	int16_t *samples;

	if (frames <= p->room)
		return 0;
	samples = realloc(p->samples, (size_t)frames * PLAYBACK_CHANNELS *
					      sizeof(*samples));
	if (!samples)
		return error_set(error, ENOMEM, "no memory for sound");
	p->samples = samples;
	p->room = frames;
	return 0;
}

static int give(struct playback *p, const uint8_t *const *planes, int frames,
		struct error *error)
{
	uint64_t at = p->start + p->played * 1000000000 / PLAYBACK_RATE;
	int r, out = swr_get_out_samples(p->resampler, frames);

	if (out < 0)
		return error_set(error, EBADMSG, "sound can't be resampled");
	r = make_room(p, out, error);
	if (r)
		return r;
	out = swr_convert(p->resampler, (uint8_t *[]){(uint8_t *)p->samples},
			  p->room, (const uint8_t **)planes, frames);
	if (out < 0)
		return error_set(error, EBADMSG, "sound can't be resampled");
	p->played += out;
	if (!out)
		return 0;
	return p->sink.samples(p->sink.user, at, p->samples, out, error);
}

static int play_raw(struct playback *p, struct bytes *in, struct error *error)
{
	const uint8_t *data = in->data + in->at;
	int frames = (int)(bytes_left(in) / (2 * p->channels));
	int r = set_resampler(p, AV_SAMPLE_FMT_S16, (int)p->rate,
			      (int)p->channels, error);

	return r ? r : give(p, &data, frames, error);
}

static int open_opus(struct playback *p, struct error *error)
{
	const AVCodec *codec = avcodec_find_decoder(AV_CODEC_ID_OPUS);

	if (p->opus)
		return 0;
	if (!codec)
		return error_set(error, ENOTSUP,
				 "libavcodec has no Opus decoder");
	p->opus = avcodec_alloc_context3(codec);
	if (!p->opus)
		return error_set(error, ENOMEM, "no memory for sound");
	p->opus->sample_rate = PLAYBACK_RATE;
	p->opus->thread_count = 1;
	av_channel_layout_default(&p->opus->ch_layout, (int)p->channels);
	if (avcodec_open2(p->opus, codec, NULL)) {
		avcodec_free_context(&p->opus);
		return error_set(error, EBADMSG,
				 "Opus of %u channels can't be decoded",
				 p->channels);
	}
	return 0;
}

static int play_opus(struct playback *p, struct bytes *in, struct error *error)
{
	int r = open_opus(p, error);

	if (r)
		return r;
	if (av_new_packet(p->packet, (int)bytes_left(in)))
		return error_set(error, ENOMEM, "no memory for sound");
	memcpy(p->packet->data, in->data + in->at, bytes_left(in));
	r = avcodec_send_packet(p->opus, p->packet);
	av_packet_unref(p->packet);
	if (r)
		return error_set(error, EBADMSG, "an Opus packet is damaged");
	while (!avcodec_receive_frame(p->opus, p->frame)) {
		const AVFrame *f = p->frame;

		r = set_resampler(p, f->format, f->sample_rate,
				  f->ch_layout.nb_channels, error);
		if (!r)
			r = give(p, (const uint8_t *const *)f->extended_data,
				 f->nb_samples, error);
		av_frame_unref(p->frame);
		if (r)
			return r;
	}
	return 0;
}

static void new_window(struct playback *p, uint64_t elapsed)
{
	p->window_ms = elapsed;
	p->earliest = INT64_MAX;
	p->latest = INT64_MIN;
}

/*
 * Keeps the run on the server's clock. A hole moves what follows at once.
 * Less may be a delay that a burst of packets makes good, so it counts only
 * when no packet of a whole second was nearer to the clock.
 */
static void follow_clock(struct playback *p, uint32_t ms, uint64_t time)
{
	uint64_t elapsed = ms - p->start_ms; /* wraps with the clock */
	int64_t late;

	/* A stamp from the future is none. */
	if (time < p->start || elapsed > (time - p->start) / 1000000 + 1000)
		return;
	late = (int64_t)(elapsed * FRAMES_PER_MS - p->played);
	p->latest = late > p->latest ? late : p->latest;
	p->earliest = late < p->earliest ? late : p->earliest;
	if (late <= PLAYBACK_HOLE_MS * FRAMES_PER_MS) {
		if (elapsed < p->window_ms + 1000)
			return;
		if (p->earliest > PLAYBACK_DRIFT_MS * FRAMES_PER_MS)
			late = p->earliest;
		else if (p->latest < -PLAYBACK_DRIFT_MS * FRAMES_PER_MS)
			late = p->latest;
		else
			late = 0;
	}
	p->played += late;
	new_window(p, elapsed);
}

static int data(struct playback *p, struct bytes *in, uint64_t time,
		struct error *error)
{
	uint32_t ms = bytes_le32(in);

	if (in->bad || bytes_left(in) > PLAYBACK_PACKET_MAX)
		return error_set(error, EBADMSG,
				 "a packet of sound is out of bounds");
	if (!p->running)
		return error_set(error, EBADMSG, "sound before its start");
	p->state.packets++;
	follow_clock(p, ms, time);
	if (p->mode == MODE_RAW)
		return play_raw(p, in, error);
	if (p->mode == MODE_OPUS)
		return play_opus(p, in, error);
	return error_set(error, ENOTSUP, "sound of mode %u is not decoded",
			 p->mode);
}

static int start(struct playback *p, struct bytes *in, uint64_t time,
		 struct error *error)
{
	uint32_t channels = bytes_le32(in);
	uint16_t format = bytes_le16(in);
	uint32_t rate = bytes_le32(in), ms = bytes_le32(in);

	p->running = false;
	if (in->bad || !channels || channels > 8 || format != FORMAT_S16 ||
	    rate < 4000 || rate > 384000)
		return error_set(error, EBADMSG,
				 "sound of %u channels, format %u and %u Hz "
				 "is out of bounds",
				 channels, format, rate);
	if (channels != p->channels)
		avcodec_free_context(&p->opus);
	p->channels = channels;
	p->rate = rate;
	p->start = time;
	p->start_ms = ms;
	p->played = 0;
	new_window(p, 0);
	p->running = true;
	p->state.started++;
	swr_free(&p->resampler);
	if (p->opus)
		avcodec_flush_buffers(p->opus);
	return 0;
}

static int volume(struct playback *p, struct bytes *in, struct error *error)
{
	unsigned n = bytes_u8(in);

	p->state.volume_channels = n < 8 ? n : 8;
	for (unsigned i = 0; i < p->state.volume_channels; i++)
		p->state.volume[i] = bytes_le16(in);
	return in->bad ? error_set(error, EBADMSG, "a volume is cut short") : 0;
}

int playback_message(struct playback *p, uint16_t type, struct bytes in,
		     uint64_t time, struct error *error)
{
	switch (type) {
	case MESSAGE_DATA:
		return data(p, &in, time, error);
	case MESSAGE_MODE:
		bytes_le32(&in);
		p->mode = bytes_le16(&in);
		return 0;
	case MESSAGE_START:
		return start(p, &in, time, error);
	case MESSAGE_STOP:
		p->running = false;
		return 0;
	case MESSAGE_VOLUME:
		return volume(p, &in, error);
	case MESSAGE_MUTE:
		p->state.mute = bytes_u8(&in) != 0;
		return 0;
	case MESSAGE_LATENCY:
		return 0;
	}
	return error_set(error, EBADMSG, "playback message %u is unknown",
			 type);
}
