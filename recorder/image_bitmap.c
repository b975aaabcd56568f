/* Plain bitmaps of 1 to 32 bits a pixel, and palettes. */
#include "recorder/image_codecs.h"

int palette_read(struct bytes in, struct palette *palette, struct error *error)
{
	palette->unique = bytes_le64(&in);
	palette->count = bytes_le16(&in);
	if (in.bad || !palette->count || palette->count > PALETTE_MAX)
		return error_set(error, EBADMSG,
				 "a palette of %u colours is out of bounds",
				 palette->count);
	for (uint32_t i = 0; i < palette->count; i++)
		palette->entries[i] = bytes_le32(&in);
	if (in.bad)
		return error_set(error, EBADMSG, "a palette is cut short");
	return 0;
}

size_t bitmap_row_size(uint8_t format, uint32_t width)
{
	static const uint8_t bits[] = {0, 1, 1, 4, 4, 8, 16, 24, 32, 32, 8};

	if (format >= sizeof(bits))
		return 0;
	return ((size_t)width * bits[format] + 7) / 8;
}

static uint32_t colour(const struct palette *palette, unsigned index)
{
	return palette
		->entries[index < palette->count ? index
						 : index % palette->count];
}

static void row_of_bits(const struct palette *palette, bool low_first,
			const uint8_t *row, uint32_t *pixels, uint32_t width)
{
	for (uint32_t x = 0; x < width; x++) {
		unsigned shift = low_first ? x & 7 : 7 - (x & 7);

		pixels[x] = colour(palette, row[x / 8] >> shift & 1);
	}
}

static void row_of_nibbles(const struct palette *palette, bool low_first,
			   const uint8_t *row, uint32_t *pixels, uint32_t width)
{
	for (uint32_t x = 0; x < width; x++) {
		unsigned shift = ((x & 1) != 0) == low_first ? 4 : 0;

		pixels[x] = colour(palette, row[x / 2] >> shift & 15);
	}
}

static void row_of_bytes(const struct palette *palette, const uint8_t *row,
			 uint32_t *pixels, uint32_t width)
{
	for (uint32_t x = 0; x < width; x++)
		pixels[x] = palette->entries[row[x] < palette->count
						     ? row[x]
						     : palette->count - 1];
}

static void row_of_16(const uint8_t *row, uint32_t *pixels, uint32_t width)
{
	for (uint32_t x = 0; x < width; x++) {
		unsigned v = row[2 * x] | row[2 * x + 1] << 8;
		unsigned r = v >> 10 & 31, g = v >> 5 & 31, b = v & 31;

		pixels[x] = (r << 3 | r >> 2) << 16 | (g << 3 | g >> 2) << 8 |
			    (b << 3 | b >> 2);
	}
}

static void row_of_24(const uint8_t *row, uint32_t *pixels, uint32_t width)
{
	for (uint32_t x = 0; x < width; x++, row += 3)
		pixels[x] = (uint32_t)row[2] << 16 | row[1] << 8 | row[0];
}

static void row_of_32(const uint8_t *row, uint32_t *pixels, uint32_t width)
{
	for (uint32_t x = 0; x < width; x++)
		pixels[x] = bytes_get_le32(row + 4 * x);
}

static void row_of_alpha(const uint8_t *row, uint32_t *pixels, uint32_t width)
{
	for (uint32_t x = 0; x < width; x++)
		pixels[x] = (uint32_t)row[x] << 24;
}

void bitmap_row(uint8_t format, const struct palette *palette,
		const uint8_t *row, uint32_t *pixels, uint32_t width)
{
	switch (format) {
	case BITMAP_1BIT_LE:
	case BITMAP_1BIT_BE:
		row_of_bits(palette, format == BITMAP_1BIT_LE, row, pixels,
			    width);
		break;
	case BITMAP_4BIT_LE:
	case BITMAP_4BIT_BE:
		row_of_nibbles(palette, format == BITMAP_4BIT_LE, row, pixels,
			       width);
		break;
	case BITMAP_8BIT:
		row_of_bytes(palette, row, pixels, width);
		break;
	case BITMAP_16BIT:
		row_of_16(row, pixels, width);
		break;
	case BITMAP_24BIT:
		row_of_24(row, pixels, width);
		break;
	case BITMAP_8BIT_A:
		row_of_alpha(row, pixels, width);
		break;
	default:
		row_of_32(row, pixels, width);
		break;
	}
}

static int check(const struct bitmap *bitmap, struct error *error)
{
	size_t row = bitmap_row_size(bitmap->format, bitmap->width);
	uint64_t wanted;

	if (!row || bitmap->stride < row)
		return error_set(error, EBADMSG,
				 "a bitmap of format %u and width %u has rows "
				 "of %u bytes",
				 bitmap->format, bitmap->width, bitmap->stride);
	wanted = (uint64_t)bitmap->stride * bitmap->height;
	if (wanted > bitmap->size)
		return error_set(error, EBADMSG,
				 "a bitmap of %u rows of %u bytes has only "
				 "%zu bytes",
				 bitmap->height, bitmap->stride, bitmap->size);
	return 0;
}

static const uint8_t *stored_row(const struct bitmap *bitmap, uint32_t y)
{
	if (!bitmap->top_down)
		y = bitmap->height - 1 - y;
	return bitmap->data + (size_t)y * bitmap->stride;
}

int bitmap_decode(const struct bitmap *bitmap, struct image **image,
		  struct error *error)
{
	bool alpha = bitmap->format == BITMAP_RGBA ||
		     bitmap->format == BITMAP_8BIT_A;
	int r = check(bitmap, error);

	if (r)
		return r;
	if (bitmap->format <= BITMAP_8BIT && !bitmap->palette)
		return error_set(error, EBADMSG,
				 "a bitmap of format %u has no palette",
				 bitmap->format);
	r = image_new(image, bitmap->width, bitmap->height,
		      alpha ? IMAGE_ARGB : IMAGE_XRGB, error);
	if (r)
		return r;
	for (uint32_t y = 0; y < bitmap->height; y++)
		bitmap_row(bitmap->format, bitmap->palette,
			   stored_row(bitmap, y), image_row(*image, y),
			   bitmap->width);
	return 0;
}

int bitmap_decode_mask(const struct bitmap *bitmap, struct image **image,
		       struct error *error)
{
	struct palette bits = {.count = 2, .entries = {0, 1}};
	int r = check(bitmap, error);

	if (r)
		return r;
	if (bitmap->format > BITMAP_1BIT_BE)
		return error_set(error, EBADMSG,
				 "a mask is a bitmap of format %u",
				 bitmap->format);
	r = image_new(image, bitmap->width, bitmap->height, IMAGE_MASK, error);
	if (r)
		return r;
	for (uint32_t y = 0; y < bitmap->height; y++)
		bitmap_row(bitmap->format, &bits, stored_row(bitmap, y),
			   image_row(*image, y), bitmap->width);
	return 0;
}
