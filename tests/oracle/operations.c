/* Random drawings; see operations.h. */
#include "tests/oracle/operations.h"

#include <stdlib.h>
#include <string.h>

#include "tests/oracle/bitmaps.h"

#define INVERS_ALL \
	(SPICE_ROPD_INVERS_SRC | SPICE_ROPD_INVERS_BRUSH | \
	 SPICE_ROPD_INVERS_DEST | SPICE_ROPD_INVERS_RES)

#define MOST_DEPS 3 /* surfaces that one drawing can read */

/* What a drawing is made of while it is put together. */
struct sketch {
	struct device *device;
	const struct canvas *canvas;
	struct command *command;
	QXLDrawable *drawable;
	unsigned deps; /* surfaces that it reads */
};

/* Somewhere on the canvas, now and then over its edge. */
static QXLRect any_box(const struct canvas *c)
{
	int x = pick(-20, (int)c->width - 2), y = pick(-20, (int)c->height - 2);

	return (QXLRect){y, x, y + pick(1, 90), x + pick(1, 90)};
}

static QXLRect inner_box(const struct canvas *c)
{
	int x = pick(0, (int)c->width - 2), y = pick(0, (int)c->height - 2);
	int right = pick(x + 1, (int)c->width), most = x + 90;
	int bottom = pick(y + 1, (int)c->height), lowest = y + 90;

	return (QXLRect){y, x, bottom < lowest ? bottom : lowest,
			 right < most ? right : most};
}

/*
 * Drawn on each other as they are. What a pad byte holds is nobody's concern,
 * so it may not become somebody's alpha.
 */
static bool fits(uint32_t source, uint32_t target)
{
	return source == target || (source == SPICE_SURFACE_FMT_32_ARGB &&
				    target == SPICE_SURFACE_FMT_32_xRGB);
}

/* Another surface of the device, if there is one that will do. */
static const struct canvas *other_surface(const struct sketch *s)
{
	for (int i = 0; i < 6; i++) {
		const struct canvas *c =
			&s->device->canvases[pick(0, DEVICE_SURFACES - 1)];

		if (c->alive && c != s->canvas &&
		    fits(c->format, s->canvas->format))
			return c;
	}
	return NULL;
}

static void depend(struct sketch *s, const struct canvas *c)
{
	unsigned i = s->deps++;

	s->drawable->surfaces_dest[i] = (int32_t)c->id;
	s->drawable->surfaces_rects[i] =
		(QXLRect){0, 0, (int)c->height, (int)c->width};
}

/* A bitmap or a surface. */
static QXLImage *any_image(struct sketch *s)
{
	const struct canvas *other = chance(6) ? other_surface(s) : NULL;

	if (!other || s->deps == MOST_DEPS)
		return bitmap_any(s->command, s->canvas);
	depend(s, other);
	return bitmap_of_surface(s->command, other);
}

static bool looks_last;

void operations_let_looks_last(void)
{
	looks_last = true;
}

/* What is looked at through a transform. */
static QXLImage *any_transformed_image(struct sketch *s)
{
	QXLImage *image;

	do
		image = any_image(s);
	while (!looks_last &&
	       image->descriptor.type == SPICE_IMAGE_TYPE_BITMAP &&
	       image->descriptor.flags & QXL_IMAGE_CACHE);
	return image;
}

/* Part of an image, as large as the box or (scaled) not. */
static QXLRect any_part(const QXLImage *image, QXLRect *box, bool scaled)
{
	int w = (int)image->descriptor.width;
	int h = (int)image->descriptor.height;
	int x = pick(0, w - 1), y = pick(0, h - 1);
	QXLRect part = {y, x, pick(y + 1, h), pick(x + 1, w)};

	if (chance(3))
		part = (QXLRect){0, 0, h, w};
	if (!scaled) {
		box->right = box->left + part.right - part.left;
		box->bottom = box->top + part.bottom - part.top;
	}
	return part;
}

static void any_mask(struct sketch *s, QXLQMask *mask)
{
	QXLImage *image;

	if (!chance(4))
		return;
	image = bitmap_mask(s->command, pick(1, 80), pick(1, 80));
	mask->flags = chance(2) ? SPICE_MASK_FLAGS_INVERS : 0;
	mask->pos.x = pick(0, (int)image->bitmap.x - 1);
	mask->pos.y = pick(0, (int)image->bitmap.y - 1);
	mask->bitmap = (uintptr_t)image;
}

