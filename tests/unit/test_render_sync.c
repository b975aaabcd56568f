/*
 * Picture and sound of a rendered file: a flash and a beep that the guest
 * made at the same moment are within one frame of each other, also when
 * messages arrive unevenly, runs begin late and the server's clock wraps.
 */
#include "recorder/render.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <math.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/render_capture.h"

#define MARKS 8      /* one each second, from the first on */
#define BEEP_MS 200  /* and as long is the flash */
#define FRAME 0.0334 /* s, at 30 a second */

struct scene {
	uint32_t channels, rate;
	uint32_t clock;      /* the server's, at the beginning; ms */
	unsigned start_late; /* ms that START is held up */
	bool runs;           /* STOP and START around each beep */
	unsigned burst;      /* packets that arrive together */
	bool mute;           /* the guest mutes the loudspeaker */
};

static const struct scene *scene;

static bool is_loud(int ms)
{
	return ms >= 1000 && ms % 1000 < BEEP_MS;
}

static void start_sound(struct recording *r, int ms)
{
	struct buffer b = {0};

	put_numbers(&b, 1, scene->channels);
	buffer_put_le16(&b, 1);
	put_numbers(&b, 2, scene->rate, scene->clock + (uint32_t)ms);
	send(r, r->playback, 103, &b);
}

/* 10 ms that were played at `ms`. */
static void packet(struct recording *r, int ms)
{
	struct buffer b = {0};

	put_numbers(&b, 1, scene->clock + (uint32_t)ms);
	for (uint32_t i = 0; i < scene->rate / 100; i++)
		for (uint32_t c = 0; c < scene->channels; c++) {
			int v = i * 1000 / scene->rate & 1 ? 12000 : -12000;

			buffer_put_le16(&b, (uint16_t)(is_loud(ms) ? v : 0));
		}
	send(r, r->playback, 101, &b);
}

static void stop_sound(struct recording *r)
{
	struct buffer b = {0};

	send(r, r->playback, 104, &b);
}

static bool plays(int ms)
{
	return !scene->runs || is_loud(ms);
}

/* Sound of the last `burst` packets, all at this moment. */
static void sound_until(struct recording *r, int ms)
{
	for (int at = ms - 10 * ((int)scene->burst - 1); at <= ms; at += 10) {
		if (at < 0 || !plays(at))
			continue;
		if (!at || !plays(at - 10))
			start_sound(r, at);
		packet(r, at);
		if (!plays(at + 10))
			stop_sound(r);
	}
}

static void play_scene(struct recording *r)
{
	struct buffer b = {0};

	r->display = open_channel(r, DISPLAY);
	r->playback = open_channel(r, PLAYBACK);
	screen_of(r, 64, 48);
	fill(r, 64, 48, 0);
	buffer_put_u8(&b, scene->mute);
	send(r, r->playback, 106, &b);
	for (int ms = 0; ms < (MARKS + 1) * 1000; ms += 10) {
		unsigned late = (unsigned)ms * 7 % 9;

		r->now = (uint64_t)ms * MS + late * MS;
		if (is_loud(ms) != is_loud(ms - 10))
			fill(r, 64, 48, is_loud(ms) ? 0xffffff : 0);
		if (ms / 10 % scene->burst == scene->burst - 1) {
			r->now += ms < 100 ? scene->start_late * MS : 0;
			sound_until(r, ms);
		}
	}
	put_numbers(&b, 3, 1, 2, 3);
	send(r, r->display, 4, &b);
}

/* When it becomes light, and loud; s. */
struct seen {
	double flashes[MARKS * 2], beeps[MARKS * 2];
	unsigned flash_count, beep_count;
	bool light;
	double loud; /* the last moment that was */
};

static void look(struct seen *s, const AVFrame *f, double time)
{
	bool light =
		f->data[0][f->height / 2 * f->linesize[0] + f->width / 2] > 128;

	if (light && !s->light && s->flash_count < MARKS * 2)
		s->flashes[s->flash_count++] = time;
	s->light = light;
}

static void hear(struct seen *s, const AVFrame *f, double time)
{
	const float *left = (const float *)f->data[0];

	for (int i = 0; i < f->nb_samples; i++) {
		double now = time + i / 48000.0;

		if (fabsf(left[i]) < 0.2f)
			continue;
		if (now > s->loud + 0.3 && s->beep_count < MARKS * 2)
			s->beeps[s->beep_count++] = now;
		s->loud = now;
	}
}

