/*
 * Raster operations: row by row, in spans that fit the first-level cache.
 *
 * Plain copies of images go straight from row to row.
 */
#include "recorder/raster.h"

#include <stdlib.h>
#include <string.h>

#define SPAN 1024

struct raster_rop raster_rop(uint16_t rop, uint16_t invert_source,
			     uint16_t invert_destination)
{
	struct raster_rop r = {.operation = ROPD_PUT};
	uint16_t operation =
		rop & (ROPD_PUT | ROPD_OR | ROPD_AND | ROPD_XOR |
		       ROPD_BLACKNESS | ROPD_WHITENESS | ROPD_INVERS);

	if (!operation)
		return r;
	r.operation = operation & -operation;
	if (rop & invert_source)
		r.source = 0xffffffff;
	if (rop & invert_destination)
		r.destination = 0xffffffff;
	if (rop & ROPD_INVERS_RES)
		r.result = 0xffffffff;
	return r;
}

void raster_mask_clip(const struct raster_mask *mask, pixman_region32_t *region)
{
	if (mask->image)
		pixman_region32_intersect_rect(region, region, -mask->x,
					       -mask->y, mask->image->width,
					       mask->image->height);
}

/* The span's source pixels become what is to stand on the surface. */
static void combine(const struct raster_rop *rop, uint32_t *span,
		    const uint32_t *row, unsigned n)
{
	uint32_t s = rop->source, d = rop->destination, r = rop->result;

	switch (rop->operation) {
	case ROPD_PUT:
		if (s ^ r)
			for (unsigned i = 0; i < n; i++)
				span[i] = ~span[i];
		break;
	case ROPD_OR:
		for (unsigned i = 0; i < n; i++)
			span[i] = ((span[i] ^ s) | (row[i] ^ d)) ^ r;
		break;
	case ROPD_AND:
		for (unsigned i = 0; i < n; i++)
			span[i] = ((span[i] ^ s) & (row[i] ^ d)) ^ r;
		break;
	case ROPD_XOR:
		for (unsigned i = 0; i < n; i++)
			span[i] = span[i] ^ row[i] ^ s ^ d ^ r;
		break;
	case ROPD_BLACKNESS:
		memset(span, 0, n * sizeof(*span));
		break;
	case ROPD_WHITENESS:
		memset(span, 0xff, n * sizeof(*span));
		break;
	default:
		for (unsigned i = 0; i < n; i++)
			span[i] = ~row[i];
		break;
	}
}

static void write_span(const struct surface *surface,
		       const struct raster_mask *mask, int32_t x, int32_t y,
		       const uint32_t *span, uint32_t *row, unsigned n)
{
	const uint32_t *set;

	if (!mask || !mask->image) {
		for (unsigned i = 0; i < n; i++)
			row[i] = span[i] & surface->bits;
		return;
	}
	set = image_row(mask->image, y + mask->y) + x + mask->x;
	for (unsigned i = 0; i < n; i++)
		if (set[i])
			row[i] = span[i] & surface->bits;
}

/* The source's pixels in the surface's bits. */
static void fetch_narrow(const struct surface *surface,
			 const struct raster_source *source, int32_t x,
			 int32_t y, uint32_t *span, unsigned n)
{
	const struct image *image = source->image;

	raster_fetch(source, x, y, span, n);
	if (source->how == RASTER_SOLID || image->raw == surface->format ||
	    (surface_is_wide(surface) && !image->raw &&
	     image->format != IMAGE_ALPHA))
		return;
	if (image->raw) {
		/* Bits go as they are where there are as many. */
		if (surface_format_bits(image->raw) == surface->bits)
			return;
		surface_format_widen(image->raw, span, n);
	} else if (image->format == IMAGE_XRGB && surface->bits <= 0xff) {
		memset(span, 0xff, n * sizeof(*span));
	} else if (image->format == IMAGE_ALPHA && surface->bits > 0xff) {
		memset(span, 0, n * sizeof(*span)); /* it has no colours */
	}
	surface_narrow(surface, span, n);
}

static void paint_box(struct surface *surface, const pixman_box32_t *box,
		      const struct raster_source *source,
		      const struct raster_rop *rop,
		      const struct raster_mask *mask)
{
	uint32_t span[SPAN];

	for (int32_t y = box->y1; y < box->y2; y++)
		for (int32_t x = box->x1; x < box->x2; x += SPAN) {
			uint32_t *row = surface_row(surface, y) + x;
			unsigned n = box->x2 - x < SPAN ? box->x2 - x : SPAN;

			fetch_narrow(surface, source, x, y, span, n);
			combine(rop, span, row, n);
			write_span(surface, mask, x, y, span, row, n);
		}
}

