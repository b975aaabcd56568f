/*
 * Writes a bundle (bundle.h) of files that nobody changes meanwhile, on
 * several threads. The same files and plan give the same bytes, so that one
 * which was cut off is gone on with, at any byte.
 */
#ifndef DAEMON_BUNDLE_WRITE_H
#define DAEMON_BUNDLE_WRITE_H

#include "daemon/bundle.h"
#include "recorder/bytes.h"

struct bundle_writer {
	const struct bundle_plan *plan;
	const char *plan_text; /* as it was printed first */
	int output;
	bool is_file; /* the output: else a pipe */
	/*
	 * A file of heads of the records that are written, for going on. Of an
	 * output that is a file, what it names is on the disk; of a pipe, it
	 * names whatever was given into it.
	 */
	int journal;
	/*
	 * What of the bundle is there already: bytes. A file is cut to what
	 * the journal knows; of a pipe, so many bytes are not written.
	 */
	uint64_t have;
	unsigned threads; /* 0: one for each processor, at most 8 */
	/* File n of the plan, to be read; the writer closes it. */
	int (*open)(void *data, unsigned n, int *fd, struct error *error);
	/* The body of the signature for a text of BUNDLE_SIGNED_SIZE. */
	int (*sign)(void *data, const uint8_t *text, struct buffer *body,
		    struct error *error);
	/*
	 * The body of the handover, when all else has been written. From when
	 * this returns the lease is no longer here.
	 */
	int (*handover)(void *data, struct buffer *body, struct error *error);
	void (*progress)(void *data, uint64_t done, uint64_t all); /* or NULL */
	void *data;
};

/*
 * -ESTALE: a file is not what it was when the journal was written, or not as
 * long as the plan says. -ENOSPC: a file's disk has less than 64 MiB left; it
 * can be gone on with.
 */
int bundle_write(const struct bundle_writer *writer, struct error *error);

#endif
