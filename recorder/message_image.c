/*
 * Image descriptors: what stands behind the id of a SpiceImage, and the first
 * bytes of its data where these say more.
 */
#include "recorder/message_parts.h"

#include <inttypes.h>
#include <stdio.h>

enum {
	BITMAP,
	QUIC,
	LZ_PLT = 100,
	LZ_RGB,
	GLZ_RGB,
	FROM_CACHE,
	SURFACE,
	JPEG,
	FROM_CACHE_LOSSLESS,
	ZLIB_GLZ_RGB,
	JPEG_ALPHA,
	LZ4,
};

#define LZ_MAGIC 0x20205a4cu
#define QUIC_MAGIC 0x43495551u
#define PAL_FROM_CACHE 2
#define CODE_NAME_MAX 16

static void put_code(struct message_walk *w, const char *name,
		     const struct message_set *set, uint32_t type,
		     uint32_t width, uint32_t height, bool top_down)
{
	const char *word = message_value_name(set, type);
	char number[CODE_NAME_MAX];

	snprintf(number, sizeof(number), "%" PRIu32, type);
	dump_text_open(w->text, name, '{');
	dump_text_word(w->text, "type", "%s", word ? word : number);
	dump_text_word(w->text, "size", "%" PRIu32 "x%" PRIu32, width, height);
	dump_text_word(w->text, "rows", top_down ? "top_down" : "bottom_up");
}

static void put_lz(struct message_walk *w, struct bytes in)
{
	uint32_t type, width, height, top_down;

	if (bytes_be32(&in) != LZ_MAGIC)
		return;
	bytes_be32(&in); /* version */
	type = bytes_be32(&in);
	width = bytes_be32(&in);
	height = bytes_be32(&in);
	bytes_be32(&in); /* stride */
	top_down = bytes_be32(&in);
	if (in.bad)
		return;
	put_code(w, "lz", &set_lz_type, type, width, height, top_down != 0);
	dump_text_close(w->text, '}');
}

static void put_glz(struct message_walk *w, struct bytes in,
		    struct message_image *image)
{
	uint32_t width, height, window;
	uint64_t id;
	uint8_t type;

	if (bytes_be32(&in) != LZ_MAGIC)
		return;
	bytes_be32(&in); /* version */
	type = bytes_u8(&in);
	width = bytes_be32(&in);
	height = bytes_be32(&in);
	bytes_be32(&in); /* stride */
	id = bytes_be64(&in);
	window = bytes_be32(&in);
	if (in.bad)
		return;
	image->glz_id = id;
	image->glz_window = window;
	put_code(w, "glz", &set_lz_type, type & 15, width, height, type & 16);
	dump_text_u64(w->text, "id", id);
	dump_text_u64(w->text, "win_head_dist", window);
	dump_text_close(w->text, '}');
}

static void put_quic(struct message_walk *w, struct bytes in)
{
	uint32_t type, width, height;

	if (bytes_le32(&in) != QUIC_MAGIC)
		return;
	bytes_le32(&in); /* version */
	type = bytes_le32(&in);
	width = bytes_le32(&in);
	height = bytes_le32(&in);
	if (in.bad)
		return;
	put_code(w, "quic", &set_quic_type, type, width, height, true);
	dump_text_close(w->text, '}');
}

static void walk_data(struct message_walk *w, uint64_t size,
		      struct message_image *image)
{
	size_t before = w->in.at;
	const uint8_t *data = bytes_take(&w->in, size);

	walk_mark(w, "data", before);
	if (!data)
		return;
	if (image->type == QUIC)
		put_quic(w, bytes_of(data, size));
	else if (image->type == GLZ_RGB)
		put_glz(w, bytes_of(data, size), image);
	else if (image->type == LZ_RGB || image->type == LZ_PLT)
		put_lz(w, bytes_of(data, size));
	dump_text_bytes(w->text, "data", NULL, size);
}

