/*
 * What an image descriptor says beside its codec: caches of images, masks and
 * palettes, lossy ones that are replaced, high bits; and that JPEG pixels are
 * libjpeg's, with alpha or without, with its own settings for images and fast
 * ones for frames.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <jpeglib.h>

#include "recorder/image_lz.h"
#include "recorder/image_reader.h"

#define WIDTH 37
#define HEIGHT 29
#define CACHE_ME 1
#define HIGH_BITS_SET 2
#define CACHE_REPLACE_ME 4
#define PALETTE_CACHE_ME 1
#define PALETTE_FROM_CACHE 2

static struct image_reader reader;

static int set_up(void **state)
{
	(void)state;
	reader = (struct image_reader){.onto = SURFACE_32_XRGB};
	return image_cache_new(&reader.images, 1 << 20, NULL) ||
	       glz_window_new(&reader.window, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	image_reader_clear(&reader);
	image_cache_free(reader.images);
	glz_window_free(reader.window);
	return 0;
}

/* A byte, so that no offset is 0, and a descriptor. */
static struct buffer begin(uint64_t id, uint8_t type, uint8_t flags,
			   uint32_t width, uint32_t height)
{
	struct buffer b = {0};

	buffer_put_u8(&b, 0);
	buffer_put_le64(&b, id);
	buffer_put_u8(&b, type);
	buffer_put_u8(&b, flags);
	buffer_put_le32(&b, width);
	buffer_put_le32(&b, height);
	return b;
}

/* Reads it, as one message; frees the buffer. NULL and *r. */
static struct image *read_message(struct buffer *b, int *r)
{
	struct image *image;

	*r = image_read(&reader, bytes_of(b->data, b->size), 1, &image, NULL);
	assert_int_equal(image_reader_commit(&reader, !*r, NULL), 0);
	buffer_free(b);
	return image;
}

static void expect_pixel(struct buffer b, uint32_t pixel)
{
	int r;
	struct image *image = read_message(&b, &r);

	assert_int_equal(r, 0);
	assert_int_equal(image->pixels[0], pixel);
	image_unref(image);
}

static void expect_error(struct buffer b, int wanted)
{
	int r;

	assert_null(read_message(&b, &r));
	assert_int_equal(r, wanted);
}

/* One pixel, 32 bits. */
static struct buffer bitmap_of(uint64_t id, uint8_t flags, uint32_t pixel)
{
	struct buffer b = begin(id, IMAGE_TYPE_BITMAP, flags, 1, 1);

	buffer_put_u8(&b, BITMAP_32BIT);
	buffer_put_u8(&b, 4);
	buffer_put_le32(&b, 1);
	buffer_put_le32(&b, 1);
	buffer_put_le32(&b, 4);
	buffer_put_le32(&b, 0);
	buffer_put_le32(&b, pixel);
	return b;
}

static struct buffer cached(uint64_t id, bool lossless)
{
	return begin(id,
		     lossless ? IMAGE_TYPE_FROM_CACHE_LOSSLESS
			      : IMAGE_TYPE_FROM_CACHE,
		     0, 1, 1);
}

static void images_in_cache(void **state)
{
	(void)state;
	expect_error(cached(5, false), -EAGAIN);
	expect_pixel(bitmap_of(5, CACHE_ME, 0x112233), 0x112233);
	expect_pixel(cached(5, false), 0x112233);
	expect_pixel(cached(5, true), 0x112233);
	expect_pixel(bitmap_of(6, 0, 0x445566), 0x445566);
	expect_error(cached(6, false), -EAGAIN);
	image_cache_drop(reader.images, 5);
	expect_error(cached(5, false), -EAGAIN);
}

static void high_bits(void **state)
{
	(void)state;
	expect_pixel(bitmap_of(7, HIGH_BITS_SET | CACHE_ME, 0x112233),
		     0xff112233);
	expect_pixel(cached(7, false), 0xff112233);
}

/* One pixel of 8 bits; a palette of two, by its id or behind the pixel. */
static struct buffer indexed(uint8_t flags, uint64_t unique, uint8_t index,
			     uint32_t colour)
{
	struct buffer b = begin(0, IMAGE_TYPE_BITMAP, 0, 1, 1);

	buffer_put_u8(&b, BITMAP_8BIT);
	buffer_put_u8(&b, 4 | flags);
	buffer_put_le32(&b, 1);
	buffer_put_le32(&b, 1);
	buffer_put_le32(&b, 1);
	if (flags & PALETTE_FROM_CACHE)
		buffer_put_le64(&b, unique);
	else
		buffer_put_le32(&b, (uint32_t)b.size + 5);
	buffer_put_u8(&b, index);
	buffer_put_le64(&b, unique);
	buffer_put_le16(&b, 2);
	buffer_put_le32(&b, 0xabcdef);
	buffer_put_le32(&b, colour);
	return b;
}

