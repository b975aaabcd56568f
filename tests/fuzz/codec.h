/*
 * One image codec on arbitrary bytes, behind a header that is right more
 * often than not: sizes are small and magic numbers there, as a fuzzer
 * does not find these and loses its time with large images.
 *
 * A fuzzer is CODEC, one of enum codec, and this file.
 */
#include "recorder/image_codecs.h"
#include "recorder/image_lz.h"
#include "tests/fuzz/input.h"

#include <zlib.h>

enum codec {
	CODEC_BITMAP,
	CODEC_QUIC,
	CODEC_LZ,
	CODEC_GLZ,
	CODEC_ZLIB_GLZ,
	CODEC_LZ4,
	CODEC_JPEG,
	CODEC_JPEG_ALPHA,
};

#define GLZ_IMAGES 8 /* of one input */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint32_t sink;

/* Every pixel must be there. */
static void look(struct image *image)
{
	if (!image)
		return;
	if (!image->width || !image->height)
		abort();
	for (uint32_t y = 0; y < image->height; y++)
		for (uint32_t x = 0; x < image->width; x++)
			sink ^= image_row(image, y)[x];
	image_unref(image);
}

/* A decoder gives an image or an error that says what is wrong. */
static void check(int r, struct image *image, const struct error *error)
{
	if (r ? image || !error->text[0] : !image)
		abort();
	look(image);
}

static void put_be32(struct buffer *b, uint32_t v)
{
	buffer_put_le32(b, __builtin_bswap32(v));
}

/* 1 to 64, sometimes anything. */
static uint32_t side(struct bytes *in)
{
	uint8_t v = bytes_u8(in);

	return v == 255 ? bytes_le32(in) : v % 64u + 1;
}

static struct palette *read_palette(struct bytes *in, struct palette *palette)
{
	palette->count = 1 + bytes_u8(in);
	for (unsigned i = 0; i < palette->count; i++)
		palette->entries[i] = i * 0x10305;
	return bytes_u8(in) % 16 ? palette : NULL;
}

static void bitmap(struct bytes *in)
{
	struct palette palette;
	struct bitmap b = {.palette = read_palette(in, &palette)};
	struct error error = {0};
	struct image *image = NULL;
	int r;

	b.format = input_below(in, 12);
	b.top_down = bytes_u8(in) & 1;
	b.width = side(in);
	b.height = side(in);
	b.stride = (uint32_t)bitmap_row_size(b.format, b.width) +
		   input_below(in, 5);
	if (!input_below(in, 16))
		b.stride = bytes_le32(in);
	b.data = in->data + in->at;
	b.size = bytes_left(in);
	r = bitmap_decode(&b, &image, &error);
	check(r, image, &error);
	r = bitmap_decode_mask(&b, &image, &error);
	look(r ? NULL : image);
}

static void quic(struct bytes *in)
{
	struct error error = {0};
	struct buffer b = {0};
	struct image *image;
	int r;

	buffer_put(&b, "QUIC\0\0\0", 8);
	buffer_put_le32(&b, input_below(in, 7));
	buffer_put_le32(&b, side(in));
	buffer_put_le32(&b, side(in));
	buffer_put(&b, in->data + in->at, bytes_left(in));
	r = quic_decode(bytes_of(b.data, b.size), &image, &error);
	check(r, image, &error);
	buffer_free(&b);
}

static void put_lz_head(struct buffer *b, struct bytes *in, uint32_t type,
			uint32_t width, uint32_t height)
{
	uint8_t more = bytes_u8(in);
	uint8_t format = type == LZ_A8 ? BITMAP_8BIT_A : type;

	put_be32(b, LZ_MAGIC);
	put_be32(b, LZ_VERSION);
	put_be32(b, type);
	put_be32(b, width);
	put_be32(b, height);
	put_be32(b, (uint32_t)bitmap_row_size(format, width) + (more >> 5));
	put_be32(b, more & 1);
}

static void lz(struct bytes *in)
{
	struct palette palette, *p = read_palette(in, &palette);
	struct error error = {0};
	struct buffer b = {0};
	struct image *image;
	uint32_t type = input_below(in, 13), width = side(in);
	int r;

	put_lz_head(&b, in, type, width, side(in));
	buffer_put(&b, in->data + in->at, bytes_left(in));
	r = lz_decode(bytes_of(b.data, b.size), p, &image, &error);
	check(r, image, &error);
	buffer_free(&b);
}

static void put_glz_head(struct buffer *b, struct bytes *in, unsigned number)
{
	uint8_t id = bytes_u8(in);

	put_be32(b, LZ_MAGIC);
	put_be32(b, LZ_VERSION);
	buffer_put_u8(b, (LZ_RGB16 + id % 4) | (id & 4) << 2);
	put_be32(b, side(in));
	put_be32(b, side(in));
	put_be32(b, 0);
	put_be32(b, 0);
	put_be32(b, id < 240 ? number : id);
	put_be32(b, input_below(in, GLZ_IMAGES));
}

