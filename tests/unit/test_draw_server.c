/*
 * Drawing operations against libspice-server: random but reproducible ones,
 * with clips, masks, brushes, raster operations and scaling; after each the
 * decoder's picture must be the server's own, pixel by pixel.
 */
#include "tests/unit/draw_random.h"

static struct command *random_fill(void)
{
	struct command *c = command_new(QXL_DRAW_FILL, random_box());
	QXLFill *fill = &c->drawable.u.fill;

	random_brush(c, &fill->brush);
	fill->rop_descriptor =
		random_rop(SPICE_ROPD_INVERS_BRUSH | SPICE_ROPD_INVERS_DEST |
			   SPICE_ROPD_INVERS_RES);
	random_mask(c, &fill->mask);
	return c;
}

static struct command *random_copy(void)
{
	struct command *c = command_new(
		pick(0, 1) ? QXL_DRAW_COPY : QXL_DRAW_BLEND, random_box());
	QXLCopy *copy = &c->drawable.u.copy;
	QXLImage *image = random_image(c, random_format());

	copy->src_bitmap = (uintptr_t)image;
	copy->src_area = random_part(image, &c->drawable.bbox, pick(0, 1));
	copy->scale_mode = pick(0, 1);
	copy->rop_descriptor =
		random_rop(SPICE_ROPD_INVERS_SRC | SPICE_ROPD_INVERS_DEST |
			   SPICE_ROPD_INVERS_RES);
	random_mask(c, &copy->mask);
	return c;
}

static struct command *random_opaque(void)
{
	struct command *c = command_new(QXL_DRAW_OPAQUE, random_box());
	QXLOpaque *opaque = &c->drawable.u.opaque;
	QXLImage *image = random_image(c, random_format());

	opaque->src_bitmap = (uintptr_t)image;
	opaque->src_area = random_part(image, &c->drawable.bbox, pick(0, 1));
	opaque->scale_mode = pick(0, 1);
	random_brush(c, &opaque->brush);
	opaque->rop_descriptor =
		random_rop(SPICE_ROPD_INVERS_BRUSH | SPICE_ROPD_INVERS_SRC |
			   SPICE_ROPD_INVERS_RES);
	random_mask(c, &opaque->mask);
	return c;
}

/*
 * A ternary code that needs all three operands. The server knows no others
 * (drivers use other operations for them) and gives up when it meets one.
 */
static uint8_t random_code(void)
{
	uint8_t c;

	do
		c = (uint8_t)next_random();
	while ((c >> 4) == (c & 0x0f) || (c >> 2 & 0x33) == (c & 0x33) ||
	       (c >> 1 & 0x55) == (c & 0x55));
	return c;
}

/*
 * Right of or below the box's corner the server reads a ternary operation's
 * tile from memory before it.
 */
static void keep_tile_inside(QXLBrush *brush, const QXLRect *box)
{
	QXLPoint *at = &brush->u.pattern.pos;

	if (brush->type != SPICE_BRUSH_TYPE_PATTERN)
		return;
	at->x = at->x < box->left ? at->x : box->left;
	at->y = at->y < box->top ? at->y : box->top;
}

static struct command *random_rop3(void)
{
	struct command *c = command_new(QXL_DRAW_ROP3, random_box());
	QXLRop3 *rop3 = &c->drawable.u.rop3;
	QXLImage *image = random_image(c, random_format());

	rop3->src_bitmap = (uintptr_t)image;
	rop3->src_area = random_part(image, &c->drawable.bbox, pick(0, 1));
	rop3->scale_mode = pick(0, 1);
	rop3->rop3 = random_code();
	random_brush(c, &rop3->brush);
	keep_tile_inside(&rop3->brush, &c->drawable.bbox);
	random_mask(c, &rop3->mask);
	return c;
}

static struct command *random_constant(void)
{
	static const uint8_t types[] = {QXL_DRAW_BLACKNESS, QXL_DRAW_WHITENESS,
					QXL_DRAW_INVERS};
	struct command *c = command_new(types[pick(0, 2)], random_box());

	random_mask(c, &c->drawable.u.blackness.mask);
	return c;
}

static struct command *random_transparent(void)
{
	struct command *c = command_new(QXL_DRAW_TRANSPARENT, random_box());
	QXLTransparent *t = &c->drawable.u.transparent;
	QXLImage *image = random_image(c, BITMAP_32BIT);
	uint32_t key;

	t->src_bitmap = (uintptr_t)image;
	t->src_area = random_part(image, &c->drawable.bbox, pick(0, 1));
	memcpy(&key, (uint8_t *)(uintptr_t)image->bitmap.data, 4);
	t->src_color = t->true_color = key & 0xffffff;
	return c;
}

static struct command *random_alpha_blend(void)
{
	struct command *c = command_new(QXL_DRAW_ALPHA_BLEND, random_box());
	QXLAlphaBlend *blend = &c->drawable.u.alpha_blend;
	QXLImage *image =
		random_image(c, pick(0, 1) ? BITMAP_RGBA : BITMAP_32BIT);

	blend->src_bitmap = (uintptr_t)image;
	blend->src_area = random_part(image, &c->drawable.bbox, pick(0, 1));
	blend->alpha = pick(0, 2) ? pick(0, 255) : 255;
	return c;
}

/* Over itself, most of the time. */
static struct command *random_copy_bits(void)
{
	QXLRect box = random_box();
	struct command *c;

	box.left = pick(20, WIDTH - 40);
	box.top = pick(20, HEIGHT - 40);
	box.right = box.left + pick(1, WIDTH - 20 - box.left);
	box.bottom = box.top + pick(1, HEIGHT - 20 - box.top);
	c = command_new(QXL_COPY_BITS, box);
	c->drawable.u.copy_bits.src_pos.x = box.left + pick(-20, 20);
	c->drawable.u.copy_bits.src_pos.y = box.top + pick(-20, 20);
	return c;
}

OPERATION(fill)
OPERATION(copy)
OPERATION(opaque)
OPERATION(rop3)
OPERATION(constant)
OPERATION(transparent)
OPERATION(alpha_blend)
OPERATION(copy_bits)

/* A primary of 16 bits, which some drivers still use. */
static void change_to_16_bits(void **state)
{
	QXLDevSurfaceCreate primary = {.width = WIDTH,
				       .height = HEIGHT,
				       .stride = WIDTH * 2,
				       .format = SPICE_SURFACE_FMT_16_555,
				       .mouse_mode = 1,
				       .mem = (uintptr_t)framebuffer};

	(void)state;
	spice_qxl_destroy_primary_surface(&qxl, 0);
	pixel_size = 2;
	memset(framebuffer, 0, sizeof(framebuffer));
	spice_qxl_create_primary_surface(&qxl, 0, &primary);
	draw_some(random_fill, 60);
	draw_some(random_copy, 60);
	draw_some(random_opaque, 60);
	draw_some(random_rop3, 60);
	draw_some(random_constant, 20);
	draw_some(random_copy_bits, 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fill),
		cmocka_unit_test(copy),
		cmocka_unit_test(opaque),
		cmocka_unit_test(rop3),
		cmocka_unit_test(constant),
		cmocka_unit_test(transparent),
		cmocka_unit_test(alpha_blend),
		cmocka_unit_test(copy_bits),
		cmocka_unit_test(change_to_16_bits),
	};

	return cmocka_run_group_tests(tests, server_set_up, server_tear_down);
}
