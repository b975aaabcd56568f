/* Films; see film.h. */
#include "tests/oracle/film.h"

#include <spice/protocol.h>
#include <time.h>

#include "recorder/display.h"
#include "tests/oracle/bitmaps.h"

#define WIDTH 320
#define HEIGHT 240
#define FRAMES 15     /* wanted as a stream */
#define FRAMES_MAX 90 /* drawn */

const struct film_codec *film_codec(unsigned long n)
{
	static const struct film_codec codecs[] = {
		{"spice:mjpeg", SPICE_DISPLAY_CAP_CODEC_MJPEG},
		{"gstreamer:vp8", SPICE_DISPLAY_CAP_CODEC_VP8},
		{"gstreamer:h264", SPICE_DISPLAY_CAP_CODEC_H264},
		{"gstreamer:vp9", SPICE_DISPLAY_CAP_CODEC_VP9},
	};

	return &codecs[n % (sizeof(codecs) / sizeof(codecs[0]))];
}

/* Soft waves that move; what a server takes for a film. */
static void paint(uint8_t *data, uint32_t stride, int number)
{
	for (int y = 0; y < HEIGHT; y++)
		for (int x = 0; x < WIDTH; x++) {
			int d = (x - 160) * (x - 160) + (y - 120) * (y - 120);
			uint8_t *p = data + (uint32_t)y * stride + 4 * x;

			p[0] = (uint8_t)(64 + (x + number * 3) % 256 / 2);
			p[1] = (uint8_t)(d / 400 + number % 64);
			p[2] = (uint8_t)(y / 2 + (d >> 9 & 7));
		}
}

static void put_frame(struct device *device, int left, int top, int number)
{
	struct command *c = command_new(QXL_CMD_DRAW);
	QXLDrawable *d = &c->drawable;
	QXLImage *image = bitmap_new(c, SPICE_BITMAP_FMT_32BIT, WIDTH, HEIGHT);

	image->bitmap.flags |= QXL_BITMAP_TOP_DOWN;
	paint((uint8_t *)(uintptr_t)image->bitmap.data, image->bitmap.stride,
	      number);
	d->type = QXL_DRAW_COPY;
	d->effect = QXL_EFFECT_OPAQUE;
	d->surfaces_dest[0] = d->surfaces_dest[1] = d->surfaces_dest[2] = -1;
	d->bbox = (QXLRect){top, left, top + HEIGHT, left + WIDTH};
	d->u.copy.src_bitmap = (uintptr_t)image;
	d->u.copy.src_area = (QXLRect){0, 0, HEIGHT, WIDTH};
	d->u.copy.rop_descriptor = SPICE_ROPD_OP_PUT;
	device_put(device, c);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void run_for(int ms)
{
	for (int64_t end = now_ms() + ms; now_ms() < end;)
		device_run();
}

static uint64_t frames(struct viewer *viewer, unsigned display)
{
	return viewer_seen(viewer, display, DISPLAY_MESSAGE_stream_data) +
	       viewer_seen(viewer, display, DISPLAY_MESSAGE_stream_data_sized);
}

void film_show(struct device *device, struct viewer *viewer, unsigned display)
{
	uint64_t before = frames(viewer, display);
	int left = pick(1, 640 - WIDTH), top = pick(1, 480 - HEIGHT);

	for (int i = 0; i < FRAMES_MAX; i++) {
		put_frame(device, left, top, i);
		run_for(40);
		if (frames(viewer, display) >= before + FRAMES)
			break;
	}
	/* A stream without frames ends after a second. */
	run_for(1300);
}
