/* Sessions for golden captures: small, and each about one thing. */
#include "tests/golden/recipes.h"

#include <math.h>
#include <spice.h>
#include <spice/protocol.h>
#include <spice/vd_agent.h>
#include <stdlib.h>
#include <string.h>

#include "tests/oracle/bitmaps.h"
#include "tests/oracle/operations.h"
#include "tests/oracle/pointer.h"

#define WIDTH 128
#define HEIGHT 96
#define FRAMES 45
#define DRAWINGS 120

static struct device *devices[2];
static SpiceServer *server;

/* --- the server --------------------------------------------------------- */

static void take_key(SpiceKbdInstance *keyboard, uint8_t fragment)
{
	(void)keyboard;
	(void)fragment;
}

static uint8_t no_leds(SpiceKbdInstance *keyboard)
{
	(void)keyboard;
	return 0;
}

static void add_keyboard(void)
{
	static const SpiceKbdInterface interface = {
		.base = {.type = SPICE_INTERFACE_KEYBOARD,
			 .description = "golden",
			 .major_version = SPICE_INTERFACE_KEYBOARD_MAJOR,
			 .minor_version = SPICE_INTERFACE_KEYBOARD_MINOR},
		.push_scan_freg = take_key,
		.get_leds = no_leds};
	static SpiceKbdInstance keyboard = {.base.sif = &interface.base};

	if (spice_server_add_interface(server, &keyboard.base))
		abort();
}

static SpicePlaybackInstance loudspeaker;

static void add_loudspeaker(bool raw)
{
	static const SpicePlaybackInterface interface = {
		.base = {.type = SPICE_INTERFACE_PLAYBACK,
			 .description = "golden",
			 .major_version = SPICE_INTERFACE_PLAYBACK_MAJOR,
			 .minor_version = SPICE_INTERFACE_PLAYBACK_MINOR}};

	loudspeaker.base.sif = &interface.base;
	spice_server_set_playback_compression(server, !raw);
	if (spice_server_add_interface(server, &loudspeaker.base))
		abort();
	spice_server_set_playback_rate(&loudspeaker, 48000);
}

/* --- an agent that says what it can, and listens to nothing ------------- */

static bool agent_asked;

static int take_from_client(SpiceCharDeviceInstance *agent, const uint8_t *data,
			    int size)
{
	(void)data;
	agent_asked = true;
	spice_server_char_device_wakeup(agent);
	return size;
}

/* One announcement of capabilities, in the chunk of a virtio port. */
static int give_to_client(SpiceCharDeviceInstance *agent, uint8_t *data,
			  int size)
{
	static const uint32_t words[] = {
		VDP_CLIENT_PORT,
		28,
		VD_AGENT_PROTOCOL,
		VD_AGENT_ANNOUNCE_CAPABILITIES,
		0,
		0,
		8,
		0,
		1 << VD_AGENT_CAP_MONITORS_CONFIG |
			1 << VD_AGENT_CAP_CLIPBOARD_BY_DEMAND |
			1 << VD_AGENT_CAP_CLIPBOARD_SELECTION,
	};
	static int given;
	int n = (int)sizeof(words) - given;

	(void)agent;
	n = !agent_asked ? 0 : n < size ? n : size;
	memcpy(data, (const uint8_t *)words + given, (size_t)n);
	given += n;
	return n;
}

static void agent_state(SpiceCharDeviceInstance *agent, int connected)
{
	(void)agent;
	(void)connected;
}

static void add_agent(void)
{
	static const SpiceCharDeviceInterface interface = {
		.base = {.type = SPICE_INTERFACE_CHAR_DEVICE,
			 .description = "golden",
			 .major_version = SPICE_INTERFACE_CHAR_DEVICE_MAJOR,
			 .minor_version = SPICE_INTERFACE_CHAR_DEVICE_MINOR},
		.state = agent_state,
		.write = take_from_client,
		.read = give_to_client};
	static SpiceCharDeviceInstance agent = {.base.sif = &interface.base,
						.subtype = "vdagent"};

	if (spice_server_add_interface(server, &agent.base))
		abort();
}

static int wan(bool on)
{
	return on ? SPICE_WAN_COMPRESSION_ALWAYS : SPICE_WAN_COMPRESSION_NEVER;
}

void recipe_start(const struct recipe *r)
{
	server = device_server_new();
	spice_server_set_image_compression(server, r->images);
	spice_server_set_jpeg_compression(server, wan(r->jpeg));
	spice_server_set_zlib_glz_compression(server, wan(r->zlib));
	spice_server_set_streaming_video(server,
					 r->video ? SPICE_STREAM_VIDEO_ALL
						  : SPICE_STREAM_VIDEO_OFF);
	if (r->video && spice_server_set_video_codecs(server, r->video))
		abort();
	if (r->keys)
		add_keyboard();
	if (r->agent)
		add_agent();
	if (r->sound)
		add_loudspeaker(r->raw);
	for (unsigned i = 0; i < r->displays; i++)
		devices[i] =
			device_new(i, WIDTH, HEIGHT, SPICE_SURFACE_FMT_32_xRGB);
	device_start();
}

