/* Parts of messages whose layout depends on a value before them. */
#include "recorder/message_parts.h"

#include <inttypes.h>

#define SUB_MESSAGES 64u
#define COMPOSITE_HAS_MASK (1u << 19)
#define COMPOSITE_HAS_SRC_TRANSFORM (1u << 20)
#define COMPOSITE_HAS_MASK_TRANSFORM (1u << 21)

/*
 * u16 count, u32 offsets; at each u16 type, u32 size, body. The size is not
 * looked at: libspice-server 0.15 writes a wrong one.
 */
static void walk_sub_message(struct message_walk *w, uint32_t offset)
{
	struct bytes list = w->in;
	const struct message_kind *kind;
	uint16_t type;

	bytes_seek(&w->in, offset);
	type = bytes_le16(&w->in);
	bytes_le32(&w->in);
	walk_mark(w, "sub_message", offset);
	if (w->in.bad)
		return;
	kind = message_kind(w->channel, w->direction, type);
	dump_text_open(w->text, NULL, '{');
	if (!kind)
		dump_text_u64(w->text, "type", type);
	else
		dump_text_word(w->text, "type", "%s", kind->name);
	if (kind && w->depth == 1)
		walk_fields(w, kind->fields);
	dump_text_close(w->text, '}');
	if (!w->in.bad)
		w->in = list;
}

void walk_sub_messages(struct message_walk *w, const char *name)
{
	size_t before = w->in.at;
	uint16_t count = bytes_le16(&w->in);

	walk_mark(w, name, before);
	if (w->in.bad)
		return;
	w->depth++;
	dump_text_open(w->text, name, '[');
	for (unsigned i = 0; i < count && i < SUB_MESSAGES && !w->in.bad; i++) {
		uint32_t offset = bytes_le32(&w->in);

		walk_mark(w, name, before);
		if (!w->in.bad)
			walk_sub_message(w, offset);
	}
	if (count > SUB_MESSAGES)
		dump_text_word(w->text, NULL, "of_%u", count);
	dump_text_close(w->text, ']');
	w->depth--;
}

void walk_clip(struct message_walk *w, const char *name)
{
	size_t before = w->in.at;
	uint8_t type = bytes_u8(&w->in);
	uint32_t count;

	walk_mark(w, name, before);
	if (w->in.bad)
		return;
	if (type == 0) {
		dump_text_word(w->text, name, "none");
	} else if (type == 1) {
		count = bytes_le32(&w->in);
		walk_mark(w, name, before);
		if (!w->in.bad)
			walk_list(w, name, count, struct_rect);
	} else {
		dump_text_word(w->text, name, "type_%u", type);
	}
}

void walk_brush(struct message_walk *w, const char *name)
{
	size_t before = w->in.at;
	uint8_t type = bytes_u8(&w->in);
	const struct message_field pos = {"pos", FIELD_POINT, {NULL}};

	walk_mark(w, name, before);
	if (w->in.bad)
		return;
	if (type == 0) {
		dump_text_word(w->text, name, "none");
	} else if (type == 1) {
		walk_number(w, FIELD_X32, name, NULL);
	} else if (type == 2) {
		dump_text_open(w->text, name, '{');
		walk_at(w, "pattern", struct_image);
		walk_field(w, &pos, pos.name);
		dump_text_close(w->text, '}');
	} else {
		dump_text_word(w->text, name, "type_%u", type);
	}
}

void walk_qmask(struct message_walk *w, const char *name)
{
	static const uint8_t nothing[13];
	const struct message_field pos = {"pos", FIELD_POINT, {NULL}};

	if (walk_left(w) >= sizeof(nothing) &&
	    !memcmp(w->in.data + w->in.at, nothing, sizeof(nothing))) {
		bytes_take(&w->in, sizeof(nothing));
		walk_mark(w, name, w->in.at);
		dump_text_word(w->text, name, "none");
		return;
	}
	dump_text_open(w->text, name, '{');
	walk_number(w, FIELD_F8, "flags", &set_mask_flags);
	walk_field(w, &pos, pos.name);
	if (!w->in.bad)
		walk_at(w, "bitmap", struct_image);
	dump_text_close(w->text, '}');
}

