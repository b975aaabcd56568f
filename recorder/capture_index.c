/* The index at the end of a capture file; see capture_index.h. */
#include "recorder/capture_index.h"

#include <stdlib.h>

#include "recorder/capture_scan.h"

/* The frame at an offset is an index that ends at `end`. */
static int check_index(int fd, uint64_t offset, uint64_t end,
		       struct capture_totals *totals)
{
	uint8_t head[CAPTURE_INDEX_HEAD];
	enum capture_frame_kind kind;
	uint64_t size;
	size_t got;

	if (capture_scan_read(fd, offset, head, sizeof(head), &got, NULL) < 0 ||
	    got < sizeof(head) ||
	    capture_frame_head(head, &kind, &size, NULL) < 0 ||
	    kind != CAPTURE_FRAME_INDEX || offset > end || size != end - offset)
		return -ENODATA;
	return capture_index_get(head, size, totals);
}

/* The signature at the end, if there; returns where the index ends. */
static uint64_t find_signature(int fd, uint64_t size,
			       struct capture_index *index)
{
	uint8_t frame[CAPTURE_SIGN_SIZE];
	size_t got;

	if (size < sizeof(frame) ||
	    capture_scan_read(fd, size - sizeof(frame), frame, sizeof(frame),
			      &got, NULL) < 0 ||
	    got < sizeof(frame) ||
	    capture_sign_get(frame, index->signed_digest, index->signature) < 0)
		return size;
	index->is_signed = true;
	return size - sizeof(frame);
}

static int find_index(int fd, uint64_t size, struct capture_index *index,
		      uint64_t *offset)
{
	uint8_t tail[CAPTURE_INDEX_TAIL];
	uint64_t end = find_signature(fd, size, index);
	size_t got;

	if (end < sizeof(tail) ||
	    capture_scan_read(fd, end - sizeof(tail), tail, sizeof(tail), &got,
			      NULL) < 0 ||
	    got < sizeof(tail) || capture_tail_get(tail, offset) < 0 ||
	    check_index(fd, *offset, end, &index->totals) < 0)
		return -ENODATA;
	return 0;
}

int capture_index_tail(int fd, uint64_t file_size, uint64_t *offset)
{
	struct capture_index scratch = {0};

	return find_index(fd, file_size, &scratch, offset);
}

int capture_index_add(struct capture_index *index,
		      const struct capture_record *record)
{
	struct capture_record *records = index->records;
	size_t room = index->room;

	if (index->totals.frames == room) {
		room = room ? 2 * room : 64;
		if (room > CAPTURE_INDEX_MAX)
			return -ENOMEM;
		records = reallocarray(records, room, sizeof(*records));
		if (!records)
			return -ENOMEM;
		index->records = records;
		index->room = room;
	}
	records[index->totals.frames++] = *record;
	return 0;
}

/* Records must rise and lie before the index. */
static int read_records(struct capture_index *index, int fd, uint64_t offset,
			struct error *error)
{
	uint32_t count = index->totals.frames;
	uint64_t at = offset + CAPTURE_INDEX_HEAD, last = 0;
	uint8_t bytes[CAPTURE_INDEX_RECORD * 128];
	size_t got;

	index->totals.frames = 0;
	while (index->totals.frames < count) {
		size_t n = count - index->totals.frames;
		int r;

		if (n > 128)
			n = 128;
		n *= CAPTURE_INDEX_RECORD;
		r = capture_scan_read(fd, at, bytes, n, &got, error);
		if (r < 0)
			return r;
		for (size_t i = 0; i < got; i += CAPTURE_INDEX_RECORD) {
			struct capture_record record;

			if (got - i < CAPTURE_INDEX_RECORD)
				break;
			capture_record_get(bytes + i, &record);
			if (record.file_offset < last ||
			    record.file_offset >= offset)
				return -ENODATA;
			last = record.file_offset;
			if (capture_index_add(index, &record) < 0)
				return -ENOMEM;
		}
		if (got < n)
			return -ENODATA;
		at += n;
	}
	return 0;
}

int capture_index_load(struct capture_index **index, int fd,
		       struct error *error)
{
	struct capture_index *x = calloc(1, sizeof(*x));
	struct capture_scan scan;
	uint64_t offset;
	int r;

	*index = NULL;
	if (!x)
		return error_errno(error, ENOMEM, "cannot read the index");
	r = capture_scan_init(&scan, fd, error);
	capture_scan_free(&scan);
	if (r == 0) {
		x->file_bytes = x->good_bytes = scan.size;
		x->complete = true;
		if (find_index(fd, scan.size, x, &offset) == 0 &&
		    read_records(x, fd, offset, NULL) == 0) {
			*index = x;
			return 0;
		}
	}
	capture_index_free(x);
	return r < 0 ? r : capture_index_rebuild(index, fd, error);
}

void capture_index_free(struct capture_index *index)
{
	if (!index)
		return;
	free(index->records);
	free(index);
}

uint32_t capture_index_find(const struct capture_index *index, uint64_t time)
{
	uint32_t low = 0, high = index->totals.frames;

	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (index->records[middle].first_time <= time)
			low = middle;
		else
			high = middle;
	}
	return low;
}
