/* Image descriptors (SpiceImageDescriptor): 18 bytes, then data by type. */
#include "recorder/image_reader.h"

#include <stdlib.h>

/* SPICE_IMAGE_FLAGS_* */
#define FLAG_CACHE_ME 1
#define FLAG_HIGH_BITS_SET 2
#define FLAG_CACHE_REPLACE_ME 4
/* SPICE_BITMAP_FLAGS_* */
#define FLAG_PALETTE_CACHE_ME 1
#define FLAG_PALETTE_FROM_CACHE 2
#define FLAG_TOP_DOWN 4

struct descriptor {
	uint64_t id;
	uint8_t type, flags;
	uint32_t width, height;
};

static void read_descriptor(struct bytes *in, struct descriptor *d)
{
	d->id = bytes_le64(in);
	d->type = bytes_u8(in);
	d->flags = bytes_u8(in);
	d->width = bytes_le32(in);
	d->height = bytes_le32(in);
}

/*
 * A palette's place: a cache key or an offset. *palette stays NULL when
 * there is none.
 */
static int read_palette(struct image_reader *reader, struct bytes *in,
			uint8_t flags, struct palette *space,
			const struct palette **palette, struct error *error)
{
	struct bytes there = *in;
	uint64_t unique;
	uint32_t at;
	int r;

	*palette = NULL;
	if (flags & FLAG_PALETTE_FROM_CACHE) {
		unique = bytes_le64(in);
		*palette = palette_cache_get(&reader->palettes, unique);
		if (!*palette)
			return error_set(error, EBADMSG,
					 "palette %llx is not in the cache",
					 (unsigned long long)unique);
		return 0;
	}
	at = bytes_le32(in);
	if (!at)
		return 0;
	bytes_seek(&there, at);
	r = palette_read(there, space, error);
	if (r)
		return r;
	*palette = space;
	if (flags & FLAG_PALETTE_CACHE_ME)
		return palette_cache_put(&reader->palettes, space, error);
	return 0;
}

/*
 * On a surface of 15 bits a palette's entries are pixels of that surface
 * (spice-common, canvas_base.c: palettes are as the canvas is).
 */
static const struct palette *localize(const struct image_reader *reader,
				      const struct palette *palette,
				      struct palette *space)
{
	if (!palette || reader->onto != SURFACE_16_555)
		return palette;
	if (palette != space)
		*space = *palette;
	surface_format_widen(SURFACE_16_555, space->entries, space->count);
	return space;
}

static int read_bitmap(struct image_reader *reader, struct bytes *in,
		       struct bitmap *bitmap, struct palette *space,
		       struct error *error)
{
	uint8_t flags;
	int r;

	bitmap->format = bytes_u8(in);
	flags = bytes_u8(in);
	bitmap->top_down = flags & FLAG_TOP_DOWN;
	bitmap->width = bytes_le32(in);
	bitmap->height = bytes_le32(in);
	bitmap->stride = bytes_le32(in);
	r = read_palette(reader, in, flags, space, &bitmap->palette, error);
	if (r)
		return r;
	if (in->bad)
		return error_set(error, EBADMSG, "a bitmap is cut short");
	bitmap->palette = localize(reader, bitmap->palette, space);
	bitmap->data = in->data + in->at;
	bitmap->size = bytes_left(in);
	return 0;
}

/* Empty when there are fewer; no codec takes that for an image. */
static struct bytes take(struct bytes *in, uint32_t size)
{
	const uint8_t *data = bytes_take(in, size);

	return data ? bytes_of(data, size) : bytes_of(in->data, 0);
}

/* u32 size and as many bytes. */
static struct bytes take_sized(struct bytes *in)
{
	uint32_t size = bytes_le32(in);

	return take(in, size);
}

static int read_lz_palette(struct image_reader *reader, struct bytes *in,
			   struct image **image, struct error *error)
{
	struct palette space;
	const struct palette *palette;
	uint8_t flags = bytes_u8(in);
	uint32_t size = bytes_le32(in);
	int r = read_palette(reader, in, flags, &space, &palette, error);

	return r ? r
		 : lz_decode(take(in, size), localize(reader, palette, &space),
			     image, error);
}

/*
 * What a pad byte holds is seen when bits are drawn on a surface with alpha:
 * 0 mostly, 0xff in bitmaps of 16 bits that were widened.
 */
static void set_pads(struct image *image, uint32_t pad)
{
	size_t n = (size_t)image->width * image->height;

	for (size_t i = 0; i < n; i++)
		image->pixels[i] = (image->pixels[i] & 0xffffff) | pad;
}

