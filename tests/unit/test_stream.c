/*
 * Video streams made by hand, of every codec: where frames go, how they are
 * clipped, scaled and turned over; streams that end, come again or change;
 * frames that are damaged, of other sizes, or have no beginning.
 */
#include "recorder/display.h"
#include "recorder/video_decoder.h"

#include <libavcodec/avcodec.h>
#include <libavutil/log.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#define WIDTH 192 /* of the surface */
#define HEIGHT 128
#define TOLERANCE 14 /* of a component */

/* Quarters of a frame: top left, top right, bottom left, bottom right. */
static const uint32_t colours[4] = {0xc02020, 0x20c020, 0x2020c0, 0xc0c0c0};

static struct image_cache *images;
static struct glz_window *window;
static struct display *display;

static int say(uint16_t type, struct buffer *b)
{
	struct error error = {0};
	int r = display_message(display, type, bytes_of(b->data, b->size),
				&error);

	assert_true(!r == !error.text[0]);
	buffer_free(b);
	return r;
}

static void numbers(struct buffer *b, int count, ...)
{
	va_list list;

	va_start(list, count);
	while (count--)
		buffer_put_le32(b, va_arg(list, uint32_t));
	va_end(list);
}

static void make_surface(uint32_t flags)
{
	struct buffer b = {0};

	numbers(&b, 5, 0, WIDTH, HEIGHT, SURFACE_32_XRGB, flags);
	assert_int_equal(say(DISPLAY_MESSAGE_surface_create, &b), 0);
	assert_int_equal(say(DISPLAY_MESSAGE_mark, &b), 0);
}

static int set_up(void **state)
{
	(void)state;
	av_log_set_level(AV_LOG_QUIET);
	assert_int_equal(image_cache_new(&images, IMAGE_CACHE_PIXELS, NULL), 0);
	assert_int_equal(glz_window_new(&window, NULL), 0);
	assert_int_equal(display_new(&display, images, window, NULL), 0);
	make_surface(1);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	display_free(display);
	image_cache_free(images);
	glz_window_free(window);
	return 0;
}

/* libx265 keeps some memory of each encoder. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libx265\n";
}

/* Encoders of libavcodec for each codec of SPICE. */
static AVCodecContext *encoder(unsigned codec, int width, int height)
{
	static const char *const names[] = {
		[VIDEO_CODEC_MJPEG] = "mjpeg",
		[VIDEO_CODEC_VP8] = "libvpx",
		[VIDEO_CODEC_H264] = "libx264",
		[VIDEO_CODEC_VP9] = "libvpx-vp9",
		[VIDEO_CODEC_H265] = "libx265",
	};
	const AVCodec *c = avcodec_find_encoder_by_name(names[codec]);
	AVCodecContext *e = avcodec_alloc_context3(c);

	assert_non_null(c);
	e->width = width;
	e->height = height;
	e->time_base = (AVRational){1, 25};
	e->gop_size = 1000;
	e->max_b_frames = 0;
	e->thread_count = 1;
	e->bit_rate = 2000000;
	e->pix_fmt = codec == VIDEO_CODEC_MJPEG ? AV_PIX_FMT_YUVJ420P
						: AV_PIX_FMT_YUV420P;
	av_opt_set(e->priv_data, "preset", "ultrafast", 0);
	av_opt_set(e->priv_data, "tune", "zerolatency", 0);
	av_opt_set(e->priv_data, "deadline", "realtime", 0);
	av_opt_set(e->priv_data, "lag-in-frames", "0", 0);
	av_opt_set(e->priv_data, "x265-params", "log-level=none", 0);
	e->global_quality = 2 * FF_QP2LAMBDA;
	e->flags |= codec == VIDEO_CODEC_MJPEG ? AV_CODEC_FLAG_QSCALE : 0;
	assert_int_equal(avcodec_open2(e, c, NULL), 0);
	return e;
}

