/* Bundles: written, read, gone on with, damaged, and made by an enemy. */
#include "bundle_fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <zstd.h>

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

static struct error e;

static uint64_t size_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (uint64_t)st.st_size;
}

static uint8_t *content(int fd)
{
	uint64_t size = size_of(fd);
	uint8_t *data = malloc(size + 1);

	assert_int_equal(pread(fd, data, size, 0), size);
	return data;
}

static void assert_same(int a, int b)
{
	uint8_t *one = content(a), *other = content(b);

	assert_int_equal(size_of(a), size_of(b));
	assert_memory_equal(one, other, size_of(a));
	free(one);
	free(other);
}

static void assert_made(struct fixture *f)
{
	for (unsigned i = 0; i < FIXTURE_FILES; i++)
		assert_same(f->files[i], f->made[i]);
}

static int check(struct fixture *f, int bundle)
{
	struct bundle_reader reader = fixture_reader(f, bundle, -1);

	lseek(bundle, 0, SEEK_SET);
	error_clear(&e);
	return bundle_read(&reader, &e);
}

static void what_was_written_is_read(void **state)
{
	struct fixture f;
	int bundle, journal = memfd_create("journal", 0);
	struct bundle_reader reader;
	struct stat st;

	(void)state;
	fixture_make(&f, true);
	bundle = fixture_bundle(&f);
	assert_in_range(size_of(bundle), 300 << 10, MIB);
	reader = fixture_reader(&f, bundle, journal);
	assert_int_equal(bundle_read(&reader, &e), 0);
	assert_made(&f);
	assert_string_equal(f.seen->name, "kept");
	assert_string_equal(f.handover, "{\"lease\":1}");
	assert_int_equal(strlen(f.signer), 64);
	/* Zeros are holes. */
	assert_int_equal(fstat(f.made[1], &st), 0);
	assert_int_equal(st.st_blocks, 0);
	assert_int_equal(fstat(f.made[0], &st), 0);
	assert_in_range(st.st_blocks, 1, MIB / 512);
	assert_int_equal(check(&f, bundle), 0);
	close(journal);
	close(bundle);
	fixture_free(&f);
}

/* A pipe's other end: keeps what comes. */
static void *drain(void *data)
{
	int *fds = data;
	uint8_t block[65536];
	ssize_t n;

	while ((n = read(fds[0], block, sizeof(block))) > 0)
		assert_int_equal(write(fds[1], block, (size_t)n), n);
	return NULL;
}

/* The rest of a bundle, as a far end that has so many bytes gets it. */
static int rest(struct fixture *f, int journal, uint64_t have)
{
	int pipe_fds[2], out = memfd_create("rest", 0);
	struct bundle_writer writer;
	pthread_t thread;
	int fds[2];

	assert_int_equal(pipe(pipe_fds), 0);
	fds[0] = pipe_fds[0];
	fds[1] = out;
	pthread_create(&thread, NULL, drain, fds);
	writer = fixture_writer(f, pipe_fds[1], journal);
	writer.is_file = false;
	writer.have = have;
	assert_int_equal(bundle_write(&writer, &e), 0);
	close(pipe_fds[1]);
	pthread_join(thread, NULL);
	close(pipe_fds[0]);
	return out;
}

static void goes_on_at_any_byte(void **state)
{
	struct fixture f;
	int whole, journal = memfd_create("journal", 0);
	uint64_t size, start;
	uint8_t *expected;

	(void)state;
	fixture_make(&f, true);
	whole = fixture_bundle(&f);
	expected = content(whole);
	size = size_of(whole);
	start = bundle_start(strlen(f.text));
	const uint64_t points[] = {0,         1,          start - 1,  start,
				   start + 1, start + 64, start + 65, size / 3,
				   size / 2,  size - 200, size - 1,   size};

	for (unsigned i = 0; i < sizeof(points) / sizeof(*points); i++) {
		int out;
		uint8_t *data;

		/* With no journal, with a part of one, with all of it. */
		if (i == 5)
			assert_int_equal(ftruncate(journal, 130), 0);
		if (i == 8)
			assert_int_equal(ftruncate(journal, 0), 0);
		out = rest(&f, journal, points[i]);
		data = content(out);
		assert_int_equal(size_of(out), size - points[i]);
		assert_memory_equal(data, expected + points[i],
				    size - points[i]);
		free(data);
		close(out);
	}
	free(expected);
	close(journal);
	close(whole);
	fixture_free(&f);
}

