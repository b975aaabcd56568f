/*
 * Display messages whose fields come from the input: every drawing with its
 * clip, brushes, masks and images, so that fuzzing begins where parsing ends.
 *
 * Fields: SPICE protocol description (spice.proto). An object behind an
 * offset is appended when the fields are done; what it may refer to (cache,
 * surfaces 0 to 3) has small ids, so that it is often there.
 */
#ifndef TESTS_FUZZ_MESSAGE_H
#define TESTS_FUZZ_MESSAGE_H

#include "recorder/display.h"
#include "tests/fuzz/input.h"

#define MESSAGE_POINTERS 16
#define MESSAGE_SURFACES 4u

enum message_object {
	OBJECT_IMAGE,
	OBJECT_MASK,
	OBJECT_PALETTE,
	OBJECT_PATH,
	OBJECT_STRING,
	OBJECT_STYLE,
};

struct message_builder {
	struct buffer out;
	struct bytes *in;
	struct {
		size_t at;
		enum message_object object;
		unsigned count;
	} pointers[MESSAGE_POINTERS];
	unsigned pointer_count;
};

static inline void message_numbers(struct message_builder *m, unsigned n)
{
	while (n--)
		buffer_put_le32(&m->out, input_coordinate(m->in));
}

static inline void message_bytes(struct message_builder *m, unsigned n)
{
	while (n--)
		buffer_put_u8(&m->out, bytes_u8(m->in));
}

static inline void message_pointer(struct message_builder *m,
				   enum message_object object, unsigned count)
{
	unsigned n = m->pointer_count;

	if (n < MESSAGE_POINTERS) {
		m->pointers[n].at = m->out.size;
		m->pointers[n].object = object;
		m->pointers[n].count = count;
		m->pointer_count++;
	}
	buffer_put_le32(&m->out, 0);
}

/* Top, left, bottom, right; mostly not empty. */
static inline void message_rect(struct message_builder *m)
{
	uint32_t top = input_coordinate(m->in), left = input_coordinate(m->in);

	buffer_put_le32(&m->out, top);
	buffer_put_le32(&m->out, left);
	buffer_put_le32(&m->out, top + bytes_u8(m->in) % 80);
	buffer_put_le32(&m->out, left + bytes_u8(m->in) % 80);
}

static inline void message_clip(struct message_builder *m)
{
	unsigned rects = input_below(m->in, 8);

	buffer_put_u8(&m->out, rects > 3);
	if (rects <= 3)
		return;
	rects -= 4;
	buffer_put_le32(&m->out, rects);
	while (rects--)
		message_rect(m);
}

static inline void message_brush(struct message_builder *m)
{
	unsigned type = input_below(m->in, 4);

	buffer_put_u8(&m->out, (uint8_t)type);
	if (type == 1) {
		message_numbers(m, 1);
	} else if (type == 2) {
		message_pointer(m, OBJECT_IMAGE, 0);
		message_numbers(m, 2);
	}
}

static inline void message_mask(struct message_builder *m)
{
	uint8_t flags = bytes_u8(m->in);

	buffer_put_u8(&m->out, flags & 1);
	message_numbers(m, 2);
	if (flags & 2)
		message_pointer(m, OBJECT_MASK, 0);
	else
		buffer_put_le32(&m->out, 0);
}

/* Raster operations are 11 bits. */
static inline void message_rop(struct message_builder *m)
{
	unsigned bits = bytes_u8(m->in);

	buffer_put_le16(&m->out, (uint16_t)(8u << bits % 7 | (bits & 7) |
					    (bits & 128 ? 1024 : 0)));
}

/* Rows of a bitmap from the input; the rest of them is 0. */
static inline void message_rows(struct message_builder *m, size_t size)
{
	struct bytes rows = input_take(m->in, size);

	buffer_put(&m->out, rows.data, rows.size);
	for (size = size - rows.size; size; size--)
		buffer_put_u8(&m->out, 0);
}

static inline void message_bitmap(struct message_builder *m, bool mask)
{
	uint8_t format = 1 + input_below(m->in, mask ? 2 : 10);
	uint8_t flags = bytes_u8(m->in) & 7;
	uint32_t width = 1 + input_below(m->in, 24);
	uint32_t height = 1 + input_below(m->in, 12);
	size_t stride = bitmap_row_size(format, width) + (flags & 4);

	buffer_put_u8(&m->out, format);
	buffer_put_u8(&m->out, flags);
	buffer_put_le32(&m->out, width);
	buffer_put_le32(&m->out, height);
	buffer_put_le32(&m->out, (uint32_t)stride);
	if (flags & 2)
		buffer_put_le64(&m->out, input_below(m->in, 4));
	else if (format > BITMAP_8BIT || mask)
		buffer_put_le32(&m->out, 0);
	else
		message_pointer(m, OBJECT_PALETTE, 0);
	message_rows(m, stride * height);
}

