/*
 * Sound: every form of packets becomes the same samples at the right time,
 * whatever the clocks do; volume and mute; the microphone.
 */
#include "recorder/playback.h"

#include <libavcodec/avcodec.h>
#include <libavutil/log.h>
#include <math.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#define BEGIN UINT64_C(1700000000000000000) /* ns since 1970 */
#define MS UINT64_C(1000000)
#define TIMELINE (60 * PLAYBACK_RATE) /* frames */
#define LOUD 8000

enum { DATA = 101, MODE, START, STOP, VOLUME, MUTE };
enum { RECORD_START = 101, RECORD_STOP };
enum { CLIENT_DATA = 101, CLIENT_MODE, CLIENT_START_MARK };

/* What was heard, frame by frame since BEGIN. */
static int16_t timeline[TIMELINE][PLAYBACK_CHANNELS];
static int64_t heard_end; /* frames */
static int sink_result;

static struct playback *playback;
static uint64_t now; /* ms since BEGIN */

static int hear(void *user, uint64_t at, const int16_t *samples,
		unsigned frames, struct error *error)
{
	int64_t first = (int64_t)(at - BEGIN) * 48 / 1000000;

	(void)user;
	assert_true(first >= -48 && first + frames <= TIMELINE);
	first = first < 0 ? 0 : first;
	memcpy(timeline[first], samples, frames * sizeof(timeline[0]));
	heard_end = first + frames;
	return sink_result ? error_set(error, sink_result, "full") : 0;
}

static void open_playback(bool as_heard)
{
	struct playback_sink sink = {.samples = hear, .as_heard = as_heard};

	playback_free(playback);
	assert_int_equal(playback_new(&playback, sink, NULL), 0);
}

static int set_up(void **state)
{
	(void)state;
	av_log_set_level(AV_LOG_QUIET);
	memset(timeline, 0, sizeof(timeline));
	sink_result = 0;
	now = heard_end = 0;
	open_playback(false);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	playback_free(playback);
	playback = NULL;
	return 0;
}

static int say(uint16_t type, struct buffer *b)
{
	int r = playback_message(playback, type, bytes_of(b->data, b->size),
				 BEGIN + now * MS, NULL);

	buffer_free(b);
	return r;
}

static int start(uint32_t channels, uint32_t rate, uint32_t stamp)
{
	struct buffer b = {0};

	buffer_put_le32(&b, channels);
	buffer_put_le16(&b, 1);
	buffer_put_le32(&b, rate);
	buffer_put_le32(&b, stamp);
	return say(START, &b);
}

static int simple(uint16_t type)
{
	struct buffer b = {0};

	return say(type, &b);
}

static int set_mode(uint16_t mode)
{
	struct buffer b = {0};

	buffer_put_le32(&b, 0);
	buffer_put_le16(&b, mode);
	return say(MODE, &b);
}

/* `ms` of a square wave of 500 Hz, or of silence. */
static void put_wave(struct buffer *b, uint32_t channels, uint32_t rate, int ms,
		     bool loud)
{
	for (uint32_t i = 0; i < rate * ms / 1000; i++)
		for (uint32_t c = 0; c < channels; c++) {
			int v = i * 1000 / rate & 1 ? LOUD : -LOUD;

			buffer_put_le16(b, (uint16_t)(loud ? v : 0));
		}
}

static int wave(uint32_t channels, uint32_t rate, uint32_t stamp, int ms,
		bool loud)
{
	struct buffer b = {0};

	buffer_put_le32(&b, stamp);
	put_wave(&b, channels, rate, ms, loud);
	return say(DATA, &b);
}

/* Packets of 10 ms, on time. */
static void play(uint32_t stamp, int from_ms, int to_ms)
{
	for (int at = from_ms; at < to_ms; at += 10, now += 10)
		assert_int_equal(wave(2, 48000, stamp + at, 10, true), 0);
}

