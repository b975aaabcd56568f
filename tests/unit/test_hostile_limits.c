/*
 * What a session may take: memory, and pixels drawn. Each test sends more
 * than the header of the decoder allows, in a process of its own whose
 * largest size is looked at afterwards.
 */
#include "hostile.h"

#include <sys/resource.h>
#include <sys/wait.h>

#include "daemon/sanitized.h"
#include "recorder/playback.h"
#include "recorder/video_decoder.h"

#define MIB (1u << 20)
/* Beside what is counted: the program, libraries, heaps, a message. */
#define BESIDE (96u * MIB)

#define DISPLAYS 16

struct session {
	struct decoder *decoder;
	struct capture_channel channels[2 * DISPLAYS + 1];
	uint64_t serials[2 * DISPLAYS + 1];
	uint64_t time;
};

/* Displays 0 to 15, cursors 16 to 31, sound. */
#define CURSORS DISPLAYS
#define SOUND (2 * DISPLAYS)

static void open_channel(struct session *s, int i, uint8_t type, uint8_t id)
{
	struct capture_item item = {.kind = CAPTURE_RESULT,
				    .data = (const uint8_t *)"\0\0\0",
				    .size = 4,
				    .channel = &s->channels[i]};

	s->channels[i].number = i;
	s->channels[i].mess.channel_type = type;
	s->channels[i].mess.channel_id = id;
	assert_int_equal(decoder_feed(s->decoder, &item, NULL), 0);
}

static void begin(struct session *s, struct playback_sink sink)
{
	struct decoder_options options = {.sound = sink};

	*s = (struct session){.time = FIXTURE_TIME};
	assert_int_equal(decoder_new(&s->decoder, &options, NULL), 0);
	for (int i = 0; i < DISPLAYS; i++) {
		open_channel(s, i, SPICE_CHANNEL_DISPLAY, (uint8_t)i);
		open_channel(s, CURSORS + i, SPICE_CHANNEL_CURSOR, (uint8_t)i);
	}
	open_channel(s, SOUND, SPICE_CHANNEL_PLAYBACK, 0);
}

static void send(struct session *s, int channel, uint16_t type,
		 struct buffer *body)
{
	struct capture_item item = {.kind = CAPTURE_MESSAGE,
				    .channel = &s->channels[channel],
				    .direction = CAPTURE_TO_CLIENT,
				    .type = type,
				    .serial = ++s->serials[channel],
				    .time = s->time,
				    .data = body->data,
				    .size = body->size};

	assert_false(body->failed);
	assert_int_equal(decoder_feed(s->decoder, &item, NULL), 0);
	buffer_free(body);
}

static void create(struct session *s, int display, uint32_t id, uint32_t width,
		   uint32_t height)
{
	struct buffer b = {0};

	put_numbers(&b, 5, id, width, height, SURFACE_32_XRGB, 1);
	send(s, display, DISPLAY_MESSAGE_surface_create, &b);
	if (!id)
		send(s, display, DISPLAY_MESSAGE_mark, &b);
}

static void whiten(struct session *s, int display, uint32_t id, uint32_t width,
		   uint32_t height)
{
	struct buffer b = {0};

	put_numbers(&b, 5, id, 0, 0, height, width);
	buffer_put_u8(&b, 0);
	put_no_mask(&b);
	send(s, display, DISPLAY_MESSAGE_draw_whiteness, &b);
}

/* A copy of one pixel of an LZ or GLZ image of one colour, kept by id. */
static void copy_lz(struct session *s, int display, uint8_t type, uint64_t id,
		    uint32_t width, uint32_t height)
{
	size_t left = (size_t)width * height - 1, size;
	struct buffer b = {0};

	put_numbers(&b, 5, 0, 0, 0, 1, 1);
	buffer_put_u8(&b, 0);
	buffer_put_le32(&b, (uint32_t)b.size + 4 + 16 + 2 + 1 + 13);
	put_numbers(&b, 4, 0, 0, 1, 1);
	buffer_put_le16(&b, 8);
	buffer_put_u8(&b, 1);
	put_no_mask(&b);
	put_descriptor(&b, id, type, type == IMAGE_TYPE_LZ_RGB, 1);
	size = b.size;
	buffer_put_le32(&b, 0);
	put_be32(&b, 0x20205a4c);
	put_be32(&b, 0x00010001);
	if (type == IMAGE_TYPE_LZ_RGB)
		put_be32(&b, 8);
	else
		buffer_put_u8(&b, 8 | 16);
	put_be32(&b, width);
	put_be32(&b, height);
	put_be32(&b, width * 4);
	if (type == IMAGE_TYPE_LZ_RGB) {
		put_be32(&b, 1);
	} else {
		put_numbers(&b, 1, 0);
		put_be32(&b, (uint32_t)id);
		put_numbers(&b, 1, 0xffffffff); /* nothing is let go */
	}
	buffer_put(&b, "\0\1\2\3", 4);
	buffer_put_u8(&b, type == IMAGE_TYPE_LZ_RGB ? 7 << 5 : 7 << 5 | 16);
	for (left -= 7; left >= 255; left -= 255)
		buffer_put_u8(&b, 255);
	buffer_put_u8(&b, (uint8_t)left);
	buffer_put(&b, "\0\0", type == IMAGE_TYPE_LZ_RGB ? 1 : 2);
	bytes_put_le32(b.data + size, (uint32_t)(b.size - size - 4));
	send(s, display, DISPLAY_MESSAGE_draw_copy, &b);
}

