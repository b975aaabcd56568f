/*
 * Video streams of libspice-server, each codec that it can encode here: while
 * a picture moves it comes as frames, near to the original; when it stands
 * still, the server's lossless copy must be exact. Frames of other sizes than
 * the stream's, and with more lines than BT.601 colours are meant for.
 */
#define WIDTH 720
#define HEIGHT 660
#include "tests/unit/qxl_server.h"

#include <math.h>

/* What glib keeps from its start is not what is looked at. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libglib-2.0\n";
}

/* Where the film is. */
static QXLRect place;

static int film_width(void)
{
	return place.right - place.left;
}

static int film_height(void)
{
	return place.bottom - place.top;
}

/* Soft waves that move; what a server takes for a film. */
static void draw_frame(uint8_t *data, uint32_t stride, int number)
{
	int width = film_width(), height = film_height();

	for (int y = 0; y < height; y++)
		for (int x = 0; x < width; x++) {
			uint8_t *p = data + y * stride + 4 * x;

			p[0] = (uint8_t)(64 + (x + number * 3) % 256 / 2);
			p[1] = (uint8_t)(128 + x * 60 / width);
			p[2] = (uint8_t)(255 - y * 200 / height);
		}
}

static void put_frame(int number)
{
	struct command *c = command_new(QXL_DRAW_COPY, place);
	QXLCopy *copy = &c->drawable.u.copy;
	QXLImage *image = command_bitmap(c, BITMAP_32BIT, film_width(),
					 film_height(), true);

	draw_frame((uint8_t *)(uintptr_t)image->bitmap.data,
		   image->bitmap.stride, number);
	c->drawable.effect = QXL_EFFECT_OPAQUE;
	copy->src_bitmap = (uintptr_t)image;
	copy->src_area = (QXLRect){0, 0, film_height(), film_width()};
	copy->rop_descriptor = SPICE_ROPD_OP_PUT;
	command_put(c);
}

static uint64_t seen(unsigned type)
{
	uint64_t n;

	pthread_mutex_lock(&lock);
	n = decoder_display(decoder, 0)->seen[type];
	pthread_mutex_unlock(&lock);
	return n;
}

static uint64_t frames_seen(void)
{
	return seen(DISPLAY_MESSAGE_stream_data) +
	       seen(DISPLAY_MESSAGE_stream_data_sized);
}

struct distance {
	double mean; /* difference of a component */
	double bias; /* green's or red's mean with its sign: they stand still */
};

/* Inside the film, of the decoder's picture to frame `number`. */
static struct distance distance_to(int number)
{
	static uint8_t original[HEIGHT * WIDTH * 4];
	int width = film_width(), height = film_height();
	double sum = 0, sums[3] = {0}, worst = 0;
	const struct surface *s;

	draw_frame(original, (uint32_t)width * 4, number);
	pthread_mutex_lock(&lock);
	s = decoder_display(decoder, 0)->surfaces[0];
	for (int y = 0; y < height; y++)
		for (int x = 0; x < width * 3; x++) {
			uint32_t v = surface_row(
				s, place.top + y)[place.left + x / 3];
			int k = x % 3;

			int off = (int)(v >> 8 * k & 255) -
				  original[(y * width + x / 3) * 4 + k];

			sum += abs(off);
			sums[k] += off;
		}
	pthread_mutex_unlock(&lock);
	for (int k = 1; k < 3; k++)
		worst = fabs(sums[k]) > fabs(worst) ? sums[k] : worst;
	return (struct distance){sum / (width * height * 3),
				 worst / (width * height)};
}

/* Runs the server for some time. */
static void run_for(int ms)
{
	for (int64_t end = now_ms() + ms; now_ms() < end;)
		run_server();
}

/* Shows a film until so many frames came; the distance to a late one. */
static struct distance show_film(uint64_t frames)
{
	struct distance best = {256, 256};
	int number = 0;

	for (; frames_seen() < frames && number < 80; number++) {
		put_frame(number);
		run_for(40);
	}
	for (int back = 1; back < 16 && back <= number; back++) {
		struct distance d = distance_to(number - back);

		best = d.mean < best.mean ? d : best;
	}
	return best;
}

static void start_film(const char *codecs, unsigned cap, int width, int height)
{
	place = (QXLRect){20, 30, 20 + height, 30 + width};
	disconnect_client();
	client_caps[3] = cap;
	if (spice_server_set_video_codecs(server, codecs))
		fail();
	connect_client();
	expect_same(0);
}

/*
 * Encoders are coarse, the more so the less time they have. With the colours
 * of another standard the mean is above 4 even for the finest of them.
 */
static void expect_like(struct distance d)
{
	print_message("# mean %.2f, bias %.2f\n", d.mean, d.bias);
	assert_true(d.mean < 6);
	assert_true(fabs(d.bias) < 4);
}

static void film(const char *codecs, unsigned cap, int width, int height)
{
	struct distance best;

	start_film(codecs, cap, width, height);
	best = show_film(10);
	if (!frames_seen()) {
		print_message("libspice-server has no encoder for %s here\n",
			      codecs);
		expect_same(0);
		skip();
	}
	expect_like(best);
	/* It stands still: the stream ends with a copy without loss. */
	expect_same(0);
}

#define MJPEG "spice:mjpeg", SPICE_DISPLAY_CAP_CODEC_MJPEG
#define VP8 "gstreamer:vp8", SPICE_DISPLAY_CAP_CODEC_VP8
#define VP9 "gstreamer:vp9", SPICE_DISPLAY_CAP_CODEC_VP9
#define H264 "gstreamer:h264", SPICE_DISPLAY_CAP_CODEC_H264

static void mjpeg(void **state)
{
	(void)state;
	film(MJPEG, 321, 243);
}

static void vp8(void **state)
{
	(void)state;
	film(VP8, 321, 243);
	film(VP8, 640, 600);
}

static void vp9(void **state)
{
	(void)state;
	film(VP9, 321, 243);
	film(VP9, 640, 600);
}

static void h264(void **state)
{
	(void)state;
	film(H264, 321, 243);
	film(H264, 640, 600);
}

/* A film that grows while it is shown keeps its stream. */
static void other_sizes(const char *codecs, unsigned cap)
{
	struct distance best;

	start_film(codecs, cap, 320, 240);
	show_film(6);
	if (!frames_seen())
		skip();
	place.left -= 10;
	place.bottom += 20;
	best = show_film(frames_seen() + 6);
	assert_true(seen(DISPLAY_MESSAGE_stream_data_sized) > 0);
	assert_int_equal(seen(DISPLAY_MESSAGE_stream_create), 1);
	expect_like(best);
	expect_same(0);
}

static void sized_mjpeg(void **state)
{
	(void)state;
	other_sizes(MJPEG);
}

static void sized_vp8(void **state)
{
	(void)state;
	other_sizes(VP8);
}

static void sized_h264(void **state)
{
	(void)state;
	other_sizes(H264);
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
		cmocka_unit_test(mjpeg),       cmocka_unit_test(vp8),
		cmocka_unit_test(vp9),         cmocka_unit_test(h264),
		cmocka_unit_test(sized_mjpeg), cmocka_unit_test(sized_vp8),
		cmocka_unit_test(sized_h264),
	};

	return cmocka_run_group_tests(tests, set_up, server_tear_down);
}
