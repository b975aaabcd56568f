/*
 * A decoder, and messages made by hand that are fed to it: channels, surfaces,
 * drawings of one pixel, what came out.
 *
 * For inclusion by one test program each; everything is static.
 */
#ifndef TESTS_UNIT_DECODER_FIXTURE_H
#define TESTS_UNIT_DECODER_FIXTURE_H

#include "recorder/decoder.h"
#include "recorder/screen.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

enum { MAIN = 1, DISPLAY, INPUTS, CURSOR, PLAYBACK, RECORD };

/* main, display 0, display 1, cursor 0, inputs */
enum {
	ON_MAIN,
	ON_DISPLAY,
	ON_DISPLAY_1,
	ON_CURSOR,
	ON_INPUTS,
	ON_PLAYBACK,
	ON_RECORD,
	CHANNELS
};

struct fixture {
	struct decoder *decoder;
	struct capture_channel channels[CHANNELS];
	uint64_t serials[CHANNELS];
	uint64_t now;
	unsigned sound, microphone; /* frames */
	int sink_result;
};

static inline void open_channel(struct fixture *f, int i, uint8_t type,
				uint8_t id)
{
	struct capture_item item = {.kind = CAPTURE_RESULT,
				    .data = (const uint8_t *)"\0\0\0",
				    .size = 4,
				    .channel = &f->channels[i]};

	f->channels[i].number = i;
	f->channels[i].mess.channel_type = type;
	f->channels[i].mess.channel_id = id;
	assert_int_equal(decoder_feed(f->decoder, &item, NULL), 0);
}

static inline int feed(struct fixture *f, int channel, bool to_guest,
		       uint16_t type, struct buffer *body)
{
	int r;
	struct capture_item item = {.kind = CAPTURE_MESSAGE,
				    .channel = &f->channels[channel],
				    .direction = to_guest ? CAPTURE_TO_GUEST
							  : CAPTURE_TO_CLIENT,
				    .time = f->now,
				    .type = type,
				    .serial = ++f->serials[channel],
				    .offset = 100 + f->serials[channel],
				    .data = body->data,
				    .size = body->size};

	r = decoder_feed(f->decoder, &item, NULL);
	buffer_free(body);
	return r;
}

static inline void send(struct fixture *f, int channel, uint16_t type,
			struct buffer *body)
{
	assert_int_equal(feed(f, channel, channel == ON_INPUTS, type, body), 0);
}

static inline void put_numbers(struct buffer *b, int count, ...)
{
	va_list list;

	va_start(list, count);
	while (count--)
		buffer_put_le32(b, va_arg(list, uint32_t));
	va_end(list);
}

static inline void create_surface(struct fixture *f, int channel, uint32_t id,
				  uint32_t width, uint32_t height)
{
	struct buffer b = {0};

	put_numbers(&b, 5, id, width, height, SURFACE_32_XRGB, 1);
	send(f, channel, DISPLAY_MESSAGE_surface_create, &b);
	if (!id) {
		b = (struct buffer){0};
		send(f, channel, DISPLAY_MESSAGE_mark, &b);
	}
}

/* surface, box (top, left, bottom, right), no clip */
static inline void put_base(struct buffer *b, uint32_t right, uint32_t bottom)
{
	put_numbers(b, 5, 0, 0, 0, bottom, right);
	buffer_put_u8(b, 0);
}

static inline void fill(struct fixture *f, int channel, uint32_t colour)
{
	struct buffer b = {0};

	put_base(&b, 8, 8);
	buffer_put_u8(&b, 1);
	buffer_put_le32(&b, colour);
	buffer_put_le16(&b, 8);
	buffer_put_u8(&b, 0);
	put_numbers(&b, 3, 0, 0, 0);
	send(f, channel, DISPLAY_MESSAGE_draw_fill, &b);
}

static inline void put_descriptor(struct buffer *b, uint64_t id, uint8_t type,
				  uint8_t flags)
{
	buffer_put_le64(b, id);
	buffer_put_u8(b, type);
	buffer_put_u8(b, flags);
	put_numbers(b, 2, 1, 1);
}

