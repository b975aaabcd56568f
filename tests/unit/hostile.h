/*
 * A small session that uses a bit of everything, for tests that spoil it:
 * main, display, cursor and playback channels, messages in order.
 */
#ifndef TESTS_UNIT_HOSTILE_H
#define TESTS_UNIT_HOSTILE_H

#include "capture_fixture.h"

#include "recorder/decoder.h"

#define SAMPLE_MESSAGES 40
#define SAMPLE_CHANNELS 4

enum { ON_MAIN, ON_DISPLAY, ON_CURSOR, ON_PLAYBACK };

static const uint8_t sample_channel_types[SAMPLE_CHANNELS] = {
	SPICE_CHANNEL_MAIN, SPICE_CHANNEL_DISPLAY, SPICE_CHANNEL_CURSOR,
	SPICE_CHANNEL_PLAYBACK};

struct sample_message {
	int channel;
	uint16_t type;
	struct buffer body;
};

struct sample {
	struct sample_message messages[SAMPLE_MESSAGES];
	unsigned count;
};

static inline void put_numbers(struct buffer *b, unsigned count, ...)
{
	va_list list;

	va_start(list, count);
	while (count--)
		buffer_put_le32(b, va_arg(list, uint32_t));
	va_end(list);
}

/* A message that is filled in by the caller. */
static inline struct buffer *sample_add(struct sample *s, int channel,
					uint16_t type)
{
	struct sample_message *m = &s->messages[s->count++];

	assert_true(s->count <= SAMPLE_MESSAGES);
	*m = (struct sample_message){.channel = channel, .type = type};
	return &m->body;
}

/* Surface, box of 24 x 24 at (4, 4), clipped by two rectangles. */
static inline void put_base(struct buffer *b)
{
	put_numbers(b, 5, 0, 4, 4, 28, 28);
	buffer_put_u8(b, 1);
	put_numbers(b, 9, 2, 0, 0, 20, 20, 10, 10, 30, 30);
}

static inline void put_no_mask(struct buffer *b)
{
	buffer_put_u8(b, 0);
	put_numbers(b, 3, 0, 0, 0);
}

static inline void put_descriptor(struct buffer *b, uint64_t id, uint8_t type,
				  uint8_t flags, uint32_t side)
{
	buffer_put_le64(b, id);
	buffer_put_u8(b, type);
	buffer_put_u8(b, flags);
	put_numbers(b, 2, side, side);
}

/* A draw_copy up to the image, which follows. */
static inline void put_copy(struct buffer *b, uint32_t side)
{
	put_base(b);
	buffer_put_le32(b, (uint32_t)b->size + 4 + 16 + 2 + 1 + 13);
	put_numbers(b, 4, 0, 0, side, side);
	buffer_put_le16(b, 8);
	buffer_put_u8(b, 1);
	put_no_mask(b);
}

static inline void sample_bitmap(struct sample *s, uint8_t format, uint64_t id)
{
	struct buffer *b = sample_add(s, ON_DISPLAY, DISPLAY_MESSAGE_draw_copy);
	size_t row = bitmap_row_size(format, 8), at;

	put_copy(b, 8);
	put_descriptor(b, id, IMAGE_TYPE_BITMAP, 1, 8);
	buffer_put_u8(b, format);
	buffer_put_u8(b, 5);
	put_numbers(b, 3, 8, 8, (uint32_t)row);
	at = b->size;
	buffer_put_le32(b, 0);
	for (size_t i = 0; i < row * 8; i++)
		buffer_put_u8(b, (uint8_t)(i * 37));
	if (format > BITMAP_8BIT)
		return;
	bytes_put_le32(b->data + at, (uint32_t)b->size);
	buffer_put_le64(b, id);
	buffer_put_le16(b, 4);
	put_numbers(b, 4, 0, 0xff, 0xff00, 0xff0000);
}

static inline void put_be32(struct buffer *b, uint32_t v)
{
	buffer_put_le32(b, __builtin_bswap32(v));
}