static void any_brush(struct sketch *s, QXLBrush *brush, bool none)
{
	if (none && chance(8)) {
		brush->type = SPICE_BRUSH_TYPE_NONE;
	} else if (chance(2) || s->canvas->format == SPICE_SURFACE_FMT_8_A) {
		brush->type = SPICE_BRUSH_TYPE_SOLID;
		brush->u.color = random_bits() & 0xffffff;
	} else {
		brush->type = SPICE_BRUSH_TYPE_PATTERN;
		brush->u.pattern.pat =
			(uintptr_t)(s->drawable->type == QXL_DRAW_TEXT
					    ? any_transformed_image(s)
					    : any_image(s));
		brush->u.pattern.pos.x = pick(-60, 60);
		brush->u.pattern.pos.y = pick(-60, 60);
	}
}

static uint16_t any_rop(uint16_t inversions)
{
	static const uint16_t operations[] = {
		SPICE_ROPD_OP_PUT,       SPICE_ROPD_OP_PUT,
		SPICE_ROPD_OP_OR,        SPICE_ROPD_OP_AND,
		SPICE_ROPD_OP_XOR,       SPICE_ROPD_OP_BLACKNESS,
		SPICE_ROPD_OP_WHITENESS, SPICE_ROPD_OP_INVERS};

	if (chance(3))
		return SPICE_ROPD_OP_PUT;
	return operations[pick(0, 7)] | (random_bits() & inversions);
}

static void fill(struct sketch *s)
{
	QXLFill *f = &s->drawable->u.fill;

	s->drawable->bbox = any_box(s->canvas);
	any_brush(s, &f->brush, true);
	f->rop_descriptor = any_rop(INVERS_ALL & ~SPICE_ROPD_INVERS_SRC);
	any_mask(s, &f->mask);
}

static void copy(struct sketch *s)
{
	QXLCopy *c = &s->drawable->u.copy;
	QXLImage *image = any_image(s);

	s->drawable->bbox = any_box(s->canvas);
	c->src_bitmap = (uintptr_t)image;
	c->src_area = any_part(image, &s->drawable->bbox, chance(3));
	c->scale_mode = (uint8_t)pick(0, 1);
	c->rop_descriptor = any_rop(INVERS_ALL & ~SPICE_ROPD_INVERS_BRUSH);
	any_mask(s, &c->mask);
	if (c->rop_descriptor == SPICE_ROPD_OP_PUT && !c->mask.bitmap)
		s->drawable->effect = QXL_EFFECT_OPAQUE;
}

static void opaque(struct sketch *s)
{
	QXLOpaque *o = &s->drawable->u.opaque;
	QXLImage *image = any_image(s);

	s->drawable->bbox = any_box(s->canvas);
	o->src_bitmap = (uintptr_t)image;
	o->src_area = any_part(image, &s->drawable->bbox, chance(3));
	o->scale_mode = (uint8_t)pick(0, 1);
	any_brush(s, &o->brush, false);
	o->rop_descriptor = any_rop(INVERS_ALL & ~SPICE_ROPD_INVERS_DEST);
	any_mask(s, &o->mask);
}

/* A ternary code that needs all three operands. */
static uint8_t any_code(void)
{
	uint8_t c;

	do
		c = (uint8_t)random_bits();
	while ((c >> 4) == (c & 0x0f) || (c >> 2 & 0x33) == (c & 0x33) ||
	       (c >> 1 & 0x55) == (c & 0x55));
	return c;
}

static void rop3(struct sketch *s)
{
	QXLRop3 *r = &s->drawable->u.rop3;
	QXLImage *image = any_image(s);
	QXLRect *box = &s->drawable->bbox;
	int w = (int)s->canvas->width, h = (int)s->canvas->height;

	*box = inner_box(s->canvas);
	r->src_bitmap = (uintptr_t)image;
	r->src_area = any_part(image, box, chance(3));
	/* Not over the edge: there is nothing to be read. */
	if (box->right > w || box->bottom > h) {
		*box = inner_box(s->canvas);
	}
	r->scale_mode = (uint8_t)pick(0, 1);
	r->rop3 = any_code();
	any_brush(s, &r->brush, false);
	/* The reference reads beside a pattern that begins further on. */
	if (r->brush.type == SPICE_BRUSH_TYPE_PATTERN)
		r->brush.u.pattern.pos = (QXLPoint){box->left - pick(0, 90),
						    box->top - pick(0, 90)};
	any_mask(s, &r->mask);
}