/* One pixel at (0, 0), from an image that follows `b`'s descriptor. */
static inline void copy_head(struct buffer *b)
{
	put_base(b, 1, 1);
	buffer_put_le32(b, (uint32_t)b->size + 4 + 16 + 2 + 1 + 13);
	put_numbers(b, 4, 0, 0, 1, 1);
	buffer_put_le16(b, 8);
	buffer_put_u8(b, 1);
	buffer_put_u8(b, 0);
	put_numbers(b, 3, 0, 0, 0);
}

static inline void copy_bitmap(struct fixture *f, int channel, uint64_t id,
			       uint32_t pixel)
{
	struct buffer b = {0};

	copy_head(&b);
	put_descriptor(&b, id, IMAGE_TYPE_BITMAP, 1);
	buffer_put_u8(&b, BITMAP_32BIT);
	buffer_put_u8(&b, 4);
	put_numbers(&b, 5, 1, 1, 4, 0, pixel);
	send(f, channel, DISPLAY_MESSAGE_draw_copy, &b);
}

static inline void copy_cached(struct fixture *f, int channel, uint64_t id)
{
	struct buffer b = {0};

	copy_head(&b);
	put_descriptor(&b, id, IMAGE_TYPE_FROM_CACHE, 0);
	send(f, channel, DISPLAY_MESSAGE_draw_copy, &b);
}

static inline uint32_t pixel(const struct fixture *f, unsigned display)
{
	pixman_box32_t part;
	struct surface *s =
		display_visible(decoder_display(f->decoder, display), &part);

	return s ? s->pixels[0] & 0xffffff : 0xdead;
}

static inline const struct decoder_trouble *trouble(const struct fixture *f)
{
	return decoder_trouble(f->decoder);
}

static inline int count_sound(void *user, uint64_t at, const int16_t *samples,
			      unsigned frames, struct error *error)
{
	struct fixture *f = user;

	(void)at;
	(void)samples;
	f->sound += frames;
	return f->sink_result ? error_set(error, f->sink_result, "full") : 0;
}

static inline int count_speech(void *user, uint64_t at, const int16_t *samples,
			       unsigned frames, struct error *error)
{
	struct fixture *f = user;

	(void)at;
	(void)samples;
	(void)error;
	f->microphone += frames;
	return 0;
}

static inline int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct decoder_options options = {
		.sound = {.samples = count_sound, .user = f},
		.microphone = {.samples = count_speech, .user = f}};

	*state = f;
	assert_int_equal(decoder_new(&f->decoder, &options, NULL), 0);
	open_channel(f, ON_MAIN, MAIN, 0);
	open_channel(f, ON_DISPLAY, DISPLAY, 0);
	open_channel(f, ON_DISPLAY_1, DISPLAY, 1);
	open_channel(f, ON_CURSOR, CURSOR, 0);
	open_channel(f, ON_INPUTS, INPUTS, 0);
	open_channel(f, ON_PLAYBACK, PLAYBACK, 0);
	open_channel(f, ON_RECORD, RECORD, 0);
	create_surface(f, ON_DISPLAY, 0, 32, 16);
	create_surface(f, ON_DISPLAY_1, 0, 32, 16);
	return 0;
}

static inline int tear_down(void **state)
{
	struct fixture *f = *state;

	decoder_free(f->decoder);
	free(f);
	return 0;
}

/* The n-th connection of a channel, in the place of an earlier one. */
static inline void reopen_channel(struct fixture *f, int i, int n)
{
	struct capture_item item = {.kind = CAPTURE_RESULT,
				    .data = (const uint8_t *)"\0\0\0",
				    .size = 4,
				    .channel = &f->channels[i]};

	f->channels[i].number = n;
	f->serials[i] = 0;
	assert_int_equal(decoder_feed(f->decoder, &item, NULL), 0);
}

static inline void close_channel(struct fixture *f, int i, int number)
{
	struct capture_channel gone = f->channels[i];
	struct capture_item item = {.kind = CAPTURE_CLOSE, .channel = &gone};

	gone.number = number;
	assert_int_equal(decoder_feed(f->decoder, &item, NULL), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
