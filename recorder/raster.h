/*
 * Raster operations of the SPICE display channel on a surface.
 *
 * Each takes the region to draw on, already cut to the surface, and marks it
 * dirty. Coordinates are within +-RASTER_COORDINATE_MAX, so that sums and
 * the scaling below stay within 64 bits.
 */
#ifndef RECORDER_RASTER_H
#define RECORDER_RASTER_H

#include <pixman.h>
#include <stdbool.h>
#include <stdint.h>

#include "recorder/image.h"
#include "recorder/surface.h"

#define RASTER_COORDINATE_MAX (1 << 24)

/* Where pixels come from. */
enum raster_how {
	RASTER_SOLID,   /* colour */
	RASTER_PLAIN,   /* src.x1, y1 of the image lies at the box */
	RASTER_TILED,   /* repeated; src.x1, y1 is the origin */
	RASTER_NEAREST, /* src scaled to the box */
	RASTER_BILINEAR,
};

struct raster_source {
	enum raster_how how;
	uint32_t colour; /* in the surface's own bits */
	const struct image *image;
	pixman_box32_t box; /* on the surface */
	pixman_box32_t src; /* on the image */
};

/*
 * Part of the image at src, to cover box: PLAIN when the sizes are equal,
 * else scaled as `mode` says (SPICE_IMAGE_SCALE_MODE: 0 interpolate, 1
 * nearest). Pixels outside the image count as 0.
 */
struct raster_source raster_image(const struct image *image,
				  const pixman_box32_t *src,
				  const pixman_box32_t *box, uint8_t mode);

/* SPICE_ROPD_* */
#define ROPD_INVERS_SRC 1
#define ROPD_INVERS_BRUSH 2
#define ROPD_INVERS_DEST 4
#define ROPD_PUT 8
#define ROPD_OR 16
#define ROPD_AND 32
#define ROPD_XOR 64
#define ROPD_BLACKNESS 128
#define ROPD_WHITENESS 256
#define ROPD_INVERS 512
#define ROPD_INVERS_RES 1024

/*
 * An operation with two operands; the first bit set of PUT ... INVERS decides.
 * invert_* are the bits of `rop` that turn over source and destination.
 */
struct raster_rop {
	uint16_t operation; /* one of ROPD_PUT .. ROPD_INVERS */
	uint32_t source, destination, result; /* xored with these */
};

struct raster_rop raster_rop(uint16_t rop, uint16_t invert_source,
			     uint16_t invert_destination);

/* Draws only where the mask, laid with (x, y) at box x1, y1, is set. */
struct raster_mask {
	const struct image *image; /* IMAGE_MASK; NULL = everywhere */
	int32_t x, y;              /* mask = surface + this */
};

/* Cuts the region to the mask's extents. */
void raster_mask_clip(const struct raster_mask *mask,
		      pixman_region32_t *region);

void raster_paint(struct surface *surface, pixman_region32_t *region,
		  const struct raster_source *source, struct raster_rop rop,
		  const struct raster_mask *mask);
/*
 * A ternary operation: bit (P << 2 | S << 1 | D) of the code is the result
 * for brush bit P, source bit S and destination bit D.
 */
void raster_rop3(struct surface *surface, pixman_region32_t *region,
		 const struct raster_source *source,
		 const struct raster_source *brush, uint8_t code,
		 const struct raster_mask *mask);
/* Pixels whose low 24 bits equal the key stay away. */
void raster_transparent(struct surface *surface, pixman_region32_t *region,
			const struct raster_source *source, uint32_t key);
/* Porter-Duff OVER, the source's alpha times alpha / 255. */
void raster_blend(struct surface *surface, pixman_region32_t *region,
		  const struct raster_source *source, uint8_t alpha);
/* The region takes the pixels that lie (dx, dy) from it; may overlap. */
int raster_move(struct surface *surface, pixman_region32_t *region, int32_t dx,
		int32_t dy, struct error *error);

/* n pixels of the source from surface position (x, y) on, 0xAARRGGBB. */
void raster_fetch(const struct raster_source *source, int32_t x, int32_t y,
		  uint32_t *out, unsigned n);

#endif