/* `turn` moves the colours round. */
static AVFrame *picture(const AVCodecContext *e, int turn)
{
	AVFrame *f = av_frame_alloc();
	uint32_t *rgb = malloc(4 * (size_t)e->width * e->height);
	const uint8_t *planes[] = {(const uint8_t *)rgb};
	int strides[] = {e->width * 4};
	struct SwsContext *s = sws_getContext(
		e->width, e->height, AV_PIX_FMT_BGR0, e->width, e->height,
		e->pix_fmt, SWS_POINT | SWS_ACCURATE_RND, NULL, NULL, NULL);

	for (int y = 0; y < e->height; y++)
		for (int x = 0; x < e->width; x++)
			rgb[y * e->width + x] =
				colours[((y >= e->height / 2) * 2 +
					 (x >= e->width / 2) + turn) %
					4];
	f->width = e->width;
	f->height = e->height;
	f->format = e->pix_fmt;
	f->quality = e->global_quality;
	assert_int_equal(av_frame_get_buffer(f, 0), 0);
	sws_scale(s, planes, strides, 0, e->height, f->data, f->linesize);
	sws_freeContext(s);
	free(rgb);
	return f;
}

static void encode(AVCodecContext *e, int turn, struct buffer *out)
{
	AVPacket *packet = av_packet_alloc();
	AVFrame *f = picture(e, turn);
	static int64_t time;

	f->pts = time++;
	assert_int_equal(avcodec_send_frame(e, f), 0);
	assert_int_equal(avcodec_receive_packet(e, packet), 0);
	out->size = 0;
	buffer_put(out, packet->data, packet->size);
	av_packet_free(&packet);
	av_frame_free(&f);
}

struct rect {
	uint32_t left, top, right, bottom;
};

static void put_rect(struct buffer *b, struct rect r)
{
	numbers(b, 4, r.top, r.left, r.bottom, r.right);
}

static int create(uint32_t id, unsigned codec, struct rect dest, bool top_down,
		  int clips, struct rect clip)
{
	struct buffer b = {0};

	numbers(&b, 2, 0, id);
	buffer_put_u8(&b, top_down);
	buffer_put_u8(&b, (uint8_t)codec);
	numbers(&b, 6, 0, 0, 64, 48, 64, 48);
	put_rect(&b, dest);
	buffer_put_u8(&b, clips >= 0);
	if (clips >= 0)
		buffer_put_le32(&b, (uint32_t)clips);
	if (clips > 0)
		put_rect(&b, clip);
	return say(DISPLAY_MESSAGE_stream_create, &b);
}

static int show(uint32_t id, const struct buffer *frame)
{
	struct buffer b = {0};

	numbers(&b, 3, id, 1000, (uint32_t)frame->size);
	buffer_put(&b, frame->data, frame->size);
	return say(DISPLAY_MESSAGE_stream_data, &b);
}

static int show_sized(uint32_t id, const struct buffer *frame, uint32_t width,
		      uint32_t height, struct rect dest)
{
	struct buffer b = {0};

	numbers(&b, 4, id, 1000, width, height);
	put_rect(&b, dest);
	buffer_put_le32(&b, (uint32_t)frame->size);
	buffer_put(&b, frame->data, frame->size);
	return say(DISPLAY_MESSAGE_stream_data_sized, &b);
}

static uint32_t at(uint32_t x, uint32_t y)
{
	return surface_row(display->surfaces[0], y)[x] & 0xffffff;
}

static bool near(uint32_t a, uint32_t b)
{
	for (unsigned shift = 0; shift < 24; shift += 8)
		if (abs((int)(a >> shift & 255) - (int)(b >> shift & 255)) >
		    TOLERANCE)
			return false;
	return true;
}

/* A frame with that turn fills the rectangle. */
static bool is_shown(struct rect r, int turn)
{
	uint32_t w = r.right - r.left, h = r.bottom - r.top;

	for (uint32_t i = 0; i < 4; i++)
		if (!near(at(r.left + w / 4 + i % 2 * w / 2,
			     r.top + h / 4 + i / 2 * h / 2),
			  colours[(i + turn) % 4]))
			return false;
	return true;
}

static void blank(void)
{
	struct surface *s = display->surfaces[0];

	for (uint32_t y = 0; y < HEIGHT; y++)
		memset(surface_row(s, y), 0, WIDTH * 4);
}

static const struct rect whole = {32, 16, 96, 64};
static const struct rect none;

