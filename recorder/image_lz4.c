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

int lz4_decode(struct bytes in, uint32_t width, uint32_t height,
	       struct image **out, struct error *error)
{
	struct bitmap bitmap = {.width = width, .height = height};
	uint8_t *bytes;
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
	bytes = malloc(bitmap.size);
	if (!bytes)
		return error_set(error, ENOMEM, "no memory for an LZ4 image");
	bitmap.data = bytes;
	r = decode_blocks(&in, bytes, bitmap.size, error);
	if (!r)
		r = bitmap_decode(&bitmap, out, error);
	free(bytes);
	return r;
}
