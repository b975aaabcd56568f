/* Frames and samples to packets with the times that the file wants. */
#include "recorder/encoder_track.h"

#include <libavutil/channel_layout.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/encoder_file.h"
#include "recorder/encoder_x264.h"

/*
 * Packets of sound until a codec that begins is where one that goes on is:
 * measured, 100 of Opus and less than 32 of AAC are enough for the same
 * samples.
 */
#define WARM_UP 200
/*
 * Frames of silence after which a codec has forgotten what went before. Its
 * packet, when it is the same as the one before, is then repeated.
 */
#define SILENCE 4
/* More frames than a codec holds back. */
#define TIMES 1024

struct encoder_track {
	AVCodecContext *codec;
	struct encoder_x264 *x264; /* NULL: the codec encodes */
	AVPacket *packet;
	struct encoder_log *log;
	unsigned number;

	/* of video */
	int64_t times[TIMES];   /* of the last frames */
	uint64_t frames;        /* given */
	uint64_t packets;       /* of them out, with those in the log */
	uint64_t first_packets; /* those in the log */
	bool begun;             /* a frame was encoded */

	/* of sound, in samples */
	AVFrame *sound;
	int fill;
	bool loud;        /* some of the samples in the frame are not 0 */
	unsigned silent;  /* frames in a row, encoded */
	AVPacket *last;   /* that came out */
	bool repeated;    /* it is the same as the one before */
	int64_t skipped;  /* samples that the codec did not see */
	int64_t next_pts; /* of a packet, when there was one */
	int64_t given;    /* so far */
	int64_t from;     /* is encoded from here on */
	int64_t kept_end; /* packets before are in the log */
	bool kept;
};

static int make_sound(struct encoder_track *t, struct error *error)
{
	AVFrame *f = t->sound = av_frame_alloc();

	if (!f)
		return error_set(error, ENOMEM, "no memory for sound");
	f->format = t->codec->sample_fmt;
	f->nb_samples = t->codec->frame_size;
	f->sample_rate = t->codec->sample_rate;
	av_channel_layout_copy(&f->ch_layout, &t->codec->ch_layout);
	if (av_frame_get_buffer(f, 0) < 0)
		return error_set(error, ENOMEM, "no memory for sound");
	return 0;
}

int encoder_track_new(struct encoder_track **track, bool video,
		      const struct encoder_options *options,
		      struct error *error)
{
	struct encoder_track *t = calloc(1, sizeof(*t));
	int r;

	*track = NULL;
	if (!t)
		return error_set(error, ENOMEM, "no memory for an encoder");
	r = video ? encoder_codec_video(&t->codec, options, error)
		  : encoder_codec_audio(&t->codec, options, error);
	if (!r && video && options->video == ENCODER_H264)
		r = encoder_x264_new(&t->x264, t->codec, options, error);
	t->packet = av_packet_alloc();
	t->last = av_packet_alloc();
	if (!r && (!t->packet || !t->last))
		r = error_set(error, ENOMEM, "no memory for an encoder");
	if (!r && !video)
		r = make_sound(t, error);
	if (r)
		encoder_track_free(t);
	else
		*track = t;
	return r;
}

void encoder_track_free(struct encoder_track *t)
{
	if (!t)
		return;
	encoder_x264_free(t->x264);
	avcodec_free_context(&t->codec);
	av_packet_free(&t->packet);
	av_packet_free(&t->last);
	av_frame_free(&t->sound);
	free(t);
}

const AVCodecContext *encoder_track_codec(const struct encoder_track *t)
{
	return t->codec;
}

void encoder_track_begin(struct encoder_track *t, struct encoder_log *log,
			 unsigned number)
{
	const struct encoder_log_kept *kept = encoder_log_kept(log, number);
	int64_t size = t->codec->frame_size;

	t->log = log;
	t->number = number;
	t->packets = t->first_packets = kept->packets;
	if (!t->sound || !kept->packets)
		return;
	t->kept = true;
	t->kept_end = kept->end;
	t->from = (kept->end + t->codec->initial_padding) / size - WARM_UP;
	t->from = t->from > 0 ? t->from * size : 0;
}

/*
 * A decoder may wait for has_b_frames frames before it shows the first, so a
 * packet's decoding time is the time of the frame that many before. That is
 * what the codec says as well, but for its first packets, before which it
 * knows of no frames. Behind a seam there are.
 */
static void set_decoding_time(struct encoder_track *t)
{
	uint64_t delay = (uint64_t)t->codec->has_b_frames;

	if (t->first_packets && t->packets < t->first_packets + delay)
		t->packet->dts = t->times[(t->packets - delay) % TIMES];
	t->packets++;
}