static void constant(struct sketch *s)
{
	s->drawable->bbox = any_box(s->canvas);
	any_mask(s, &s->drawable->u.blackness.mask);
}

static void transparent(struct sketch *s)
{
	QXLTransparent *t = &s->drawable->u.transparent;
	QXLImage *image = any_image(s);
	uint32_t key = random_bits();

	s->drawable->bbox = any_box(s->canvas);
	t->src_bitmap = (uintptr_t)image;
	t->src_area = any_part(image, &s->drawable->bbox, chance(3));
	if (image->descriptor.type == SPICE_IMAGE_TYPE_BITMAP &&
	    image->bitmap.stride >= 4)
		memcpy(&key, (uint8_t *)(uintptr_t)image->bitmap.data, 4);
	t->src_color = t->true_color = key & 0xffffff;
}

static void alpha_blend(struct sketch *s)
{
	QXLAlphaBlend *a = &s->drawable->u.alpha_blend;
	QXLImage *image = any_image(s);

	s->drawable->bbox = any_box(s->canvas);
	a->src_bitmap = (uintptr_t)image;
	a->src_area = any_part(image, &s->drawable->bbox, chance(3));
	a->alpha = chance(3) ? 255 : (uint8_t)pick(0, 255);
	a->alpha_flags =
		(uint16_t)(s->canvas->format == SPICE_SURFACE_FMT_32_ARGB
				   ? SPICE_ALPHA_FLAGS_DEST_HAS_ALPHA
				   : 0);
	if (chance(2))
		a->alpha_flags |= SPICE_ALPHA_FLAGS_SRC_SURFACE_HAS_ALPHA;
}

/* Over itself, most of the time. */
static void copy_bits(struct sketch *s)
{
	QXLRect box = inner_box(s->canvas);
	int w = box.right - box.left, h = box.bottom - box.top;
	QXLPoint *from = &s->drawable->u.copy_bits.src_pos;
	int right = (int)s->canvas->width - w;
	int bottom = (int)s->canvas->height - h;

	s->drawable->bbox = box;
	from->x = box.left + pick(-20, 20);
	from->y = box.top + pick(-20, 20);
	from->x = from->x < 0 ? 0 : from->x > right ? right : from->x;
	from->y = from->y < 0 ? 0 : from->y > bottom ? bottom : from->y;
	s->drawable->surfaces_dest[0] = (int32_t)s->canvas->id;
	s->drawable->surfaces_rects[0] =
		(QXLRect){from->y, from->x, from->y + h, from->x + w};
}

/* Where a chunk of so many bytes has them. */
static uint8_t *put_chunk(QXLDataChunk *chunk, size_t size)
{
	chunk->data_size = (uint32_t)size;
	return chunk->data;
}

static int fixed(int low, int high)
{
	int v = pick(low * 16, high * 16);

	return chance(2) ? v & ~15 : v;
}

static void add_segment(uint8_t **at, const QXLRect *box, uint32_t flags,
			uint32_t count)
{
	QXLPathSeg *segment = (QXLPathSeg *)(void *)*at;

	segment->flags = flags;
	segment->count = count;
	for (uint32_t i = 0; i < count; i++) {
		segment->points[i].x = fixed(box->left - 8, box->right + 8);
		segment->points[i].y = fixed(box->top - 8, box->bottom + 8);
	}
	*at += sizeof(*segment) + count * sizeof(QXLPointFix);
}

static QXLPHYSICAL any_path(struct sketch *s)
{
	uint8_t space[1024], *at = space;
	int segments = pick(1, 4);
	bool ended = true;
	QXLPath *path;

	for (int i = 0; i < segments; i++) {
		uint32_t flags = ended ? QXL_PATH_BEGIN : 0;
		uint32_t count = (uint32_t)pick(2, 6);

		/* A curve begins with a line's last point. */
		if (!(flags & QXL_PATH_BEGIN) && chance(2)) {
			flags |= QXL_PATH_BEZIER;
			count = 3 * (uint32_t)pick(1, 2);
		}
		ended = i + 1 == segments || chance(2);
		flags |= ended ? QXL_PATH_END : 0;
		flags |= ended && chance(2) ? QXL_PATH_CLOSE : 0;
		add_segment(&at, &s->drawable->bbox, flags, count);
	}
	path = command_alloc(s->command, sizeof(*path) + (size_t)(at - space));
	path->data_size = (uint32_t)(at - space);
	memcpy(put_chunk(&path->chunk, (size_t)(at - space)), space,
	       (size_t)(at - space));
	return (uintptr_t)path;
}

