/*
 * The writing threads of a process and the chunks they work on. Between
 * capture_writer.c, which fills chunks, and capture_pool.c, which compresses
 * and writes them; nobody else includes this.
 *
 * A chunk is filled by the session's thread alone, then handed over. Any
 * thread of the pool compresses it; the chunks of one writer are written in
 * their order by whichever thread finds the first of them ready.
 */
#ifndef RECORDER_CAPTURE_POOL_H
#define RECORDER_CAPTURE_POOL_H

#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>

#include "recorder/capture_frame.h"
#include "recorder/capture_writer.h"

/* ZSTD_COMPRESSBOUND(CAPTURE_FRAME_MAX) and the entry behind the frame. */
#define CHUNK_PACKED_MAX                                                       \
	(CAPTURE_FRAME_MAX + (CAPTURE_FRAME_MAX >> 8) + CAPTURE_ENTRY_SIZE)

struct chunk {
	struct chunk *next;		/* in the pool's work or free list */
	struct chunk *after;		/* in its writer's order */
	struct capture_writer *writer;
	bool ready;			/* compressed, may be written */
	bool last;			/* index follows */
	int failure;			/* of compression, negative errno */
	size_t size;			/* bytes in plain */
	size_t packed_size;
	uint64_t first_time, last_time;
	struct capture_counts counts;
	uint8_t plain[CAPTURE_FRAME_MAX];
	uint8_t packed[CHUNK_PACKED_MAX];
};

enum writer_state {
	WRITER_OPEN,
	WRITER_FINISHING,	/* the last chunk has been handed over */
	WRITER_FINISHED,	/* index written, digest known */
	WRITER_SIGNED,
};

/* The file behind a writer. Who holds `writing` owns the second half. */
struct capture_file {
	struct capture_pool *pool;
	int fd;
	int event;			/* eventfd */
	atomic_int failure;		/* negative errno, sticks */
	atomic_size_t backlog;		/* bytes handed over, not yet written */
	atomic_uint_fast64_t bytes;	/* of the file so far */
	atomic_bool starved;		/* -EAGAIN was given */
	atomic_int state;		/* enum writer_state */
	struct error error;		/* with failure; pool's lock */
	struct chunk *first, *last;	/* in order; pool's lock */
	bool writing;			/* pool's lock */
	bool orphan;			/* writer freed; pool's lock */

	EVP_MD_CTX *running;		/* SHA-256 of all written bytes */
	EVP_MD_CTX *copy;
	uint64_t plain;			/* bytes of pcapng so far */
	uint64_t synced;		/* CLOCK_MONOTONIC of fdatasync, ns */
	struct capture_totals totals;
	struct capture_record *records;
	size_t records_room;
	uint8_t digest[CAPTURE_DIGEST_SIZE];	/* when finished */
};

/* Counts the writer in; pool_remove frees what stands in `file`. */
int capture_pool_add(struct capture_pool *pool, struct capture_file *file,
		     struct error *error);
/* The writer is freed as soon as its chunks are written. */
void capture_pool_remove(struct capture_writer *writer);

/* An empty chunk, or NULL. */
struct chunk *capture_pool_chunk(struct capture_pool *pool);
/* Takes over a filled chunk (or an empty one, for its `last`, or to sync). */
void capture_pool_submit(struct chunk *chunk);

/* 0, or the failure that ended the writing, with its text. */
int capture_pool_failure(struct capture_file *file, struct error *error);
/* Ends the writing; only the first failure counts. */
void capture_pool_fail(struct capture_file *file, const struct error *error);

/* Writes a compressed chunk, and the index behind the last one. */
void capture_file_write(struct capture_file *file, struct chunk *chunk);
/* Appends to the file and its running digest; by who owns it. */
int capture_file_append(struct capture_file *file, const void *data,
			size_t size, struct error *error);
int capture_file_sync(struct capture_file *file, struct error *error);
/* SHA-256 of what has been appended. */
int capture_file_digest(struct capture_file *file,
			uint8_t digest[CAPTURE_DIGEST_SIZE],
			struct error *error);

struct capture_channel_state {
	uint32_t seq[2];		/* next of each direction */
	bool open;
};

struct capture_writer {
	struct capture_file file;
	struct chunk *chunk;		/* being filled, or NULL */
	struct capture_session session;
	bool begun;			/* section header written */
	uint64_t time;			/* latest, ns since 1970 */
	uint64_t opened;		/* the chunk, as the caller's time */
	uint64_t submitted;		/* latest chunk, as the caller's time */
	bool unsynced;
	struct capture_channel_state *channels;
	uint32_t channel_count, channel_room;
};

#endif
