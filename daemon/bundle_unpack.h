/*
 * The data records of a bundle that is read: verified, unpacked and written
 * into their files, on several threads.
 */
#ifndef DAEMON_BUNDLE_UNPACK_H
#define DAEMON_BUNDLE_UNPACK_H

#include "daemon/bundle.h"

struct bundle_unpack;

/* A file that records are written into; closed with the last of them. */
struct bundle_target;

/* fd: taken; -1: nothing is written. NULL without memory (fd is closed). */
struct bundle_target *bundle_target_new(int fd);
void bundle_target_put(struct bundle_target *target);

int bundle_unpack_new(struct bundle_unpack **unpack, unsigned threads,
		      struct error *error);
void bundle_unpack_free(struct bundle_unpack *unpack);

/* No more can be added before one is collected. */
bool bundle_unpack_is_full(const struct bundle_unpack *unpack);

/*
 * Reads a record's body from fd and hands it to the threads. Both lengths of
 * the head are within their limits and not 0. Errors of bundle_read_all;
 * -ENOMEM.
 */
int bundle_unpack_add(struct bundle_unpack *unpack, int fd,
		      const struct bundle_head *head,
		      const uint8_t raw[BUNDLE_HEAD], uint64_t at,
		      struct bundle_target *target);

/* What became of a record. */
struct bundle_unpacked {
	struct bundle_head head;
	uint8_t raw[BUNDLE_HEAD];
	uint64_t at;      /* of its head in the bundle */
	uint32_t written; /* bytes that were not zero */
	/* -EBADMSG: it is damaged; -EINVAL: it is not what its head says. */
	int r;
	struct error error;
};

/* Waits for the oldest; false when there is none. */
bool bundle_unpack_collect(struct bundle_unpack *unpack,
			   struct bundle_unpacked *unpacked);

#endif
