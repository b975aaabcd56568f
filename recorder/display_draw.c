/* Drawing messages: the operations, but for strokes and text. */
#include "recorder/display_draw.h"

/* The brush is the source, the other operand what is inverted by `invert`. */
static int paint_brush(struct draw *draw, uint16_t rop, uint16_t invert,
		       struct error *error)
{
	return raster_paint(draw->surface, &draw->region, &draw->brush.source,
			    raster_rop(rop, ROPD_INVERS_BRUSH, invert),
			    &draw->mask, error);
}

static int read_rop_scale_mask(struct draw *draw, const pixman_box32_t *src,
			       uint16_t *rop, struct error *error)
{
	*rop = bytes_le16(&draw->in);
	return draw_read_scale_mask(draw, src, error);
}

static int fill(struct draw *draw, struct error *error)
{
	uint16_t rop;
	int r = draw_read_brush(draw, &draw->brush, error);

	if (r)
		return r;
	rop = bytes_le16(&draw->in);
	r = draw_read_mask(draw, error);
	return r ? r : paint_brush(draw, rop, ROPD_INVERS_DEST, error);
}

static int copy(struct draw *draw, struct error *error)
{
	pixman_box32_t src;
	uint16_t rop;
	int r = draw_read_part(draw, &src, error);

	if (!r)
		r = read_rop_scale_mask(draw, &src, &rop, error);
	return r ? r
		 : raster_paint(
			   draw->surface, &draw->region, &draw->source,
			   raster_rop(rop, ROPD_INVERS_SRC, ROPD_INVERS_DEST),
			   &draw->mask, error);
}

/* The image goes there as it is, then the brush with the operation. */
static int opaque(struct draw *draw, struct error *error)
{
	pixman_box32_t src;
	uint16_t rop;
	int r = draw_read_part(draw, &src, error);

	if (!r)
		r = draw_read_brush(draw, &draw->brush, error);
	if (!r)
		r = read_rop_scale_mask(draw, &src, &rop, error);
	if (!r)
		r = raster_paint(draw->surface, &draw->region, &draw->source,
				 raster_rop(ROPD_PUT, 0, 0), &draw->mask,
				 error);
	return r ? r : paint_brush(draw, rop, ROPD_INVERS_SRC, error);
}

static int rop3(struct draw *draw, struct error *error)
{
	pixman_box32_t src;
	uint8_t code;
	int r = draw_read_part(draw, &src, error);

	if (!r)
		r = draw_read_brush(draw, &draw->brush, error);
	if (r)
		return r;
	code = bytes_u8(&draw->in);
	r = draw_read_scale_mask(draw, &src, error);
	return r ? r
		 : raster_rop3(draw->surface, &draw->region, &draw->source,
			       &draw->brush.source, code, &draw->mask, error);
}

static int constant(struct draw *draw, uint16_t rop, struct error *error)
{
	int r = draw_read_mask(draw, error);

	return r ? r : paint_brush(draw, rop, 0, error);
}

static int transparent(struct draw *draw, struct error *error)
{
	pixman_box32_t src;
	uint32_t key;
	int r = draw_read_part(draw, &src, error);

	if (r)
		return r;
	bytes_le32(&draw->in);
	key = bytes_le32(&draw->in);
	draw->source = raster_image(draw->image, &src, &draw->box, 1);
	r = draw_complete(draw, error);
	return r ? r
		 : raster_transparent(draw->surface, &draw->region,
				      &draw->source, key, error);
}

static int alpha_blend(struct draw *draw, struct error *error)
{
	pixman_box32_t src;
	uint8_t flags = bytes_u8(&draw->in), alpha = bytes_u8(&draw->in);
	int r = draw_read_part(draw, &src, error);

	if (r)
		return r;
	draw->source = raster_image(draw->image, &src, &draw->box, 1);
	return raster_blend(draw->surface, &draw->region, &draw->source, alpha,
			    flags, error);
}