static void stroke(struct sketch *s)
{
	static const uint16_t modes[] = {SPICE_ROPD_OP_PUT, SPICE_ROPD_OP_XOR,
					 SPICE_ROPD_OP_OR,
					 SPICE_ROPD_OP_INVERS};
	QXLStroke *k = &s->drawable->u.stroke;
	int32_t *style;

	s->drawable->bbox = any_box(s->canvas);
	k->path = any_path(s);
	if (chance(3)) {
		k->attr.flags = SPICE_LINE_FLAGS_STYLED;
		k->attr.flags |=
			chance(2) ? SPICE_LINE_FLAGS_START_WITH_GAP : 0;
		k->attr.style_nseg = 2 * (uint8_t)pick(1, 3);
		style = command_alloc(s->command, k->attr.style_nseg * 4u);
		for (int i = 0; i < k->attr.style_nseg; i++)
			style[i] = pick(1, 9) * 16;
		k->attr.style = (uintptr_t)style;
	}
	s->deps = MOST_DEPS; /* a surface as brush ends the reference */
	any_brush(s, &k->brush, false);
	k->fore_mode = modes[pick(0, 3)];
	k->back_mode = SPICE_ROPD_OP_PUT;
}

/* A row of glyphs, overlapping now and then. */
static size_t put_glyphs(uint8_t *data, int count, int bits, QXLRect box)
{
	uint8_t *at = data;
	int x = box.left + pick(0, 5), y = box.top + pick(0, 20);

	for (int i = 0; i < count; i++) {
		QXLRasterGlyph *g = (QXLRasterGlyph *)(void *)at;
		size_t size;

		g->width = (uint16_t)pick(1, 14);
		g->height = (uint16_t)pick(1, 16);
		g->render_pos = (QXLPoint){x, y + pick(-3, 3)};
		g->glyph_origin = (QXLPoint){pick(-2, 2), pick(-4, 4)};
		size = (size_t)(g->width * bits + 7) / 8 * g->height;
		for (size_t k = 0; k < size; k++)
			g->data[k] = (uint8_t)random_bits();
		x += pick(2, 14);
		at += sizeof(*g) + size;
	}
	return (size_t)(at - data);
}

static void text(struct sketch *s)
{
	QXLText *t = &s->drawable->u.text;
	QXLRect box = any_box(s->canvas);
	bool fine = chance(2);
	int count = pick(1, 8);
	uint8_t *space = malloc(4096);
	QXLString *string;
	size_t size;

	if (!space)
		abort();
	s->drawable->bbox = box;
	size = put_glyphs(space, count, fine ? 4 : 1, box);
	string = command_alloc(s->command, sizeof(*string) + size);
	string->data_size = (uint32_t)size;
	string->length = (uint16_t)count;
	string->flags = fine ? SPICE_STRING_FLAGS_RASTER_A4
			     : SPICE_STRING_FLAGS_RASTER_A1;
	memcpy(put_chunk(&string->chunk, size), space, size);
	free(space);
	t->str = (uintptr_t)string;
	if (chance(2))
		t->back_area = (QXLRect){box.top + 1, box.left, box.bottom,
					 box.right - (chance(2) ? 0 : 1)};
	any_brush(s, &t->fore_brush, false);
	/* The reference loses what a pattern brings when nothing is filled. */
	t->back_brush.type = SPICE_BRUSH_TYPE_SOLID;
	t->back_brush.u.color = random_bits() & 0xffffff;
	t->fore_mode = t->back_mode = SPICE_ROPD_OP_PUT;
}

/* A scale of 1/4 to 4 and a shift, 16.16. */
static QXLPHYSICAL any_transform(struct sketch *s)
{
	int32_t *t = command_alloc(s->command, 6 * sizeof(*t));

	t[0] = pick(1 << 14, 1 << 18);
	t[4] = pick(1 << 14, 1 << 18);
	t[1] = chance(4) ? pick(-(1 << 15), 1 << 15) : 0;
	t[3] = chance(4) ? pick(-(1 << 15), 1 << 15) : 0;
	t[2] = pick(-(4 << 16), 4 << 16);
	t[5] = pick(-(4 << 16), 4 << 16);
	return (uintptr_t)t;
}

