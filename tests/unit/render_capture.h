/* Captures of our own making for tests of the renderer. */
#ifndef TESTS_UNIT_RENDER_CAPTURE_H
#define TESTS_UNIT_RENDER_CAPTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

#include "recorder/capture_writer.h"
#include "recorder/link.h"
#include "tests/guest/lesson_disk.h"

#define BEGIN 1700000000000000000u /* ns since 1970 */
#define MS UINT64_C(1000000)

enum { DISPLAY = 2, PLAYBACK = 5, RECORD = 6 };

struct recording {
	struct capture_pool *pool;
	struct capture_writer *writer;
	uint64_t now; /* ns since BEGIN */
	int fd, display, playback;
	unsigned screens; /* a bit for each channel that has one */
};

static inline void add(struct recording *r, int channel,
		       enum capture_direction direction, struct buffer *bytes)
{
	assert_int_equal(capture_writer_add(r->writer, channel, direction,
					    BEGIN + r->now, bytes->data,
					    bytes->size, NULL),
			 0);
	buffer_free(bytes);
}

static inline int open_numbered(struct recording *r, uint8_t type, uint8_t id)
{
	struct link_mess mess = {
		.connection_id = 1, .channel_type = type, .channel_id = id};
	struct link_reply reply = {0};
	struct buffer b = {0};
	int channel =
		capture_writer_open_channel(r->writer, BEGIN + r->now, NULL);

	link_caps_set(&mess.common, 0, true);
	link_caps_set(&mess.common, 3, true);
	reply.common = mess.common;
	link_mess_build(&b, &mess);
	add(r, channel, CAPTURE_TO_GUEST, &b);
	link_reply_build(&b, &reply);
	add(r, channel, CAPTURE_TO_CLIENT, &b);
	buffer_put_le32(&b, 1);
	add(r, channel, CAPTURE_TO_GUEST, &b);
	memset(buffer_grow(&b, LINK_TICKET_SIZE), 0, LINK_TICKET_SIZE);
	add(r, channel, CAPTURE_TO_GUEST, &b);
	buffer_put_le32(&b, 0);
	add(r, channel, CAPTURE_TO_CLIENT, &b);
	return channel;
}

static inline int open_channel(struct recording *r, uint8_t type)
{
	return open_numbered(r, type, 0);
}

/* Puts the mini header in front. */
static inline void send_in(struct recording *r, int channel,
			   enum capture_direction direction, uint16_t type,
			   struct buffer *body)
{
	struct buffer b = {0};

	buffer_put_le16(&b, type);
	buffer_put_le32(&b, (uint32_t)body->size);
	buffer_put(&b, body->data, body->size);
	buffer_free(body);
	add(r, channel, direction, &b);
}

static inline void send(struct recording *r, int channel, uint16_t type,
			struct buffer *body)
{
	send_in(r, channel, CAPTURE_TO_CLIENT, type, body);
}

static inline void put_numbers(struct buffer *b, int count, ...)
{
	va_list list;

	va_start(list, count);
	while (count--)
		buffer_put_le32(b, va_arg(list, uint32_t));
	va_end(list);
}

/* The first surface of a display, or another one in its place. */
static inline void screen_of(struct recording *r, uint32_t width,
			     uint32_t height)
{
	struct buffer b = {0};

	if (r->screens & 1u << r->display) {
		put_numbers(&b, 1, 0);
		send(r, r->display, 315, &b);
	}
	r->screens |= 1u << r->display;
	put_numbers(&b, 5, 0, width, height, 32, 1);
	send(r, r->display, 314, &b);
	send(r, r->display, 102, &b);
}

static inline void fill_box(struct recording *r, uint32_t x, uint32_t y,
			    uint32_t width, uint32_t height, uint32_t colour)
{
	struct buffer b = {0};

	put_numbers(&b, 5, 0, y, x, y + height, x + width);
	buffer_put_u8(&b, 0);
	buffer_put_u8(&b, 1);
	buffer_put_le32(&b, colour);
	buffer_put_le16(&b, 8);
	buffer_put_u8(&b, 0);
	put_numbers(&b, 3, 0, 0, 0);
	send(r, r->display, 302, &b);
}