static int packed(struct glz_window *window, const struct buffer *b,
		  struct image **image, struct error *error)
{
	uLongf size = compressBound(b->size);
	uint8_t *z = malloc(size);
	int r;

	if (!z || compress2(z, &size, b->data, b->size, 1) != Z_OK)
		abort();
	r = zlib_glz_decode(window, bytes_of(z, size), (uint32_t)b->size, image,
			    error);
	free(z);
	return r;
}

/* Images of up to 256 bytes that may refer to those before them. */
static void glz(struct bytes *in, bool zlib)
{
	struct glz_window *window;

	if (glz_window_new(&window, NULL))
		abort();
	for (unsigned n = 1; n <= GLZ_IMAGES && input_more(in); n++) {
		struct error error = {0};
		struct buffer b = {0};
		struct image *image;
		struct bytes part;
		int r;

		put_glz_head(&b, in, n);
		part = input_take(in, bytes_u8(in));
		buffer_put(&b, part.data, part.size);
		if (zlib && n % 4)
			r = packed(window, &b, &image, &error);
		else if (zlib)
			r = zlib_glz_decode(window, part, bytes_le16(in),
					    &image, &error);
		else
			r = glz_decode(window, bytes_of(b.data, b.size), &image,
				       &error);
		check(r, image, &error);
		buffer_free(&b);
	}
	glz_window_free(window);
}

static void lz4(struct bytes *in)
{
	struct error error = {0};
	struct buffer b = {0};
	struct image *image;
	uint32_t width = side(in), height = side(in);
	int r;

	buffer_put_u8(&b, bytes_u8(in) & 1);
	buffer_put_u8(&b, BITMAP_16BIT - 1 + input_below(in, 6));
	while (input_more(in)) {
		struct bytes part = input_take(in, bytes_u8(in));

		put_be32(&b, (uint32_t)part.size + !input_below(in, 32));
		buffer_put(&b, part.data, part.size);
	}
	r = lz4_decode(bytes_of(b.data, b.size), width, height, &image, &error);
	check(r, image, &error);
	buffer_free(&b);
}

/* A mutation of a JPEG's header makes large pictures: these are passed by. */
static bool small_jpeg(struct bytes jpeg)
{
	const uint8_t *p = jpeg.data;

	for (size_t i = 0; i + 9 < jpeg.size; i++)
		if (p[i] == 0xff && p[i + 1] >= 0xc0 && p[i + 1] <= 0xcf &&
		    p[i + 1] != 0xc4 && p[i + 1] != 0xc8 && p[i + 1] != 0xcc)
			return p[i + 5] < 4 && p[i + 7] < 4;
	return true;
}

static void jpeg(struct bytes *in)
{
	enum jpeg_use use = bytes_u8(in) & 1 ? JPEG_FRAME : JPEG_IMAGE;
	struct bytes rest = input_take(in, bytes_left(in));
	struct error error = {0};
	struct image *image;
	int r;

	if (!small_jpeg(rest))
		return;
	r = jpeg_decode(rest, use, &image, &error);
	check(r, image, &error);
}

/* u16 size of the JPEG, the LZ stream's size, type and turn; both. */
static void jpeg_alpha(struct bytes *in)
{
	uint32_t width = bytes_u8(in), height = bytes_u8(in);
	uint32_t type = LZ_XXXA + !input_below(in, 16);
	struct bytes part = input_take(in, bytes_le16(in));
	struct error error = {0};
	struct buffer b = {0};
	struct image *image;
	int r;

	if (!small_jpeg(part))
		return;
	buffer_put(&b, part.data, part.size);
	put_lz_head(&b, in, type, width, height);
	buffer_put(&b, in->data + in->at, bytes_left(in));
	r = jpeg_alpha_decode(bytes_of(b.data, b.size), (uint32_t)part.size,
			      &image, &error);
	check(r, image, &error);
	buffer_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = bytes_of(data, size);

	switch (CODEC) {
	case CODEC_BITMAP:
		bitmap(&in);
		break;
	case CODEC_QUIC:
		quic(&in);
		break;
	case CODEC_LZ:
		lz(&in);
		break;
	case CODEC_GLZ:
	case CODEC_ZLIB_GLZ:
		glz(&in, CODEC == CODEC_ZLIB_GLZ);
		break;
	case CODEC_LZ4:
		lz4(&in);
		break;
	case CODEC_JPEG:
		jpeg(&in);
		break;
	case CODEC_JPEG_ALPHA:
		jpeg_alpha(&in);
		break;
	}
	return 0;
}