/* A file that was cut, with the journal of a run that was killed. */
static void a_file_is_gone_on_with(void **state)
{
	struct fixture f;
	int whole, out = memfd_create("out", 0);
	int journal = memfd_create("journal", 0);
	struct bundle_writer writer;

	(void)state;
	fixture_make(&f, false);
	whole = fixture_bundle(&f);
	writer = fixture_writer(&f, out, journal);
	assert_int_equal(bundle_write(&writer, &e), 0);
	for (unsigned heads = 0; heads < 5; heads++) {
		assert_int_equal(ftruncate(journal, heads * BUNDLE_HEAD + 7),
				 0);
		assert_int_equal(
			ftruncate(out, (off_t)size_of(whole) - 20000 * heads),
			0);
		writer.have = size_of(out);
		assert_int_equal(bundle_write(&writer, &e), 0);
		assert_same(out, whole);
	}
	close(journal);
	close(out);
	close(whole);
	fixture_free(&f);
}

static void what_has_changed_meanwhile_is_seen(void **state)
{
	struct fixture f;
	int journal = memfd_create("journal", 0), out;
	struct bundle_writer writer;

	(void)state;
	fixture_make(&f, false);
	close(rest(&f, journal, 0));
	fixture_noise(f.files[0], 8 * MIB, 4096, 77);
	out = open("/dev/null", 1);
	writer = fixture_writer(&f, out, journal);
	writer.is_file = false;
	writer.have = bundle_start(strlen(f.text)) + 10;
	assert_int_equal(bundle_write(&writer, &e), -ESTALE);
	assert_non_null(strstr(e.text, "disks/a.qcow2"));
	assert_int_equal(ftruncate(f.files[2], 5), 0);
	writer.have = 0;
	assert_int_equal(ftruncate(journal, 0), 0);
	assert_int_equal(bundle_write(&writer, &e), -ESTALE);
	assert_non_null(strstr(e.text, "domain.xml"));
	close(out);
	close(journal);
	fixture_free(&f);
}

/* Of a stream that broke off after so many bytes. */
static void break_off(struct fixture *f, int journal, size_t after)
{
	int fds[2];
	struct bundle_writer writer;
	pid_t reader;

	assert_int_equal(pipe(fds), 0);
	reader = fork();
	if (!reader) {
		char byte;

		close(fds[1]);
		while (after-- && read(fds[0], &byte, 1) == 1)
			;
		_exit(0);
	}
	close(fds[0]);
	signal(SIGPIPE, SIG_IGN);
	writer = fixture_writer(f, fds[1], journal);
	writer.is_file = false;
	assert_int_equal(bundle_write(&writer, &e), -EPIPE);
	close(fds[1]);
	waitpid(reader, NULL, 0);
}

static void what_was_sent_is_not_mixed_with_something_else(void **state)
{
	struct fixture f;
	int journal = memfd_create("journal", 0), out;
	struct bundle_writer writer;

	(void)state;
	fixture_make(&f, false);
	break_off(&f, journal, 100000);
	/* A byte behind those in the record that was cut. */
	fixture_noise(f.files[0], 8 * MIB - 4096, 4096, 77);
	out = open("/dev/null", O_WRONLY);
	writer = fixture_writer(&f, out, journal);
	writer.is_file = false;
	writer.have = 100000;
	assert_int_equal(bundle_write(&writer, &e), -ESTALE);
	close(out);
	close(journal);
	fixture_free(&f);
}

