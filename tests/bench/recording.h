/*
 * A recording made by hand: one session's messages on a clock of its own,
 * written into a capture by capture_writer. The same calls make the same
 * bytes. For inclusion by one program each; everything is static.
 */
#ifndef TESTS_BENCH_RECORDING_H
#define TESTS_BENCH_RECORDING_H

#include <libavcodec/avcodec.h>
#include <libavutil/channel_layout.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "recorder/bytes.h"
#include "recorder/capture_writer.h"
#include "recorder/link.h"

#define MS UINT64_C(1000000)
#define WIDTH 1920
#define HEIGHT 1080

enum { DISPLAY = 2, CURSOR = 4, PLAYBACK = 5 };

struct recording {
	struct capture_pool *pool;
	struct capture_writer *writer;
	uint64_t now; /* ns from the beginning */
	uint64_t messages;
	int display, cursor, playback; /* channels */
	uint64_t images;               /* ids given */
	AVCodecContext *opus;
	AVFrame *sound;
	uint64_t sounded; /* samples */
	bool playing;
};

struct box {
	int x, y, w, h;
};

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "render: %s failed\n", what);
	exit(1);
}

static void recording_add(struct recording *r, int channel,
			  enum capture_direction direction,
			  struct buffer *bytes)
{
	struct error error = {0};
	int bad;

	while ((bad = capture_writer_add(r->writer, channel, direction,
					 UINT64_C(1700000000000000000) + r->now,
					 bytes->data, bytes->size, &error)) ==
	       -EAGAIN)
		usleep(1000);
	must(!bad, error.text);
	buffer_free(bytes);
}

static int recording_channel(struct recording *r, uint8_t type)
{
	struct link_mess mess = {.connection_id = 1, .channel_type = type};
	struct link_reply reply = {0};
	struct buffer b = {0};
	int channel = capture_writer_open_channel(
		r->writer, UINT64_C(1700000000000000000) + r->now, NULL);

	link_caps_set(&mess.common, 0, true);
	link_caps_set(&mess.common, 3, true); /* mini header */
	reply.common = mess.common;
	link_mess_build(&b, &mess);
	recording_add(r, channel, CAPTURE_TO_GUEST, &b);
	link_reply_build(&b, &reply);
	recording_add(r, channel, CAPTURE_TO_CLIENT, &b);
	buffer_put_le32(&b, 1);
	recording_add(r, channel, CAPTURE_TO_GUEST, &b);
	memset(buffer_grow(&b, LINK_TICKET_SIZE), 0, LINK_TICKET_SIZE);
	recording_add(r, channel, CAPTURE_TO_GUEST, &b);
	buffer_put_le32(&b, 0);
	recording_add(r, channel, CAPTURE_TO_CLIENT, &b);
	return channel;
}

/* Puts the mini header in front; the body is freed. */
static void recording_send(struct recording *r, int channel, uint16_t type,
			   struct buffer *body)
{
	struct buffer b = {0};

	buffer_put_le16(&b, type);
	buffer_put_le32(&b, (uint32_t)body->size);
	buffer_put(&b, body->data, body->size);
	buffer_free(body);
	recording_add(r, channel, CAPTURE_TO_CLIENT, &b);
	r->messages++;
}

static void put_rect(struct buffer *b, struct box box)
{
	buffer_put_le32(b, (uint32_t)box.y);
	buffer_put_le32(b, (uint32_t)box.x);
	buffer_put_le32(b, (uint32_t)(box.y + box.h));
	buffer_put_le32(b, (uint32_t)(box.x + box.w));
}

/* Surface 0, box, no clip. */
static void put_base(struct buffer *b, struct box box)
{
	buffer_put_le32(b, 0);
	put_rect(b, box);
	buffer_put_u8(b, 0);
}

static void put_no_mask(struct buffer *b)
{
	buffer_put_u8(b, 0);
	for (int i = 0; i < 3; i++)
		buffer_put_le32(b, 0);
}

static void recording_fill(struct recording *r, struct box box, uint32_t colour)
{
	struct buffer b = {0};

	put_base(&b, box);
	buffer_put_u8(&b, 1);
	buffer_put_le32(&b, colour);
	buffer_put_le16(&b, 8); /* put */
	put_no_mask(&b);
	recording_send(r, r->display, 302, &b);
}

static void recording_move(struct recording *r, struct box to, int x, int y)
{
	struct buffer b = {0};

	put_base(&b, to);
	buffer_put_le32(&b, (uint32_t)x);
	buffer_put_le32(&b, (uint32_t)y);
	recording_send(r, r->display, 104, &b);
}

static void put_be32(struct buffer *b, uint32_t v)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		buffer_put_u8(b, (uint8_t)(v >> shift));
}

static void lz_literals_put(struct buffer *b, const uint32_t *p, size_t n)
{
	while (n) {
		size_t run = n < 32 ? n : 32;

		buffer_put_u8(b, (uint8_t)(run - 1));
		for (size_t i = 0; i < run; i++, p++) {
			buffer_put_u8(b, (uint8_t)*p);
			buffer_put_u8(b, (uint8_t)(*p >> 8));
			buffer_put_u8(b, (uint8_t)(*p >> 16));
		}
		n -= run;
	}
}

