/*
 * A capture made by hand, rendered: size, times, colours, sound, few frames
 * for a still screen, the same bytes each time, and a cut capture.
 */
#include "recorder/picture.h"
#include "recorder/render.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/render_capture.h"

/*
 * 0 s: 100 x 60, red. 2 s: green. 3 s: 161 x 90, blue. 4 s: a second of
 * sound. Ends at 20 s.
 */
static void play(struct recording *r)
{
	struct buffer b = {0};

	r->display = open_channel(r, DISPLAY);
	r->playback = open_channel(r, PLAYBACK);
	screen_of(r, 100, 60);
	fill(r, 100, 60, 0xff0000);
	r->now = 2000 * MS;
	fill(r, 100, 60, 0x00ff00);
	r->now = 3000 * MS;
	screen_of(r, 161, 90);
	fill(r, 161, 90, 0x0000ff);
	r->now = 4000 * MS;
	sound(r);
	r->now = 20000 * MS;
	put_numbers(&b, 3, 1, 2, 3);
	send(r, r->display, 4, &b);
}

static int make_capture(void)
{
	return record(play);
}

static int render_it(int capture, struct render_result *result)
{
	struct render_options options = {0};
	struct error error = {0};
	int out = memfd_create("video", 0);
	int r = render(capture, out, &options, NULL, NULL, result, &error);

	assert_string_equal(error.text, "");
	assert_int_equal(r, 0);
	return out;
}

/* What a player finds in the file. */
struct watched {
	int frames, keys;
	double last;             /* time of the last frame */
	int y[32], u[32], v[32]; /* middle pixel at each second */
	double loud_from, loud_to;
};

static void watch_frame(struct watched *w, const AVFrame *f, double time)
{
	int x = f->width / 2, y = f->height / 2;

	w->frames++;
	w->keys += f->key_frame;
	w->last = time;
	for (int i = (int)(time + 0.5); i < 32; i++) {
		w->y[i] = f->data[0][y * f->linesize[0] + x];
		w->u[i] = f->data[1][y / 2 * f->linesize[1] + x / 2];
		w->v[i] = f->data[2][y / 2 * f->linesize[2] + x / 2];
	}
}

static void hear_frame(struct watched *w, const AVFrame *f, double time)
{
	const float *left = (const float *)f->data[0];

	for (int i = 0; i < f->nb_samples; i++)
		if (left[i] > 0.1f || left[i] < -0.1f) {
			w->loud_to = time + i / 48000.0;
			if (w->loud_from < 0)
				w->loud_from = w->loud_to;
		}
}

static void drain(struct watched *w, AVCodecContext *codec, AVRational base)
{
	AVFrame *frame = av_frame_alloc();

	while (!avcodec_receive_frame(codec, frame)) {
		double time = frame->pts * av_q2d(base);

		if (codec->codec_type == AVMEDIA_TYPE_VIDEO)
			watch_frame(w, frame, time);
		else
			hear_frame(w, frame, time);
		av_frame_unref(frame);
	}
	av_frame_free(&frame);
}

static void watch(int fd, struct watched *w)
{
	AVFormatContext *file = NULL;
	AVCodecContext *codecs[2] = {NULL};
	AVPacket *packet = av_packet_alloc();
	char path[64];

	*w = (struct watched){.loud_from = -1};
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(avformat_open_input(&file, path, NULL, NULL), 0);
	assert_true(avformat_find_stream_info(file, NULL) >= 0);
	assert_in_range(file->nb_streams, 1, 2);
	for (unsigned i = 0; i < file->nb_streams; i++) {
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
		drain(w, codecs[i], file->streams[i]->time_base);
	}
	for (unsigned i = 0; i < file->nb_streams; i++) {
		avcodec_send_packet(codecs[i], NULL);
		drain(w, codecs[i], file->streams[i]->time_base);
		avcodec_free_context(&codecs[i]);
	}
	av_packet_free(&packet);
	avformat_close_input(&file);
}

static void assert_colour(const struct watched *w, int second, int y, int u,
			  int v)
{
	assert_in_range(w->y[second], y - 4, y + 4);
	assert_in_range(w->u[second], u - 4, u + 4);
	assert_in_range(w->v[second], v - 4, v + 4);
}