/* Milliseconds until (to) or at which something is first heard. */
static int loud_from(int ms)
{
	for (int i = ms * 48; i < TIMELINE; i++)
		if (abs(timeline[i][0]) > LOUD / 2)
			return i / 48;
	return -1;
}

static int quiet_from(int ms)
{
	for (int i = ms * 48, quiet = 0; i < TIMELINE; i++) {
		quiet = abs(timeline[i][0]) > LOUD / 2 ? 0 : quiet + 1;
		if (quiet == 48 * 4)
			return (i - quiet) / 48 + 1;
	}
	return -1;
}

/* Halves of a wave of 500 Hz in the second from `ms` on: 1000. */
static int crossings(int ms, int side)
{
	int n = 0;

	for (int i = ms * 48 + 1; i < ms * 48 + 48000; i++)
		n += (timeline[i][side] < 0) != (timeline[i - 1][side] < 0);
	return n;
}

static void every_form(void **state)
{
	static const uint32_t rates[] = {8000,  11025, 16000, 22050, 32000,
					 44100, 48000, 88200, 96000};
	static const uint32_t channels[] = {1, 2, 6, 8};

	for (unsigned i = 0; i < 9; i++)
		for (unsigned k = 0; k < 4; k++) {
			int level;

			set_up(state);
			assert_int_equal(start(channels[k], rates[i], 7), 0);
			for (int ms = 0; ms < 2000; ms += 100, now += 100)
				assert_int_equal(wave(channels[k], rates[i],
						      7 + ms, 100, true),
						 0);
			assert_int_equal(simple(STOP), 0);
			assert_in_range(heard_end, 95800, 96050);
			assert_in_range(crossings(500, 0), 990, 1010);
			assert_in_range(crossings(500, 1), 990, 1010);
			/* The middle of a half wave. */
			level = abs(timeline[48 * 1000 + 24][0]);
			if (channels[k] <= 2)
				assert_in_range(level, LOUD * 0.8, LOUD * 1.3);
			else
				assert_in_range(level, LOUD / 8, LOUD * 1.3);
		}
}

static void bounds(void **state)
{
	struct buffer b = {0};

	(void)state;
	assert_int_equal(wave(2, 48000, 0, 10, true), -EBADMSG);
	assert_int_equal(start(0, 48000, 0), -EBADMSG);
	assert_int_equal(start(9, 48000, 0), -EBADMSG);
	assert_int_equal(start(2, 3999, 0), -EBADMSG);
	assert_int_equal(start(2, 400000, 0), -EBADMSG);
	buffer_put_le32(&b, 2);
	assert_int_equal(say(START, &b), -EBADMSG);
	/* Not running after a START that was none. */
	assert_int_equal(wave(2, 48000, 0, 10, true), -EBADMSG);
	assert_int_equal(start(2, 48000, 0), 0);
	assert_int_equal(simple(DATA), -EBADMSG);
	assert_non_null(buffer_grow(&b, PLAYBACK_PACKET_MAX + 5));
	memset(b.data, 0, b.size);
	assert_int_equal(say(DATA, &b), -EBADMSG);
	assert_int_equal(simple(200), -EBADMSG);
	assert_int_equal(set_mode(9), 0);
	assert_int_equal(wave(2, 48000, 0, 10, true), -ENOTSUP);
	assert_int_equal(heard_end, 0);
}

static void sink_errors_come_back(void **state)
{
	(void)state;
	assert_int_equal(start(2, 48000, 0), 0);
	sink_result = ENOSPC;
	assert_int_equal(wave(2, 48000, 0, 10, true), -ENOSPC);
}

/* Packets that come in heaps sound evenly. */
static void uneven_arrival(void **state)
{
	(void)state;
	now = 1000;
	assert_int_equal(start(2, 48000, 5000), 0);
	for (int ms = 0; ms < 4000; ms += 10) {
		now = 1000 + (uint64_t)ms / 200 * 200 + (ms ? 190 : 0);
		assert_int_equal(wave(2, 48000, 5000 + ms, 10, true), 0);
	}
	assert_int_equal(loud_from(0), 1000);
	assert_in_range(quiet_from(1000), 4999, 5001);
	assert_in_range(crossings(1000, 0), 999, 1001);
}

