/*
 * What the renderer writes: every format and codec, what is refused, pixels
 * of a lossless video, one monitor, two sounds, thumbnails, and a rendering
 * that is killed anywhere and goes on.
 */
#include "recorder/picture.h"
#include "recorder/render.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <math.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

/* behind stdio.h, whose FILE it needs */
#include <jpeglib.h>

#include "tests/unit/render_capture.h"

#define WIDTH 160
#define HEIGHT 96
#define FILM_FRAMES 300 /* one in 40 ms */
#define SOUND_MAX (16 * 48000)

/* Twelve seconds of it. */
static void film(struct recording *r)
{
	film_of(r, WIDTH, HEIGHT, FILM_FRAMES);
}

/* --- a file, taken apart ------------------------------------------------ */

struct stream {
	enum AVCodecID codec;
	enum AVPixelFormat pixels;
	int frames, keys;
	char title[32];
	double times[1024]; /* s, of each frame */
	float *sound;       /* left, from time 0 */
	int sound_end;
};

struct file {
	unsigned count;
	struct stream streams[3];
};

static void take_sound(struct stream *s, const AVFrame *f, double time)
{
	int at = (int)lrint(time * 48000);

	for (int i = 0; i < f->nb_samples; i++, at++) {
		bool planar = f->format == AV_SAMPLE_FMT_FLTP;
		const float *data = (const float *)f->data[0];

		if (at < 0 || at >= SOUND_MAX)
			continue;
		s->sound[at] = data[planar ? i : 2 * i];
		s->sound_end = at + 1;
	}
}

static void take_frame(struct stream *s, const AVFrame *f, double time)
{
	assert_in_range(s->frames, 0, 1023);
	s->pixels = f->format;
	s->times[s->frames++] = time;
	s->keys += f->key_frame;
}

typedef void each_frame(void *user, const AVFrame *frame, double time);

static void drain(struct stream *s, AVCodecContext *c, AVRational base,
		  each_frame *each, void *user)
{
	AVFrame *frame = av_frame_alloc();

	while (!avcodec_receive_frame(c, frame)) {
		double time = frame->pts * av_q2d(base);

		if (c->codec_type == AVMEDIA_TYPE_AUDIO) {
			take_sound(s, frame, time);
		} else {
			take_frame(s, frame, time);
			if (each)
				each(user, frame, time);
		}
		av_frame_unref(frame);
	}
	av_frame_free(&frame);
}

static AVCodecContext *open_stream(struct stream *s, const AVStream *stream)
{
	AVCodecContext *c = avcodec_alloc_context3(NULL);
	const AVDictionaryEntry *e =
		av_dict_get(stream->metadata, "title", NULL, 0);

	e = e ? e : av_dict_get(stream->metadata, "handler_name", NULL, 0);
	snprintf(s->title, sizeof(s->title), "%s", e ? e->value : "");
	s->codec = stream->codecpar->codec_id;
	s->sound = calloc(SOUND_MAX, sizeof(*s->sound));
	avcodec_parameters_to_context(c, stream->codecpar);
	c->pkt_timebase = stream->time_base;
	assert_int_equal(avcodec_open2(c, avcodec_find_decoder(s->codec), NULL),
			 0);
	return c;
}

static struct file *open_file(int fd, each_frame *each, void *user)
{
	struct file *out = calloc(1, sizeof(*out));
	AVFormatContext *file = NULL;
	AVCodecContext *codecs[3];
	AVPacket *packet = av_packet_alloc();
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(avformat_open_input(&file, path, NULL, NULL), 0);
	out->count = file->nb_streams;
	assert_in_range(out->count, 1, 3);
	for (unsigned i = 0; i < out->count; i++)
		codecs[i] = open_stream(&out->streams[i], file->streams[i]);
	while (av_read_frame(file, packet) >= 0) {
		int i = packet->stream_index;

		assert_int_equal(avcodec_send_packet(codecs[i], packet), 0);
		av_packet_unref(packet);
		drain(&out->streams[i], codecs[i], file->streams[i]->time_base,
		      each, user);
	}
	for (unsigned i = 0; i < out->count; i++) {
		avcodec_send_packet(codecs[i], NULL);
		drain(&out->streams[i], codecs[i], file->streams[i]->time_base,
		      each, user);
		avcodec_free_context(&codecs[i]);
	}
	av_packet_free(&packet);
	avformat_close_input(&file);
	return out;
}

