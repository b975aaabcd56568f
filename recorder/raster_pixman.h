/*
 * Surfaces and images as pixman sees them, for the operations that pixman
 * does: scaling, blending, compositing, text.
 *
 * SPICE's own renderers leave these to pixman, in the surface's own format;
 * so that every pixel is the same, images and surfaces of fewer than 32 bits
 * are packed as they are there. Nothing here is for users of raster.h.
 */
#ifndef RECORDER_RASTER_PIXMAN_H
#define RECORDER_RASTER_PIXMAN_H

#include "recorder/raster.h"

/* The part of a surface that a box covers; its pixel (0, 0) is the corner. */
struct raster_part {
	pixman_image_t *image;
	pixman_box32_t box;
	bool packed; /* a copy: raster_part_close brings it back */
};

/*
 * The box lies inside the surface. alpha: an xRGB surface's pad byte is taken
 * for alpha. -ENOMEM.
 */
int raster_part_open(struct raster_part *part, const struct surface *surface,
		     const pixman_box32_t *box, bool alpha,
		     struct error *error);
/* Drawing is done on the region (of the surface) only, from now on. */
bool raster_part_clip(struct raster_part *part,
		      const pixman_region32_t *region);
void raster_part_close(struct raster_part *part, struct surface *surface);

/*
 * An image as a surface's renderer has it: in the format that the surface's
 * format asks for, or as it is when `original` is set. Images of surfaces
 * keep their format, but for alpha. NULL: no memory.
 */
enum raster_alpha {
	RASTER_ALPHA_AS_IS,
	RASTER_ALPHA_PAD,  /* a surface's pad byte is alpha */
	RASTER_ALPHA_NONE, /* a surface's alpha is pad */
};
pixman_image_t *raster_pixman_image(const struct image *image,
				    uint32_t surface_format, bool original,
				    enum raster_alpha alpha);

/*
 * Transform (NULL = none), filter and repeat, which stay with the image
 * where `view`, from raster_pixman_image, is what the renderers have of it.
 */
bool raster_pixman_look(pixman_image_t *view, const struct image *image,
			const pixman_transform_t *transform,
			pixman_filter_t filter, pixman_repeat_t repeat);

/*
 * An image to draw in and keep: of the surface's format, or (0) of the same
 * as `like`. raster_pixman_keep puts its pixels into `image`, which has the
 * same size and must stay that long. NULL: no memory.
 */
pixman_image_t *raster_pixman_space(uint32_t surface_format,
				    pixman_image_t *like, struct image *image);
void raster_pixman_keep(pixman_image_t *space, struct image *image);

/*
 * Sets transform and filter so that src covers box; *at is where the
 * composition begins for the surface's pixel (x, y). False without memory.
 */
bool raster_pixman_scale(pixman_image_t *image,
			 const struct raster_source *source, int x, int y,
			 struct raster_point *at);

/* What is done to an xRGB surface's pad bytes when pixman has drawn. */
void raster_clear_pads(struct surface *surface, const pixman_box32_t *box);

#endif