/* --- images ------------------------------------------------------------- */

static void copy(struct device *d, QXLImage *image, struct command *c, int x,
		 int y)
{
	QXLDrawable *drawable = &c->drawable;
	int w = (int)image->descriptor.width;
	int h = (int)image->descriptor.height;

	drawable->type = QXL_DRAW_COPY;
	drawable->effect = QXL_EFFECT_OPAQUE;
	for (int i = 0; i < 3; i++)
		drawable->surfaces_dest[i] = -1;
	drawable->bbox = (QXLRect){y, x, y + h, x + w};
	drawable->u.copy.src_bitmap = (uintptr_t)image;
	drawable->u.copy.src_area = (QXLRect){0, 0, h, w};
	drawable->u.copy.rop_descriptor = SPICE_ROPD_OP_PUT;
	device_put(d, c);
}

/* Every format of a bitmap, twice, side by side. */
static void every_image(void)
{
	static const uint8_t formats[] = {
		SPICE_BITMAP_FMT_32BIT,  SPICE_BITMAP_FMT_RGBA,
		SPICE_BITMAP_FMT_24BIT,  SPICE_BITMAP_FMT_16BIT,
		SPICE_BITMAP_FMT_8BIT,   SPICE_BITMAP_FMT_4BIT_BE,
		SPICE_BITMAP_FMT_1BIT_BE};

	for (int i = 0; i < 14; i++) {
		struct command *c = command_new(QXL_CMD_DRAW);
		QXLImage *image = bitmap_new(c, formats[i % 7], 30, 28);

		copy(devices[0], image, c, i % 4 * 32, i / 4 % 3 * 32);
		run_for(60);
	}
}

/* A soft picture, as a camera takes it. */
static void paint(QXLImage *image, int number)
{
	QXLBitmap *b = &image->bitmap;
	uint8_t *data = (uint8_t *)(uintptr_t)b->data;

	b->flags |= QXL_BITMAP_TOP_DOWN;
	for (uint32_t y = 0; y < b->y; y++)
		for (uint32_t x = 0; x < b->x; x++) {
			uint8_t *p = data + y * b->stride + 4 * x;
			uint32_t d = x * x + y * y;

			p[0] = (uint8_t)(40 + x + (uint32_t)number * 2);
			p[1] = (uint8_t)(d / 130 + (uint32_t)number % 64);
			p[2] = (uint8_t)(2 * y + x / 4);
			p[3] = (uint8_t)(255 - x / 2);
			for (int k = 0; k < 3; k++)
				p[k] = p[k] > p[3] ? p[3] : p[k];
		}
}

/* Soft pictures, without and with alpha; then the same again. */
static void photographs(void)
{
	for (int i = 0; i < 4; i++) {
		struct command *c = command_new(QXL_CMD_DRAW);
		QXLImage *image = bitmap_new(c,
					     i & 1 ? SPICE_BITMAP_FMT_RGBA
						   : SPICE_BITMAP_FMT_32BIT,
					     64, 48);

		paint(image, i * 9);
		copy(devices[0], image, c, i % 2 * 64, i / 2 * 48);
		run_for(60);
	}
}

/* Of a kind that was not drawn often. */
static struct command *rare_operation(struct device *d,
				      const struct canvas *canvas)
{
	static unsigned seen[256], most = 1;

	for (unsigned tries = 1;; tries++) {
		struct command *c = operation_any(d, canvas);

		if (seen[c->drawable.type] < most) {
			seen[c->drawable.type]++;
			return c;
		}
		command_free(c);
		most += tries % 200 == 0;
	}
}

/* Of every kind, on surfaces of several formats. */
static void drawings(void)
{
	static const uint32_t formats[] = {
		SPICE_SURFACE_FMT_32_ARGB, SPICE_SURFACE_FMT_16_565,
		SPICE_SURFACE_FMT_8_A, SPICE_SURFACE_FMT_16_555};
	struct device *d = devices[0];
	struct canvas *canvases[5] = {&d->canvases[0]};

	for (int i = 0; i < 4; i++)
		canvases[i + 1] = device_add_surface(d, 40, 30, formats[i]);
	for (int i = 0; i < DRAWINGS; i++) {
		device_put(d, rare_operation(
				      d, canvases[i % 9 < 5 ? 0 : i % 9 - 4]));
		run_for(30);
	}
	device_drop_surface(d, canvases[4]);
	run_for(100);
	device_update(d, canvases[0]);
}

