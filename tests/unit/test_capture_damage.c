/*
 * Captures that were cut, changed, not finished, or not written: what stands
 * before the damage stays readable, and nothing worse happens than said.
 */
#include "tests/unit/capture_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "recorder/capture_index.h"

#define MESSAGES 12

/* Messages of 4 bytes, their number, in MESSAGES frames. */
static int small_capture(bool sign, uint8_t **bytes, size_t *size)
{
	struct fixture f = fixture_new();
	int n = fixture_channel(&f, SPICE_CHANNEL_MAIN, 0);

	for (uint32_t i = 0; i < MESSAGES; i++) {
		uint8_t body[4];

		bytes_put_le32(body, i);
		f.time = FIXTURE_TIME + i * CAPTURE_FLUSH_NS + 10 * MS;
		fixture_message(&f, n, CAPTURE_TO_CLIENT, 1, 103, body, 4);
	}
	fixture_finish(&f, sign);
	fixture_end(&f);
	*size = fixture_size(f.fd);
	*bytes = malloc(*size);
	assert_int_equal(pread(f.fd, *bytes, *size, 0), *size);
	return f.fd;
}

/*
 * Reads all there is: how many messages, each in its turn; *end is what
 * capture_reader_next said at last.
 */
static struct error last_error;

static uint32_t read_all(int fd, int *end, struct capture_summary *summary)
{
	struct capture_reader *r;
	struct capture_item item;
	struct error e = {0};
	uint32_t count = 0;

	assert_int_equal(capture_reader_new(&r, fd, &e), 0);
	while ((*end = capture_reader_next(r, &item, &e)) > 0) {
		if (item.kind != CAPTURE_MESSAGE)
			continue;
		assert_int_equal(item.size, 4);
		assert_int_equal(bytes_get_le32(item.data), count);
		count++;
	}
	if (*end < 0) {
		assert_int_equal(*end, -EBADMSG);
		assert_non_null(strstr(e.text, "offset"));
		assert_int_equal(capture_reader_next(r, &item, &e), -EBADMSG);
	}
	last_error = e;
	capture_reader_summary(r, summary);
	capture_reader_free(r);
	return count;
}

static void write_over(int fd, const uint8_t *bytes, size_t size)
{
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(pwrite(fd, bytes, size, 0), size);
}

static void cut_anywhere(void **state)
{
	struct capture_summary summary;
	struct capture_index *index;
	uint32_t last = 0;
	uint8_t *bytes;
	size_t size;
	int fd = small_capture(true, &bytes, &size), end;

	(void)state;
	for (size_t n = 0; n <= size; n++) {
		struct error e = {0};
		uint32_t count;

		write_over(fd, bytes, n);
		count = read_all(fd, &end, &summary);
		assert_int_equal(end, 0);
		assert_in_range(count, last, last + 1);
		assert_in_range(summary.good_bytes, 0, n);
		last = count;
		assert_int_equal(capture_index_load(&index, fd, &e), 0);
		assert_int_equal(index->totals.frames, count);
		assert_int_equal(index->complete, summary.complete);
		assert_in_range(index->good_bytes, 0, n);
		assert_int_equal(index->totals.counts.bytes_to_client,
				 summary.bytes_to_client);
		assert_int_equal(index->totals.last_time, summary.last_time);
		capture_index_free(index);
	}
	assert_int_equal(last, MESSAGES);
	assert_true(summary.complete && summary.is_signed);
	free(bytes);
	close(fd);
}

/*
 * A changed bit is seen by the rebuild: in frames and entries by the chain of
 * digests, in the last entry and the index by the signature if there is one.
 */
static void flip_anywhere(bool sign)
{
	struct capture_summary summary;
	struct capture_index *index;
	uint64_t seed = 1, proved;
	uint8_t *bytes;
	size_t size;
	int fd = small_capture(sign, &bytes, &size), end;

	assert_int_equal(capture_index_tail(fd, size, &proved), 0);
	proved = sign ? size - CAPTURE_SIGN_SIZE : proved - CAPTURE_ENTRY_SIZE;
	for (size_t n = 0; n < size; n++) {
		struct error e = {0};

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		bytes[n] ^= 1 << (seed >> 61);
		write_over(fd, bytes, size);
		bytes[n] ^= 1 << (seed >> 61);
		read_all(fd, &end, &summary);
		if (capture_index_rebuild(&index, fd, &e) == 0)
			/* Otherwise it looks like a torn end. */
			assert_true(index->good_bytes < size || n >= proved);
		assert_non_null(index);
		assert_in_range(index->good_bytes, 0, size);
		capture_index_free(index);
		assert_true(capture_index_load(&index, fd, &e) == 0 || index);
		capture_index_free(index);
	}
	free(bytes);
	close(fd);
}

static void flipped_anywhere(void **state)
{
	(void)state;
	flip_anywhere(true);
	flip_anywhere(false);
}

