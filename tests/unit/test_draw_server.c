/*
 * Drawing operations against libspice-server: random but reproducible ones,
 * with clips, masks, brushes, raster operations and scaling; after each the
 * decoder's picture must be the server's own, pixel by pixel.
 */
#include "tests/unit/qxl_server.h"

#define IMAGE 48 /* most px of an image's side */

static int pick(int low, int high)
{
	return low + (int)(next_random() % (uint32_t)(high - low + 1));
}

/* Somewhere on the screen, now and then over its edge. */
static QXLRect random_box(void)
{
	int x = pick(-20, WIDTH - 20), y = pick(-20, HEIGHT - 20);

	return (QXLRect){y, x, y + pick(1, 90), x + pick(1, 90)};
}

static QXLImage *random_image(struct command *c, uint8_t format)
{
	QXLImage *image = command_bitmap(c, format, pick(1, IMAGE),
					 pick(1, IMAGE), pick(0, 1));
	QXLBitmap *b = &image->bitmap;
	uint8_t *data = (uint8_t *)(uintptr_t)b->data;
	int alpha = format == BITMAP_RGBA;

	for (uint32_t i = 0; i < b->stride * b->y; i++)
		data[i] = pick(0, 3) ? pick(0, 255) : 0xff;
	/* Premultiplied: no component is more than its alpha. */
	for (uint32_t i = 0; alpha && i + 3 < b->stride * b->y; i += 4)
		for (int k = 0; k < 3; k++)
			if (data[i + k] > data[i + 3])
				data[i + k] = data[i + 3];
	return image;
}

static uint8_t random_format(void)
{
	static const uint8_t formats[] = {BITMAP_32BIT, BITMAP_24BIT,
					  BITMAP_16BIT};

	return pixel_size == 2 ? BITMAP_16BIT : formats[pick(0, 2)];
}

/* Part of an image, as large as the box or (scaled) not. */
static QXLRect random_part(const QXLImage *image, QXLRect *box, bool scaled)
{
	int w = image->bitmap.x, h = image->bitmap.y;
	int x = pick(0, w - 1), y = pick(0, h - 1);
	QXLRect part = {y, x, pick(y + 1, h), pick(x + 1, w)};

	if (!scaled) {
		box->right = box->left + part.right - part.left;
		box->bottom = box->top + part.bottom - part.top;
	}
	return part;
}

static void random_clip(struct command *c)
{
	struct {
		QXLClipRects head;
		QXLRect rects[3];
	} __attribute__((packed)) *clip = command_alloc(c, sizeof(*clip));
	QXLRect box = c->drawable.bbox;
	int n = pick(1, 3), y = box.top;

	clip->head.num_rects = n;
	clip->head.chunk.data_size = n * sizeof(QXLRect);
	for (int i = 0; i < n; i++) {
		QXLRect r = {y, pick(box.left - 9, box.right - 1), 0, 0};

		r.bottom = r.top + pick(1, 30);
		r.right = r.left + pick(1, 60);
		y = r.bottom + pick(0, 9);
		clip->rects[i] = r;
	}
	c->drawable.clip.type = SPICE_CLIP_TYPE_RECTS;
	c->drawable.clip.data = (uintptr_t)clip;
}

static void random_mask(struct command *c, QXLQMask *mask)
{
	QXLImage *image;

	if (pick(0, 2))
		return;
	image = random_image(c, BITMAP_1BIT_BE);
	mask->flags = pick(0, 1) ? SPICE_MASK_FLAGS_INVERS : 0;
	mask->pos.x = pick(0, image->bitmap.x - 1);
	mask->pos.y = pick(0, image->bitmap.y - 1);
	mask->bitmap = (uintptr_t)image;
}

static void random_brush(struct command *c, QXLBrush *brush)
{
	if (pick(0, 1)) {
		brush->type = SPICE_BRUSH_TYPE_SOLID;
		brush->u.color = next_random() & 0xffffff;

	} else {
		brush->type = SPICE_BRUSH_TYPE_PATTERN;
		brush->u.pattern.pat =
			(uintptr_t)random_image(c, random_format());
		brush->u.pattern.pos.x = pick(-60, 60);
		brush->u.pattern.pos.y = pick(-60, 60);
	}
}

static uint16_t random_rop(uint16_t inversions)
{
	static const uint16_t operations[] = {
		SPICE_ROPD_OP_PUT,       SPICE_ROPD_OP_OR,
		SPICE_ROPD_OP_AND,       SPICE_ROPD_OP_XOR,
		SPICE_ROPD_OP_BLACKNESS, SPICE_ROPD_OP_WHITENESS,
		SPICE_ROPD_OP_INVERS};

	return operations[pick(0, 6)] | (next_random() & inversions);
}

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
	copy->src_area = random_part(image, &c->drawable.bbox,
				     pixel_size == 4 && pick(0, 1));
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
	opaque->src_area = random_part(image, &c->drawable.bbox,
				       pixel_size == 4 && pick(0, 1));
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

static struct command *random_rop3(void)
{
	struct command *c = command_new(QXL_DRAW_ROP3, random_box());
	QXLRop3 *rop3 = &c->drawable.u.rop3;
	QXLImage *image = random_image(c, random_format());

	rop3->src_bitmap = (uintptr_t)image;
	rop3->src_area = random_part(image, &c->drawable.bbox, false);
	rop3->scale_mode = pick(0, 1);
	rop3->rop3 = random_code();
	random_brush(c, &rop3->brush);
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

	box.left = box.left < 20 ? 20 : box.left;
	box.top = box.top < 20 ? 20 : box.top;
	box.right = box.left + pick(1, WIDTH - 20 - box.left);
	box.bottom = box.top + pick(1, HEIGHT - 20 - box.top);
	c = command_new(QXL_COPY_BITS, box);
	c->drawable.u.copy_bits.src_pos.x = box.left + pick(-20, 20);
	c->drawable.u.copy_bits.src_pos.y = box.top + pick(-20, 20);
	return c;
}

static void draw_some(struct command *(*make)(void), int count)
{
	expect_same(0);
	for (int i = 0; i < count; i++) {
		struct command *c = make();

		if (!pick(0, 3))
			random_clip(c);
		command_put(c);
		expect_same(0);
	}
}

#define OPERATION(name) \
	static void name(void **state) \
	{ \
		(void)state; \
		draw_some(random_##name, 60); \
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
