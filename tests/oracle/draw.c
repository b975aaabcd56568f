/*
 * draw SEED CAPTURE [verbose] [all]: a random but reproducible session of
 * libspice-server, recorded. The seed decides everything: compression, how many
 * displays, their sizes and formats, caches, and each drawing.
 *
 * The third opinion: where nothing is lossy, what our decoder shows is the
 * server's own picture, surface by surface. The first difference ends the
 * session, unless there is an "all".
 *
 * Exit status: 0 equal, 1 different, 2 it could not be done.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "recorder/display.h"
#include "tests/oracle/film.h"
#include "tests/oracle/bitmaps.h"
#include "tests/oracle/operations.h"
#include "tests/oracle/pointer.h"
#include "tests/oracle/viewer.h"

#define STEPS 50
#define PATIENCE 20 /* s, until a server that hangs is given up */

struct session {
	unsigned long seed;
	SpiceServer *server;
	struct viewer *viewer;
	struct device *devices[2];
	unsigned count;
	bool lossy, jpeg, lz4;
	const struct film_codec *film; /* NULL: no video */
	unsigned marks, drawn;
	bool verbose; /* says what it draws */
	bool all;     /* does not end at a difference */
};

static const struct {
	SpiceImageCompression value;
	const char *name;
} compressions[] = {
	{SPICE_IMAGE_COMPRESSION_OFF, "off"},
	{SPICE_IMAGE_COMPRESSION_QUIC, "quic"},
	{SPICE_IMAGE_COMPRESSION_LZ, "lz"},
	{SPICE_IMAGE_COMPRESSION_GLZ, "glz"},
	{SPICE_IMAGE_COMPRESSION_AUTO_LZ, "auto_lz"},
	{SPICE_IMAGE_COMPRESSION_AUTO_GLZ, "auto_glz"},
	{SPICE_IMAGE_COMPRESSION_LZ4, "lz4"},
};

static uint32_t primary_format(void)
{
	return chance(6) ? SPICE_SURFACE_FMT_16_555 : SPICE_SURFACE_FMT_32_xRGB;
}

/*
 * LZ4 has no form for alpha alone. What was drawn on as JPEG the server sends
 * anew as an image of the surface; of one of 565 or of alpha it can't make
 * one and aborts (spice_bitmap_from_surface_type).
 */
static uint32_t surface_format(const struct session *s)
{
	static const uint32_t formats[] = {
		SPICE_SURFACE_FMT_32_xRGB, SPICE_SURFACE_FMT_32_ARGB,
		SPICE_SURFACE_FMT_16_555,  SPICE_SURFACE_FMT_16_565,
		SPICE_SURFACE_FMT_8_A,
	};

	return chance(2) ? formats[pick(0, 1)]
			 : formats[pick(0, s->jpeg  ? 2
					   : s->lz4 ? 3
						    : 4)];
}

static int wan(bool on)
{
	return on ? SPICE_WAN_COMPRESSION_ALWAYS : SPICE_WAN_COMPRESSION_NEVER;
}

/* Every eighth seed has a film, each codec in turn. */
static void set_up(struct session *s, const char *capture)
{
	struct viewer_options options = {.capture = capture};
	int mode = (int)(s->seed % 7);
	bool jpeg = chance(4), zlib = chance(3);

	s->film = s->seed % 8 ? NULL : film_codec(s->seed / 8);
	s->jpeg = jpeg;
	s->lossy = jpeg || s->film;
	s->lz4 = compressions[mode].value == SPICE_IMAGE_COMPRESSION_LZ4;
	if (s->lossy)
		operations_let_looks_last();
	if (s->lz4)
		bitmaps_avoid_alpha_only();
	s->count = chance(3) ? 2 : 1;
	s->server = device_server_new();
	spice_server_set_image_compression(s->server, compressions[mode].value);
	spice_server_set_jpeg_compression(s->server, wan(jpeg));
	spice_server_set_zlib_glz_compression(s->server, wan(zlib));
	spice_server_set_streaming_video(s->server,
					 s->film ? SPICE_STREAM_VIDEO_ALL
						 : SPICE_STREAM_VIDEO_OFF);
	if (s->film)
		spice_server_set_video_codecs(s->server, s->film->name);
	for (unsigned i = 0; i < s->count; i++)
		s->devices[i] =
			s->film ? device_new(i, 640, 480,
					     SPICE_SURFACE_FMT_32_xRGB)
				: device_new(i, pick(90, 640), pick(90, 480),
					     primary_format());
	device_start();
	options.port = device_port();
	options.displays = s->count;
	options.codec = s->film ? s->film->cap : 0;
	options.cache = chance(2) ? 6000 : 1 << 22;
	options.window = chance(3) ? 1 << 17 : 1 << 22;
	s->viewer = viewer_new(&options);
	printf("seed %lu: %s%s%s, %u displays, cache %u, window %u%s%s\n",
	       s->seed, compressions[mode].name, jpeg ? ", jpeg" : "",
	       zlib ? ", zlib" : "", s->count, options.cache, options.window,
	       s->film ? ", " : "", s->film ? s->film->name : "");
}

/* A pixel that has not been there for a while; brushes are raw bits. */
static uint32_t mark_pixel(unsigned number)
{
	return 1 + number % 0x7ffe;
}

