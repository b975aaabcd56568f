/* Statistics: streams on the session's clock, images, sound, caches. */
#include "tests/unit/capture_fixture.h"

#include <jansson.h>

#include "recorder/capture_stats.h"

static json_t *count(struct fixture *f)
{
	int out = fixture_memfd();
	json_t *j;

	fixture_finish(f, false);
	fixture_end(f);
	assert_int_equal(capture_stats(f->fd, out, NULL), 0);
	lseek(out, 0, SEEK_SET);
	j = json_loadfd(out, 0, NULL);
	assert_non_null(j);
	close(out);
	close(f->fd);
	return j;
}

static json_int_t number(json_t *object, const char *name)
{
	json_t *v = json_object_get(object, name);

	if (!json_is_integer(v))
		print_error("%s is no integer\n", name);
	assert_true(json_is_integer(v));
	return json_integer_value(v);
}

/* A message at `ms` after the beginning. */
static void add(struct fixture *f, int channel,
		enum capture_direction direction, unsigned ms, uint16_t type,
		struct buffer *b)
{
	f->time = FIXTURE_TIME + ms * MS;
	fixture_message(f, channel, direction, 1, type, b->data, b->size);
	buffer_free(b);
	*b = (struct buffer){0};
}

static void put_zeros(struct buffer *b, unsigned n)
{
	while (n--)
		buffer_put_u8(b, 0);
}

static void create_stream(struct fixture *f, int display, unsigned ms,
			  uint32_t id)
{
	struct buffer b = {0};

	buffer_put_le32(&b, 0);
	buffer_put_le32(&b, id);
	buffer_put_u8(&b, 1);
	buffer_put_u8(&b, 1);
	buffer_put_le64(&b, 0);
	buffer_put_le32(&b, 128);
	buffer_put_le32(&b, 96);
	put_zeros(&b, 8 + 16 + 1);
	add(f, display, CAPTURE_TO_CLIENT, ms, 122, &b);
}

static void add_frame(struct fixture *f, int display, unsigned ms, uint32_t id,
		      uint32_t mm_time)
{
	struct buffer b = {0};

	buffer_put_le32(&b, id);
	buffer_put_le32(&b, mm_time);
	buffer_put_le32(&b, 4);
	buffer_put_le32(&b, 0);
	add(f, display, CAPTURE_TO_CLIENT, ms, 123, &b);
}

/*
 * Frames every 100 ms for 2 s, then one 900 ms later; the clock shows 5000 at
 * 100 ms, and the last two frames are for 30 ms before they come.
 */
static void streams(void **state)
{
	struct fixture f = fixture_new();
	int main = fixture_channel(&f, SPICE_CHANNEL_MAIN, 0);
	int display = fixture_channel(&f, SPICE_CHANNEL_DISPLAY, 0);
	struct buffer b = {0};
	json_t *j, *s;

	(void)state;
	put_zeros(&b, 24);
	buffer_put_le32(&b, 5000);
	buffer_put_le32(&b, 0);
	add(&f, main, CAPTURE_TO_CLIENT, 100, 103, &b);
	create_stream(&f, display, 900, 7);
	add_frame(&f, display, 950, 8, 0); /* of no stream */
	for (unsigned i = 0; i <= 20; i++)
		add_frame(&f, display, 1000 + i * 100, 7,
			  4900 + 1000 + i * 100 - (i == 20 ? 30 : 0));
	add_frame(&f, display, 3900, 7, 4900 + 3900 - 30);
	buffer_put_le32(&b, 7);
	add(&f, display, CAPTURE_TO_CLIENT, 4000, 125, &b);
	create_stream(&f, display, 4100, 7);
	j = count(&f);
	assert_int_equal(json_array_size(json_object_get(j, "streams")), 2);
	s = json_array_get(json_object_get(j, "streams"), 0);
	assert_string_equal(json_string_value(json_object_get(s, "codec")),
			    "mjpeg");
	assert_int_equal(number(s, "width"), 128);
	assert_int_equal(number(s, "begin_ms"), 900);
	assert_int_equal(number(s, "end_ms"), 4000);
	assert_int_equal(number(s, "frames"), 22);
	assert_int_equal(number(s, "bytes"), 22 * 16);
	assert_int_equal(json_number_value(json_object_get(s, "fps")) * 100,
			 724);
	assert_int_equal(number(s, "fps_min"), 10);
	assert_int_equal(number(s, "gaps"), 1);
	assert_int_equal(number(s, "longest_gap_ms"), 900);
	assert_int_equal(number(s, "late"), 2);
	assert_int_equal(number(s, "latest_ms"), 30);
	s = json_array_get(json_object_get(j, "streams"), 1);
	assert_int_equal(number(s, "frames"), 0);
	assert_true(json_is_null(json_object_get(s, "fps")));
	assert_true(json_is_null(json_object_get(s, "end_ms")));
	json_decref(j);
}

/* A draw_copy of an image without data, or of 16 x 16 quic in 40 bytes. */
static void draw(struct fixture *f, int display, uint8_t type, uint8_t flags)
{
	struct buffer b = {0};

	put_zeros(&b, 4 + 16 + 1);
	buffer_put_le32(&b, 21 + 4 + 16 + 3 + 13);
	put_zeros(&b, 16 + 3 + 13);
	buffer_put_le64(&b, 9);
	buffer_put_u8(&b, type);
	buffer_put_u8(&b, flags);
	buffer_put_le32(&b, 16);
	buffer_put_le32(&b, 16);
	if (type == SPICE_IMAGE_TYPE_QUIC) {
		buffer_put_le32(&b, 18);
		put_zeros(&b, 18);
	}
	add(f, display, CAPTURE_TO_CLIENT, 500, 304, &b);
}

