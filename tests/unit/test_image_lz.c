/*
 * LZ, GLZ and bitmaps on streams made here: controls by chance, in every form
 * that the formats have, and beside them what they mean, one unit at a time.
 * Both of the decoders' twins.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "recorder/cpu.h"
#include "recorder/image_codecs.h"

#define UNITS_MAX 400000

static uint32_t random_state;

static uint32_t below(uint32_t n)
{
	random_state = random_state * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)(random_state >> 4) * n >> 28);
}

static void put_be32(struct buffer *b, uint32_t v)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		buffer_put_u8(b, (uint8_t)(v >> shift));
}

/* The unit that a literal of a type stands for, put to the stream. */
enum kind { BYTES, INDICES, OF_16, OF_24, ALPHA };

static uint32_t put_literal(struct buffer *b, enum kind kind,
			    const uint32_t *table)
{
	uint32_t v = below(1 << 24), r, g, u;

	switch (kind) {
	case BYTES:
		buffer_put_u8(b, v & 255);
		return v & 255;
	case INDICES:
		buffer_put_u8(b, v & 255);
		return table[v & 255];
	case ALPHA:
		buffer_put_u8(b, v & 255);
		return v << 24;
	case OF_16:
		buffer_put_u8(b, v >> 8 & 255);
		buffer_put_u8(b, v & 255);
		r = v >> 10 & 31;
		g = v >> 5 & 31;
		u = v & 31;
		return (r * 33 / 4) << 16 | (g * 33 / 4) << 8 | u * 33 / 4;
	default:
		buffer_put_u8(b, v & 255);
		buffer_put_u8(b, v >> 8 & 255);
		buffer_put_u8(b, v >> 16);
		return v;
	}
}

static unsigned bias(enum kind kind)
{
	return kind == OF_24 ? 0 : kind == OF_16 ? 1 : 2;
}

/* A length of a match, most of them short. */
static size_t some_length(enum kind kind, size_t left)
{
	static const unsigned most[] = {6, 20, 300, 1200};
	size_t n = 1 + bias(kind) + below(most[below(4)]);

	return n < left ? n : left;
}

/* What follows a control whose length did not fit it. */
static void put_length(struct buffer *b, enum kind kind, size_t length)
{
	size_t rest = length - bias(kind);

	if (rest < 7)
		return;
	for (rest -= 7; rest >= 255; rest -= 255)
		buffer_put_u8(b, 255);
	buffer_put_u8(b, (uint8_t)rest);
}

static unsigned control_of(enum kind kind, size_t length)
{
	size_t rest = length - bias(kind);

	return rest < 7 ? (unsigned)rest << 5 : 7u << 5;
}

static void put_literals(struct buffer *b, enum kind kind,
			 const uint32_t *table, uint32_t *units, size_t *at,
			 size_t left)
{
	size_t n = 1 + below(32);

	n = n < left ? n : left;
	buffer_put_u8(b, (uint8_t)(n - 1));
	while (n--)
		units[(*at)++] = put_literal(b, kind, table);
}

static size_t some_distance(size_t at, size_t most)
{
	size_t n = below(3) ? 1 + below(12) : 1 + below((uint32_t)most);

	return n < at ? n : at;
}

/* A pass of LZ, and its units. */
static void put_pass(struct buffer *b, enum kind kind, const uint32_t *table,
		     uint32_t *units, size_t count)
{
	size_t at = 0;

	while (at < count) {
		size_t length = some_length(kind, count - at), distance;

		if (!at || !below(3) || length < 1 + bias(kind)) {
			put_literals(b, kind, table, units, &at, count - at);
			continue;
		}
		distance = some_distance(at, below(2) ? 8191 : 73000);
		if (distance > 8191 + 65536)
			distance = 8191 + 65536;
		if (distance <= 8191) {
			buffer_put_u8(b, (uint8_t)(control_of(kind, length) |
						   (distance - 1) >> 8));
			put_length(b, kind, length);
			buffer_put_u8(b, (distance - 1) & 255);
		} else {
			buffer_put_u8(b,
				      (uint8_t)(control_of(kind, length) | 31));
			put_length(b, kind, length);
			buffer_put_u8(b, 255);
			buffer_put_u8(b, (uint8_t)((distance - 8192) >> 8));
			buffer_put_u8(b, (distance - 8192) & 255);
		}
		for (; length; length--, at++)
			units[at] = units[at - distance];
	}
}

