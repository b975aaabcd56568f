/*
 * The index of a capture file: where its frames are and what they hold.
 *
 * load takes it from the end of the file, in one read. rebuild walks the
 * file from its beginning, checks the digest in every entry, and makes the
 * index from the entries, or, where an entry is torn off, from the frame
 * itself. So recovery after a crash needs nothing but the file.
 */
#ifndef RECORDER_CAPTURE_INDEX_H
#define RECORDER_CAPTURE_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/capture_frame.h"
#include "recorder/error.h"

struct capture_index {
	bool complete;		/* the closing index was there */
	bool is_signed;		/* a signature was there; not checked here */
	uint64_t file_bytes;
	uint64_t good_bytes;	/* up to the end of the last whole frame */
	struct capture_totals totals;
	struct capture_record *records;	/* totals.frames of them */
	size_t room;			/* for so many */
	/*
	 * SHA-256 of the first good_bytes bytes. Zero after damage, and after
	 * a load from the tail, which does not read the file.
	 */
	uint8_t digest[CAPTURE_DIGEST_SIZE];
	/* Of a signature: what it signs, and the signature. */
	uint8_t signed_digest[CAPTURE_DIGEST_SIZE];
	uint8_t signature[CAPTURE_SIGNATURE_SIZE];
};

/*
 * Where the closing index frame begins, or -ENODATA when the file does not
 * end with one (and perhaps a signature behind it).
 */
int capture_index_tail(int fd, uint64_t file_size, uint64_t *offset);

/* From the tail when it is there, otherwise as rebuild. */
int capture_index_load(struct capture_index **index, int fd,
		       struct error *error);

/*
 * From the whole file. A torn end is no error: see good_bytes. Damage before
 * it is -EBADMSG: a digest, an index or a signed digest that does not fit,
 * or bytes that are no frame; `index` is then given as well, for what stands
 * before the damage.
 */
int capture_index_rebuild(struct capture_index **index, int fd,
			  struct error *error);

/* One record more, behind the others; -ENOMEM when there are too many. */
int capture_index_add(struct capture_index *index,
		      const struct capture_record *record);

void capture_index_free(struct capture_index *index);

/* The last frame that begins at or before time (ns); 0 when none does. */
uint32_t capture_index_find(const struct capture_index *index, uint64_t time);

#endif
