/*
 * Pictures to measure image codecs with, the same each time: a desktop with
 * windows, text, gradients and icons, and a photograph with its noise.
 *
 * For inclusion by one program each; everything is static.
 */
#ifndef TESTS_BENCH_CODECS_PICTURES_H
#define TESTS_BENCH_CODECS_PICTURES_H

#include <math.h>
#include <stdint.h>

enum picture { PICTURE_DESKTOP, PICTURE_PHOTO };

static uint32_t picture_hash(uint32_t x, uint32_t y)
{
	uint32_t h = x * 0x9e3779b1u ^ y * 0x85ebca77u;

	h = (h ^ h >> 15) * 0x2c1b3c6du;
	return h ^ h >> 13;
}

/* Letters of 6 x 9 on lines of 14: strokes by chance, the same by letter. */
static uint32_t picture_text(int x, int y, int k)
{
	int column = x / 7, line = y / 14;
	uint32_t letter = picture_hash(column, line + k * 3) % 61;
	int length = 20 + picture_hash(line + k * 3, 7) % 60;

	if (x % 7 == 6 || y % 14 > 8 || column > length || letter < 8)
		return 0xffffff;
	return picture_hash(letter * 64 + y % 14 / 2, x % 7 / 2) & 3 ? 0xffffff
								     : 0x202020;
}

static uint32_t picture_icon(int x, int y, uint32_t n)
{
	int dx = x - 16, dy = y - 16, d = dx * dx + dy * dy;

	if (d > 240)
		return 0xececec;
	return (n * 0x352b17 & 0x7f7f7f) + (uint32_t)(240 - d) / 2 * 0x010101;
}

/* A window: a title of a gradient, a row of icons, text. */
static uint32_t picture_window(int x, int y, int width, int k)
{
	if (y < 24)
		return 0x3060a0 + (uint32_t)(x * 64 / width) * 0x010101;
	if (y < 64)
		return picture_icon(x % 40, y - 28, x / 40 + k);
	return picture_text(x, y - 64, k);
}

static uint32_t picture_desktop(int x, int y, int width, int height, int k)
{
	int left = width / 16 + k % 8 * 5, top = height / 12 + k % 5 * 4;
	int right = width * 7 / 8, low = height * 8 / 9;

	if (x >= left && x < right && y >= top && y < low)
		return picture_window(x - left, y - top, right - left, k);
	if (y >= height - height / 24)
		return 0x303030;
	return 0x204060 + (uint32_t)(y * 96 / height) * 0x000101;
}

static uint32_t picture_photo(int x, int y, int k)
{
	double light = sin(x / 61.0 + k) + cos(y / 43.0 - k * 0.3) +
		       sin((x + y) / 17.0) * 0.4;
	uint32_t noise = picture_hash(x + k * 4096, y), out = 0;

	for (int c = 0; c < 3; c++) {
		double v = 128 + light * (40 - 8 * c) + (int)(noise & 7) - 4;

		out = out << 8 | (uint32_t)(v < 0 ? 0 : v > 255 ? 255 : v);
		noise >>= 8;
	}
	return out;
}

/* The k-th of a series, 0x00RRGGBB. */
static uint32_t picture_pixel(enum picture what, int x, int y, int width,
			      int height, int k)
{
	return what == PICTURE_PHOTO ? picture_photo(x, y, k)
				     : picture_desktop(x, y, width, height, k);
}

/* With alpha: the left quarter fades out. Premultiplied. */
static uint32_t picture_fade(uint32_t v, int x, int width)
{
	uint32_t alpha = x * 4 < width ? (uint32_t)(x * 4 * 255 / width) : 255;
	uint32_t out = alpha << 24;

	for (int shift = 0; shift < 24; shift += 8)
		out |= (v >> shift & 255) * alpha / 255 << shift;
	return out;
}

#endif