static void shows(unsigned codec)
{
	AVCodecContext *e = encoder(codec, 64, 48);
	struct buffer frame = {0};

	assert_int_equal(create(5, codec, whole, true, -1, none), 0);
	for (int turn = 0; turn < 9; turn++) {
		encode(e, turn, &frame);
		assert_int_equal(show(5, &frame), 0);
		assert_true(is_shown(whole, turn));
	}
	/* Nothing beside it. */
	assert_int_equal(at(31, 40), 0);
	assert_int_equal(at(96, 40), 0);
	assert_int_equal(at(64, 15), 0);
	assert_int_equal(at(64, 64), 0);
	avcodec_free_context(&e);
	buffer_free(&frame);
}

static void every_codec(void **state)
{
	for (unsigned codec = VIDEO_CODEC_MJPEG; codec <= VIDEO_CODEC_H265;
	     codec++) {
		shows(codec);
		tear_down(state);
		set_up(state);
	}
	assert_int_equal(create(1, 6, whole, true, -1, none), -ENOTSUP);
	assert_int_equal(create(1, 0, whole, true, -1, none), -ENOTSUP);
}

static void turned_over_and_scaled(void **state)
{
	static const struct rect large = {0, 0, 192, 128},
				 small = {8, 8, 40, 20};
	AVCodecContext *e = encoder(VIDEO_CODEC_MJPEG, 64, 48);
	struct buffer frame = {0};

	(void)state;
	encode(e, 0, &frame);
	assert_int_equal(create(0, VIDEO_CODEC_MJPEG, whole, false, -1, none),
			 0);
	assert_int_equal(show(0, &frame), 0);
	assert_true(near(at(40, 20), colours[2]));
	assert_true(near(at(90, 60), colours[1]));
	assert_int_equal(create(1, VIDEO_CODEC_MJPEG, large, true, -1, none),
			 0);
	assert_int_equal(show(1, &frame), 0);
	assert_true(is_shown(large, 0));
	assert_int_equal(create(2, VIDEO_CODEC_MJPEG, small, true, -1, none),
			 0);
	blank();
	assert_int_equal(show(2, &frame), 0);
	assert_true(is_shown(small, 0));
	assert_int_equal(at(40, 10), 0);
	/* A place that is partly or all beside the surface. */
	assert_int_equal(create(3, VIDEO_CODEC_MJPEG,
				(struct rect){160, 100, 224, 148}, true, -1,
				none),
			 0);
	assert_int_equal(show(3, &frame), 0);
	assert_true(near(at(180, 110), colours[0]));
	assert_int_equal(create(3, VIDEO_CODEC_MJPEG,
				(struct rect){500, 500, 564, 548}, true, -1,
				none),
			 0);
	show(3, &frame);
	avcodec_free_context(&e);
	buffer_free(&frame);
}

static int clip(uint32_t id, int count, struct rect r)
{
	struct buffer b = {0};

	buffer_put_le32(&b, id);
	buffer_put_u8(&b, count >= 0);
	if (count >= 0)
		buffer_put_le32(&b, (uint32_t)count);
	if (count > 0)
		put_rect(&b, r);
	return say(DISPLAY_MESSAGE_stream_clip, &b);
}

static void clips(void **state)
{
	static const struct rect left = {32, 16, 64, 64};
	AVCodecContext *e = encoder(VIDEO_CODEC_MJPEG, 64, 48);
	struct buffer frame = {0};

	(void)state;
	encode(e, 0, &frame);
	assert_int_equal(create(9, VIDEO_CODEC_MJPEG, whole, true, 1, left), 0);
	assert_int_equal(show(9, &frame), 0);
	assert_true(near(at(40, 20), colours[0]));
	assert_int_equal(at(90, 20), 0);
	assert_int_equal(clip(9, 0, none), 0); /* nothing at all */
	blank();
	assert_int_equal(show(9, &frame), 0);
	assert_int_equal(at(40, 20), 0);
	assert_int_equal(clip(9, -1, none), 0);
	assert_int_equal(show(9, &frame), 0);
	assert_true(is_shown(whole, 0));
	/* A clip that is damaged is left out; unknown streams are nothing. */
	assert_int_equal(clip(9, 1000, left), 0);
	assert_int_equal(show(9, &frame), -EBADMSG);
	assert_int_equal(clip(9, -1, none), 0);
	assert_int_equal(show(9, &frame), 0);
	assert_int_equal(clip(10, 1, left), 0);
	assert_int_equal(clip(64, 1, left), -EBADMSG);
	avcodec_free_context(&e);
	buffer_free(&frame);
}

