/* What sets, moves and hides a pointer; how it is drawn. */
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

int cursor_new(struct cursor **cursor, struct error *error)
{
	struct cursor *c = calloc(1, sizeof(*c));
	int r;

	*cursor = NULL;
	if (!c)
		return error_set(error, ENOMEM, "no memory for a cursor");
	r = image_cache_new(&c->cache, CURSOR_CACHE_PIXELS, error);
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

/* No component is more than alpha lets through. */
static bool is_premultiplied(const struct image *image)
{
	for (uint32_t y = 0; y < image->height; y++)
		for (uint32_t x = 0; x < image->width; x++) {
			uint32_t v = image_row(image, y)[x], a = v >> 24;

			if ((v & 255) > a || (v >> 8 & 255) > a ||
			    (v >> 16 & 255) > a)
				return false;
		}
	return true;
}

static int set_shape(struct cursor *c, struct bytes *in, struct error *error)
{
	uint16_t flags = bytes_le16(in);
	struct image *image = NULL, *found;
	struct cursor_header h;
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
		r = cursor_read_shape(&h, in, &image, error);
		if (!r && flags & FLAG_CACHE_ME)
			r = image_cache_put(c->cache, h.unique, image, true,
					    error);
		if (r == -ENOSPC) /* shown, though it can't be kept */
			r = 0;
	}
	if (r) {
		image_unref(image);
		return r;
	}
	image_unref(c->shape);
	c->shape = image;
	c->premultiplied = is_premultiplied(image);
	c->hot_x = h.hot_x < image->width ? h.hot_x : image->width;
	c->hot_y = h.hot_y < image->height ? h.hot_y : image->height;
	return 0;
}

void cursor_place(struct cursor *c, int32_t x, int32_t y)
{
	if (c->x != x || c->y != y || !c->placed)
		c->changes++;
	c->x = x;
	c->y = y;
	c->placed = true;
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

void cursor_restart(struct cursor *c)
{
	image_cache_clear(c->cache);
	hide(c);
	c->placed = false;
	c->changes++;
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

/* a * b / 255, rounded */
static uint32_t mul(uint32_t a, uint32_t b)
{
	uint32_t t = a * b + 128;

	return (t + (t >> 8)) >> 8;
}

static uint32_t over(uint32_t s, uint32_t d, bool premultiplied)
{
	uint32_t alpha = s >> 24, out = 0;

	for (unsigned shift = 0; shift < 24; shift += 8) {
		uint32_t v = s >> shift & 255;

		v = premultiplied ? v : mul(v, alpha);
		out |= (v + mul(d >> shift & 255, 255 - alpha)) << shift;
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
			pixels[at] = over(image_row(shape, row)[i], pixels[at],
					  c->premultiplied);
	}
}
