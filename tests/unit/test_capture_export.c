/* Plain pcapng, the form for Wireshark, and statistics. */
#include "tests/unit/capture_fixture.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>

#include "recorder/capture_export.h"
#include "recorder/capture_stats.h"

static const uint8_t list[] = {
	/* Two entries at 27 and 10, with sizes that are too large. */
	2,
	0,
	27,
	0,
	0,
	0,
	10,
	0,
	0,
	0,
	/* INVAL_LIST of one image. */
	105,
	0,
	24,
	0,
	0,
	0,
	1,
	0,
	1,
	0xaa,
	0,
	0,
	0,
	1,
	0,
	0,
	0,
	/* WAIT_FOR_CHANNELS, one. */
	5,
	0,
	24,
	0,
	0,
	0,
	1,
	2,
	1,
	9,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
};

/* A session with what the dissector knows and what it does not. */
static int capture(bool mini)
{
	struct fixture f = fixture_new();
	int main, display;

	f.mini = mini;
	main = fixture_channel(&f, SPICE_CHANNEL_MAIN, 0);
	fixture_message(&f, main, CAPTURE_TO_CLIENT, 1, 103, "init", 4);
	fixture_message(&f, main, CAPTURE_TO_GUEST, 1, 101, "client in", 8);
	fixture_message(&f, main, CAPTURE_TO_GUEST, 2, 104, NULL, 0);
	display = fixture_channel(&f, SPICE_CHANNEL_DISPLAY, 0);
	fixture_message(&f, display, CAPTURE_TO_GUEST, 1, 103, "x", 1);
	fixture_message(&f, display, CAPTURE_TO_CLIENT, 1, 304, "copy", 4);
	fixture_message(&f, display, CAPTURE_TO_CLIENT, 2, 8, list,
			sizeof(list));
	fixture_message(&f, display, CAPTURE_TO_CLIENT, 3, 5, "wait", 4);
	capture_writer_close_channel(f.writer, display, f.time, NULL);
	fixture_finish(&f, false);
	fixture_end(&f);
	return f.fd;
}

/* "type:size" of every message, in order. */
static void messages(int fd, char *out, size_t room)
{
	struct capture_reader *r;
	struct capture_item item;
	struct error e = {0};
	int n;

	*out = 0;
	assert_int_equal(capture_reader_new(&r, fd, &e), 0);
	while ((n = capture_reader_next(r, &item, &e)) > 0)
		if (item.kind == CAPTURE_MESSAGE)
			snprintf(out + strlen(out), room - strlen(out),
				 "%u:%zu ", item.type, item.size);
	assert_string_equal(e.text, "");
	assert_int_equal(n, 0);
	capture_reader_free(r);
}

static void plain_is_the_same(void **state)
{
	int in = capture(true), out = fixture_memfd(), again = fixture_memfd();
	char a[200], b[200], *x, *y;
	struct error e = {0};
	size_t size;

	(void)state;
	assert_int_equal(capture_export_pcapng(in, out, false, &e), 0);
	messages(in, a, sizeof(a));
	messages(out, b, sizeof(b));
	assert_string_equal(a, "103:4 101:8 104:0 103:1 304:4 8:44 5:4 ");
	assert_string_equal(a, b);
	assert_int_equal(capture_export_pcapng(out, again, false, &e), 0);
	size = fixture_size(out);
	assert_int_equal(size, fixture_size(again));
	x = mmap(NULL, size, PROT_READ, MAP_SHARED, out, 0);
	y = mmap(NULL, size, PROT_READ, MAP_SHARED, again, 0);
	assert_memory_equal(x, y, size);
	munmap(x, size);
	munmap(y, size);
	close(in);
	close(out);
	close(again);
}

static void for_wireshark(bool mini)
{
	int in = capture(mini), out = fixture_memfd();
	struct error e = {0};
	char text[200];

	assert_int_equal(capture_export_pcapng(in, out, true, &e), 0);
	messages(out, text, sizeof(text));
	assert_string_equal(text, "103:4 104:0 304:4 105:11 ");
	close(in);
	close(out);
}

static void unknown_is_left_out(void **state)
{
	(void)state;
	for_wireshark(true);
	for_wireshark(false);
}

static void damage_is_told_after_the_good(void **state)
{
	int in = capture(true), out = fixture_memfd();
	uint64_t size = fixture_size(in);
	struct error e = {0};
	char text[200];

	(void)state;
	/* Behind the only data frame and its entry. */
	for (uint64_t i = size - 100; i < size; i++)
		assert_int_equal(pwrite(in, "X", 1, (off_t)i), 1);
	assert_int_equal(pwrite(in, "RUBBISH-", 8, (off_t)size), 8);
	assert_int_equal(pwrite(in, "XXXX", 4, (off_t)size - 128), 4);
	assert_int_equal(capture_export_pcapng(in, out, false, &e), -EBADMSG);
	assert_non_null(strstr(e.text, "offset"));
	messages(out, text, sizeof(text));
	assert_string_equal(text, "103:4 101:8 104:0 103:1 304:4 8:44 5:4 ");
	close(in);
	close(out);
}

static void full_pipe_is_an_error(void **state)
{
	int in = capture(true), full = open("/dev/full", O_WRONLY);
	struct error e = {0};

	(void)state;
	assert_int_equal(capture_export_pcapng(in, full, false, &e), -ENOSPC);
	assert_int_equal(capture_export_pcapng(in, full, true, &e), -ENOSPC);
	close(in);
	close(full);
}

static json_int_t number(json_t *j, const char *a, const char *b)
{
	json_t *v = json_object_get(json_object_get(j, a), b);

	assert_true(json_is_integer(v));
	return json_integer_value(v);
}

static void statistics(void **state)
{
	int in = capture(true), out = fixture_memfd();
	json_t *j, *display;
	struct error e = {0};

	(void)state;
	assert_int_equal(capture_stats(in, out, &e), 0);
	lseek(out, 0, SEEK_SET);
	j = json_loadfd(out, 0, NULL);
	assert_non_null(j);
	assert_true(json_is_true(json_object_get(j, "complete")));
	assert_null(json_object_get(j, "damage"));
	assert_string_equal(json_string_value(json_object_get(
				    json_object_get(j, "session"), "vault")),
			    "player");
	display = json_array_get(json_object_get(j, "channels"), 1);
	assert_string_equal(json_string_value(json_object_get(display, "type")),
			    "display");
	assert_int_equal(json_integer_value(json_object_get(
				 display, "messages_to_client")),
			 3);
	assert_int_equal(
		json_integer_value(json_object_get(display, "bytes_to_client")),
		3 * 6 + 4 + sizeof(list) + 4);
	assert_int_equal(json_integer_value(
				 json_object_get(display, "messages_to_guest")),
			 1);
	display = json_object_get(display, "to_client");
	assert_int_equal(number(display, "draw_copy", "bytes"), 10);
	json_decref(j);
	close(in);
	close(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_is_the_same),
		cmocka_unit_test(unknown_is_left_out),
		cmocka_unit_test(damage_is_told_after_the_good),
		cmocka_unit_test(full_pipe_is_an_error),
		cmocka_unit_test(statistics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
