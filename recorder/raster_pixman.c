/* Surfaces and images in pixman's formats. */
#include "recorder/raster_pixman.h"

#include <math.h>
#include <string.h>

static pixman_format_code_t pixman_format(uint32_t surface_format)
{
	switch (surface_format) {
	case SURFACE_1_A:
		return PIXMAN_a1;
	case SURFACE_8_A:
		return PIXMAN_a8;
	case SURFACE_16_555:
		return PIXMAN_x1r5g5b5;
	case SURFACE_16_565:
		return PIXMAN_r5g6b5;
	case SURFACE_32_ARGB:
		return PIXMAN_a8r8g8b8;
	}
	return PIXMAN_x8r8g8b8;
}

/* The surface format whose bits a packed image's are; 0 for 32 bits. */
static uint32_t raw_format(pixman_format_code_t format)
{
	switch (format) {
	case PIXMAN_a1:
		return SURFACE_1_A;
	case PIXMAN_a8:
		return SURFACE_8_A;
	case PIXMAN_x1r5g5b5:
		return SURFACE_16_555;
	case PIXMAN_r5g6b5:
		return SURFACE_16_565;
	default:
		return 0;
	}
}

/* A word a pixel to as few bits as the format has, and back. */
static void pack_row(pixman_format_code_t format, const uint32_t *words,
		     void *row, size_t n)
{
	uint8_t *bytes = row;
	uint16_t *halves = row;

	for (size_t i = 0; i < n; i++)
		switch (PIXMAN_FORMAT_BPP(format)) {
		case 1:
			bytes[i / 8] = (bytes[i / 8] & ~(1 << i % 8)) |
				       (words[i] & 1) << i % 8;
			break;
		case 8:
			bytes[i] = (uint8_t)words[i];
			break;
		default:
			halves[i] = (uint16_t)words[i];
			break;
		}
}

static void unpack_row(pixman_format_code_t format, const void *row,
		       uint32_t *words, size_t n)
{
	const uint8_t *bytes = row;
	const uint16_t *halves = row;

	for (size_t i = 0; i < n; i++)
		switch (PIXMAN_FORMAT_BPP(format)) {
		case 1:
			words[i] = bytes[i / 8] >> i % 8 & 1;
			break;
		case 8:
			words[i] = bytes[i];
			break;
		default:
			words[i] = halves[i];
			break;
		}
}

static uint8_t *packed_row(pixman_image_t *image, int y)
{
	return (uint8_t *)pixman_image_get_data(image) +
	       (ptrdiff_t)y * pixman_image_get_stride(image);
}

int raster_part_open(struct raster_part *part, const struct surface *s,
		     const pixman_box32_t *box, bool alpha, struct error *error)
{
	pixman_format_code_t format = pixman_format(s->format);
	int width = box->x2 - box->x1, height = box->y2 - box->y1;

	if (alpha && format == PIXMAN_x8r8g8b8)
		format = PIXMAN_a8r8g8b8;
	part->box = *box;
	part->packed = !surface_is_wide(s);
	part->image = pixman_image_create_bits(
		format, width, height,
		part->packed ? NULL : surface_row(s, box->y1) + box->x1,
		part->packed ? 0 : (int)(s->width * sizeof(uint32_t)));
	if (!part->image)
		return error_set(error, ENOMEM, "no memory to draw");
	for (int y = 0; part->packed && y < height; y++)
		pack_row(format, surface_row(s, box->y1 + y) + box->x1,
			 packed_row(part->image, y), width);
	return 0;
}

bool raster_part_clip(struct raster_part *part, const pixman_region32_t *region)
{
	pixman_region32_t moved;
	bool good;

	pixman_region32_init(&moved);
	good = pixman_region32_copy(&moved, (pixman_region32_t *)region);
	pixman_region32_translate(&moved, -part->box.x1, -part->box.y1);
	good = good && pixman_image_set_clip_region32(part->image, &moved);
	pixman_region32_fini(&moved);
	return good;
}

void raster_part_close(struct raster_part *part, struct surface *s)
{
	const pixman_box32_t *box = &part->box;

	for (int y = box->y1; part->packed && y < box->y2; y++)
		unpack_row(pixman_format(s->format),
			   packed_row(part->image, y - box->y1),
			   surface_row(s, y) + box->x1, box->x2 - box->x1);
	pixman_image_unref(part->image);
}