static void palettes_in_cache(void **state)
{
	(void)state;
	expect_error(indexed(PALETTE_FROM_CACHE, 3, 1, 0), -EBADMSG);
	expect_pixel(indexed(PALETTE_CACHE_ME, 3, 1, 0x102030), 0x102030);
	expect_pixel(indexed(PALETTE_FROM_CACHE, 3, 1, 0), 0x102030);
	expect_pixel(indexed(PALETTE_FROM_CACHE, 3, 0, 0), 0xabcdef);
	/* An index past its end is the last one. */
	expect_pixel(indexed(PALETTE_FROM_CACHE, 3, 9, 0), 0x102030);
	expect_pixel(indexed(PALETTE_CACHE_ME, 3, 1, 0x405060), 0x405060);
	expect_pixel(indexed(PALETTE_FROM_CACHE, 3, 1, 0), 0x405060);
	palette_cache_drop(&reader.palettes, 3);
	expect_error(indexed(PALETTE_FROM_CACHE, 3, 1, 0), -EBADMSG);
}

/* A soft picture with colours, as JPEG. */
static unsigned char *make_jpeg(unsigned long *size)
{
	struct jpeg_compress_struct c;
	struct jpeg_error_mgr errors;
	unsigned char *out = NULL;
	JSAMPLE row[WIDTH * 3];
	JSAMPROW rows[] = {row};

	c.err = jpeg_std_error(&errors);
	jpeg_create_compress(&c);
	jpeg_mem_dest(&c, &out, size);
	c.image_width = WIDTH;
	c.image_height = HEIGHT;
	c.input_components = 3;
	c.in_color_space = JCS_RGB;
	jpeg_set_defaults(&c);
	jpeg_start_compress(&c, TRUE);
	while (c.next_scanline < HEIGHT) {
		for (unsigned x = 0; x < WIDTH; x++) {
			row[3 * x] = (JSAMPLE)(x * 7);
			row[3 * x + 1] = (JSAMPLE)(c.next_scanline * 8);
			row[3 * x + 2] = x / 4 % 2 ? 250 : 20;
		}
		jpeg_write_scanlines(&c, rows, 1);
	}
	jpeg_finish_compress(&c);
	jpeg_destroy_compress(&c);
	return out;
}

/* As spice-gtk reads it: 24 bits, row by row. */
static void read_jpeg(const unsigned char *data, unsigned long size, bool frame,
		      uint32_t *pixels)
{
	struct jpeg_decompress_struct d;
	struct jpeg_error_mgr errors;
	JSAMPLE row[WIDTH * 3];
	JSAMPROW rows[] = {row};

	d.err = jpeg_std_error(&errors);
	jpeg_create_decompress(&d);
	jpeg_mem_src(&d, data, size);
	jpeg_read_header(&d, TRUE);
	d.out_color_space = JCS_RGB;
	if (frame) {
		d.dct_method = JDCT_IFAST;
		d.do_fancy_upsampling = FALSE;
	}
	jpeg_start_decompress(&d);
	while (d.output_scanline < HEIGHT) {
		jpeg_read_scanlines(&d, rows, 1);
		for (unsigned x = 0; x < WIDTH; x++)
			*pixels++ = (uint32_t)row[3 * x] << 16 |
				    row[3 * x + 1] << 8 | row[3 * x + 2];
	}
	jpeg_finish_decompress(&d);
	jpeg_destroy_decompress(&d);
}

static void jpeg(void **state)
{
	static uint32_t wanted[2][WIDTH * HEIGHT];
	unsigned long size;
	unsigned char *data = make_jpeg(&size);

	(void)state;
	for (int frame = 0; frame < 2; frame++) {
		struct image *image;

		read_jpeg(data, size, frame, wanted[frame]);
		assert_int_equal(jpeg_decode(bytes_of(data, size),
					     frame ? JPEG_FRAME : JPEG_IMAGE,
					     &image, NULL),
				 0);
		for (unsigned i = 0; i < WIDTH * HEIGHT; i++)
			assert_int_equal(image->pixels[i] & 0xffffff,
					 wanted[frame][i]);
		assert_true(image->lossy);
		image_unref(image);
	}
	/* There is something to tell apart. */
	assert_memory_not_equal(wanted[0], wanted[1], sizeof(wanted[0]));
	free(data);
}

static struct buffer jpeg_of(uint64_t id, uint8_t flags)
{
	struct buffer b = begin(id, IMAGE_TYPE_JPEG, flags, WIDTH, HEIGHT);
	unsigned long size;
	unsigned char *data = make_jpeg(&size);

	buffer_put_le32(&b, (uint32_t)size);
	buffer_put(&b, data, size);
	free(data);
	return b;
}

