/*
 * Captures that are cut, damaged or made to do harm: what can be shown is
 * shown, and the rest is an error that says where.
 */
#include "hostile.h"

#include <fcntl.h>
#include <libavutil/log.h>
#include <stdio.h>
#include <sys/mman.h>
#include <zstd.h>

#include "recorder/capture_export.h"
#include "recorder/picture.h"
#include "recorder/render.h"

struct file {
	uint8_t *data;
	size_t size;
	int fd; /* for what was made of it */
};

static int make_file(void **state)
{
	struct file *f = calloc(1, sizeof(*f));
	struct sample sample;
	int fd;

	av_log_set_level(AV_LOG_QUIET);
	sample_make(&sample);
	fd = sample_file(&sample);
	f->size = fixture_size(fd);
	f->data = malloc(f->size);
	assert_int_equal(pread(fd, f->data, f->size, 0), f->size);
	close(fd);
	f->fd = fixture_memfd();
	sample_free(&sample);
	*state = f;
	return 0;
}

/* The same, unpacked: damage gets past checksums. */
static int make_plain_file(void **state)
{
	struct error error = {0};
	struct file *f;
	int fd = fixture_memfd();

	make_file(state);
	f = *state;
	assert_int_equal(pwrite(f->fd, f->data, f->size, 0), f->size);
	assert_int_equal(capture_export_pcapng(f->fd, fd, false, &error), 0);
	f->size = fixture_size(fd);
	f->data = realloc(f->data, f->size);
	assert_int_equal(pread(fd, f->data, f->size, 0), f->size);
	close(fd);
	return 0;
}

static int drop_file(void **state)
{
	struct file *f = *state;

	close(f->fd);
	free(f->data);
	free(f);
	return 0;
}

static void store(const struct file *f, size_t size)
{
	assert_int_equal(ftruncate(f->fd, 0), 0);
	assert_int_equal(pwrite(f->fd, f->data, size, 0), size);
}

/* A picture, none yet, or what is wrong with the file. */
static int look(const struct file *f)
{
	struct error error = {0};
	struct picture *picture;
	int r = picture_render(f->fd, PICTURE_AT_END, 0, true, &picture,
			       &error);

	if (r) {
		assert_true(r == -ENODATA || r == -EBADMSG || r == -EMSGSIZE);
		assert_string_not_equal(error.text, "");
	} else {
		assert_true(picture->width > 0 && picture->height > 0);
		picture_free(picture);
	}
	return r;
}

static int render_file(int fd, struct render_result *result)
{
	struct render_options options = {.preset = "ultrafast", .threads = 1};
	struct error error = {0};
	int out = fixture_memfd();
	int r = render(fd, out, &options, NULL, NULL, result, &error);

	if (r)
		assert_string_not_equal(error.text, "");
	else
		assert_true(fixture_size(out) > 0);
	close(out);
	return r;
}

static void shows_what_there_is_of_a_cut_file(void **state)
{
	struct file *f = *state;
	static struct render_result result;
	size_t shown = 0;

	for (size_t n = 0; n <= f->size; n++) {
		store(f, n);
		shown += !look(f);
	}
	assert_true(shown > f->size / 4);
	for (size_t n = f->size * 3 / 4; n < f->size; n += f->size / 9) {
		store(f, n);
		assert_int_equal(render_file(f->fd, &result), 0);
		assert_false(result.complete);
	}
}

static void survives_any_cut(void **state)
{
	struct file *f = *state;

	for (size_t n = 0; n <= f->size; n++) {
		store(f, n);
		assert_true(n < f->size || !look(f));
	}
}

static void survives_any_flipped_bit(void **state)
{
	struct file *f = *state;

	for (size_t i = 0; i < f->size; i++) {
		f->data[i] ^= 1u << i % 8;
		store(f, f->size);
		look(f);
		f->data[i] ^= 1u << i % 8;
	}
}

