/* Cursor shapes of every type become ARGB; what moves and hides them. */
#include "recorder/cursor.h"

#include <stdlib.h>

/* SPICE_MSG_CURSOR_* */
enum {
	MESSAGE_INIT = 101,
	MESSAGE_RESET,
	MESSAGE_SET,
	MESSAGE_MOVE,
	MESSAGE_HIDE,
	MESSAGE_TRAIL,
	MESSAGE_INVAL_ONE,
	MESSAGE_INVAL_ALL,
};

/* SPICE_CURSOR_FLAGS_* */
#define FLAG_NONE 1
#define FLAG_CACHE_ME 2
#define FLAG_FROM_CACHE 4

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

/* Rows of pixels, then perhaps a palette, then a mask of one bit. */
struct layout {
	uint8_t format;   /* enum bitmap_format */
	uint16_t colours; /* of the palette behind the pixels */
};

static const struct layout layouts[] = {
	[CURSOR_ALPHA] = {BITMAP_RGBA, 0},
	[CURSOR_MONO] = {BITMAP_1BIT_BE, 0},
	[CURSOR_COLOR4] = {BITMAP_4BIT_BE, 16},
	[CURSOR_COLOR8] = {BITMAP_8BIT, 256},
	[CURSOR_COLOR16] = {BITMAP_16BIT, 0},
	[CURSOR_COLOR24] = {BITMAP_24BIT, 0},
	[CURSOR_COLOR32] = {BITMAP_32BIT, 0},
};

int cursor_new(struct cursor **cursor, struct error *error)
{
	struct cursor *c = calloc(1, sizeof(*c));
	int r;

	*cursor = NULL;
	if (!c)
		return error_set(error, ENOMEM, "no memory for a cursor");
	r = image_cache_new(&c->cache, error);
	if (r) {
		free(c);
		return r;
	}
	*cursor = c;
	return 0;
}

void cursor_free(struct cursor *c)
{
	if (!c)
		return;
	image_unref(c->shape);
	image_cache_free(c->cache);
	free(c);
}

static bool bit(const uint8_t *row, uint32_t x)
{
	return row[x / 8] >> (7 - (x & 7)) & 1;
}

/* AND mask, then XOR mask. */
static void shape_mono(struct image *image, const uint8_t *data)
{
	size_t row = (image->width + 7) / 8;

	for (uint32_t y = 0; y < image->height; y++) {
		const uint8_t *and = data + y * row;
		const uint8_t * xor = and+image->height * row;
		uint32_t *out = image_row(image, y);

		for (uint32_t x = 0; x < image->width; x++)
			if (bit(and, x))
				out[x] = bit(xor, x) ? CURSOR_INVERT : 0;
			else
				out[x] = bit(xor, x) ? 0xffffffff : 0xff000000;
	}
}

/* White where the mask says transparent stands for "invert". */
static void apply_mask(struct image *image, const uint8_t *mask)
{
	size_t row = (image->width + 7) / 8;

	for (uint32_t y = 0; y < image->height; y++, mask += row) {
		uint32_t *out = image_row(image, y);

		for (uint32_t x = 0; x < image->width; x++)
			if (!bit(mask, x))
				out[x] |= 0xff000000;
			else if ((out[x] & 0xffffff) != 0xffffff)
				out[x] = 0;
			else
				out[x] = CURSOR_INVERT;
	}
}

/* Without alpha no colour shines through; with less, no more than that. */
static void mend_alpha(struct image *image)
{
	size_t n = (size_t)image->width * image->height;

	for (size_t i = 0; i < n; i++) {
		uint32_t v = image->pixels[i], a = v >> 24;

		for (unsigned shift = 0; shift < 24; shift += 8)
			if ((v >> shift & 255) > a)
				v = (v & ~(0xffu << shift)) | a << shift;
		image->pixels[i] = v;
	}
}

static int shape_rows(struct image *image, enum cursor_type type,
		      struct bytes *in, struct error *error)
{
	const struct layout *layout = &layouts[type];
	size_t size = bitmap_row_size(layout->format, image->width);
	size_t mask_size = (image->width + 7) / 8 * (size_t)image->height;
	struct palette palette = {.count = layout->colours};
	const uint8_t *rows, *mask;

	rows = bytes_take(in, size * image->height);
	if (type == CURSOR_MONO) {
		mask = bytes_take(in, mask_size);
		if (mask)
			shape_mono(image, rows);
	} else {
		for (unsigned i = 0; i < palette.count; i++)
			palette.entries[i] = bytes_le32(in);
		mask = type == CURSOR_ALPHA ? rows : bytes_take(in, mask_size);
		for (uint32_t y = 0; rows && mask && y < image->height; y++)
			bitmap_row(layout->format, &palette, rows + y * size,
				   image_row(image, y), image->width);
		if (type == CURSOR_ALPHA)
			mend_alpha(image);
		else if (mask)
			apply_mask(image, mask);
	}
	if (!rows || !mask)
		return error_set(error, EBADMSG, "a cursor is cut short");
	return 0;
}