static void close_file(struct file *f)
{
	for (unsigned i = 0; i < f->count; i++)
		free(f->streams[i].sound);
	free(f);
}

static int render_with(int capture, const struct render_options *options,
		       struct render_result *result)
{
	struct error error = {0};
	int out = memfd_create("video", 0);
	int r = render(capture, out, options, NULL, NULL, result, &error);

	assert_string_equal(error.text, "");
	assert_int_equal(r, 0);
	return out;
}

/* --- formats ------------------------------------------------------------ */

static const struct render_options usual = {.fps = 25, .key_seconds = 2};

static void assert_tone(const struct stream *s, double from, double to)
{
	double power = 0, in = 0, out = 0;
	int begin = (int)(from * 48000), end = (int)(to * 48000);

	assert_true(s->sound_end >= end);
	for (int i = begin; i < end; i++) {
		double t = 2 * M_PI * LESSON_TONE * i / 48000;

		power += s->sound[i] * s->sound[i];
		in += s->sound[i] * sin(t);
		out += s->sound[i] * cos(t);
	}
	power /= end - begin;
	in /= end - begin;
	out /= end - begin;
	/* Its power, of the sine's frequency and nothing else. */
	assert_true(power > 0.033 && power < 0.042);
	assert_true(2 * (in * in + out * out) > 0.99 * power);
}

static void every_format(void **state)
{
	static const struct {
		enum encoder_format format;
		enum encoder_video video;
		enum encoder_audio audio;
		enum AVCodecID video_id, audio_id;
	} cases[] = {
		{ENCODER_MP4, 0, 0, AV_CODEC_ID_H264, AV_CODEC_ID_AAC},
		{ENCODER_MP4, 0, ENCODER_OPUS, AV_CODEC_ID_H264,
		 AV_CODEC_ID_OPUS},
		{ENCODER_MP4, ENCODER_VP9, 0, AV_CODEC_ID_VP9, AV_CODEC_ID_AAC},
		{ENCODER_MP4, ENCODER_AV1, ENCODER_OPUS, AV_CODEC_ID_AV1,
		 AV_CODEC_ID_OPUS},
		{ENCODER_WEBM, 0, 0, AV_CODEC_ID_VP9, AV_CODEC_ID_OPUS},
		{ENCODER_WEBM, ENCODER_AV1, 0, AV_CODEC_ID_AV1,
		 AV_CODEC_ID_OPUS},
	};
	int capture = record(film);
	struct file *first = NULL;

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct render_options options = usual;
		struct render_result result;
		struct file *f;
		int out;

		options.format = cases[i].format;
		options.video = cases[i].video;
		options.audio = cases[i].audio;
		out = render_with(capture, &options, &result);
		f = open_file(out, NULL, NULL);
		assert_int_equal(f->count, 2);
		assert_int_equal(f->streams[0].codec, cases[i].video_id);
		assert_int_equal(f->streams[0].pixels, AV_PIX_FMT_YUV420P);
		assert_int_equal(f->streams[1].codec, cases[i].audio_id);
		assert_string_equal(f->streams[0].title, "screen");
		assert_string_equal(f->streams[1].title, "guest");
		assert_int_equal(f->streams[0].frames, result.frames);
		/* one in 2 s at least */
		assert_in_range(f->streams[0].keys, 6, 9);
		assert_tone(&f->streams[1], 0.1, 11.8);
		if (first)
			for (int k = 0; k < first->streams[0].frames; k++)
				assert_true(fabs(f->streams[0].times[k] -
						 first->streams[0].times[k]) <
					    0.009);
		if (first)
			close_file(f);
		else
			first = f;
		close(out);
	}
	close_file(first);
	close(capture);
}