/* A palette: the id of one in the cache, or a pointer to it. */
static void walk_palette(struct message_walk *w, uint8_t flags,
			 struct message_image *image)
{
	size_t at = w->in.at;
	uint32_t offset;

	if (flags & PAL_FROM_CACHE) {
		walk_number(w, FIELD_X64, "palette_id", NULL);
		image->palette_cached = true;
		return;
	}
	offset = bytes_le32(&w->in);
	if (!w->in.bad && offset && offset <= w->in.size &&
	    w->in.size - offset >= 10)
		image->bytes += 10 + 4u * (w->in.data[offset + 8] |
					   w->in.data[offset + 9] << 8);
	if (!w->in.bad)
		w->in.at = at;
	walk_at(w, "palette", struct_palette);
}

static void walk_bitmap(struct message_walk *w, struct message_image *image)
{
	uint64_t stride, rows;
	uint8_t flags;

	walk_number(w, FIELD_E8, "format", &set_bitmap_fmt);
	flags = (uint8_t)walk_number(w, FIELD_F8, "bitmap_flags",
				     &set_bitmap_flags);
	walk_number(w, FIELD_U32, "x", NULL);
	rows = walk_number(w, FIELD_U32, "y", NULL);
	stride = walk_number(w, FIELD_U32, "stride", NULL);
	if (!w->in.bad)
		walk_palette(w, flags, image);
	if (!w->in.bad)
		walk_data(w, stride * rows, image);
}

static void walk_variant(struct message_walk *w, struct message_image *image)
{
	uint64_t size;
	uint8_t flags;

	switch (image->type) {
	case BITMAP:
		walk_bitmap(w, image);
		return;
	case LZ_PLT:
		flags = (uint8_t)walk_number(w, FIELD_F8, "lz_flags",
					     &set_bitmap_flags);
		size = walk_number(w, FIELD_U32, "data_size", NULL);
		if (!w->in.bad)
			walk_palette(w, flags, image);
		break;
	case FROM_CACHE:
	case FROM_CACHE_LOSSLESS:
		return;
	case SURFACE:
		walk_number(w, FIELD_U32, "surface_id", NULL);
		return;
	case ZLIB_GLZ_RGB:
		walk_number(w, FIELD_U32, "glz_data_size", NULL);
		size = walk_number(w, FIELD_U32, "data_size", NULL);
		break;
	case JPEG_ALPHA:
		walk_number(w, FIELD_F8, "jpeg_alpha_flags",
			    &set_jpeg_alpha_flags);
		walk_number(w, FIELD_U32, "jpeg_size", NULL);
		size = walk_number(w, FIELD_U32, "data_size", NULL);
		break;
	case QUIC:
	case LZ_RGB:
	case GLZ_RGB:
	case JPEG:
	case LZ4:
		size = walk_number(w, FIELD_U32, "data_size", NULL);
		break;
	default:
		return;
	}
	if (!w->in.bad)
		walk_data(w, size, image);
}

/* Behind the id, which the layout of an image has read. */
void walk_image_descriptor(struct message_walk *w, const char *name)
{
	struct message_image image = {0};
	size_t begin = w->in.at - 8;
	struct bytes id = w->in;

	(void)name;
	id.at = begin;
	image.id = bytes_le64(&id);
	image.type =
		(uint32_t)walk_number(w, FIELD_E8, "type", &set_image_type);
	image.flags =
		(uint32_t)walk_number(w, FIELD_F8, "flags", &set_image_flags);
	image.width = (uint32_t)walk_number(w, FIELD_U32, "width", NULL);
	image.height = (uint32_t)walk_number(w, FIELD_U32, "height", NULL);
	if (w->in.bad)
		return;
	walk_variant(w, &image);
	if (w->in.bad)
		return;
	image.bytes += w->in.at - begin;
	if (w->image)
		w->image(w->user, &image);
}
