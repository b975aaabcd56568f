/*
 * Text: the glyphs' coverage, merged, and the brush through it.
 *
 * How glyphs merge is the renderers' own way: bits of depth 1 are or'ed, of
 * depth 4 and 8 the larger coverage stays. Of depth 4 full coverage is 240,
 * and a byte whose left pixel is not 0 overwrites the right one.
 */
#include "recorder/raster_pixman.h"

#include <string.h>

/* Coverage of an area of the surface, 1 or 8 bits a pixel. */
struct coverage {
	pixman_image_t *image;
	pixman_box32_t area;
	unsigned depth; /* of the glyphs: 1, 4 or 8 */
};

static void merge_bits(uint8_t *out, const uint8_t *row, int32_t from,
		       int32_t to, int32_t at)
{
	for (int32_t i = from; i < to; i++)
		if (row[i / 8] >> (7 - i % 8) & 1)
			out[(at + i) / 8] |= 1 << (at + i) % 8;
}

static void merge_nibbles(uint8_t *out, const uint8_t *row, int32_t from,
			  int32_t to, int32_t at)
{
	for (int32_t i = from; i < to; i++) {
		unsigned v =
			i & 1 ? (unsigned)row[i / 2] << 4 : row[i / 2] & 0xf0u;

		if (v > out[at + i])
			out[at + i] = (uint8_t)v;
	}
}

static void merge_bytes(uint8_t *out, const uint8_t *row, int32_t from,
			int32_t to, int32_t at)
{
	for (int32_t i = from; i < to; i++)
		if (row[i] > out[at + i])
			out[at + i] = row[i];
}

static void merge_row(const struct coverage *c, const struct raster_glyph *g,
		      int32_t y, const uint8_t *row)
{
	uint8_t *out =
		(uint8_t *)pixman_image_get_data(c->image) +
		(ptrdiff_t)(y - c->area.y1) * pixman_image_get_stride(c->image);
	int32_t at = g->x - c->area.x1;
	int32_t from = at < 0 ? -at : 0, to = c->area.x2 - g->x;

	to = to < g->width ? to : g->width;
	if (c->depth == 1)
		merge_bits(out, row, from, to, at);
	else if (c->depth == 4)
		merge_nibbles(out, row, from, to, at);
	else
		merge_bytes(out, row, from, to, at);
}

static void merge_glyph(const struct coverage *c, const struct raster_glyph *g)
{
	size_t size = raster_glyph_row(c->depth, g->width);
	int32_t end = g->y + g->height;

	if (g->x >= c->area.x2 || g->x + g->width <= c->area.x1)
		return;
	for (int32_t y = g->y > c->area.y1 ? g->y : c->area.y1;
	     y < end && y < c->area.y2; y++)
		merge_row(c, g, y, g->bits + size * (size_t)(end - 1 - y));
}

static pixman_box32_t bounds(const struct raster_glyph *glyphs, unsigned count)
{
	pixman_box32_t all = {INT32_MAX, INT32_MAX, INT32_MIN, INT32_MIN};

	for (const struct raster_glyph *g = glyphs; g < glyphs + count; g++) {
		all.x1 = g->x < all.x1 ? g->x : all.x1;
		all.y1 = g->y < all.y1 ? g->y : all.y1;
		all.x2 = g->x + g->width > all.x2 ? g->x + g->width : all.x2;
		all.y2 = g->y + g->height > all.y2 ? g->y + g->height : all.y2;
	}
	return all;
}

/* Surfaces of 16 bits take 5 bits a component, 565 too. */
static pixman_image_t *solid(uint32_t format, uint32_t colour)
{
	bool narrow = surface_format_bits(format) == 0xffff;
	unsigned shift = narrow ? 5 : 8, mask = (1u << shift) - 1;
	pixman_color_t c = {.alpha = 0xffff};

	c.blue = (uint16_t)((colour & mask) * 0xffff / mask);
	c.green = (uint16_t)((colour >> shift & mask) * 0xffff / mask);
	c.red = (uint16_t)((colour >> 2 * shift & mask) * 0xffff / mask);
	return pixman_image_create_solid_fill(&c);
}

static pixman_image_t *tiles(uint32_t format, const struct raster_source *brush)
{
	pixman_image_t *image = raster_pixman_image(brush->image, format, false,
						    RASTER_ALPHA_AS_IS);
	pixman_transform_t t;

	if (!image)
		return NULL;
	pixman_transform_init_translate(
		&t, (pixman_fixed_t)(-(uint32_t)brush->src.x1 << 16),
		(pixman_fixed_t)(-(uint32_t)brush->src.y1 << 16));
	if (!raster_pixman_look(image, brush->image, &t,
				brush->image->lens->filter,
				PIXMAN_REPEAT_NORMAL)) {
		pixman_image_unref(image);
		return NULL;
	}
	return image;
}

static int draw(struct surface *surface, pixman_region32_t *region,
		const struct coverage *c, const pixman_box32_t *all,
		pixman_image_t *brush, struct error *error)
{
	struct raster_part part;
	int r = raster_part_open(&part, surface, &c->area, false, error);

	if (r)
		return r;
	if (raster_part_clip(&part, region))
		pixman_image_composite32(
			PIXMAN_OP_OVER, brush, c->image, part.image,
			c->area.x1 - all->x1, c->area.y1 - all->y1, 0, 0, 0, 0,
			c->area.x2 - c->area.x1, c->area.y2 - c->area.y1);
	else
		r = error_set(error, ENOMEM, "no memory for text");
	raster_part_close(&part, surface);
	surface_touch(surface, region);
	return r;
}

static int draw_glyphs(struct surface *surface, pixman_region32_t *region,
		       const struct raster_glyph *glyphs, unsigned count,
		       unsigned depth, pixman_image_t *brush,
		       struct error *error)
{
	pixman_box32_t all = bounds(glyphs, count);
	struct coverage c = {.depth = depth};
	int r = 0;

	if (!count || all.x1 >= all.x2 || all.y1 >= all.y2)
		return 0;
	pixman_region32_intersect_rect(region, region, all.x1, all.y1,
				       all.x2 - all.x1, all.y2 - all.y1);
	c.area = *pixman_region32_extents(region);
	if (pixman_region32_not_empty(region)) {
		c.image = pixman_image_create_bits(
			depth == 1 ? PIXMAN_a1 : PIXMAN_a8,
			c.area.x2 - c.area.x1, c.area.y2 - c.area.y1, NULL, 0);
		if (!c.image)
			return error_set(error, ENOMEM, "no memory for text");
		for (unsigned i = 0; i < count; i++)
			merge_glyph(&c, &glyphs[i]);
		r = draw(surface, region, &c, &all, brush, error);
		pixman_image_unref(c.image);
	}
	if (!r)
		raster_clear_pads(surface, &all);
	return r;
}

int raster_text(struct surface *surface, pixman_region32_t *region,
		const struct raster_glyph *glyphs, unsigned count,
		unsigned depth, const struct raster_source *brush,
		struct error *error)
{
	pixman_image_t *from;
	int r;

	if (!pixman_region32_not_empty(region))
		return 0;
	/* A surface is looked at even when no glyph is to be seen. */
	from = brush->how == RASTER_SOLID
		       ? solid(surface->format, brush->colour)
		       : tiles(surface->format, brush);
	if (!from)
		return error_set(error, ENOMEM, "no memory for a text's brush");
	r = draw_glyphs(surface, region, glyphs, count, depth, from, error);
	pixman_image_unref(from);
	return r;
}