/*
 * And on one with alpha they are pixels with alpha, if the image is used or
 * kept as it is.
 */
static bool is_with_alpha(const struct image_reader *reader,
			  const struct descriptor *d, const struct bitmap *b)
{
	return b->palette &&
	       (reader->unconverted ||
		d->flags & (FLAG_CACHE_ME | FLAG_CACHE_REPLACE_ME));
}

static int decode_bitmap(struct image_reader *reader,
			 const struct descriptor *d, struct bytes *in,
			 struct image **image, struct error *error)
{
	struct bitmap bitmap;
	struct palette space;
	int r = read_bitmap(reader, in, &bitmap, &space, error);

	if (!r)
		r = bitmap_decode(&bitmap, image, error);
	if (!r && reader->onto == SURFACE_16_555)
		(*image)->is_555 |= bitmap.palette != NULL;
	if (r || reader->onto != SURFACE_32_ARGB)
		return r;
	if (is_with_alpha(reader, d, &bitmap))
		(*image)->format = IMAGE_ARGB;
	else if (bitmap.format == BITMAP_16BIT)
		set_pads(*image, 0xff000000);
	return 0;
}

static int read_quic(const struct image_reader *reader, struct bytes *in,
		     struct image **image, struct error *error)
{
	int r = quic_decode(take_sized(in), image, error);

	if (!r && reader->onto == SURFACE_32_ARGB &&
	    (*image)->format == IMAGE_XRGB)
		set_pads(*image, 0);
	return r;
}

static int read_jpeg(struct bytes *in, struct image **image,
		     struct error *error)
{
	int r = jpeg_decode(take_sized(in), JPEG_IMAGE, image, error);

	if (!r)
		set_pads(*image, 0);
	return r;
}

static int read_jpeg_alpha(struct bytes *in, struct image **image,
			   struct error *error)
{
	uint32_t jpeg_size, size;

	bytes_u8(in); /* the LZ stream says top-down itself */
	jpeg_size = bytes_le32(in);
	size = bytes_le32(in);
	return jpeg_alpha_decode(take(in, size), jpeg_size, image, error);
}

/* An image that the same message brought, as source and pattern are one. */
static struct image *find_pending(const struct image_reader *reader,
				  uint64_t id, bool lossless)
{
	for (unsigned i = reader->pending_count; i-- > 0;)
		if (reader->pending[i].id == id &&
		    !(lossless && reader->pending[i].image->lossy))
			return reader->pending[i].image;
	return NULL;
}

static int from_cache(struct image_reader *reader, const struct descriptor *d,
		      struct image **image, struct error *error)
{
	bool lossless = d->type == IMAGE_TYPE_FROM_CACHE_LOSSLESS;
	struct image *found = find_pending(reader, d->id, lossless);

	if (!found)
		found = image_cache_get(reader->images, d->id, lossless);
	if (!found)
		return error_set(error, EAGAIN,
				 "image %llx is not in the cache",
				 (unsigned long long)d->id);
	*image = image_ref(found);
	return 0;
}

static int decode(struct image_reader *reader, const struct descriptor *d,
		  struct bytes *in, struct image **image, struct error *error)
{
	uint32_t plain;

	switch (d->type) {
	case IMAGE_TYPE_BITMAP:
		return decode_bitmap(reader, d, in, image, error);
	case IMAGE_TYPE_QUIC:
		return read_quic(reader, in, image, error);
	case IMAGE_TYPE_LZ_PLT:
		return read_lz_palette(reader, in, image, error);
	case IMAGE_TYPE_LZ_RGB:
		return lz_decode(take_sized(in), NULL, image, error);
	case IMAGE_TYPE_GLZ_RGB:
		return glz_decode(reader->window, take_sized(in), image, error);
	case IMAGE_TYPE_ZLIB_GLZ_RGB:
		plain = bytes_le32(in);
		return zlib_glz_decode(reader->window, take_sized(in), plain,
				       image, error);
	case IMAGE_TYPE_JPEG:
		return read_jpeg(in, image, error);
	case IMAGE_TYPE_JPEG_ALPHA:
		return read_jpeg_alpha(in, image, error);
	case IMAGE_TYPE_LZ4:
		return lz4_decode(take_sized(in), d->width, d->height, image,
				  error);
	case IMAGE_TYPE_FROM_CACHE:
	case IMAGE_TYPE_FROM_CACHE_LOSSLESS:
		return from_cache(reader, d, image, error);
	case IMAGE_TYPE_SURFACE:
		return reader->surface(reader->user, bytes_le32(in), image,
				       error);
	}
	return error_set(error, EBADMSG, "image type %u is unknown", d->type);
}

