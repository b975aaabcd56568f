/*
 * A picture of 32-bit pixels, shared by counting references.
 *
 * Whatever a decoder makes ends up in this one form: a pixel is
 * 0xAARRGGBB in the machine's byte order; 16-bit sources are widened by
 * repeating their high bits, which loses nothing on the way back.
 */
#ifndef RECORDER_IMAGE_H
#define RECORDER_IMAGE_H

#include <pixman.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/error.h"

#define IMAGE_SIDE_MAX 16384u
#define IMAGE_PIXELS_MAX (32u << 20) /* 128 MiB */

enum image_format {
	IMAGE_XRGB,  /* the high byte means nothing */
	IMAGE_ARGB,  /* premultiplied */
	IMAGE_ALPHA, /* 0xAA000000; came without colours */
	IMAGE_MASK,  /* 1 = draw, 0 = leave */
};

/*
 * How an image or a surface was looked at when it was last a source. SPICE's
 * renderers keep that from one drawing to the next, and those that set no
 * transform (or filter) of their own get the last one.
 */
struct image_lens {
	bool transformed;
	pixman_transform_t transform;
	pixman_filter_t filter;
	pixman_repeat_t repeat;
};

struct image {
	unsigned refs; /* not for use by several threads */
	enum image_format format;
	bool lossy;              /* came as JPEG */
	bool is_555;             /* came with 15 bits a pixel */
	uint32_t raw;            /* of a surface: enum surface_format, whose
				    own bits the pixels are; else 0 */
	struct image_lens *lens; /* of a surface: that surface's */
	struct image_lens own;   /* what lens is otherwise */
	uint32_t width, height;  /* px, never 0 */
	size_t stride;           /* px from one row to the next */
	uint32_t *pixels;        /* top row first */
	bool borrowed;           /* pixels belong to a surface */
	void *memory;            /* that they are in, if they don't */
	size_t room;             /* px that fit there */
};

/*
 * All pixels 0. -EMSGSIZE when a side is 0 or over IMAGE_SIDE_MAX or there
 * are more than IMAGE_PIXELS_MAX; -ENOMEM.
 */
int image_new(struct image **image, uint32_t width, uint32_t height,
	      enum image_format format, struct error *error);
/*
 * Pixels are anything: the caller sets them all. Behind them is room for
 * PIXELS_SLACK more (pixels.h).
 */
int image_new_unset(struct image **image, uint32_t width, uint32_t height,
		    enum image_format format, struct error *error);
/* A view of pixels that stay somebody else's. */
int image_new_borrowed(struct image **image, uint32_t *pixels, uint32_t width,
		       uint32_t height, enum image_format format,
		       struct error *error);
/*
 * Pixels of all images that this thread has made so far, also of those that
 * it gave up: what decoding has cost it.
 */
uint64_t image_pixels_made(void);
struct image *image_ref(struct image *image);
void image_unref(struct image *image); /* NULL is fine */

/* Turns it upside down in place. */
void image_flip(struct image *image);
/* A copy of its own, in *copy, upside down if `turned`. */
int image_copy(struct image **copy, const struct image *image, bool turned,
	       struct error *error);

static inline uint32_t *image_row(const struct image *image, uint32_t y)
{
	return image->pixels + y * image->stride;
}

#endif
