/*
 * Drawing messages: their fields, what they draw from, the operation.
 *
 * A message begins with surface, box and clip; images, brushes and masks
 * stand behind offsets from the message's first byte.
 */
#include "recorder/display.h"

#include <stdlib.h>

#include "recorder/raster.h"

/* A drawing in progress; images are owned. */
struct draw {
	struct display *display;
	struct bytes body; /* the whole message */
	struct bytes in;   /* what is still to be read */
	struct surface *surface;
	pixman_box32_t box;
	pixman_region32_t region; /* box, clip and surface */
	struct image *image, *brush_image, *mask_image;
	struct raster_source source, brush;
	struct raster_mask mask;
};

pixman_box32_t display_read_rect(struct bytes *in)
{
	pixman_box32_t box;

	box.y1 = (int32_t)bytes_le32(in);
	box.x1 = (int32_t)bytes_le32(in);
	box.y2 = (int32_t)bytes_le32(in);
	box.x2 = (int32_t)bytes_le32(in);
	return box;
}

static bool in_bounds(const pixman_box32_t *box)
{
	const int32_t max = RASTER_COORDINATE_MAX;

	return box->x1 >= -max && box->y1 >= -max && box->x2 <= max &&
	       box->y2 <= max && box->x1 <= box->x2 && box->y1 <= box->y2;
}

static bool intersect(pixman_box32_t *a, const pixman_box32_t *b)
{
	a->x1 = a->x1 > b->x1 ? a->x1 : b->x1;
	a->y1 = a->y1 > b->y1 ? a->y1 : b->y1;
	a->x2 = a->x2 < b->x2 ? a->x2 : b->x2;
	a->y2 = a->y2 < b->y2 ? a->y2 : b->y2;
	return a->x1 < a->x2 && a->y1 < a->y2;
}

/* n rectangles, each cut by `all`, as a region. */
static bool read_rects(struct bytes *in, const pixman_box32_t *all,
		       pixman_region32_t *region)
{
	uint32_t n = bytes_le32(in), kept = 0;
	pixman_box32_t *boxes;
	bool good;

	if (in->bad || n > bytes_left(in) / 16)
		return false;
	boxes = malloc((n + 1u) * sizeof(*boxes));
	if (!boxes)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		boxes[kept] = display_read_rect(in);
		kept += intersect(&boxes[kept], all);
	}
	good = pixman_region32_init_rects(region, boxes, (int)kept);
	free(boxes);
	return good;
}

bool display_read_clip(struct bytes *in, const struct surface *surface,
		       const pixman_box32_t *box, pixman_region32_t *region)
{
	pixman_box32_t all = {0, 0, surface->width, surface->height};
	uint8_t type = bytes_u8(in);
	bool some;

	pixman_region32_init(region);
	if (in->bad || !in_bounds(box))
		return false;
	some = intersect(&all, box);
	if (type == 1) /* SPICE_CLIP_TYPE_RECTS */
		return read_rects(in, &all, region);
	if (some)
		pixman_region32_init_with_extents(region, &all);
	return true;
}

static int begin(struct draw *draw, struct error *error)
{
	uint32_t id = bytes_le32(&draw->in);

	draw->box = display_read_rect(&draw->in);
	draw->surface = display_surface(draw->display, id, error);
	if (!draw->surface)
		return -EBADMSG;
	draw->display->target = draw->surface;
	if (!display_read_clip(&draw->in, draw->surface, &draw->box,
			       &draw->region))
		return error_set(error, EBADMSG,
				 "a drawing's box or clip is "
				 "out of bounds");
	return 0;
}

static void end(struct draw *draw)
{
	image_unref(draw->image);
	image_unref(draw->brush_image);
	image_unref(draw->mask_image);
	pixman_region32_fini(&draw->region);
}

/* All fields were there. */
static int complete(const struct draw *draw, struct error *error)
{
	return draw->in.bad
		       ? error_set(error, EBADMSG, "a drawing is cut short")
		       : 0;
}

static int read_image(struct draw *draw, struct error *error)
{
	return image_read(&draw->display->reader, draw->body,
			  bytes_le32(&draw->in), &draw->image, error);
}