/* An image copied as it is: rows need no span in between. */
static void copy_box(struct surface *surface, const pixman_box32_t *box,
		     const struct raster_source *source)
{
	if (source->how == RASTER_SOLID &&
	    pixman_fill(surface->pixels, (int)surface->width, 32, box->x1,
			box->y1, box->x2 - box->x1, box->y2 - box->y1,
			source->colour))
		return;
	for (int32_t y = box->y1; y < box->y2; y++)
		raster_fetch(source, box->x1, y,
			     surface_row(surface, y) + box->x1,
			     box->x2 - box->x1);
}

static bool same_bits(const struct surface *surface,
		      const struct raster_source *source)
{
	if (source->how == RASTER_SOLID)
		return surface_is_wide(surface);
	if (source->image->format == IMAGE_ALPHA)
		return false;
	return surface->bits ==
	       (source->image->raw ? surface_format_bits(source->image->raw)
				   : 0xffffffff);
}

void raster_paint_box(struct surface *surface, const pixman_box32_t *box,
		      const struct raster_source *source,
		      const struct raster_rop *rop)
{
	paint_box(surface, box, source, rop, NULL);
}

static void paint_region(struct surface *surface, pixman_region32_t *region,
			 const struct raster_source *source,
			 const struct raster_rop *rop,
			 const struct raster_mask *mask)
{
	bool copy = rop->operation == ROPD_PUT && rop->source == rop->result &&
		    (!mask || !mask->image) && same_bits(surface, source);
	const pixman_box32_t *boxes;
	int n;

	boxes = pixman_region32_rectangles(region, &n);
	for (int i = 0; i < n; i++)
		if (copy)
			copy_box(surface, &boxes[i], source);
		else
			paint_box(surface, &boxes[i], source, rop, mask);
	surface_touch(surface, region);
}

/*
 * What a source gives on a region: scaled pixels as an image of their own,
 * and nothing where a plain image does not reach. *scaled is the caller's.
 */
static int prepare(const struct surface *surface, pixman_region32_t *region,
		   const struct raster_source *source, bool put,
		   struct raster_source *ready, struct image **scaled,
		   struct error *error)
{
	*scaled = NULL;
	*ready = *source;
	if (source->how == RASTER_NEAREST || source->how == RASTER_BILINEAR) {
		if (!pixman_region32_not_empty(region))
			return 0;
		return raster_scaled(source, surface->format, put,
				     pixman_region32_extents(region), ready,
				     scaled, error);
	}
	if (source->how == RASTER_PLAIN)
		pixman_region32_intersect_rect(
			region, region, source->box.x1 - source->src.x1,
			source->box.y1 - source->src.y1, source->image->width,
			source->image->height);
	return 0;
}

int raster_paint(struct surface *surface, const pixman_region32_t *region,
		 const struct raster_source *source, struct raster_rop rop,
		 const struct raster_mask *mask, struct error *error)
{
	struct raster_source ready;
	struct image *scaled;
	pixman_region32_t part;
	int r, put = rop.operation == ROPD_PUT && rop.source == rop.result;

	pixman_region32_init(&part);
	pixman_region32_copy(&part, (pixman_region32_t *)region);
	r = prepare(surface, &part, source, put, &ready, &scaled, error);
	if (!r)
		paint_region(surface, &part, &ready, &rop, mask);
	image_unref(scaled);
	pixman_region32_fini(&part);
	return r;
}

/*
 * A ternary operation as an exclusive or of products: term i is set when the
 * product of the operands named by i's bits (1 destination, 2 source, 4
 * brush) is part of it.
 */
struct ternary {
	uint32_t term[8];
};

static struct ternary ternary_of(uint8_t code)
{
	struct ternary t;

	for (unsigned i = 0; i < 8; i++)
		t.term[i] = code >> i & 1 ? 0xffffffff : 0;
	for (unsigned bit = 1; bit < 8; bit *= 2)
		for (unsigned i = 0; i < 8; i++)
			if (i & bit)
				t.term[i] ^= t.term[i ^ bit];
	return t;
}

static inline uint32_t ternary(const struct ternary *t, uint32_t p, uint32_t s,
			       uint32_t d)
{
	uint32_t none = t->term[0] ^ (t->term[1] & d) ^
			((t->term[2] ^ (t->term[3] & d)) & s);
	uint32_t with = t->term[4] ^ (t->term[5] & d) ^
			((t->term[6] ^ (t->term[7] & d)) & s);

	return none ^ (with & p);
}

static void ternary_box(struct surface *surface, const pixman_box32_t *box,
			const struct raster_source *source,
			const struct raster_source *brush, uint8_t code,
			const struct raster_mask *mask)
{
	uint32_t s[SPAN], p[SPAN];
	const struct ternary t = ternary_of(code);

	for (int32_t y = box->y1; y < box->y2; y++)
		for (int32_t x = box->x1; x < box->x2; x += SPAN) {
			uint32_t *row = surface_row(surface, y) + x;
			unsigned n = box->x2 - x < SPAN ? box->x2 - x : SPAN;

			fetch_narrow(surface, source, x, y, s, n);
			fetch_narrow(surface, brush, x, y, p, n);
			for (unsigned i = 0; i < n; i++)
				s[i] = ternary(&t, p[i], s[i], row[i]);
			write_span(surface, mask, x, y, s, row, n);
		}
}