struct header {
	uint64_t unique;
	uint8_t type;
	uint16_t width, height, hot_x, hot_y;
};

static int read_shape(const struct header *h, struct bytes *in,
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

static int set_shape(struct cursor *c, struct bytes *in, struct error *error)
{
	uint16_t flags = bytes_le16(in);
	struct image *image = NULL, *found;
	struct header h;
	int r = 0;

	if (flags & FLAG_NONE) {
		image_unref(c->shape);
		c->shape = NULL;
		return 0;
	}
	h.unique = bytes_le64(in);
	h.type = bytes_u8(in);
	h.width = bytes_le16(in);
	h.height = bytes_le16(in);
	h.hot_x = bytes_le16(in);
	h.hot_y = bytes_le16(in);
	if (in->bad)
		return error_set(error, EBADMSG, "a cursor is cut short");
	if (flags & FLAG_FROM_CACHE) {
		found = image_cache_get(c->cache, h.unique, false);
		if (!found)
			return error_set(error, EBADMSG,
					 "cursor %llx is not in the cache",
					 (unsigned long long)h.unique);
		image = image_ref(found);
	} else {
		r = read_shape(&h, in, &image, error);
		if (!r && flags & FLAG_CACHE_ME)
			r = image_cache_put(c->cache, h.unique, image, true,
					    error);
	}
	if (r) {
		image_unref(image);
		return r;
	}
	image_unref(c->shape);
	c->shape = image;
	c->hot_x = h.hot_x;
	c->hot_y = h.hot_y;
	return 0;
}

void cursor_place(struct cursor *c, int32_t x, int32_t y)
{
	if (c->x != x || c->y != y)
		c->changes++;
	c->x = x;
	c->y = y;
}

static void read_place(struct cursor *c, struct bytes *in)
{
	int16_t x = (int16_t)bytes_le16(in), y = (int16_t)bytes_le16(in);

	if (!c->client_mode)
		cursor_place(c, x, y);
}

static void hide(struct cursor *c)
{
	image_unref(c->shape);
	c->shape = NULL;
	c->visible = false;
}

int cursor_message(struct cursor *c, uint16_t type, struct bytes in,
		   struct error *error)
{
	c->changes++;
	switch (type) {
	case MESSAGE_INIT:
		image_cache_clear(c->cache);
		hide(c);
		read_place(c, &in);
		bytes_le32(&in); /* trail, which nobody draws */
		c->visible = bytes_u8(&in);
		return set_shape(c, &in, error);
	case MESSAGE_RESET:
		image_cache_clear(c->cache);
		hide(c);
		return 0;
	case MESSAGE_SET:
		read_place(c, &in);
		c->visible = bytes_u8(&in);
		return set_shape(c, &in, error);
	case MESSAGE_MOVE:
		read_place(c, &in);
		c->visible = true;
		return 0;
	case MESSAGE_HIDE:
		c->visible = false;
		return 0;
	case MESSAGE_TRAIL:
		return 0;
	case MESSAGE_INVAL_ONE:
		image_cache_drop(c->cache, bytes_le64(&in));
		return 0;
	case MESSAGE_INVAL_ALL:
		image_cache_clear(c->cache);
		return 0;
	}
	return error_set(error, EBADMSG, "cursor message %u is unknown", type);
}

static uint32_t over(uint32_t s, uint32_t d)
{
	uint32_t keep = 255 - (s >> 24), out = 0;

	if (s == CURSOR_INVERT)
		return d ^ 0xffffff;
	for (unsigned shift = 0; shift < 24; shift += 8) {
		uint32_t t = (d >> shift & 255) * keep + 128;

		out |= ((s >> shift & 255) + ((t + (t >> 8)) >> 8)) << shift;
	}
	return out;
}

void cursor_draw(const struct cursor *c, int32_t x, int32_t y, uint32_t *pixels,
		 unsigned n)
{
	const struct image *shape = c->shape;
	int32_t from = c->x - c->hot_x - x, row = y - (c->y - c->hot_y);

	if (!shape || row < 0 || row >= (int32_t)shape->height)
		return;
	for (uint32_t i = 0; i < shape->width; i++) {
		int32_t at = from + (int32_t)i;

		if (at >= 0 && at < (int32_t)n)
			pixels[at] = over(image_row(shape, row)[i], pixels[at]);
	}
}