static void take_frames(struct seen *s, AVCodecContext *c, double unit)
{
	AVFrame *f = av_frame_alloc();

	while (!avcodec_receive_frame(c, f)) {
		if (c->codec_type == AVMEDIA_TYPE_VIDEO)
			look(s, f, f->pts * unit);
		else
			hear(s, f, f->pts * unit);
		av_frame_unref(f);
	}
	av_frame_free(&f);
}

static void watch(int fd, struct seen *s)
{
	AVFormatContext *file = NULL;
	AVCodecContext *codecs[2] = {NULL};
	AVPacket *packet = av_packet_alloc();
	char path[64];

	*s = (struct seen){.loud = -1};
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(avformat_open_input(&file, path, NULL, NULL), 0);
	assert_true(avformat_find_stream_info(file, NULL) >= 0);
	assert_int_equal(file->nb_streams, 2);
	for (int i = 0; i < 2; i++) {
		const AVCodecParameters *p = file->streams[i]->codecpar;

		codecs[i] = avcodec_alloc_context3(NULL);
		avcodec_parameters_to_context(codecs[i], p);
		assert_int_equal(
			avcodec_open2(codecs[i],
				      avcodec_find_decoder(p->codec_id), NULL),
			0);
	}
	while (av_read_frame(file, packet) >= 0) {
		int i = packet->stream_index;

		avcodec_send_packet(codecs[i], packet);
		av_packet_unref(packet);
		take_frames(s, codecs[i], av_q2d(file->streams[i]->time_base));
	}
	for (int i = 0; i < 2; i++) {
		avcodec_send_packet(codecs[i], NULL);
		take_frames(s, codecs[i], av_q2d(file->streams[i]->time_base));
		avcodec_free_context(&codecs[i]);
	}
	av_packet_free(&packet);
	avformat_close_input(&file);
}

static void render_scene(const struct scene *wanted, bool as_heard,
			 struct seen *seen)
{
	struct render_options options = {.as_heard = as_heard};
	struct render_result result;
	struct error error = {0};
	int capture, out = memfd_create("video", 0);

	scene = wanted;
	capture = record(play_scene);
	render(capture, out, &options, NULL, NULL, &result, &error);
	assert_string_equal(error.text, "");
	assert_string_equal(result.damage, "");
	assert_int_equal(result.playback.mute, wanted->mute);
	watch(out, seen);
	assert_int_equal(seen->flash_count, MARKS);
	close(capture);
	close(out);
}

static void in_time(const struct scene *wanted)
{
	struct seen seen;
	double worst = 0;

	render_scene(wanted, false, &seen);
	assert_int_equal(seen.beep_count, MARKS);
	for (int i = 0; i < MARKS; i++) {
		double off = seen.beeps[i] - seen.flashes[i];

		worst = fabs(off) > fabs(worst) ? off : worst;
		assert_true(fabs(seen.flashes[i] - (i + 1)) < FRAME);
	}
	print_message("# the beep is at most %.1f ms behind the flash\n",
		      worst * 1000);
	assert_true(fabs(worst) <= FRAME);
}

static void muted(void **state)
{
	static const struct scene quiet = {2, 48000, 5000, 0, false, 1, true};
	struct seen seen;

	(void)state;
	render_scene(&quiet, false, &seen);
	assert_int_equal(seen.beep_count, MARKS);
	render_scene(&quiet, true, &seen);
	assert_int_equal(seen.beep_count, 0);
}

static void one_run(void **state)
{
	(void)state;
	in_time(&(struct scene){2, 48000, 5000, 0, false, 1, false});
}

static void bursts(void **state)
{
	(void)state;
	in_time(&(struct scene){2, 48000, 5000, 0, false, 10, false});
}

static void late_start(void **state)
{
	(void)state;
	in_time(&(struct scene){2, 44100, 5000, 90, false, 1, false});
}

static void many_runs(void **state)
{
	(void)state;
	in_time(&(struct scene){1, 22050, 5000, 0, true, 1, false});
}

static void clock_wraps(void **state)
{
	(void)state;
	in_time(&(struct scene){2, 48000, 0xfffff000, 0, false, 4, false});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_run),     cmocka_unit_test(bursts),
		cmocka_unit_test(late_start),  cmocka_unit_test(many_runs),
		cmocka_unit_test(clock_wraps), cmocka_unit_test(muted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
