/* What is written into a capture comes out of it again. */
#include "tests/unit/capture_fixture.h"

#include "recorder/capture_index.h"

static struct capture_reader *reader_of(int fd)
{
	struct capture_reader *r;
	struct error e = {0};

	assert_int_equal(capture_reader_new(&r, fd, &e), 0);
	return r;
}

/* The next item, which must be of this kind. */
static struct capture_item expect(struct capture_reader *r,
				  enum capture_kind kind)
{
	struct capture_item item;
	struct error e = {0};
	int n = capture_reader_next(r, &item, &e);

	assert_string_equal(e.text, "");
	assert_int_equal(n, 1);
	assert_int_equal(item.kind, kind);
	return item;
}

static struct capture_channel *expect_link(struct capture_reader *r,
					   uint8_t type, bool mini)
{
	struct capture_item item = expect(r, CAPTURE_OPEN);
	struct capture_channel *c = item.channel;

	expect(r, CAPTURE_LINK_MESS);
	assert_int_equal(c->mess.channel_type, type);
	assert_false(c->linked);
	item = expect(r, CAPTURE_LINK_REPLY);
	assert_true(c->linked);
	assert_int_equal(c->mini, mini);
	assert_int_equal(item.size, LINK_HEADER_SIZE + LINK_REPLY_SIZE + 4);
	assert_int_equal(expect(r, CAPTURE_AUTH).size, 4);
	assert_int_equal(expect(r, CAPTURE_AUTH).size, LINK_TICKET_SIZE);
	assert_int_equal(expect(r, CAPTURE_RESULT).size, 4);
	return c;
}

static void expect_end(struct capture_reader *r, bool complete)
{
	struct capture_summary summary;
	struct capture_item item;
	struct error e = {0};

	assert_int_equal(capture_reader_next(r, &item, &e), 0);
	capture_reader_summary(r, &summary);
	assert_int_equal(summary.complete, complete);
}

static void round_trip(bool mini)
{
	struct fixture f = fixture_new();
	struct capture_summary summary;
	struct capture_channel *c;
	struct capture_reader *r;
	struct capture_item item;
	int n;

	f.mini = mini;
	n = fixture_channel(&f, SPICE_CHANNEL_DISPLAY, 3);
	fixture_message(&f, n, CAPTURE_TO_CLIENT, 9, 102, "clean", 5);
	fixture_message(&f, n, CAPTURE_TO_GUEST, 4, 101, NULL, 0);
	capture_writer_close_channel(f.writer, n, f.time, NULL);
	fixture_finish(&f, true);
	fixture_end(&f);

	r = reader_of(f.fd);
	c = expect_link(r, SPICE_CHANNEL_DISPLAY, mini);
	assert_int_equal(c->mess.channel_id, 3);
	assert_int_equal(c->mess.connection_id, 77);
	item = expect(r, CAPTURE_MESSAGE);
	assert_ptr_equal(item.channel, c);
	assert_int_equal(item.direction, CAPTURE_TO_CLIENT);
	assert_int_equal(item.serial, mini ? 1 : 9);
	assert_int_equal(item.type, 102);
	assert_int_equal(item.time, FIXTURE_TIME + 5 * MS);
	assert_int_equal(item.size, 5);
	assert_memory_equal(item.data, "clean", 5);
	item = expect(r, CAPTURE_MESSAGE);
	assert_int_equal(item.direction, CAPTURE_TO_GUEST);
	assert_int_equal(item.type, 101);
	assert_int_equal(item.size, 0);
	expect(r, CAPTURE_CLOSE);
	expect_end(r, true);
	capture_reader_summary(r, &summary);
	assert_true(summary.is_signed);
	assert_int_equal(summary.good_bytes, fixture_size(f.fd));
	assert_int_equal(summary.first_time, FIXTURE_TIME);
	assert_int_equal(summary.channels, 1);
	assert_string_equal(summary.session.id, "0001");
	assert_string_equal(summary.session.vault, "player");
	assert_string_equal(summary.session.client, "127.0.0.1:4000");
	capture_reader_free(r);
	close(f.fd);
}

static void mini_headers(void **state)
{
	(void)state;
	round_trip(true);
}

static void full_headers(void **state)
{
	(void)state;
	round_trip(false);
}

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 2654435761u >> 13);
}

/* 20 MiB: over many segments, frames and the backlog's limit. */
static void large_message(void **state)
{
	struct fixture f = fixture_new();
	size_t size = (20u << 20) + 3;
	uint8_t *body = malloc(size);
	struct capture_reader *r;
	struct capture_item item;
	size_t part = 1000003;
	int n;

	(void)state;
	for (size_t i = 0; i < size; i++)
		body[i] = pattern(i);
	n = fixture_channel(&f, SPICE_CHANNEL_MAIN, 0);
	bytes_put_le16(body, 4);
	bytes_put_le32(body + 2, (uint32_t)size - 6);
	for (size_t i = 0; i < size; i += part)
		fixture_add(&f, n, CAPTURE_TO_CLIENT, body + i,
			    size - i < part ? size - i : part);
	fixture_finish(&f, false);
	fixture_end(&f);
	r = reader_of(f.fd);
	expect_link(r, SPICE_CHANNEL_MAIN, true);
	item = expect(r, CAPTURE_MESSAGE);
	assert_int_equal(item.size, size - 6);
	assert_memory_equal(item.data, body + 6, size - 6);
	assert_true(item.begin < item.time);
	expect_end(r, true);
	capture_reader_free(r);
	free(body);
	close(f.fd);
}