/* An LZ or GLZ image: literals, then a run of what there is. */
static inline void put_lz(struct buffer *b, uint32_t side)
{
	put_be32(b, 0x20205a4c);
	put_be32(b, 0x00010001);
	put_numbers(b, 1, __builtin_bswap32(8));
	put_be32(b, side);
	put_be32(b, side);
	put_be32(b, side * 4);
	put_be32(b, 1);
	buffer_put(b, "\1\1\2\3\4\5\6", 7);
	for (size_t left = (size_t)side * side - 2; left;) {
		size_t n = left < 7 + 254 ? left : 7 + 254;

		if (n < 7) {
			buffer_put_u8(b, (uint8_t)(n << 5));
		} else {
			buffer_put_u8(b, 7 << 5);
			buffer_put_u8(b, (uint8_t)(n - 7));
		}
		buffer_put_u8(b, 1);
		left -= n;
	}
}

static inline void sample_lz(struct sample *s)
{
	struct buffer *b = sample_add(s, ON_DISPLAY, DISPLAY_MESSAGE_draw_copy);
	size_t at;

	put_copy(b, 16);
	put_descriptor(b, 9, IMAGE_TYPE_LZ_RGB, 1, 16);
	at = b->size;
	buffer_put_le32(b, 0);
	put_lz(b, 16);
	bytes_put_le32(b->data + at, (uint32_t)(b->size - at - 4));
}

static inline void sample_draws(struct sample *s)
{
	struct buffer *b = sample_add(s, ON_DISPLAY, DISPLAY_MESSAGE_draw_fill);

	put_base(b);
	buffer_put_u8(b, 1);
	buffer_put_le32(b, 0x336699);
	buffer_put_le16(b, 8);
	put_no_mask(b);
	sample_bitmap(s, BITMAP_32BIT, 1);
	sample_bitmap(s, BITMAP_8BIT, 2);
	sample_bitmap(s, BITMAP_1BIT_BE, 3);
	sample_lz(s);
	b = sample_add(s, ON_DISPLAY, DISPLAY_MESSAGE_draw_copy);
	put_copy(b, 8);
	put_descriptor(b, 1, IMAGE_TYPE_FROM_CACHE, 0, 8);
	b = sample_add(s, ON_DISPLAY, DISPLAY_MESSAGE_draw_alpha_blend);
	put_base(b);
	buffer_put_le16(b, 0x8000);
	buffer_put_le32(b, (uint32_t)b->size + 4 + 16);
	put_numbers(b, 4, 0, 0, 8, 8);
	put_descriptor(b, 0, IMAGE_TYPE_SURFACE, 0, 8);
	buffer_put_le32(b, 1);
	b = sample_add(s, ON_DISPLAY, DISPLAY_MESSAGE_copy_bits);
	put_base(b);
	put_numbers(b, 2, 0, 0);
	b = sample_add(s, ON_DISPLAY, DISPLAY_MESSAGE_draw_stroke);
	put_base(b);
	buffer_put_le32(b, (uint32_t)b->size + 4 + 1 + 5 + 4);
	buffer_put_u8(b, 0);
	buffer_put_u8(b, 1);
	buffer_put_le32(b, 0xffffff);
	buffer_put_le16(b, 8);
	buffer_put_le16(b, 8);
	buffer_put_le32(b, 1);
	buffer_put_u8(b, 3 | 16);
	put_numbers(b, 9, 4, 16, 16, 200, 40, 300, 300, 16, 400);
	b = sample_add(s, ON_DISPLAY, DISPLAY_MESSAGE_inval_list);
	buffer_put_le16(b, 1);
	buffer_put_u8(b, 1);
	buffer_put_le64(b, 1);
}

static inline void sample_surfaces(struct sample *s)
{
	struct buffer *b =
		sample_add(s, ON_DISPLAY, DISPLAY_MESSAGE_surface_create);

	put_numbers(b, 5, 0, 48, 32, SURFACE_32_XRGB, 1);
	b = sample_add(s, ON_DISPLAY, DISPLAY_MESSAGE_surface_create);
	put_numbers(b, 5, 1, 16, 16, SURFACE_16_565, 0);
	b = sample_add(s, ON_DISPLAY, DISPLAY_MESSAGE_monitors_config);
	buffer_put_le16(b, 1);
	buffer_put_le16(b, 4);
	put_numbers(b, 7, 0, 0, 48, 32, 0, 0, 0);
	sample_add(s, ON_DISPLAY, DISPLAY_MESSAGE_mark);
}

