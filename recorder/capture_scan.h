/*
 * Walks over the zstd frames of a capture file, data and skippable, without
 * decoding them. A file cut anywhere ends the walk at its last whole frame.
 *
 * Memory: at most CAPTURE_SCAN_ROOM twice, whatever the file says.
 */
#ifndef RECORDER_CAPTURE_SCAN_H
#define RECORDER_CAPTURE_SCAN_H

#include <stdint.h>

#include "recorder/capture_frame.h"

/* The longest zstd frame of CAPTURE_FRAME_MAX bytes (ZSTD_compressBound). */
#define CAPTURE_SCAN_ROOM (CAPTURE_FRAME_MAX + (CAPTURE_FRAME_MAX >> 8) + 64)

enum capture_scan_kind {
	CAPTURE_SCAN_DATA,
	CAPTURE_SCAN_ENTRY,
	CAPTURE_SCAN_INDEX,
	CAPTURE_SCAN_SIGNATURE,
	CAPTURE_SCAN_OTHER,	/* a skippable frame that is not ours */
};

struct capture_scan_frame {
	enum capture_scan_kind kind;
	uint64_t offset;	/* in the file */
	uint64_t size;		/* of the whole frame */
	/*
	 * Whole, but of INDEX and OTHER no more than the first
	 * CAPTURE_INDEX_HEAD bytes. Borrowed until the next call.
	 */
	const uint8_t *data;
};

struct capture_scan {
	int fd;			/* not owned */
	uint64_t size;		/* of the file when the walk began */
	uint64_t at;		/* end of the last whole frame */
	uint8_t *buffer;
	size_t room;		/* of it */
	uint64_t buffer_at;	/* its offset in the file */
	size_t buffer_have;
};

int capture_scan_init(struct capture_scan *scan, int fd, struct error *error);
void capture_scan_free(struct capture_scan *scan);

/*
 * 1 and a frame; 0 at the end of the file or where a frame is cut off by it
 * (then scan->at < scan->size); -EBADMSG where no frame begins, or -EIO.
 */
int capture_scan_next(struct capture_scan *scan,
		      struct capture_scan_frame *frame, struct error *error);

/* Reads up to size bytes at an offset; fewer at the end of the file. */
int capture_scan_read(int fd, uint64_t offset, void *data, size_t size,
		      size_t *got, struct error *error);

#endif