/* Cut again and again, it holds no more than its plan says either. */
static void a_plan_holds_for_an_import_that_goes_on(void **state)
{
	struct fixture f;
	int bundle, journal = memfd_create("journal", 0);
	struct bundle_reader reader;
	struct bundle_head head;
	uint64_t position;
	uint8_t *data;

	(void)state;
	fixture_make(&f, false);
	f.plan->files[0].data = 256 << 10;
	free(f.text);
	f.text = bundle_plan_print(f.plan);
	bundle = fixture_bundle(&f);
	data = content(bundle);
	assert_int_equal(bundle_head_read(&head, data + BUNDLE_MAGIC_SIZE, &e),
			 0);
	for (int i = 0; i < 2; i++) {
		/* The end of the first two records, then all of it. */
		int part = memfd_create("part", 0);
		size_t size = i ? size_of(bundle) : 180000;

		assert_int_equal(write(part, data, size), size);
		position = 0;
		reader = fixture_reader(&f, part, journal);
		if (i) {
			assert_int_equal(bundle_position(journal,
							 strlen(f.text),
							 &position, &e),
					 0);
			reader.plan = f.plan;
			reader.plan_size = strlen(f.text);
			memcpy(reader.plan_digest, head.digest, BUNDLE_DIGEST);
		}
		lseek(part, (off_t)position, SEEK_SET);
		assert_int_equal(bundle_read(&reader, &e),
				 i ? -EINVAL : -ENODATA);
		close(part);
	}
	assert_non_null(strstr(e.text, "more data than"));
	free(data);
	close(journal);
	close(bundle);
	fixture_free(&f);
}

static void an_import_is_gone_on_with(void **state)
{
	struct fixture f;
	int bundle, cut = memfd_create("cut", 0);
	int journal = memfd_create("journal", 0);
	struct bundle_reader reader;
	uint64_t size, position;
	uint8_t *data;

	(void)state;
	fixture_make(&f, true);
	bundle = fixture_bundle(&f);
	data = content(bundle);
	size = size_of(bundle);
	/* Cut off, and then the journal loses more. */
	assert_int_equal(write(cut, data, size / 2), size / 2);
	lseek(cut, 0, SEEK_SET);
	reader = fixture_reader(&f, cut, journal);
	assert_int_equal(bundle_read(&reader, &e), -ENODATA);
	assert_int_equal(size_of(journal) % BUNDLE_HEAD, 0);
	assert_true(size_of(journal) > 0);
	for (int lost = 0; lost < 2; lost++) {
		struct bundle_head head;

		assert_int_equal(
			ftruncate(journal, (off_t)size_of(journal) - lost), 0);
		assert_int_equal(
			bundle_position(journal, strlen(f.text), &position, &e),
			0);
		assert_in_range(position, 1, lost ? size : size / 2);
		lseek(bundle, (off_t)position, SEEK_SET);
		assert_int_equal(
			bundle_head_read(&head, data + BUNDLE_MAGIC_SIZE, &e),
			0);
		/* What was written and not noted may be anything. */
		if (!lost) {
			fixture_noise(f.made[0], 20 * MIB, 4096, 5);
			fixture_noise(f.made[1], MIB, 4096, 6);
		}
		reader = fixture_reader(&f, bundle, journal);
		reader.plan = f.plan;
		reader.plan_size = strlen(f.text);
		memcpy(reader.plan_digest, head.digest, BUNDLE_DIGEST);
		assert_int_equal(bundle_read(&reader, &e), 0);
		assert_made(&f);
	}
	free(data);
	close(journal);
	close(cut);
	close(bundle);
	fixture_free(&f);
}

