/*
 * SPICE's LZ: a byte-oriented LZ77 over pixels or packed palette indices.
 *
 * Header, big-endian u32: magic, version, type, width, height, stride,
 * top_down. Then control bytes: below 32 a run of literals, otherwise a match
 * at a distance within the image. RGBA has a second pass for its alpha.
 */
#include "recorder/image_codecs.h"
#include "recorder/image_lz.h"

#include <stdlib.h>

struct lz_header {
	uint32_t type;
	uint32_t width, height, stride;
	bool top_down;
};

static int read_header(struct bytes *in, struct lz_header *h,
		       struct error *error)
{
	uint32_t magic = bytes_be32(in);
	uint32_t version = bytes_be32(in);

	h->type = bytes_be32(in);
	h->width = bytes_be32(in);
	h->height = bytes_be32(in);
	h->stride = bytes_be32(in);
	h->top_down = bytes_be32(in) != 0;
	if (in->bad || magic != LZ_MAGIC || version != LZ_VERSION)
		return error_set(error, EBADMSG, "an LZ header is damaged");
	return 0;
}

static size_t match_distance(struct bytes *in, unsigned control)
{
	unsigned high = control & 31;
	unsigned low = bytes_u8(in);

	if (high == 31 && low == 255) {
		high = bytes_u8(in);
		low = bytes_u8(in);
		return 8191 + (high << 8 | low) + 1;
	}
	return (high << 8 | low) + 1;
}

__attribute__((always_inline)) static inline bool
pass(enum lz_unit unit, struct bytes *in, void *out, size_t units)
{
	size_t at = 0;

	while (at < units) {
		unsigned control = bytes_u8(in);
		size_t length, distance;

		if (control < 32) {
			length = control + 1;
			if (length > units - at ||
			    !lz_literals(unit, in, out, at, length))
				return false;
		} else {
			length = lz_length(in, control);
			distance = match_distance(in, control);
			length += lz_bias(unit);
			if (in->bad || distance > at || length > units - at)
				return false;
			lz_repeat(unit, out, at, out, at - distance, length);
		}
		at += length;
	}
	return !in->bad;
}

static bool pass_bytes(struct bytes *in, uint8_t *out, size_t units)
{
	return pass(LZ_UNIT_BYTE, in, out, units);
}

static bool pass_16(struct bytes *in, uint32_t *out, size_t units)
{
	return pass(LZ_UNIT_16, in, out, units);
}

static bool pass_24(struct bytes *in, uint32_t *out, size_t units)
{
	return pass(LZ_UNIT_24, in, out, units);
}

static bool pass_alpha(struct bytes *in, uint32_t *out, size_t units)
{
	return pass(LZ_UNIT_ALPHA, in, out, units);
}

/* Packed indices or alpha bytes, widened as a bitmap's rows are. */
static int decode_packed(struct bytes *in, const struct lz_header *h,
			 const struct palette *palette, struct image *image,
			 struct error *error)
{
	uint8_t format = h->type == LZ_A8 ? BITMAP_8BIT_A : h->type;
	size_t row = bitmap_row_size(format, h->width);
	uint8_t *bytes;
	size_t size;

	if (format <= BITMAP_8BIT && !palette)
		return error_set(error, EBADMSG, "an LZ image has no palette");
	if (h->stride < row || h->stride > row + 64)
		return error_set(error, EBADMSG,
				 "an LZ image has rows of %u bytes, not %zu",
				 h->stride, row);
	size = (size_t)h->stride * h->height;
	bytes = malloc(size);
	if (!bytes)
		return error_set(error, ENOMEM, "no memory for an LZ image");
	if (!pass_bytes(in, bytes, size)) {
		free(bytes);
		return error_set(error, EBADMSG, "an LZ stream is damaged");
	}
	for (uint32_t y = 0; y < h->height; y++)
		bitmap_row(format, palette, bytes + (size_t)y * h->stride,
			   image_row(image, y), h->width);
	free(bytes);
	return 0;
}

static int decode_pixels(struct bytes *in, const struct lz_header *h,
			 struct image *image, struct error *error)
{
	size_t units = (size_t)h->width * h->height;
	bool good;

	if (h->type == LZ_RGB16)
		good = pass_16(in, image->pixels, units);
	else
		good = pass_24(in, image->pixels, units);
	if (good && h->type == LZ_RGBA)
		good = pass_alpha(in, image->pixels, units);
	if (!good)
		return error_set(error, EBADMSG, "an LZ stream is damaged");
	return 0;
}

int lz_decode(struct bytes in, const struct palette *palette,
	      struct image **out, struct error *error)
{
	struct lz_header h;
	struct image *image;
	bool alpha;
	int r = read_header(&in, &h, error);

	*out = NULL;
	if (r)
		return r;
	if (h.type < LZ_PLT1_LE || h.type > LZ_A8 || h.type == LZ_XXXA)
		return error_set(error, EBADMSG, "LZ type %u is unknown",
				 h.type);
	alpha = h.type == LZ_RGBA || h.type == LZ_A8;
	r = image_new(&image, h.width, h.height,
		      alpha ? IMAGE_ARGB : IMAGE_XRGB, error);
	if (r)
		return r;
	if (h.type <= LZ_PLT8 || h.type == LZ_A8)
		r = decode_packed(&in, &h, palette, image, error);
	else
		r = decode_pixels(&in, &h, image, error);
	if (r) {
		image_unref(image);
		return r;
	}
	if (!h.top_down)
		image_flip(image);
	*out = image;
	return 0;
}

int lz_decode_alpha(struct bytes in, struct image *image, struct error *error)
{
	struct lz_header h;
	int r = read_header(&in, &h, error);

	if (r)
		return r;
	if (h.type != LZ_XXXA || h.width != image->width ||
	    h.height != image->height)
		return error_set(error, EBADMSG,
				 "the alpha of a JPEG image does not fit it");
	if (!h.top_down)
		image_flip(image);
	if (!pass_alpha(&in, image->pixels, (size_t)h.width * h.height))
		r = error_set(error, EBADMSG, "an LZ stream is damaged");
	if (!h.top_down)
		image_flip(image);
	return r;
}
