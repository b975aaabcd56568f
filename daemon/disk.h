/*
 * Disk images of vaults, through qemu-img.
 */
#ifndef DAEMON_DISK_H
#define DAEMON_DISK_H

#include <stdint.h>

#include "recorder/error.h"

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

/*
 * The virtual size of a raw or qcow2 image, from its header alone, and without
 * a lock: nothing of it is looked at otherwise.
 */
int disk_size(const char *path, const char *format, uint64_t *size,
	      struct error *error);

/* A new empty qcow2 image. -EEXIST, -ENOSPC. */
int disk_create(const char *path, uint64_t virtual_size, struct error *error);

/*
 * Copies an image (or any file) into the vault: by reflink where the file
 * system can, sparse otherwise; whole or not at all. -EEXIST: nothing that
 * is there is replaced.
 */
int disk_copy(const char *from, const char *to, struct error *error);

#endif