static inline void message_image(struct message_builder *m, bool mask)
{
	static const uint8_t types[] = {
		0, 0, 0, 0, 103, 104, 106, 1, 100, 101, 102, 105, 107, 108, 109,
	};
	uint8_t type = types[input_below(m->in, mask ? 5 : sizeof(types))];
	struct bytes data;

	buffer_put_le64(&m->out, input_below(m->in, 8));
	buffer_put_u8(&m->out, type);
	buffer_put_u8(&m->out, bytes_u8(m->in) & 7);
	buffer_put_le32(&m->out, 1 + input_below(m->in, 24));
	buffer_put_le32(&m->out, 1 + input_below(m->in, 24));
	if (type == 0) {
		message_bitmap(m, mask);
	} else if (type == 104) {
		buffer_put_le32(&m->out, input_below(m->in, MESSAGE_SURFACES));
	} else if (type != 103 && type != 106) {
		data = input_take(m->in, bytes_u8(m->in));
		buffer_put_le32(&m->out, (uint32_t)data.size);
		buffer_put(&m->out, data.data, data.size);
	}
}

static inline void message_palette(struct message_builder *m)
{
	uint16_t n = 1 + input_below(m->in, 20);

	buffer_put_le64(&m->out, input_below(m->in, 4));
	buffer_put_le16(&m->out, n);
	message_bytes(m, 4u * n);
}

/* Points are 28.4; steps are mostly short, so that curves end. */
static inline void message_path(struct message_builder *m)
{
	uint32_t segments = 1 + input_below(m->in, 4);

	buffer_put_le32(&m->out, segments);
	while (segments--) {
		uint32_t points = input_below(m->in, 8);

		buffer_put_u8(&m->out, bytes_u8(m->in) & 31);
		buffer_put_le32(&m->out, points);
		for (points *= 2; points; points--)
			buffer_put_le32(&m->out, input_coordinate(m->in) * 16 +
							 bytes_u8(m->in) % 16);
	}
}

static inline void message_string(struct message_builder *m)
{
	static const uint8_t flags[] = {1, 2, 4, 9, 10, 12, 0, 7};
	uint8_t flag = flags[input_below(m->in, 8)];
	uint16_t n = input_below(m->in, 5);

	buffer_put_le16(&m->out, n);
	buffer_put_u8(&m->out, flag);
	while (n--) {
		uint16_t width = input_below(m->in, 20);
		uint16_t height = input_below(m->in, 20);

		message_numbers(m, 4);
		buffer_put_le16(&m->out, width);
		buffer_put_le16(&m->out, height);
		message_rows(m, (flag & 1   ? (width + 7u) / 8
				 : flag & 2 ? (width + 1u) / 2
					    : width) *
					height);
	}
}

static inline void message_object(struct message_builder *m, unsigned i)
{
	bytes_put_le32(m->out.data + m->pointers[i].at, (uint32_t)m->out.size);
	switch (m->pointers[i].object) {
	case OBJECT_IMAGE:
	case OBJECT_MASK:
		message_image(m, m->pointers[i].object == OBJECT_MASK);
		break;
	case OBJECT_PALETTE:
		message_palette(m);
		break;
	case OBJECT_PATH:
		message_path(m);
		break;
	case OBJECT_STRING:
		message_string(m);
		break;
	case OBJECT_STYLE:
		for (unsigned n = m->pointers[i].count; n; n--)
			buffer_put_le32(&m->out, bytes_u8(m->in) * 4u);
		break;
	}
}

static inline void message_stroke(struct message_builder *m)
{
	unsigned flags = bytes_u8(m->in) & 12, styles;

	message_pointer(m, OBJECT_PATH, 0);
	buffer_put_u8(&m->out, (uint8_t)flags);
	if (flags & 8) {
		styles = input_below(m->in, 6);
		buffer_put_u8(&m->out, (uint8_t)styles);
		message_pointer(m, OBJECT_STYLE, styles);
	}
	message_brush(m);
	message_rop(m);
	message_rop(m);
}

static inline void message_composite(struct message_builder *m)
{
	uint32_t flags = bytes_u8(m->in) % 64 |
			 (uint32_t)bytes_le16(m->in) << 8 |
			 (uint32_t)bytes_u8(m->in) << 24;
	unsigned numbers = (flags >> 20 & 1) * 6 + (flags >> 21 & 1) * 6;

	buffer_put_le32(&m->out, flags);
	message_pointer(m, OBJECT_IMAGE, 0);
	if (flags >> 19 & 1)
		message_pointer(m, OBJECT_IMAGE, 0);
	/* 16.16, near 1 or anything */
	while (numbers--)
		buffer_put_le32(&m->out, bytes_u8(m->in) & 1
						 ? input_coordinate(m->in)
						 : bytes_le16(m->in) * 4u);
	message_bytes(m, 8);
}

/* Behind the base: an image and the part of it to take. */
static inline void message_source(struct message_builder *m)
{
	message_pointer(m, OBJECT_IMAGE, 0);
	message_rect(m);
}