static void every_preset(void **state)
{
	static const char *const presets[] = {
		"ultrafast", "superfast", "faster", "fast", "medium", "slow"};
	int capture = record(film);

	(void)state;
	for (unsigned v = ENCODER_H264; v <= ENCODER_AV1; v++)
		for (unsigned i = 0; i < 6; i++) {
			struct render_options options = usual;
			struct render_result result;

			options.video = v;
			options.preset = presets[i];
			options.no_sound = true;
			options.fps = 3;
			close(render_with(capture, &options, &result));
		}
	close(capture);
}

static void refuses(void **state)
{
	static const struct {
		struct render_options options;
		const char *reason;
	} cases[] = {
		{{.format = ENCODER_WEBM, .video = ENCODER_H264},
		 "h264 does not go into a webm file; use vp9 or av1"},
		{{.format = ENCODER_WEBM, .audio = ENCODER_AAC},
		 "aac does not go into a webm file; use opus"},
		{{.crf = 52}, "crf is 52; of h264 it may be 1 to 51"},
		{{.video = ENCODER_AV1, .crf = 64},
		 "crf is 64; of av1 it may be 1 to 63"},
		{{.lossless = true, .crf = 5},
		 "a lossless video has no quality to choose; leave crf out"},
		{{.lossless = true, .video = ENCODER_AV1},
		 "av1 cannot be lossless; use h264 or vp9"},
		{{.fps = 121}, "fps is 121; at most 120"},
		{{.monitor = 17}, "there is no monitor 17"},
		{{.preset = "quick"},
		 "there is no preset quick; use ultrafast, superfast, "
		 "veryfast, faster, fast, medium, slow, slower or veryslow"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct error error = {0};

		assert_int_equal(render_check(&cases[i].options, &error),
				 -EINVAL);
		assert_string_equal(error.text, cases[i].reason);
	}
}

/* --- lossless ----------------------------------------------------------- */

struct compared {
	int capture, frames;
};

static uint32_t pixel(const AVFrame *f, unsigned x, unsigned y)
{
	const uint8_t *g, *b, *r;

	assert_int_equal(f->format, AV_PIX_FMT_GBRP);
	g = f->data[0] + y * f->linesize[0] + x;
	b = f->data[1] + y * f->linesize[1] + x;
	r = f->data[2] + y * f->linesize[2] + x;
	return (uint32_t)*r << 16 | (uint32_t)*g << 8 | *b;
}

/* Every tenth frame against the decoder's picture of that time. */
static void compare(void *user, const AVFrame *f, double time)
{
	struct compared *c = user;
	struct picture *p;
	const uint8_t *rgb;

	if (c->frames++ % 10 || time < 0.02)
		return;
	assert_int_equal(picture_render(c->capture, (int64_t)(time * 1e9), 0,
					true, &p, NULL),
			 0);
	assert_int_equal(p->width, f->width);
	assert_int_equal(p->height, f->height);
	rgb = p->rgb;
	for (unsigned y = 0; y < p->height; y++)
		for (unsigned x = 0; x < p->width; x++, rgb += 3)
			assert_int_equal(pixel(f, x, y),
					 rgb[0] << 16 | rgb[1] << 8 | rgb[2]);
	picture_free(p);
}

static void lossless_is_exact(void **state)
{
	static const struct render_options cases[] = {
		{.lossless = true},
		{.lossless = true, .video = ENCODER_VP9},
		{.lossless = true, .format = ENCODER_WEBM},
	};
	int capture = record(film);

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct compared c = {.capture = capture};
		struct render_result result;
		int out = render_with(capture, &cases[i], &result);

		close_file(open_file(out, compare, &c));
		assert_int_equal(c.frames, result.frames);
		assert_true(c.frames > 250);
		close(out);
	}
	close(capture);
}

/* --- a rendering that goes on ------------------------------------------- */

/* The first `size` bytes of a partial file, one of them wrong at `wrong`. */
static int cut_partial(int whole, off_t size, off_t wrong)
{
	int fd = memfd_create("partial", 0);
	uint8_t *bytes = malloc((size_t)size + 1);

	assert_int_equal(pread(whole, bytes, (size_t)size, 0), size);
	if (wrong < size)
		bytes[wrong] ^= 1;
	assert_int_equal(write(fd, bytes, (size_t)size), size);
	free(bytes);
	return fd;
}