/* A view of pixels that are 32 bits wide. */
static pixman_image_t *wide_view(const struct image *image,
				 pixman_format_code_t format)
{
	return pixman_image_create_bits(
		format, (int)image->width, (int)image->height, image->pixels,
		(int)(image->stride * sizeof(uint32_t)));
}

/* An image of a surface of fewer bits. */
static pixman_image_t *pack_raw(const struct image *image)
{
	pixman_format_code_t format = pixman_format(image->raw);
	pixman_image_t *packed = pixman_image_create_bits(
		format, (int)image->width, (int)image->height, NULL, 0);

	for (uint32_t y = 0; packed && y < image->height; y++)
		pack_row(format, image_row(image, y), packed_row(packed, y),
			 image->width);
	return packed;
}

/*
 * The renderers' own image of a surface is of its format; any other they
 * have kept, unless they had to convert it.
 */
static bool is_own(pixman_image_t *view, const struct image *image)
{
	pixman_format_code_t format = pixman_image_get_format(view);

	if (image->raw)
		return format == pixman_format(image->raw);
	return pixman_image_get_data(view) == image->pixels ||
	       (image->is_555 && format == PIXMAN_x1r5g5b5);
}

static pixman_image_t *as_before(pixman_image_t *view,
				 const struct image *image)
{
	const struct image_lens *lens = image->lens;

	if (!view || !is_own(view, image))
		return view;
	if (lens->transformed)
		pixman_image_set_transform(view, &lens->transform);
	pixman_image_set_filter(view, lens->filter, NULL, 0);
	pixman_image_set_repeat(view, lens->repeat);
	return view;
}

bool raster_pixman_look(pixman_image_t *view, const struct image *image,
			const pixman_transform_t *transform,
			pixman_filter_t filter, pixman_repeat_t repeat)
{
	struct image_lens *lens = image->lens;

	pixman_image_set_filter(view, filter, NULL, 0);
	pixman_image_set_repeat(view, repeat);
	if (transform && !pixman_image_set_transform(view, transform))
		return false;
	if (!is_own(view, image))
		return true;
	lens->filter = filter;
	lens->repeat = repeat;
	lens->transformed = lens->transformed || transform;
	if (transform)
		lens->transform = *transform;
	return true;
}

pixman_image_t *raster_pixman_image(const struct image *image,
				    uint32_t surface_format, bool original,
				    enum raster_alpha alpha)
{
	pixman_format_code_t own = PIXMAN_x8r8g8b8;
	pixman_format_code_t wanted = pixman_format(surface_format);
	pixman_image_t *view, *converted;
	bool alone = image->format == IMAGE_ALPHA;

	if (image->raw && image->raw != SURFACE_32_XRGB &&
	    image->raw != SURFACE_32_ARGB)
		return as_before(pack_raw(image), image);
	if (image->format == IMAGE_ARGB || alone)
		own = PIXMAN_a8r8g8b8;
	if (image->raw && alpha != RASTER_ALPHA_AS_IS)
		own = alpha == RASTER_ALPHA_PAD ? PIXMAN_a8r8g8b8
						: PIXMAN_x8r8g8b8;
	view = wide_view(image, own);
	if (alone && PIXMAN_FORMAT_BPP(wanted) == 32)
		wanted = PIXMAN_x8r8g8b8;
	if (!view || image->raw || original ||
	    (PIXMAN_FORMAT_BPP(wanted) == 32 && !alone))
		return as_before(view, image);
	converted = pixman_image_create_bits(wanted, (int)image->width,
					     (int)image->height, NULL, 0);
	if (converted)
		pixman_image_composite32(PIXMAN_OP_SRC, view, NULL, converted,
					 0, 0, 0, 0, 0, 0, (int)image->width,
					 (int)image->height);
	pixman_image_unref(view);
	return as_before(converted, image);
}

/* A view as renderers of that surface format have it, converted, in `to`. */
static bool convert(pixman_image_t *view, uint32_t surface_format,
		    struct image *to)
{
	pixman_image_t *space = raster_pixman_space(surface_format, view, to);

