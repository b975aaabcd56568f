/*
 * Folders and whole files.
 */
#ifndef DAEMON_FOLDER_H
#define DAEMON_FOLDER_H

#include <stddef.h>
#include <sys/types.h>

#include "recorder/error.h"

/* Makes the last folder of path; one that is there already is fine. */
int folder_make(const char *path, mode_t mode, struct error *error);

/* Makes every folder of path that is missing. */
int folder_make_all(const char *path, mode_t mode, struct error *error);

/* Removes a folder with all that is in it; follows no links. 0 when gone. */
int folder_remove(const char *path, struct error *error);

/* Writes a file that appears whole and lasting, or not at all. */
int folder_write(const char *path, const void *data, size_t size, mode_t mode,
		 struct error *error);

/* Removes what a folder_write that was killed has left in the folder. */
void folder_remove_parts(const char *path);

/* A text file of at most max bytes; free() it. */
int folder_read(const char *path, size_t max, char **text, struct error *error);

/* Makes entries of a folder last (fsync). */
int folder_sync(const char *path, struct error *error);
/* The same of it and all folders below. */
int folder_sync_all(const char *path, struct error *error);

#endif
