/* Walks over the frames of a capture file; see capture_scan.h. */
#include "recorder/capture_scan.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>
#include <zstd_errors.h>

#define BUFFER_SIZE (2 * CAPTURE_SCAN_ROOM)

int capture_scan_init(struct capture_scan *scan, int fd, struct error *error)
{
	struct stat st;

	*scan = (struct capture_scan){.fd = fd};
	if (fstat(fd, &st) < 0)
		return error_errno(error, errno, "cannot read the recording");
	if (!S_ISREG(st.st_mode))
		return error_set(error, EINVAL,
				 "the recording is not a regular file");
	scan->size = (uint64_t)st.st_size;
	scan->room =
		scan->size < BUFFER_SIZE ? (size_t)scan->size : BUFFER_SIZE;
	scan->buffer = malloc(scan->room + 1);
	if (!scan->buffer)
		return error_errno(error, ENOMEM, "cannot read the recording");
	return 0;
}

void capture_scan_free(struct capture_scan *scan)
{
	free(scan->buffer);
	scan->buffer = NULL;
}

int capture_scan_read(int fd, uint64_t offset, void *data, size_t size,
		      size_t *got, struct error *error)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(fd, (uint8_t *)data + done, size - done,
				  (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(error, errno,
					   "cannot read the recording at "
					   "offset %llu",
					   (unsigned long long)(offset + done));
		if (n == 0)
			break;
		done += (size_t)n;
	}
	*got = done;
	return 0;
}

/* Bytes in the buffer from scan->at on. */
static size_t available(const struct capture_scan *scan)
{
	return (size_t)(scan->buffer_at + scan->buffer_have - scan->at);
}

static const uint8_t *here(const struct capture_scan *scan)
{
	return scan->buffer + (scan->at - scan->buffer_at);
}

/* Makes n bytes available if the file has them; at least reads on. */
static int ensure(struct capture_scan *scan, size_t n, struct error *error)
{
	uint64_t left = scan->size - scan->at;
	size_t have, want, got;
	int r;

	if (scan->at >= scan->buffer_at + scan->buffer_have) {
		scan->buffer_at = scan->at;
		scan->buffer_have = 0;
	}
	if (available(scan) >= n || available(scan) == left)
		return 0;
	have = available(scan);
	memmove(scan->buffer, here(scan), have);
	scan->buffer_at = scan->at;
	scan->buffer_have = have;
	want = left < scan->room ? (size_t)left : scan->room;
	r = capture_scan_read(scan->fd, scan->at + have, scan->buffer + have,
			      want - have, &got, error);
	if (r < 0)
		return r;
	scan->buffer_have += got;
	if (got < want - have) /* cut while it was read */
		scan->size = scan->buffer_at + scan->buffer_have;
	return 0;
}

static int damage(const struct capture_scan *scan, struct error *error,
		  const char *what)
{
	return error_set(error, EBADMSG,
			 "the recording is damaged at offset %llu: %s",
			 (unsigned long long)scan->at, what);
}

static bool is_skippable(uint32_t magic)
{
	return (magic & ZSTD_MAGIC_SKIPPABLE_MASK) ==
	       ZSTD_MAGIC_SKIPPABLE_START;
}

static int skippable(struct capture_scan *scan,
		     struct capture_scan_frame *frame, struct error *error)
{
	static const enum capture_scan_kind kinds[] = {
		[CAPTURE_FRAME_ENTRY] = CAPTURE_SCAN_ENTRY,
		[CAPTURE_FRAME_INDEX] = CAPTURE_SCAN_INDEX,
		[CAPTURE_FRAME_SIGNATURE] = CAPTURE_SCAN_SIGNATURE,
	};
	enum capture_frame_kind kind;
	uint64_t size;
	int r;

	if (available(scan) < 8)
		return 0;
	size = (uint64_t)bytes_get_le32(here(scan) + 4) + 8;
	if (size > scan->size - scan->at)
		return 0;
	frame->kind = CAPTURE_SCAN_OTHER;
	frame->size = size;
	if (size < CAPTURE_FRAME_HEAD)
		return 1;
	r = capture_frame_head(here(scan), &kind, &size, error);
	if (r == -ENOMSG)
		return 1;
	if (r < 0) {
		error_prefix(error, "the recording is damaged at offset %llu",
			     (unsigned long long)scan->at);
		return r;
	}
	frame->kind = kinds[kind];
	return 1;
}

static int data_frame(struct capture_scan *scan,
		      struct capture_scan_frame *frame, struct error *error)
{
	size_t n = ZSTD_findFrameCompressedSize(here(scan), available(scan));
	int r;

	if (ZSTD_isError(n) && available(scan) < CAPTURE_SCAN_ROOM) {
		r = ensure(scan, CAPTURE_SCAN_ROOM, error);
		if (r < 0)
			return r;
		n = ZSTD_findFrameCompressedSize(here(scan), available(scan));
	}
	if (!ZSTD_isError(n)) {
		frame->kind = CAPTURE_SCAN_DATA;
		frame->size = n;
		return 1;
	}
	if (ZSTD_getErrorCode(n) != ZSTD_error_srcSize_wrong)
		return damage(scan, error, ZSTD_getErrorName(n));
	if (available(scan) == scan->size - scan->at &&
	    available(scan) < CAPTURE_SCAN_ROOM)
		return 0;
	return damage(scan, error,
		      "a frame of more than 1 MiB; captures have smaller ones "
		      "(unpack other files with zstd -d)");
}

int capture_scan_next(struct capture_scan *scan,
		      struct capture_scan_frame *frame, struct error *error)
{
	uint32_t magic;
	int r = ensure(scan, CAPTURE_ENTRY_SIZE, error);

	if (r < 0)
		return r;
	if (available(scan) < 4)
		return 0;
	frame->offset = scan->at;
	magic = bytes_get_le32(here(scan));
	if (is_skippable(magic))
		r = skippable(scan, frame, error);
	else if (magic == ZSTD_MAGICNUMBER)
		r = data_frame(scan, frame, error);
	else
		r = damage(scan, error, "no zstd frame begins here");
	if (r <= 0)
		return r;
	frame->data = here(scan);
	scan->at += frame->size;
	return 1;
}
