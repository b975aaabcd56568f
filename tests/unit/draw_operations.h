/*
 * Random but reproducible drawings, one maker an operation, for tests against
 * libspice-server.
 *
 * For inclusion by one test program each, as qxl_server.h.
 */
#ifndef TESTS_UNIT_DRAW_OPERATIONS_H
#define TESTS_UNIT_DRAW_OPERATIONS_H

#include "tests/unit/draw_random.h"

static inline struct command *random_fill(void)
{
	struct command *c = command_new(QXL_DRAW_FILL, random_box());
	QXLFill *fill = &c->drawable.u.fill;

	random_brush(c, &fill->brush, true);
	fill->rop_descriptor =
		random_rop(SPICE_ROPD_INVERS_BRUSH | SPICE_ROPD_INVERS_DEST |
			   SPICE_ROPD_INVERS_RES);
	random_mask(c, &fill->mask);
	return c;
}

static inline struct command *random_copy(void)
{
	struct command *c = command_new(
		pick(0, 1) ? QXL_DRAW_COPY : QXL_DRAW_BLEND, random_box());
	QXLCopy *copy = &c->drawable.u.copy;
	QXLImage *image = random_source(c, random_format());

	copy->src_bitmap = (uintptr_t)image;
	copy->src_area = random_part(image, &c->drawable.bbox, pick(0, 1));
	copy->scale_mode = pick(0, 1);
	copy->rop_descriptor =
		random_rop(SPICE_ROPD_INVERS_SRC | SPICE_ROPD_INVERS_DEST |
			   SPICE_ROPD_INVERS_RES);
	random_mask(c, &copy->mask);
	return c;
}

