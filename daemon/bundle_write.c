/*
 * Writing a bundle; see bundle_write.h. Records come from bundle_windows.h, in
 * order; here they are put out, noted in the journal, and what comes before
 * and after them is made.
 */
#include "daemon/bundle_write.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "daemon/bundle_manifest.h"
#include "daemon/bundle_windows.h"

#define SYNC_STEP (UINT64_C(128) << 20) /* bytes between two syncs */
#define SPARE (UINT64_C(64) << 20)      /* bytes that a disk is left with */

struct work {
	const struct bundle_writer *options;
	struct bundle_windows *windows;
	struct bundle_manifest *manifest;
	uint64_t skip; /* bytes that are there already */
	uint64_t unsynced;
	uint64_t records, known; /* data records; those in the journal */
	struct buffer heads;     /* not yet in the journal */
	uint8_t *old;            /* the journal */
	/* Progress: of the files before, and of this one. */
	uint64_t told_before, told;
	unsigned told_file;
};

static const struct bundle_file *file_at(const struct work *w, unsigned n)
{
	return &w->options->plan->files[n];
}

/* --- what is written -------------------------------------------------- */

static int write_heads(struct work *w, struct error *error)
{
	if (w->heads.failed ||
	    bundle_write_all(w->options->journal, w->heads.data,
			     w->heads.size) ||
	    (w->options->is_file && fdatasync(w->options->journal)))
		return error_set(error, -EIO,
				 "can't write the journal of the export");
	buffer_drop(&w->heads, w->heads.size);
	return 0;
}

static int flush(struct work *w, struct error *error)
{
	if (w->options->is_file && fdatasync(w->options->output))
		return error_errno(error, errno, "can't write the bundle");
	w->unsynced = 0;
	return write_heads(w, error);
}

static int no_room(struct error *error)
{
	return error_set(error, -ENOSPC,
			 "there is no more room for the bundle: make some and "
			 "give the same command again, it goes on; or export "
			 "to another place");
}