static void assert_same(const struct file *a, const struct file *b)
{
	assert_int_equal(a->count, b->count);
	assert_int_equal(a->streams[0].frames, b->streams[0].frames);
	for (int i = 0; i < a->streams[0].frames; i++)
		assert_true(a->streams[0].times[i] == b->streams[0].times[i]);
	assert_int_equal(a->streams[1].sound_end, b->streams[1].sound_end);
	/* Sound is coded with loss: no sample is far from the other. */
	for (int i = 0; i < a->streams[1].sound_end; i++)
		assert_true(fabs(a->streams[1].sound[i] -
				 b->streams[1].sound[i]) < 0.02);
}

struct planes {
	int frames;
	uint8_t luma[1024][6][10]; /* means of squares of 16 x 16 */
};

static void take_planes(void *user, const AVFrame *f, double time)
{
	struct planes *p = user;

	(void)time;
	for (int y = 0; y < HEIGHT / 16; y++)
		for (int x = 0; x < WIDTH / 16; x++) {
			unsigned sum = 0;

			for (int i = 0; i < 256; i++)
				sum += f->data[0][(y * 16 + i / 16) *
							  f->linesize[0] +
						  x * 16 + i % 16];
			p->luma[p->frames][y][x] = (uint8_t)(sum / 256);
		}
	p->frames++;
}

static void assert_same_picture(const struct planes *a, const struct planes *b)
{
	assert_int_equal(a->frames, b->frames);
	for (int i = 0; i < a->frames; i++)
		for (int k = 0; k < 60; k++)
			assert_true(abs(a->luma[i][k / 10][k % 10] -
					b->luma[i][k / 10][k % 10]) <= 6);
}

static void check_resumed(int capture, const struct render_options *options,
			  int partial, const struct file *whole,
			  const struct planes *pictures, uint64_t *kept)
{
	struct planes *own = calloc(1, sizeof(*own));
	struct render_options with = *options;
	struct render_result result;
	struct file *f;
	int out;

	with.partial_fd = partial;
	out = render_with(capture, &with, &result);
	f = open_file(out, take_planes, own);
	assert_int_equal(result.frames, whole->streams[0].frames);
	assert_same(whole, f);
	assert_same_picture(pictures, own);
	*kept = result.kept;
	close_file(f);
	close(out);
	close(partial);
	free(own);
}

static void goes_on_anywhere(int capture, const struct render_options *options,
			     int parts)
{
	struct planes *pictures = calloc(1, sizeof(*pictures));
	struct render_options with = *options;
	struct render_result result;
	struct file *whole;
	uint64_t kept = 0, before = 0;
	struct stat st;
	int out;

	with.partial_fd = memfd_create("partial", 0);
	out = render_with(capture, &with, &result);
	assert_int_equal(result.kept, 0);
	whole = open_file(out, take_planes, pictures);
	fstat(with.partial_fd, &st);
	for (int part = 0; part <= parts; part++) {
		off_t size = st.st_size * part / parts;

		check_resumed(capture, options,
			      cut_partial(with.partial_fd, size, size), whole,
			      pictures, &kept);
		assert_true(kept >= before);
		before = kept;
	}
	/* whole but not yet written to its file */
	assert_int_equal(kept, whole->streams[0].frames);
	/* half way there is a wrong bit */
	check_resumed(capture, options,
		      cut_partial(with.partial_fd, st.st_size, st.st_size / 2),
		      whole, pictures, &kept);
	assert_in_range(kept, 50, 250);
	close_file(whole);
	close(out);
	close(with.partial_fd);
	free(pictures);
}

static void goes_on_after_a_kill(void **state)
{
	struct render_options cases[] = {usual, usual, usual};
	int capture = record(film);

	(void)state;
	cases[1].format = ENCODER_WEBM;
	cases[2].video = ENCODER_AV1;
	cases[2].audio = ENCODER_OPUS;
	for (int i = 0; i < 3; i++)
		goes_on_anywhere(capture, &cases[i], i ? 4 : 11);
	close(capture);
}