static inline void message_drawing(struct message_builder *m, uint16_t type)
{
	switch (type) {
	case DISPLAY_MESSAGE_draw_fill:
		message_brush(m);
		message_rop(m);
		break;
	case DISPLAY_MESSAGE_draw_opaque:
	case DISPLAY_MESSAGE_draw_rop3:
		message_source(m);
		message_brush(m);
		if (type == DISPLAY_MESSAGE_draw_opaque)
			message_rop(m);
		else
			message_bytes(m, 1);
		message_bytes(m, 1);
		break;
	case DISPLAY_MESSAGE_draw_copy:
	case DISPLAY_MESSAGE_draw_blend:
		message_source(m);
		message_rop(m);
		buffer_put_u8(&m->out, bytes_u8(m->in) & 1);
		break;
	case DISPLAY_MESSAGE_draw_stroke:
		message_stroke(m);
		return;
	case DISPLAY_MESSAGE_draw_text:
		message_pointer(m, OBJECT_STRING, 0);
		message_rect(m);
		message_brush(m);
		message_brush(m);
		message_rop(m);
		message_rop(m);
		return;
	case DISPLAY_MESSAGE_draw_transparent:
		message_source(m);
		message_numbers(m, 2);
		return;
	case DISPLAY_MESSAGE_draw_alpha_blend:
		message_bytes(m, 2);
		message_source(m);
		return;
	case DISPLAY_MESSAGE_copy_bits:
		message_numbers(m, 2);
		return;
	case DISPLAY_MESSAGE_draw_composite:
		message_composite(m);
		return;
	}
	message_mask(m);
}

/* Messages that draw; behind them what makes surfaces and heads. */
#define MESSAGE_DRAWINGS 14u
static const uint16_t message_types[] = {
	DISPLAY_MESSAGE_draw_fill,
	DISPLAY_MESSAGE_draw_opaque,
	DISPLAY_MESSAGE_draw_copy,
	DISPLAY_MESSAGE_draw_blend,
	DISPLAY_MESSAGE_draw_blackness,
	DISPLAY_MESSAGE_draw_whiteness,
	DISPLAY_MESSAGE_draw_invers,
	DISPLAY_MESSAGE_draw_rop3,
	DISPLAY_MESSAGE_draw_stroke,
	DISPLAY_MESSAGE_draw_text,
	DISPLAY_MESSAGE_draw_transparent,
	DISPLAY_MESSAGE_draw_alpha_blend,
	DISPLAY_MESSAGE_copy_bits,
	DISPLAY_MESSAGE_draw_composite,
	DISPLAY_MESSAGE_surface_create,
	DISPLAY_MESSAGE_surface_destroy,
	DISPLAY_MESSAGE_monitors_config,
	DISPLAY_MESSAGE_mark,
	DISPLAY_MESSAGE_reset,
	DISPLAY_MESSAGE_mode,
	DISPLAY_MESSAGE_inval_list,
	DISPLAY_MESSAGE_inval_palette,
};
#define MESSAGE_TYPES (sizeof(message_types) / sizeof(*message_types))

static inline void message_other(struct message_builder *m, uint16_t type)
{
	static const uint8_t formats[] = {32, 32, 96, 16, 80, 8, 1, 33};

	switch (type) {
	case DISPLAY_MESSAGE_surface_create:
		buffer_put_le32(&m->out, input_below(m->in, MESSAGE_SURFACES));
		buffer_put_le32(&m->out, 1 + input_below(m->in, 80));
		buffer_put_le32(&m->out, 1 + input_below(m->in, 80));
		buffer_put_le32(&m->out, formats[input_below(m->in, 8)]);
		buffer_put_le32(&m->out, 1);
		break;
	case DISPLAY_MESSAGE_surface_destroy:
		buffer_put_le32(&m->out, input_below(m->in, MESSAGE_SURFACES));
		break;
	case DISPLAY_MESSAGE_mode:
		message_numbers(m, 2);
		buffer_put_le32(&m->out, 32);
		break;
	case DISPLAY_MESSAGE_monitors_config:
		buffer_put_le16(&m->out, 2);
		buffer_put_le16(&m->out, 4);
		message_numbers(m, 14);
		break;
	case DISPLAY_MESSAGE_inval_list:
		buffer_put_le16(&m->out, 1);
		buffer_put_u8(&m->out, 1);
		buffer_put_le64(&m->out, input_below(m->in, 8));
		break;
	case DISPLAY_MESSAGE_inval_palette:
		buffer_put_le64(&m->out, input_below(m->in, 4));
		break;
	}
}

/*
 * The next message; the caller frees *out. Every eighth is damaged in one
 * byte.
 */
static inline uint16_t message_build(struct buffer *out, struct bytes *in)
{
	struct message_builder m = {.in = in};
	unsigned choice = input_below(in, MESSAGE_TYPES);
	uint16_t type = message_types[choice];

	if (choice >= MESSAGE_DRAWINGS) {
		message_other(&m, type);
	} else {
		buffer_put_le32(&m.out, input_below(in, MESSAGE_SURFACES));
		message_rect(&m);
		message_clip(&m);
		message_drawing(&m, type);
		for (unsigned i = 0; i < m.pointer_count; i++)
			message_object(&m, i);
	}
	if (bytes_u8(in) % 8 == 7 && m.out.size)
		m.out.data[bytes_le16(in) % m.out.size] = bytes_u8(in);
	*out = m.out;
	return type;
}

#endif
