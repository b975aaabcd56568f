/*
 * The format of a vault on its way to another host: schema/bundle.md.
 *
 * A bundle is one stream: a magic number, then records, each a head of 64
 * bytes and a body. The plan comes first and names every file; data records
 * follow, the manifest and its signature, with a move the lease that is
 * handed over, and the end. What is read of a bundle is somebody else's.
 */
#ifndef DAEMON_BUNDLE_H
#define DAEMON_BUNDLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/error.h"

#define BUNDLE_MAGIC "MVAULT1\n"
#define BUNDLE_MAGIC_SIZE 8
#define BUNDLE_HEAD 64
#define BUNDLE_DIGEST 32
#define BUNDLE_CHUNK (4u << 20)      /* bytes of a file in one record */
#define BUNDLE_STORED_MAX (5u << 20) /* of a record's body */
#define BUNDLE_FILES_MAX 20000
#define BUNDLE_PATH_SIZE 512
#define BUNDLE_FILE_MAX (UINT64_C(1) << 46) /* 64 TiB */
#define BUNDLE_BLOCK 4096 /* zeros of this size are left out */

enum bundle_kind {
	BUNDLE_PLAN = 1,
	BUNDLE_DATA,
	BUNDLE_MANIFEST,
	BUNDLE_SIGNATURE,
	BUNDLE_HANDOVER,
	BUNDLE_END,
};

struct bundle_head {
	uint32_t kind;
	uint32_t stored; /* bytes of the body */
	uint32_t length; /* bytes of the file, DATA only */
	uint32_t file;   /* number in the plan */
	uint64_t offset; /* in the file */
	uint8_t digest[BUNDLE_DIGEST];
};

/* Makes a head, its digest over the body included. */
int bundle_head_make(struct bundle_head *head, const void *body,
		     uint8_t to[BUNDLE_HEAD], struct error *error);

/* -EBADMSG when its checksum is wrong, -EINVAL for sizes that can't be. */
int bundle_head_read(struct bundle_head *head, const uint8_t from[BUNDLE_HEAD],
		     struct error *error);

/* Whether the body (head->stored bytes) is the one that the head is of. */
bool bundle_head_fits(const struct bundle_head *head,
		      const uint8_t raw[BUNDLE_HEAD], const void *body);

struct bundle_file {
	char *path;          /* in the vault's folder */
	uint64_t size, data; /* bytes; data: at most so many are not zero */
	bool program;        /* may be executed; below machine/ only */
};

struct bundle_plan {
	char id[33]; /* of this export, hexadecimal */
	char name[64], uuid[37];
	int64_t created_at, made_at; /* us since 1970: vault, export */
	bool moved;                  /* a HANDOVER record follows */
	bool running;                /* the guest ran: see snapshot.h */
	json_t *spec, *policy;       /* objects */
	struct bundle_file *files;   /* sorted by path, each path once */
	unsigned count;
	uint64_t data; /* of all files */
};

/* Whether a bundle may hold such a file; it is in the vault's folder. */
bool bundle_path_is_good(const char *path);

/* A lock, a log or a half of a file, which no bundle holds. */
bool bundle_path_is_passing(const char *path);

/*
 * The plan that a text (JSON, no NUL needed) is. -EINVAL for what is no plan,
 * or one that no export of ours would make.
 */
int bundle_plan_read(struct bundle_plan **plan, const char *text, size_t size,
		     struct error *error);
void bundle_plan_free(struct bundle_plan *plan);

/* Its text, always the same for the same plan; free() it. */
char *bundle_plan_print(const struct bundle_plan *plan);

/* What is signed: a text with the manifest's digest; see schema/bundle.md. */
#define BUNDLE_SIGNED_SIZE (17 + BUNDLE_DIGEST)
void bundle_signed_text(const uint8_t manifest[BUNDLE_DIGEST],
			uint8_t text[BUNDLE_SIGNED_SIZE]);

void bundle_hex(const uint8_t *data, size_t size, char *hex);
/* false when it is not exactly that many bytes. */
bool bundle_unhex(const char *hex, uint8_t *data, size_t size);

/* Whether bytes, one at least, are all 0. */
bool bundle_is_zero(const uint8_t *data, size_t size);

/* The whole of it, or a negative errno; -ENODATA: the end came first. */
int bundle_read_all(int fd, void *data, size_t size);
int bundle_write_all(int fd, const void *data, size_t size);

#endif