/* Messages of 200 channels in turn, each added byte by byte. */
static void many_channels(void **state)
{
	enum { CHANNELS = 200 };
	struct fixture f = fixture_new();
	struct capture_reader *r;
	struct capture_item item;
	int channels[CHANNELS];

	(void)state;
	for (int i = 0; i < CHANNELS; i++)
		channels[i] = fixture_channel(&f, SPICE_CHANNEL_PORT, i);
	for (int b = 0; b < 9; b++)
		for (int i = 0; i < CHANNELS; i++) {
			uint8_t message[9] = {101, 0, 3, 0, 0, 0, 'x', i, 'y'};

			fixture_add(&f, channels[i], CAPTURE_TO_GUEST,
				    message + b, 1);
		}
	fixture_finish(&f, false);
	fixture_end(&f);
	r = reader_of(f.fd);
	for (int i = 0; i < CHANNELS; i++)
		expect_link(r, SPICE_CHANNEL_PORT, true);
	for (int i = 0; i < CHANNELS; i++) {
		uint8_t body[3] = {'x', i, 'y'};

		item = expect(r, CAPTURE_MESSAGE);
		assert_int_equal(item.channel->mess.channel_id, i);
		assert_int_equal(item.size, 3);
		assert_memory_equal(item.data, body, 3);
	}
	expect_end(r, true);
	capture_reader_free(r);
	close(f.fd);
}

/* A frame is closed by its age, without anything more to add. */
static void quiet_session_is_flushed(void **state)
{
	struct fixture f = fixture_new();
	struct pollfd p = {.fd = -1};
	struct capture_reader *r;
	int n = fixture_channel(&f, SPICE_CHANNEL_MAIN, 0);

	(void)state;
	fixture_message(&f, n, CAPTURE_TO_CLIENT, 1, 103, "quiet", 5);
	assert_int_equal(capture_writer_tick(f.writer, f.time, NULL), 0);
	assert_int_equal(capture_writer_bytes(f.writer), 0);
	f.time = FIXTURE_TIME + CAPTURE_FLUSH_NS;
	assert_int_equal(capture_writer_tick(f.writer, f.time, NULL), 0);
	while (capture_writer_backlog(f.writer))
		poll(&p, 0, 1);
	r = reader_of(f.fd);
	expect_link(r, SPICE_CHANNEL_MAIN, true);
	expect(r, CAPTURE_MESSAGE);
	expect_end(r, false);
	capture_reader_free(r);
	fixture_end(&f);
	close(f.fd);
}

/* A clock that is set back does not make the recording go back. */
static void time_never_goes_back(void **state)
{
	struct fixture f = fixture_new();
	int n = fixture_channel(&f, SPICE_CHANNEL_MAIN, 0);
	struct capture_reader *r;
	uint64_t before = f.time;

	(void)state;
	fixture_message(&f, n, CAPTURE_TO_CLIENT, 1, 103, "a", 1);
	f.time = FIXTURE_TIME - 3600000 * MS;
	fixture_message(&f, n, CAPTURE_TO_CLIENT, 2, 103, "b", 1);
	fixture_finish(&f, false);
	fixture_end(&f);
	r = reader_of(f.fd);
	expect_link(r, SPICE_CHANNEL_MAIN, true);
	assert_int_equal(expect(r, CAPTURE_MESSAGE).time, before);
	assert_int_equal(expect(r, CAPTURE_MESSAGE).time, before);
	capture_reader_free(r);
	close(f.fd);
}

static void index_finds_frames(void **state)
{
	struct fixture f = fixture_new();
	int n = fixture_channel(&f, SPICE_CHANNEL_MAIN, 0);
	struct capture_index *tail, *whole;
	struct error e = {0};

	(void)state;
	for (int i = 0; i < 10; i++) {
		f.time = FIXTURE_TIME + i * 2 * CAPTURE_FLUSH_NS;
		fixture_message(&f, n, CAPTURE_TO_CLIENT, 1, 103, "x", 1);
	}
	fixture_finish(&f, true);
	fixture_end(&f);
	assert_int_equal(capture_index_load(&tail, f.fd, &e), 0);
	assert_int_equal(capture_index_rebuild(&whole, f.fd, &e), 0);
	assert_int_equal(tail->totals.frames, 10);
	assert_int_equal(whole->totals.frames, 10);
	assert_memory_equal(tail->records, whole->records,
			    10 * sizeof(*tail->records));
	assert_memory_equal(&tail->totals, &whole->totals,
			    sizeof(tail->totals));
	assert_int_equal(whole->totals.counts.channels, 1);
	assert_int_equal(whole->totals.counts.bytes_to_guest,
			 LINK_HEADER_SIZE + LINK_MESS_SIZE + 4 + 4 + 128);
	assert_true(tail->complete && whole->complete);
	assert_true(tail->is_signed && whole->is_signed);
	assert_int_equal(whole->good_bytes, fixture_size(f.fd));
	assert_int_equal(capture_index_find(tail, 0), 0);
	assert_int_equal(
		capture_index_find(tail, FIXTURE_TIME + 7 * CAPTURE_FLUSH_NS),
		3);
	assert_int_equal(
		capture_index_find(tail, FIXTURE_TIME + 6 * CAPTURE_FLUSH_NS),
		3);
	assert_int_equal(capture_index_find(tail, UINT64_MAX), 9);
	capture_index_free(tail);
	capture_index_free(whole);
	close(f.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mini_headers),
		cmocka_unit_test(full_headers),
		cmocka_unit_test(large_message),
		cmocka_unit_test(many_channels),
		cmocka_unit_test(quiet_session_is_flushed),
		cmocka_unit_test(time_never_goes_back),
		cmocka_unit_test(index_finds_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
