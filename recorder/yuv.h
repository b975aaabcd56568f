/*
 * Screen pixels into what an encoder takes.
 *
 * 4:2:0 and 4:4:4 are BT.709, limited range; a chroma sample of 4:2:0 is the
 * mean of its four pixels. The other two are the pixels themselves.
 */
#ifndef RECORDER_YUV_H
#define RECORDER_YUV_H

#include <pixman.h>
#include <stdbool.h>
#include <stdint.h>

#include "recorder/screen.h"

enum yuv_format {
	YUV_420, /* planes Y, U, V */
	YUV_444,
	YUV_GBR, /* planes G, B, R */
	YUV_BGR0 /* one plane, 4 bytes a pixel */
};

/*
 * Converts what lies in the region, widened to even coordinates. Width and
 * height of the planes are even and those of the screen's canvas; planes a
 * format has not are ignored.
 */
void yuv_convert(enum yuv_format format, const struct screen *screen,
		 pixman_region32_t *region, uint8_t *const planes[3],
		 const int strides[3]);

/* The kernels below; vectors give the same bytes as plain C. */
struct yuv_kernels {
	/* n luma samples of n pixels */
	void (*luma)(const uint32_t *row, uint8_t *y, unsigned n);
	/* n chroma samples of 2 * n pixels in each of two rows */
	void (*chroma)(const uint32_t *top, const uint32_t *low, uint8_t *u,
		       uint8_t *v, unsigned n);
};

extern const struct yuv_kernels yuv_plain;
/* What this processor does fastest; maybe yuv_plain. */
const struct yuv_kernels *yuv_best(void);

#endif