static void says_where_a_file_is_damaged(void **state)
{
	struct file *f = *state;
	static struct render_result result;

	f->data[f->size / 2 / 4 * 4] ^= 0xff;
	store(f, f->size);
	if (!render_file(f->fd, &result))
		assert_non_null(strstr(result.damage, "offset"));
	f->data[f->size / 2 / 4 * 4] ^= 0xff;
	/* A block that can't be, three quarters into the file. */
	for (size_t at = 0; at < f->size;) {
		uint32_t length = bytes_get_le32(f->data + at + 4);

		if (at > f->size * 3 / 4) {
			bytes_put_le32(f->data + at + 4, length + 1);
			break;
		}
		at += length;
	}
	store(f, f->size);
	assert_int_equal(render_file(f->fd, &result), 0);
	assert_non_null(strstr(result.damage, "offset"));
}

/* Sessions that a decoder is fed with directly. */
static int sink(void *user, uint64_t at, const int16_t *samples,
		unsigned frames, struct error *error)
{
	(void)user;
	(void)at;
	(void)samples;
	(void)frames;
	(void)error;
	return 0;
}

static void decode(const struct sample *s, struct decoder_trouble *trouble)
{
	struct decoder_options options = {.sound = {.samples = sink}};
	struct capture_channel channels[SAMPLE_CHANNELS] = {0};
	struct decoder *decoder;

	assert_int_equal(decoder_new(&decoder, &options, NULL), 0);
	for (int i = 0; i < SAMPLE_CHANNELS; i++) {
		struct capture_item item = {.kind = CAPTURE_RESULT,
					    .data = (const uint8_t *)"\0\0\0",
					    .size = 4,
					    .channel = &channels[i]};

		channels[i].number = i;
		channels[i].mess.channel_type = sample_channel_types[i];
		assert_int_equal(decoder_feed(decoder, &item, NULL), 0);
	}
	for (unsigned i = 0; i < s->count; i++) {
		const struct sample_message *m = &s->messages[i];
		struct capture_item item = {.kind = CAPTURE_MESSAGE,
					    .channel = &channels[m->channel],
					    .direction = CAPTURE_TO_CLIENT,
					    .type = m->type,
					    .serial = i + 1,
					    .time = i * MS,
					    .data = m->body.data,
					    .size = m->body.size};

		assert_int_equal(decoder_feed(decoder, &item, NULL), 0);
	}
	assert_int_equal(decoder_finish(decoder, NULL), 0);
	*trouble = *decoder_trouble(decoder);
	decoder_free(decoder);
}

static void the_sample_itself_is_good(void **state)
{
	struct decoder_trouble trouble;
	struct sample s;

	(void)state;
	sample_make(&s);
	decode(&s, &trouble);
	/* All but the stream's picture, which is none. */
	assert_int_equal(trouble.damaged, 1);
	assert_int_equal(trouble.missing, 0);
	sample_free(&s);
}

/* One after the other every field of every message, and what is none. */
static void takes_any_number_anywhere(void **state)
{
	static const uint32_t numbers[] = {0, 1, 0x7fffffff, 0x80000000,
					   0xffffffff};
	struct decoder_trouble trouble;
	uint64_t damaged = 0;
	struct sample s;

	(void)state;
	sample_make(&s);
	for (unsigned i = 0; i < s.count; i++) {
		struct buffer *b = &s.messages[i].body;

		for (size_t at = 0; at + 4 <= b->size; at++) {
			uint32_t was = bytes_get_le32(b->data + at);

			bytes_put_le32(b->data + at, numbers[(at + i) % 5]);
			decode(&s, &trouble);
			damaged += trouble.damaged + trouble.missing;
			bytes_put_le32(b->data + at, was);
		}
	}
	assert_true(damaged > 1000);
	sample_free(&s);
}

static void takes_messages_that_are_cut(void **state)
{
	struct decoder_trouble trouble;
	struct sample s;

	(void)state;
	sample_make(&s);
	for (unsigned i = 0; i < s.count; i++) {
		size_t whole = s.messages[i].body.size;

		for (size_t n = 0; n < whole; n++) {
			s.messages[i].body.size = n;
			decode(&s, &trouble);
		}
		s.messages[i].body.size = whole;
	}
	sample_free(&s);
}