/* A frame that needs no clip goes straight to its place. */
static void in_place_is_as_copied(void **state)
{
	AVCodecContext *e = encoder(VIDEO_CODEC_MJPEG, 64, 48);
	struct surface *s = display->surfaces[0];
	uint32_t copied[HEIGHT * WIDTH];
	struct buffer frame = {0};

	(void)state;
	encode(e, 1, &frame);
	assert_int_equal(create(1, VIDEO_CODEC_MJPEG, whole, true, 1, whole),
			 0);
	assert_int_equal(create(2, VIDEO_CODEC_MJPEG, whole, true, -1, none),
			 0);
	assert_int_equal(show(1, &frame), 0);
	memcpy(copied, s->pixels, sizeof(copied));
	blank();
	for (int i = 0; i < 2; i++) {
		pixman_region32_fini(&s->dirty);
		pixman_region32_init(&s->dirty);
		assert_int_equal(show(2, &frame), 0);
		assert_memory_equal(s->pixels, copied, sizeof(copied));
		assert_true(
			pixman_region32_contains_rectangle(
				&s->dirty, &(pixman_box32_t){32, 16, 96, 64}) ==
			PIXMAN_REGION_IN);
	}
	assert_true(is_shown(whole, 1));
	avcodec_free_context(&e);
	buffer_free(&frame);
}

static int destroy(uint32_t id)
{
	struct buffer b = {0};

	buffer_put_le32(&b, id);
	return say(DISPLAY_MESSAGE_stream_destroy, &b);
}

static void ends_in_the_middle(void **state)
{
	AVCodecContext *e = encoder(VIDEO_CODEC_VP8, 64, 48);
	struct buffer frame = {0}, nothing = {0};

	(void)state;
	encode(e, 0, &frame);
	assert_int_equal(create(7, VIDEO_CODEC_VP8, whole, true, -1, none), 0);
	assert_int_equal(show(7, &frame), 0);
	assert_int_equal(destroy(7), 0);
	encode(e, 1, &frame);
	assert_int_equal(show(7, &frame), 0);
	assert_true(is_shown(whole, 0)); /* and not the second */
	assert_int_equal(destroy(7), 0);
	assert_int_equal(destroy(64), -EBADMSG);
	assert_int_equal(show(64, &frame), 0);
	/* The id is used again, even without a destroy. */
	avcodec_free_context(&e);
	for (int i = 0; i < 2; i++) {
		unsigned codec = i ? VIDEO_CODEC_H264 : VIDEO_CODEC_MJPEG;

		e = encoder(codec, 64, 48);
		assert_int_equal(create(7, codec, whole, true, -1, none), 0);
		encode(e, 2 + i, &frame);
		assert_int_equal(show(7, &frame), 0);
		assert_true(is_shown(whole, 2 + i));
		avcodec_free_context(&e);
	}
	assert_int_equal(say(DISPLAY_MESSAGE_stream_destroy_all, &nothing), 0);
	blank();
	show(7, &frame);
	assert_int_equal(at(40, 20), 0);
	buffer_free(&frame);
}

static void sized(unsigned codec)
{
	static const struct rect other = {0, 70, 100, 120};
	AVCodecContext *e = encoder(codec, 64, 48);
	struct buffer frame = {0};

	assert_int_equal(create(1, codec, whole, true, -1, none), 0);
	encode(e, 0, &frame);
	assert_int_equal(show(1, &frame), 0);
	avcodec_free_context(&e);
	/* The server starts its encoder anew. */
	e = encoder(codec, 100, 50);
	encode(e, 1, &frame);
	assert_int_equal(show_sized(1, &frame, 100, 50, other), 0);
	assert_true(is_shown(other, 1));
	assert_true(is_shown(whole, 0));
	/* Without being told, it is scaled. */
	encode(e, 2, &frame);
	assert_int_equal(show(1, &frame), 0);
	assert_true(is_shown(whole, 2));
	avcodec_free_context(&e);
	e = encoder(codec, 64, 48);
	encode(e, 3, &frame);
	assert_int_equal(show(1, &frame), 0);
	assert_true(is_shown(whole, 3));
	avcodec_free_context(&e);
	assert_int_equal(destroy(1), 0);
	buffer_free(&frame);
}

static void frames_change_size(void **state)
{
	for (unsigned codec = VIDEO_CODEC_MJPEG; codec <= VIDEO_CODEC_H265;
	     codec++) {
		sized(codec);
		tear_down(state);
		set_up(state);
	}
}

