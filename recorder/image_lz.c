/*
 * SPICE's LZ: a byte-oriented LZ77 over pixels or packed palette indices.
 *
 * Header, big-endian u32: magic, version, type, width, height, stride,
 * top_down. Then control bytes: below 32 a run of literals, otherwise a match
 * at a distance within the image. RGBA has a second pass for its alpha.
 */
#include "recorder/image_lz.h"

#include <stdlib.h>

#include "recorder/image_codecs.h"

struct lz_header {
	uint32_t type;
	uint32_t width, height, stride;
	bool top_down;
};

/* All units of a pass to out; false when the stream is damaged. */
typedef bool lz_pass(struct lz_input *in, void *out, size_t units,
		     const uint32_t *table);

struct lz_passes {
	lz_pass *bytes, *indices, *of_16, *of_24, *alpha;
};

bool lz_move_tail(struct lz_input *in)
{
	ptrdiff_t left = in->end - in->at;

	if (left >= LZ_TAIL)
		return true;
	if (left < 0)
		return false;
	if (in->end > in->tail && in->end <= in->tail + LZ_TAIL)
		return true;
	memcpy(in->tail, in->at, (size_t)left);
	memset(in->tail + left, 0, LZ_TAIL);
	in->at = in->tail;
	in->end = in->tail + left;
	return true;
}

PIXELS_INLINE bool pass(enum lz_unit unit, bool fast, struct lz_input *in,
			void *out, size_t units, const uint32_t *table)
{
	size_t at = 0;

	while (at < units) {
		size_t length, distance;
		unsigned control;

		if (!lz_more(in))
			return false;
		control = *in->at++;
		if (control < 32) {
			length = control + 1;
			if (length > units - at)
				return false;
			lz_literals(unit, fast, in, out, at, length, table);
			at += length;
			continue;
		}
		if (!lz_length(in, control, &length))
			return false;
		distance = (control & 31) << 8 | *in->at++;
		if (distance == 0x1fff) {
			distance = 8191 + (in->at[0] << 8 | in->at[1]);
			in->at += 2;
		}
		distance++;
		length += lz_bias(unit);
		if (distance > at || length > units - at)
			return false;
		lz_repeat(unit, out, at, distance, length);
		at += length;
	}
	return in->at <= in->end;
}

/* The same functions twice. */
#define PASS(name, unit, suffix, attribute, fast) \
	attribute static bool name##_##suffix(struct lz_input *in, void *out, \
					      size_t units, \
					      const uint32_t *table) \
	{ \
		return pass(unit, fast, in, out, units, table); \
	}
#define PASSES(suffix, attribute, fast) \
	PASS(bytes, LZ_UNIT_BYTE, suffix, attribute, fast) \
	PASS(indices, LZ_UNIT_INDEX, suffix, attribute, fast) \
	PASS(of_16, LZ_UNIT_16, suffix, attribute, fast) \
	PASS(of_24, LZ_UNIT_24, suffix, attribute, fast) \
	PASS(alpha, LZ_UNIT_ALPHA, suffix, attribute, fast) \
	static const struct lz_passes passes_##suffix = { \
		bytes_##suffix, indices_##suffix, of_16_##suffix, \
		of_24_##suffix, alpha_##suffix}

PASSES(plain, , false);
PASSES(fast, CPU_FAST, CPU_FAST_DIFFERS);

static const struct lz_passes *passes(void)
{
	return cpu_is_fast() ? &passes_fast : &passes_plain;
}

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

/* Rows of packed indices, or of bytes that end in padding. */
static bool decode_packed(struct lz_input *in, const struct lz_header *h,
			  uint8_t format, const uint32_t *table,
			  struct image *image)
{
	size_t size = (size_t)h->stride * h->height;
	uint8_t *bytes = malloc(size);
	bool good = bytes && passes()->bytes(in, bytes, size, NULL);

