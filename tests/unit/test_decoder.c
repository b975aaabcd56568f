/*
 * Sessions from messages made by hand: channels that wait for each other,
 * what is missing, damaged or not drawn, limits, the pointer.
 */
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

static void open_channel(struct fixture *f, int i, uint8_t type, uint8_t id)
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

static int feed(struct fixture *f, int channel, bool to_guest, uint16_t type,
		struct buffer *body)
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

static void send(struct fixture *f, int channel, uint16_t type,
		 struct buffer *body)
{
	assert_int_equal(feed(f, channel, channel == ON_INPUTS, type, body), 0);
}

static void put_numbers(struct buffer *b, int count, ...)
{
	va_list list;

	va_start(list, count);
	while (count--)
		buffer_put_le32(b, va_arg(list, uint32_t));
	va_end(list);
}

static void create_surface(struct fixture *f, int channel, uint32_t id,
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
static void put_base(struct buffer *b, uint32_t right, uint32_t bottom)
{
	put_numbers(b, 5, 0, 0, 0, bottom, right);
	buffer_put_u8(b, 0);
}

static void fill(struct fixture *f, int channel, uint32_t colour)
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

static void put_descriptor(struct buffer *b, uint64_t id, uint8_t type,
			   uint8_t flags)
{
	buffer_put_le64(b, id);
	buffer_put_u8(b, type);
	buffer_put_u8(b, flags);
	put_numbers(b, 2, 1, 1);
}

/* One pixel at (0, 0), from an image that follows `b`'s descriptor. */
static void copy_head(struct buffer *b)
{
	put_base(b, 1, 1);
	buffer_put_le32(b, (uint32_t)b->size + 4 + 16 + 2 + 1 + 13);
	put_numbers(b, 4, 0, 0, 1, 1);
	buffer_put_le16(b, 8);
	buffer_put_u8(b, 1);
	buffer_put_u8(b, 0);
	put_numbers(b, 3, 0, 0, 0);
}

static void copy_bitmap(struct fixture *f, int channel, uint64_t id,
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

static void copy_cached(struct fixture *f, int channel, uint64_t id)
{
	struct buffer b = {0};

	copy_head(&b);
	put_descriptor(&b, id, IMAGE_TYPE_FROM_CACHE, 0);
	send(f, channel, DISPLAY_MESSAGE_draw_copy, &b);
}

static uint32_t pixel(const struct fixture *f, unsigned display)
{
	pixman_box32_t part;
	struct surface *s =
		display_visible(decoder_display(f->decoder, display), &part);

	return s ? s->pixels[0] & 0xffffff : 0xdead;
}

static const struct decoder_trouble *trouble(const struct fixture *f)
{
	return decoder_trouble(f->decoder);
}

static int count_sound(void *user, uint64_t at, const int16_t *samples,
		       unsigned frames, struct error *error)
{
	struct fixture *f = user;

	(void)at;
	(void)samples;
	f->sound += frames;
	return f->sink_result ? error_set(error, f->sink_result, "full") : 0;
}

static int count_speech(void *user, uint64_t at, const int16_t *samples,
			unsigned frames, struct error *error)
{
	struct fixture *f = user;

	(void)at;
	(void)samples;
	(void)error;
	f->microphone += frames;
	return 0;
}

static int set_up(void **state)
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

static int tear_down(void **state)
{
	struct fixture *f = *state;

	decoder_free(f->decoder);
	free(f);
	return 0;
}

static void put_wait(struct buffer *b, uint8_t id, uint64_t serial)
{
	buffer_put_u8(b, 1);
	buffer_put_u8(b, DISPLAY);
	buffer_put_u8(b, id);
	buffer_put_le64(b, serial);
}

static void waits_for_another_channel(void **state)
{
	struct fixture *f = *state;
	struct buffer b = {0};

	put_wait(&b, 0, 4);
	send(f, ON_DISPLAY_1, 5, &b);
	fill(f, ON_DISPLAY_1, 0x123456);
	assert_int_equal(pixel(f, 1), 0);
	fill(f, ON_DISPLAY, 1); /* serial 3 */
	assert_int_equal(pixel(f, 1), 0);
	fill(f, ON_DISPLAY, 2);
	assert_int_equal(pixel(f, 1), 0x123456);
}

static void waits_for_an_image_in_the_cache(void **state)
{
	struct fixture *f = *state;

	copy_cached(f, ON_DISPLAY_1, 77);
	assert_int_equal(pixel(f, 1), 0);
	copy_bitmap(f, ON_DISPLAY, 77, 0xabcdef);
	assert_int_equal(pixel(f, 0), 0xabcdef);
	assert_int_equal(pixel(f, 1), 0xabcdef);
	assert_int_equal(decoder_finish(f->decoder, NULL), 0);
	assert_int_equal(trouble(f)->missing, 0);
}

static void put_be32(struct buffer *b, uint32_t v)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		buffer_put_u8(b, (uint8_t)(v >> shift));
}

/*
 * A GLZ image of one pixel: a literal, or a copy from the image `back` ids
 * before it. No earlier image than `reach` ids back is needed from now on.
 */
static void copy_glz(struct fixture *f, int channel, uint32_t id,
		     uint32_t pixel, uint8_t back, uint32_t reach)
{
	struct buffer b = {0};

	copy_head(&b);
	put_descriptor(&b, id, IMAGE_TYPE_GLZ_RGB, 0);
	buffer_put_le32(&b, 33 + 4);
	put_be32(&b, 0x20205a4c);
	put_be32(&b, 0x00010001);
	buffer_put_u8(&b, 8 | 1 << 4);
	put_be32(&b, 1);
	put_be32(&b, 1);
	put_be32(&b, 4);
	put_be32(&b, 0);
	put_be32(&b, id);
	put_be32(&b, reach);
	if (back) {
		buffer_put_u8(&b, 1 << 5);
		buffer_put_le16(&b, 0x0000 | (uint16_t)back << 8);
		buffer_put_u8(&b, 0);
	} else {
		buffer_put_u8(&b, 0);
		buffer_put_u8(&b, pixel & 255);
		buffer_put_u8(&b, pixel >> 8 & 255);
		buffer_put_u8(&b, pixel >> 16 & 255);
	}
	send(f, channel, DISPLAY_MESSAGE_draw_copy, &b);
}

static void waits_for_an_image_in_the_glz_window(void **state)
{
	struct fixture *f = *state;

	copy_glz(f, ON_DISPLAY, 1, 0x111111, 0, 1);
	copy_glz(f, ON_DISPLAY_1, 3, 0, 1, 3);
	assert_int_equal(pixel(f, 1), 0);
	copy_glz(f, ON_DISPLAY, 2, 0x765432, 0, 2);
	assert_int_equal(pixel(f, 1), 0x765432);
	/* 5 overtakes 4; what 4 needs must still be there. */
	copy_glz(f, ON_DISPLAY_1, 5, 0x555555, 0, 0);
	copy_glz(f, ON_DISPLAY, 4, 0, 3, 3);
	assert_int_equal(pixel(f, 0), 0x111111);
	/* Now 5 has let go of all before it. */
	copy_glz(f, ON_DISPLAY, 6, 0, 5, 5);
	assert_int_equal(decoder_finish(f->decoder, NULL), 0);
	assert_int_equal(trouble(f)->missing, 1);
	assert_int_equal(trouble(f)->damaged, 0);
}

static void goes_on_without_what_never_comes(void **state)
{
	struct fixture *f = *state;

	copy_cached(f, ON_DISPLAY_1, 78);
	fill(f, ON_DISPLAY_1, 0x654321);
	assert_int_equal(pixel(f, 1), 0);
	assert_int_equal(decoder_finish(f->decoder, NULL), 0);
	assert_int_equal(pixel(f, 1), 0x654321);
	assert_int_equal(trouble(f)->missing, 1);
	assert_non_null(strstr(trouble(f)->first, "draw_copy"));
}

static void does_not_queue_without_bound(void **state)
{
	struct fixture *f = *state;

	copy_cached(f, ON_DISPLAY_1, 79);
	for (int i = 0; i < 70; i++) {
		struct buffer b = {0};

		assert_non_null(buffer_grow(&b, 1 << 20));
		send(f, ON_DISPLAY_1, 4, &b); /* a ping with ballast */
	}
	assert_int_equal(trouble(f)->missing, 1);
	fill(f, ON_DISPLAY_1, 0x111111);
	assert_int_equal(pixel(f, 1), 0x111111);
}

/* As libspice-server sends it, with sizes that are too large. */
static void reads_lists_by_content(void **state)
{
	struct fixture *f = *state;
	struct buffer b = {0};

	copy_bitmap(f, ON_DISPLAY, 5, 0x50);
	buffer_put_le16(&b, 2);
	put_numbers(&b, 2, 0x1b, 0x0a);
	buffer_put_le16(&b, DISPLAY_MESSAGE_inval_list);
	buffer_put_le32(&b, 24);
	buffer_put_le16(&b, 1);
	buffer_put_u8(&b, 1);
	buffer_put_le64(&b, 5);
	buffer_put_le16(&b, 5);
	buffer_put_le32(&b, 24);
	put_wait(&b, 1, 3);
	send(f, ON_DISPLAY, 8, &b);
	fill(f, ON_DISPLAY, 0x60);
	assert_int_equal(pixel(f, 0), 0x50);
	fill(f, ON_DISPLAY_1, 0x70);
	assert_int_equal(pixel(f, 0), 0x60);
	/* The image is gone from the cache. */
	copy_cached(f, ON_DISPLAY, 5);
	assert_int_equal(decoder_finish(f->decoder, NULL), 0);
	assert_int_equal(trouble(f)->missing, 1);
	assert_int_equal(trouble(f)->damaged, 0);
}

static void counts_what_it_does_not_draw(void **state)
{
	struct fixture *f = *state;
	struct buffer b = {0};

	/* Its pixels never come over the wire. */
	for (unsigned i = 0; i < 4; i++)
		buffer_put_le32(&b, 8);
	send(f, ON_DISPLAY, DISPLAY_MESSAGE_gl_draw, &b);
	assert_int_equal(trouble(f)->undrawn, 1);
	assert_int_equal(trouble(f)->damaged, 0);
	assert_int_equal(decoder_display(f->decoder, 0)
				 ->undrawn[DISPLAY_MESSAGE_gl_draw],
			 1);
}

/* The primary of old servers, of 32 or 16 bits; 555 red is 0x7c00. */
static void makes_the_primary_from_a_mode(void **state)
{
	struct fixture *f = *state;
	const struct surface *primary;
	struct buffer b = {0};

	put_numbers(&b, 3, 20, 10, 16);
	send(f, ON_DISPLAY, DISPLAY_MESSAGE_mode, &b);
	send(f, ON_DISPLAY, DISPLAY_MESSAGE_mark, &b);
	fill(f, ON_DISPLAY, 0x7c00);
	primary = decoder_display(f->decoder, 0)->surfaces[0];
	assert_int_equal(primary->width, 20);
	assert_int_equal(primary->height, 10);
	assert_int_equal(primary->format, SURFACE_16_555);
	assert_int_equal(primary->pixels[0], 0x7c00);
	put_numbers(&b, 3, 20, 10, 32);
	send(f, ON_DISPLAY, DISPLAY_MESSAGE_mode, &b);
	primary = decoder_display(f->decoder, 0)->surfaces[0];
	assert_int_equal(primary->format, SURFACE_32_XRGB);
	assert_int_equal(primary->pixels[0], 0);
	assert_int_equal(trouble(f)->damaged, 0);
}

static void leaves_out_what_is_damaged(void **state)
{
	struct fixture *f = *state;
	struct buffer b = {0};

	put_base(&b, 1, 1);
	buffer_put_le32(&b, 0x7fffffff);
	send(f, ON_DISPLAY, DISPLAY_MESSAGE_draw_copy, &b);
	assert_ptr_equal(strstr(trouble(f)->first, "display:0, message 3 "
						   "draw_copy at offset 103: "),
			 trouble(f)->first);
	create_surface(f, ON_DISPLAY, 1, 1 << 20, 1 << 20);
	create_surface(f, ON_DISPLAY, 2000, 4, 4);
	/* 8192 x 4096 are 32 Mi pixels: one more fits, the next does not. */
	create_surface(f, ON_DISPLAY, 2, 8192, 4096);
	assert_int_equal(trouble(f)->damaged, 3);
	create_surface(f, ON_DISPLAY, 3, 8192, 4096);
	assert_int_equal(trouble(f)->damaged, 4);
	fill(f, ON_DISPLAY, 0x222222);
	assert_int_equal(pixel(f, 0), 0x222222);
}

static void keeps_the_picture_during_a_change(void **state)
{
	struct fixture *f = *state;
	struct buffer b = {0};
	uint32_t width, height;

	fill(f, ON_DISPLAY, 0x333333);
	put_numbers(&b, 1, 0);
	send(f, ON_DISPLAY, DISPLAY_MESSAGE_surface_destroy, &b);
	assert_int_equal(pixel(f, 0), 0x333333);
	create_surface(f, ON_DISPLAY, 0, 64, 48);
	assert_int_equal(pixel(f, 0), 0);
	screen_size(f->decoder, &width, &height);
	assert_int_equal(width, 64 + 32);
	assert_int_equal(height, 48);
}

static void shows_heads_only(void **state)
{
	struct fixture *f = *state;
	struct buffer b = {0};
	pixman_box32_t part;

	buffer_put_le16(&b, 2);
	buffer_put_le16(&b, 4);
	put_numbers(&b, 7, 0, 0, 10, 12, 2, 0, 0);
	put_numbers(&b, 7, 1, 0, 10, 12, 12, 0, 0);
	send(f, ON_DISPLAY, DISPLAY_MESSAGE_monitors_config, &b);
	assert_non_null(display_visible(decoder_display(f->decoder, 0), &part));
	assert_int_equal(part.x1, 2);
	assert_int_equal(part.x2, 22);
	assert_int_equal(part.y2, 12);
}

/* 8 x 1: black, white, transparent, inverted (white), four transparent. */
static void set_cursor(struct fixture *f)
{
	struct buffer b = {0};

	put_numbers(&b, 1, 3 | 2 << 16);
	buffer_put_u8(&b, 1);
	buffer_put_le16(&b, 0);
	buffer_put_le64(&b, 9);
	buffer_put_u8(&b, 1);
	buffer_put_le16(&b, 8);
	buffer_put_le16(&b, 1);
	buffer_put_le32(&b, 0);
	buffer_put_u8(&b, 0x3f); /* AND */
	buffer_put_u8(&b, 0x50); /* XOR */
	send(f, ON_CURSOR, 103, &b);
}

static void check_row(const struct fixture *f, uint32_t x, uint32_t y,
		      const uint32_t expected[4])
{
	uint32_t space[4];
	const uint32_t *row;
	pixman_region32_t changed;
	struct screen *screen;

	assert_int_equal(screen_new(&screen, f->decoder, 64, 16, true, NULL),
			 0);
	pixman_region32_init(&changed);
	assert_true(screen_update(screen, &changed));
	row = screen_row(screen, x, y, 4, space);
	for (int i = 0; i < 4; i++)
		assert_int_equal(row[i] & 0xffffff, expected[i]);
	pixman_region32_fini(&changed);
	screen_free(screen);
}

static void draws_the_pointer(void **state)
{
	static const uint32_t over[] = {0, 0xffffff, 0x00ff10, 0xffffff};
	static const uint32_t plain[] = {0x00ff10, 0x00ff10, 0x00ff10,
					 0x00ff10};
	struct fixture *f = *state;
	struct buffer b = {0};

	fill(f, ON_DISPLAY, 0x00ff10);
	set_cursor(f);
	check_row(f, 3, 2, over);
	put_numbers(&b, 1, 4 | 5 << 16);
	send(f, ON_CURSOR, 104, &b);
	check_row(f, 3, 2, plain);
	check_row(f, 4, 5, over);
	/* Client mode: only the client knows where it is. */
	b = (struct buffer){0};
	buffer_put_le16(&b, 3);
	buffer_put_le16(&b, 2);
	send(f, ON_MAIN, 105, &b);
	b = (struct buffer){0};
	put_numbers(&b, 2, 1, 7);
	buffer_put_le16(&b, 0);
	buffer_put_u8(&b, 0);
	send(f, ON_INPUTS, 112, &b);
	check_row(f, 1, 7, over);
	set_cursor(f);
	check_row(f, 1, 7, over);
	b = (struct buffer){0};
	send(f, ON_CURSOR, 105, &b);
	check_row(f, 1, 7, plain);
}

/* The n-th connection of a channel, in the place of an earlier one. */
static void reopen_channel(struct fixture *f, int i, int n)
{
	struct capture_item item = {.kind = CAPTURE_RESULT,
				    .data = (const uint8_t *)"\0\0\0",
				    .size = 4,
				    .channel = &f->channels[i]};

	f->channels[i].number = n;
	f->serials[i] = 0;
	assert_int_equal(decoder_feed(f->decoder, &item, NULL), 0);
}

static void close_channel(struct fixture *f, int i, int number)
{
	struct capture_channel gone = f->channels[i];
	struct capture_item item = {.kind = CAPTURE_CLOSE, .channel = &gone};

	gone.number = number;
	assert_int_equal(decoder_feed(f->decoder, &item, NULL), 0);
}

/* Another client takes over: its channels come before the others go. */
static void another_client(void **state)
{
	struct fixture *f = *state;
	struct capture_channel old = f->channels[ON_DISPLAY];
	struct capture_item late = {.kind = CAPTURE_MESSAGE,
				    .channel = &old,
				    .direction = CAPTURE_TO_CLIENT,
				    .type = DISPLAY_MESSAGE_reset,
				    .serial = 50,
				    .data = (const uint8_t *)""};

	copy_bitmap(f, ON_DISPLAY, 7, 0x777777);
	set_cursor(f);
	fill(f, ON_DISPLAY, 0x111111);
	assert_non_null(decoder_cursor(f->decoder, 0));
	copy_cached(f, ON_DISPLAY_1, 99); /* waits for ever */
	for (int i = 0; i < CHANNELS; i++) {
		reopen_channel(f, i, CHANNELS + i);
		close_channel(f, i, i);
	}
	assert_int_equal(trouble(f)->missing, 1);
	/* The last picture stays; the pointer is the next one's. */
	assert_int_equal(pixel(f, 0), 0x111111);
	assert_null(decoder_cursor(f->decoder, 0));
	create_surface(f, ON_DISPLAY, 0, 64, 16);
	assert_int_equal(pixel(f, 0), 0);
	fill(f, ON_DISPLAY, 0x222222);
	/* What the old connection still had to say is nobody's. */
	assert_int_equal(decoder_feed(f->decoder, &late, NULL), 0);
	assert_int_equal(pixel(f, 0), 0x222222);
	/* Its images are forgotten, so this waits. */
	copy_cached(f, ON_DISPLAY, 7);
	assert_int_equal(decoder_finish(f->decoder, NULL), 0);
	assert_int_equal(trouble(f)->missing, 2);
	assert_int_equal(trouble(f)->damaged, 0);
}

/* One of two displays reconnects: the other one's images stay. */
static void one_channel_comes_again(void **state)
{
	struct fixture *f = *state;

	copy_bitmap(f, ON_DISPLAY, 7, 0x777777);
	close_channel(f, ON_DISPLAY_1, ON_DISPLAY_1);
	reopen_channel(f, ON_DISPLAY_1, 20);
	create_surface(f, ON_DISPLAY_1, 0, 32, 16);
	copy_cached(f, ON_DISPLAY_1, 7);
	assert_int_equal(pixel(f, 1), 0x777777);
	assert_int_equal(pixel(f, 0), 0x777777);
}

static void any_order_of_channels(void **state)
{
	struct fixture *f = *state;
	struct decoder_options options = {0};
	struct buffer b = {0};

	decoder_free(f->decoder);
	memset(f->serials, 0, sizeof(f->serials));
	assert_int_equal(decoder_new(&f->decoder, &options, NULL), 0);
	open_channel(f, ON_INPUTS, INPUTS, 0);
	put_numbers(&b, 2, 9, 9);
	buffer_put_le16(&b, 0);
	buffer_put_u8(&b, 0);
	send(f, ON_INPUTS, 112, &b);
	open_channel(f, ON_CURSOR, CURSOR, 0);
	set_cursor(f);
	open_channel(f, ON_DISPLAY_1, DISPLAY, 1);
	create_surface(f, ON_DISPLAY_1, 0, 32, 16);
	fill(f, ON_DISPLAY_1, 0x123456);
	open_channel(f, ON_DISPLAY, DISPLAY, 0);
	create_surface(f, ON_DISPLAY, 0, 32, 16);
	/* Says that it is the client who moves the pointer. */
	open_channel(f, ON_MAIN, MAIN, 0);
	b = (struct buffer){0};
	put_numbers(&b, 8, 1, 1, 3, 2, 0, 0, 0, 0);
	send(f, ON_MAIN, 103, &b);
	assert_int_equal(pixel(f, 1), 0x123456);
	assert_non_null(decoder_cursor(f->decoder, 0));
	assert_int_equal(trouble(f)->damaged, 0);
}

static void waits_that_can_not_end(void **state)
{
	struct fixture *f = *state;
	struct buffer b = {0};

	/* Each waits for the other. */
	put_wait(&b, 1, 100);
	send(f, ON_DISPLAY, 5, &b);
	fill(f, ON_DISPLAY, 0x101010);
	b = (struct buffer){0};
	put_wait(&b, 0, 100);
	send(f, ON_DISPLAY_1, 5, &b);
	fill(f, ON_DISPLAY_1, 0x202020);
	assert_int_equal(pixel(f, 0), 0);
	assert_int_equal(pixel(f, 1), 0);
	/* The one that is waited for goes away. */
	close_channel(f, ON_DISPLAY_1, ON_DISPLAY_1);
	assert_int_equal(pixel(f, 0), 0x101010);
	/* For itself: until the end. */
	b = (struct buffer){0};
	put_wait(&b, 0, 1000);
	send(f, ON_DISPLAY, 5, &b);
	fill(f, ON_DISPLAY, 0x303030);
	assert_int_equal(pixel(f, 0), 0x101010);
	assert_int_equal(decoder_finish(f->decoder, NULL), 0);
	assert_int_equal(pixel(f, 0), 0x303030);
	assert_int_equal(pixel(f, 1), 0x202020);
	/* A list that is cut short is damage and no wait. */
	b = (struct buffer){0};
	buffer_put_le16(&b, 0x0202);
	send(f, ON_DISPLAY, 5, &b);
	assert_int_equal(trouble(f)->damaged, 1);
	assert_non_null(strstr(trouble(f)->first, "display:0"));
	assert_non_null(strstr(trouble(f)->first, "wait_for_channels"));
}

static void drops_all_images_in_time(void **state)
{
	struct fixture *f = *state;
	struct buffer b = {0};

	copy_bitmap(f, ON_DISPLAY_1, 7, 0x707070); /* serial 3 */
	put_wait(&b, 1, 4);
	send(f, ON_DISPLAY, DISPLAY_MESSAGE_inval_all_pixmaps, &b);
	/* Still needed, and there. */
	copy_cached(f, ON_DISPLAY_1, 7);
	fill(f, ON_DISPLAY, 0x111111);
	assert_int_equal(pixel(f, 0), 0x111111);
	copy_cached(f, ON_DISPLAY_1, 7);
	assert_int_equal(decoder_finish(f->decoder, NULL), 0);
	assert_int_equal(trouble(f)->missing, 1);
}

static void put_head(struct buffer *b, uint32_t id, uint32_t x)
{
	put_numbers(b, 7, id, 0, 640, 480, x, 0, 0);
}

static void four_monitors(void **state)
{
	struct fixture *f = *state;
	struct capture_channel more[2] = {0};
	uint32_t width, height;
	struct buffer b = {0};

	/* Of one card: its primary holds them side by side. */
	create_surface(f, ON_DISPLAY, 0, 2560, 480);
	buffer_put_le16(&b, 4);
	buffer_put_le16(&b, 4);
	for (uint32_t i = 0; i < 4; i++)
		put_head(&b, i, i * 640);
	send(f, ON_DISPLAY, DISPLAY_MESSAGE_monitors_config, &b);
	screen_size(f->decoder, &width, &height);
	assert_int_equal(width, 2560 + 32);
	assert_int_equal(height, 480);
	/* Two are turned off. */
	b = (struct buffer){0};
	buffer_put_le16(&b, 2);
	buffer_put_le16(&b, 4);
	put_head(&b, 0, 0);
	put_head(&b, 1, 640);
	send(f, ON_DISPLAY, DISPLAY_MESSAGE_monitors_config, &b);
	screen_size(f->decoder, &width, &height);
	assert_int_equal(width, 1280 + 32);
	/* Of a card each. */
	for (int i = 0; i < 2; i++) {
		struct capture_channel kept = f->channels[ON_DISPLAY_1];

		f->channels[ON_DISPLAY_1] = more[i];
		f->serials[ON_DISPLAY_1] = 0;
		f->channels[ON_DISPLAY_1].number = 30 + i;
		f->channels[ON_DISPLAY_1].mess.channel_type = DISPLAY;
		f->channels[ON_DISPLAY_1].mess.channel_id = (uint8_t)(2 + i);
		reopen_channel(f, ON_DISPLAY_1, 30 + i);
		create_surface(f, ON_DISPLAY_1, 0, 100, 600);
		fill(f, ON_DISPLAY_1, 0x404040 + (uint32_t)i);
		f->channels[ON_DISPLAY_1] = kept;
	}
	screen_size(f->decoder, &width, &height);
	assert_int_equal(width, 1280 + 32 + 200);
	assert_int_equal(height, 600);
	assert_int_equal(pixel(f, 3), 0x404041);
	assert_int_equal(trouble(f)->damaged, 0);
}

/* The pointer is on the display where the client has it, at its edges too. */
static void pointer_goes_to_another_display(void **state)
{
	struct fixture *f = *state;
	struct buffer b = {0};

	set_cursor(f);
	buffer_put_le16(&b, 3);
	buffer_put_le16(&b, 2);
	send(f, ON_MAIN, 105, &b);
	assert_non_null(decoder_cursor(f->decoder, 0));
	b = (struct buffer){0};
	put_numbers(&b, 2, 5, 5);
	buffer_put_le16(&b, 0);
	buffer_put_u8(&b, 1);
	send(f, ON_INPUTS, 112, &b);
	assert_null(decoder_cursor(f->decoder, 0));
	b = (struct buffer){0};
	put_numbers(&b, 2, 31, 15);
	buffer_put_le16(&b, 0);
	buffer_put_u8(&b, 0);
	send(f, ON_INPUTS, 112, &b);
	assert_non_null(decoder_cursor(f->decoder, 0));
	check_row(f, 28, 15, (const uint32_t[]){0, 0, 0, 0});
	fill(f, ON_DISPLAY, 0x00ff10);
	check_row(f, 4, 15, (const uint32_t[]){0, 0, 0, 0});
	/* The server moves it again. */
	b = (struct buffer){0};
	buffer_put_le16(&b, 3);
	buffer_put_le16(&b, 1);
	send(f, ON_MAIN, 105, &b);
	b = (struct buffer){0};
	put_numbers(&b, 1, 4 | 5 << 16);
	send(f, ON_CURSOR, 104, &b);
	assert_int_equal(decoder_cursor(f->decoder, 0)->x, 4);
	assert_int_equal(decoder_cursor(f->decoder, 0)->y, 5);
}

static void start_sound(struct fixture *f, int channel, uint16_t type)
{
	struct buffer b = {0};

	put_numbers(&b, 1, 2);
	buffer_put_le16(&b, 1);
	put_numbers(&b, 2, 48000, 0);
	send(f, channel, type, &b);
}

/* 12 frames behind a stamp. */
static int packet(struct fixture *f, int channel)
{
	struct buffer b = {0};

	put_numbers(&b, 13, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
	return feed(f, channel, channel == ON_RECORD, 101, &b);
}

static void hears_both_sides(void **state)
{
	struct fixture *f = *state;
	struct buffer b = {0};

	assert_false(decoder_had_sound(f->decoder));
	start_sound(f, ON_PLAYBACK, 103);
	start_sound(f, ON_RECORD, 101);
	assert_true(decoder_had_sound(f->decoder));
	assert_false(decoder_had_microphone(f->decoder));
	assert_int_equal(packet(f, ON_PLAYBACK), 0);
	assert_int_equal(packet(f, ON_RECORD), 0);
	assert_int_equal(packet(f, ON_RECORD), 0);
	assert_true(decoder_had_microphone(f->decoder));
	assert_int_equal(f->sound, 12);
	assert_int_equal(f->microphone, 24);
	assert_int_equal(decoder_microphone(f->decoder)->packets, 2);
	/* The client's damaged messages count as well. */
	assert_int_equal(feed(f, ON_RECORD, true, 101, &b), 0);
	assert_int_equal(trouble(f)->damaged, 1);
	/* A new instance has to start anew. */
	open_channel(f, ON_PLAYBACK, PLAYBACK, 0);
	assert_int_equal(packet(f, ON_PLAYBACK), 0);
	assert_int_equal(trouble(f)->damaged, 2);
	start_sound(f, ON_PLAYBACK, 103);
	assert_int_equal(packet(f, ON_PLAYBACK), 0);
	assert_int_equal(f->sound, 24);
}

static void ends_when_a_sink_is_full(void **state)
{
	struct fixture *f = *state;

	start_sound(f, ON_PLAYBACK, 103);
	f->sink_result = ENOSPC;
	assert_int_equal(packet(f, ON_PLAYBACK), -ENOSPC);
	assert_int_equal(trouble(f)->damaged, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(waits_for_another_channel),
		CASE(waits_for_an_image_in_the_cache),
		CASE(waits_for_an_image_in_the_glz_window),
		CASE(goes_on_without_what_never_comes),
		CASE(does_not_queue_without_bound),
		CASE(reads_lists_by_content),
		CASE(counts_what_it_does_not_draw),
		CASE(makes_the_primary_from_a_mode),
		CASE(leaves_out_what_is_damaged),
		CASE(keeps_the_picture_during_a_change),
		CASE(shows_heads_only),
		CASE(draws_the_pointer),
		CASE(another_client),
		CASE(one_channel_comes_again),
		CASE(any_order_of_channels),
		CASE(waits_that_can_not_end),
		CASE(drops_all_images_in_time),
		CASE(four_monitors),
		CASE(pointer_goes_to_another_display),
		CASE(hears_both_sides),
		CASE(ends_when_a_sink_is_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