static void names_the_message_that_is_damaged(void **state)
{
	static struct render_result result;
	struct buffer *b;
	struct sample s;
	int fd;

	(void)state;
	sample_make(&s);
	b = sample_add(&s, ON_DISPLAY, DISPLAY_MESSAGE_draw_whiteness);
	put_numbers(b, 3, 77, 1, 2);
	fd = sample_file(&s);
	s.messages[s.count - 3].body.size = 0; /* the stream's frame is fine */
	assert_int_equal(render_file(fd, &result), 0);
	assert_true(result.complete);
	assert_int_equal(result.damaged, 2);
	assert_non_null(strstr(result.damage, "offset"));
	assert_non_null(strstr(result.damage, "display"));
	assert_non_null(strstr(result.damage, "stream_data"));
	close(fd);
	sample_free(&s);
}

/* Times that jump back before the first leave a video of a sane length. */
static void takes_times_that_run_backwards(void **state)
{
	static struct render_result result;
	struct fixture f = fixture_new();
	struct sample s;
	int channels[SAMPLE_CHANNELS];

	(void)state;
	sample_make(&s);
	for (unsigned i = 0; i < SAMPLE_CHANNELS; i++)
		channels[i] = fixture_channel(&f, sample_channel_types[i], 0);
	for (unsigned i = 0; i < s.count; i++) {
		f.time = i % 3 == 2 ? FIXTURE_TIME - i * 1000 * MS : f.time;
		f.time = i % 3 == 0 ? FIXTURE_TIME + i * 50 * MS : f.time;
		fixture_message(&f, channels[s.messages[i].channel],
				CAPTURE_TO_CLIENT, i, s.messages[i].type,
				s.messages[i].body.data,
				s.messages[i].body.size);
	}
	fixture_finish(&f, false);
	fixture_end(&f);
	assert_int_equal(render_file(f.fd, &result), 0);
	assert_true(result.duration < 10000 * MS);
	close(f.fd);
	sample_free(&s);
}

/* A frame of 1 GiB of zeros is some 30 KiB. */
static void refuses_a_frame_that_unpacks_to_more(void **state)
{
	size_t size = 64u << 20, room = ZSTD_compressBound(size), n;
	uint8_t *zeros = calloc(1, size), *packed = malloc(room);
	struct error error = {0};
	struct capture_item item;
	struct capture_reader *reader;
	int fd = fixture_memfd();

	(void)state;
	n = ZSTD_compress(packed, room, zeros, size, 1);
	assert_false(ZSTD_isError(n));
	assert_int_equal(pwrite(fd, packed, n, 0), n);
	assert_int_equal(capture_reader_new(&reader, fd, &error), 0);
	assert_int_equal(capture_reader_next(reader, &item, &error), -EBADMSG);
	assert_non_null(strstr(error.text, "1 MiB"));
	capture_reader_free(reader);
	close(fd);
	free(zeros);
	free(packed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			shows_what_there_is_of_a_cut_file, make_plain_file,
			drop_file),
		cmocka_unit_test_setup_teardown(survives_any_cut, make_file,
						drop_file),
		cmocka_unit_test_setup_teardown(survives_any_flipped_bit,
						make_file, drop_file),
		cmocka_unit_test_setup_teardown(survives_any_flipped_bit,
						make_plain_file, drop_file),
		cmocka_unit_test_setup_teardown(says_where_a_file_is_damaged,
						make_plain_file, drop_file),
		cmocka_unit_test(the_sample_itself_is_good),
		cmocka_unit_test(takes_any_number_anywhere),
		cmocka_unit_test(takes_messages_that_are_cut),
		cmocka_unit_test(names_the_message_that_is_damaged),
		cmocka_unit_test(takes_times_that_run_backwards),
		cmocka_unit_test(refuses_a_frame_that_unpacks_to_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