static void images(void **state)
{
	struct fixture f = fixture_new();
	int display = fixture_channel(&f, SPICE_CHANNEL_DISPLAY, 0);
	json_t *j, *i;

	(void)state;
	draw(&f, display, SPICE_IMAGE_TYPE_QUIC, 1);
	draw(&f, display, SPICE_IMAGE_TYPE_QUIC, 4);
	draw(&f, display, SPICE_IMAGE_TYPE_FROM_CACHE, 0);
	draw(&f, display, SPICE_IMAGE_TYPE_FROM_CACHE, 0);
	draw(&f, display, SPICE_IMAGE_TYPE_FROM_CACHE_LOSSLESS, 0);
	j = count(&f);
	i = json_array_get(json_object_get(j, "images"), 0);
	assert_string_equal(json_string_value(json_object_get(i, "type")),
			    "quic");
	assert_int_equal(number(i, "count"), 2);
	assert_int_equal(number(i, "bytes"), 80);
	assert_int_equal(number(i, "pixels"), 512);
	assert_true(json_number_value(json_object_get(i, "ratio")) == 25.6);
	i = json_array_get(json_object_get(j, "images"), 1);
	assert_int_equal(number(i, "count"), 2);
	assert_null(json_object_get(i, "ratio"));
	i = json_object_get(j, "cache");
	assert_int_equal(number(i, "image_hits"), 2);
	assert_int_equal(number(i, "image_lossless_hits"), 1);
	assert_int_equal(number(i, "images_added"), 1);
	assert_int_equal(number(i, "images_replaced"), 1);
	json_decref(j);
}

static void sound(void **state)
{
	static const uint32_t times[] = {100, 110, 120, 400, 410};
	struct fixture f = fixture_new();
	int playback = fixture_channel(&f, SPICE_CHANNEL_PLAYBACK, 0);
	struct buffer b = {0};
	json_t *j, *s;

	(void)state;
	buffer_put_le32(&b, 0);
	buffer_put_le16(&b, SPICE_AUDIO_DATA_MODE_OPUS);
	add(&f, playback, CAPTURE_TO_CLIENT, 100, 102, &b);
	for (unsigned run = 0; run < 2; run++) {
		buffer_put_le32(&b, 2);
		buffer_put_le16(&b, 1);
		buffer_put_le32(&b, 48000);
		buffer_put_le32(&b, 0);
		add(&f, playback, CAPTURE_TO_CLIENT, 100, 103, &b);
		for (unsigned i = 0; i < 5; i++) {
			buffer_put_le32(&b, times[i] + run * 5000);
			put_zeros(&b, 10);
			add(&f, playback, CAPTURE_TO_CLIENT, 200, 101, &b);
		}
		add(&f, playback, CAPTURE_TO_CLIENT, 200, 104, &b);
	}
	j = count(&f);
	s = json_array_get(json_object_get(j, "sound"), 0);
	assert_string_equal(json_string_value(json_object_get(s, "mode")),
			    "opus");
	assert_int_equal(number(s, "frequency"), 48000);
	assert_int_equal(number(s, "runs"), 2);
	assert_int_equal(number(s, "packets"), 10);
	assert_int_equal(number(s, "bytes"), 100);
	assert_int_equal(number(s, "gaps"), 2);
	assert_int_equal(number(s, "longest_gap_ms"), 280);
	json_decref(j);
}

/* A channel that comes again is one channel; messages have names. */
static void channels(void **state)
{
	struct fixture f = fixture_new();
	struct buffer b = {0};
	json_t *j, *c;

	(void)state;
	for (int i = 0; i < 2; i++) {
		int n = fixture_channel(&f, SPICE_CHANNEL_CURSOR, 3);

		add(&f, n, CAPTURE_TO_CLIENT, 100, 105, &b);
		add(&f, n, CAPTURE_TO_CLIENT, 100, 177, &b);
		add(&f, n, CAPTURE_TO_GUEST, 100, 2, &b);
		assert_int_equal(
			capture_writer_close_channel(f.writer, n, f.time, NULL),
			0);
	}
	j = count(&f);
	assert_int_equal(json_array_size(json_object_get(j, "channels")), 1);
	c = json_array_get(json_object_get(j, "channels"), 0);
	assert_int_equal(number(c, "instances"), 2);
	assert_int_equal(number(c, "id"), 3);
	assert_int_equal(number(c, "messages_to_client"), 4);
	assert_int_equal(
		number(json_object_get(json_object_get(c, "to_client"), "hide"),
		       "messages"),
		2);
	assert_int_equal(number(json_object_get(json_object_get(c, "to_client"),
						"unknown_177"),
				"messages"),
			 2);
	assert_int_equal(
		number(json_object_get(json_object_get(c, "to_guest"), "ack"),
		       "bytes"),
		12);
	json_decref(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams),
		cmocka_unit_test(images),
		cmocka_unit_test(sound),
		cmocka_unit_test(channels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