struct lz {
	uint32_t type, width, height, stride;
	bool top_down;
};

static void put_header(struct buffer *b, const struct lz *lz)
{
	put_be32(b, 0x20205a4c);
	put_be32(b, 0x00010001);
	put_be32(b, lz->type);
	put_be32(b, lz->width);
	put_be32(b, lz->height);
	put_be32(b, lz->stride);
	put_be32(b, lz->top_down);
}

/* The index at x of a row of packed ones. */
static unsigned unpack(unsigned format, const uint32_t *row, uint32_t x)
{
	switch (format) {
	case BITMAP_1BIT_LE:
		return row[x / 8] >> x % 8 & 1;
	case BITMAP_1BIT_BE:
		return row[x / 8] >> (7 - x % 8) & 1;
	case BITMAP_4BIT_LE:
		return row[x / 2] >> x % 2 * 4 & 15;
	case BITMAP_4BIT_BE:
		return row[x / 2] >> (4 - x % 2 * 4) & 15;
	}
	return row[x];
}

static uint32_t units[UNITS_MAX], more_units[UNITS_MAX], wanted[UNITS_MAX];

/* What each index stands for in a short palette. */
static void make_table(struct palette *palette, unsigned format,
		       uint32_t *table)
{
	for (unsigned i = 0; i < 256; i++)
		if (format == BITMAP_8BIT_A)
			table[i] = i << 24;
		else if (i < palette->count)
			table[i] = palette->entries[i];
		else if (format == BITMAP_8BIT)
			table[i] = palette->entries[palette->count - 1];
		else
			table[i] = palette->entries[i % palette->count];
}

static void expect_image(int r, const struct error *error, struct image *image,
			 const struct lz *lz, enum image_format format,
			 const char *what)
{
	if (r)
		fail_msg("%s %u: %s", what, lz->type, error->text);
	assert_int_equal(image->format, format);
	for (uint32_t y = 0; y < lz->height; y++) {
		uint32_t from = lz->top_down ? y : lz->height - 1 - y;

		if (memcmp(image_row(image, y), wanted + from * lz->width,
			   lz->width * 4))
			fail_msg("%s %u, %u x %u: row %u is another", what,
				 lz->type, lz->width, lz->height, y);
	}
}