/* The record that begins at or before an offset. */
static struct bundle_head record_at(const uint8_t *data, uint64_t offset,
				    uint64_t *at)
{
	struct bundle_head head;
	uint64_t next = BUNDLE_MAGIC_SIZE;

	do {
		*at = next;
		assert_int_equal(bundle_head_read(&head, data + next, &e), 0);
		next += BUNDLE_HEAD + head.stored;
	} while (next <= offset);
	return head;
}

/* Every kind of place; of a data record the error names file and bytes. */
static void a_flipped_bit_is_found(void **state)
{
	struct fixture f;
	int bundle;
	uint64_t size;
	uint8_t *data;

	(void)state;
	fixture_make(&f, true);
	bundle = fixture_bundle(&f);
	size = size_of(bundle);
	data = content(bundle);
	for (uint64_t at = 3; at < size;
	     at += 1 + at % 53 + (at < size - 1500 ? size / 30 : 0)) {
		uint8_t bad = data[at] ^ (uint8_t)(1 << at % 8);
		uint64_t record;
		struct bundle_head head = record_at(data, at, &record);
		char where[100];
		int r;

		assert_int_equal(pwrite(bundle, &bad, 1, (off_t)at), 1);
		r = check(&f, bundle);
		assert_int_not_equal(r, 0);
		assert_int_equal(pwrite(bundle, data + at, 1, (off_t)at), 1);
		if (at < BUNDLE_MAGIC_SIZE || head.kind != BUNDLE_DATA)
			continue;
		snprintf(where, sizeof(where), "%s, byte",
			 f.plan->files[head.file].path);
		assert_int_equal(r, -EBADMSG);
		if (at >= record + BUNDLE_HEAD) {
			snprintf(where, sizeof(where), "%s, bytes %llu to %llu",
				 f.plan->files[head.file].path,
				 (unsigned long long)head.offset,
				 (unsigned long long)(head.offset +
						      head.length - 1));
			assert_non_null(strstr(e.text, where));
		}
	}
	assert_int_equal(check(&f, bundle), 0);
	/* Two of them: a check goes on behind the first. */
	for (uint64_t at = size / 3; at < size; at += size / 3)
		assert_int_equal(pwrite(bundle, "\xff\x00\xff", 3, (off_t)at),
				 3);
	assert_int_equal(check(&f, bundle), -EBADMSG);
	assert_non_null(strstr(e.text, "and 1 more"));
	free(data);
	close(bundle);
	fixture_free(&f);
}

static void a_cut_is_no_bundle(void **state)
{
	struct fixture f;
	int bundle;

	(void)state;
	fixture_make(&f, true);
	bundle = fixture_bundle(&f);
	for (uint64_t size = size_of(bundle); size;) {
		size -= size > 300 ? 1 + size / 5 : 1 + size / 11;
		assert_int_equal(ftruncate(bundle, (off_t)size), 0);
		assert_int_equal(check(&f, bundle), -ENODATA);
	}
	close(bundle);
	fixture_free(&f);
}

static void nothing_may_follow_the_end(void **state)
{
	struct fixture f;
	int bundle;

	(void)state;
	fixture_make(&f, false);
	bundle = fixture_bundle(&f);
	assert_int_equal(pwrite(bundle, "x", 1, (off_t)size_of(bundle)), 1);
	assert_int_equal(check(&f, bundle), -EINVAL);
	close(bundle);
	fixture_free(&f);
}

/* --- of an enemy ------------------------------------------------------ */

static void put(int fd, struct bundle_head head, const void *body)
{
	uint8_t raw[BUNDLE_HEAD];

	assert_int_equal(bundle_head_make(&head, body, raw, &e), 0);
	assert_int_equal(bundle_write_all(fd, raw, sizeof(raw)), 0);
	assert_int_equal(bundle_write_all(fd, body, head.stored), 0);
}