/* Who wants it lossless waits until it is replaced. */
static void lossy_images(void **state)
{
	struct buffer b = jpeg_of(9, CACHE_ME);
	struct image *image;
	int r;

	(void)state;
	image = read_message(&b, &r);
	assert_int_equal(r, 0);
	b = cached(9, false);
	assert_ptr_equal(read_message(&b, &r), image);
	image_unref(image);
	image_unref(image);
	expect_error(cached(9, true), -EAGAIN);
	expect_pixel(bitmap_of(9, CACHE_REPLACE_ME, 0x778899), 0x778899);
	expect_pixel(cached(9, true), 0x778899);
	expect_pixel(cached(9, false), 0x778899);
	image_cache_drop(reader.images, 9);
	expect_error(cached(9, false), -EAGAIN);
}

static void put_be32(struct buffer *b, uint32_t v)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		buffer_put_u8(b, (uint8_t)(v >> shift));
}

static uint8_t alpha_at(unsigned x, unsigned y)
{
	return (uint8_t)(y * 8 + x);
}

/* Alpha in an LZ stream of literals, a pixel each. */
static void put_alpha(struct buffer *b, bool top_down)
{
	const uint32_t header[] = {LZ_MAGIC, LZ_VERSION, LZ_XXXA, WIDTH,
				   HEIGHT,   WIDTH * 4,  top_down};

	for (unsigned i = 0; i < sizeof(header) / sizeof(*header); i++)
		put_be32(b, header[i]);
	for (unsigned y = 0; y < HEIGHT; y++)
		for (unsigned x = 0; x < WIDTH; x++) {
			buffer_put_u8(b, 0);
			buffer_put_u8(
				b, alpha_at(x, top_down ? y : HEIGHT - 1 - y));
		}
}

/* The colours' rows lie as JPEG has them, whatever those of the alpha do. */
static void jpeg_alpha(void **state)
{
	static uint32_t wanted[WIDTH * HEIGHT];
	unsigned long size;
	unsigned char *data = make_jpeg(&size);

	(void)state;
	read_jpeg(data, size, false, wanted);
	for (int top_down = 0; top_down < 2; top_down++) {
		struct buffer alpha = {0};
		struct buffer b =
			begin(4, IMAGE_TYPE_JPEG_ALPHA, 0, WIDTH, HEIGHT);
		struct image *image;
		int r;

		put_alpha(&alpha, top_down);
		buffer_put_u8(&b, (uint8_t)top_down);
		buffer_put_le32(&b, (uint32_t)size);
		buffer_put_le32(&b, (uint32_t)(size + alpha.size));
		buffer_put(&b, data, size);
		buffer_put(&b, alpha.data, alpha.size);
		buffer_free(&alpha);
		image = read_message(&b, &r);
		assert_int_equal(r, 0);
		assert_int_equal(image->format, IMAGE_ARGB);
		assert_true(image->lossy);
		for (unsigned i = 0; i < WIDTH * HEIGHT; i++)
			assert_int_equal(
				image->pixels[i],
				wanted[i] |
					(uint32_t)alpha_at(i % WIDTH, i / WIDTH)
						<< 24);
		image_unref(image);
	}
	free(data);
}

static void expect_mask(struct buffer *b, bool inverted, uint32_t bit)
{
	struct image *image;

	assert_int_equal(image_read_mask(&reader, bytes_of(b->data, b->size), 1,
					 inverted, &image, NULL),
			 0);
	assert_int_equal(image_reader_commit(&reader, true, NULL), 0);
	buffer_free(b);
	assert_int_equal(image->format, IMAGE_MASK);
	assert_int_equal(image->pixels[0], bit);
	assert_int_equal(image->pixels[1], !bit);
	image_unref(image);
}

/* A mask is kept as it came, not as it was wanted. */
static void masks_in_cache(void **state)
{
	struct buffer b = begin(6, IMAGE_TYPE_BITMAP, CACHE_ME, 2, 1);
	struct image *image;

	(void)state;
	buffer_put_u8(&b, BITMAP_1BIT_BE);
	buffer_put_u8(&b, 0);
	buffer_put_le32(&b, 2);
	buffer_put_le32(&b, 1);
	buffer_put_le32(&b, 4);
	buffer_put_le32(&b, 0); /* no palette */
	buffer_put_le32(&b, 0x80);
	expect_mask(&b, true, 0);
	b = cached(6, false);
	expect_mask(&b, false, 1);
	b = cached(6, false);
	expect_mask(&b, true, 0);
	b = cached(6, false);
	expect_mask(&b, false, 1);
	/* What is no mask does not become one. */
	expect_pixel(bitmap_of(7, CACHE_ME, 1), 1);
	b = cached(7, false);
	assert_int_equal(image_read_mask(&reader, bytes_of(b.data, b.size), 1,
					 false, &image, NULL),
			 -EBADMSG);
	assert_null(image);
	buffer_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(images_in_cache, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(high_bits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(palettes_in_cache, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(lossy_images, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(jpeg_alpha, set_up, tear_down),
		cmocka_unit_test_setup_teardown(masks_in_cache, set_up,
						tear_down),
		cmocka_unit_test(jpeg),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