static void lz_of(struct lz lz)
{
	static const enum kind kinds[] = {BYTES, BYTES,   BYTES, BYTES,
					  BYTES, INDICES, OF_16, OF_24,
					  OF_24, OF_24,   ALPHA, INDICES};
	static const uint8_t formats[] = {0, 1, 2, 3, 4, 5, 0, 0, 0, 0, 0, 10};
	struct palette palette = {.count = 1 + below(256)};
	size_t count = (size_t)lz.width * lz.height;
	uint8_t format = formats[lz.type];
	struct buffer b = {0};
	uint32_t table[256];
	struct image *image;
	struct error error;
	int r;

	for (unsigned i = 0; i < 256; i++)
		palette.entries[i] = below(1 << 24);
	make_table(&palette, format, table);
	lz.stride = format ? (uint32_t)bitmap_row_size(format, lz.width)
			   : lz.width * 4;
	if (format && format < BITMAP_8BIT)
		lz.stride += below(3);
	put_header(&b, &lz);
	if (format && format < BITMAP_8BIT) {
		put_pass(&b, BYTES, NULL, units, (size_t)lz.stride * lz.height);
		for (size_t i = 0; i < count; i++)
			wanted[i] = table[unpack(
				format, units + i / lz.width * lz.stride,
				(uint32_t)(i % lz.width))];
	} else {
		put_pass(&b, kinds[lz.type], table, wanted, count);
	}
	if (lz.type == 9) {
		put_pass(&b, ALPHA, NULL, more_units, count);
		for (size_t i = 0; i < count; i++)
			wanted[i] |= more_units[i];
	}
	assert_false(b.failed);
	r = lz_decode(bytes_of(b.data, b.size), &palette, &image, &error);
	expect_image(r, &error, image, &lz,
		     lz.type == 9    ? IMAGE_ARGB
		     : lz.type == 11 ? IMAGE_ALPHA
				     : IMAGE_XRGB,
		     "lz");
	image_unref(image);
	/* A byte less, in memory of its own, is an image cut short. */
	b.data = realloc(b.data, b.size - 1);
	assert_int_equal(
		lz_decode(bytes_of(b.data, b.size - 1), &palette, &image, NULL),
		-EBADMSG);
	buffer_free(&b);
}

/* The alpha of a JPEG image, whose colours stay. */
static void lz_alpha_of(struct lz lz)
{
	size_t count = (size_t)lz.width * lz.height;
	struct buffer b = {0};
	struct image *image;
	struct error error;
	int r;

	lz.type = 10;
	put_header(&b, &lz);
	put_pass(&b, ALPHA, NULL, wanted, count);
	assert_int_equal(
		image_new(&image, lz.width, lz.height, IMAGE_ARGB, NULL), 0);
	for (size_t i = 0; i < count; i++) {
		size_t y = i / lz.width, x = i % lz.width;

		if (!lz.top_down)
			y = lz.height - 1 - y;
		image_row(image, (uint32_t)y)[x] = (uint32_t)i & 0xffffff;
		wanted[i] |= (uint32_t)i & 0xffffff;
	}
	r = lz_decode_alpha(bytes_of(b.data, b.size), image, &error);
	expect_image(r, &error, image, &lz, IMAGE_ARGB, "alpha");
	image_unref(image);
	buffer_free(&b);
}

static void with_twins(void (*test)(void))
{
	random_state = 1;
	test();
	cpu_pretend_plain(true);
	random_state = 1;
	test();
	cpu_pretend_plain(false);
}

static void all_lz(void)
{
	static const uint32_t sizes[][2] = {{1, 1},   {3, 2},    {9, 1},
					    {33, 17}, {129, 65}, {700, 500}};

	for (uint32_t type = 1; type <= 11; type++)
		for (unsigned s = 0; s < 6; s++)
			for (int top_down = 0; top_down < 2; top_down++) {
				struct lz lz = {type, sizes[s][0], sizes[s][1],
						0, top_down};

				if (type == 10)
					lz_alpha_of(lz);
				else
					lz_of(lz);
			}
}

static void lz(void **state)
{
	(void)state;
	with_twins(all_lz);
}

/* GLZ: images of a dictionary by their place in it, units as coded. */
#define GENERATIONS 80
#define GLZ_WIDTH 640
#define GLZ_HEIGHT 300
#define GLZ_UNITS (GLZ_WIDTH * GLZ_HEIGHT)

static uint32_t (*history)[GLZ_UNITS];