/* Runs it in a process; its largest size, bytes. */
static uint64_t size_of(void (*run)(struct session *s))
{
	struct rusage usage;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		struct session s;

		begin(&s, (struct playback_sink){0});
		run(&s);
		decoder_free(s.decoder);
		_exit(0);
	}
	assert_int_equal(wait4(pid, &status, 0, &usage), pid);
	assert_int_equal(status, 0);
#ifdef SANITIZED
	return 0;
#endif
	return (uint64_t)usage.ru_maxrss * 1024;
}

/* assert_*() of a child must not run the parent's other tests. */
#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			print_error("%s:%d: %s\n", __FILE__, __LINE__, \
				    #condition); \
			_exit(1); \
		} \
	} while (0)

static uint64_t damaged(const struct session *s)
{
	return decoder_trouble(s->decoder)->damaged;
}

static void too_many_surfaces(struct session *s)
{
	for (int d = 0; d < DISPLAYS; d++)
		for (uint32_t id = 0; id < 3; id++) {
			create(s, d, id, 4096, 2048);
			whiten(s, d, id, 4096, 2048);
		}
	/* Eight fit; of the others creation and drawing fail, and marks. */
	CHECK(damaged(s) == 2 * (DISPLAYS * 3 - 8) + DISPLAYS - 3);
	/* A screen that is replaced is shown until the next is there. */
	for (uint32_t n = 0; n < 20; n++)
		create(s, 0, 0, 4096, 2047 - n);
}

static void bounds_surfaces(void **state)
{
	(void)state;
	assert_true(size_of(too_many_surfaces) <
		    (uint64_t)DISPLAY_PIXELS_MAX * 4 + BESIDE);
}

static void too_many_images(struct session *s)
{
	create(s, 0, 0, 64, 64);
	for (unsigned i = 0; i < 24; i++)
		copy_lz(s, 0, IMAGE_TYPE_LZ_RGB, i, 4096, 1024);
	CHECK(damaged(s) == 8);
}

static void bounds_the_image_cache(void **state)
{
	(void)state;
	assert_true(size_of(too_many_images) <
		    IMAGE_CACHE_PIXELS * UINT64_C(4) + BESIDE);
}

static void too_large_a_window(struct session *s)
{
	create(s, 0, 0, 64, 64);
	for (unsigned i = 1; i < 24; i++)
		copy_lz(s, 0, IMAGE_TYPE_GLZ_RGB, i, 4096, 1024);
	CHECK(damaged(s) == 0);
}

static void bounds_the_glz_window(void **state)
{
	(void)state;
	assert_true(size_of(too_large_a_window) <
		    GLZ_WINDOW_PIXELS * UINT64_C(4) + BESIDE);
}

static void too_many_shapes(struct session *s)
{
	for (int i = 0; i < DISPLAYS; i++)
		for (unsigned id = 0; id < 12; id++) {
			struct buffer b = {0};

			put_numbers(&b, 1, 0);
			buffer_put_u8(&b, 1);
			buffer_put_le16(&b, 2);
			buffer_put_le64(&b, id);
			buffer_put_u8(&b, 1);
			put_numbers(&b, 2, 0x03ff03ff, 0);
			memset(buffer_grow(&b, 2 * 128 * 1023), 0,
			       2 * 128 * 1023);
			send(s, CURSORS + i, SPICE_MSG_CURSOR_SET, &b);
		}
}

static void bounds_pointers(void **state)
{
	(void)state;
	assert_true(size_of(too_many_shapes) <
		    DISPLAYS * (CURSOR_CACHE_PIXELS + MIB) * UINT64_C(4) +
			    BESIDE);
}