/* The part of the image to take, read and checked. */
static int read_part(struct draw *draw, pixman_box32_t *src,
		     struct error *error)
{
	*src = display_read_rect(&draw->in);
	if (draw->in.bad || !in_bounds(src))
		return error_set(error, EBADMSG,
				 "the part of an image is out of bounds");
	return 0;
}

static int read_brush(struct draw *draw, struct error *error)
{
	struct raster_source *b = &draw->brush;
	uint32_t at;
	int r;

	b->how = RASTER_SOLID;
	switch (bytes_u8(&draw->in)) {
	case 1: /* SPICE_BRUSH_TYPE_SOLID */
		b->colour = bytes_le32(&draw->in);
		break;
	case 2: /* SPICE_BRUSH_TYPE_PATTERN */
		at = bytes_le32(&draw->in);
		b->src.x1 = (int32_t)bytes_le32(&draw->in);
		b->src.y1 = (int32_t)bytes_le32(&draw->in);
		b->src.x2 = b->src.x1;
		b->src.y2 = b->src.y1;
		if (draw->in.bad || !in_bounds(&b->src))
			return error_set(error, EBADMSG,
					 "a brush is out of bounds");
		r = image_read(&draw->display->reader, draw->body, at,
			       &draw->brush_image, error);
		if (r)
			return r;
		b->how = RASTER_TILED;
		b->image = draw->brush_image;
		break;
	}
	return complete(draw, error);
}

static int read_mask(struct draw *draw, struct error *error)
{
	bool inverted = bytes_u8(&draw->in) & 1;
	int32_t x = (int32_t)bytes_le32(&draw->in);
	int32_t y = (int32_t)bytes_le32(&draw->in);
	pixman_box32_t at = {x, y, x, y};
	uint32_t image = bytes_le32(&draw->in);
	int r;

	if (draw->in.bad || !in_bounds(&at))
		return error_set(error, EBADMSG, "a mask is out of bounds");
	if (!image)
		return 0;
	r = image_read_mask(&draw->display->reader, draw->body, image, inverted,
			    &draw->mask_image, error);
	if (r)
		return r;
	draw->mask.image = draw->mask_image;
	draw->mask.x = x - draw->box.x1;
	draw->mask.y = y - draw->box.y1;
	raster_mask_clip(&draw->mask, &draw->region);
	return 0;
}

/* The end of several messages: how the part is scaled, and the mask. */
static int read_scale_mask(struct draw *draw, const pixman_box32_t *src,
			   struct error *error)
{
	uint8_t mode = bytes_u8(&draw->in);

	draw->source = raster_image(draw->image, src, &draw->box, mode);
	return read_mask(draw, error);
}

static int read_rop_scale_mask(struct draw *draw, const pixman_box32_t *src,
			       uint16_t *rop, struct error *error)
{
	*rop = bytes_le16(&draw->in);
	return read_scale_mask(draw, src, error);
}

static int fill(struct draw *draw, struct error *error)
{
	uint16_t rop;
	int r = read_brush(draw, error);

	if (r)
		return r;
	rop = bytes_le16(&draw->in);
	r = read_mask(draw, error);
	if (!r)
		raster_paint(
			draw->surface, &draw->region, &draw->brush,
			raster_rop(rop, ROPD_INVERS_BRUSH, ROPD_INVERS_DEST),
			&draw->mask);
	return r;
}

static int copy(struct draw *draw, struct error *error)
{
	pixman_box32_t src;
	uint16_t rop;
	int r = read_image(draw, error);

	if (!r)
		r = read_part(draw, &src, error);
	if (!r)
		r = read_rop_scale_mask(draw, &src, &rop, error);
	if (!r)
		raster_paint(draw->surface, &draw->region, &draw->source,
			     raster_rop(rop, ROPD_INVERS_SRC, ROPD_INVERS_DEST),
			     &draw->mask);
	return r;
}

