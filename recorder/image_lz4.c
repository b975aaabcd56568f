/*
 * LZ4 images: u8 top_down, u8 bitmap format, then blocks of be32 size and
 * bytes. Blocks hold whole rows without padding and share their history.
 */
#include "recorder/image_codecs.h"

#include <lz4.h>
#include <stdlib.h>

static int decode_blocks(struct bytes *in, uint8_t *out, size_t size,
			 struct error *error)
{
	LZ4_streamDecode_t stream;
	size_t have = 0;

	LZ4_setStreamDecode(&stream, NULL, 0);
	while (have < size) {
		uint32_t n = bytes_be32(in);
		const uint8_t *block = bytes_take(in, n);
		int got;

		if (!block || n > INT32_MAX)
			return error_set(error, EBADMSG,
					 "an LZ4 image is cut short");
		got = LZ4_decompress_safe_continue(&stream, (const char *)block,
						   (char *)out + have, (int)n,
						   (int)(size - have));
		if (got <= 0)
			return error_set(error, EBADMSG,
					 "an LZ4 block is damaged");
		have += got;
	}
	return 0;
}

/* Blocks of pixels that are those of an image, but for the rows' order. */
static int decode_wide(struct bytes *in, const struct bitmap *bitmap,
		       struct image **image, struct error *error)
{
	int r = image_new_unset(
		image, bitmap->width, bitmap->height,
		bitmap->format == BITMAP_RGBA ? IMAGE_ARGB : IMAGE_XRGB, error);

	if (r)
		return r;
	r = decode_blocks(in, (uint8_t *)(*image)->pixels, bitmap->size, error);
	if (!r && !bitmap->top_down)
		image_flip(*image);
	return r;
}

static int decode_other(struct bytes *in, struct bitmap *bitmap,
			struct image **image, struct error *error)
{
	uint8_t *bytes = malloc(bitmap->size);
	int r;

	if (!bytes)
		return error_set(error, ENOMEM, "no memory for an LZ4 image");
	bitmap->data = bytes;
	r = decode_blocks(in, bytes, bitmap->size, error);
	if (!r)
		r = bitmap_decode(bitmap, image, error);
	free(bytes);
	return r;
}

int lz4_decode(struct bytes in, uint32_t width, uint32_t height,
	       struct image **out, struct error *error)
{
	struct bitmap bitmap = {.width = width, .height = height};
	struct image *image = NULL;
	int r;

	*out = NULL;
	bitmap.top_down = bytes_u8(&in) != 0;
	bitmap.format = bytes_u8(&in);
	if (in.bad || bitmap.format < BITMAP_16BIT ||
	    bitmap.format > BITMAP_RGBA || !width || !height ||
	    width > IMAGE_SIDE_MAX || height > IMAGE_SIDE_MAX ||
	    (uint64_t)width * height > IMAGE_PIXELS_MAX)
		return error_set(error, EBADMSG,
				 "an LZ4 image of format %u and %u x %u "
				 "pixels is out of bounds",
				 bitmap.format, width, height);
	bitmap.stride = bitmap_row_size(bitmap.format, width);
	bitmap.size = (size_t)bitmap.stride * height;
	if (bitmap.format >= BITMAP_32BIT &&
	    __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
		r = decode_wide(&in, &bitmap, &image, error);
	else
		r = decode_other(&in, &bitmap, &image, error);
	if (r) {
		image_unref(image);
		return r;
	}
	image->is_555 = bitmap.format == BITMAP_16BIT;
	*out = image;
	return 0;
}
