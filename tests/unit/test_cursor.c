/*
 * Pointers of every type, pixel by pixel; what sets, moves, hides and keeps
 * them; how they are laid over a picture.
 */
#include "recorder/cursor.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

enum { INIT = 101, RESET, SET, MOVE, HIDE, TRAIL, INVAL_ONE, INVAL_ALL };
enum { NONE = 1, CACHE_ME = 2, FROM_CACHE = 4 };
enum { ALPHA, MONO, COLOR4, COLOR8, COLOR16, COLOR24, COLOR32 };

#define ODD 0xc0303030u /* white that inverts, x + y odd */
#define EVEN 0x30505050u

static struct cursor *cursor;

static int set_up(void **state)
{
	(void)state;
	return cursor_new(&cursor, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	cursor_free(cursor);
	return 0;
}

static int say(uint16_t type, struct buffer *b)
{
	int r = cursor_message(cursor, type, bytes_of(b->data, b->size), NULL);

	buffer_free(b);
	return r;
}

static void put_header(struct buffer *b, uint16_t flags, uint64_t id,
		       uint8_t type, uint16_t width, uint16_t height)
{
	buffer_put_le16(b, flags);
	buffer_put_le64(b, id);
	buffer_put_u8(b, type);
	buffer_put_le16(b, width);
	buffer_put_le16(b, height);
	buffer_put_le16(b, 1);
	buffer_put_le16(b, 200);
}

static void put_place(struct buffer *b, int x, int y, bool visible)
{
	buffer_put_le16(b, (uint16_t)x);
	buffer_put_le16(b, (uint16_t)y);
	buffer_put_u8(b, visible);
}

static int set(uint8_t type, uint16_t width, uint16_t height, const void *data,
	       size_t size)
{
	struct buffer b = {0};

	put_place(&b, 10, 20, true);
	put_header(&b, 0, 0, type, width, height);
	buffer_put(&b, data, size);
	return say(SET, &b);
}

/* And it is cut short by any byte less. */
static void expect(uint8_t type, uint16_t width, uint16_t height,
		   const void *data, size_t size, const uint32_t *pixels)
{
	assert_int_equal(set(type, width, height, data, size - 1), -EBADMSG);
	assert_int_equal(set(type, width, height, data, size), 0);
	assert_int_equal(cursor->shape->width, width);
	assert_int_equal(cursor->shape->height, height);
	for (int y = 0; y < height; y++)
		for (int x = 0; x < width; x++)
			assert_int_equal(image_row(cursor->shape, y)[x],
					 pixels[y * width + x]);
}

static void mono(void **state)
{
	/* Black, white, nothing, inverted. */
	static const uint8_t mixed[] = {0x3f, 0x50};
	static const uint32_t mixed_pixels[] = {
		0xff000000, 0xffffffff, 0, 0xffffffff, 0, 0, 0, 0};
	/* An inverting bar of a pointer that does nothing else. */
	static const uint8_t bar[] = {0xff, 0xff, 0xff, 0xff, 0xff,
				      0,    0,    0x10, 0,    0};
	static const uint32_t o = 0xff000000, w = 0xffffffff;
	const uint32_t bar_pixels[] = {0, 0, 0, 0, 0, 0, 0, 0, /* rim */
				       0, 0, o, o, o, 0, 0, 0, /* edge */
				       0, 0, o, w, o, 0, 0, 0, /* bar */
				       0, 0, o, o, o, 0, 0, 0, /* edge */
				       0, 0, 0, 0, 0, 0, 0, 0};
	/* Nine wide: two bytes a row. */
	static const uint8_t wide[] = {0x00, 0x00, 0x00, 0x00,
				       0x00, 0x00, 0xff, 0x80};
	const uint32_t wide_pixels[] = {o, o, o, o, o, o, o, o, o,
					w, w, w, w, w, w, w, w, w};

	(void)state;
	expect(MONO, 8, 1, mixed, sizeof(mixed), mixed_pixels);
	expect(MONO, 8, 5, bar, sizeof(bar), bar_pixels);
	expect(MONO, 9, 2, wide, sizeof(wide), wide_pixels);
}

static void alpha(void **state)
{
	static const uint8_t data[] = {1, 2, 3, 4,    9,    9,    9,    0,
				       0, 0, 0, 0x80, 0xff, 0xff, 0xff, 0xff};
	static const uint32_t pixels[] = {0x04030201, 0x00090909, 0x80000000,
					  0xffffffff};

	(void)state;
	expect(ALPHA, 2, 2, data, sizeof(data), pixels);
	assert_false(cursor->premultiplied);
	assert_int_equal(set(ALPHA, 1, 1, data, 4), 0);
	assert_true(cursor->premultiplied);
}

/* Four pixels: a colour, masked white, masked colour, white; 2 x 2. */
static void colours(void **state)
{
	static const uint8_t c32[] = {0x10, 0x20, 0x30, 0, 0xff, 0xff,
				      0xff, 0,    1,    2, 3,    0,
				      0xff, 0xff, 0xff, 0, 0x60};
	static const uint32_t p32[] = {0xff302010, ODD, 0x00030201, 0xffffffff};
	static const uint8_t c24[] = {0x10, 0x20, 0x30, 0xff, 0xff, 0xff, 1,
				      2,    3,    0xff, 0xff, 0xff, 0x60};
	static const uint8_t c16[] = {0x01, 0x7c, 0xff, 0x7f, 0xe0,
				      0x03, 0xff, 0x7f, 0x60};
	static const uint32_t p16[] = {0xfff80008, ODD, 0x0000f800, 0xfff8f8f8};

	(void)state;
	expect(COLOR32, 2, 2, c32, sizeof(c32), p32);
	expect(COLOR24, 2, 2, c24, sizeof(c24), p32);
	expect(COLOR16, 2, 2, c16, sizeof(c16), p16);
}

static void palettes(void **state)
{
	static const uint32_t pixels[] = {0xff302010, ODD, EVEN, 0xffffffff};
	struct buffer b = {0};

	(void)state;
	buffer_put_u8(&b, 0x2f);
	buffer_put_u8(&b, 0xff);
	for (int i = 0; i < 16; i++)
		buffer_put_le32(&b, i == 2 ? 0x302010 : i == 15 ? 0xffffff : 0);
	buffer_put_u8(&b, 0x40);
	/* The second row's first pixel has an odd place. */
	expect(COLOR4, 2, 2, b.data, b.size,
	       (const uint32_t[]){pixels[0], ODD, 0xffffffff, 0xffffffff});
	b.data[b.size - 1] = 0x10;
	expect(COLOR4, 2, 2, b.data, b.size,
	       (const uint32_t[]){pixels[0], 0xffffffff, 0xffffffff, EVEN});
	b.size = 0;
	buffer_put_u8(&b, 2);
	buffer_put_u8(&b, 255);
	buffer_put_u8(&b, 2);
	for (int i = 0; i < 256; i++)
		buffer_put_le32(&b, i == 2     ? 0x302010
				    : i == 255 ? 0xffffff
					       : 0);
	buffer_put_u8(&b, 0x60);
	expect(COLOR8, 3, 1, b.data, b.size,
	       (const uint32_t[]){0xff302010, ODD, 0x00302010});
	buffer_free(&b);
}

static void bounds(void **state)
{
	struct buffer b = {0};

	(void)state;
	assert_int_equal(set(7, 1, 1, "aaaaaaaa", 8), -EBADMSG);
	assert_int_equal(set(ALPHA, 1025, 1, "", 0), -EBADMSG);
	assert_int_equal(set(ALPHA, 1, 1025, "", 0), -EBADMSG);
	assert_int_equal(set(ALPHA, 65535, 65535, "", 0), -EBADMSG);
	assert_int_equal(say(SET, &b), -EBADMSG);
	put_place(&b, 0, 0, true);
	buffer_put_le16(&b, 0);
	assert_int_equal(say(SET, &b), -EBADMSG);
	assert_int_equal(say(99, &b), -EBADMSG);
	assert_null(cursor->shape);
	/* The hot spot is inside. */
	assert_int_equal(set(ALPHA, 1, 1, "aaaa", 4), 0);
	assert_int_equal(cursor->hot_x, 1);
	assert_int_equal(cursor->hot_y, 1);
}

static int cached(uint16_t flags, uint64_t id)
{
	struct buffer b = {0};

	put_place(&b, 0, 0, true);
	put_header(&b, flags, id, ALPHA, 1, 1);
	if (!(flags & FROM_CACHE))
		buffer_put_le32(&b, 0x80000000 | (uint32_t)id);
	return say(SET, &b);
}

static uint32_t shape(void)
{
	return cursor->shape ? image_row(cursor->shape, 0)[0] & 255 : 0;
}

static int number(uint16_t type, uint64_t id)
{
	struct buffer b = {0};

	buffer_put_le64(&b, id);
	return say(type, &b);
}

static void cache(void **state)
{
	struct buffer b = {0};

	(void)state;
	for (int i = 1; i < 4; i++)
		assert_int_equal(cached(CACHE_ME, i), 0);
	assert_int_equal(cached(0, 4), 0);
	assert_int_equal(cached(FROM_CACHE, 4), -EBADMSG);
	assert_int_equal(cached(FROM_CACHE, 2), 0);
	assert_int_equal(shape(), 2);
	assert_int_equal(number(INVAL_ONE, 2), 0);
	assert_int_equal(cached(FROM_CACHE, 2), -EBADMSG);
	assert_int_equal(cached(FROM_CACHE, 1), 0);
	assert_int_equal(number(INVAL_ALL, 0), 0);
	assert_int_equal(cached(FROM_CACHE, 1), -EBADMSG);
	assert_int_equal(shape(), 1); /* the pointer itself stays */
	assert_int_equal(cached(CACHE_ME, 1), 0);
	assert_int_equal(number(RESET, 0), 0);
	assert_null(cursor->shape);
	assert_int_equal(cached(FROM_CACHE, 1), -EBADMSG);
	assert_int_equal(cached(CACHE_ME, 1), 0);
	put_place(&b, 7, 8, false);
	b.size--;
	buffer_put_le32(&b, 0);
	buffer_put_u8(&b, 1);
	buffer_put_le16(&b, NONE);
	assert_int_equal(say(INIT, &b), 0);
	assert_null(cursor->shape);
	assert_int_equal(cursor->x, 7);
	assert_int_equal(cached(FROM_CACHE, 1), -EBADMSG);
}

static int move(int x, int y)
{
	struct buffer b = {0};

	buffer_put_le16(&b, (uint16_t)x);
	buffer_put_le16(&b, (uint16_t)y);
	return say(MOVE, &b);
}

static void moves_and_hides(void **state)
{
	struct buffer b = {0};
	uint32_t changes;

	(void)state;
	assert_int_equal(set(ALPHA, 1, 1, "aaaa", 4), 0);
	assert_true(cursor->visible && cursor->placed);
	assert_int_equal(cursor->y, 20);
	assert_int_equal(number(HIDE, 0), 0);
	assert_false(cursor->visible);
	assert_int_equal(move(-3, -4), 0);
	assert_true(cursor->visible);
	assert_int_equal(cursor->x, -3);
	assert_int_equal(number(TRAIL, 0), 0);
	/* In client mode only the client moves it. */
	cursor->client_mode = true;
	changes = cursor->changes;
	assert_int_equal(move(50, 60), 0);
	assert_int_equal(cursor->x, -3);
	cursor_place(cursor, 9, 9);
	assert_int_equal(cursor->x, 9);
	assert_true(cursor->changes > changes);
	put_place(&b, 1, 1, false);
	buffer_put_le16(&b, NONE);
	assert_int_equal(say(SET, &b), 0);
	assert_false(cursor->visible);
	assert_int_equal(cursor->x, 9);
	cursor_restart(cursor);
	assert_false(cursor->placed);
}

/* Over 0x406080, at the left and the right rim. */
static void draws(void **state)
{
	/* opaque, half of white, black shadow, nothing */
	static const uint8_t straight[] = {3, 2, 1, 255, 255, 255, 255, 128,
					   0, 0, 0, 128, 0,   0,   0,   0};
	static const uint8_t multiplied[] = {3, 2, 1, 255, 128, 128, 128, 128,
					     0, 0, 0, 128, 0,   0,   0,   0};
	static const uint32_t over[] = {0x010203, 0xa0b0c0, 0x203040, 0x406080};

	(void)state;
	for (int i = 0; i < 2; i++)
		for (int left = -3; left < 4; left++) {
			uint32_t row[4] = {0x406080, 0x406080, 0x406080,
					   0x406080};

			assert_int_equal(
				set(ALPHA, 4, 1, i ? straight : multiplied, 16),
				0);
			assert_int_equal(cursor->premultiplied, !i);
			cursor_place(cursor, left + 1, 1);
			cursor_draw(cursor, 0, 0, row, 4);
			for (int x = 0; x < 4; x++)
				assert_int_equal(row[x] & 0xffffff,
						 x - left >= 0 && x - left < 4
							 ? over[x - left]
							 : 0x406080);
			cursor_draw(cursor, 0, 1, row, 4);
			cursor_draw(cursor, 0, -1, row, 4);
		}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(mono),
		CASE(alpha),
		CASE(colours),
		CASE(palettes),
		CASE(bounds),
		CASE(cache),
		CASE(moves_and_hides),
		CASE(draws),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