static void runs_and_gaps(void **state)
{
	(void)state;
	now = 500;
	assert_int_equal(start(2, 48000, 100), 0);
	play(100, 0, 1000);
	assert_int_equal(simple(STOP), 0);
	now = 3000;
	assert_int_equal(start(2, 48000, 2600), 0);
	play(2600, 0, 500);
	/* A second without packets, and no STOP. */
	now += 1000;
	play(2600, 1500, 2000);
	assert_int_equal(loud_from(0), 500);
	assert_int_equal(quiet_from(500), 1500);
	assert_int_equal(loud_from(1500), 3000);
	assert_int_equal(quiet_from(3000), 3500);
	assert_int_equal(loud_from(3600), 4500);
	assert_int_equal(quiet_from(4500), 5000);
}

static void clock_wraps(void **state)
{
	(void)state;
	assert_int_equal(start(2, 48000, 0xffffff00), 0);
	play(0xffffff00, 0, 1000);
	now += 1000;
	play(0xffffff00, 2000, 3000);
	assert_int_equal(loud_from(0), 0);
	assert_int_equal(quiet_from(0), 1000);
	assert_int_equal(loud_from(1000), 2000);
	assert_int_equal(quiet_from(2000), 3000);
}

static void clock_jumps(void **state)
{
	(void)state;
	assert_int_equal(start(2, 48000, 1000000), 0);
	play(1000000, 0, 1000);
	play(5000, 1000, 2000); /* back */
	play(90000000, 2000, 3000);
	/* One stamp is damaged. */
	assert_int_equal(wave(2, 48000, 3, 10, true), 0);
	now += 10;
	play(90000000, 3010, 4000);
	now += 1000;
	play(90000000, 5000, 6000);
	assert_int_equal(quiet_from(0), 4000);
	assert_int_equal(loud_from(4000), 5000);
	assert_in_range(crossings(500, 0), 999, 1001);
	assert_in_range(crossings(2500, 0), 999, 1001);
}

/* START was held up; what follows shows where it belongs. */
static void late_start(void **state)
{
	(void)state;
	now = 1000;
	assert_int_equal(start(2, 48000, 700), 0);
	assert_int_equal(wave(2, 48000, 700, 10, true), 0);
	for (int ms = 10; ms < 3000; ms += 10) {
		now = 1000 + (ms < 300 ? 0 : ms - 300);
		assert_int_equal(wave(2, 48000, 700 + ms, 10, true), 0);
	}
	assert_in_range(quiet_from(1500), 3680, 3720);
}

/* The server's clock runs slow against the capture's, by 1 in 200. */
static void clocks_drift(void **state)
{
	(void)state;
	assert_int_equal(start(2, 48000, 0), 0);
	for (int ms = 0; ms < 40000; ms += 10) {
		now = ms + ms / 200;
		assert_int_equal(wave(2, 48000, ms, 10, true), 0);
	}
	/* Those of the last ten seconds may be as late as they are. */
	assert_in_range(heard_end / 48, 40080, 40200);
}

/* A sound card that runs fast gives more than its stamps. */
static void card_drifts(void **state)
{
	(void)state;
	assert_int_equal(start(2, 48000, 0), 0);
	for (int ms = 0; ms < 10000; ms += 100) {
		now = ms;
		assert_int_equal(wave(2, 48000, ms, 105, true), 0);
	}
	assert_in_range(heard_end / 48, 9995, 10200);
}

