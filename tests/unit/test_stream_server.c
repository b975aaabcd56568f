/*
 * Video streams of libspice-server, each codec that it can encode here: while
 * a picture moves it comes as frames, near to the original; when it stands
 * still, the server's lossless copy must be exact.
 */
#include "tests/unit/qxl_server.h"

#define VIDEO_WIDTH 320
#define VIDEO_HEIGHT 240
#define LEFT 100
#define TOP 60

/* Soft waves that move; what a server takes for a film. */
static void draw_frame(uint8_t *data, uint32_t stride, int number)
{
	for (int y = 0; y < VIDEO_HEIGHT; y++)
		for (int x = 0; x < VIDEO_WIDTH; x++) {
			int d = (x - 160) * (x - 160) + (y - 120) * (y - 120);
			uint8_t *p = data + y * stride + 4 * x;

			p[0] = (uint8_t)(64 + (x + number * 3) % 256 / 2);
			p[1] = (uint8_t)(d / 400 + number % 64);
			p[2] = (uint8_t)(y / 2 + (d >> 9 & 7));
		}
}

static void put_frame(int number)
{
	QXLRect box = {TOP, LEFT, TOP + VIDEO_HEIGHT, LEFT + VIDEO_WIDTH};
	struct command *c = command_new(QXL_DRAW_COPY, box);
	QXLCopy *copy = &c->drawable.u.copy;
	QXLImage *image = command_bitmap(c, BITMAP_32BIT, VIDEO_WIDTH,
					 VIDEO_HEIGHT, true);

	draw_frame((uint8_t *)(uintptr_t)image->bitmap.data,
		   image->bitmap.stride, number);
	c->drawable.effect = QXL_EFFECT_OPAQUE;
	copy->src_bitmap = (uintptr_t)image;
	copy->src_area = (QXLRect){0, 0, VIDEO_HEIGHT, VIDEO_WIDTH};
	copy->rop_descriptor = SPICE_ROPD_OP_PUT;
	command_put(c);
}

static uint64_t frames_seen(void)
{
	const struct display *d;
	uint64_t n;

	pthread_mutex_lock(&lock);
	d = decoder_display(decoder, 0);
	n = d->seen[DISPLAY_MESSAGE_stream_data] +
	    d->seen[DISPLAY_MESSAGE_stream_data_sized];
	pthread_mutex_unlock(&lock);
	return n;
}

/* Mean difference of a component inside the video, of the decoder's picture
 * to frame `number`. */
static double distance_to(int number)
{
	static uint8_t original[VIDEO_HEIGHT * VIDEO_WIDTH * 4];
	double sum = 0;
	const struct surface *s;

	draw_frame(original, VIDEO_WIDTH * 4, number);
	pthread_mutex_lock(&lock);
	s = decoder_display(decoder, 0)->surfaces[0];
	for (int y = 0; y < VIDEO_HEIGHT; y++)
		for (int x = 0; x < VIDEO_WIDTH * 3; x++) {
			uint32_t v = surface_row(s, TOP + y)[LEFT + x / 3];
			int k = x % 3;

			sum += abs((int)(v >> 8 * k & 255) -
				   original[(y * VIDEO_WIDTH + x / 3) * 4 + k]);
		}
	pthread_mutex_unlock(&lock);
	return sum / (VIDEO_WIDTH * VIDEO_HEIGHT * 3);
}

/* Runs the server for some time. */
static void run_for(int ms)
{
	for (int64_t end = now_ms() + ms; now_ms() < end;)
		run_server();
}

/* Shows a film until it is streamed; the best likeness to a late frame. */
static double show_film(int *frames)
{
	double best = 256;
	int number = 0;

	for (; frames_seen() < 15 && number < 80; number++) {
		put_frame(number);
		run_for(40);
	}
	for (int back = 1; back < 16 && back <= number; back++) {
		double d = distance_to(number - back);

		best = d < best ? d : best;
	}
	*frames = (int)frames_seen();
	return best;
}

static void film(const char *codecs, unsigned cap)
{
	int frames;
	double best;

	disconnect_client();
	client_caps[3] = cap;
	if (spice_server_set_video_codecs(server, codecs))
		fail();
	connect_client();
	expect_same(0);
	best = show_film(&frames);
	if (!frames) {
		print_message("libspice-server has no encoder for %s here\n",
			      codecs);
		expect_same(0);
		skip();
	}
	assert_true(best < 6);
	/* It stands still: the stream ends with a copy without loss. */
	expect_same(0);
}

static void mjpeg(void **state)
{
	(void)state;
	film("spice:mjpeg", SPICE_DISPLAY_CAP_CODEC_MJPEG);
}

static void vp8(void **state)
{
	(void)state;
	film("gstreamer:vp8", SPICE_DISPLAY_CAP_CODEC_VP8);
}

static void vp9(void **state)
{
	(void)state;
	film("gstreamer:vp9", SPICE_DISPLAY_CAP_CODEC_VP9);
}

static void h264(void **state)
{
	(void)state;
	film("gstreamer:h264", SPICE_DISPLAY_CAP_CODEC_H264);
}

static int set_up(void **state)
{
	int r = server_set_up(state);

	spice_server_set_streaming_video(server, SPICE_STREAM_VIDEO_ALL);
	return r;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mjpeg),
		cmocka_unit_test(vp8),
		cmocka_unit_test(vp9),
		cmocka_unit_test(h264),
	};

	return cmocka_run_group_tests(tests, set_up, server_tear_down);
}
