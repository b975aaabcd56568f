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
	bool coarse;        /* scaled: src begins at a whole pixel of box */
};

/*
 * Part of the image at src, to cover box: PLAIN when the sizes are equal,
 * else scaled as `mode` says (SPICE_IMAGE_SCALE_MODE: 0 interpolate, 1
 * nearest). Where the image does not reach, a plain one leaves the surface
 * as it is and a scaled one gives 0.
 */
struct raster_source raster_image(const struct image *image,
				  const pixman_box32_t *src,
				  const pixman_box32_t *box, uint8_t mode);

/*
 * An image of a cache as a drawing on a surface of that format gets it:
 * converted, if it has to be, through what it was last looked at with.
 * *image may become another one. -ENOMEM.
 */
int raster_as_kept(struct image **image, uint32_t surface_format,
		   struct error *error);

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

/* The ones below return 0 or -ENOMEM; regions may become smaller. */
int raster_paint(struct surface *surface, const pixman_region32_t *region,
		 const struct raster_source *source, struct raster_rop rop,
		 const struct raster_mask *mask, struct error *error);
/* One box inside the surface, from a solid or tiled source. */
void raster_paint_box(struct surface *surface, const pixman_box32_t *box,
		      const struct raster_source *source,
		      const struct raster_rop *rop);
/*
 * A ternary operation: bit (P << 2 | S << 1 | D) of the code is the result
 * for brush bit P, source bit S and destination bit D.
 */
int raster_rop3(struct surface *surface, pixman_region32_t *region,
		const struct raster_source *source,
		const struct raster_source *brush, uint8_t code,
		const struct raster_mask *mask, struct error *error);
/* Pixels whose colour equals the key 0xRRGGBB stay away. */
int raster_transparent(struct surface *surface, pixman_region32_t *region,
		       const struct raster_source *source, uint32_t key,
		       struct error *error);
/*
 * Porter-Duff OVER, the source's alpha times alpha / 255. The flags are
 * SPICE_ALPHA_FLAGS_*: pad bytes of 32-bit surfaces are alpha.
 */
#define RASTER_DEST_HAS_ALPHA 1
#define RASTER_SOURCE_HAS_ALPHA 2
int raster_blend(struct surface *surface, pixman_region32_t *region,
		 const struct raster_source *source, uint8_t alpha,
		 uint8_t flags, struct error *error);
/* The region takes the pixels that lie (dx, dy) from it; may overlap. */
int raster_move(struct surface *surface, pixman_region32_t *region, int32_t dx,
		int32_t dy, struct error *error);

/*
 * SPICE's COMPOSITE, which is pixman's: flags are those of the message
 * (SPICE_COMPOSITE_*): bits 0-7 the operation, 8-10 and 11-13 the filters,
 * 14-15 and 16-17 the repeats of source and mask, 18 component alpha, 22
 * an ARGB surface as source is opaque.
 */
#define RASTER_HAS_MASK (1u << 19)
#define RASTER_HAS_SOURCE_TRANSFORM (1u << 20)
#define RASTER_HAS_MASK_TRANSFORM (1u << 21)
#define RASTER_SOURCE_OPAQUE (1u << 22)

struct raster_operand {
	const struct image *image;
	int32_t x, y; /* of the image that lies at the box */
	bool transformed;
	pixman_transform_t transform;
};

struct raster_composite {
	uint32_t flags;
	pixman_box32_t box;
	struct raster_operand source, mask; /* mask.image may be NULL */
};

/* There are such an operation and filters, which need no parameters. */
bool raster_composite_good(const struct raster_composite *composite);
int raster_composite(struct surface *surface, pixman_region32_t *region,
		     const struct raster_composite *composite,
		     struct error *error);

/* A glyph: its rows are whole bytes, the bottom one first. */
struct raster_glyph {
	int32_t x, y; /* of the top left corner on the surface */
	uint16_t width, height;
	const uint8_t *bits;
};

/* Bytes of one row of a glyph of that depth (1, 4 or 8 bits a pixel). */
static inline size_t raster_glyph_row(unsigned depth, unsigned width)
{
	return ((size_t)width * depth + 7) / 8;
}

/*
 * The brush, solid or tiled, OVER the surface through the coverage of all
 * glyphs; its tiles begin at the text's top left corner. Work is limited by
 * the glyphs' bytes and the region.
 */
int raster_text(struct surface *surface, pixman_region32_t *region,
		const struct raster_glyph *glyphs, unsigned count,
		unsigned depth, const struct raster_source *brush,
		struct error *error);

struct raster_point {
	int32_t x, y;
};

/* What lines are drawn with. Regions of several boxes are costly. */
struct raster_pen {
	struct surface *surface;
	const pixman_region32_t *region;
	const struct raster_source *brush; /* solid or tiled */
	struct raster_rop rop;
	uint64_t budget; /* spans that may still be tried */
};
#define RASTER_PEN_BUDGET (1u << 26) /* below a second's work */

/*
 * A polyline one pixel wide, as X11 draws lines of width 0; the last point
 * of each piece is left out. -EMSGSIZE when the budget is spent.
 */
int raster_lines(struct raster_pen *pen, const struct raster_point *points,
		 size_t count, struct error *error);

/* Lengths of dash, gap, dash …, and how far into them a line begins. */
struct raster_dash {
	uint8_t lengths[256]; /* px, not all 0 */
	unsigned count, offset;
};

/* The dashes of a polyline; -EBADMSG when they have no length. */
int raster_dashes(struct raster_pen *pen, const struct raster_point *points,
		  size_t count, const struct raster_dash *dash,
		  struct error *error);

/*
 * n pixels of a source that is not scaled, from surface position (x, y) on,
 * as they are in the image.
 */
void raster_fetch(const struct raster_source *source, int32_t x, int32_t y,
		  uint32_t *out, unsigned n);
/*
 * The area (of a surface of that format) of a scaled source, as an image of
 * its own, which the caller unrefs, and as the PLAIN source it is then. put:
 * it goes to the surface as it is.
 */
int raster_scaled(const struct raster_source *source, uint32_t format, bool put,
		  const pixman_box32_t *area, struct raster_source *plain,
		  struct image **image, struct error *error);

#endif