/* Strokes, a third of them dashed, and texts. */
static struct command *any_line(struct device *d, uint8_t type)
{
	struct command *c = operation_any(d, &d->canvases[0]);

	while (c->drawable.type != type) {
		command_free(c);
		c = operation_any(d, &d->canvases[0]);
	}
	return c;
}

static void lines(void)
{
	for (int i = 0; i < 24; i++) {
		device_put(devices[0],
			   any_line(devices[0],
				    i % 3 ? QXL_DRAW_STROKE : QXL_DRAW_TEXT));
		run_for(30);
	}
	device_update(devices[0], &devices[0]->canvases[0]);
}

/* --- more than pictures ------------------------------------------------- */

static void film(void)
{
	for (int i = 0; i < FRAMES; i++) {
		struct command *c = command_new(QXL_CMD_DRAW);
		QXLImage *image = bitmap_new(c, SPICE_BITMAP_FMT_32BIT, 96, 96);

		paint(image, i);
		copy(devices[0], image, c, 8, 0);
		run_for(40);
	}
	/* A stream without frames ends after a second. */
	run_for(1400);
}

static void pointers(void)
{
	for (int i = 0; i < 40; i++) {
		pointer_any(devices[0]);
		run_for(20);
	}
}

/* 150 ms of two tones, a pause, and again. */
static void tones(void)
{
	uint32_t *frame, count;
	int at = 0;

	for (int run = 0; run < 2; run++) {
		spice_server_playback_start(&loudspeaker);
		for (int i = 0; i < 15; i++) {
			spice_server_playback_get_buffer(&loudspeaker, &frame,
							 &count);
			for (uint32_t k = 0; frame && k < count; k++, at++) {
				int l = (int)(8000 * sin(at * 0.0576));
				int r = (int)(8000 * sin(at * 0.1152));

				frame[k] = (uint16_t)l | (uint32_t)r << 16;
			}
			if (frame)
				spice_server_playback_put_samples(&loudspeaker,
								  frame);
			run_for(10);
		}
		spice_server_playback_stop(&loudspeaker);
		run_for(300);
	}
}

/* Volume is told before anything sounds. */
static void sound(void)
{
	uint16_t volume[2] = {0xffff, 0x8000};

	spice_server_playback_set_volume(&loudspeaker, 2, volume);
	spice_server_playback_set_mute(&loudspeaker, 0);
	run_for(50);
	tones();
}

static void set_heads(struct device *d, int count)
{
	unsigned done = d->monitors_done;
	QXLMonitorsConfig *m =
		calloc(1, sizeof(*m) + (size_t)count * sizeof(QXLHead));

	if (!m)
		abort();
	m->count = (uint16_t)count;
	m->max_allowed = 4;
	for (int i = 0; i < count; i++)
		m->heads[i] = (QXLHead){
			.id = (uint32_t)i,
			.width = d->canvases[0].width / (uint32_t)count,
			.height = d->canvases[0].height,
			.x = (uint32_t)i * d->canvases[0].width /
			     (uint32_t)count};
	spice_qxl_monitors_config_async(&d->qxl, (uintptr_t)m, 0, 1);
	while (__atomic_load_n(&d->monitors_done, __ATOMIC_SEQ_CST) == done)
		device_run();
	free(m);
}

static void heads(void)
{
	photographs();
	set_heads(devices[0], 2);
	run_for(100);
}

/* Two cards; pictures of one may look back to the other's. */
static void cards(void)
{
	for (int i = 0; i < 12; i++) {
		struct command *c = command_new(QXL_CMD_DRAW);
		QXLImage *image = bitmap_new(c, SPICE_BITMAP_FMT_32BIT, 40, 30);

		copy(devices[i & 1], image, c, i / 2 % 3 * 40, i / 6 * 40);
		run_for(40);
	}
}

static void resize(void)
{
	photographs();
	device_resize(devices[0], 96, 160, SPICE_SURFACE_FMT_32_xRGB);
	run_for(200);
	photographs();
	device_resize(devices[0], 160, 64, SPICE_SURFACE_FMT_16_555);
	run_for(200);
	photographs();
}

/* Few pixels are kept, and two displays share them. */
static void caches(void)
{
	for (int i = 0; i < 40; i++) {
		struct command *c = command_new(QXL_CMD_DRAW);

		copy(devices[i & 1],
		     bitmap_any(c, &devices[i & 1]->canvases[0]), c, i % 7 * 10,
		     i % 5 * 10);
		run_for(20);
	}
}

static void wait_for_client(void)
{
	run_for(2500);
}

#define GLZ SPICE_IMAGE_COMPRESSION_AUTO_GLZ
/* Main, display, cursor and inputs are always there. */
#define USUAL 4