static void short_film(struct recording *r)
{
	film(r);
	r->now += 40 * MS;
	fill(r, WIDTH, HEIGHT, 0);
}

/* What was encoded of something else is of no use. */
static void begins_anew(void **state)
{
	struct render_options options = usual, other = usual;
	int capture = record(film), second = record(short_film);
	struct render_result result;

	(void)state;
	options.partial_fd = memfd_create("partial", 0);
	close(render_with(capture, &options, &result));
	close(render_with(capture, &options, &result));
	assert_int_equal(result.kept, result.frames);
	other.partial_fd = options.partial_fd;
	other.crf = 30;
	close(render_with(capture, &other, &result));
	assert_int_equal(result.kept, 0);
	close(render_with(second, &other, &result));
	assert_int_equal(result.kept, 0);
	close(render_with(second, &other, &result));
	assert_int_equal(result.kept, result.frames);
	close(options.partial_fd);
	close(second);
	close(capture);
}

/* --- progress ----------------------------------------------------------- */

struct counter {
	int calls, stop_at;
	double last;
};

static int count_calls(void *user, double done)
{
	struct counter *c = user;

	assert_true(done >= c->last && done <= 1);
	c->last = done;
	return ++c->calls == c->stop_at;
}

static void can_be_cancelled_anywhere(void **state)
{
	int capture = record(film), out = memfd_create("video", 0);
	struct counter all = {0};
	struct render_result result;
	struct error error;

	(void)state;
	assert_int_equal(render(capture, out, &usual, count_calls, &all,
				&result, &error),
			 0);
	/* the last one is of the writing */
	assert_true(all.calls >= 3 && all.last >= 0.97);
	for (int i = 1; i <= all.calls; i++) {
		struct counter c = {.stop_at = i};

		assert_int_equal(render(capture, out, &usual, count_calls, &c,
					&result, &error),
				 -ECANCELED);
		assert_int_equal(c.calls, i);
	}
	close(out);
	close(capture);
}

/* --- monitors ----------------------------------------------------------- */

static void heads_of(struct recording *r, unsigned count,
		     const uint32_t heads[][4])
{
	struct buffer b = {0};

	buffer_put_le16(&b, (uint16_t)count);
	buffer_put_le16(&b, 4);
	for (unsigned i = 0; i < count; i++)
		put_numbers(&b, 7, i, 0, heads[i][2], heads[i][3], heads[i][0],
			    heads[i][1], 0);
	send(r, r->display, 317, &b);
}

/*
 * Two heads on one surface, red and green, and a second display, blue. At
 * 2 s the second head grows and turns white.
 */
static void three_monitors(struct recording *r)
{
	static const uint32_t heads[][4] = {{0, 0, 100, 60}, {100, 0, 80, 48}};
	static const uint32_t larger[][4] = {{0, 0, 100, 60},
					     {100, 0, 120, 60}};
	int first;

	r->display = first = open_channel(r, DISPLAY);
	screen_of(r, 180, 60);
	heads_of(r, 2, heads);
	fill_box(r, 0, 0, 100, 60, 0xff0000);
	fill_box(r, 100, 0, 80, 60, 0x00ff00);
	r->now = 500 * MS;
	r->display = open_numbered(r, DISPLAY, 1);
	screen_of(r, 64, 64);
	fill(r, 64, 64, 0x0000ff);
	r->now = 2000 * MS;
	r->display = first;
	screen_of(r, 220, 60);
	heads_of(r, 2, larger);
	fill_box(r, 0, 0, 100, 60, 0xff0000);
	fill_box(r, 100, 0, 120, 60, 0xffffff);
	r->now = 4000 * MS;
	fill_box(r, 100, 0, 120, 60, 0xffffff);
}

struct seen {
	uint32_t early, late; /* middle pixel before and after 2 s */
};

static void look(void *user, const AVFrame *f, double time)
{
	struct seen *seen = user;
	uint32_t *to = time < 2 ? &seen->early : &seen->late;

	*to = pixel(f, (unsigned)f->width / 2, (unsigned)f->height / 2);
}

