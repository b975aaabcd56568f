/*
 * Reads a bundle (bundle.h) that somebody else made, on several threads: each
 * record is verified before a byte of it is unpacked. With files to write to
 * it is an import, without it a check that goes on behind what is damaged.
 */
#ifndef DAEMON_BUNDLE_READ_H
#define DAEMON_BUNDLE_READ_H

#include "daemon/bundle.h"

struct bundle_reader {
	int input; /* a file or a pipe */
	/*
	 * NULL, or the plan of an import that is gone on with: the input
	 * begins behind what the journal knows.
	 */
	const struct bundle_plan *plan;
	uint8_t plan_digest[BUNDLE_DIGEST]; /* with a plan; of its record */
	size_t plan_size;                   /* with a plan; bytes of its text */
	/* Heads of the records that are written and lasting; -1: a check. */
	int journal;
	unsigned threads; /* 0: one for each processor, at most 8 */
	/*
	 * The first record was read: what becomes of its plan is not yet
	 * decided. From here on *plan is used; it stays the callee's.
	 */
	int (*take_plan)(void *data, const char *text, size_t size,
			 const uint8_t digest[BUNDLE_DIGEST],
			 const struct bundle_plan **plan, struct error *error);
	/* File n, to be written, of its size; the reader closes it. */
	int (*open)(void *data, unsigned n, int *fd, struct error *error);
	/* Makes lasting what was written so far. */
	int (*sync)(void *data, struct error *error);
	/* Who signed it, hexadecimal; the signature is good. */
	int (*signed_by)(void *data, const char *key, struct error *error);
	int (*handover)(void *data, const char *text, size_t size,
			struct error *error);
	void (*progress)(void *data, uint64_t done, uint64_t all); /* or NULL */
	void *data;
};

/* Bytes of a bundle before its first data record, for a plan's text. */
uint64_t bundle_start(size_t plan_size);

/*
 * Where the input goes on for a journal; the journal is cut to whole heads.
 * -ESTALE when it is damaged.
 */
int bundle_position(int journal, size_t plan_size, uint64_t *position,
		    struct error *error);

/*
 * The bundle is whole and good. -EBADMSG: it is damaged; the error names file
 * and bytes. -ENODATA: it ends too early, which more of it may mend. -EINVAL:
 * no export of ours makes such a one.
 */
int bundle_read(const struct bundle_reader *reader, struct error *error);

#endif