/* The image goes there as it is, then the brush with the operation. */
static int opaque(struct draw *draw, struct error *error)
{
	pixman_box32_t src;
	uint16_t rop;
	int r = read_image(draw, error);

	if (!r)
		r = read_part(draw, &src, error);
	if (!r)
		r = read_brush(draw, error);
	if (!r)
		r = read_rop_scale_mask(draw, &src, &rop, error);
	if (r)
		return r;
	raster_paint(draw->surface, &draw->region, &draw->source,
		     raster_rop(ROPD_PUT, 0, 0), &draw->mask);
	raster_paint(draw->surface, &draw->region, &draw->brush,
		     raster_rop(rop, ROPD_INVERS_BRUSH, ROPD_INVERS_SRC),
		     &draw->mask);
	return 0;
}

static int rop3(struct draw *draw, struct error *error)
{
	pixman_box32_t src;
	uint8_t code;
	int r = read_image(draw, error);

	if (!r)
		r = read_part(draw, &src, error);
	if (!r)
		r = read_brush(draw, error);
	if (r)
		return r;
	code = bytes_u8(&draw->in);
	r = read_scale_mask(draw, &src, error);
	if (!r && draw->source.how != RASTER_PLAIN)
		return error_set(error, ENOTSUP,
				 "draw_rop3 with scaling is not drawn");
	if (!r)
		raster_rop3(draw->surface, &draw->region, &draw->source,
			    &draw->brush, code, &draw->mask);
	return r;
}

static int constant(struct draw *draw, uint16_t rop, struct error *error)
{
	int r = read_mask(draw, error);

	if (!r)
		raster_paint(draw->surface, &draw->region, &draw->brush,
			     raster_rop(rop, 0, 0), &draw->mask);
	return r;
}

static int transparent(struct draw *draw, struct error *error)
{
	pixman_box32_t src;
	uint32_t key;
	int r = read_image(draw, error);

	if (!r)
		r = read_part(draw, &src, error);
	if (r)
		return r;
	bytes_le32(&draw->in);
	key = bytes_le32(&draw->in);
	r = complete(draw, error);
	draw->source = raster_image(draw->image, &src, &draw->box, 1);
	if (!r)
		raster_transparent(draw->surface, &draw->region, &draw->source,
				   key);
	return r;
}

static int alpha_blend(struct draw *draw, struct error *error)
{
	pixman_box32_t src;
	uint8_t flags = bytes_u8(&draw->in), alpha = bytes_u8(&draw->in);
	int r = read_image(draw, error);

	if (!r)
		r = read_part(draw, &src, error);
	if (r)
		return r;
	(void)flags; /* formats say the same */
	draw->source = raster_image(draw->image, &src, &draw->box, 1);
	raster_blend(draw->surface, &draw->region, &draw->source, alpha);
	return 0;
}

static int copy_bits(struct draw *draw, struct error *error)
{
	int32_t x = (int32_t)bytes_le32(&draw->in);
	int32_t y = (int32_t)bytes_le32(&draw->in);
	pixman_box32_t at = {x, y, x, y};

	if (draw->in.bad || !in_bounds(&at))
		return error_set(error, EBADMSG,
				 "pixels to move are out of bounds");
	return raster_move(draw->surface, &draw->region, x - draw->box.x1,
			   y - draw->box.y1, error);
}

/*
 * What is not drawn yet still carries images that later messages refer to
 * (by cache or by GLZ window): these are read.
 */
static int not_drawn(struct draw *draw, uint16_t type, struct error *error)
{
	int r = 0;

	switch (type) {
	case DISPLAY_MESSAGE_draw_composite:
		bytes_le32(&draw->in);
		r = read_image(draw, error);
		break;
	case DISPLAY_MESSAGE_draw_text:
		bytes_le32(&draw->in);
		display_read_rect(&draw->in);
		r = read_brush(draw, error);
		break;
	}
	return r ? r
		 : error_set(error, ENOTSUP, "%s is not drawn",
			     display_message_name(type));
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
	case DISPLAY_MESSAGE_copy_bits:
		return copy_bits(draw, error);
	}
	return not_drawn(draw, type, error);
}

int display_draw(struct display *display, uint16_t type, struct bytes body,
		 struct error *error)
{
	struct draw draw = {.display = display, .body = body, .in = body};
	int r;

	pixman_region32_init(&draw.region);
	r = begin(&draw, error);
	if (!r)
		r = operate(&draw, type, error);
	end(&draw);
	return r;
}
