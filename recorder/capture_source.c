/* Blocks of pcapng out of a capture file; see capture_source.h. */
#include "recorder/capture_source.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "recorder/bytes.h"
#include "recorder/capture_index.h"
#include "recorder/capture_scan.h"
#include "recorder/pcapng.h"

#define ROOM (CAPTURE_FRAME_MAX + PCAPNG_BLOCK_MAX)

struct capture_source {
	struct capture_scan scan;
	ZSTD_DCtx *zstd; /* NULL: plain pcapng */
	bool closed;     /* the file ends with an index */
	struct capture_source_end end;
	uint32_t frames;
	uint64_t frame_offset; /* of the last data frame, in the file */
	uint64_t frame_plain;  /* in the pcapng */
	uint8_t *buffer;       /* plain bytes not yet given */
	size_t at, have;
	uint64_t offset; /* of buffer[at], in the pcapng */
};

static int open_source(struct capture_source *s, int fd, struct error *error)
{
	uint8_t magic[4];
	uint64_t index;
	size_t got;
	int r = capture_scan_init(&s->scan, fd, error);

	if (r < 0)
		return r;
	s->buffer = malloc(ROOM);
	if (!s->buffer)
		return error_errno(error, ENOMEM, "cannot read the recording");
	r = capture_scan_read(fd, 0, magic, sizeof(magic), &got, error);
	if (r < 0)
		return r;
	if (got == 4 && bytes_get_le32(magic) == PCAPNG_SECTION)
		return 0;
	s->zstd = ZSTD_createDCtx();
	if (!s->zstd)
		return error_errno(error, ENOMEM, "cannot read the recording");
	s->closed = capture_index_tail(fd, s->scan.size, &index) == 0;
	return 0;
}

int capture_source_new(struct capture_source **source, int fd,
		       struct error *error)
{
	struct capture_source *s = calloc(1, sizeof(*s));
	int r;

	*source = NULL;
	if (!s)
		return error_errno(error, ENOMEM, "cannot read the recording");
	r = open_source(s, fd, error);
	if (r < 0) {
		capture_source_free(s);
		return r;
	}
	*source = s;
	return 0;
}

void capture_source_free(struct capture_source *s)
{
	if (!s)
		return;
	capture_scan_free(&s->scan);
	ZSTD_freeDCtx(s->zstd);
	free(s->buffer);
	free(s);
}

static int damaged(uint64_t offset, struct error *error, const char *what)
{
	return error_set(error, EBADMSG,
			 "the recording is damaged at offset %llu: %s",
			 (unsigned long long)offset, what);
}

/* Appends the frame's bytes to the buffer, whose free part is large enough. */
static int decode(struct capture_source *s,
		  const struct capture_scan_frame *frame, struct error *error)
{
	unsigned long long size =
		ZSTD_getFrameContentSize(frame->data, (size_t)frame->size);
	size_t n;

	if (size > CAPTURE_FRAME_MAX) /* or not known */
		return damaged(frame->offset, error,
			       "a frame that does not say that it holds at "
			       "most 1 MiB (unpack other files with zstd -d)");
	n = ZSTD_decompressDCtx(s->zstd, s->buffer + s->have, ROOM - s->have,
				frame->data, (size_t)frame->size);
	if (ZSTD_isError(n) &&
	    ZSTD_getErrorCode(n) == ZSTD_error_memory_allocation)
		return error_errno(error, ENOMEM, "cannot read the recording");
	if (ZSTD_isError(n))
		return damaged(frame->offset, error, ZSTD_getErrorName(n));
	s->frame_offset = frame->offset;
	s->frame_plain = s->offset + (s->have - s->at);
	s->have += n;
	s->frames++;
	return 1;
}

/* The entry must be that of the frame before it. */
static int check_entry(const struct capture_source *s,
		       const struct capture_scan_frame *frame,
		       struct error *error)
{
	struct capture_entry entry;

