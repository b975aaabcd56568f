/* Screen pixels into 4:2:0 planes, two rows at a time. */
#include "recorder/yuv.h"

#define SPAN 2048 /* px, even */

/* BT.709 for 16..235 and 16..240, in 1/32768. */
static void luma(const uint32_t *row, uint8_t *out, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint32_t p = row[i], r = p >> 16 & 255, g = p >> 8 & 255;

		out[i] = (r * 5983 + g * 20127 + (p & 255) * 2032 + (16 << 15) +
			  16384) >>
			 15;
	}
}

static void chroma(const uint32_t *top, const uint32_t *low, uint8_t *u,
		   uint8_t *v, unsigned n)
{
	for (unsigned i = 0; i < n; i++, top += 2, low += 2) {
		/* Sums of four 8-bit values, two of them in one word. */
		const uint32_t mask = 0x00ff00ff;
		uint32_t rb = (top[0] & mask) + (top[1] & mask) +
			      (low[0] & mask) + (low[1] & mask);
		int32_t g = (top[0] >> 8 & 255) + (top[1] >> 8 & 255) +
			    (low[0] >> 8 & 255) + (low[1] >> 8 & 255);
		int32_t r = rb >> 16, b = rb & 0xffff;

		u[i] = (r * -3298 + g * -11094 + b * 14392 + (128 << 17) +
			65536) >>
		       17;
		v[i] = (r * 14392 + g * -13073 + b * -1319 + (128 << 17) +
			65536) >>
		       17;
	}
}

static void convert_pair(const struct screen *screen, uint32_t x, uint32_t y,
			 uint32_t n, uint8_t *const planes[3],
			 const int strides[3])
{
	uint32_t space[2][SPAN];
	const uint32_t *rows[2];

	for (unsigned k = 0; k < 2; k++) {
		rows[k] = screen_row(screen, x, y + k, n, space[k]);
		luma(rows[k], planes[0] + (size_t)(y + k) * strides[0] + x, n);
	}
	chroma(rows[0], rows[1],
	       planes[1] + (size_t)(y / 2) * strides[1] + x / 2,
	       planes[2] + (size_t)(y / 2) * strides[2] + x / 2, n / 2);
}

void yuv_convert(const struct screen *screen, pixman_region32_t *region,
		 uint8_t *const planes[3], const int strides[3])
{
	const pixman_box32_t *boxes;
	int count;

	boxes = pixman_region32_rectangles(region, &count);
	for (const pixman_box32_t *b = boxes; b < boxes + count; b++) {
		uint32_t left = b->x1 & ~1, right = (b->x2 + 1) & ~1;

		for (uint32_t y = b->y1 & ~1; y < (uint32_t)b->y2; y += 2)
			for (uint32_t x = left; x < right; x += SPAN)
				convert_pair(screen, x, y,
					     right - x < SPAN ? right - x
							      : SPAN,
					     planes, strides);
	}
}
