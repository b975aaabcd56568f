/*
 * What LZ and GLZ have in common: units, literal runs, copies.
 *
 * A unit is what a stream counts in. Runs copy forwards one unit at a time,
 * so that a run may read what it has just written.
 */
#ifndef RECORDER_IMAGE_LZ_H
#define RECORDER_IMAGE_LZ_H

#include "recorder/bytes.h"
#include "recorder/image.h"

#define LZ_MAGIC 0x20205a4cu
#define LZ_VERSION 0x00010001u

/* SPICE's LzImageType */
enum lz_type {
	LZ_PLT1_LE = 1,
	LZ_PLT1_BE,
	LZ_PLT4_LE,
	LZ_PLT4_BE,
	LZ_PLT8,
	LZ_RGB16,
	LZ_RGB24,
	LZ_RGB32,
	LZ_RGBA,
	LZ_XXXA,
	LZ_A8,
};

enum lz_unit {
	LZ_UNIT_BYTE,  /* one byte of packed indices or of alpha */
	LZ_UNIT_16,    /* a pixel of two bytes, x1r5g5b5, high byte first */
	LZ_UNIT_24,    /* a pixel of three bytes, B, G, R */
	LZ_UNIT_ALPHA, /* the high byte of a pixel that is there already */
};

/* Added to the length of a match. */
static inline size_t lz_bias(enum lz_unit unit)
{
	return unit == LZ_UNIT_24 ? 0 : unit == LZ_UNIT_16 ? 1 : 2;
}

static inline uint32_t lz_widen(unsigned v)
{
	uint32_t r = v >> 10 & 31, g = v >> 5 & 31, b = v & 31;

	return (r << 3 | r >> 2) << 16 | (g << 3 | g >> 2) << 8 |
	       (b << 3 | b >> 2);
}

/* n units from the stream to out; false when the stream is too short. */
static inline bool lz_literals(enum lz_unit unit, struct bytes *in, void *out,
			       size_t at, size_t n)
{
	size_t size = unit == LZ_UNIT_24 ? 3 : unit == LZ_UNIT_16 ? 2 : 1;
	const uint8_t *p = bytes_take(in, n * size);
	uint32_t *pixels = (uint32_t *)out + at;

	if (!p)
		return false;
	if (unit == LZ_UNIT_BYTE) {
		memcpy((uint8_t *)out + at, p, n);
		return true;
	}
	for (size_t i = 0; i < n; i++, p += size)
		if (unit == LZ_UNIT_24)
			pixels[i] = (uint32_t)p[2] << 16 | p[1] << 8 | p[0];
		else if (unit == LZ_UNIT_16)
			pixels[i] = lz_widen(p[0] << 8 | p[1]);
		else
			pixels[i] = (pixels[i] & 0xffffff) | (uint32_t)p[0]
								     << 24;
	return true;
}

/* n units of `from`, beginning with unit `first`, to out at `at`. */
static inline void lz_repeat(enum lz_unit unit, void *out, size_t at,
			     const void *from, size_t first, size_t n)
{
	const uint32_t *source = (const uint32_t *)from + first;
	uint32_t *pixels = (uint32_t *)out + at;

	if (unit == LZ_UNIT_BYTE) {
		const uint8_t *bytes = (const uint8_t *)from + first;

		for (size_t i = 0; i < n; i++)
			((uint8_t *)out)[at + i] = bytes[i];
	} else if (unit == LZ_UNIT_ALPHA) {
		for (size_t i = 0; i < n; i++)
			pixels[i] = (pixels[i] & 0xffffff) |
				    (source[i] & 0xff000000);
	} else {
		for (size_t i = 0; i < n; i++)
			pixels[i] = source[i];
	}
}

/* Bytes behind a length of 7, added up to the first that is not 255. */
static inline size_t lz_length(struct bytes *in, unsigned control)
{
	size_t length = control >> 5;
	uint8_t more;

	if (length == 7)
		do {
			more = bytes_u8(in);
			length += more;
		} while (more == 255 && !in->bad);
	return length;
}

#endif