	if (!space)
		return false;
	pixman_image_composite32(PIXMAN_OP_SRC, view, NULL, space, 0, 0, 0, 0,
				 0, 0, (int)to->width, (int)to->height);
	raster_pixman_keep(space, to);
	pixman_image_unref(space);
	if (to->raw)
		surface_format_widen(to->raw, to->pixels,
				     (size_t)to->width * to->height);
	to->raw = 0;
	return true;
}

/* Renderers have it in the surface's format, or convert it to that. */
static bool is_of_format(const struct image *image, uint32_t surface_format)
{
	if (image->is_555)
		return surface_format == SURFACE_16_555;
	return PIXMAN_FORMAT_BPP(pixman_format(surface_format)) == 32;
}

int raster_as_kept(struct image **image, uint32_t surface_format,
		   struct error *error)
{
	struct image *kept = *image, *converted;
	pixman_image_t *view;
	int r;

	if (kept->raw || kept->refs == 1 || kept->format == IMAGE_ALPHA ||
	    surface_format == SURFACE_8_A || surface_format == SURFACE_1_A ||
	    is_of_format(kept, surface_format) ||
	    (!kept->is_555 && !kept->own.transformed))
		return 0;
	r = image_new(&converted, kept->width, kept->height, kept->format,
		      error);
	if (r)
		return r;
	view = as_before(wide_view(kept, kept->format == IMAGE_ARGB
						 ? PIXMAN_a8r8g8b8
						 : PIXMAN_x8r8g8b8),
			 kept);
	if (!view || !convert(view, surface_format, converted))
		r = error_set(error, ENOMEM, "no memory to convert an image");
	if (view)
		pixman_image_unref(view);
	image_unref(r ? converted : kept);
	if (!r)
		*image = converted;
	return r;
}

/* May be any number; pixman wants it whole. */
static pixman_fixed_t fixed(int32_t v)
{
	return (pixman_fixed_t)((uint32_t)v << 16);
}

pixman_image_t *raster_pixman_space(uint32_t surface_format,
				    pixman_image_t *like, struct image *image)
{
	pixman_format_code_t format = surface_format
					      ? pixman_format(surface_format)
					      : pixman_image_get_format(like);

	image->raw = raw_format(format);
	image->format = format == PIXMAN_a8r8g8b8 ? IMAGE_ARGB : IMAGE_XRGB;
	return image->raw
		       ? pixman_image_create_bits(format, (int)image->width,
						  (int)image->height, NULL, 0)
		       : wide_view(image, format);
}

void raster_pixman_keep(pixman_image_t *space, struct image *image)
{
	for (uint32_t y = 0; image->raw && y < image->height; y++)
		unpack_row(pixman_image_get_format(space),
			   packed_row(space, (int)y), image_row(image, y),
			   image->width);
}

/* As far as `part` of `whole` pixels go in `box` pixels. */
static int coarse_offset(int32_t part, int64_t whole, int32_t box)
{
	double at = part / ((double)whole / box);

	return fabs(at) < INT32_MAX / 2 ? (int)floor(at + 0.5) : INT32_MAX / 2;
}

bool raster_pixman_scale(pixman_image_t *image, const struct raster_source *s,
			 int x, int y, struct raster_point *at)
{
	int64_t width = s->src.x2 - s->src.x1, height = s->src.y2 - s->src.y1;
	int32_t box_width = s->box.x2 - s->box.x1;
	int32_t box_height = s->box.y2 - s->box.y1;
	pixman_transform_t t;

	*at = (struct raster_point){x - s->box.x1, y - s->box.y1};
	pixman_transform_init_scale(
		&t, (pixman_fixed_t)(width * 65536 / box_width),
		(pixman_fixed_t)(height * 65536 / box_height));
	if (s->coarse) {
		at->x += coarse_offset(s->src.x1, width, box_width);
		at->y += coarse_offset(s->src.y1, height, box_height);
	} else {
		pixman_transform_translate(&t, NULL, fixed(s->src.x1),
					   fixed(s->src.y1));
	}
	if (!raster_pixman_look(image, s->image, &t,
				s->how == RASTER_NEAREST ? PIXMAN_FILTER_NEAREST
							 : PIXMAN_FILTER_GOOD,
				PIXMAN_REPEAT_NONE))
		return false;
	/* Scaling alone is undone. */
	if (is_own(image, s->image))
		s->image->lens->transformed = false;
	return true;
}
