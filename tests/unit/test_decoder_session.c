/*
 * What a session consists of: channels in any order, that come again or are
 * another client's, monitors, the pointer, sound and microphone.
 */
#include "tests/unit/decoder_fixture.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(keeps_the_picture_during_a_change),
		CASE(shows_heads_only),
		CASE(draws_the_pointer),
		CASE(another_client),
		CASE(one_channel_comes_again),
		CASE(any_order_of_channels),
		CASE(four_monitors),
		CASE(pointer_goes_to_another_display),
		CASE(hears_both_sides),
		CASE(ends_when_a_sink_is_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
