/* Plain bitmaps of 1 to 32 bits a pixel, and palettes. */
#include "recorder/cpu.h"
#include "recorder/image_codecs.h"
#include "recorder/pixels.h"

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

void palette_table(const struct palette *palette, uint8_t format,
		   uint32_t table[PALETTE_MAX])
{
	for (uint32_t i = 0; i < PALETTE_MAX; i++)
		if (format == BITMAP_8BIT_A)
			table[i] = i << 24;
		else if (i < palette->count)
			table[i] = palette->entries[i];
		else if (format == BITMAP_8BIT)
			table[i] = palette->entries[palette->count - 1];
		else
			table[i] = palette->entries[i % palette->count];
}

static void row_of_bits(const uint32_t *table, bool low_first,
			const uint8_t *row, uint32_t *pixels, uint32_t width)
{
	pixels8 back = {0}, fore = {0}, bits = {1, 2, 4, 8, 16, 32, 64, 128};
	uint32_t x = 0;

	back += table[0];
	fore += table[1];
	if (!low_first)
		bits = (pixels8){128, 64, 32, 16, 8, 4, 2, 1};
	for (; x + 8 <= width; x += 8) {
		pixels8 set = (pixels8)((bits & row[x / 8]) != 0);

		*(pixels8 *)(pixels + x) = (fore & set) | (back & ~set);
	}
	for (; x < width; x++)
		pixels[x] = table[(row[x / 8] & bits[x & 7]) != 0];
}

static void row_of_nibbles(const uint32_t *table, bool low_first,
			   const uint8_t *row, uint32_t *pixels, uint32_t width)
{
	unsigned first = low_first ? 0 : 4;

	for (uint32_t x = 0; x + 1 < width; x += 2) {
		pixels[x] = table[row[x / 2] >> first & 15];
		pixels[x + 1] = table[row[x / 2] >> (4 - first) & 15];
	}
	if (width & 1)
		pixels[width - 1] = table[row[width / 2] >> first & 15];
}

static void row_of_bytes(const uint32_t *table, const uint8_t *row,
			 uint32_t *pixels, uint32_t width)
{
	uint32_t x = 0;

	for (; x + 4 <= width; x += 4) {
		pixels[x] = table[row[x]];
		pixels[x + 1] = table[row[x + 1]];
		pixels[x + 2] = table[row[x + 2]];
		pixels[x + 3] = table[row[x + 3]];
	}
	for (; x < width; x++)
		pixels[x] = table[row[x]];
}

PIXELS_INLINE void row_of_16(const uint8_t *row, uint32_t *pixels,
			     uint32_t width)
{
	const bool turned = __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__;
	uint8_t rest[16] = {0};
	uint32_t eight[8], x = 0;

	for (; x + 8 <= width; x += 8)
		pixels_of_16(pixels + x, row + 2 * x, turned);
	memcpy(rest, row + 2 * x, 2 * (width - x));
	pixels_of_16(eight, rest, turned);
	memcpy(pixels + x, eight, 4 * (width - x));
}

PIXELS_INLINE void row_of_24(bool fast, const uint8_t *row, uint32_t *pixels,
			     uint32_t width)
{
	uint32_t x = 0;

	if (fast)
		for (; x + 6 <= width; x += 4)
			pixels_of_24(pixels + x, row + 3 * x);
	for (; x + 2 <= width; x++)
		pixels[x] = bytes_get_le32(row + 3 * x) & 0xffffff;
	for (row += 3 * x; x < width; x++, row += 3)
		pixels[x] = (uint32_t)row[2] << 16 | row[1] << 8 | row[0];
}

static void row_of_32(const uint8_t *row, uint32_t *pixels, uint32_t width)
{
	if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
		memcpy(pixels, row, 4 * (size_t)width);
	else
		for (uint32_t x = 0; x < width; x++)
			pixels[x] = bytes_get_le32(row + 4 * x);
}

static const uint8_t *stored_row(const struct bitmap *bitmap, uint32_t y)
{
	if (!bitmap->top_down)
		y = bitmap->height - 1 - y;
	return bitmap->data + (size_t)y * bitmap->stride;
}

PIXELS_INLINE void widen_rows(bool fast, const struct bitmap *bitmap,
			      const uint32_t *table, struct image *image)
{
	uint32_t width = bitmap->width;

	for (uint32_t y = 0; y < bitmap->height; y++) {
		const uint8_t *row = stored_row(bitmap, y);
		uint32_t *to = image_row(image, y);

		switch (bitmap->format) {
		case BITMAP_1BIT_LE:
		case BITMAP_1BIT_BE:
			row_of_bits(table, bitmap->format == BITMAP_1BIT_LE,
				    row, to, width);
			break;
		case BITMAP_4BIT_LE:
		case BITMAP_4BIT_BE:
			row_of_nibbles(table, bitmap->format == BITMAP_4BIT_LE,
				       row, to, width);
			break;
		case BITMAP_8BIT:
		case BITMAP_8BIT_A:
			row_of_bytes(table, row, to, width);
			break;
		case BITMAP_16BIT:
			row_of_16(row, to, width);
			break;
		case BITMAP_24BIT:
			row_of_24(fast, row, to, width);
			break;
		default:
			row_of_32(row, to, width);
			break;
		}
	}
}

static void rows_plain(const struct bitmap *bitmap, const uint32_t *table,
		       struct image *image)
{
	widen_rows(false, bitmap, table, image);
}

CPU_FAST static void rows_fast(const struct bitmap *bitmap,
			       const uint32_t *table, struct image *image)
{
	widen_rows(CPU_FAST_DIFFERS, bitmap, table, image);
}

void bitmap_rows(const struct bitmap *bitmap, const uint32_t *table,
		 struct image *image)
{
	if (cpu_is_fast())
		rows_fast(bitmap, table, image);
	else
		rows_plain(bitmap, table, image);
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

int bitmap_decode(const struct bitmap *bitmap, struct image **image,
		  struct error *error)
{
	uint32_t table[PALETTE_MAX];
	int r = check(bitmap, error);

	if (r)
		return r;
	if (bitmap->format <= BITMAP_8BIT && !bitmap->palette)
		return error_set(error, EBADMSG,
				 "a bitmap of format %u has no palette",
				 bitmap->format);
	if (bitmap->format <= BITMAP_8BIT || bitmap->format == BITMAP_8BIT_A)
		palette_table(bitmap->palette, bitmap->format, table);
	r = image_new_unset(image, bitmap->width, bitmap->height,
			    bitmap->format == BITMAP_RGBA     ? IMAGE_ARGB
			    : bitmap->format == BITMAP_8BIT_A ? IMAGE_ALPHA
							      : IMAGE_XRGB,
			    error);
	if (r)
		return r;
	(*image)->is_555 = bitmap->format == BITMAP_16BIT;
	bitmap_rows(bitmap, table, *image);
	return r;
}

int bitmap_decode_mask(const struct bitmap *bitmap, struct image **image,
		       struct error *error)
{
	static const uint32_t bits[] = {0, 1};
	int r = check(bitmap, error);

	if (r)
		return r;
	if (bitmap->format > BITMAP_1BIT_BE)
		return error_set(error, EBADMSG,
				 "a mask is a bitmap of format %u",
				 bitmap->format);
	r = image_new_unset(image, bitmap->width, bitmap->height, IMAGE_MASK,
			    error);
	if (!r)
		bitmap_rows(bitmap, bits, *image);
	return r;
}
