/* The fields of drawing messages. */
#include "recorder/display_draw.h"

pixman_box32_t display_read_rect(struct bytes *in)
{
	pixman_box32_t box;

	box.y1 = (int32_t)bytes_le32(in);
	box.x1 = (int32_t)bytes_le32(in);
	box.y2 = (int32_t)bytes_le32(in);
	box.x2 = (int32_t)bytes_le32(in);
	return box;
}

bool draw_in_bounds(const pixman_box32_t *box)
{
	const int32_t max = RASTER_COORDINATE_MAX, *v = &box->x1;

	for (unsigned i = 0; i < 4; i++)
		if (v[i] < -max || v[i] > max)
			return false;
	return true;
}

static bool intersect(pixman_box32_t *a, const pixman_box32_t *b)
{
	a->x1 = a->x1 > b->x1 ? a->x1 : b->x1;
	a->y1 = a->y1 > b->y1 ? a->y1 : b->y1;
	a->x2 = a->x2 < b->x2 ? a->x2 : b->x2;
	a->y2 = a->y2 < b->y2 ? a->y2 : b->y2;
	return a->x1 < a->x2 && a->y1 < a->y2;
}

static int out_of_bounds(struct error *error)
{
	return error_set(error, EBADMSG,
			 "a drawing's place or clip is out of bounds");
}

/* At most 256 rectangles, cut by `all`, joined to the region. */
static int read_some(struct bytes *in, unsigned n, const pixman_box32_t *all,
		     pixman_region32_t *region, struct error *error)
{
	pixman_box32_t boxes[256];
	pixman_region32_t some;
	unsigned kept = 0;
	bool good;

	for (unsigned i = 0; i < n; i++) {
		boxes[kept] = display_read_rect(in);
		kept += intersect(&boxes[kept], all);
	}
	good = pixman_region32_init_rects(&some, boxes, (int)kept) &&
	       pixman_region32_union(region, region, &some);
	pixman_region32_fini(&some);
	if (!good)
		return error_set(error, ENOMEM, "no memory for a clip");
	if (pixman_region32_n_rects(region) > (int)DISPLAY_CLIP_BOXES)
		return out_of_bounds(error);
	return 0;
}

static int read_rects(struct bytes *in, const pixman_box32_t *all,
		      pixman_region32_t *region, struct error *error)
{
	uint32_t n = bytes_le32(in);
	int r = 0;

	if (in->bad || n > bytes_left(in) / 16)
		return out_of_bounds(error);
	while (!r && n) {
		unsigned now = n < 256 ? n : 256;

		r = read_some(in, now, all, region, error);
		n -= now;
	}
	return r;
}

int display_read_clip(struct bytes *in, const struct surface *surface,
		      const pixman_box32_t *box, pixman_region32_t *region,
		      struct error *error)
{
	pixman_box32_t all = {0, 0, surface->width, surface->height};
	uint8_t type = bytes_u8(in);
	bool some;

	pixman_region32_init(region);
	if (in->bad || !draw_in_bounds(box))
		return out_of_bounds(error);
	some = intersect(&all, box);
	if (type == 1) /* SPICE_CLIP_TYPE_RECTS */
		return read_rects(in, &all, region, error);
	if (some)
		pixman_region32_init_with_extents(region, &all);
	return 0;
}

int draw_begin(struct draw *draw, struct error *error)
{
	uint32_t id = bytes_le32(&draw->in);

	draw->box = display_read_rect(&draw->in);
	draw->surface = display_surface(draw->display, id, error);
	if (!draw->surface)
		return -EBADMSG;
	draw->display->target = draw->surface;
	draw->display->reader.onto = draw->surface->format;
	return display_read_clip(&draw->in, draw->surface, &draw->box,
				 &draw->region, error);
}

void draw_end(struct draw *draw)
{
	image_unref(draw->image);
	image_unref(draw->brush.image);
	image_unref(draw->back.image);
	image_unref(draw->mask_image);
	pixman_region32_fini(&draw->region);
}

int draw_complete(const struct draw *draw, struct error *error)
{
	return draw->in.bad
		       ? error_set(error, EBADMSG, "a drawing is cut short")
		       : 0;
}

static int read_image_at(struct draw *draw, uint32_t at, struct image **image,
			 struct error *error)
{
	struct image_reader *reader = &draw->display->reader;
	int r = image_read(reader, draw->body, at, image, error);

	if (r || reader->unconverted)
		return r;
	return raster_as_kept(image, reader->onto, error);
}

int draw_read_image(struct draw *draw, struct image **image,
		    struct error *error)
{
	return read_image_at(draw, bytes_le32(&draw->in), image, error);
}

int draw_read_part(struct draw *draw, pixman_box32_t *src, struct error *error)
{
	int r = draw_read_image(draw, &draw->image, error);

	if (r)
		return r;
	*src = display_read_rect(&draw->in);
	if (draw->in.bad || !draw_in_bounds(src))
		return error_set(error, EBADMSG,
				 "the part of an image is out of bounds");
	return 0;
}

int draw_read_brush(struct draw *draw, struct draw_brush *brush,
		    struct error *error)
{
	struct raster_source *b = &brush->source;
	uint32_t at;
	int r;

	*b = (struct raster_source){.how = RASTER_SOLID};
	switch (bytes_u8(&draw->in)) {
	case 0: /* SPICE_BRUSH_TYPE_NONE */
		brush->none = true;
		break;
	case 1: /* SPICE_BRUSH_TYPE_SOLID */
		b->colour = bytes_le32(&draw->in);
		break;
	case 2: /* SPICE_BRUSH_TYPE_PATTERN */
		at = bytes_le32(&draw->in);
		b->src.x1 = (int32_t)bytes_le32(&draw->in);
		b->src.y1 = (int32_t)bytes_le32(&draw->in);
		b->src.x2 = b->src.x1;
		b->src.y2 = b->src.y1;
		if (draw->in.bad || !draw_in_bounds(&b->src))
			return error_set(error, EBADMSG,
					 "a brush is out of bounds");
		r = read_image_at(draw, at, &brush->image, error);
		if (r)
			return r;
		b->how = RASTER_TILED;
		b->image = brush->image;
		break;
	}
	return draw_complete(draw, error);
}

int draw_read_mask(struct draw *draw, struct error *error)
{
	bool inverted = bytes_u8(&draw->in) & 1;
	int32_t x = (int32_t)bytes_le32(&draw->in);
	int32_t y = (int32_t)bytes_le32(&draw->in);
	pixman_box32_t at = {x, y, x, y};
	uint32_t image = bytes_le32(&draw->in);
	int r;

	if (draw->in.bad || !draw_in_bounds(&at))
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

int draw_read_scale_mask(struct draw *draw, const pixman_box32_t *src,
			 struct error *error)
{
	uint8_t mode = bytes_u8(&draw->in);

	draw->source = raster_image(draw->image, src, &draw->box, mode);
	return draw_read_mask(draw, error);
}