static void shows_one_monitor(void **state)
{
	static const struct {
		unsigned monitor;
		uint32_t width, height, early, late;
	} cases[] = {{1, 100, 60, 0xff0000, 0xff0000},
		     {2, 120, 60, 0x00ff00, 0xffffff},
		     {3, 64, 64, 0x0000ff, 0x0000ff}};
	struct render_options options = {.lossless = true};
	int capture = record(three_monitors);
	struct render_result result;
	struct error error;
	int out;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct seen seen = {0};

		options.monitor = cases[i].monitor;
		out = render_with(capture, &options, &result);
		assert_int_equal(result.width, cases[i].width);
		assert_int_equal(result.height, cases[i].height);
		close_file(open_file(out, look, &seen));
		assert_int_equal(seen.early, cases[i].early);
		assert_int_equal(seen.late, cases[i].late);
		close(out);
	}
	options.monitor = 4;
	out = memfd_create("video", 0);
	assert_int_equal(
		render(capture, out, &options, NULL, NULL, &result, &error),
		-ENODATA);
	assert_string_equal(error.text, "the session never had a monitor 4");
	close(out);
	close(capture);
}

/* --- two sounds --------------------------------------------------------- */

/* The guest sounds from 1 s on, the viewer speaks from 3 s on, 16 kHz mono. */
static void conversation(struct recording *r)
{
	struct buffer b = {0};
	int microphone;

	r->display = open_channel(r, DISPLAY);
	r->playback = open_channel(r, PLAYBACK);
	microphone = open_channel(r, RECORD);
	screen_of(r, WIDTH, HEIGHT);
	r->now = 1000 * MS;
	sound(r);
	r->now = 3000 * MS;
	buffer_put_le32(&b, 1);
	buffer_put_le16(&b, 1);
	buffer_put_le32(&b, 16000);
	send(r, microphone, 101, &b);
	for (int packet = 0; packet < 50; packet++, r->now += 20 * MS) {
		buffer_put_le32(&b, 9000 + packet * 20);
		for (int i = 0; i < 320; i++)
			buffer_put_le16(&b,
					i / 16 & 1 ? 8000 : (uint16_t)-8000);
		send_in(r, microphone, CAPTURE_TO_GUEST, 101, &b);
	}
	r->now = 5000 * MS;
	fill(r, WIDTH, HEIGHT, 0);
}

static void assert_loud(const struct stream *s, double from, double to)
{
	for (double t = 0.1; t < 4.9; t += 0.1) {
		float peak = 0;
		bool inside = t > from + 0.05 && t < to - 0.05;

		if (!inside && t > from - 0.15 && t < to + 0.05)
			continue;
		for (int i = 0; i < 2400; i++)
			peak = fmaxf(peak,
				     fabsf(s->sound[(int)(t * 48000) + i]));
		assert_true(inside ? peak > 0.15f : peak < 0.02f);
	}
}

static void has_a_track_for_the_microphone(void **state)
{
	static const struct render_options cases[] = {{0},
						      {.format = ENCODER_WEBM}};
	int capture = record(conversation);

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct render_result result;
		int out = render_with(capture, &cases[i], &result);
		struct file *f = open_file(out, NULL, NULL);

		assert_int_equal(f->count, 3);
		assert_string_equal(f->streams[1].title, "guest");
		assert_string_equal(f->streams[2].title, "microphone");
		assert_loud(&f->streams[1], 1, 2);
		assert_loud(&f->streams[2], 3, 4);
		assert_int_equal(result.sound / MS, 1000);
		assert_in_range(result.microphone / MS, 990, 1010);
		close_file(f);
		close(out);
	}
	close(capture);
}

/* --- thumbnails --------------------------------------------------------- */

/* Ten seconds red, ten green, ten blue, of 320 x 200. */
static void three_colours(struct recording *r)
{
	r->display = open_channel(r, DISPLAY);
	screen_of(r, 320, 200);
	for (int i = 0; i < 3; i++) {
		fill(r, 320, 200, 0xff0000u >> 8 * i);
		r->now += 10000 * MS;
	}
	fill(r, 320, 200, 0x0000ff);
}

