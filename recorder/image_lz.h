/*
 * What LZ and GLZ have in common: units, literal runs, lengths, the end of
 * the input.
 *
 * A unit is what a stream counts in. Kernels are inlined into one function
 * for each unit; `fast` is a constant in them (cpu.h).
 *
 * Between two controls LZ_TAIL bytes can be read without a look at the end:
 * when fewer are left they are moved in front of as many zeros. Only after
 * lengths, which may take any number of bytes, the end is looked at again.
 */
#ifndef RECORDER_IMAGE_LZ_H
#define RECORDER_IMAGE_LZ_H

#include "recorder/bytes.h"
#include "recorder/cpu.h"
#include "recorder/image.h"
#include "recorder/pixels.h"

#define LZ_MAGIC 0x20205a4cu
#define LZ_VERSION 0x00010001u
#define LZ_TAIL 128 /* a control, 32 literals of 3 bytes, what is read over */

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
	LZ_UNIT_BYTE,  /* one byte of packed indices */
	LZ_UNIT_INDEX, /* a pixel of one byte, looked up in a table */
	LZ_UNIT_16,    /* a pixel of two bytes, x1r5g5b5, high byte first */
	LZ_UNIT_24,    /* a pixel of three bytes, B, G, R */
	LZ_UNIT_ALPHA, /* the high byte of a pixel that is there already */
};

struct lz_input {
	const uint8_t *at, *end;
	uint8_t tail[2 * LZ_TAIL];
};

/* Added to the length of a match. */
PIXELS_INLINE size_t lz_bias(enum lz_unit unit)
{
	return unit == LZ_UNIT_24 ? 0 : unit == LZ_UNIT_16 ? 1 : 2;
}

/* False when more has been read than there was. */
bool lz_move_tail(struct lz_input *in);

/* LZ_TAIL bytes can be read, unless false. */
PIXELS_INLINE bool lz_more(struct lz_input *in)
{
	return __builtin_expect(in->end - in->at >= LZ_TAIL, 1) ||
	       lz_move_tail(in);
}

/* The length of a match; false when the stream ends in it. */
PIXELS_INLINE bool lz_length(struct lz_input *in, unsigned control,
			     size_t *length)
{
	uint8_t more;

	*length = control >> 5;
	if (*length < 7)
		return true;
	do {
		if (in->at >= in->end)
			return false;
		more = *in->at++;
		*length += more;
	} while (more == 255);
	return lz_more(in);
}

/* n units, at most 32, to the unit `at` of out. */
PIXELS_INLINE void lz_literals(enum lz_unit unit, bool fast,
			       struct lz_input *in, void *out, size_t at,
			       size_t n, const uint32_t *table)
{
	const bool turned = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
	const uint8_t *from = in->at;
	uint32_t *to = (uint32_t *)out + (unit == LZ_UNIT_BYTE ? 0 : at);

	switch (unit) {
	case LZ_UNIT_BYTE:
		memcpy((uint8_t *)out + at, from, n);
		in->at += n;
		break;
	case LZ_UNIT_INDEX:
		for (size_t i = 0; i < n; i++)
			to[i] = table[from[i]];
		in->at += n;
		break;
	case LZ_UNIT_16:
		for (size_t i = 0; i < n; i += 8)
			pixels_of_16(to + i, from + 2 * i, turned);
		in->at += 2 * n;
		break;
	case LZ_UNIT_24:
		if (fast)
			for (size_t i = 0; i < n; i += 4)
				pixels_of_24(to + i, from + 3 * i);
		else
			for (size_t i = 0; i < n; i++)
				to[i] = bytes_get_le32(from + 3 * i) & 0xffffff;
		in->at += 3 * n;
		break;
	case LZ_UNIT_ALPHA:
		for (size_t i = 0; i < n; i += 8)
			pixels_alpha_of_8(to + i, from + i);
		in->at += n;
		break;
	}
}

/* As lz_repeat, of bytes. */
PIXELS_INLINE void lz_repeat_bytes(uint8_t *to, size_t distance, size_t n)
{
	const uint8_t *from = to - distance;

	if (distance == 1)
		memset(to, *from, n);
	else if (distance >= n)
		memcpy(to, from, n);
	else
		for (size_t i = 0; i < n; i++)
			to[i] = from[i];
}

/* n units like those that stand `distance` before the unit `at` of out. */
PIXELS_INLINE void lz_repeat(enum lz_unit unit, void *out, size_t at,
			     size_t distance, size_t n)
{
	if (unit == LZ_UNIT_BYTE)
		lz_repeat_bytes((uint8_t *)out + at, distance, n);
	else if (unit == LZ_UNIT_ALPHA)
		pixels_repeat_alpha_wide((uint32_t *)out + at, distance, n);
	else
		pixels_repeat_wide((uint32_t *)out + at, distance, n);
}

#endif