	if (capture_entry_get(frame->data, &entry) < 0)
		return damaged(frame->offset, error, "an entry that cannot be");
	if (entry.sequence != s->frames - 1 ||
	    entry.file_offset != s->frame_offset ||
	    entry.plain_offset != s->frame_plain ||
	    entry.packed != frame->offset - s->frame_offset)
		return damaged(frame->offset, error,
			       "an entry that belongs to another frame");
	return 0;
}

/* 1: bytes were appended, 0: the end, or negative. */
static int next_frame(struct capture_source *s, struct error *error)
{
	struct capture_scan_frame frame;
	int r;

	while ((r = capture_scan_next(&s->scan, &frame, error)) > 0) {
		s->end.good_bytes = s->scan.at;
		switch (frame.kind) {
		case CAPTURE_SCAN_DATA:
			if (s->end.complete)
				return damaged(frame.offset, error,
					       "a frame behind the index");
			s->end.good_bytes = frame.offset;
			r = decode(s, &frame, error);
			if (r > 0)
				s->end.good_bytes = s->scan.at;
			return r;
		case CAPTURE_SCAN_ENTRY:
			r = check_entry(s, &frame, error);
			if (r < 0)
				return r;
			break;
		case CAPTURE_SCAN_INDEX:
			s->end.complete = true;
			break;
		case CAPTURE_SCAN_SIGNATURE:
			s->end.is_signed = s->end.complete;
			break;
		case CAPTURE_SCAN_OTHER:
			break;
		}
	}
	if (r == 0 && s->closed && s->scan.at < s->scan.size)
		return damaged(s->scan.at, error,
			       "a frame runs over the end of the file");
	return r;
}

static int next_plain(struct capture_source *s, struct error *error)
{
	uint64_t left = s->scan.size - s->scan.at;
	size_t want = ROOM - s->have, got;
	int r;

	if (want > left)
		want = (size_t)left;
	r = capture_scan_read(s->scan.fd, s->scan.at, s->buffer + s->have, want,
			      &got, error);
	if (r < 0)
		return r;
	s->have += got;
	s->scan.at += got;
	return got > 0;
}

/* Reads on; fewer than PCAPNG_BLOCK_MAX bytes are in the buffer. */
static int refill(struct capture_source *s, struct error *error)
{
	memmove(s->buffer, s->buffer + s->at, s->have - s->at);
	s->have -= s->at;
	s->at = 0;
	return s->zstd ? next_frame(s, error) : next_plain(s, error);
}

/* Nothing more comes; a block may have been cut. */
static int ends(struct capture_source *s, struct error *error)
{
	if (!s->zstd) {
		s->end.complete = s->at == s->have;
		s->end.good_bytes = s->offset;
	} else if (s->at < s->have) {
		return damaged(s->frame_offset, error,
			       "a packet runs over the end of its frame");
	}
	return 0;
}

int capture_source_next(struct capture_source *s, struct capture_block *block,
			struct error *error)
{
	uint32_t size = PCAPNG_BLOCK_MIN;
	int r;

	for (;;) {
		if (s->have - s->at >= 8) {
			r = pcapng_block(s->buffer + s->at, &block->type, &size,
					 error);
			if (r < 0)
				return damaged(s->offset, error,
					       "no pcapng block begins here");
		}
		if (s->have - s->at >= size)
			break;
		r = refill(s, error);
		if (r < 0)
			return r;
		if (r == 0)
			return ends(s, error);
	}
	block->data = s->buffer + s->at;
	block->size = size;
	block->offset = s->offset;
	if (bytes_get_le32(block->data + size - 4) != size)
		return damaged(s->offset, error,
			       "a pcapng block whose lengths differ");
	s->at += size;
	s->offset += size;
	return 1;
}

void capture_source_end(const struct capture_source *s,
			struct capture_source_end *end)
{
	*end = s->end;
}