	if (good)
		bitmap_rows(&(struct bitmap){.format = format,
					     .top_down = true,
					     .width = h->width,
					     .height = h->height,
					     .stride = h->stride,
					     .data = bytes,
					     .size = size},
			    table, image);
	free(bytes);
	return good;
}

static bool decode(struct bytes *bytes, const struct lz_header *h,
		   const uint32_t *table, struct image *image)
{
	size_t units = (size_t)h->width * h->height;
	struct lz_input in = {.at = bytes->data + bytes->at,
			      .end = bytes->data + bytes->size};

	switch (h->type) {
	case LZ_RGB16:
		return passes()->of_16(&in, image->pixels, units, NULL);
	case LZ_RGB24:
	case LZ_RGB32:
		return passes()->of_24(&in, image->pixels, units, NULL);
	case LZ_RGBA:
		return passes()->of_24(&in, image->pixels, units, NULL) &&
		       passes()->alpha(&in, image->pixels, units, NULL);
	case LZ_PLT8:
	case LZ_A8:
		if (h->stride == h->width)
			return passes()->indices(&in, image->pixels, units,
						 table);
		break;
	}
	return decode_packed(
		&in, h, h->type == LZ_A8 ? BITMAP_8BIT_A : (uint8_t)h->type,
		table, image);
}

/* The table that indices are looked up in; sizes of packed rows. */
static int prepare(const struct lz_header *h, const struct palette *palette,
		   uint32_t *table, struct error *error)
{
	uint8_t format = h->type == LZ_A8 ? BITMAP_8BIT_A : (uint8_t)h->type;
	size_t row;

	if (h->type > LZ_PLT8 && h->type != LZ_A8)
		return 0;
	if (format <= BITMAP_8BIT && !palette)
		return error_set(error, EBADMSG, "an LZ image has no palette");
	row = bitmap_row_size(format, h->width);
	if (h->stride < row || h->stride > row + 64)
		return error_set(error, EBADMSG,
				 "an LZ image has rows of %u bytes, not %zu",
				 h->stride, row);
	palette_table(palette, format, table);
	return 0;
}

int lz_decode(struct bytes in, const struct palette *palette,
	      struct image **out, struct error *error)
{
	uint32_t table[PALETTE_MAX];
	struct lz_header h;
	struct image *image;
	int r = read_header(&in, &h, error);

	*out = NULL;
	if (r)
		return r;
	if (h.type < LZ_PLT1_LE || h.type > LZ_A8 || h.type == LZ_XXXA)
		return error_set(error, EBADMSG, "LZ type %u is unknown",
				 h.type);
	r = image_new_unset(&image, h.width, h.height,
			    h.type == LZ_RGBA ? IMAGE_ARGB
			    : h.type == LZ_A8 ? IMAGE_ALPHA
					      : IMAGE_XRGB,
			    error);
	if (r)
		return r;
	r = prepare(&h, palette, table, error);
	if (!r && !decode(&in, &h, table, image))
		r = error_set(error, EBADMSG, "an LZ stream is damaged");
	if (r) {
		image_unref(image);
		return r;
	}
	if (!h.top_down)
		image_flip(image);
	image->is_555 = h.type == LZ_RGB16;
	*out = image;
	return 0;
}

int lz_decode_alpha(struct bytes bytes, struct image *image,
		    struct error *error)
{
	struct lz_header h;
	struct lz_input in;
	int r = read_header(&bytes, &h, error);

	if (r)
		return r;
	if (h.type != LZ_XXXA || h.width != image->width ||
	    h.height != image->height)
		return error_set(error, EBADMSG,
				 "the alpha of a JPEG image does not fit it");
	in.at = bytes.data + bytes.at;
	in.end = bytes.data + bytes.size;
	if (!h.top_down)
		image_flip(image);
	if (!passes()->alpha(&in, image->pixels, (size_t)h.width * h.height,
			     NULL))
		r = error_set(error, EBADMSG, "an LZ stream is damaged");
	if (!h.top_down)
		image_flip(image);
	return r;
}
