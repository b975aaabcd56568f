/*
 * The pcapng inside a capture file, block by block: from .pcapng.zst (whole
 * frames only, each with its checksum verified) or from plain pcapng.
 */
#ifndef RECORDER_CAPTURE_SOURCE_H
#define RECORDER_CAPTURE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/error.h"

struct capture_source;

struct capture_block {
	uint32_t type;		/* PCAPNG_* or another */
	const uint8_t *data;	/* the whole block, borrowed until the next */
	uint32_t size;
	uint64_t offset;	/* in the pcapng */
};

/* Does not take over fd, which is a regular file. */
int capture_source_new(struct capture_source **source, int fd,
		       struct error *error);
void capture_source_free(struct capture_source *source);

/* 1 and a block, 0 at the end of what is whole, or negative. */
int capture_source_next(struct capture_source *source,
			struct capture_block *block, struct error *error);

/* After the end: what the file's frames said. */
struct capture_source_end {
	bool complete;		/* the index was there; plain: no torn block */
	bool is_signed;
	uint64_t good_bytes;	/* of the file */
};

void capture_source_end(const struct capture_source *source,
			struct capture_source_end *end);

#endif
