/* Cursor shapes of every type become ARGB. */
#include "recorder/cursor.h"

/* SPICE_CURSOR_TYPE_* */
enum cursor_type {
	CURSOR_ALPHA,
	CURSOR_MONO,
	CURSOR_COLOR4,
	CURSOR_COLOR8,
	CURSOR_COLOR16,
	CURSOR_COLOR24,
	CURSOR_COLOR32,
};

/* Pixels, then perhaps a palette, then perhaps a mask of one bit. */
struct layout {
	uint8_t bits;     /* of a pixel */
	uint16_t colours; /* of the palette */
	bool mask;
	uint32_t white; /* the value that stands for it, when there is a mask */
};

static const struct layout layouts[] = {
	[CURSOR_ALPHA] = {32, 0, false, 0},
	[CURSOR_MONO] = {0},
	[CURSOR_COLOR4] = {4, 16, true, 0xffffff},
	[CURSOR_COLOR8] = {8, 256, true, 0xffffff},
	[CURSOR_COLOR16] = {16, 0, true, 0x7fff},
	[CURSOR_COLOR24] = {24, 0, true, 0xffffff},
	[CURSOR_COLOR32] = {32, 0, true, 0xffffff},
};

static bool bit(const uint8_t *bits, size_t i)
{
	return bits[i / 8] >> (7 - (i & 7)) & 1;
}

/* Not at the rim; clear itself, and something beside it is set. */
static bool is_edge(const uint8_t *bits, size_t row, uint32_t width,
		    uint32_t height, uint32_t x, uint32_t y)
{
	if (!x || !y || x == width - 1 || y == height - 1 ||
	    bit(bits + y * row, x))
		return false;
	for (uint32_t v = y - 1; v <= y + 1; v++)
		for (uint32_t u = x - 1; u <= x + 1; u++)
			if (bit(bits + v * row, u))
				return true;
	return false;
}

/*
 * AND mask, then XOR mask. Both set inverts what is below; viewers can't,
 * and show it white; and when a pointer consists of nothing else, with a
 * black edge.
 */
static void shape_mono(struct image *image, const uint8_t *and_mask)
{
	uint32_t width = image->width, height = image->height;
	size_t row = (width + 7) / 8, size = row * height, ones = 0;
	const uint8_t *xor_mask = and_mask + size;

	while (ones < size && and_mask[ones] == 0xff)
		ones++;
	for (uint32_t y = 0; y < height; y++)
		for (uint32_t x = 0; x < width; x++) {
			uint32_t *out = &image_row(image, y)[x];

			if (bit(xor_mask + y * row, x))
				*out = 0xffffffff;
			else if (!bit(and_mask + y * row, x) ||
				 (ones == size &&
				  is_edge(xor_mask, row, width, height, x, y)))
				*out = 0xff000000;
			else
				*out = 0;
		}
}

/* The value of the i-th pixel as it is stored. */
static uint32_t stored(unsigned bits, const uint8_t *data, size_t i)
{
	data += i * bits / 8;
	switch (bits) {
	case 4:
		return i & 1 ? *data & 15 : *data >> 4;
	case 8:
		return *data;
	case 16:
		return data[0] | (uint32_t)data[1] << 8;
	case 24:
		return data[0] | (uint32_t)data[1] << 8 |
		       (uint32_t)data[2] << 16;
	}
	return bytes_get_le32(data);
}

/* A colour where the mask is clear. White where it is set stands for
 * "invert": viewers show a chequered grey. */
static uint32_t masked(uint32_t colour, bool mask, bool white, bool odd)
{
	if (!mask)
		return colour | 0xff000000;
	if (!white)
		return colour;
	return odd ? 0xc0303030 : 0x30505050;
}

/* Rows of colours and masks follow each other without padding. */
static void shape_colours(struct image *image, const struct layout *layout,
			  const uint8_t *data, const uint32_t *palette,
			  const uint8_t *mask)
{
	size_t i = 0;

	for (uint32_t y = 0; y < image->height; y++)
		for (uint32_t x = 0; x < image->width; x++, i++) {
			uint32_t v = stored(layout->bits, data, i), colour = v;

			if (layout->colours)
				v = colour = palette[v];
			else if (layout->bits == 16)
				colour = (v & 0x1f) << 3 | (v & 0x3e0) << 6 |
					 (v & 0x7c00) << 9;
			if (mask)
				colour =
					masked(colour, bit(mask, i),
					       v == layout->white, (x ^ y) & 1);
			image_row(image, y)[x] = colour;
		}
}

static int shape_rows(struct image *image, enum cursor_type type,
		      struct bytes *in, struct error *error)
{
	const struct layout *layout = &layouts[type];
	size_t width = image->width, height = image->height;
	uint32_t palette[256];
	const uint8_t *data, *mask = NULL;

	if (type == CURSOR_MONO) {
		data = bytes_take(in, (width + 7) / 8 * height * 2);
		if (data)
			shape_mono(image, data);
	} else {
		data = bytes_take(in, (width * layout->bits + 7) / 8 * height);
		for (unsigned i = 0; i < layout->colours; i++)
			palette[i] = bytes_le32(in);
		if (layout->mask)
			mask = bytes_take(in, (width * height + 7) / 8);
		if (!in->bad)
			shape_colours(image, layout, data, palette, mask);
	}
	if (in->bad)
		return error_set(error, EBADMSG, "a cursor is cut short");
	return 0;
}

int cursor_read_shape(const struct cursor_header *h, struct bytes *in,
		      struct image **image, struct error *error)
{
	int r;

	if (h->type > CURSOR_COLOR32 || h->width > CURSOR_SIDE_MAX ||
	    h->height > CURSOR_SIDE_MAX)
		return error_set(error, EBADMSG,
				 "a cursor of type %u and %u x %u pixels is "
				 "out of bounds",
				 h->type, h->width, h->height);
	r = image_new(image, h->width, h->height, IMAGE_ARGB, error);
	if (!r)
		r = shape_rows(*image, h->type, in, error);
	if (r) {
		image_unref(*image);
		*image = NULL;
	}
	return r;
}