/* Others may need the disk, too; a file system of no size has no end. */
static int check_room(const struct work *w, struct error *error)
{
	struct statfs fs;

	if (!w->options->is_file || fstatfs(w->options->output, &fs) ||
	    !fs.f_blocks ||
	    (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize >= SPARE)
		return 0;
	return no_room(error);
}

static int put(struct work *w, const uint8_t *data, size_t size,
	       struct error *error)
{
	size_t skip = w->skip < size ? (size_t)w->skip : size;
	int r;

	if (!size)
		return 0;
	w->skip -= skip;
	w->unsynced += size - skip;
	r = bundle_write_all(w->options->output, data + skip, size - skip);
	if (r == -ENOSPC || r == -EDQUOT)
		return no_room(error);
	return r ? error_errno(error, r, "can't write the bundle") : 0;
}

static void note(struct work *w, const struct bundle_record *record)
{
	if (w->records >= w->known)
		buffer_put(&w->heads, record->data, BUNDLE_HEAD);
}

static int put_data(struct work *w, const struct bundle_record *record,
		    struct error *error)
{
	struct bundle_head head;
	int r = bundle_head_read(&head, record->data, error);

	if (!r && w->records < w->known &&
	    memcmp(w->old + w->records * BUNDLE_HEAD, record->data,
		   BUNDLE_HEAD) != 0)
		r = error_set(error, -ESTALE,
			      "%s is not what it was when the export began",
			      file_at(w, record->file)->path);
	/* What a far end may have of a record is known, whenever this ends. */
	if (!r && !w->options->is_file) {
		note(w, record);
		r = write_heads(w, error);
	}
	if (!r)
		r = check_room(w, error);
	if (!r)
		r = put(w, record->data, record->size, error);
	if (r)
		return r;
	if (w->options->is_file)
		note(w, record);
	w->records++;
	bundle_manifest_add(w->manifest, &head);
	return w->unsynced >= SYNC_STEP ? flush(w, error) : 0;
}

/* Of a file, so many more bytes were looked at. */
static void tell(struct work *w, unsigned file, uint32_t window)
{
	for (; w->told_file < file; w->told_file++) {
		w->told_before += file_at(w, w->told_file)->data;
		w->told = 0;
	}
	w->told += window;
	if (w->told > file_at(w, file)->data)
		w->told = file_at(w, file)->data;
	if (w->options->progress)
		w->options->progress(w->options->data, w->told_before + w->told,
				     w->options->plan->data);
}

static int write_data(struct work *w, struct error *error)
{
	struct bundle_record record;
	int r;

	while ((r = bundle_windows_next(w->windows, &record, error)) > 0) {
		r = record.data ? put_data(w, &record, error) : 0;
		if (r)
			break;
		tell(w, record.file, record.window);
	}
	/* It is gone on with here. */
	if (r == -ENOSPC)
		flush(w, NULL);
	return r;
}

/* --- the other records ------------------------------------------------ */

static int put_record(struct work *w, enum bundle_kind kind, const void *body,
		      size_t size, uint8_t digest[BUNDLE_DIGEST],
		      struct error *error)
{
	struct bundle_head head = {.kind = kind, .stored = (uint32_t)size};
	uint8_t raw[BUNDLE_HEAD];
	int r;

	if (size > BUNDLE_STORED_MAX)
		return error_set(error, -E2BIG, "it has too many files");
	r = bundle_head_make(&head, body, raw, error);
	if (!r)
		r = put(w, raw, sizeof(raw), error);
	if (!r)
		r = put(w, body, size, error);
	if (digest)
		memcpy(digest, head.digest, BUNDLE_DIGEST);
	return r;
}

static int put_manifest(struct work *w, const uint8_t plan[BUNDLE_DIGEST],
			struct error *error)
{
	char *text = bundle_manifest_print(w->manifest, plan);
	uint8_t digest[BUNDLE_DIGEST], signed_text[BUNDLE_SIGNED_SIZE];
	struct buffer body = {0};
	int r;

	if (!text)
		return error_set(error, -ENOMEM, "no memory");
	r = put_record(w, BUNDLE_MANIFEST, text, strlen(text), digest, error);
	free(text);
	bundle_signed_text(digest, signed_text);
	if (!r)
		r = w->options->sign(w->options->data, signed_text, &body,
				     error);
	if (!r)
		r = put_record(w, BUNDLE_SIGNATURE, body.data, body.size, NULL,
			       error);
	buffer_free(&body);
	return r;
}

static int put_end(struct work *w, struct error *error)
{
	struct buffer body = {0};
	int r = flush(w, error);

	if (!r && w->options->plan->moved) {
		r = w->options->handover(w->options->data, &body, error);
		if (!r)
			r = put_record(w, BUNDLE_HANDOVER, body.data, body.size,
				       NULL, error);
		buffer_free(&body);
	}
	if (!r)
		r = put_record(w, BUNDLE_END, NULL, 0, NULL, error);
	return r ? r : flush(w, error);
}

/* --- going on --------------------------------------------------------- */

static int read_journal(struct work *w, struct error *error)
{
	struct stat st;
	size_t size;

	if (fstat(w->options->journal, &st))
		return error_errno(error, errno, "the export's journal");
	w->known = (uint64_t)st.st_size / BUNDLE_HEAD;
	size = (size_t)w->known * BUNDLE_HEAD;
	w->old = malloc(size ? size : 1);
	if (!w->old)
		return error_set(error, -ENOMEM, "no memory");
	/* A head of which only a part was written is none. */
	if (ftruncate(w->options->journal, (off_t)size) ||
	    lseek(w->options->journal, 0, SEEK_SET) ||
	    bundle_read_all(w->options->journal, w->old, size))
		return error_set(error, -EIO,
				 "can't read the export's journal");
	return 0;
}

/* The record is there: the walk goes on behind it. */
static int pass(struct work *w, uint64_t n, struct bundle_head *head,
		struct error *error)
{
	const uint8_t *raw = w->old + n * BUNDLE_HEAD;
	int r = bundle_head_read(head, raw, error);

	if (r || head->file >= w->options->plan->count)
		return error_set(error, -ESTALE,
				 "the export's journal is damaged");
	bundle_windows_pass(w->windows, head);
	tell(w, head->file, head->length);
	bundle_manifest_add(w->manifest, head);
	w->records++;
	return 0;
}

/* Finds where the walk begins; start: bytes of the bundle before the data. */
static int go_on(struct work *w, uint64_t start, struct error *error)
{
	uint64_t have = w->options->have, at = start;
	struct bundle_head head;
	int r = read_journal(w, error);

	/* A prefix that is there in part is written whole, or passed over. */
	if (r || have <= start) {
		if (w->options->is_file) {
			w->known = 0;
			have = 0;
		}
		w->skip = have;
		at = 0;
	} else {
		while (!r && w->records < w->known) {
			struct bundle_head next;

			r = bundle_head_read(&next,
					     w->old + w->records * BUNDLE_HEAD,
					     error);
			if (r || at + BUNDLE_HEAD + next.stored > have)
				break;
			at += BUNDLE_HEAD + next.stored;
			r = pass(w, w->records, &head, error);
		}
		w->skip = have - at;
	}
	if (r || !w->options->is_file)
		return r;
	w->known = w->records;
	w->skip = 0;
	if (ftruncate(w->options->output, (off_t)at) ||
	    lseek(w->options->output, (off_t)at, SEEK_SET) < 0 ||
	    ftruncate(w->options->journal, (off_t)(w->known * BUNDLE_HEAD)) ||
	    lseek(w->options->journal, 0, SEEK_END) < 0)
		return error_errno(error, errno, "can't go on with the export");
	return 0;
}

/* The magic number and the plan; its digest. */
static int put_start(struct work *w, bool is_there,
		     uint8_t digest[BUNDLE_DIGEST], struct error *error)
{
	const char *text = w->options->plan_text;
	struct bundle_head head = {.kind = BUNDLE_PLAN,
				   .stored = (uint32_t)strlen(text)};
	uint8_t raw[BUNDLE_HEAD];
	int r = bundle_head_make(&head, text, raw, error);

	memcpy(digest, head.digest, BUNDLE_DIGEST);
	if (r || is_there)
		return r;
	r = put(w, (const uint8_t *)BUNDLE_MAGIC, BUNDLE_MAGIC_SIZE, error);
	return r ? r
		 : put_record(w, BUNDLE_PLAN, text, strlen(text), NULL, error);
}

/* --- all of it -------------------------------------------------------- */

static void work_free(struct work *w)
{
	bundle_windows_free(w->windows);
	bundle_manifest_free(w->manifest);
	buffer_free(&w->heads);
	free(w->old);
	free(w);
}

int bundle_write(const struct bundle_writer *options, struct error *error)
{
	uint64_t start =
		BUNDLE_MAGIC_SIZE + BUNDLE_HEAD + strlen(options->plan_text);
	struct work *w = calloc(1, sizeof(*w));
	uint8_t plan[BUNDLE_DIGEST];
	int r;

	if (!w)
		return error_set(error, -ENOMEM, "no memory");
	w->options = options;
	r = bundle_windows_new(&w->windows, options->plan, options->threads,
			       options->open, options->data, error);
	if (!r)
		r = bundle_manifest_new(&w->manifest, options->plan, error);
	if (!r)
		r = go_on(w, start, error);
	if (!r)
		r = put_start(w, options->have > start, plan, error);
	if (!r)
		r = write_data(w, error);
	if (!r)
		r = put_manifest(w, plan, error);
	if (!r)
		r = put_end(w, error);
	work_free(w);
	return r;
}
