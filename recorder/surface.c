/* Surfaces: memory, pixel formats, what is dirty. */
#include "recorder/surface.h"

#include <stdlib.h>
#include <string.h>

/* A dirty region of more rectangles is kept as its extents. */
#define DIRTY_RECTS_MAX 64

uint32_t surface_format_bits(uint32_t format)
{
	switch (format) {
	case SURFACE_1_A:
		return 1;
	case SURFACE_8_A:
		return 0xff;
	case SURFACE_16_555:
	case SURFACE_16_565:
		return 0xffff;
	case SURFACE_32_XRGB:
	case SURFACE_32_ARGB:
		return 0xffffffff;
	}
	return 0;
}

int surface_new(struct surface **out, uint32_t width, uint32_t height,
		uint32_t format, struct error *error)
{
	struct surface *s;

	*out = NULL;
	if (!surface_format_bits(format))
		return error_set(error, EBADMSG, "surface format %u is unknown",
				 format);
	if (!width || !height || width > IMAGE_SIDE_MAX ||
	    height > IMAGE_SIDE_MAX ||
	    (uint64_t)width * height > IMAGE_PIXELS_MAX)
		return error_set(error, EMSGSIZE,
				 "a surface of %u x %u pixels is out of "
				 "bounds",
				 width, height);
	s = calloc(1, sizeof(*s));
	if (s)
		s->pixels = calloc((size_t)width * height, sizeof(uint32_t));
	if (!s || !s->pixels) {
		free(s);
		return error_set(error, ENOMEM,
				 "no memory for a surface of %u x %u pixels",
				 width, height);
	}
	s->width = width;
	s->height = height;
	s->format = format;
	s->bits = surface_format_bits(format);
	surface_look_straight(s);
	pixman_region32_init_rect(&s->dirty, 0, 0, width, height);
	*out = s;
	return 0;
}

void surface_free(struct surface *s)
{
	if (!s)
		return;
	pixman_region32_fini(&s->dirty);
	free(s->pixels);
	free(s);
}

static uint32_t narrow(uint32_t format, uint32_t v)
{
	switch (format) {
	case SURFACE_16_555:
		return (v >> 9 & 0x7c00) | (v >> 6 & 0x3e0) | (v >> 3 & 0x1f);
	case SURFACE_16_565:
		return (v >> 8 & 0xf800) | (v >> 5 & 0x7e0) | (v >> 3 & 0x1f);
	case SURFACE_8_A:
		return v >> 24;
	case SURFACE_1_A:
		return v >> 31;
	}
	return v;
}

static uint32_t widen(uint32_t format, uint32_t v)
{
	uint32_t r, g, b;

	switch (format) {
	case SURFACE_16_555:
		r = v >> 10 & 31;
		g = v >> 5 & 31;
		g = g << 3 | g >> 2;
		break;
	case SURFACE_16_565:
		r = v >> 11 & 31;
		g = v >> 5 & 63;
		g = g << 2 | g >> 4;
		break;
	case SURFACE_8_A:
		return v << 24;
	case SURFACE_1_A:
		return v & 1 ? 0xff000000 : 0;
	default:
		return v;
	}
	b = v & 31;
	return (r << 3 | r >> 2) << 16 | g << 8 | (b << 3 | b >> 2);
}

void surface_narrow(const struct surface *s, uint32_t *pixels, size_t n)
{
	if (!surface_is_wide(s))
		for (size_t i = 0; i < n; i++)
			pixels[i] = narrow(s->format, pixels[i]);
}

void surface_format_widen(uint32_t format, uint32_t *pixels, size_t n)
{
	for (size_t i = 0; i < n; i++)
		pixels[i] = widen(format, pixels[i]);
}

void surface_widen(const struct surface *s, uint32_t *pixels, size_t n)
{
	if (!surface_is_wide(s))
		surface_format_widen(s->format, pixels, n);
}

void surface_look_straight(struct surface *s)
{
	s->lens = (struct image_lens){.filter = PIXMAN_FILTER_NEAREST};
}

int surface_image(struct surface *s, bool copy, struct image **image,
		  struct error *error)
{
	enum image_format format =
		s->format == SURFACE_32_XRGB || s->bits == 0xffff ? IMAGE_XRGB
								  : IMAGE_ARGB;
	size_t n = (size_t)s->width * s->height;
	int r;

	r = copy ? image_new(image, s->width, s->height, format, error)
		 : image_new_borrowed(image, s->pixels, s->width, s->height,
				      format, error);
	if (r)
		return r;
	if (copy)
		memcpy((*image)->pixels, s->pixels, n * sizeof(uint32_t));
	(*image)->raw = s->format;
	(*image)->lens = &s->lens;
	return 0;
}

void surface_touch(struct surface *s, pixman_region32_t *region)
{
	pixman_box32_t all;

	if (!pixman_region32_union(&s->dirty, &s->dirty, region)) {
		pixman_region32_fini(&s->dirty);
		pixman_region32_init_rect(&s->dirty, 0, 0, s->width, s->height);
		s->torn = true;
	}
	if (pixman_region32_n_rects(&s->dirty) <= DIRTY_RECTS_MAX)
		return;
	all = *pixman_region32_extents(&s->dirty);
	pixman_region32_fini(&s->dirty);
	pixman_region32_init_with_extents(&s->dirty, &all);
}
