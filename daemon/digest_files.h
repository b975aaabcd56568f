/*
 * Digests of a folder's small files that never change: FOLDER/files.sha256, as
 * sha256sum writes it, so that `sha256sum -c files.sha256` checks them too.
 */
#ifndef DAEMON_DIGEST_FILES_H
#define DAEMON_DIGEST_FILES_H

#include "recorder/error.h"

#define DIGEST_FILES "files.sha256"

/* Of every regular file below the folder, lasting; replaces an older list. */
int digest_files_write(const char *folder, struct error *error);

/*
 * Calls back for every file that is not what the list says: changed, missing,
 * or not in it; name is without the folder. -ENOENT when there is no list,
 * -EBADMSG when the list itself is damaged.
 */
int digest_files_check(const char *folder,
		       void (*found)(void *data, const char *name,
				     const char *what),
		       void *data, struct error *error);

#endif
