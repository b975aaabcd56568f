/*
 * Random but reproducible parts of drawings for tests against libspice-server.
 *
 * For inclusion by one test program each, as qxl_server.h.
 */
#ifndef TESTS_UNIT_DRAW_RANDOM_H
#define TESTS_UNIT_DRAW_RANDOM_H

#include "tests/unit/qxl_server.h"

#define IMAGE 48 /* most px of an image's side */

static inline int pick(int low, int high)
{
	return low + (int)(next_random() % (uint32_t)(high - low + 1));
}

/* Somewhere on the screen, now and then over its edge. */
static inline QXLRect random_box(void)
{
	int x = pick(-20, WIDTH - 20), y = pick(-20, HEIGHT - 20);

	return (QXLRect){y, x, y + pick(1, 90), x + pick(1, 90)};
}

/* A surface that images may be taken from; 0 = none. */
static uint32_t source_surface;

static inline QXLImage *surface_image_of(struct command *c)
{
	QXLImage *image = command_alloc(c, sizeof(*image));
	static uint32_t unique = 1 << 20;

	QXL_SET_IMAGE_ID(image, 1, ++unique);
	image->descriptor.type = SPICE_IMAGE_TYPE_SURFACE;
	image->descriptor.width = WIDTH;
	image->descriptor.height = HEIGHT;
	image->surface_image.surface_id = source_surface;
	for (int i = 0; i < 3; i++) {
		if (c->drawable.surfaces_dest[i] >= 0)
			continue;
		c->drawable.surfaces_dest[i] = (int32_t)source_surface;
		c->drawable.surfaces_rects[i] = (QXLRect){0, 0, HEIGHT, WIDTH};
		break;
	}
	return image;
}

static inline QXLImage *random_image(struct command *c, uint8_t format)
{
	QXLImage *image = command_bitmap(c, format, pick(1, IMAGE),
					 pick(1, IMAGE), pick(0, 1));
	QXLBitmap *b = &image->bitmap;
	uint8_t *data = (uint8_t *)(uintptr_t)b->data;
	int alpha = format == BITMAP_RGBA;

	for (uint32_t i = 0; i < b->stride * b->y; i++)
		data[i] = pick(0, 3) ? pick(0, 255) : 0xff;
	/* Not all codecs keep what is in the pad byte or bit. */
	for (uint32_t i = 3; format == BITMAP_32BIT && i < b->stride * b->y;
	     i += 4)
		data[i] = 0;
	for (uint32_t i = 1; format == BITMAP_16BIT && i < b->stride * b->y;
	     i += 2)
		data[i] &= 0x7f;
	/* Premultiplied: no component is more than its alpha. */
	for (uint32_t i = 0; alpha && i + 3 < b->stride * b->y; i += 4)
		for (int k = 0; k < 3; k++)
			if (data[i + k] > data[i + 3])
				data[i + k] = data[i + 3];
	return image;
}

/* Bitmaps of 16 bits become xRGB with pad bytes that depend on the codec. */
static bool bitmaps_16 = true;

static inline uint8_t random_format(void)
{
	static const uint8_t formats[] = {BITMAP_32BIT, BITMAP_24BIT,
					  BITMAP_RGBA, BITMAP_16BIT};

	return formats[pick(0, bitmaps_16 ? 3 : 2)];
}

/* A bitmap or, when there is one, sometimes a surface. */
static inline QXLImage *random_source(struct command *c, uint8_t format)
{
	return source_surface && pick(0, 1) ? surface_image_of(c)
					    : random_image(c, format);
}

/* Part of an image, as large as the box or (scaled) not. */
static inline QXLRect random_part(const QXLImage *image, QXLRect *box,
				  bool scaled)
{
	int w = image->descriptor.width, h = image->descriptor.height;
	int x = pick(0, w - 1), y = pick(0, h - 1);
	QXLRect part = {y, x, pick(y + 1, h), pick(x + 1, w)};

	if (!scaled) {
		box->right = box->left + part.right - part.left;
		box->bottom = box->top + part.bottom - part.top;
	}
	return part;
}

static inline void random_clip(struct command *c)
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

static inline void random_mask(struct command *c, QXLQMask *mask)
{
	QXLImage *image;

	if (pick(0, 2))
		return;
	image = random_image(c, pick(0, 1) ? BITMAP_1BIT_BE : BITMAP_1BIT_LE);
	mask->flags = pick(0, 1) ? SPICE_MASK_FLAGS_INVERS : 0;
	mask->pos.x = pick(0, image->descriptor.width - 1);
	mask->pos.y = pick(0, image->descriptor.height - 1);
	mask->bitmap = (uintptr_t)image;
}

/* A stroke's pattern may not be a surface: the server crashes. */
static inline void random_brush(struct command *c, QXLBrush *brush,
				bool surface)
{
	if (pick(0, 1)) {
		brush->type = SPICE_BRUSH_TYPE_SOLID;
		brush->u.color = next_random() & 0xffffff;

	} else {
		brush->type = SPICE_BRUSH_TYPE_PATTERN;
		brush->u.pattern.pat =
			(uintptr_t)(surface ? random_source(c, random_format())
					    : random_image(c, random_format()));
		brush->u.pattern.pos.x = pick(-60, 60);
		brush->u.pattern.pos.y = pick(-60, 60);
	}
}

static inline uint16_t random_rop(uint16_t inversions)
{
	static const uint16_t operations[] = {
		SPICE_ROPD_OP_PUT,       SPICE_ROPD_OP_OR,
		SPICE_ROPD_OP_AND,       SPICE_ROPD_OP_XOR,
		SPICE_ROPD_OP_BLACKNESS, SPICE_ROPD_OP_WHITENESS,
		SPICE_ROPD_OP_INVERS};

	return operations[pick(0, 6)] | (next_random() & inversions);
}

#endif