/* Draws a mark on each display and waits until it has come. */
static bool catch_up(struct session *s)
{
	time_t end = time(NULL) + PATIENCE;
	unsigned number = s->marks++;

	for (unsigned i = 0; i < s->count; i++)
		device_put(s->devices[i], operation_mark(mark_pixel(number)));
	for (unsigned i = 0; i < s->count; i++) {
		uint32_t wanted = mark_pixel(number), is = 0;

		while (!viewer_pixel(s->viewer, i, 0, 0, &is) ||
		       (is & 0xffffff) != wanted) {
			if (time(NULL) > end) {
				printf("differs display %u: a fill of pixel "
				       "(0, 0) with %#x did not come: it is "
				       "%#x; %s\n",
				       i, wanted, is,
				       viewer_trouble(s->viewer));
				return false;
			}
			device_run();
		}
	}
	return true;
}

static bool same_canvas(struct session *s, unsigned display,
			const struct canvas *canvas)
{
	struct viewer_difference d;

	device_update(s->devices[display], canvas);
	if (!viewer_differs(s->viewer, display, canvas, &d))
		return true;
	printf("differs display %u after %u drawings: surface %u (format %u), "
	       "pixel (%u, %u): ours is %#x, the server's %#x; %s\n",
	       display, s->drawn, canvas->id, canvas->format, d.x, d.y, d.ours,
	       d.servers, viewer_trouble(s->viewer));
	return false;
}

static bool same(struct session *s, bool all)
{
	for (unsigned i = 0; i < s->count; i++)
		for (unsigned k = 0; k < (all ? DEVICE_SURFACES : 1); k++) {
			const struct canvas *c = &s->devices[i]->canvases[k];

			if (c->alive && !same_canvas(s, i, c))
				return false;
		}
	return true;
}

static void change_primary(struct session *s, struct device *d)
{
	if (s->film || !chance(6))
		return;
	device_resize(d, (uint32_t)pick(90, 640), (uint32_t)pick(90, 480),
		      primary_format());
}

/* Monitors side by side on the primary. */
static void set_monitors(struct device *d)
{
	int n = pick(1, 3);
	unsigned done = d->monitors_done;
	uint32_t width = d->canvases[0].width / (uint32_t)n;
	QXLMonitorsConfig *m =
		calloc(1, sizeof(*m) + (size_t)n * sizeof(QXLHead));

	if (!m)
		abort();
	m->count = (uint16_t)n;
	m->max_allowed = 4;
	for (int i = 0; i < n; i++)
		m->heads[i] = (QXLHead){.id = (uint32_t)i,
					.width = width,
					.height = d->canvases[0].height,
					.x = (uint32_t)i * width};
	spice_qxl_monitors_config_async(&d->qxl, (uintptr_t)m, 0, 1);
	while (__atomic_load_n(&d->monitors_done, __ATOMIC_SEQ_CST) == done)
		device_run();
	free(m);
}

static struct canvas *any_canvas(struct device *d)
{
	struct canvas *c;

	if (chance(2))
		return &d->canvases[0];
	do
		c = &d->canvases[pick(0, DEVICE_SURFACES - 1)];
	while (!c->alive);
	return c;
}

/* What is not a drawing. */
static void do_other(struct session *s, struct device *d)
{
	struct canvas *c = any_canvas(d);

	switch (pick(0, 6)) {
	case 0:
	case 1:
		device_add_surface(d, (uint32_t)pick(8, 200),
				   (uint32_t)pick(8, 150), surface_format(s));
		break;
	case 2:
		if (c->id)
			device_drop_surface(d, c);
		break;
	case 3:
		change_primary(s, d);
		break;
	case 4:
		set_monitors(d);
		break;
	case 5:
		if (chance(5))
			spice_qxl_reset_image_cache(&d->qxl);
		break;
	default:
		pointer_any(d);
	}
}

static void step(struct session *s)
{
	struct device *d = s->devices[pick(0, (int)s->count - 1)];
	int n = pick(1, 6);

	if (chance(2))
		do_other(s, d);
	if (chance(2))
		pointer_any(d);
	for (int i = 0; i < n; i++, s->drawn++) {
		const struct canvas *canvas = any_canvas(d);
		struct command *c = operation_any(d, canvas);

		if (s->verbose)
			printf("drawing %u: type %u on surface %u.%u, %ux%u of "
			       "format %u\n",
			       s->drawn, c->drawable.type, d->qxl.id,
			       canvas->id, canvas->width, canvas->height,
			       canvas->format);
		device_put(d, c);
	}
}

static bool run(struct session *s)
{
	bool good = true;

	for (int i = 0; (good || s->all) && i < STEPS; i++) {
		step(s);
		if (!catch_up(s))
			return false;
		if (s->film && i == STEPS / 2)
			film_show(s->devices[0], s->viewer, 0);
		if (!s->lossy && chance(3))
			good &= same(s, chance(4));
	}
	if (good && !s->lossy)
		good = same(s, true);
	return good;
}

/* A server that goes with drawings left to do may draw them in any order. */
static void settle(struct session *s)
{
	for (unsigned i = 0; i < s->count; i++)
		for (unsigned k = 0; k < DEVICE_SURFACES; k++)
			if (s->devices[i]->canvases[k].alive)
				device_update(s->devices[i],
					      &s->devices[i]->canvases[k]);
}

int main(int argc, char **argv)
{
	struct session s = {0};
	bool good, whole;

	if (argc < 3) {
		fprintf(stderr, "usage: draw SEED CAPTURE [verbose] [all]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 3; i < argc; i++) {
		s.verbose |= !strcmp(argv[i], "verbose");
		s.all |= !strcmp(argv[i], "all");
	}
	s.seed = strtoul(argv[1], NULL, 10);
	random_start(s.seed);
	set_up(&s, argv[2]);
	good = run(&s);
	settle(&s);
	whole = viewer_free(s.viewer);
	device_server_free();
	bitmaps_free();
	pointer_free();
	return !whole ? 2 : !good;
}