/* The dashes that a pointer leads to, count of them. */
static void walk_style(struct message_walk *w, unsigned count)
{
	static const struct message_field dash[] = {
		{"dash", FIELD_FIX4, {NULL}}, {NULL, FIELD_END, {NULL}}};
	size_t before = w->in.at, after;
	uint32_t offset = bytes_le32(&w->in);

	after = w->in.at;
	if (offset)
		bytes_seek(&w->in, offset);
	walk_mark(w, "style", before);
	if (w->in.bad)
		return;
	if (!offset)
		dump_text_word(w->text, "style", "none");
	else
		walk_list(w, "style", count, dash);
	if (!w->in.bad)
		bytes_seek(&w->in, after);
}

void walk_line_attr(struct message_walk *w, const char *name)
{
	uint8_t flags;
	unsigned count;

	dump_text_open(w->text, name, '{');
	flags = (uint8_t)walk_number(w, FIELD_F8, "flags", &set_line_flags);
	if (flags & 8) {
		count = (unsigned)walk_number(w, FIELD_U8, "style_nseg", NULL);
		if (!w->in.bad)
			walk_style(w, count);
	}
	dump_text_close(w->text, '}');
}

static void walk_glyph(struct message_walk *w, unsigned flags)
{
	const struct message_field pos = {"render_pos", FIELD_POINT, {NULL}};
	const struct message_field origin = {
		"glyph_origin", FIELD_POINT, {NULL}};
	size_t width, height, row;

	dump_text_open(w->text, NULL, '{');
	walk_field(w, &pos, pos.name);
	walk_field(w, &origin, origin.name);
	width = walk_number(w, FIELD_U16, "width", NULL);
	height = walk_number(w, FIELD_U16, "height", NULL);
	row = flags & 1 ? (width + 7) / 8 : flags & 2 ? (width + 1) / 2 : width;
	if (!w->in.bad)
		walk_bytes(w, "data", row * height, false);
	dump_text_close(w->text, '}');
}

void walk_glyphs(struct message_walk *w, const char *name)
{
	struct dump_text *text = w->text;
	unsigned count, flags;

	(void)name;
	count = (unsigned)walk_number(w, FIELD_U16, "length", NULL);
	flags = (unsigned)walk_number(w, FIELD_F8, "flags", &set_string_flags);
	dump_text_open(text, "glyphs", '[');
	for (unsigned i = 0; i < count && !w->in.bad; i++) {
		if (w->left)
			w->left--;
		else
			w->text = NULL;
		walk_glyph(w, flags);
	}
	if (!w->text && text)
		dump_text_word(text, NULL, "of_%u", count);
	w->text = text;
	dump_text_close(text, ']');
}

static void walk_transform(struct message_walk *w, const char *name)
{
	dump_text_open(w->text, name, '{');
	walk_fields(w, struct_transform);
	dump_text_close(w->text, '}');
}

void walk_composite(struct message_walk *w, const char *name)
{
	const struct message_field src = {"src_origin", FIELD_POINT16, {NULL}};
	const struct message_field mask = {
		"mask_origin", FIELD_POINT16, {NULL}};
	size_t before = w->in.at;
	uint32_t f = bytes_le32(&w->in);

	walk_mark(w, name, before);
	if (w->in.bad)
		return;
	message_put_bits(w->text, "flags", &set_composite_flags,
			 f & ~UINT32_C(0x3ffff));
	dump_text_u64(w->text, "op", f & 255);
	dump_text_u64(w->text, "src_filter", f >> 8 & 7);
	dump_text_u64(w->text, "mask_filter", f >> 11 & 7);
	dump_text_u64(w->text, "src_repeat", f >> 14 & 3);
	dump_text_u64(w->text, "mask_repeat", f >> 16 & 3);
	walk_at(w, "src_bitmap", struct_image);
	if (f & COMPOSITE_HAS_MASK && !w->in.bad)
		walk_at(w, "mask_bitmap", struct_image);
	if (f & COMPOSITE_HAS_SRC_TRANSFORM)
		walk_transform(w, "src_transform");
	if (f & COMPOSITE_HAS_MASK_TRANSFORM)
		walk_transform(w, "mask_transform");
	walk_field(w, &src, src.name);
	walk_field(w, &mask, mask.name);
}