static void volume_and_mute(void **state)
{
	struct buffer b = {0};

	(void)state;
	for (int as_heard = 0; as_heard < 2; as_heard++) {
		open_playback(as_heard);
		now = 0;
		assert_int_equal(start(2, 48000, 0), 0);
		play(0, 0, 100);
		buffer_put_u8(&b, 2);
		buffer_put_le16(&b, 65535);
		buffer_put_le16(&b, 32768);
		assert_int_equal(say(VOLUME, &b), 0);
		play(0, 100, 200);
		buffer_put_u8(&b, 1);
		assert_int_equal(say(MUTE, &b), 0);
		play(0, 200, 300);
		assert_int_equal(abs(timeline[50 * 48][0]), LOUD);
		assert_int_equal(abs(timeline[150 * 48][0]), LOUD);
		assert_int_equal(abs(timeline[150 * 48][1]),
				 as_heard ? LOUD / 8 : LOUD);
		assert_int_equal(abs(timeline[250 * 48][1]),
				 as_heard ? 0 : LOUD);
		assert_int_equal(playback_state(playback)->volume[1], 32768);
		assert_true(playback_state(playback)->mute);
	}
	buffer_put_u8(&b, 2);
	assert_int_equal(say(VOLUME, &b), -EBADMSG);
}

static void reconnects(void **state)
{
	(void)state;
	assert_int_equal(set_mode(AUDIO_OPUS), 0);
	assert_int_equal(start(2, 48000, 0), 0);
	playback_restart(playback);
	assert_int_equal(wave(2, 48000, 0, 10, true), -EBADMSG);
	now = 700;
	assert_int_equal(start(2, 48000, 9), 0);
	play(9, 0, 100); /* raw again */
	assert_int_equal(loud_from(0), 700);
}

static AVCodecContext *open_opus(int channels)
{
	const AVCodec *codec = avcodec_find_encoder_by_name("libopus");
	AVCodecContext *c = avcodec_alloc_context3(codec);

	assert_non_null(codec);
	c->sample_rate = 48000;
	c->sample_fmt = AV_SAMPLE_FMT_S16;
	c->bit_rate = 128000;
	av_channel_layout_default(&c->ch_layout, channels);
	c->frame_size = 480;
	c->compression_level = 5;
	assert_int_equal(avcodec_open2(c, codec, NULL), 0);
	return c;
}

/* A packet of c->frame_size frames; its body is added behind the stamp. */
static void put_opus(AVCodecContext *c, struct buffer *b, bool loud)
{
	AVPacket *packet = av_packet_alloc();
	AVFrame *frame = av_frame_alloc();
	struct buffer pcm = {0};

	put_wave(&pcm, c->ch_layout.nb_channels, 48000, c->frame_size / 48,
		 loud);
	frame->nb_samples = c->frame_size;
	frame->format = c->sample_fmt;
	av_channel_layout_copy(&frame->ch_layout, &c->ch_layout);
	assert_int_equal(av_frame_get_buffer(frame, 0), 0);
	memcpy(frame->data[0], pcm.data, pcm.size);
	assert_int_equal(avcodec_send_frame(c, frame), 0);
	assert_int_equal(avcodec_receive_packet(c, packet), 0);
	buffer_put(b, packet->data, packet->size);
	av_packet_free(&packet);
	av_frame_free(&frame);
	buffer_free(&pcm);
}

static void opus(void **state)
{
	for (int channels = 1; channels < 3; channels++) {
		AVCodecContext *c = open_opus(channels);
		int frame = c->frame_size / 48, damaged = 0;

		set_up(state);
		assert_int_equal(set_mode(AUDIO_OPUS), 0);
		assert_int_equal(start(channels, 48000, 0), 0);
		for (int ms = 0; ms < 4000; ms += frame, now += frame) {
			struct buffer b = {0};

			buffer_put_le32(&b, ms);
			put_opus(c, &b, ms >= 1000 && ms < 3000);
			/* Some are damaged: the rest goes on. */
			if (ms / frame % 100 == 7) {
				b.size = 5;
				b.data[4] = 0xff;
			}
			damaged += say(DATA, &b) == -EBADMSG;
		}
		assert_in_range(damaged, 1, 4);
		avcodec_free_context(&c);
		assert_in_range(loud_from(0), 995, 1010);
		assert_in_range(crossings(1500, 0), 975, 1010);
		assert_in_range(crossings(1500, 1), 975, 1010);
		assert_in_range(quiet_from(2500), 2995, 3015);
	}
}