const struct recipe recipes[] = {
	{.name = "bitmap",
	 .images = SPICE_IMAGE_COMPRESSION_OFF,
	 .displays = 1,
	 .channels = USUAL,
	 .run = every_image},
	{.name = "quic",
	 .images = SPICE_IMAGE_COMPRESSION_QUIC,
	 .displays = 1,
	 .channels = USUAL,
	 .run = every_image},
	{.name = "lz",
	 .images = SPICE_IMAGE_COMPRESSION_LZ,
	 .displays = 1,
	 .channels = USUAL,
	 .run = every_image},
	{.name = "glz",
	 .images = SPICE_IMAGE_COMPRESSION_GLZ,
	 .displays = 1,
	 .channels = USUAL,
	 .run = every_image},
	{.name = "zlib-glz",
	 .images = SPICE_IMAGE_COMPRESSION_GLZ,
	 .zlib = true,
	 .displays = 1,
	 .channels = USUAL,
	 .run = every_image},
	{.name = "lz4",
	 .images = SPICE_IMAGE_COMPRESSION_LZ4,
	 .displays = 1,
	 .channels = USUAL,
	 .run = every_image},
	{.name = "jpeg",
	 .images = GLZ,
	 .jpeg = true,
	 .displays = 1,
	 .channels = USUAL,
	 .run = photographs},
	{.name = "draw",
	 .images = GLZ,
	 .seed = 7,
	 .displays = 1,
	 .channels = USUAL - 1,
	 .cache = 1 << 20,
	 .run = drawings},
	{.name = "draw-more",
	 .images = GLZ,
	 .seed = 6,
	 .displays = 1,
	 .channels = USUAL - 1,
	 .cache = 1 << 20,
	 .run = drawings},
	{.name = "draw-lines",
	 .images = GLZ,
	 .seed = 3,
	 .displays = 1,
	 .channels = USUAL - 1,
	 .cache = 1 << 20,
	 .run = lines},
	{.name = "draw-jpeg",
	 .images = GLZ,
	 .jpeg = true,
	 .zlib = true,
	 .seed = 9,
	 .displays = 1,
	 .channels = USUAL - 1,
	 .cache = 1 << 20,
	 .run = drawings},
	{.name = "stream-mjpeg",
	 .images = GLZ,
	 .video = "spice:mjpeg",
	 .displays = 1,
	 .channels = USUAL,
	 .run = film},
	{.name = "stream-vp8",
	 .images = GLZ,
	 .video = "gstreamer:vp8",
	 .displays = 1,
	 .channels = USUAL,
	 .run = film},
	{.name = "stream-vp9",
	 .images = GLZ,
	 .video = "gstreamer:vp9",
	 .displays = 1,
	 .channels = USUAL,
	 .run = film},
	{.name = "stream-h264",
	 .images = GLZ,
	 .video = "gstreamer:h264",
	 .displays = 1,
	 .channels = USUAL - 1,
	 .codec = SPICE_DISPLAY_CAP_CODEC_H264,
	 .cache = 1 << 20,
	 .run = film},
	{.name = "cursor",
	 .images = GLZ,
	 .displays = 1,
	 .channels = USUAL,
	 .run = pointers},
	{.name = "sound-opus",
	 .images = GLZ,
	 .displays = 1,
	 .channels = USUAL + 1,
	 .sound = true,
	 .run = sound},
	{.name = "sound-raw",
	 .images = GLZ,
	 .displays = 1,
	 .channels = USUAL + 1,
	 .sound = true,
	 .raw = true,
	 .run = sound},
	{.name = "keys",
	 .images = GLZ,
	 .displays = 1,
	 .channels = USUAL,
	 .keys = true,
	 .run = wait_for_client},
	{.name = "agent",
	 .images = GLZ,
	 .displays = 1,
	 .channels = USUAL,
	 .agent = true,
	 .run = wait_for_client},
	{.name = "cache",
	 .images = SPICE_IMAGE_COMPRESSION_GLZ,
	 .displays = 2,
	 .channels = USUAL + 1,
	 .cache = 5000,
	 .run = caches},
	{.name = "heads",
	 .images = GLZ,
	 .displays = 1,
	 .channels = USUAL,
	 .run = heads},
	{.name = "cards",
	 .images = SPICE_IMAGE_COMPRESSION_GLZ,
	 .displays = 2,
	 .channels = USUAL + 2,
	 .run = cards},
	{.name = "resize",
	 .images = GLZ,
	 .displays = 1,
	 .channels = USUAL,
	 .run = resize},
	{.name = "reconnect",
	 .images = GLZ,
	 .displays = 1,
	 .channels = USUAL,
	 .run = photographs,
	 .again = every_image},
	{.name = NULL},
};
