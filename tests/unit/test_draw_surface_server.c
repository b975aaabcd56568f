/*
 * Drawing on surfaces that are not shown, of every format, against
 * libspice-server: after each drawing the decoder's surface must be the
 * server's own, bit by bit. Images, brushes and masks come from bitmaps and
 * from other surfaces.
 */
#include "tests/unit/draw_operations.h"

#define ON 1   /* the surface drawn on */
#define FROM 2 /* the one that is a source */

static _Alignas(16) uint8_t memory[3][WIDTH * HEIGHT * 4];

static int bytes_of_format(uint32_t format)
{
	return (format & 0x3f) / 8; /* the low bits are the depth */
}

static struct command *surface_command(uint32_t id, uint8_t type)
{
	struct command *c = command_new(0, (QXLRect){0});

	c->surface.release_info.id = (uintptr_t)c;
	c->surface.surface_id = id;
	c->surface.type = type;
	c->surface.u.surface_create.data = (uintptr_t)memory[id];
	return c;
}

static void create(uint32_t id, uint32_t format)
{
	struct command *c = surface_command(id, QXL_SURFACE_CMD_CREATE);
	QXLSurface *s = &c->surface.u.surface_create;

	memset(memory[id], 0, sizeof(memory[id]));
	s->format = format;
	s->width = WIDTH;
	s->height = HEIGHT;
	s->stride = WIDTH * bytes_of_format(format);
	command_put(c);
}

static void destroy(uint32_t id)
{
	command_put(surface_command(id, QXL_SURFACE_CMD_DESTROY));
}

static uint32_t server_pixel(uint32_t id, int bytes, int i)
{
	if (bytes == 4)
		return ((const uint32_t *)memory[id])[i];
	if (bytes == 2)
		return ((const uint16_t *)memory[id])[i];
	return memory[id][i];
}

/* Pixels that differ. */
static int surface_difference(uint32_t id)
{
	const struct surface *s;
	int bytes, n = 0;

	pthread_mutex_lock(&lock);
	s = decoder_display(decoder, 0)->surfaces[id];
	bytes = s ? bytes_of_format(s->format) : 0;
	for (int i = 0; s && i < WIDTH * HEIGHT; i++)
		n += s->pixels[i] != server_pixel(id, bytes, i);
	pthread_mutex_unlock(&lock);
	return s ? n : -1;
}

static void expect_same_surface(uint32_t id)
{
	QXLRect all = {0, 0, HEIGHT, WIDTH};
	int64_t end = now_ms() + PATIENCE * 1000;

	spice_qxl_update_area(&qxl, id, &all, NULL, 0, 0);
	while (surface_difference(id) && now_ms() < end)
		run_server();
	assert_int_equal(surface_difference(id), 0);
	assert_int_equal(decoder_trouble(decoder)->damaged, 0);
}

typedef struct command *maker(void);

static void draw_on(uint32_t id, maker *make, int count)
{
	for (int i = 0; i < count; i++) {
		struct command *c = make();

		if (!pick(0, 3))
			random_clip(c);
		c->drawable.surface_id = id;
		command_put(c);
		expect_same_surface(id);
	}
}

/* The other surface gets a picture, then everything is drawn on the first. */
static void draw_everything(uint32_t format, uint32_t from)
{
	bool bytes = bytes_of_format(format) == 1;

	create(ON, format);
	create(FROM, from);
	source_surface = 0;
	bitmaps_16 = bytes_of_format(format) != 4;
	draw_on(FROM, random_fill, 8);
	draw_on(FROM, random_alpha_blend, 8);
	source_surface = FROM;
	draw_on(ON, random_fill, 10);
	draw_on(ON, random_copy, 15);
	draw_on(ON, random_opaque, 10);
	if (!bytes)
		draw_on(ON, random_rop3, 10);
	draw_on(ON, random_constant, 8);
	draw_on(ON, random_transparent, 10);
	draw_on(ON, random_alpha_blend, 15);
	draw_on(ON, random_copy_bits, 8);
	draw_on(ON, random_stroke, 10);
	draw_on(ON, random_text, 10);
	draw_on(ON, random_composite, 15);
	destroy(FROM);
	destroy(ON);
}

/* Only what pixman draws may be from a surface of another depth. */
static void compose(uint32_t format, uint32_t from)
{
	create(ON, format);
	create(FROM, from);
	source_surface = 0;
	bitmaps_16 = false;
	draw_on(ON, random_fill, 8);
	draw_on(FROM, random_fill, 8);
	draw_on(FROM, random_composite, 8);
	source_surface = FROM;
	draw_on(ON, random_alpha_blend, 15);
	draw_on(ON, random_composite, 15);
	destroy(FROM);
	destroy(ON);
}

static void other_depths(void **state)
{
	static const uint32_t formats[] = {
		SPICE_SURFACE_FMT_32_xRGB, SPICE_SURFACE_FMT_32_ARGB,
		SPICE_SURFACE_FMT_16_565,  SPICE_SURFACE_FMT_16_555,
		SPICE_SURFACE_FMT_8_A,
	};

	(void)state;
	for (int i = 0; i < 5; i++)
		for (int k = 0; k < 5; k++)
			if (formats[i] % 64 != formats[k] % 64)
				compose(formats[i], formats[k]);
}

#define FORMATS(name, on, from) \
	static void name(void **state) \
	{ \
		(void)state; \
		draw_everything(SPICE_SURFACE_FMT_##on, \
				SPICE_SURFACE_FMT_##from); \
	}

FORMATS(xrgb, 32_xRGB, 32_xRGB)
FORMATS(xrgb_from_argb, 32_xRGB, 32_ARGB)
FORMATS(argb, 32_ARGB, 32_ARGB)
FORMATS(argb_from_xrgb, 32_ARGB, 32_xRGB)
FORMATS(x555, 16_555, 16_555)
FORMATS(x555_from_565, 16_555, 16_565)
FORMATS(x565, 16_565, 16_565)
FORMATS(x565_from_555, 16_565, 16_555)
FORMATS(alpha, 8_A, 8_A)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(xrgb),  cmocka_unit_test(xrgb_from_argb),
		cmocka_unit_test(argb),  cmocka_unit_test(argb_from_xrgb),
		cmocka_unit_test(x555),  cmocka_unit_test(x555_from_565),
		cmocka_unit_test(x565),  cmocka_unit_test(x565_from_555),
		cmocka_unit_test(alpha), cmocka_unit_test(other_depths),
	};

	return cmocka_run_group_tests(tests, server_set_up, server_tear_down);
}