int raster_rop3(struct surface *surface, pixman_region32_t *region,
		const struct raster_source *source,
		const struct raster_source *brush, uint8_t code,
		const struct raster_mask *mask, struct error *error)
{
	struct raster_source ready, coarse = *source;
	struct image *scaled;
	const pixman_box32_t *boxes;
	int n, r;

	coarse.coarse = true;
	if (source->how != RASTER_PLAIN &&
	    (source->image->raw || surface_is_wide(surface)))
		source->image->lens->transformed = false; /* even if clipped */
	r = prepare(surface, region, &coarse, false, &ready, &scaled, error);
	boxes = pixman_region32_rectangles(region, &n);
	for (int i = 0; !r && i < n; i++)
		ternary_box(surface, &boxes[i], &ready, brush, code, mask);
	if (!r)
		surface_touch(surface, region);
	image_unref(scaled);
	return r;
}

static void put_unless(struct surface *surface, const pixman_box32_t *box,
		       const struct raster_source *source, uint32_t key)
{
	uint32_t span[SPAN], bits = surface->bits & 0xffffff;

	for (int32_t y = box->y1; y < box->y2; y++)
		for (int32_t x = box->x1; x < box->x2; x += SPAN) {
			uint32_t *row = surface_row(surface, y) + x;
			unsigned n = box->x2 - x < SPAN ? box->x2 - x : SPAN;

			fetch_narrow(surface, source, x, y, span, n);
			for (unsigned i = 0; i < n; i++)
				if ((span[i] ^ key) & bits)
					row[i] = span[i];
		}
}

int raster_transparent(struct surface *surface, pixman_region32_t *region,
		       const struct raster_source *source, uint32_t key,
		       struct error *error)
{
	struct raster_source ready;
	struct image *scaled;
	const pixman_box32_t *boxes;
	int n, r;

	if (surface->bits <= 0xff)
		key = 0;
	surface_narrow(surface, &key, 1);
	r = prepare(surface, region, source, false, &ready, &scaled, error);
	boxes = pixman_region32_rectangles(region, &n);
	for (int i = 0; !r && i < n; i++)
		put_unless(surface, &boxes[i], &ready, key);
	if (!r)
		surface_touch(surface, region);
	image_unref(scaled);
	return r;
}

/* One box, onto itself at a distance: rows in the order that is safe. */
static void move_box(struct surface *surface, const pixman_box32_t *box,
		     int32_t dx, int32_t dy)
{
	size_t n = (size_t)(box->x2 - box->x1) * sizeof(uint32_t);
	int32_t rows = box->y2 - box->y1;

	for (int32_t i = 0; i < rows; i++) {
		int32_t y = dy < 0 ? box->y2 - 1 - i : box->y1 + i;

		memmove(surface_row(surface, y) + box->x1,
			surface_row(surface, y + dy) + box->x1 + dx, n);
	}
}

/* Several boxes may read what another has written: from a copy then. */
static int move_boxes(struct surface *surface, const pixman_box32_t *boxes,
		      int count, const pixman_box32_t *all, int32_t dx,
		      int32_t dy, struct error *error)
{
	size_t width = all->x2 - all->x1, height = all->y2 - all->y1;
	uint32_t *copy = malloc(width * height * sizeof(*copy));

	if (!copy)
		return error_set(error, ENOMEM, "no memory to move pixels");
	for (size_t y = 0; y < height; y++)
		memcpy(copy + y * width,
		       surface_row(surface, all->y1 + dy + y) + all->x1 + dx,
		       width * sizeof(*copy));
	for (const pixman_box32_t *box = boxes; box < boxes + count; box++)
		for (int32_t y = box->y1; y < box->y2; y++)
			memcpy(surface_row(surface, y) + box->x1,
			       copy + (y - all->y1) * width + box->x1 - all->x1,
			       (box->x2 - box->x1) * sizeof(*copy));
	free(copy);
	return 0;
}

int raster_move(struct surface *surface, pixman_region32_t *region, int32_t dx,
		int32_t dy, struct error *error)
{
	const pixman_box32_t *boxes;
	int n, r = 0;

	/* Both ends lie on the surface. */
	pixman_region32_intersect_rect(region, region, -dx, -dy, surface->width,
				       surface->height);
	boxes = pixman_region32_rectangles(region, &n);
	if (n == 1)
		move_box(surface, boxes, dx, dy);
	else if (n)
		r = move_boxes(surface, boxes, n,
			       pixman_region32_extents(region), dx, dy, error);
	surface_touch(surface, region);
	return r;
}