/* The beginning is missing, then a frame is damaged; a key frame mends it. */
static void damaged(unsigned codec)
{
	AVCodecContext *e = encoder(codec, 64, 48);
	struct buffer frame = {0};

	assert_int_equal(create(1, codec, whole, true, -1, none), 0);
	encode(e, 0, &frame);
	for (int turn = 1; turn < 4; turn++) {
		encode(e, turn, &frame);
		show(1, &frame);
	}
	avcodec_free_context(&e);
	e = encoder(codec, 64, 48);
	encode(e, 1, &frame);
	assert_int_equal(show(1, &frame), 0);
	assert_true(is_shown(whole, 1));
	for (int i = 0; i < 6; i++) {
		encode(e, 2 + i, &frame);
		frame.size = i < 3 ? frame.size / 3 : frame.size;
		for (size_t k = frame.size / 3; k < frame.size / 2; k++)
			frame.data[k] = (uint8_t)(k * 7);
		show(1, &frame);
	}
	frame.size = 0;
	show(1, &frame);
	avcodec_free_context(&e);
	e = encoder(codec, 64, 48);
	encode(e, 2, &frame);
	assert_int_equal(show(1, &frame), 0);
	assert_true(is_shown(whole, 2));
	avcodec_free_context(&e);
	buffer_free(&frame);
}

static void goes_on_after_damage(void **state)
{
	for (unsigned codec = VIDEO_CODEC_MJPEG; codec <= VIDEO_CODEC_H265;
	     codec++) {
		damaged(codec);
		tear_down(state);
		set_up(state);
	}
}

static void messages_cut_short(void **state)
{
	struct buffer b = {0};

	(void)state;
	numbers(&b, 2, 0, 1);
	assert_int_equal(say(DISPLAY_MESSAGE_stream_create, &b), -EBADMSG);
	assert_int_equal(create(64, VIDEO_CODEC_MJPEG, whole, true, -1, none),
			 -EBADMSG);
	assert_int_equal(create(1, VIDEO_CODEC_MJPEG, whole, true, -1, none),
			 0);
	numbers(&b, 3, 1, 0, 100);
	assert_int_equal(say(DISPLAY_MESSAGE_stream_data, &b), -EBADMSG);
	numbers(&b, 3, 1, 0, 100);
	assert_int_equal(say(DISPLAY_MESSAGE_stream_data_sized, &b), -EBADMSG);
	assert_int_equal(say(DISPLAY_MESSAGE_stream_destroy, &b), -EBADMSG);
}

/* A streaming agent's display: a surface that holds one stream. */
static void streaming_mode(void **state)
{
	static const struct rect all = {0, 0, WIDTH, HEIGHT};
	AVCodecContext *e = encoder(VIDEO_CODEC_H265, WIDTH, HEIGHT);
	struct buffer frame = {0}, b = {0};
	pixman_box32_t part;

	(void)state;
	buffer_put_le32(&b, 0);
	assert_int_equal(say(DISPLAY_MESSAGE_surface_destroy, &b), 0);
	make_surface(1 | 2);
	assert_int_equal(create(0, VIDEO_CODEC_H265, all, true, -1, none), 0);
	encode(e, 1, &frame);
	assert_int_equal(show(0, &frame), 0);
	assert_true(is_shown(all, 1));
	assert_ptr_equal(display_visible(display, &part), display->surfaces[0]);
	/* The surface goes: frames have no place, the stream goes on. */
	buffer_put_le32(&b, 0);
	assert_int_equal(say(DISPLAY_MESSAGE_surface_destroy, &b), 0);
	encode(e, 2, &frame);
	assert_int_equal(show(0, &frame), -EBADMSG);
	make_surface(1 | 2);
	encode(e, 3, &frame);
	assert_int_equal(show(0, &frame), 0);
	assert_true(is_shown(all, 3));
	avcodec_free_context(&e);
	buffer_free(&frame);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(every_codec),
		CASE(turned_over_and_scaled),
		CASE(clips),
		CASE(in_place_is_as_copied),
		CASE(ends_in_the_middle),
		CASE(frames_change_size),
		CASE(goes_on_after_damage),
		CASE(messages_cut_short),
		CASE(streaming_mode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