/* Magic number and a good plan. */
static int begin(struct fixture *f)
{
	int fd = memfd_create("bad", 0);

	assert_int_equal(bundle_write_all(fd, BUNDLE_MAGIC, BUNDLE_MAGIC_SIZE),
			 0);
	put(fd,
	    (struct bundle_head){.kind = BUNDLE_PLAN,
				 .stored = (uint32_t)strlen(f->text)},
	    f->text);
	return fd;
}

static void put_data(int fd, unsigned file, uint64_t offset, uint32_t length,
		     size_t real)
{
	size_t room = ZSTD_compressBound(real), n;
	uint8_t *from = malloc(real), *to = malloc(room);

	memset(from, 7, real);
	n = ZSTD_compress(to, room, from, real, 1);
	put(fd,
	    (struct bundle_head){.kind = BUNDLE_DATA,
				 .file = file,
				 .offset = offset,
				 .length = length,
				 .stored = (uint32_t)n},
	    to);
	free(from);
	free(to);
}

static void assert_refused(struct fixture *f, int fd, int code)
{
	int r = check(f, fd);

	if (r != code)
		fprintf(stderr, "%s\n", e.text);
	assert_int_equal(r, code);
	close(fd);
}

static void records_that_lie_are_refused(void **state)
{
	struct fixture f;
	int fd;

	(void)state;
	fixture_make(&f, false);
	/* More or less in it than it says: a bomb of 1 GiB among them. */
	put_data(fd = begin(&f), 0, 0, 4096, 8192);
	assert_refused(&f, fd, -EINVAL);
	put_data(fd = begin(&f), 0, 0, 4096, 100);
	assert_refused(&f, fd, -EINVAL);
	put_data(fd = begin(&f), 0, 0, BUNDLE_CHUNK, 1u << 30);
	assert_refused(&f, fd, -EINVAL);
	/* Outside of the file, of no file, twice, backwards. */
	put_data(fd = begin(&f), 2, 10, 2, 2);
	assert_refused(&f, fd, -EINVAL);
	put_data(fd = begin(&f), 0, UINT64_MAX - 5, 100, 100);
	assert_refused(&f, fd, -EINVAL);
	put_data(fd = begin(&f), FIXTURE_FILES, 0, 1, 1);
	assert_refused(&f, fd, -EINVAL);
	put_data(fd = begin(&f), 0, 4096, 4096, 4096);
	put_data(fd, 0, 8191, 4096, 4096);
	assert_refused(&f, fd, -EINVAL);
	put_data(fd = begin(&f), 1, 0, 4096, 4096);
	put_data(fd, 0, 0, 4096, 4096);
	assert_refused(&f, fd, -EINVAL);
	/* Not even the head: a length over the limit. */
	put(fd = begin(&f),
	    (struct bundle_head){.kind = BUNDLE_DATA,
				 .length = BUNDLE_CHUNK + 1},
	    "");
	assert_refused(&f, fd, -EINVAL);
	put(fd = begin(&f), (struct bundle_head){.kind = 9}, "");
	assert_refused(&f, fd, -EINVAL);
	fixture_free(&f);
}

/* The plan says how much is not zero; space is asked for by that. */
static void more_data_than_planned_is_refused(void **state)
{
	struct fixture f;
	int fd;

	(void)state;
	fixture_make(&f, false);
	f.plan->files[0].data = 4096;
	free(f.text);
	f.text = bundle_plan_print(f.plan);
	put_data(fd = begin(&f), 0, 0, 4096, 4096);
	put_data(fd, 0, 4096, 1, 1);
	assert_refused(&f, fd, -EINVAL);
	fixture_free(&f);
}

