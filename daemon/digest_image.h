/*
 * The digests of what a guest sees on an image (digest_tree.h), made by
 * several threads.
 *
 * Where the image holds something, and in which of the files that it stands
 * on, is what qemu-img says; those bytes are read straight from the files.
 * Only what is compressed is read through qemu-nbd. Nothing may write to any
 * of the files meanwhile.
 */
#ifndef DAEMON_DIGEST_IMAGE_H
#define DAEMON_DIGEST_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/digest_tree.h"
#include "recorder/error.h"

struct digest_image {
	/* The image, what it stands on, …, and the image's own format. */
	const char *const *paths;
	unsigned path_count;
	const char *format;
	uint64_t size; /* bytes that the guest sees */
	/* Of the image below: what the image has from it is not read. */
	const struct digest_tree *below;
	/*
	 * Reads from the medium and not what the host remembers of it, and
	 * leaves nothing of it in the host's cache.
	 */
	bool from_medium;
	unsigned threads; /* 0: one for each processor */
	/*
	 * In the calling thread, every few MiB of the disk: how much of it is
	 * done, and how much was read for that. Not 0 ends it.
	 */
	int (*tell)(void *data, uint64_t done, uint64_t read,
		    struct error *error);
	void *data;
};

/*
 * Makes the tree in a file, or goes on with one that was not finished; fd
 * stays the caller's. -EIO when something can't be read, what tell returned
 * when that ended it.
 */
int digest_image_make(const struct digest_image *image, int fd,
		      struct error *error);

#endif