static void put_glz_match(struct buffer *b, enum kind kind, size_t length,
			  size_t offset, uint32_t distance, bool wide)
{
	bool far = wide || offset >= 1 << 12 || (distance && below(4) == 0);
	bool farther = offset >= 1 << 17 || (far && below(5) == 0);
	uint32_t rest = far ? distance : distance >> 6;
	unsigned n = 0;
	uint8_t x;

	while (n < 3 && (rest >> (8 * n) || (n < 2 && !below(20))))
		n++;
	buffer_put_u8(b, (uint8_t)(control_of(kind, length) | far << 4 |
				   (offset & 15)));
	put_length(b, kind, length);
	buffer_put_u8(b, offset >> 4 & 255);
	x = (uint8_t)(n << 6);
	x |= far ? (uint8_t)(farther << 5 | (offset >> 12 & 31))
		 : (uint8_t)(distance & 63);
	buffer_put_u8(b, x);
	for (unsigned k = 0; k < n; k++)
		buffer_put_u8(b, rest >> (8 * k) & 255);
	if (farther)
		buffer_put_u8(b, (uint8_t)(offset >> 17));
}

/* The oldest image that `id` may refer to, when `reach` are kept. */
static void put_glz_pass(struct buffer *b, enum kind kind, uint32_t mask,
			 uint32_t id, uint32_t reach, size_t count)
{
	uint32_t *to = history[id];
	size_t at = 0;

	while (at < count) {
		size_t length = some_length(kind, count - at), offset, n = at;
		uint32_t distance = below(3) ? below(reach + 1) : 0;

		if (!below(3) || (!at && !distance) ||
		    length < 1 + bias(kind)) {
			put_literals(b, kind, NULL, units, &at, count - at);
			for (; n < at; n++)
				to[n] = (to[n] & ~mask) | (units[n] & mask);
			continue;
		}
		offset = distance ? below((uint32_t)(count - length + 1))
				  : some_distance(at, count) - 1;
		put_glz_match(b, kind, length, offset, distance, below(8) == 0);
		for (; length; length--, at++, offset += distance != 0) {
			uint32_t v = distance ? history[id - distance][offset]
					      : to[at - offset - 1];

			to[at] = (to[at] & ~mask) | (v & mask);
		}
	}
}

static struct buffer make_glz(uint32_t id, uint32_t reach, struct lz *lz)
{
	static const uint32_t types[] = {8, 6, 9, 7};
	struct buffer b = {0};

	*lz = (struct lz){.type = types[below(4)],
			  .width = GLZ_WIDTH,
			  .height = GLZ_HEIGHT,
			  .top_down = below(2)};
	put_be32(&b, 0x20205a4c);
	put_be32(&b, 0x00010001);
	buffer_put_u8(&b, (uint8_t)(lz->type | lz->top_down << 4));
	put_be32(&b, lz->width);
	put_be32(&b, lz->height);
	put_be32(&b, lz->width * 4);
	put_be32(&b, 0);
	put_be32(&b, id);
	put_be32(&b, reach);
	put_glz_pass(&b, lz->type == 6 ? OF_16 : OF_24, 0xffffffff, id, reach,
		     GLZ_UNITS);
	if (lz->type == 9)
		put_glz_pass(&b, ALPHA, 0xff000000, id, reach, GLZ_UNITS);
	return b;
}

static void expect_glz(struct glz_window *window, const struct buffer *b,
		       uint32_t id, const struct lz *lz)
{
	struct image *image;
	struct error error;
	int r = glz_decode(window, bytes_of(b->data, b->size), &image, &error);

	memcpy(wanted, history[id], sizeof(history[id]));
	expect_image(r, &error, image, lz,
		     lz->type == 9 ? IMAGE_ARGB : IMAGE_XRGB, "glz");
	image_unref(image);
}

