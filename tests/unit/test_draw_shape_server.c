/*
 * Strokes, text and compositions against libspice-server: random but
 * reproducible ones; after each the decoder's picture must be the server's
 * own, pixel by pixel.
 */
#include "tests/unit/draw_random.h"

/* Room for data that stands behind one chunk header. */
struct chunked {
	uint8_t *data;
	uint32_t size, room;
};

static struct chunked chunk_new(struct command *c, uint32_t head, uint32_t room)
{
	return (struct chunked){command_alloc(c, head + room), head,
				head + room};
}

static void put(struct chunked *chunk, const void *data, uint32_t size)
{
	if (size > chunk->room - chunk->size)
		abort();
	memcpy(chunk->data + chunk->size, data, size);
	chunk->size += size;
}

static void put_points(struct chunked *path, uint32_t flags, uint32_t count,
		       int spread)
{
	QXLPathSeg seg = {.flags = flags, .count = count};
	int x = pick(-50, WIDTH + 50), y = pick(-50, HEIGHT + 50);

	put(path, &seg, sizeof(seg));
	for (uint32_t i = 0; i < count; i++) {
		QXLPointFix p = {(x << 4) + pick(-spread, spread),
				 (y << 4) + pick(-spread, spread)};

		put(path, &p, sizeof(p));
	}
}

static QXLPHYSICAL random_path(struct command *c)
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

static uint16_t random_fill_rop(void)
{
	return random_rop(SPICE_ROPD_INVERS_BRUSH | SPICE_ROPD_INVERS_DEST |
			  SPICE_ROPD_INVERS_RES);
}

static struct command *random_stroke(void)
{
	QXLRect all = {0, 0, HEIGHT, WIDTH};
	struct command *c =
		command_new(QXL_DRAW_STROKE, pick(0, 1) ? all : random_box());
	QXLStroke *stroke = &c->drawable.u.stroke;

	stroke->path = random_path(c);
	random_brush(c, &stroke->brush);
	stroke->fore_mode = random_fill_rop();
	return c;
}

static void put_glyph(struct chunked *string, int depth, int x, int y)
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

static QXLPHYSICAL random_string(struct command *c, const QXLRect *box)
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

static struct command *random_text(void)
{
	struct command *c = command_new(QXL_DRAW_TEXT, random_box());
	QXLText *text = &c->drawable.u.text;

	text->str = random_string(c, &c->drawable.bbox);
	random_brush(c, &text->fore_brush);
	random_brush(c, &text->back_brush);
	text->fore_mode = SPICE_ROPD_OP_PUT;
	if (pick(0, 1)) {
		text->back_area = random_box();
		text->back_area.left = c->drawable.bbox.left + pick(-9, 9);
		text->back_area.right = text->back_area.left + pick(1, 80);
	}
	return c;
}

static QXLPHYSICAL random_transform(struct command *c)
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

static uint32_t random_operator(void)
{
	static const uint8_t ends[][2] = {
		{0, 0x0d}, {0x10, 0x1b}, {0x20, 0x2b}, {0x30, 0x3e}};
	int i = pick(0, 3);

	return pick(0, 1) ? pick(0, 0x0d) : pick(ends[i][0], ends[i][1]);
}

static struct command *random_composite(void)
{
	struct command *c = command_new(QXL_DRAW_COMPOSITE, random_box());
	QXLComposite *composite = &c->drawable.u.composite;

	composite->src = (uintptr_t)random_image(c, pick(0, 1) ? BITMAP_RGBA
							       : BITMAP_32BIT);
	if (pick(0, 1))
		composite->mask = (uintptr_t)random_image(
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

OPERATION(stroke)
OPERATION(text)
OPERATION(composite)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stroke),
		cmocka_unit_test(text),
		cmocka_unit_test(composite),
	};

	return cmocka_run_group_tests(tests, server_set_up, server_tear_down);
}
