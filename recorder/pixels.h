/*
 * Runs of pixels, eight at a time; for inlining into kernels (cpu.h).
 *
 * The _wide functions write up to PIXELS_SLACK pixels more than they are
 * asked to, and read as many more: images have room for it behind their last
 * row, and what was written too much is written again or never looked at.
 */
#ifndef RECORDER_PIXELS_H
#define RECORDER_PIXELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PIXELS_SLACK 8u
#define PIXELS_INLINE __attribute__((always_inline)) static inline

/* Unaligned; may be the same memory as single pixels. */
typedef uint32_t pixels8
	__attribute__((vector_size(32), aligned(4), may_alias));
typedef uint16_t halves8
	__attribute__((vector_size(16), aligned(1), may_alias));
typedef uint8_t bytes16 __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint8_t bytes8 __attribute__((vector_size(8), aligned(1), may_alias));

PIXELS_INLINE void pixels_fill(uint32_t *to, uint32_t v, size_t n)
{
	pixels8 eight = {v, v, v, v, v, v, v, v};
	size_t i = 0;

	for (; i + 8 <= n; i += 8)
		*(pixels8 *)(to + i) = eight;
	for (; i < n; i++)
		to[i] = v;
}

PIXELS_INLINE void pixels_fill_wide(uint32_t *to, uint32_t v, size_t n)
{
	pixels8 eight = {v, v, v, v, v, v, v, v};

	for (size_t i = 0; i < n; i += 8)
		*(pixels8 *)(to + i) = eight;
}

/* From elsewhere, or from at least eight pixels before. */
PIXELS_INLINE void pixels_copy_wide(uint32_t *to, const uint32_t *from,
				    size_t n)
{
	for (size_t i = 0; i < n; i += 8)
		*(pixels8 *)(to + i) = *(const pixels8 *)(from + i);
}

/*
 * For a repetition of a short distance: so many pixels go one by one, then
 * eight at a time from the least multiple of the distance that is not below
 * eight.
 */
static const uint8_t pixels_singly[8] = {0, 7, 6, 6, 4, 5, 6, 7};

/* Each pixel is what stands `distance` before it. */
PIXELS_INLINE void pixels_repeat_wide(uint32_t *to, size_t distance, size_t n)
{
	size_t singly;

	if (distance == 1) {
		pixels_fill_wide(to, to[-1], n);
		return;
	}
	if (distance < 8) {
		singly = pixels_singly[distance];
		if (singly > n)
			singly = n;
		for (size_t i = 0; i < singly; i++, to++)
			*to = to[-(ptrdiff_t)distance];
		n -= singly;
		distance += pixels_singly[distance];
	}
	pixels_copy_wide(to, to - distance, n);
}

#define PIXELS_ALPHA 0xff000000u

/* Of eight pixels the alpha alone. */
PIXELS_INLINE void pixels_set_alpha(uint32_t *to, const pixels8 *alpha)
{
	pixels8 *at = (pixels8 *)to;

	*at = (*at & ~PIXELS_ALPHA) | (*alpha & PIXELS_ALPHA);
}

PIXELS_INLINE void pixels_copy_alpha_wide(uint32_t *to, const uint32_t *from,
					  size_t n)
{
	for (size_t i = 0; i < n; i += 8)
		pixels_set_alpha(to + i, (const pixels8 *)(from + i));
}

PIXELS_INLINE void pixels_repeat_alpha_wide(uint32_t *to, size_t distance,
					    size_t n)
{
	if (distance >= 8) {
		pixels_copy_alpha_wide(to, to - distance, n);
		return;
	}
	for (size_t i = 0; i < n; i++, to++)
		*to = (*to & ~PIXELS_ALPHA) |
		      (to[-(ptrdiff_t)distance] & PIXELS_ALPHA);
}

/* Eight pixels x1r5g5b5, of the other byte order if `turned`. */
PIXELS_INLINE void pixels_of_16(uint32_t *to, const uint8_t *from, bool turned)
{
	halves8 half = *(const halves8 *)from;
	pixels8 v;

	if (turned)
		half = half << 8 | half >> 8;
	v = __builtin_convertvector(half, pixels8);
	*(pixels8 *)to = (v & 0x7c00) << 9 | (v & 0x7000) << 4 |
			 (v & 0x3e0) << 6 | (v & 0x380) << 1 | (v & 0x1f) << 3 |
			 (v & 0x1c) >> 2;
}

/* Four pixels of 12 bytes B, G, R; reads 16. For little-endian machines. */
PIXELS_INLINE void pixels_of_24(uint32_t *to, const uint8_t *from)
{
	bytes16 v = *(const bytes16 *)from, zero = {0};

	*(bytes16 *)to = __builtin_shufflevector(
		v, zero, 0, 1, 2, 16, 3, 4, 5, 16, 6, 7, 8, 16, 9, 10, 11, 16);
}

/* The alpha of eight pixels from a byte each. */
PIXELS_INLINE void pixels_alpha_of_8(uint32_t *to, const uint8_t *from)
{
	pixels8 alpha = __builtin_convertvector(*(const bytes8 *)from, pixels8)
			<< 24;

	pixels_set_alpha(to, &alpha);
}

#endif