static uint8_t *read_jpeg(int fd, unsigned *width, unsigned *height)
{
	struct jpeg_decompress_struct jpeg = {0};
	struct jpeg_error_mgr errors;
	static uint8_t bytes[1 << 20];
	ssize_t size = pread(fd, bytes, sizeof(bytes), 0);
	uint8_t *rgb;

	jpeg.err = jpeg_std_error(&errors);
	jpeg_create_decompress(&jpeg);
	jpeg_mem_src(&jpeg, bytes, (unsigned long)size);
	jpeg_read_header(&jpeg, TRUE);
	jpeg_start_decompress(&jpeg);
	*width = jpeg.output_width;
	*height = jpeg.output_height;
	rgb = malloc((size_t)*width * *height * 3);
	while (jpeg.output_scanline < *height) {
		JSAMPROW row = rgb + (size_t)jpeg.output_scanline * *width * 3;

		jpeg_read_scanlines(&jpeg, &row, 1);
	}
	jpeg_finish_decompress(&jpeg);
	jpeg_destroy_decompress(&jpeg);
	return rgb;
}

static void assert_begins(const char *text, const char *with)
{
	assert_memory_equal(text, with, strlen(with));
}

static void makes_thumbnails(void **state)
{
	struct render_options options = {
		.thumbs_fd = memfd_create("thumbs", 0),
		.vtt_fd = memfd_create("vtt", 0),
	};
	int capture = record(three_colours);
	struct render_result result;
	unsigned width, height;
	char vtt[4096];
	uint8_t *rgb;
	ssize_t n;

	(void)state;
	close(render_with(capture, &options, &result));
	rgb = read_jpeg(options.thumbs_fd, &width, &height);
	assert_int_equal(width, 1600);
	assert_int_equal(height, 300);
	for (unsigned i = 0; i < 30; i++) {
		const uint8_t *p =
			rgb +
			((i / 10 * 100 + 50) * 1600 + i % 10 * 160 + 80) * 3;

		for (unsigned c = 0; c < 3; c++)
			assert_in_range(p[c], c == i / 10 ? 250 : 0,
					c == i / 10 ? 255 : 5);
	}
	n = pread(options.vtt_fd, vtt, sizeof(vtt) - 1, 0);
	vtt[n] = '\0';
	assert_begins(vtt, "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n"
			   "thumbs.jpg#xywh=0,0,160,100\n\n"
			   "00:00:01.000 --> 00:00:02.000\n"
			   "thumbs.jpg#xywh=160,0,160,100\n");
	assert_non_null(strstr(vtt, "\n\n00:00:29.000 --> 00:00:30.000\n"
				    "thumbs.jpg#xywh=1440,200,160,100\n"));
	free(rgb);
	close(options.thumbs_fd);
	close(options.vtt_fd);
	close(capture);
}

/* --- before the first picture -------------------------------------------- */

/* Nothing for 3 s, then white. */
static void late(struct recording *r)
{
	r->display = open_channel(r, DISPLAY);
	r->now = 3000 * MS;
	screen_of(r, 64, 64);
	fill(r, 64, 64, 0xffffff);
	r->now = 5000 * MS;
	fill(r, 64, 64, 0xffffff);
}

static void is_black_at_first(void **state)
{
	struct render_options options = {.lossless = true};
	struct seen seen = {.early = 1};
	int capture = record(late);
	struct render_result result;
	int out = render_with(capture, &options, &result);

	(void)state;
	close_file(open_file(out, look, &seen));
	assert_int_equal(seen.early, 0);
	assert_int_equal(seen.late, 0xffffff);
	close(out);
	close(capture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_format),
		cmocka_unit_test(every_preset),
		cmocka_unit_test(refuses),
		cmocka_unit_test(lossless_is_exact),
		cmocka_unit_test(goes_on_after_a_kill),
		cmocka_unit_test(begins_anew),
		cmocka_unit_test(can_be_cancelled_anywhere),
		cmocka_unit_test(shows_one_monitor),
		cmocka_unit_test(has_a_track_for_the_microphone),
		cmocka_unit_test(makes_thumbnails),
		cmocka_unit_test(is_black_at_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
