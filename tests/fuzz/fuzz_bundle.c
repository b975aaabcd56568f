/*
 * A bundle: its records, plan and what was in its files. The input is taken as
 * it is, and once more with magic number, checksums and digests put right, so
 * that what lies behind them is reached. Whatever it is, the reader stays
 * within the files and sizes that the plan names.
 */
#include "daemon/bundle_judge.h"
#include "daemon/bundle_read.h"
#include "recorder/bytes.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FILES_MAX 16 /* as many descriptors */

struct sink {
	struct bundle_plan *plan;
	int files[FILES_MAX];
};

static int take_plan(void *data, const char *text, size_t size,
		     const uint8_t digest[BUNDLE_DIGEST],
		     const struct bundle_plan **plan, struct error *error)
{
	struct sink *sink = data;
	char *printed;
	int r;

	(void)digest;
	if (sink->plan)
		abort();
	r = bundle_plan_read(&sink->plan, text, size, error);
	*plan = sink->plan;
	if (r)
		return r;
	printed = bundle_plan_print(sink->plan);
	if (!printed)
		abort();
	free(printed);
	for (unsigned i = 0; i < sink->plan->count; i++)
		if (!bundle_path_is_good(sink->plan->files[i].path))
			abort();
	return sink->plan->count > FILES_MAX ? -E2BIG : 0;
}

static int open_file(void *data, unsigned n, int *fd, struct error *error)
{
	struct sink *sink = data;

	(void)error;
	if (n >= sink->plan->count || sink->files[n] >= 0)
		abort();
	sink->files[n] = memfd_create("file", 0);
	*fd = dup(sink->files[n]);
	return *fd < 0 ? -EMFILE : 0;
}

static int sync_files(void *data, struct error *error)
{
	(void)data;
	(void)error;
	return 0;
}

static int signed_by(void *data, const char *key, struct error *error)
{
	(void)data;
	(void)key;
	(void)error;
	return 0;
}

static int handover(void *data, const char *text, size_t size,
		    struct error *error)
{
	(void)data;
	(void)error;
	return text[size] ? -EINVAL : 0;
}

/* What came of it is within the plan, and may be looked at. */
static void look(struct sink *sink)
{
	struct error error = {0};

	for (unsigned i = 0; sink->plan && i < FILES_MAX; i++) {
		struct stat st;

		if (sink->files[i] < 0)
			continue;
		if (fstat(sink->files[i], &st) ||
		    (uint64_t)st.st_size > sink->plan->files[i].size)
			abort();
		bundle_judge_image(sink->files[i], "qcow2", NULL, NULL, &error);
		close(sink->files[i]);
	}
	bundle_plan_free(sink->plan);
}

static void read_bundle(const uint8_t *data, size_t size, bool check)
{
	struct sink sink = {0};
	int input = memfd_create("bundle", 0);
	int journal = check ? -1 : memfd_create("journal", 0);
	struct bundle_reader reader = {.input = input,
				       .journal = journal,
				       .threads = 1,
				       .take_plan = take_plan,
				       .open = open_file,
				       .sync = sync_files,
				       .signed_by = signed_by,
				       .handover = handover,
				       .data = &sink};
	struct error error = {0};

	for (unsigned i = 0; i < FILES_MAX; i++)
		sink.files[i] = -1;
	if (input < 0 || bundle_write_all(input, data, size) ||
	    lseek(input, 0, SEEK_SET))
		abort();
	if (bundle_read(&reader, &error) && !error.text[0])
		abort();
	look(&sink);
	close(input);
	if (journal >= 0)
		close(journal);
}

/* Makes each head that of its body. */
static void mend(uint8_t *data, size_t size)
{
	struct error error;
	size_t at = BUNDLE_MAGIC_SIZE;

	memcpy(data, BUNDLE_MAGIC, BUNDLE_MAGIC_SIZE);
	while (size - at >= BUNDLE_HEAD) {
		struct bytes b = bytes_of(data + at, BUNDLE_HEAD);
		struct bundle_head head = {.kind = bytes_le32(&b)};

		head.stored = bytes_le32(&b);
		head.length = bytes_le32(&b);
		head.file = bytes_le32(&b);
		head.offset = bytes_le64(&b);
		if (head.stored > size - at - BUNDLE_HEAD)
			head.stored = (uint32_t)(size - at - BUNDLE_HEAD);
		bundle_head_make(&head, data + at + BUNDLE_HEAD, data + at,
				 &error);
		at += BUNDLE_HEAD + head.stored;
	}
}

/* A definition, when it is one. */
static void judge_text(const uint8_t *data, size_t size)
{
	struct bundle_plan plan = {
		.uuid = "5e0a3c1e-8d0c-4f0b-9d56-0123456789ab"};
	struct error error = {0};
	char *text = malloc(size + 1);

	if (!text)
		return;
	memcpy(text, data, size);
	text[size] = '\0';
	bundle_judge_domain(text, &plan, &error);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy;

	if (size && data[0] == '<') {
		judge_text(data, size);
		return 0;
	}
	if (size < BUNDLE_MAGIC_SIZE)
		return 0;
	copy = malloc(size);
	if (!copy)
		return 0;
	memcpy(copy, data, size);
	read_bundle(copy, size, true);
	mend(copy, size);
	read_bundle(copy, size, false);
	free(copy);
	return 0;
}