static int copy_bits(struct draw *draw, struct error *error)
{
	int32_t x = (int32_t)bytes_le32(&draw->in);
	int32_t y = (int32_t)bytes_le32(&draw->in);
	pixman_box32_t at = {x, y, x, y};

	if (draw->in.bad || !draw_in_bounds(&at))
		return error_set(error, EBADMSG,
				 "pixels to move are out of bounds");
	return raster_move(draw->surface, &draw->region, x - draw->box.x1,
			   y - draw->box.y1, error);
}

static void read_operand(struct draw *draw, struct raster_operand *o)
{
	o->x = (int16_t)bytes_le16(&draw->in);
	o->y = (int16_t)bytes_le16(&draw->in);
}

/* The upper two rows of the matrix, in 16.16 fixed point. */
static void read_transform(struct draw *draw, struct raster_operand *o)
{
	for (unsigned i = 0; i < 6; i++)
		o->transform.matrix[i / 3][i % 3] =
			(pixman_fixed_t)bytes_le32(&draw->in);
	o->transform.matrix[2][2] = pixman_fixed_1;
	o->transformed = true;
}

static int composite(struct draw *draw, struct error *error)
{
	struct raster_composite c = {.box = draw->box,
				     .flags = bytes_le32(&draw->in)};
	int r = draw_read_image(draw, &draw->image, error);

	if (!r && c.flags & RASTER_HAS_MASK)
		r = draw_read_image(draw, &draw->mask_image, error);
	if (r)
		return r;
	if (c.flags & RASTER_HAS_SOURCE_TRANSFORM)
		read_transform(draw, &c.source);
	if (c.flags & RASTER_HAS_MASK_TRANSFORM)
		read_transform(draw, &c.mask);
	read_operand(draw, &c.source);
	read_operand(draw, &c.mask);
	c.source.image = draw->image;
	c.mask.image = draw->mask_image;
	r = draw_complete(draw, error);
	if (!r && !raster_composite_good(&c))
		r = error_set(error, EBADMSG, "a composition's flags are %08x",
			      c.flags);
	return r ? r
		 : raster_composite(draw->surface, &draw->region, &c, error);
}

static int operate(struct draw *draw, uint16_t type, struct error *error)
{
	switch (type) {
	case DISPLAY_MESSAGE_draw_fill:
		return fill(draw, error);
	case DISPLAY_MESSAGE_draw_opaque:
		return opaque(draw, error);
	case DISPLAY_MESSAGE_draw_copy:
	case DISPLAY_MESSAGE_draw_blend:
		return copy(draw, error);
	case DISPLAY_MESSAGE_draw_blackness:
		return constant(draw, ROPD_BLACKNESS, error);
	case DISPLAY_MESSAGE_draw_whiteness:
		return constant(draw, ROPD_WHITENESS, error);
	case DISPLAY_MESSAGE_draw_invers:
		return constant(draw, ROPD_INVERS, error);
	case DISPLAY_MESSAGE_draw_rop3:
		return rop3(draw, error);
	case DISPLAY_MESSAGE_draw_transparent:
		return transparent(draw, error);
	case DISPLAY_MESSAGE_draw_alpha_blend:
		return alpha_blend(draw, error);
	case DISPLAY_MESSAGE_draw_stroke:
		return draw_stroke(draw, error);
	case DISPLAY_MESSAGE_draw_text:
		return draw_text(draw, error);
	case DISPLAY_MESSAGE_draw_composite:
		return composite(draw, error);
	case DISPLAY_MESSAGE_copy_bits:
		return copy_bits(draw, error);
	}
	return error_set(error, ENOTSUP, "%s is not drawn",
			 display_message_name(type));
}

int display_draw(struct display *display, uint16_t type, struct bytes body,
		 struct error *error)
{
	struct draw draw = {.display = display, .body = body, .in = body};
	int r;

	pixman_region32_init(&draw.region);
	display->reader.unconverted = type == DISPLAY_MESSAGE_draw_alpha_blend;
	r = draw_begin(&draw, error);
	if (!r) {
		r = operate(&draw, type, error);
		if (display_drew(display, draw.surface, &draw.box, &draw.region,
				 error))
			r = -ENOMEM;
	}
	draw_end(&draw);
	return r;
}