static void lz_match_put(struct buffer *b, size_t length, size_t distance)
{
	size_t code = length < 7 ? length : 7, far = distance - 1;
	unsigned high = far < 8191 ? (unsigned)(far >> 8) : 31;

	buffer_put_u8(b, (uint8_t)(code << 5 | high));
	if (code == 7) {
		for (length -= 7; length >= 255; length -= 255)
			buffer_put_u8(b, 255);
		buffer_put_u8(b, (uint8_t)length);
	}
	if (far < 8191) {
		buffer_put_u8(b, (uint8_t)far);
	} else {
		buffer_put_u8(b, 255);
		buffer_put_u8(b, (uint8_t)((far - 8191) >> 8));
		buffer_put_u8(b, (uint8_t)(far - 8191));
	}
}

/* SPICE's LZ of 32-bit pixels, greedy with one candidate. */
static void lz_put(struct buffer *b, const uint32_t *p, uint32_t w, uint32_t h)
{
	static uint32_t last[65536]; /* positions + 1 */
	size_t n = (size_t)w * h, literal = 0, at = 0;
	const uint32_t head[] = {0x20205a4c, 0x00010001, 8, w, h, w * 4, 1};

	for (int i = 0; i < 7; i++)
		put_be32(b, head[i]);
	memset(last, 0, sizeof(last));
	while (at + 4 < n) {
		uint64_t three = p[at] ^ (uint64_t)p[at + 1] << 21 ^
				 (uint64_t)p[at + 2] << 42;
		uint32_t *slot =
			&last[three * UINT64_C(0x9e3779b97f4a7c15) >> 48];
		size_t from = *slot, length = 0;

		*slot = (uint32_t)at + 1;
		if (from-- && at - from < 65536)
			while (at + length < n &&
			       p[from + length] == p[at + length])
				length++;
		if (length < 3) {
			at++;
			continue;
		}
		lz_literals_put(b, p + literal, at - literal);
		lz_match_put(b, length, at - from);
		literal = at += length;
	}
	lz_literals_put(b, p + literal, n - literal);
}

/*
 * Pixels as an LZ image. cache: 0 no, otherwise the id to keep it under; a
 * negative one brings back what was kept.
 */
static void recording_copy(struct recording *r, struct box box,
			   const uint32_t *pixels, int64_t cache)
{
	struct buffer b = {0};
	uint32_t at, size;

	put_base(&b, box);
	at = (uint32_t)b.size + 4 + 16 + 2 + 1 + 13;
	buffer_put_le32(&b, at);
	put_rect(&b, (struct box){0, 0, box.w, box.h});
	buffer_put_le16(&b, 8);
	buffer_put_u8(&b, 1);
	put_no_mask(&b);
	must(b.size == at, "laying out a copy");
	buffer_put_le64(&b, cache ? (uint64_t)llabs(cache)
				  : UINT64_C(1) << 40 | ++r->images);
	buffer_put_u8(&b, cache < 0 ? 103 : 101); /* cached or LZ */
	buffer_put_u8(&b, cache > 0);
	buffer_put_le32(&b, (uint32_t)box.w);
	buffer_put_le32(&b, (uint32_t)box.h);
	if (cache >= 0) {
		at = (uint32_t)b.size;
		buffer_put_le32(&b, 0);
		lz_put(&b, pixels, (uint32_t)box.w, (uint32_t)box.h);
		size = (uint32_t)b.size - at - 4;
		bytes_put_le32(b.data + at, size);
	}
	recording_send(r, r->display, 304, &b);
}

static void recording_pointer(struct recording *r, int x, int y)
{
	struct buffer b = {0};

	buffer_put_le16(&b, (uint16_t)x);
	buffer_put_le16(&b, (uint16_t)y);
	recording_send(r, r->cursor, 104, &b);
}

/* An arrow, opaque with a dark edge. */
static void recording_shape(struct recording *r, int x, int y)
{
	struct buffer b = {0};

	buffer_put_le16(&b, (uint16_t)x);
	buffer_put_le16(&b, (uint16_t)y);
	buffer_put_le32(&b, 0);
	buffer_put_u8(&b, 1);
	buffer_put_le16(&b, 0);
	buffer_put_le64(&b, 1);
	buffer_put_u8(&b, 0);
	for (int i = 0; i < 2; i++)
		buffer_put_le16(&b, 24);
	for (int i = 0; i < 2; i++)
		buffer_put_le16(&b, 0);
	for (int v = 0; v < 24; v++)
		for (int u = 0; u < 24; u++)
			buffer_put_le32(&b, u > v || u + v > 28 ? 0
					    : u == v || !u || u + v == 28
						    ? 0xff202020
						    : 0xffffffff);
	recording_send(r, r->cursor, 101, &b);
}