static void renders_picture_and_sound(void **state)
{
	int capture = make_capture(), out;
	struct render_result result;
	struct watched w;

	(void)state;
	out = render_it(capture, &result);
	assert_int_equal(result.width, 162);
	assert_int_equal(result.height, 90);
	assert_int_equal(result.duration / MS, 20000);
	assert_int_equal(result.sound / MS, 1000);
	assert_int_equal(result.damaged + result.missing + result.undrawn, 0);
	assert_true(result.complete);
	watch(out, &w);
	assert_int_equal(w.frames, result.frames);
	assert_in_range(w.frames, 5, 12);
	assert_true(w.last > 19.9 && w.last < 20.1);
	/* BT.709, limited range */
	assert_colour(&w, 1, 63, 102, 240);
	assert_colour(&w, 2, 173, 42, 26);
	assert_colour(&w, 15, 32, 240, 118);
	assert_true(w.loud_from > 3.9 && w.loud_from < 4.1);
	assert_true(w.loud_to > 4.9 && w.loud_to < 5.1);
	close(out);
	close(capture);
}

static void is_the_same_each_time(void **state)
{
	int capture = make_capture(), outs[2];
	struct render_result result;
	struct stat stats[2];
	void *bytes[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		outs[i] = render_it(capture, &result);
		fstat(outs[i], &stats[i]);
		bytes[i] = mmap(NULL, stats[i].st_size, PROT_READ, MAP_SHARED,
				outs[i], 0);
	}
	assert_int_equal(stats[0].st_size, stats[1].st_size);
	assert_memory_equal(bytes[0], bytes[1], stats[0].st_size);
	for (int i = 0; i < 2; i++) {
		munmap(bytes[i], stats[i].st_size);
		close(outs[i]);
	}
	close(capture);
}

/* A browser seeks in what it has not loaded: the index comes first. */
static void begins_with_the_index(void **state)
{
	int capture = make_capture(), out;
	struct render_result result;
	uint8_t head[64];

	(void)state;
	out = render_it(capture, &result);
	assert_int_equal(pread(out, head, sizeof(head), 0), sizeof(head));
	assert_memory_equal(head + 4, "ftyp", 4);
	assert_memory_equal(head + bytes_get_be32(head) + 4, "moov", 4);
	close(out);
	close(capture);
}

static void finishes_what_is_cut(void **state)
{
	int capture = make_capture(), out;
	struct render_result result;
	struct watched w;
	struct stat st;
	int whole = 0;

	(void)state;
	fstat(capture, &st);
	for (off_t size = st.st_size - 1; size > 0; size -= 97) {
		struct render_options options = {0};
		struct error error = {0};

		assert_int_equal(ftruncate(capture, size), 0);
		out = memfd_create("video", 0);
		if (render(capture, out, &options, NULL, NULL, &result, &error))
			assert_in_range(-error.code, 1, 200);
		else if (!whole++) {
			assert_false(result.complete);
			watch(out, &w);
			assert_colour(&w, 1, 63, 102, 240);
		}
		close(out);
	}
	assert_true(whole);
	close(capture);
}

static void takes_pictures(void **state)
{
	static const struct {
		int64_t at;
		uint32_t width;
		uint8_t rgb[3];
	} cases[] = {{1000 * MS, 100, {255, 0, 0}},
		     {2500 * (int64_t)MS, 100, {0, 255, 0}},
		     {PICTURE_AT_END, 161, {0, 0, 255}}};
	int capture = make_capture();
	struct error error;
	struct picture *p;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(picture_render(capture, cases[i].at, 0, true,
						&p, &error),
				 0);
		assert_int_equal(p->width, cases[i].width);
		assert_memory_equal(p->rgb, cases[i].rgb, 3);
		picture_free(p);
	}
	assert_int_equal(picture_render(capture, -1, 0, true, &p, &error),
			 -ENODATA);
	close(capture);
}

static int cancel(void *user, double done)
{
	assert_true(done >= 0 && done <= 1);
	return ++*(int *)user;
}

static void can_be_cancelled(void **state)
{
	int capture = make_capture(), out = memfd_create("video", 0);
	struct render_options options = {0};
	struct render_result result;
	struct error error;
	int calls = 0;

	(void)state;
	assert_int_equal(
		render(capture, out, &options, cancel, &calls, &result, &error),
		-ECANCELED);
	assert_int_equal(calls, 1);
	close(out);
	close(capture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(renders_picture_and_sound),
		cmocka_unit_test(is_the_same_each_time),
		cmocka_unit_test(begins_with_the_index),
		cmocka_unit_test(finishes_what_is_cut),
		cmocka_unit_test(takes_pictures),
		cmocka_unit_test(can_be_cancelled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
