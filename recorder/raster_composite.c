/*
 * Blending and compositing: pixman's own operations, called with what SPICE's
 * renderers call it with.
 */
#include "recorder/raster_pixman.h"

/*
 * Some of pixman's code leaves 0xff in pad bytes it should not touch. The
 * renderers look at the first pixel of the box and clear all of them then,
 * with no regard to the clip.
 */
void raster_clear_pads(struct surface *s, const pixman_box32_t *box)
{
	int32_t x1 = box->x1 > 0 ? box->x1 : 0, y1 = box->y1 > 0 ? box->y1 : 0;
	int32_t x2 = box->x2 < (int32_t)s->width ? box->x2 : (int32_t)s->width;
	int32_t y2 =
		box->y2 < (int32_t)s->height ? box->y2 : (int32_t)s->height;

	if (s->format != SURFACE_32_XRGB || x1 >= x2 || y1 >= y2 ||
	    surface_row(s, y1)[x1] >> 24 != 0xff)
		return;
	for (int32_t y = y1; y < y2; y++)
		for (int32_t x = x1; x < x2; x++)
			surface_row(s, y)[x] &= 0xffffff;
}

static pixman_image_t *constant_alpha(uint8_t alpha)
{
	pixman_color_t colour = {.alpha = alpha * 0x101};

	return pixman_image_create_solid_fill(&colour);
}

static void blend_part(struct raster_part *part,
		       const struct raster_source *source, pixman_image_t *from,
		       pixman_image_t *mask)
{
	const pixman_box32_t *box = &part->box;
	struct raster_point at = {
		box->x1 - source->box.x1 + source->src.x1,
		box->y1 - source->box.y1 + source->src.y1,
	};

	if (source->how != RASTER_PLAIN)
		at = raster_pixman_scale(from, source, box->x1, box->y1);
	pixman_image_composite32(PIXMAN_OP_OVER, from, mask, part->image, at.x,
				 at.y, 0, 0, 0, 0, box->x2 - box->x1,
				 box->y2 - box->y1);
}

int raster_blend(struct surface *surface, pixman_region32_t *region,
		 const struct raster_source *source, uint8_t alpha,
		 uint8_t flags, struct error *error)
{
	pixman_image_t *from, *mask = NULL;
	struct raster_part part;
	int r;

	if (!alpha || !pixman_region32_not_empty(region))
		return 0;
	r = raster_part_open(&part, surface, pixman_region32_extents(region),
			     flags & RASTER_DEST_HAS_ALPHA, error);
	if (r)
		return r;
	from = raster_pixman_image(source->image, surface->format, true,
				   flags & RASTER_SOURCE_HAS_ALPHA
					   ? RASTER_ALPHA_PAD
					   : RASTER_ALPHA_AS_IS);
	if (alpha != 255)
		mask = constant_alpha(alpha);
	if (from && (mask || alpha == 255) && raster_part_clip(&part, region))
		blend_part(&part, source, from, mask);
	else
		r = error_set(error, ENOMEM, "no memory to blend an image");
	if (from)
		pixman_image_unref(from);
	if (mask)
		pixman_image_unref(mask);
	raster_part_close(&part, surface);
	if (!(flags & RASTER_DEST_HAS_ALPHA))
		raster_clear_pads(surface, &source->box);
	surface_touch(surface, region);
	return r;
}

bool raster_composite_good(const struct raster_composite *c)
{
	unsigned op = c->flags & 0xff;
	bool known =
		op <= PIXMAN_OP_SATURATE ||
		(op >= PIXMAN_OP_DISJOINT_CLEAR &&
		 op <= PIXMAN_OP_DISJOINT_XOR) ||
		(op >= PIXMAN_OP_CONJOINT_CLEAR &&
		 op <= PIXMAN_OP_CONJOINT_XOR) ||
		(op >= PIXMAN_OP_MULTIPLY && op <= PIXMAN_OP_HSL_LUMINOSITY);

	return known && (c->flags >> 8 & 7) <= PIXMAN_FILTER_BILINEAR &&
	       (c->flags >> 11 & 7) <= PIXMAN_FILTER_BILINEAR;
}

/* One of the two operands: source or mask. */
static pixman_image_t *operand(const struct raster_operand *o, uint32_t format,
			       enum raster_alpha alpha, unsigned filter,
			       unsigned repeat)
{
	pixman_image_t *image =
		raster_pixman_image(o->image, format, false, alpha);

	if (!image)
		return NULL;
	if (o->transformed)
		pixman_image_set_transform(image, &o->transform);
	pixman_image_set_filter(image, (pixman_filter_t)filter, NULL, 0);
	pixman_image_set_repeat(image, (pixman_repeat_t)repeat);
	return image;
}

static void composite_part(const struct raster_composite *c,
			   const struct raster_part *part, pixman_image_t *from,
			   pixman_image_t *mask)
{
	int32_t dx = part->box.x1 - c->box.x1, dy = part->box.y1 - c->box.y1;

	pixman_image_composite32(
		(pixman_op_t)(c->flags & 0xff), from, mask, part->image,
		c->source.x + dx, c->source.y + dy, c->mask.x + dx,
		c->mask.y + dy, 0, 0, part->box.x2 - part->box.x1,
		part->box.y2 - part->box.y1);
}

int raster_composite(struct surface *surface, pixman_region32_t *region,
		     const struct raster_composite *c, struct error *error)
{
	pixman_image_t *from, *mask = NULL;
	struct raster_part part;
	int r;

	if (!pixman_region32_not_empty(region))
		return 0;
	r = raster_part_open(&part, surface, pixman_region32_extents(region),
			     false, error);
	if (r)
		return r;
	from = operand(&c->source, surface->format,
		       c->flags & RASTER_SOURCE_OPAQUE ? RASTER_ALPHA_NONE
						       : RASTER_ALPHA_AS_IS,
		       c->flags >> 8 & 7, c->flags >> 14 & 3);
	if (c->mask.image)
		mask = operand(&c->mask, surface->format, RASTER_ALPHA_AS_IS,
			       c->flags >> 11 & 7, c->flags >> 16 & 3);
	if (mask)
		pixman_image_set_component_alpha(mask, c->flags >> 18 & 1);
	if (from && !mask == !c->mask.image && raster_part_clip(&part, region))
		composite_part(c, &part, from, mask);
	else
		r = error_set(error, ENOMEM, "no memory to compose images");
	if (from)
		pixman_image_unref(from);
	if (mask)
		pixman_image_unref(mask);
	raster_part_close(&part, surface);
	surface_touch(surface, region);
	return r;
}