static void records_out_of_order_are_refused(void **state)
{
	struct fixture f;
	int fd;

	(void)state;
	fixture_make(&f, false);
	put(fd = begin(&f), (struct bundle_head){.kind = BUNDLE_END}, "");
	assert_refused(&f, fd, -EINVAL);
	put(fd = begin(&f),
	    (struct bundle_head){.kind = BUNDLE_PLAN, .stored = 2}, "{}");
	assert_refused(&f, fd, -EINVAL);
	put(fd = begin(&f),
	    (struct bundle_head){.kind = BUNDLE_SIGNATURE, .stored = 2}, "{}");
	assert_refused(&f, fd, -EINVAL);
	put(fd = begin(&f),
	    (struct bundle_head){.kind = BUNDLE_MANIFEST, .stored = 2}, "{}");
	assert_refused(&f, fd, -EBADMSG);
	/* A backup has no lease to hand over. */
	put(fd = begin(&f),
	    (struct bundle_head){.kind = BUNDLE_HANDOVER, .stored = 2}, "{}");
	assert_refused(&f, fd, -EINVAL);
	fixture_free(&f);
}

static int sign_wrong(void *data, const uint8_t *text, struct buffer *body,
		      struct error *error)
{
	uint8_t other[BUNDLE_SIGNED_SIZE];

	memcpy(other, text, sizeof(other));
	other[40] ^= 1;
	return fixture_sign(data, other, body, error);
}

static void a_wrong_signature_is_refused(void **state)
{
	struct fixture f;
	int out = memfd_create("out", 0), journal = memfd_create("j", 0);
	struct bundle_writer writer;

	(void)state;
	fixture_make(&f, false);
	writer = fixture_writer(&f, out, journal);
	writer.sign = sign_wrong;
	assert_int_equal(bundle_write(&writer, &e), 0);
	close(journal);
	assert_refused(&f, out, -EBADMSG);
	assert_non_null(strstr(e.text, "signature"));
	fixture_free(&f);
}

/* --- plans ------------------------------------------------------------ */

static void paths_that_no_vault_has_are_refused(void **state)
{
	static const char *const bad[] = {"",
					  "/etc/passwd",
					  "../x",
					  "disks/../../x",
					  "disks/",
					  "disks",
					  "disks//a",
					  "disks/.",
					  "disks/..",
					  "disks/.hidden",
					  "disks/a/../b",
					  "./domain.xml",
					  "domain.xml/x",
					  "export/journal",
					  "lease.json",
					  "seal.next/x",
					  "disks/a\\b",
					  "disks/a b",
					  "disks/a\nb",
					  "machine.next/x",
					  "disks/\xc3\xa4"};
	static const char *const good[] = {"domain.xml",
					   "disks/disk.qcow2",
					   "snapshots/a/nvram/vars.fd",
					   "machine/lib/libstdc++.so.6",
					   "tpm/tpm2/tpm2-00.permall",
					   "snapshots/a.log/nvram/vars.fd",
					   "machine/share/boot.log",
					   "seals/1/domain.xml"};
	static const char *const passing[] = {
		"digests/layer-1.checked", "disks/layers.json.next",
		"disks/layer-2.qcow2.part", "tpm/tpm2/TMP2-00.permall"};

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(bundle_path_is_good(bad[i]));
	for (unsigned i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_true(bundle_path_is_good(good[i]));
		assert_false(bundle_path_is_passing(good[i]));
	}
	for (unsigned i = 0; i < sizeof(passing) / sizeof(*passing); i++)
		assert_true(bundle_path_is_passing(passing[i]));
}

static int read_text(const char *text)
{
	struct bundle_plan *plan;
	int r = bundle_plan_read(&plan, text, strlen(text), &e);

	bundle_plan_free(plan);
	return r;
}

/* The text with something else in place of a part. */
static int read_with(const char *text, const char *part, const char *with)
{
	const char *at = strstr(text, part);
	char *other;
	int r;

	assert_non_null(at);
	assert_true(asprintf(&other, "%.*s%s%s", (int)(at - text), text, with,
			     at + strlen(part)) > 0);
	r = read_text(other);
	free(other);
	return r;
}

