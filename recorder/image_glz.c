/*
 * SPICE's GLZ: LZ whose matches also reach into earlier images.
 *
 * Header: be32 magic, be32 version, u8 type | top_down << 4, be32 width,
 * height, stride, be64 id, be32 distance to the oldest image still in use.
 * The window keeps every image as its pixels were coded, before any turning
 * over, and is searched by id.
 *
 * Ids rise by one for each image of a dictionary, but images travel on
 * several channels, so they may arrive out of order. An image tells how far
 * back it and its successors can reach; older ones are let go only once
 * everything before the image that says so has arrived.
 *
 * The zlib stream around one is unpacked by libdeflate: most of the time of
 * such an image is spent there, and zlib takes more than twice as long.
 */
#include "recorder/image_codecs.h"
#include "recorder/image_lz.h"

#include <libdeflate.h>
#include <stdlib.h>

struct glz_slot {
	uint64_t id;
	uint64_t oldest; /* first id that this image still needs */
	struct image *image;
};

struct glz_window {
	struct glz_slot *slots; /* sorted by id */
	size_t first;           /* slots before it are let go */
	size_t count;           /* end of the slots in use */
	size_t room;
	uint64_t pixels;
	uint64_t complete; /* the id up to which none is missing */
};

struct glz_header {
	unsigned type;
	bool top_down;
	uint32_t width, height;
	uint64_t id;
	uint32_t reach;
};

int glz_window_new(struct glz_window **window, struct error *error)
{
	*window = calloc(1, sizeof(**window));
	if (!*window)
		return error_set(error, ENOMEM, "no memory for a GLZ window");
	return 0;
}

static void let_go(struct glz_window *w)
{
	struct glz_slot *slot = &w->slots[w->first++];

	w->pixels -= (uint64_t)slot->image->width * slot->image->height;
	image_unref(slot->image);
	slot->image = NULL;
}

void glz_window_clear(struct glz_window *w)
{
	while (w->first < w->count)
		let_go(w);
	w->first = w->count = 0;
}

void glz_window_free(struct glz_window *w)
{
	if (!w)
		return;
	glz_window_clear(w);
	free(w->slots);
	free(w);
}

