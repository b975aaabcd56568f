/*
 * The zstd skippable frames of a capture file: the entry behind each data
 * frame, the closing index, the signature. Bytes and offsets stand in
 * schema/capture.md; all integers are little-endian.
 */
#ifndef RECORDER_CAPTURE_FRAME_H
#define RECORDER_CAPTURE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/bytes.h"
#include "recorder/capture_writer.h"
#include "recorder/error.h"

#define CAPTURE_FRAME_VERSION 1
#define CAPTURE_FRAME_MAGIC 0x184d2a5cu	/* zstd: skippable, user's nibble */
#define CAPTURE_FRAME_HEAD 16		/* bytes all three begin with */
#define CAPTURE_ENTRY_SIZE 128		/* whole skippable frame, bytes */
#define CAPTURE_INDEX_HEAD 80		/* before the first record */
#define CAPTURE_INDEX_RECORD 32
#define CAPTURE_INDEX_TAIL 16
#define CAPTURE_SIGN_SIZE 112		/* whole skippable frame, bytes */
#define CAPTURE_INDEX_MAX (1u << 24)	/* records accepted */

enum capture_frame_kind {
	CAPTURE_FRAME_ENTRY = 1,
	CAPTURE_FRAME_INDEX = 2,
	CAPTURE_FRAME_SIGNATURE = 3,
};

/* What is counted, of one frame or of the whole file. */
struct capture_counts {
	uint32_t packets;
	uint32_t channels;		/* instances that began */
	uint64_t bytes_to_guest;	/* payload */
	uint64_t bytes_to_client;
};

/* Behind a data frame. */
struct capture_entry {
	uint32_t sequence;	/* of the data frame, from 0 */
	uint32_t packed;	/* bytes of the data frame */
	uint32_t plain;		/* bytes of pcapng in it */
	uint64_t file_offset;	/* of the data frame */
	uint64_t plain_offset;	/* in the pcapng */
	uint64_t first_time;	/* ns since 1970, of its packets */
	uint64_t last_time;
	struct capture_counts counts;
	uint8_t digest[CAPTURE_DIGEST_SIZE];	/* file up to the entry */
};

/* One data frame in the closing index. */
struct capture_record {
	uint64_t file_offset;
	uint64_t plain_offset;
	uint64_t first_time;
	uint64_t last_time;
};

/* Before the records of the closing index. */
struct capture_totals {
	uint32_t frames;
	uint64_t plain;		/* bytes of pcapng in the whole file */
	uint64_t first_time;
	uint64_t last_time;
	struct capture_counts counts;
};

void capture_entry_put(uint8_t at[CAPTURE_ENTRY_SIZE],
		       const struct capture_entry *entry);
/* Appends the index, which will stand at file_offset. */
void capture_index_put(struct buffer *out, const struct capture_totals *totals,
		       const struct capture_record *records,
		       uint64_t file_offset);
void capture_sign_put(uint8_t at[CAPTURE_SIGN_SIZE],
		      const uint8_t digest[CAPTURE_DIGEST_SIZE],
		      const uint8_t signature[CAPTURE_SIGNATURE_SIZE]);

/*
 * The first CAPTURE_FRAME_HEAD bytes of a skippable frame of ours: kind and
 * size of the whole frame. -ENOMSG when it is somebody else's, -EBADMSG when
 * it is ours but of a version or kind that is not known.
 */
int capture_frame_head(const uint8_t head[CAPTURE_FRAME_HEAD],
		       enum capture_frame_kind *kind, uint64_t *size,
		       struct error *error);

/* Read whole skippable frames; -EBADMSG when a field cannot be. */
int capture_entry_get(const uint8_t at[CAPTURE_ENTRY_SIZE],
		      struct capture_entry *entry);
/* Head only; the records follow it, see capture_record_get. */
int capture_index_get(const uint8_t at[CAPTURE_INDEX_HEAD], uint64_t frame_size,
		      struct capture_totals *totals);
void capture_record_get(const uint8_t at[CAPTURE_INDEX_RECORD],
			struct capture_record *record);
/* Where the index frame begins, from its last bytes; or -EBADMSG. */
int capture_tail_get(const uint8_t at[CAPTURE_INDEX_TAIL],
		     uint64_t *file_offset);
int capture_sign_get(const uint8_t at[CAPTURE_SIGN_SIZE],
		     uint8_t digest[CAPTURE_DIGEST_SIZE],
		     uint8_t signature[CAPTURE_SIGNATURE_SIZE]);

/* Adds b to a. */
void capture_counts_add(struct capture_counts *a,
			const struct capture_counts *b);

#endif