static inline void sample_pointer(struct sample *s)
{
	struct buffer *b = sample_add(s, ON_CURSOR, SPICE_MSG_CURSOR_SET);

	put_numbers(b, 1, 0x00080010);
	buffer_put_u8(b, 1);
	buffer_put_le16(b, 2);
	buffer_put_le64(b, 5);
	buffer_put_u8(b, 2); /* 4 bits a pixel */
	put_numbers(b, 2, 0x00080008, 0x00010001);
	for (unsigned i = 0; i < 32 + 64 + 8; i++)
		buffer_put_u8(b, (uint8_t)(i * 11));
	b = sample_add(s, ON_CURSOR, SPICE_MSG_CURSOR_MOVE);
	put_numbers(b, 1, 0x00040004);
}

static inline void sample_sound(struct sample *s)
{
	struct buffer *b = sample_add(s, ON_PLAYBACK, SPICE_MSG_PLAYBACK_MODE);

	buffer_put_le32(b, 0);
	buffer_put_le16(b, SPICE_AUDIO_DATA_MODE_RAW);
	b = sample_add(s, ON_PLAYBACK, SPICE_MSG_PLAYBACK_START);
	buffer_put_le32(b, 2);
	buffer_put_le16(b, 1);
	put_numbers(b, 2, 48000, 100);
	b = sample_add(s, ON_PLAYBACK, SPICE_MSG_PLAYBACK_DATA);
	buffer_put_le32(b, 100);
	for (unsigned i = 0; i < 400; i++)
		buffer_put_u8(b, (uint8_t)i);
	b = sample_add(s, ON_PLAYBACK, SPICE_MSG_PLAYBACK_STOP);
}

static inline void sample_stream(struct sample *s)
{
	struct buffer *b =
		sample_add(s, ON_DISPLAY, DISPLAY_MESSAGE_stream_create);

	put_numbers(b, 2, 0, 3);
	buffer_put_u8(b, 1);
	buffer_put_u8(b, 1);
	put_numbers(b, 10, 0, 0, 16, 16, 16, 16, 0, 0, 16, 16);
	buffer_put_u8(b, 0);
	b = sample_add(s, ON_DISPLAY, DISPLAY_MESSAGE_stream_data);
	put_numbers(b, 3, 3, 0, 4);
	buffer_put(b, "\xff\xd8\xff\xd9", 4);
	b = sample_add(s, ON_DISPLAY, DISPLAY_MESSAGE_stream_destroy);
	buffer_put_le32(b, 3);
}

static inline void sample_make(struct sample *s)
{
	struct buffer *b;

	*s = (struct sample){0};
	b = sample_add(s, ON_MAIN, SPICE_MSG_MAIN_MOUSE_MODE);
	put_numbers(b, 1, 0x00010003);
	sample_surfaces(s);
	sample_pointer(s);
	sample_draws(s);
	sample_sound(s);
	sample_stream(s);
}

static inline void sample_free(struct sample *s)
{
	for (unsigned i = 0; i < s->count; i++)
		buffer_free(&s->messages[i].body);
}

/* The sample as a capture file; the caller closes it. */
static inline int sample_file(const struct sample *s)
{
	struct fixture f = fixture_new();
	int channels[SAMPLE_CHANNELS];

	for (unsigned i = 0; i < SAMPLE_CHANNELS; i++)
		channels[i] = fixture_channel(&f, sample_channel_types[i], 0);
	for (unsigned i = 0; i < s->count; i++)
		fixture_message(&f, channels[s->messages[i].channel],
				CAPTURE_TO_CLIENT, i, s->messages[i].type,
				s->messages[i].body.data,
				s->messages[i].body.size);
	fixture_finish(&f, false);
	fixture_end(&f);
	return f.fd;
}

#endif