/* The first slot whose id is not less. */
static size_t lower_bound(const struct glz_window *w, uint64_t id)
{
	size_t low = w->first, high = w->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (w->slots[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static const struct image *find(const struct glz_window *w, uint64_t id)
{
	size_t i = lower_bound(w, id);

	return i < w->count && w->slots[i].id == id ? w->slots[i].image : NULL;
}

static int make_room(struct glz_window *w, struct error *error)
{
	struct glz_slot *slots;
	size_t room;

	if (w->count < w->room)
		return 0;
	if (w->first > w->room / 2) {
		memmove(w->slots, w->slots + w->first,
			(w->count - w->first) * sizeof(*w->slots));
		w->count -= w->first;
		w->first = 0;
		return 0;
	}
	room = w->room ? w->room * 2 : 64;
	slots = realloc(w->slots, room * sizeof(*slots));
	if (!slots)
		return error_set(error, ENOMEM, "no memory for a GLZ window");
	w->slots = slots;
	w->room = room;
	return 0;
}

/* Lets go what no image still to come can refer to. */
static void shrink(struct glz_window *w)
{
	size_t i = lower_bound(w, w->complete);
	uint64_t oldest;

	while (i + 1 < w->count && w->slots[i + 1].id == w->slots[i].id + 1)
		i++;
	w->complete = w->slots[i].id;
	oldest = w->slots[i].oldest;
	while (w->first < i && w->slots[w->first].id < oldest)
		let_go(w);
	while (w->pixels > GLZ_WINDOW_PIXELS ||
	       w->count - w->first > GLZ_WINDOW_IMAGES) {
		let_go(w);
		if (w->first == w->count)
			break;
		if (w->complete < w->slots[w->first].id)
			w->complete = w->slots[w->first].id;
	}
}

static int keep(struct glz_window *w, const struct glz_header *h,
		struct image *image, struct error *error)
{
	struct glz_slot slot = {.id = h->id, .image = image_ref(image)};
	size_t at;
	int r = make_room(w, error);

	if (r) {
		image_unref(image);
		return r;
	}
	slot.oldest = h->reach < h->id ? h->id - h->reach : 0;
	w->pixels += (uint64_t)image->width * image->height;
	if (w->first == w->count)
		w->complete = h->id;
	at = lower_bound(w, h->id);
	if (at < w->count && w->slots[at].id == h->id) {
		struct image *old = w->slots[at].image;

		w->pixels -= (uint64_t)old->width * old->height;
		image_unref(old);
	} else {
		memmove(w->slots + at + 1, w->slots + at,
			(w->count - at) * sizeof(*w->slots));
		w->count++;
	}
	w->slots[at] = slot;
	shrink(w);
	return 0;
}

static int read_header(struct bytes *in, struct glz_header *h,
		       struct error *error)
{
	uint32_t magic = bytes_be32(in);
	uint32_t version = bytes_be32(in);
	uint8_t type = bytes_u8(in);

	h->type = type & 15;
	h->top_down = type >> 4 & 1;
	h->width = bytes_be32(in);
	h->height = bytes_be32(in);
	bytes_be32(in); /* stride of what was coded */
	h->id = bytes_be64(in);
	h->reach = bytes_be32(in);
	if (in->bad || magic != LZ_MAGIC || version != LZ_VERSION)
		return error_set(error, EBADMSG, "a GLZ header is damaged");
	if (h->type < LZ_RGB16 || h->type > LZ_RGBA)
		return error_set(error, EBADMSG, "GLZ type %u is unknown",
				 h->type);
	return 0;
}

/* Images that were referred to a moment ago, by their distance. */
#define RECENT 16

struct glz_source {
	const struct glz_window *window;
	uint64_t id;
	uint32_t distances[RECENT]; /* 0 = none */
	const struct image *images[RECENT];
};

static const struct image *source_find(struct glz_source *s, uint32_t distance)
{
	unsigned i = distance % RECENT;

	if (s->distances[i] != distance) {
		const struct image *found = find(s->window, s->id - distance);

		if (!found)
			return NULL;
		s->distances[i] = distance;
		s->images[i] = found;
	}
	return s->images[i];
}

struct glz_match {
	size_t length;
	size_t offset;     /* px, in the image or back from here */
	uint32_t distance; /* images back */
};

PIXELS_INLINE bool read_match(struct lz_input *in, unsigned control,
			      struct glz_match *m)
{
	unsigned x, n, shift = 0;

	if (!lz_length(in, control, &m->length))
		return false;
	m->offset = (control & 15) + ((size_t)*in->at++ << 4);
	m->distance = 0;
	x = *in->at++;
	n = x >> 6;
	if (control & 16) {
		m->offset += (size_t)(x & 31) << 12;
	} else {
		m->distance = x & 63;
		shift = 6;
	}
	for (; n; n--, shift += 8)
		m->distance += (uint32_t)*in->at++ << shift;
	if (control & 16 && x & 32)
		m->offset += (size_t)*in->at++ << 17;
	return true;
}

/* 0, -EBADMSG or -EAGAIN */
PIXELS_INLINE int copy_match(enum lz_unit unit, struct glz_source *s,
			     const struct glz_match *m, uint32_t *out,
			     size_t at)
{
	const struct image *far;
	size_t size;

	if (!m->distance) {
		if (m->offset >= at)
			return -EBADMSG;
		lz_repeat(unit, out, at, m->offset + 1, m->length);
		return 0;
	}
	far = source_find(s, m->distance);
	if (!far)
		return -EAGAIN;
	size = (size_t)far->width * far->height;
	if (m->offset > size || m->length > size - m->offset)
		return -EBADMSG;
	if (unit == LZ_UNIT_ALPHA)
		pixels_copy_alpha_wide(out + at, far->pixels + m->offset,
				       m->length);
	else
		pixels_copy_wide(out + at, far->pixels + m->offset, m->length);
	return 0;
}

PIXELS_INLINE int pass(enum lz_unit unit, bool fast, struct glz_source *s,
		       struct lz_input *in, uint32_t *out, size_t units)
{
	size_t at = 0;

	while (at < units) {
		struct glz_match m;
		unsigned control;
		int r;

		if (!lz_more(in))
			return -EBADMSG;
		control = *in->at++;
		if (control < 32) {
			if (control >= units - at)
				return -EBADMSG;
			lz_literals(unit, fast, in, out, at, control + 1, NULL);
			at += control + 1;
			continue;
		}
		if (!read_match(in, control, &m))
			return -EBADMSG;
		m.length += lz_bias(unit);
		if (m.length > units - at)
			return -EBADMSG;
		r = copy_match(unit, s, &m, out, at);
		if (r)
			return r;
		at += m.length;
	}
	return in->at <= in->end ? 0 : -EBADMSG;
}

typedef int glz_pass(struct glz_source *s, struct lz_input *in, uint32_t *out,
		     size_t units);

struct glz_passes {
	glz_pass *of_16, *of_24, *alpha;
};

/* The same functions twice. */
#define PASS(name, unit, suffix, attribute, fast) \
	attribute static int name##_##suffix(struct glz_source *s, \
					     struct lz_input *in, \
					     uint32_t *out, size_t units) \
	{ \
		return pass(unit, fast, s, in, out, units); \
	}
#define PASSES(suffix, attribute, fast) \
	PASS(of_16, LZ_UNIT_16, suffix, attribute, fast) \
	PASS(of_24, LZ_UNIT_24, suffix, attribute, fast) \
	PASS(alpha, LZ_UNIT_ALPHA, suffix, attribute, fast) \
	static const struct glz_passes passes_##suffix = { \
		of_16_##suffix, of_24_##suffix, alpha_##suffix}

PASSES(plain, , false);
PASSES(fast, CPU_FAST, CPU_FAST_DIFFERS);

static int decode_pixels(const struct glz_window *w, const struct glz_header *h,
			 const struct bytes *bytes, uint32_t *out)
{
	const struct glz_passes *passes =
		cpu_is_fast() ? &passes_fast : &passes_plain;
	size_t units = (size_t)h->width * h->height;
	struct glz_source source = {.window = w, .id = h->id};
	struct lz_input in;
	int r;

	in.at = bytes->data + bytes->at;
	in.end = bytes->data + bytes->size;
	if (h->type == LZ_RGB16)
		return passes->of_16(&source, &in, out, units);
	r = passes->of_24(&source, &in, out, units);
	if (!r && h->type == LZ_RGBA)
		r = passes->alpha(&source, &in, out, units);
	return r;
}

int glz_decode(struct glz_window *w, struct bytes in, struct image **out,
	       struct error *error)
{
	struct glz_header h;
	struct image *image, *turned;
	int r = read_header(&in, &h, error);

	*out = NULL;
	if (!r)
		r = image_new_unset(&image, h.width, h.height,
				    h.type == LZ_RGBA ? IMAGE_ARGB : IMAGE_XRGB,
				    error);
	if (r)
		return r;
	r = decode_pixels(w, &h, &in, image->pixels);
	if (r == -EAGAIN)
		error_set(error, EAGAIN,
			  "GLZ image %llu refers to an image that is missing",
			  (unsigned long long)h.id);
	else if (r)
		error_set(error, EBADMSG, "GLZ image %llu is damaged",
			  (unsigned long long)h.id);
	else
		r = keep(w, &h, image, error);
	if (!r && !h.top_down) {
		r = image_copy(&turned, image, true, error);
		if (!r) {
			image_unref(image);
			image = turned;
		}
	}
	if (r)
		image_unref(image);
	else
		*out = image;
	return r;
}

int zlib_glz_decode(struct glz_window *w, struct bytes in, uint32_t plain,
		    struct image **out, struct error *error)
{
	struct libdeflate_decompressor *zlib;
	size_t size = 0;
	uint8_t *glz;
	int r;

	*out = NULL;
	if (plain > IMAGE_PIXELS_MAX * 4u)
		return error_set(error, EMSGSIZE,
				 "a GLZ stream of %u bytes is out of bounds",
				 plain);
	glz = malloc(plain + 1u);
	zlib = libdeflate_alloc_decompressor();
	if (!glz || !zlib)
		r = error_set(error, ENOMEM,
			      "no memory for a GLZ stream of %u bytes", plain);
	else if (libdeflate_zlib_decompress(zlib, in.data + in.at,
					    bytes_left(&in), glz, plain,
					    &size) != LIBDEFLATE_SUCCESS ||
		 size != plain)
		r = error_set(error, EBADMSG,
			      "the zlib stream around a GLZ image is damaged");
	else
		r = glz_decode(w, bytes_of(glz, size), out, error);
	libdeflate_free_decompressor(zlib);
	free(glz);
	return r;
}
