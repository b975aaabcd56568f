/*
 * Disk images of vaults, through qemu-img.
 */
#ifndef DAEMON_DISK_H
#define DAEMON_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/error.h"

/*
 * What qemu-img does for the calling thread ends with -ECANCELED when this
 * becomes true; NULL: it does not.
 */
void disk_set_cancel(const volatile bool *cancel);

struct disk_info {
	char format[16];	/* "qcow2", "raw", … */
	uint64_t virtual_size;	/* bytes the guest sees */
	uint64_t actual_size;	/* bytes on the host */
};

/*
 * -ENOENT, -EINVAL when it is no image or not a file, or needs another file
 * (a backing file, an external data file). The format is a guess: a raw image
 * may look like another one to whoever guesses again, so it is kept and given
 * to everybody.
 */
int disk_inspect(const char *path, struct disk_info *info, struct error *error);
/* The same of an image whose format is known. */
int disk_inspect_as(const char *path, const char *format,
		    struct disk_info *info, struct error *error);

/*
 * The virtual size of a raw or qcow2 image, from its header alone, and without
 * a lock: nothing of it is looked at otherwise.
 */
int disk_size(const char *path, const char *format, uint64_t *size,
	      struct error *error);

/*
 * No QEMU begins to write to the image before close(*hold). -EBUSY when one
 * does already.
 */
int disk_hold(const char *path, int *hold, struct error *error);

/* A new empty qcow2 image. -EEXIST, -ENOSPC. */
int disk_create(const char *path, uint64_t virtual_size, struct error *error);

/*
 * Copies an image (or any file) into the vault: by reflink where the file
 * system can, sparse otherwise; whole or not at all. -EEXIST: nothing that
 * is there is replaced.
 */
int disk_copy(const char *from, const char *to, struct error *error);

/*
 * A new empty qcow2 image of that size on another one beside it, which is
 * named without its folder and not looked at: it may be in use. -EEXIST.
 */
int disk_create_on(const char *path, const char *backing, const char *format,
		   uint64_t virtual_size, struct error *error);

/*
 * Joins two images of which one stands on the other, both not in use. What a
 * guest sees through either image that stands on top stays as it is at every
 * moment; it can be interrupted and done again.
 *
 * disk_commit writes what `path` holds into its backing file; both then show
 * the same. disk_rebase copies into `path` what it has from the image below,
 * and puts it on that one's own backing file (NULL: on none).
 */
int disk_commit(const char *path, struct error *error);
int disk_rebase(const char *path, const char *backing, const char *format,
		struct error *error);

/* Names another backing file that shows the same; copies nothing. */
int disk_rename_backing(const char *path, const char *backing,
			const char *format, struct error *error);

/*
 * Where the image holds something: JSON of `qemu-img map`, a list of objects
 * start, length, depth, zero, …; free() it. -ENOMEM when that is over 256 MiB.
 */
int disk_map(const char *path, const char *format, char **json,
	     struct error *error);

/* Bytes that an image takes on the host; 0 when it is not there. */
uint64_t disk_actual_size(const char *path);

/* -ENOSPC unless the file system of a folder has that much left, and some. */
int disk_check_space(const char *folder, uint64_t bytes, struct error *error);

/* Makes what was written to a file last. */
int disk_sync(const char *path, struct error *error);

#endif
