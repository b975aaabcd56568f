/*
 * A QEMU in a folder: files and a manifest with their digests.
 *
 *   run                    a script that starts it with what lies beside it
 *   bin/qemu-system-x86_64 lib/ (the dynamic loader too)  modules/
 *   share/                 ROM files
 *   manifest.json          {format, qemu, package, made_at, machine,
 *                          files: [{path, size, sha256}]}
 *
 * A manifest names every file but itself. Its own SHA-256 stands for them all.
 */
#ifndef DAEMON_MACHINE_FILES_H
#define DAEMON_MACHINE_FILES_H

#include <jansson.h>
#include <stdint.h>

#include "recorder/error.h"

#define MACHINE_DIGEST_SIZE 65

/*
 * Reads a manifest; it may be hostile. -ENOENT when there is none, -EBADMSG
 * when it is not one.
 */
int machine_files_read(const char *folder, json_t **manifest,
		       char digest[MACHINE_DIGEST_SIZE], struct error *error);

/* Lists the files into manifest, writes it last, and makes all of it last. */
int machine_files_write(const char *folder, json_t *manifest,
			char digest[MACHINE_DIGEST_SIZE], struct error *error);

/*
 * Reads every file: -EBADMSG unless the folder holds the manifest's files, all
 * of them, unchanged, and nothing else. Makes them executable.
 */
int machine_files_verify(const char *folder, const json_t *manifest,
			 struct error *error);

/* Bytes of all files. */
uint64_t machine_files_size(const json_t *manifest);

#endif