static void celt_without_decoder(void **state)
{
	struct error error = {0};
	struct buffer b = {0};

	(void)state;
	if (avcodec_find_decoder(AV_CODEC_ID_CELT))
		skip();
	assert_int_equal(set_mode(AUDIO_CELT), 0);
	assert_int_equal(start(2, 44100, 0), 0);
	buffer_put_le32(&b, 0);
	buffer_put_le32(&b, 0x12345678);
	assert_int_equal(playback_message(playback, DATA,
					  bytes_of(b.data, b.size), BEGIN,
					  &error),
			 -ENOTSUP);
	buffer_free(&b);
	assert_non_null(strstr(error.text, "CELT"));
	/* The next run may be of another mode. */
	assert_int_equal(simple(STOP), 0);
	assert_int_equal(set_mode(AUDIO_RAW), 0);
	now = 1000;
	assert_int_equal(start(2, 48000, 0), 0);
	play(0, 0, 100);
	assert_int_equal(loud_from(0), 1000);
}

static int client_says(uint16_t type, struct buffer *b)
{
	int r = playback_record_client(playback, type,
				       bytes_of(b->data, b->size),
				       BEGIN + now * MS, NULL);

	buffer_free(b);
	return r;
}

static int record(uint16_t type, uint32_t channels, uint32_t rate)
{
	struct buffer b = {0};
	int r;

	if (type == RECORD_START) {
		buffer_put_le32(&b, channels);
		buffer_put_le16(&b, 1);
		buffer_put_le32(&b, rate);
	}
	r = playback_record_message(playback, type, bytes_of(b.data, b.size),
				    NULL);
	buffer_free(&b);
	return r;
}

static int speak(uint32_t stamp)
{
	struct buffer b = {0};

	buffer_put_le32(&b, stamp);
	put_wave(&b, 1, 16000, 20, true);
	return client_says(CLIENT_DATA, &b);
}

static void microphone(void **state)
{
	struct buffer b = {0};

	(void)state;
	/* Nobody listens yet. */
	assert_int_equal(speak(1), 0);
	assert_int_equal(record(RECORD_START, 1, 16000), 0);
	now = 1000;
	buffer_put_le32(&b, 5000);
	buffer_put_le16(&b, AUDIO_RAW);
	assert_int_equal(client_says(CLIENT_MODE, &b), 0);
	buffer_put_le32(&b, 5000);
	assert_int_equal(client_says(CLIENT_START_MARK, &b), 0);
	for (int i = 0; i < 50; i++, now += 20)
		assert_int_equal(speak(5000 + i * 20), 0);
	assert_int_equal(record(RECORD_STOP, 0, 0), 0);
	/* Still on its way when the guest stopped. */
	assert_int_equal(speak(6000), 0);
	assert_int_equal(loud_from(0), 1000);
	assert_in_range(quiet_from(1000), 1999, 2001);
	/* Without a mark, at its first packet. */
	assert_int_equal(record(RECORD_START, 1, 16000), 0);
	now = 4000;
	for (int i = 0; i < 50; i++, now += 20)
		assert_int_equal(speak(9000 + i * 20), 0);
	assert_in_range(loud_from(2010), 3999, 4001);
	assert_int_equal(playback_state(playback)->started, 2);
	assert_int_equal(record(RECORD_START, 0, 16000), -EBADMSG);
	assert_int_equal(record(77, 0, 0), -EBADMSG);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(every_form),
		CASE(bounds),
		CASE(sink_errors_come_back),
		CASE(uneven_arrival),
		CASE(runs_and_gaps),
		CASE(clock_wraps),
		CASE(clock_jumps),
		CASE(late_start),
		CASE(clocks_drift),
		CASE(card_drifts),
		CASE(volume_and_mute),
		CASE(reconnects),
		CASE(opus),
		CASE(celt_without_decoder),
		CASE(microphone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