static void plans_are_judged(void **state)
{
	struct fixture f;
	char many[200];

	(void)state;
	fixture_make(&f, true);
	assert_int_equal(read_text(f.text), 0);
	assert_int_equal(read_text(""), -EINVAL);
	assert_int_equal(read_text("[]"), -EINVAL);
	assert_int_equal(read_text("{}"), -EINVAL);
	assert_int_equal(read_with(f.text, "\"format\":1", "\"format\":2"),
			 -EINVAL);
	assert_int_equal(read_with(f.text, "disks/b.raw", "../b.raw"), -EINVAL);
	assert_int_equal(read_with(f.text, "disks/b.raw", "disks/a.qcow2"),
			 -EINVAL);
	assert_int_equal(read_with(f.text, "disks/b.raw", "disks/0"), -EINVAL);
	assert_int_equal(read_with(f.text, "6a3c9d3e", "../../.."), -EINVAL);
	assert_int_equal(read_with(f.text, "6a3c9d3e", "6A3C9D3E"), -EINVAL);
	snprintf(many, sizeof(many), "\"size\":%llu",
		 (unsigned long long)BUNDLE_FILE_MAX + 1);
	assert_int_equal(read_with(f.text, "\"size\":67108864", many), -EINVAL);
	assert_int_equal(read_with(f.text, "\"size\":67108864", "\"size\":-1"),
			 -EINVAL);
	assert_int_equal(
		read_with(f.text, "\"size\":67108864", "\"size\":1e99"),
		-EINVAL);
	assert_int_equal(
		read_with(f.text, "\"data\":67108864", "\"data\":67208864"),
		-EINVAL);
	assert_int_equal(read_with(f.text, "\"data\":67108864",
				   "\"program\":true,\"data\":1"),
			 -EINVAL);
	assert_int_equal(read_with(f.text, "\"id\"", "\"id\":\"x\",\"id\""),
			 -EINVAL);
	fixture_free(&f);
}

static void too_many_files_are_refused(void **state)
{
	struct fixture f;
	struct bundle_plan *plan;
	unsigned count = BUNDLE_FILES_MAX + 1;
	struct bundle_file *files = calloc(count, sizeof(*files)), *before;
	char *text;

	(void)state;
	fixture_make(&f, false);
	for (unsigned i = 0; i < count; i++)
		assert_true(asprintf(&files[i].path, "fw/%05u", i) > 0);
	before = f.plan->files;
	f.plan->files = files;
	for (f.plan->count = count; f.plan->count > count - 2;
	     f.plan->count--) {
		int expected = f.plan->count > BUNDLE_FILES_MAX ? -EINVAL : 0;

		text = bundle_plan_print(f.plan);
		assert_int_equal(
			bundle_plan_read(&plan, text, strlen(text), &e),
			expected);
		bundle_plan_free(plan);
		free(text);
	}
	f.plan->files = before;
	f.plan->count = FIXTURE_FILES;
	for (unsigned i = 0; i < count; i++)
		free(files[i].path);
	free(files);
	fixture_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_is_read),
		cmocka_unit_test(goes_on_at_any_byte),
		cmocka_unit_test(a_file_is_gone_on_with),
		cmocka_unit_test(what_has_changed_meanwhile_is_seen),
		cmocka_unit_test(an_import_is_gone_on_with),
		cmocka_unit_test(
			what_was_sent_is_not_mixed_with_something_else),
		cmocka_unit_test(a_plan_holds_for_an_import_that_goes_on),
		cmocka_unit_test(a_flipped_bit_is_found),
		cmocka_unit_test(a_cut_is_no_bundle),
		cmocka_unit_test(nothing_may_follow_the_end),
		cmocka_unit_test(records_that_lie_are_refused),
		cmocka_unit_test(more_data_than_planned_is_refused),
		cmocka_unit_test(records_out_of_order_are_refused),
		cmocka_unit_test(a_wrong_signature_is_refused),
		cmocka_unit_test(paths_that_no_vault_has_are_refused),
		cmocka_unit_test(plans_are_judged),
		cmocka_unit_test(too_many_files_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