void walk_cursor(struct message_walk *w, const char *name)
{
	const struct message_field hot = {"hot_spot", FIELD_POINT16, {NULL}};
	uint16_t flags;

	dump_text_open(w->text, name, '{');
	flags = (uint16_t)walk_number(w, FIELD_F16, "flags", &set_cursor_flags);
	if (!(flags & 1)) {
		walk_number(w, FIELD_X64, "unique", NULL);
		walk_number(w, FIELD_E8, "type", &set_cursor_type);
		walk_number(w, FIELD_U16, "width", NULL);
		walk_number(w, FIELD_U16, "height", NULL);
		walk_field(w, &hot, hot.name);
	}
	if (!w->in.bad)
		walk_bytes(w, "data", walk_left(w), false);
	dump_text_close(w->text, '}');
}

void walk_heads(struct message_walk *w, const char *name)
{
	size_t before = w->in.at;
	unsigned count = bytes_le16(&w->in);

	walk_mark(w, name, before);
	walk_number(w, FIELD_U16, "max_allowed", NULL);
	if (!w->in.bad)
		walk_list(w, name, count, struct_head);
}

void walk_zero_text(struct message_walk *w, const char *name)
{
	size_t before = w->in.at, size = walk_left(w);
	const uint8_t *text = w->in.data + w->in.at;
	const uint8_t *end = size ? memchr(text, 0, size) : NULL;

	if (end)
		size = (size_t)(end - text);
	bytes_take(&w->in, size + (end != NULL));
	walk_mark(w, name, before);
	dump_text_string(w->text, name, text, size);
}

void walk_uuid(struct message_walk *w, const char *name)
{
	size_t before = w->in.at;
	const uint8_t *u = bytes_take(&w->in, 16);

	walk_mark(w, name, before);
	if (u)
		dump_text_word(w->text, name,
			       "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
			       "%02x%02x%02x%02x%02x%02x",
			       u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7],
			       u[8], u[9], u[10], u[11], u[12], u[13], u[14],
			       u[15]);
}

/*
 * A packet of the usbredir protocol, if it is whole in the message: u32 type,
 * u32 length, then an id of 32 or 64 bits.
 */
void walk_usbredir(struct message_walk *w, const char *name)
{
	struct bytes in = w->in;
	uint32_t type = bytes_le32(&in), length = bytes_le32(&in);
	uint64_t size = walk_left(w);
	const char *word = message_value_name(&set_usbredir_type, type);

	if (!in.bad && word &&
	    (size == UINT64_C(12) + length || size == UINT64_C(16) + length)) {
		dump_text_word(w->text, "type", "%s", word);
		dump_text_u64(w->text, "length", length);
	}
	walk_bytes(w, name, walk_left(w), true);
}

/* i64 client, u16 size, bytes; if it is whole in the message. */
void walk_webdav(struct message_walk *w, const char *name)
{
	struct bytes in = w->in;
	uint64_t client = bytes_le64(&in);
	uint16_t size = bytes_le16(&in);

	if (!in.bad && walk_left(w) == UINT64_C(10) + size) {
		dump_text_i64(w->text, "client", (int64_t)client);
		dump_text_u64(w->text, "size", size);
	}
	walk_bytes(w, name, walk_left(w), true);
}

void walk_compressed(struct message_walk *w, const char *name)
{
	uint8_t type = (uint8_t)walk_number(w, FIELD_E8, "type",
					    &set_data_compression_type);

	if (type)
		walk_number(w, FIELD_U32, "uncompressed_size", NULL);
	if (!w->in.bad)
		walk_bytes(w, name, walk_left(w), true);
}
