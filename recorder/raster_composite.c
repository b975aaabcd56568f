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

static bool blend_part(struct raster_part *part,
		       const struct raster_source *source, pixman_image_t *from,
		       pixman_image_t *mask)
{
	const pixman_box32_t *box = &part->box;
	struct raster_point at = {
		box->x1 - source->box.x1 + source->src.x1,
		box->y1 - source->box.y1 + source->src.y1,
	};
	bool good = true;

	if (source->how == RASTER_PLAIN)
		good = raster_pixman_look(from, source->image, NULL,
					  source->image->lens->filter,
					  PIXMAN_REPEAT_NONE);
	else
		good = raster_pixman_scale(from, source, box->x1, box->y1, &at);
	pixman_image_composite32(PIXMAN_OP_OVER, from, mask, part->image, at.x,
				 at.y, 0, 0, 0, 0, box->x2 - box->x1,
				 box->y2 - box->y1);
	return good;
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
	if (!from || (!mask && alpha != 255) ||
	    !raster_part_clip(&part, region) ||
	    !blend_part(&part, source, from, mask))
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
static pixman_image_t *look(const struct raster_operand *o,
			    pixman_image_t *image, unsigned filter,
			    unsigned repeat)
{
	if (image && !raster_pixman_look(image, o->image,
					 o->transformed ? &o->transform : NULL,
					 (pixman_filter_t)filter,
					 (pixman_repeat_t)repeat)) {
		pixman_image_unref(image);
		return NULL;
	}
	return image;
}

static pixman_image_t *source_of(const struct raster_composite *c,
				 uint32_t format)
{
	pixman_image_t *image = raster_pixman_image(
		c->source.image, format, false,
		c->flags & RASTER_SOURCE_OPAQUE ? RASTER_ALPHA_NONE
						: RASTER_ALPHA_AS_IS);

	return look(&c->source, image, c->flags >> 8 & 7, c->flags >> 14 & 3);
}

/* What is both has only one set of attributes, the mask's. */
static pixman_image_t *mask_of(const struct raster_composite *c,
			       uint32_t format, pixman_image_t *from)
{
	const struct image *s = c->source.image, *m = c->mask.image;
	bool opaque =
		m->raw == SURFACE_32_ARGB && c->flags & RASTER_SOURCE_OPAQUE;
	bool kept = m->raw || pixman_image_get_data(from) == m->pixels;
	bool same = m->lens == s->lens && kept && !opaque;
	pixman_image_t *image = same ? pixman_image_ref(from)
				     : raster_pixman_image(m, format, false,
							   RASTER_ALPHA_AS_IS);

	image = look(&c->mask, image, c->flags >> 11 & 7, c->flags >> 16 & 3);
	if (image)
		pixman_image_set_component_alpha(image, c->flags >> 18 & 1);
	return image;
}

static int composite_views(const struct raster_composite *c,
			   struct surface *surface, pixman_region32_t *region,
			   pixman_image_t *from, pixman_image_t *mask,
			   struct error *error)
{
	struct raster_part part;
	const pixman_box32_t *box = &part.box;
	int32_t dx, dy;
	int r = raster_part_open(&part, surface,
				 pixman_region32_extents(region), false, error);

	if (r)
		return r;
	dx = box->x1 - c->box.x1;
	dy = box->y1 - c->box.y1;
	if (raster_part_clip(&part, region))
		pixman_image_composite32((pixman_op_t)(c->flags & 0xff), from,
					 mask, part.image, c->source.x + dx,
					 c->source.y + dy, c->mask.x + dx,
					 c->mask.y + dy, 0, 0,
					 box->x2 - box->x1, box->y2 - box->y1);
	else
		r = error_set(error, ENOMEM, "no memory to compose images");
	raster_part_close(&part, surface);
	surface_touch(surface, region);
	return r;
}

int raster_composite(struct surface *surface, pixman_region32_t *region,
		     const struct raster_composite *c, struct error *error)
{
	/* Surfaces are looked at even when nothing is to be drawn. */
	pixman_image_t *from = source_of(c, surface->format), *mask = NULL;
	int r = 0;

	if (from && c->mask.image)
		mask = mask_of(c, surface->format, from);
	if (!from || !mask != !c->mask.image)
		r = error_set(error, ENOMEM, "no memory to compose images");
	else if (pixman_region32_not_empty(region))
		r = composite_views(c, surface, region, from, mask, error);
	if (from)
		pixman_image_unref(from);
	if (mask)
		pixman_image_unref(mask);
	return r;
}
