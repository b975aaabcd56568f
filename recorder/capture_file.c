/*
 * What is written into a capture file; see capture_pool.h.
 *
 * Data frame and entry go out in one write, so that a file is torn at most
 * inside its last frame. After a write that failed the file is cut back to
 * its last whole frame.
 */
#include "recorder/capture_pool.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define SYNC_NS UINT64_C(1000000000) /* least time between two */

static uint64_t monotonic(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Behind what is there already; does not count in the digest. */
static int write_all(struct capture_file *file, const uint8_t *data,
		     size_t size, struct error *error)
{
	uint64_t begin = atomic_load(&file->bytes);
	size_t done = 0;

	while (done < size) {
		ssize_t n = pwrite(file->fd, data + done, size - done,
				   (off_t)(begin + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			int e = n < 0 ? errno : EIO;

			/* Readers pass over a torn frame if this fails too. */
			(void)!ftruncate(file->fd, (off_t)begin);
			return error_errno(error, e,
					   "cannot write the recording");
		}
		done += (size_t)n;
	}
	atomic_store(&file->bytes, begin + size);
	return 0;
}

static int digest(struct capture_file *file, const void *data, size_t size,
		  struct error *error)
{
	if (!EVP_DigestUpdate(file->running, data, size))
		return error_set(error, EIO, "cannot digest the recording");
	return 0;
}

int capture_file_append(struct capture_file *file, const void *data,
			size_t size, struct error *error)
{
	int r = write_all(file, data, size, error);

	return r < 0 ? r : digest(file, data, size, error);
}

int capture_file_digest(struct capture_file *file,
			uint8_t digest[CAPTURE_DIGEST_SIZE],
			struct error *error)
{
	if (!EVP_MD_CTX_copy_ex(file->copy, file->running) ||
	    !EVP_DigestFinal_ex(file->copy, digest, NULL))
		return error_set(error, EIO, "cannot digest the recording");
	return 0;
}

static int keep_record(struct capture_file *file,
		       const struct capture_entry *entry, struct error *error)
{
	size_t room = file->records_room;

	if (file->totals.frames == room) {
		struct capture_record *records;

		room = room ? 2 * room : 64;
		records = reallocarray(file->records, room, sizeof(*records));
		if (!records || room > CAPTURE_INDEX_MAX)
			return error_errno(error, ENOMEM,
					   "no room for the recording's index");
		file->records = records;
		file->records_room = room;
	}
	file->records[file->totals.frames++] = (struct capture_record){
		.file_offset = entry->file_offset,
		.plain_offset = entry->plain_offset,
		.first_time = entry->first_time,
		.last_time = entry->last_time,
	};
	file->plain += entry->plain;
	file->totals.plain = file->plain;
	if (!file->totals.first_time)
		file->totals.first_time = entry->first_time;
	if (entry->last_time)
		file->totals.last_time = entry->last_time;
	capture_counts_add(&file->totals.counts, &entry->counts);
	return 0;
}

/* The digest in the entry covers the file up to the entry. */
static int write_frame(struct capture_file *file, struct chunk *c,
		       struct error *error)
{
	struct capture_entry entry = {
		.sequence = file->totals.frames,
		.packed = (uint32_t)c->packed_size,
		.plain = (uint32_t)c->size,
		.file_offset = atomic_load(&file->bytes),
		.plain_offset = file->plain,
		.first_time = c->first_time,
		.last_time = c->last_time,
		.counts = c->counts,
	};

	/* A failure from here on is the file's end; its digest with it. */
	if (digest(file, c->packed, c->packed_size, error) < 0 ||
	    capture_file_digest(file, entry.digest, error) < 0)
		return error->code;
	capture_entry_put(c->packed + c->packed_size, &entry);
	if (write_all(file, c->packed, c->packed_size + CAPTURE_ENTRY_SIZE,
		      error) < 0 ||
	    digest(file, c->packed + c->packed_size, CAPTURE_ENTRY_SIZE,
		   error) < 0)
		return error->code;
	return keep_record(file, &entry, error);
}

static int write_index(struct capture_file *file, struct error *error)
{
	struct buffer index = {0};
	int r;

	capture_index_put(&index, &file->totals, file->records,
			  atomic_load(&file->bytes));
	if (index.failed)
		r = error_errno(error, ENOMEM,
				"no room for the recording's index");
	else
		r = capture_file_append(file, index.data, index.size, error);
	buffer_free(&index);
	if (r == 0)
		r = capture_file_digest(file, file->digest, error);
	return r;
}

int capture_file_sync(struct capture_file *file, struct error *error)
{
	file->synced = monotonic();
	/* EINVAL: a file that can't be synced, as a device. */
	if (fdatasync(file->fd) < 0 && errno != EINVAL)
		return error_errno(error, errno,
				   "cannot bring the recording to disk");
	return 0;
}

void capture_file_write(struct capture_file *file, struct chunk *c)
{
	struct error error = {0};
	int r = c->failure;

	if (atomic_load(&file->failure))
		return;
	if (r < 0)
		error_set(&error, r, "cannot compress the recording");
	if (r == 0 && c->size)
		r = write_frame(file, c, &error);
	if (r == 0 && c->last)
		r = write_index(file, &error);
	if (r == 0 && (c->last || monotonic() - file->synced >= SYNC_NS))
		r = capture_file_sync(file, &error);
	if (r < 0)
		capture_pool_fail(file, &error);
	else if (c->last)
		atomic_store(&file->state, WRITER_FINISHED);
	if (c->last)
		eventfd_write(file->event, 1);
}