static int keep_later(struct image_reader *reader, const struct descriptor *d,
		      struct image *image, struct error *error)
{
	unsigned n = reader->pending_count;

	if (!(d->flags & (FLAG_CACHE_ME | FLAG_CACHE_REPLACE_ME)))
		return 0;
	if (n == IMAGE_READER_PENDING)
		return error_set(error, EBADMSG,
				 "a message has more than %d images", n);
	reader->pending[n].id = d->id;
	reader->pending[n].image = image_ref(image);
	reader->pending[n].replace = d->flags & FLAG_CACHE_REPLACE_ME;
	reader->pending_count++;
	return 0;
}

static bool from_elsewhere(const struct descriptor *d)
{
	return d->type == IMAGE_TYPE_FROM_CACHE ||
	       d->type == IMAGE_TYPE_FROM_CACHE_LOSSLESS ||
	       d->type == IMAGE_TYPE_SURFACE;
}

int image_read(struct image_reader *reader, struct bytes body, uint32_t at,
	       struct image **image, struct error *error)
{
	struct descriptor d;
	int r;

	*image = NULL;
	bytes_seek(&body, at);
	read_descriptor(&body, &d);
	if (body.bad || !at)
		return error_set(error, EBADMSG,
				 "an image is said to be at offset %u of %zu",
				 at, body.size);
	r = decode(reader, &d, &body, image, error);
	if (r)
		return r;
	if (d.type < IMAGE_TYPE_MAX)
		reader->seen[d.type]++;
	if (from_elsewhere(&d))
		return 0;
	if (d.flags & FLAG_HIGH_BITS_SET && (*image)->format == IMAGE_XRGB)
		set_pads(*image, 0xff000000);
	r = keep_later(reader, &d, *image, error);
	if (r) {
		image_unref(*image);
		*image = NULL;
	}
	return r;
}

/* A mask that was kept is not inverted; its user may want it so. */
static int invert(struct image **image, struct error *error)
{
	struct image *copy;
	size_t n;
	int r = image_copy(&copy, *image, false, error);

	if (r)
		return r;
	n = (size_t)copy->width * copy->height;
	for (size_t i = 0; i < n; i++)
		copy->pixels[i] ^= 1;
	image_unref(*image);
	*image = copy;
	return 0;
}

int image_read_mask(struct image_reader *reader, struct bytes body, uint32_t at,
		    bool inverted, struct image **image, struct error *error)
{
	struct descriptor d;
	struct bitmap bitmap;
	struct palette space;
	int r;

	*image = NULL;
	bytes_seek(&body, at);
	read_descriptor(&body, &d);
	if (body.bad)
		return error_set(error, EBADMSG,
				 "a mask is said to be at offset %u of %zu", at,
				 body.size);
	if (d.type == IMAGE_TYPE_FROM_CACHE) {
		r = from_cache(reader, &d, image, error);
	} else if (d.type == IMAGE_TYPE_BITMAP) {
		r = read_bitmap(reader, &body, &bitmap, &space, error);
		if (!r)
			r = bitmap_decode_mask(&bitmap, image, error);
		if (!r)
			r = keep_later(reader, &d, *image, error);
	} else {
		r = error_set(error, EBADMSG, "a mask of image type %u",
			      d.type);
	}
	if (!r && (*image)->format != IMAGE_MASK)
		r = error_set(error, EBADMSG, "a mask is not of 1 bit");
	if (!r && inverted)
		r = invert(image, error);
	if (r) {
		image_unref(*image);
		*image = NULL;
		return r;
	}
	reader->seen[d.type]++;
	return 0;
}

int image_reader_commit(struct image_reader *reader, bool keep,
			struct error *error)
{
	int r = 0;

	for (unsigned i = 0; i < reader->pending_count; i++) {
		if (keep && !r)
			r = image_cache_put(reader->images,
					    reader->pending[i].id,
					    reader->pending[i].image,
					    reader->pending[i].replace, error);
		image_unref(reader->pending[i].image);
	}
	reader->pending_count = 0;
	return r;
}

void image_reader_clear(struct image_reader *reader)
{
	image_reader_commit(reader, false, NULL);
	palette_cache_clear(&reader->palettes);
}
