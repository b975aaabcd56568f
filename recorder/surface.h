/*
 * A drawing surface of the guest.
 *
 * Every pixel takes a word, whatever its format: in the surface's own bits,
 * so that raster operations, which work on bits, are right for all of them.
 * What was drawn since somebody looked is kept as a region.
 */
#ifndef RECORDER_SURFACE_H
#define RECORDER_SURFACE_H

#include <pixman.h>
#include <stdbool.h>
#include <stdint.h>

#include "recorder/error.h"
#include "recorder/image.h"

/* SPICE_SURFACE_FMT_* */
enum surface_format {
	SURFACE_1_A = 1,
	SURFACE_8_A = 8,
	SURFACE_16_555 = 16,
	SURFACE_32_XRGB = 32,
	SURFACE_16_565 = 80,
	SURFACE_32_ARGB = 96,
};

struct surface {
	uint32_t width, height; /* px */
	uint32_t format;
	uint32_t bits;    /* that a pixel has, as a mask */
	uint32_t *pixels; /* width * height, top row first */
	pixman_region32_t dirty;
	bool torn; /* there was no memory for a region drawn on */
	struct image_lens lens;
};

/* Filled with 0, dirty as a whole. -EBADMSG, -EMSGSIZE, -ENOMEM. */
int surface_new(struct surface **surface, uint32_t width, uint32_t height,
		uint32_t format, struct error *error);
void surface_free(struct surface *surface);

static inline uint32_t *surface_row(const struct surface *surface, int32_t y)
{
	return surface->pixels + (size_t)y * surface->width;
}

/* The bits that a pixel has; 0 when there is no such format. */
uint32_t surface_format_bits(uint32_t format);
void surface_format_widen(uint32_t format, uint32_t *pixels, size_t n);
/* Pixels of an image (0xAARRGGBB) into the surface's bits, in place. */
void surface_narrow(const struct surface *surface, uint32_t *pixels, size_t n);
/* And back. */
void surface_widen(const struct surface *surface, uint32_t *pixels, size_t n);
static inline bool surface_is_wide(const struct surface *surface)
{
	return surface->bits == 0xffffffff;
}

/* Forgets how it was looked at. */
void surface_look_straight(struct surface *surface);

/*
 * The surface as an image whose pixels are in its own bits (image->raw). A
 * view when no copy is asked for; it must be gone before the surface is.
 */
int surface_image(struct surface *surface, bool copy, struct image **image,
		  struct error *error);

/*
 * Says that a region (inside the surface) was drawn on. Without memory all of
 * the surface is dirty, and it is torn.
 */
void surface_touch(struct surface *surface, pixman_region32_t *region);

#endif