static inline struct command *random_opaque(void)
{
	struct command *c = command_new(QXL_DRAW_OPAQUE, random_box());
	QXLOpaque *opaque = &c->drawable.u.opaque;
	QXLImage *image = random_source(c, random_format());

	opaque->src_bitmap = (uintptr_t)image;
	opaque->src_area = random_part(image, &c->drawable.bbox, pick(0, 1));
	opaque->scale_mode = pick(0, 1);
	random_brush(c, &opaque->brush, true);
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
static inline uint8_t random_code(void)
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
static inline void keep_tile_inside(QXLBrush *brush, const QXLRect *box)
{
	QXLPoint *at = &brush->u.pattern.pos;

	if (brush->type != SPICE_BRUSH_TYPE_PATTERN)
		return;
	at->x = at->x < box->left ? at->x : box->left;
	at->y = at->y < box->top ? at->y : box->top;
}

static inline struct command *random_rop3(void)
{
	struct command *c = command_new(QXL_DRAW_ROP3, random_box());
	QXLRop3 *rop3 = &c->drawable.u.rop3;
	QXLImage *image = random_source(c, random_format());

	rop3->src_bitmap = (uintptr_t)image;
	rop3->src_area = random_part(image, &c->drawable.bbox, pick(0, 1));
	rop3->scale_mode = pick(0, 1);
	rop3->rop3 = random_code();
	random_brush(c, &rop3->brush, true);
	keep_tile_inside(&rop3->brush, &c->drawable.bbox);
	random_mask(c, &rop3->mask);
	return c;
}

static inline struct command *random_constant(void)
{
	static const uint8_t types[] = {QXL_DRAW_BLACKNESS, QXL_DRAW_WHITENESS,
					QXL_DRAW_INVERS};
	struct command *c = command_new(types[pick(0, 2)], random_box());

	random_mask(c, &c->drawable.u.blackness.mask);
	return c;
}

static inline struct command *random_transparent(void)
{
	struct command *c = command_new(QXL_DRAW_TRANSPARENT, random_box());
	QXLTransparent *t = &c->drawable.u.transparent;
	QXLImage *image = random_source(c, BITMAP_32BIT);
	uint32_t key = 0;

	t->src_bitmap = (uintptr_t)image;
	t->src_area = random_part(image, &c->drawable.bbox, pick(0, 1));
	if (image->descriptor.type == SPICE_IMAGE_TYPE_BITMAP)
		memcpy(&key, (uint8_t *)(uintptr_t)image->bitmap.data, 4);
	t->src_color = t->true_color = key & 0xffffff;
	return c;
}

static inline struct command *random_alpha_blend(void)
{
	struct command *c = command_new(QXL_DRAW_ALPHA_BLEND, random_box());
	QXLAlphaBlend *blend = &c->drawable.u.alpha_blend;
	QXLImage *image =
		random_source(c, pick(0, 1) ? BITMAP_RGBA : BITMAP_32BIT);

	blend->src_bitmap = (uintptr_t)image;
	blend->src_area = random_part(image, &c->drawable.bbox, pick(0, 1));
	blend->alpha_flags = pick(0, 3);
	blend->alpha = pick(0, 2) ? pick(0, 255) : 255;
	return c;
}

/* Over itself, most of the time. */
static inline struct command *random_copy_bits(void)
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

/* Room for data that stands behind one chunk header. */
struct chunked {
	uint8_t *data;
	uint32_t size, room;
};

static inline struct chunked chunk_new(struct command *c, uint32_t head,
				       uint32_t room)
{
	return (struct chunked){command_alloc(c, head + room), head,
				head + room};
}

static inline void put(struct chunked *chunk, const void *data, uint32_t size)
{
	if (size > chunk->room - chunk->size)
		abort();
	memcpy(chunk->data + chunk->size, data, size);
	chunk->size += size;
}

static inline void put_points(struct chunked *path, uint32_t flags,
			      uint32_t count, int spread)
{
	QXLPathSeg seg = {.flags = flags, .count = count};
	int x = pick(-50, WIDTH + 50), y = pick(-50, HEIGHT + 50);

	put(path, &seg, sizeof(seg));
	for (uint32_t i = 0; i < count; i++) {
		QXLPointFix p = {x * 16 + pick(-spread, spread),
				 y * 16 + pick(-spread, spread)};

		put(path, &p, sizeof(p));
	}
}

static inline QXLPHYSICAL random_path(struct command *c)
{
	struct chunked path = chunk_new(c, sizeof(QXLPath), 4096);
	QXLPath *head = (QXLPath *)path.data;

	for (int n = pick(1, 3); n > 0; n--) {
		uint32_t end = pick(0, 2) ? SPICE_PATH_END : 0;
		int spread = pick(0, 1) ? 4000 : 300;

		end |= end && pick(0, 1) ? SPICE_PATH_CLOSE : 0;
		if (pick(0, 2)) {
			put_points(&path, SPICE_PATH_BEGIN | end, pick(1, 9),
				   spread);
		} else {
			put_points(&path,
				   SPICE_PATH_BEGIN | SPICE_PATH_BEZIER | end,
				   1 + 3 * pick(1, 2), spread);
		}
	}
	head->data_size = head->chunk.data_size = path.size - sizeof(*head);
	return (uintptr_t)path.data;
}

static inline uint16_t random_fill_rop(void)
{
	return random_rop(SPICE_ROPD_INVERS_BRUSH | SPICE_ROPD_INVERS_DEST |
			  SPICE_ROPD_INVERS_RES);
}

static inline void random_style(struct command *c, QXLLineAttr *attr)
{
	QXLFIXED *style = command_alloc(c, 9 * sizeof(*style));

	attr->flags = SPICE_LINE_FLAGS_STYLED |
		      (pick(0, 1) ? SPICE_LINE_FLAGS_START_WITH_GAP : 0);
	attr->style_nseg = pick(1, 8);
	attr->style = (uintptr_t)style;
	for (int i = 0; i < attr->style_nseg; i++)
		style[i] = pick(0, 3) ? pick(9, 400) : 16 * pick(1, 6);
}

static inline struct command *random_stroke(void);

static inline struct command *random_dashes(void)
{
	struct command *c = random_stroke();

	random_style(c, &c->drawable.u.stroke.attr);
	return c;
}

static inline struct command *random_stroke(void)
{
	QXLRect all = {0, 0, HEIGHT, WIDTH};
	struct command *c =
		command_new(QXL_DRAW_STROKE, pick(0, 1) ? all : random_box());
	QXLStroke *stroke = &c->drawable.u.stroke;

	stroke->path = random_path(c);
	random_brush(c, &stroke->brush, false);
	stroke->fore_mode = random_fill_rop();
	return c;
}

static inline void put_glyph(struct chunked *string, int depth, int x, int y)
{
	QXLRasterGlyph glyph = {.render_pos = {x, y},
				.glyph_origin = {pick(-9, 9), pick(-9, 9)},
				.width = pick(1, 20),
				.height = pick(1, 20)};
	int size = (glyph.width * depth + 7) / 8 * glyph.height;

	put(string, &glyph, sizeof(glyph));
	while (size--) {
		uint8_t v = pick(0, 2) ? next_random() : 0;

		put(string, &v, 1);
	}
}

static inline QXLPHYSICAL random_string(struct command *c, const QXLRect *box)
{
	static const uint8_t flags[] = {SPICE_STRING_FLAGS_RASTER_A1,
					SPICE_STRING_FLAGS_RASTER_A4};
	int which = pick(0, 1), depth = which ? 4 : 1;
	struct chunked string = chunk_new(c, sizeof(QXLString), 8192);
	QXLString *head = (QXLString *)string.data;
	int x = box->left, y = box->top + pick(0, 30);

	head->flags = flags[which];
	head->length = pick(1, 12);
	for (int i = 0; i < head->length; i++) {
		put_glyph(&string, depth, x, y);
		x += pick(2, 20);
	}
	head->data_size = head->chunk.data_size = string.size - sizeof(*head);
	return (uintptr_t)string.data;
}

static inline struct command *random_text(void)
{
	struct command *c = command_new(QXL_DRAW_TEXT, random_box());
	QXLText *text = &c->drawable.u.text;

	text->str = random_string(c, &c->drawable.bbox);
	random_brush(c, &text->fore_brush, true);
	random_brush(c, &text->back_brush, true);
	text->fore_mode = SPICE_ROPD_OP_PUT;
	if (pick(0, 1)) {
		text->back_area = random_box();
		text->back_area.left = c->drawable.bbox.left + pick(-9, 9);
		text->back_area.right = text->back_area.left + pick(1, 80);
	}
	return c;
}

static inline QXLPHYSICAL random_transform(struct command *c)
{
	QXLTransform *t = command_alloc(c, sizeof(*t));
	int32_t m[6];

	for (int i = 0; i < 6; i++)
		m[i] = pick(-0x20000, 0x20000);
	m[2] = pick(-0x200000, 0x200000);
	m[5] = pick(-0x200000, 0x200000);
	memcpy(t, m, sizeof(*t));
	return (uintptr_t)t;
}

static inline uint32_t random_operator(void)
{
	static const uint8_t ends[][2] = {
		{0, 0x0d}, {0x10, 0x1b}, {0x20, 0x2b}, {0x30, 0x3e}};
	int i = pick(0, 3);

	return pick(0, 1) ? pick(0, 0x0d) : pick(ends[i][0], ends[i][1]);
}

static inline struct command *random_composite(void)
{
	struct command *c = command_new(QXL_DRAW_COMPOSITE, random_box());
	QXLComposite *composite = &c->drawable.u.composite;

	composite->src = (uintptr_t)random_source(c, pick(0, 1) ? BITMAP_RGBA
								: BITMAP_32BIT);
	if (pick(0, 1))
		composite->mask = (uintptr_t)random_source(
			c, pick(0, 2) ? BITMAP_RGBA : BITMAP_32BIT);
	if (!pick(0, 2))
		composite->src_transform = random_transform(c);
	if (composite->mask && !pick(0, 2))
		composite->mask_transform = random_transform(c);
	composite->src_origin.x = pick(-20, 20);
	composite->src_origin.y = pick(-20, 20);
	composite->mask_origin.x = pick(-20, 20);
	composite->mask_origin.y = pick(-20, 20);
	composite->flags = random_operator() | pick(0, 1) << 8 |
			   pick(0, 1) << 11 | pick(0, 3) << 14 |
			   pick(0, 3) << 16 | pick(0, 1) << 18;
	return c;
}

static inline void draw_some(struct command *(*make)(void), int count)
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

#endif