static void sound_start(struct recording *r)
{
	struct buffer b = {0};

	buffer_put_le32(&b, (uint32_t)(r->now / MS));
	buffer_put_le16(&b, 3); /* Opus */
	recording_send(r, r->playback, 102, &b);
	buffer_put_le32(&b, 2);
	buffer_put_le16(&b, 1);
	buffer_put_le32(&b, 48000);
	buffer_put_le32(&b, (uint32_t)(r->now / MS));
	recording_send(r, r->playback, 103, &b);
	r->playing = true;
}

static void sound_stop(struct recording *r)
{
	struct buffer b = {0};

	recording_send(r, r->playback, 104, &b);
	r->playing = false;
}

/* 10 ms of a tune: three voices with overtones that swell and change. */
static void sound_fill(struct recording *r, float *out)
{
	static const double steps[] = {0, 4, 7, 12, 9, 5, 2, 11};

	for (int i = 0; i < 480; i++, r->sounded++) {
		double t = (double)r->sounded / 48000, sums[2] = {0};

		for (int voice = 0; voice < 3; voice++) {
			unsigned note = (unsigned)(t * (voice + 1)) * 5 + voice;
			double pitch = 110 * (voice + 1) *
				       pow(2, steps[note % 8] / 12);
			double phase = fmod(t * (voice + 1), 1);
			double level = exp(-3 * phase) * (1 - exp(-90 * phase));

			for (int k = 1; k < 5; k++) {
				double s = level / k * 0.12 *
					   sin(2 * M_PI * pitch * k * t);

				sums[0] += s * (voice ? 1 : 0.4);
				sums[1] += s * (voice == 2 ? 0.3 : 0.8);
			}
		}
		out[2 * i] = (float)sums[0];
		out[2 * i + 1] = (float)sums[1];
	}
}

/* What Opus makes of 10 ms; NULL: of what it still holds, left out. */
static void encode_sound(struct recording *r, const AVFrame *frame)
{
	AVPacket *packet = av_packet_alloc();
	struct buffer b = {0};

	must(packet && !avcodec_send_frame(r->opus, frame), "Opus");
	while (!avcodec_receive_packet(r->opus, packet)) {
		buffer_put_le32(&b, (uint32_t)(r->now / MS));
		buffer_put(&b, packet->data, (size_t)packet->size);
		if (frame)
			recording_send(r, r->playback, 101, &b);
		buffer_free(&b);
		av_packet_unref(packet);
	}
	av_packet_free(&packet);
}

static void recording_sound(struct recording *r)
{
	if (!r->playing)
		sound_start(r);
	must(av_frame_make_writable(r->sound) >= 0, "sound");
	sound_fill(r, (float *)r->sound->data[0]);
	encode_sound(r, r->sound);
}

static void open_opus(struct recording *r)
{
	const AVCodec *codec = avcodec_find_encoder_by_name("libopus");
	AVDictionary *options = NULL;

	must(codec, "finding libopus");
	r->opus = avcodec_alloc_context3(codec);
	r->opus->sample_rate = 48000;
	r->opus->sample_fmt = AV_SAMPLE_FMT_FLT;
	r->opus->bit_rate = 128000;
	av_channel_layout_default(&r->opus->ch_layout, 2);
	av_dict_set(&options, "frame_duration", "10", 0);
	must(!avcodec_open2(r->opus, codec, &options), "opening libopus");
	av_dict_free(&options);
	r->sound = av_frame_alloc();
	r->sound->format = r->opus->sample_fmt;
	r->sound->nb_samples = 480;
	r->sound->sample_rate = 48000;
	av_channel_layout_default(&r->sound->ch_layout, 2);
	must(!av_frame_get_buffer(r->sound, 0), "sound");
}

/* Takes the file over; begins with a display, black, and a pointer. */
static void recording_begin(struct recording *r, int fd)
{
	struct capture_session session = {.id = "bench", .vault = "bench"};
	struct error error = {0};
	struct buffer b = {0};
	const uint32_t primary[] = {0, WIDTH, HEIGHT, 32, 1};

	*r = (struct recording){0};
	must(!capture_pool_new(&r->pool, 1, &error), error.text);
	must(!capture_writer_new(&r->writer, r->pool, fd, &session, &error),
	     error.text);
	r->display = recording_channel(r, DISPLAY);
	r->cursor = recording_channel(r, CURSOR);
	r->playback = recording_channel(r, PLAYBACK);
	for (int i = 0; i < 5; i++)
		buffer_put_le32(&b, primary[i]);
	recording_send(r, r->display, 314, &b);
	recording_send(r, r->display, 102, &b);
	recording_shape(r, WIDTH / 2, HEIGHT / 2);
	open_opus(r);
}

static void recording_end(struct recording *r)
{
	uint8_t digest[CAPTURE_DIGEST_SIZE];
	struct error error = {0};

	must(!capture_writer_finish(r->writer, &error), error.text);
	while (!capture_writer_finished(r->writer, digest, &error))
		usleep(1000);
	capture_writer_free(r->writer);
	capture_pool_free(r->pool);
	encode_sound(r, NULL);
	avcodec_free_context(&r->opus);
	av_frame_free(&r->sound);
}

#endif