static inline void fill(struct recording *r, uint32_t width, uint32_t height,
			uint32_t colour)
{
	fill_box(r, 0, 0, width, height, colour);
}

/* A second of a square wave of 500 Hz in packets of 10 ms. */
static inline void sound(struct recording *r)
{
	struct buffer b = {0};

	put_numbers(&b, 1, 2);
	buffer_put_le16(&b, 1);
	put_numbers(&b, 2, 48000, 5000);
	send(r, r->playback, 103, &b);
	for (int packet = 0; packet < 100; packet++) {
		buffer_put_le32(&b, 5000 + packet * 10);
		for (int i = 0; i < 480; i++) {
			uint16_t v = i / 48 & 1 ? 8000 : (uint16_t)-8000;

			buffer_put_le16(&b, v);
			buffer_put_le16(&b, v);
		}
		send(r, r->playback, 101, &b);
		r->now += 10 * MS;
	}
	send(r, r->playback, 104, &b);
}

static inline unsigned film_dice(unsigned *state)
{
	*state = *state * 1103515245 + 12345;
	return *state >> 8 & 0xffffff;
}

static inline void film_sound(struct recording *r)
{
	struct buffer b = {0};

	put_numbers(&b, 1, 2);
	buffer_put_le16(&b, 1);
	put_numbers(&b, 2, 48000, 1000);
	send(r, r->playback, 103, &b);
}

/* 40 ms of a sine that goes on for packet after packet. */
static inline void film_tone(struct recording *r, int packet)
{
	struct buffer b = {0};

	buffer_put_le32(&b, (uint32_t)(1000 + packet * 40));
	for (int i = 0; i < 1920; i++) {
		double t = (packet * 1920 + i) / 48000.0;
		int16_t v = (int16_t)(9000 * sin(2 * M_PI * LESSON_TONE * t));

		buffer_put_le16(&b, (uint16_t)v);
		buffer_put_le16(&b, (uint16_t)v);
	}
	send(r, r->playback, 101, &b);
}

/* Boxes that come anywhere, 25 a second, with a tone. */
static inline void film_of(struct recording *r, uint32_t width, uint32_t height,
			   int frames)
{
	unsigned state = 1;

	r->display = open_channel(r, DISPLAY);
	r->playback = open_channel(r, PLAYBACK);
	screen_of(r, width, height);
	fill(r, width, height, 0x305070);
	film_sound(r);
	for (int i = 0; i < frames; i++) {
		unsigned x = film_dice(&state) % (width * 3 / 4);
		unsigned y = film_dice(&state) % (height * 3 / 4);

		fill_box(r, x, y, width / 4, height / 4, film_dice(&state));
		film_tone(r, i);
		r->now += 40 * MS;
	}
}

/* A capture of what `play` sends, into a new file that is closed; a copy of its
 * fd. */
static inline int record_to(int fd, void (*play)(struct recording *r))
{
	struct capture_session session = {.id = "test"};
	uint8_t digest[CAPTURE_DIGEST_SIZE];
	struct recording r = {.fd = fd};
	int copy = dup(r.fd);

	assert_int_equal(capture_pool_new(&r.pool, 1, NULL), 0);
	assert_int_equal(
		capture_writer_new(&r.writer, r.pool, r.fd, &session, NULL), 0);
	play(&r);
	assert_int_equal(capture_writer_finish(r.writer, NULL), 0);
	while (!capture_writer_finished(r.writer, digest, NULL))
		usleep(1000);
	capture_writer_free(r.writer);
	capture_pool_free(r.pool);
	return copy;
}

static inline int record(void (*play)(struct recording *r))
{
	return record_to(memfd_create("capture", 0), play);
}

#endif