/* Two channels that wait for each other, and 200 MiB behind that. */
static void waits_in_a_circle(struct session *s)
{
	struct buffer b = {0};

	for (int i = 0; i < 2; i++) {
		buffer_put_u8(&b, 1);
		buffer_put_u8(&b, SPICE_CHANNEL_DISPLAY);
		buffer_put_u8(&b, (uint8_t)!i);
		buffer_put_le64(&b, 1000);
		send(s, i, SPICE_MSG_WAIT_FOR_CHANNELS, &b);
	}
	for (int i = 0; i < 200; i++) {
		buffer_put_le16(&b, 0);
		memset(buffer_grow(&b, MIB), 0, MIB);
		send(s, i & 1, DISPLAY_MESSAGE_inval_list, &b);
	}
	CHECK(decoder_finish(s->decoder, NULL) == 0);
	CHECK(damaged(s) == 0);
}

static void bounds_what_waits(void **state)
{
	(void)state;
	assert_true(size_of(waits_in_a_circle) < DECODER_QUEUE_MAX + BESIDE);
}

static bool is_white(const struct session *s)
{
	pixman_box32_t part;
	struct surface *surface =
		display_visible(decoder_display(s->decoder, 0), &part);

	return surface && (surface->pixels[0] & 0xffffff) == 0xffffff;
}

static void blacken(struct session *s)
{
	struct buffer b = {0};

	put_numbers(&b, 5, 0, 0, 0, 8, 8);
	buffer_put_u8(&b, 0);
	put_no_mask(&b);
	send(s, 0, DISPLAY_MESSAGE_draw_blackness, &b);
}

/* Images of 32 Mi pixels that break off at once, or boxes of as many. */
static void draws_too_much(struct session *s)
{
	static const uint64_t each = 16384 * 2048;
	struct buffer b = {0};

	create(s, 0, 0, 8, 8);
	for (uint64_t n = 0; n <= DECODER_WORK_BURST / each; n++) {
		put_numbers(&b, 5, 0, 0, 0, 1, 1);
		buffer_put_u8(&b, 0);
		buffer_put_le32(&b, (uint32_t)b.size + 4 + 16 + 2 + 1 + 13);
		put_numbers(&b, 4, 0, 0, 1, 1);
		buffer_put_le16(&b, 8);
		buffer_put_u8(&b, 1);
		put_no_mask(&b);
		put_descriptor(&b, 1, IMAGE_TYPE_QUIC, 0, 1);
		put_numbers(&b, 7, 24, 0x43495551, 0, 4, 16384, 2048, 0);
		send(s, 0, DISPLAY_MESSAGE_draw_copy, &b);
	}
	whiten(s, 0, 0, 8, 8);
	CHECK(!is_white(s));
	s->time += 1000 * MS;
	whiten(s, 0, 0, 8, 8);
	CHECK(is_white(s));
	blacken(s);
	CHECK(!is_white(s));
}

static void bounds_what_is_drawn(void **state)
{
	(void)state;
	size_of(draws_too_much);
}

struct heard {
	uint64_t latest; /* when the last sample sounds, ns */
};

static int hear(void *user, uint64_t at, const int16_t *samples,
		unsigned frames, struct error *error)
{
	struct heard *heard = user;
	uint64_t end = at + (uint64_t)frames * 1000000000 / PLAYBACK_RATE;

	(void)samples;
	(void)error;
	heard->latest = end > heard->latest ? end : heard->latest;
	return 0;
}

/* Minutes of sound in an instant: not all of it can be played. */
static void bounds_sound_that_runs_ahead(void **state)
{
	struct heard heard = {0};
	struct session s;
	struct buffer b = {0};

	(void)state;
	begin(&s, (struct playback_sink){.samples = hear, .user = &heard});
	buffer_put_le32(&b, 1);
	buffer_put_le16(&b, 1);
	put_numbers(&b, 2, 8000, 100);
	send(&s, SOUND, SPICE_MSG_PLAYBACK_START, &b);
	for (unsigned i = 0; i < 100; i++) {
		buffer_put_le32(&b, 100);
		memset(buffer_grow(&b, 16000), 0, 16000);
		send(&s, SOUND, SPICE_MSG_PLAYBACK_DATA, &b);
	}
	decoder_free(s.decoder);
	assert_true(heard.latest > s.time);
	assert_true(heard.latest < s.time + 15000 * MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounds_surfaces),
		cmocka_unit_test(bounds_the_image_cache),
		cmocka_unit_test(bounds_the_glz_window),
		cmocka_unit_test(bounds_pointers),
		cmocka_unit_test(bounds_what_waits),
		cmocka_unit_test(bounds_what_is_drawn),
		cmocka_unit_test(bounds_sound_that_runs_ahead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