static void composite(struct sketch *s)
{
	QXLComposite *c = &s->drawable->u.composite;
	uint32_t op = chance(2) ? QXL_OP_OVER : (uint32_t)pick(0, 13);
	uint32_t filter = (uint32_t)pick(0, 1), repeat = (uint32_t)pick(0, 3);

	s->drawable->bbox = inner_box(s->canvas);
	c->flags = op | filter << 8 | repeat << 14;
	c->src = (uintptr_t)any_transformed_image(s);
	if (chance(3))
		c->src_transform = any_transform(s);
	if (chance(2)) {
		c->mask = (uintptr_t)bitmap_coverage(s->command, pick(4, 90),
						     pick(4, 90));
		c->flags |= (uint32_t)pick(0, 1) << 11;
		c->flags |= (uint32_t)pick(0, 3) << 16;
		c->flags |= (uint32_t)pick(0, 1) << 18;
		if (chance(4))
			c->mask_transform = any_transform(s);
	}
	c->src_origin = (QXLPoint16){(int16_t)pick(0, 9), (int16_t)pick(0, 9)};
	c->mask_origin = (QXLPoint16){(int16_t)pick(0, 9), (int16_t)pick(0, 9)};
}

static const struct {
	uint8_t type;
	void (*draw)(struct sketch *sketch);
	bool shallow; /* on surfaces of alpha alone as well */
} operations[] = {
	{QXL_DRAW_FILL, fill, true},
	{QXL_DRAW_OPAQUE, opaque, false},
	{QXL_DRAW_COPY, copy, true},
	{QXL_DRAW_COPY, copy, true},
	{QXL_DRAW_BLEND, copy, false},
	{QXL_COPY_BITS, copy_bits, true},
	{QXL_DRAW_BLACKNESS, constant, true},
	{QXL_DRAW_WHITENESS, constant, true},
	{QXL_DRAW_INVERS, constant, true},
	{QXL_DRAW_ROP3, rop3, false},
	{QXL_DRAW_STROKE, stroke, false},
	{QXL_DRAW_TEXT, text, false},
	{QXL_DRAW_TRANSPARENT, transparent, false},
	{QXL_DRAW_ALPHA_BLEND, alpha_blend, false},
	{QXL_DRAW_COMPOSITE, composite, false},
};

static void any_clip(struct sketch *s)
{
	int n = chance(4) ? pick(1, 40) : pick(1, 4);
	QXLRect box = s->drawable->bbox;
	QXLClipRects *clip = command_alloc(
		s->command, sizeof(*clip) + (size_t)n * sizeof(QXLRect));
	QXLRect *rects = (QXLRect *)(void *)clip->chunk.data;
	int y = box.top - 3;

	clip->num_rects = (uint32_t)n;
	put_chunk(&clip->chunk, (size_t)n * sizeof(QXLRect));
	for (int i = 0; i < n; i++) {
		QXLRect r = {y, pick(box.left - 9, box.right - 1), 0, 0};

		r.bottom = r.top + pick(1, 90 / n + 1);
		r.right = r.left + pick(1, 60);
		y = chance(2) ? r.bottom : r.bottom + pick(0, 3);
		rects[i] = r;
	}
	s->drawable->clip.type = SPICE_CLIP_TYPE_RECTS;
	s->drawable->clip.data = (uintptr_t)clip;
}

static struct command *drawing_new(uint8_t type, uint32_t surface)
{
	struct command *c = command_new(QXL_CMD_DRAW);
	QXLDrawable *d = &c->drawable;

	d->surface_id = surface;
	d->effect = QXL_EFFECT_BLEND;
	d->type = type;
	d->surfaces_dest[0] = d->surfaces_dest[1] = d->surfaces_dest[2] = -1;
	return c;
}

struct command *operation_any(struct device *device,
			      const struct canvas *canvas)
{
	struct sketch s = {.device = device, .canvas = canvas};
	int n = sizeof(operations) / sizeof(operations[0]), i;

	do
		i = pick(0, n - 1);
	while (canvas->format == SPICE_SURFACE_FMT_8_A &&
	       !operations[i].shallow);
	s.command = drawing_new(operations[i].type, canvas->id);
	s.drawable = &s.command->drawable;
	operations[i].draw(&s);
	if (chance(4))
		any_clip(&s);
	return s.command;
}

struct command *operation_mark(uint32_t colour)
{
	struct command *c = drawing_new(QXL_DRAW_FILL, 0);
	QXLFill *f = &c->drawable.u.fill;

	c->drawable.bbox = (QXLRect){0, 0, 1, 1};
	f->brush.type = SPICE_BRUSH_TYPE_SOLID;
	f->brush.u.color = colour;
	f->rop_descriptor = SPICE_ROPD_OP_PUT;
	return c;
}