/* Each frame holds together, but two have changed places. */
static void swapped_frames(void **state)
{
	struct capture_summary summary;
	struct capture_index *index;
	struct error e = {0};
	uint8_t *bytes, *mixed;
	uint64_t a, b, c;
	size_t size;
	int fd = small_capture(false, &bytes, &size), end;

	(void)state;
	assert_int_equal(capture_index_load(&index, fd, &e), 0);
	a = index->records[3].file_offset;
	b = index->records[4].file_offset;
	c = index->records[5].file_offset;
	capture_index_free(index);
	mixed = malloc(size);
	memcpy(mixed, bytes, size);
	memcpy(mixed + a, bytes + b, c - b);
	memcpy(mixed + a + (c - b), bytes + a, b - a);
	write_over(fd, mixed, size);
	assert_int_equal(read_all(fd, &end, &summary), 3);
	assert_int_equal(end, -EBADMSG);
	assert_non_null(strstr(last_error.text, "lacks"));
	assert_int_equal(capture_index_rebuild(&index, fd, &e), -EBADMSG);
	assert_non_null(strstr(e.text, "another frame"));
	assert_int_equal(index->totals.frames, 3);
	assert_int_equal(index->good_bytes, a);
	capture_index_free(index);

	/* The entries alone. */
	memcpy(mixed, bytes, size);
	memcpy(mixed + b - CAPTURE_ENTRY_SIZE, bytes + c - CAPTURE_ENTRY_SIZE,
	       CAPTURE_ENTRY_SIZE);
	write_over(fd, mixed, size);
	assert_int_equal(read_all(fd, &end, &summary), 4);
	assert_int_equal(end, -EBADMSG);
	assert_non_null(strstr(last_error.text, "another frame"));
	free(mixed);
	free(bytes);
	close(fd);
}

/* Adds until the writer says why it can't; the error sticks. */
static void expect_failure(struct fixture *f, int code)
{
	uint8_t digest[CAPTURE_DIGEST_SIZE];
	uint8_t message[10] = {103, 0, 4};
	struct pollfd p = {capture_writer_eventfd(f->writer), POLLIN, 0};
	struct error e = {0};
	eventfd_t n;
	int channel = fixture_channel(f, SPICE_CHANNEL_MAIN, 0), r;

	while ((r = capture_writer_add(f->writer, channel, CAPTURE_TO_CLIENT,
				       f->time, message, 10, &e)) == 0) {
		bytes_put_le32(message + 6, bytes_get_le32(message + 6) + 1);
		f->time += CAPTURE_FLUSH_NS / 4;
	}
	while (r == -EAGAIN) {
		poll(&p, 1, -1);
		eventfd_read(p.fd, &n);
		r = capture_writer_tick(f->writer, f->time, &e);
	}
	assert_int_equal(r, code);
	assert_non_null(strstr(e.text, "cannot write the recording"));
	assert_int_equal(poll(&p, 1, -1), 1);
	assert_int_equal(capture_writer_open_channel(f->writer, 0, &e), code);
	assert_int_equal(capture_writer_tick(f->writer, 0, &e), code);
	assert_int_equal(capture_writer_close_channel(f->writer, 0, 0, &e),
			 code);
	assert_int_equal(capture_writer_finish(f->writer, &e), code);
	assert_int_equal(capture_writer_finished(f->writer, digest, &e), code);
}

static void full_disk(void **state)
{
	int fd = open("/dev/full", O_WRONLY);
	struct fixture f = fixture_on(fd);

	(void)state;
	expect_failure(&f, -ENOSPC);
	fixture_end(&f);
	close(f.fd);
}

/* What was written before the disk was full stays, in whole frames. */
static void file_size_limit(void **state)
{
	struct capture_summary summary;
	struct rlimit limit, small = {5000, RLIM_INFINITY};
	struct fixture f;
	int end;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	f = fixture_new();
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small.rlim_max = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	expect_failure(&f, -EFBIG);
	fixture_end(&f);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_true(read_all(f.fd, &end, &summary) > 0);
	assert_int_equal(end, 0);
	assert_int_equal(summary.good_bytes, fixture_size(f.fd));
	assert_in_range(summary.good_bytes, 4000, 5000);
	close(f.fd);
}

/* Writes messages with their numbers until it is killed. */
static void write_for_ever(int fd)
{
	struct fixture f = fixture_on(fd);
	int n = fixture_channel(&f, SPICE_CHANNEL_MAIN, 0);

	for (uint32_t i = 0;; i++) {
		uint8_t body[4];

		bytes_put_le32(body, i);
		fixture_message(&f, n, CAPTURE_TO_CLIENT, 1, 103, body, 4);
	}
}

static void killed_while_writing(void **state)
{
	struct capture_summary summary;
	struct capture_index *index;
	uint32_t total = 0;

	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		int fd = fixture_memfd(), end;
		struct error e = {0};
		pid_t child = fork();

		assert_true(child >= 0);
		if (child == 0) {
			write_for_ever(fd);
			_exit(1);
		}
		usleep(1000 + i * 997 % 30000);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		total += read_all(fd, &end, &summary);
		assert_int_equal(end, 0);
		assert_false(summary.complete);
		assert_int_equal(capture_index_load(&index, fd, &e), 0);
		assert_int_equal(index->totals.last_time, summary.last_time);
		capture_index_free(index);
		close(fd);
	}
	assert_true(total > 0);
}

static void not_a_capture(void **state)
{
	struct capture_summary summary;
	int fd = fixture_memfd(), end, fds[2];
	struct capture_reader *r;
	struct error e = {0};

	(void)state;
	write_over(fd, (const uint8_t *)"GIF89a and so on", 16);
	assert_int_equal(read_all(fd, &end, &summary), 0);
	assert_int_equal(end, -EBADMSG);
	close(fd);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(capture_reader_new(&r, fds[0], &e), -EINVAL);
	assert_null(r);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(flipped_anywhere),
		cmocka_unit_test(swapped_frames),
		cmocka_unit_test(full_disk),
		cmocka_unit_test(file_size_limit),
		cmocka_unit_test(killed_while_writing),
		cmocka_unit_test(not_a_capture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
