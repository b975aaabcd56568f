/*
 * The data records of a bundle that is written: files are read in windows of
 * 4 MiB, and those that hold anything become records, on several threads.
 */
#ifndef DAEMON_BUNDLE_WINDOWS_H
#define DAEMON_BUNDLE_WINDOWS_H

#include "daemon/bundle.h"

struct bundle_windows;

/* plan is borrowed; open, as of bundle_writer, is called by _next only. */
int bundle_windows_new(struct bundle_windows **windows,
		       const struct bundle_plan *plan, unsigned threads,
		       int (*open)(void *data, unsigned n, int *fd,
				   struct error *error),
		       void *data, struct error *error);
void bundle_windows_free(struct bundle_windows *windows);

/* Begins behind a record that is there already; before the first _next. */
void bundle_windows_pass(struct bundle_windows *windows,
			 const struct bundle_head *head);

/* One record, head and body; borrowed until the next call. */
struct bundle_record {
	const uint8_t *data; /* NULL: this window is nothing but zeros */
	size_t size;
	unsigned file;
	uint32_t window; /* bytes of the file that were looked at */
};

/* 1 and the next, in order; 0 at the end; or an error, naming the file. */
int bundle_windows_next(struct bundle_windows *windows,
			struct bundle_record *record, struct error *error);

#endif