/* Each refers to any of the last `reach`; the window lets older ones go. */
static void all_glz(void)
{
	struct glz_window *window;
	struct buffer b = {0}, late;
	struct image *image;
	struct lz l, later;

	assert_int_equal(glz_window_new(&window, NULL), 0);
	for (uint32_t id = 0; id < GENERATIONS; id++) {
		uint32_t reach = id < 70 ? id : 70;

		buffer_free(&b);
		b = make_glz(id, reach, &l);
		expect_glz(window, &b, id, &l);
	}
	/* An image that waits for one of another channel. */
	buffer_free(&b);
	b = make_glz(1, 1, &l);
	glz_window_clear(window);
	late = make_glz(0, 0, &later);
	buffer_free(&b);
	b = make_glz(1, 1, &l);
	assert_int_equal(
		glz_decode(window, bytes_of(b.data, b.size), &image, NULL),
		-EAGAIN);
	expect_glz(window, &late, 0, &later);
	expect_glz(window, &b, 1, &l);
	buffer_free(&late);
	/* What the last one gave up is gone. */
	late = make_glz(2, 0, &later);
	expect_glz(window, &late, 2, &later);
	buffer_free(&late);
	late = make_glz(3, 3, &later);
	assert_int_equal(glz_decode(window, bytes_of(late.data, late.size),
				    &image, NULL),
			 -EAGAIN);
	buffer_free(&late);
	buffer_free(&b);
	glz_window_free(window);
}

static void glz(void **state)
{
	(void)state;
	history = calloc(GENERATIONS, sizeof(*history));
	with_twins(all_glz);
	free(history);
}

/* Bitmaps of all formats, row by row; the last row ends the memory. */
static void bitmap_of(uint8_t format, uint32_t width, uint32_t height,
		      bool top_down)
{
	struct palette palette = {.count = 1 + below(256)};
	size_t row = bitmap_row_size(format, width);
	struct bitmap b = {.format = format,
			   .top_down = top_down,
			   .width = width,
			   .height = height,
			   .stride = (uint32_t)row + below(4),
			   .palette = &palette};
	struct lz same = {format, width, height, 0, top_down};
	struct image *image;
	struct error error;
	uint32_t table[256];
	uint8_t *data;
	int r;

	b.size = (size_t)b.stride * height;
	data = malloc(b.size);
	b.data = data;
	for (size_t i = 0; i < b.size; i++)
		data[i] = (uint8_t)below(256);
	for (unsigned i = 0; i < 256; i++)
		palette.entries[i] = below(1 << 24);
	make_table(&palette, format, table);
	for (uint32_t y = 0; y < height; y++)
		for (uint32_t x = 0; x < width; x++) {
			const uint8_t *p = data + (size_t)y * b.stride;
			uint32_t *to = &wanted[y * width + x], v;

			for (size_t i = 0; i < row; i++)
				units[i] = p[i];
			switch (format) {
			case BITMAP_16BIT:
				v = p[2 * x] | p[2 * x + 1] << 8;
				*to = ((v >> 10 & 31) * 33 / 4) << 16 |
				      ((v >> 5 & 31) * 33 / 4) << 8 |
				      (v & 31) * 33 / 4;
				break;
			case BITMAP_24BIT:
				*to = (uint32_t)p[3 * x + 2] << 16 |
				      p[3 * x + 1] << 8 | p[3 * x];
				break;
			case BITMAP_32BIT:
			case BITMAP_RGBA:
				*to = bytes_get_le32(p + 4 * x);
				break;
			default:
				*to = table[unpack(format, units, x)];
			}
		}
	r = bitmap_decode(&b, &image, &error);
	expect_image(r, &error, image, &same,
		     format == BITMAP_RGBA     ? IMAGE_ARGB
		     : format == BITMAP_8BIT_A ? IMAGE_ALPHA
					       : IMAGE_XRGB,
		     "bitmap");
	image_unref(image);
	b.size--;
	assert_int_equal(bitmap_decode(&b, &image, NULL), -EBADMSG);
	free(data);
}

static void all_bitmaps(void)
{
	for (uint8_t format = 1; format <= 10; format++)
		for (uint32_t width = 1; width < 40; width++)
			bitmap_of(format, width, 1 + width % 3, width & 1);
}

static void bitmaps(void **state)
{
	(void)state;
	with_twins(all_bitmaps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lz),
		cmocka_unit_test(glz),
		cmocka_unit_test(bitmaps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