/* Remembers a packet of sound, whose time is that of the one before. */
static int follow_sound(struct encoder_track *t, struct error *error)
{
	AVPacket *p = t->packet, *last = t->last;

	t->repeated = last->data && last->size == p->size &&
		      !memcmp(last->data, p->data, (size_t)p->size);
	if (last->data)
		p->pts = p->dts = t->next_pts;
	t->next_pts = p->pts + t->codec->frame_size;
	av_packet_unref(last);
	return av_packet_ref(last, p) < 0
		       ? error_set(error, ENOMEM, "no memory for sound")
		       : 0;
}

static int write_packet(struct encoder_track *t, struct error *error)
{
	if (t->kept && t->packet->pts < t->kept_end)
		return 0;
	return encoder_log_add(t->log, t->number, t->packet, error);
}

static int write_packets(struct encoder_track *t, struct error *error)
{
	int r, bad = 0;

	while (!(r = avcodec_receive_packet(t->codec, t->packet))) {
		if (t->sound)
			bad = follow_sound(t, error);
		else
			set_decoding_time(t);
		if (!bad)
			bad = write_packet(t, error);
		av_packet_unref(t->packet);
		if (bad)
			return bad;
	}
	return r == AVERROR(EAGAIN) || r == AVERROR_EOF
		       ? 0
		       : encoder_error(error, r, "encode");
}

static int encode(struct encoder_track *t, AVFrame *frame, struct error *error)
{
	int r = avcodec_send_frame(t->codec, frame);

	return r < 0 ? encoder_error(error, r, "encode")
		     : write_packets(t, error);
}

static int encode_x264(struct encoder_track *t, const AVFrame *frame,
		       pixman_region32_t *changed, struct error *error)
{
	int more, bad = 0;

	do {
		more = encoder_x264_encode(t->x264, frame, changed, t->packet,
					   error);
		if (more == 1) {
			set_decoding_time(t);
			bad = write_packet(t, error);
			av_packet_unref(t->packet);
		}
	} while (!frame && more == 1 && !bad);
	return more < 0 ? more : bad;
}

void encoder_track_skip(struct encoder_track *t, int64_t pts)
{
	t->times[t->frames++ % TIMES] = pts;
}

int encoder_track_frame(struct encoder_track *t, AVFrame *frame,
			pixman_region32_t *changed, struct error *error)
{
	if (!t->begun && t->packets &&
	    (t->packets != t->frames || frame->pts != encoder_log_seam(t->log)))
		return error_set(error, ESTALE,
				 "the partial video is of another recording");
	t->begun = true;
	encoder_track_skip(t, frame->pts);
	return t->x264 ? encode_x264(t, frame, changed, error)
		       : encode(t, frame, error);
}

/* What the codec would make of more silence. */
static int repeat_sound(struct encoder_track *t, struct error *error)
{
	int r;

	if (av_packet_ref(t->packet, t->last) < 0)
		return error_set(error, ENOMEM, "no memory for sound");
	t->packet->pts = t->packet->dts = t->next_pts;
	t->next_pts += t->codec->frame_size;
	t->skipped += t->codec->frame_size;
	r = write_packet(t, error);
	av_packet_unref(t->packet);
	return r;
}

static int encode_sound(struct encoder_track *t, struct error *error)
{
	AVFrame *f = t->sound;
	bool silent = !t->loud && t->fill == t->codec->frame_size;
	int r;

	f->nb_samples = t->fill;
	f->pts = t->given - t->fill - t->skipped;
	t->fill = 0;
	t->loud = false;
	t->silent = silent ? t->silent + 1 : 0;
	if (t->silent > SILENCE && t->repeated)
		return repeat_sound(t, error);
	r = encode(t, f, error);
	if (!r && av_frame_make_writable(f) < 0)
		r = error_set(error, ENOMEM, "no memory for sound");
	return r;
}

static void put_sample(struct encoder_track *t, const int16_t *sample)
{
	float *const *planes = (float *const *)t->sound->data;

	t->loud |= sample[0] || sample[1];
	for (int i = 0; i < ENCODER_CHANNELS; i++) {
		float value = (float)sample[i] / 32768;

		if (t->codec->sample_fmt == AV_SAMPLE_FMT_FLTP)
			planes[i][t->fill] = value;
		else
			planes[0][t->fill * ENCODER_CHANNELS + i] = value;
	}
	t->fill++;
}

int encoder_track_samples(struct encoder_track *t, const int16_t *samples,
			  unsigned frames, struct error *error)
{
	int r = 0;

	for (; frames && !r; frames--, samples += ENCODER_CHANNELS) {
		if (t->given++ < t->from)
			continue;
		put_sample(t, samples);
		if (t->fill == t->codec->frame_size)
			r = encode_sound(t, error);
	}
	return r;
}

int encoder_track_end(struct encoder_track *t, struct error *error)
{
	int r = t->fill ? encode_sound(t, error) : 0;

	if (t->x264)
		return encode_x264(t, NULL, NULL, error);
	return r ? r : encode(t, NULL, error);
}
