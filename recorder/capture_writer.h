/*
 * Writes one session into a capture file (.pcapng.zst).
 *
 * The format stands in schema/capture.md: standard pcapng in standard zstd
 * frames, each followed by a skippable frame with its index entry and the
 * digest of the file up to there; at the end the whole index and a
 * signature. Every SPICE channel is a synthetic TCP connection to port 5930.
 *
 * Threads: one thread (the session's loop) calls everything here but
 * capture_writer_new and _free, which may be called by any. Compression,
 * digests and writing happen on a thread of the capture_pool, shared by all
 * writers of a process. What was added is in the file at most `FLUSH_NS`
 * later, or when CAPTURE_FRAME_MAX bytes have come together; call
 * capture_writer_tick() now and then to make that true for a quiet session.
 *
 * Failure: once the file can't be written (disk full, I/O error, fd lost)
 * every further call returns the same negative errno and error text.
 */
#ifndef RECORDER_CAPTURE_WRITER_H
#define RECORDER_CAPTURE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/error.h"

#define CAPTURE_FRAME_MAX (1u << 20)	/* bytes of pcapng in one zstd frame */
#define CAPTURE_FLUSH_NS UINT64_C(500000000) /* an older frame is closed, ns */
#define CAPTURE_BACKLOG_MAX (16u << 20)	/* bytes waiting; then _add says busy */
#define CAPTURE_DIGEST_SIZE 32		/* SHA-256 */
#define CAPTURE_SIGNATURE_SIZE 64	/* Ed25519 */

enum capture_direction {
	CAPTURE_TO_GUEST,	/* client -> server */
	CAPTURE_TO_CLIENT,	/* server -> client */
};

struct capture_pool;		/* the writing threads of this process */
struct capture_writer;

int capture_pool_new(struct capture_pool **pool, unsigned threads,
		     struct error *error);
void capture_pool_free(struct capture_pool *pool);	/* waits for writers */

/* Said once, in the section header's comment and options. */
struct capture_session {
	char id[40];		/* session id */
	char vault[64];
	char client[64];	/* address and port as text */
};

/* Takes over fd (a file open for writing, empty) unless it fails. */
int capture_writer_new(struct capture_writer **writer,
		       struct capture_pool *pool, int fd,
		       const struct capture_session *session,
		       struct error *error);

/*
 * A new channel instance; returns its number (>= 0), which is also the
 * synthetic client port 40000 + number. Writes the TCP handshake. `time` is
 * CLOCK_REALTIME in ns, never going back within a file (the writer mends it).
 * At most 20000 instances a file: then -ENOSPC.
 */
int capture_writer_open_channel(struct capture_writer *writer, uint64_t time,
				struct error *error);

/*
 * Adds bytes as one segment, or several when they are more than a segment
 * holds. Each PDU of the link (client link, server link, auth mechanism,
 * ticket, result) must come in a call of its own; ticket bytes are the
 * caller's to zero. Afterwards one call a message, or a part of one, keeps
 * tshark happy. 0, or -EAGAIN when CAPTURE_BACKLOG_MAX is reached (nothing
 * was added: stop reading the session and try again after the backlog fell),
 * or the writer's failure.
 */
int capture_writer_add(struct capture_writer *writer, int channel,
		       enum capture_direction direction, uint64_t time,
		       const void *data, size_t size, struct error *error);

/*
 * Gathers a message from two places (header and body) without a copy.
 * Otherwise as capture_writer_add.
 */
int capture_writer_addv(struct capture_writer *writer, int channel,
			enum capture_direction direction, uint64_t time,
			const void *head, size_t head_size, const void *data,
			size_t size, struct error *error);

/* The channel's connection ends; nothing may be added to it any more. */
int capture_writer_close_channel(struct capture_writer *writer, int channel,
				 uint64_t time, struct error *error);

/* Closes a frame that is older than CAPTURE_FLUSH_NS; 0 or the failure. */
int capture_writer_tick(struct capture_writer *writer, uint64_t time,
			struct error *error);

/*
 * True when half of CAPTURE_BACKLOG_MAX waits: stop reading until eventfd is
 * readable. Otherwise some MiB more are sure to be taken without -EAGAIN.
 */
bool capture_writer_is_behind(struct capture_writer *writer);

/* Bytes of the file so far (compressed), bytes waiting to be written. */
uint64_t capture_writer_bytes(struct capture_writer *writer);
size_t capture_writer_backlog(struct capture_writer *writer);

/*
 * An eventfd that becomes readable when the backlog has fallen below half of
 * CAPTURE_BACKLOG_MAX after a -EAGAIN or is_behind(), when the writer failed,
 * and when finish or sign is done. Owned by the writer; read it to clear it.
 */
int capture_writer_eventfd(struct capture_writer *writer);

/*
 * Ends the file in two steps. finish: writes the last frame and the index;
 * when done (asynchronous: poll with capture_writer_finished) digest is the
 * SHA-256 of the file up to there. sign: appends the signature of that
 * digest and gives the SHA-256 and size of the whole file. Without a
 * signature the file is complete but unsigned.
 */
int capture_writer_finish(struct capture_writer *writer, struct error *error);
/* 1 done, 0 not yet, or the failure. */
int capture_writer_finished(struct capture_writer *writer,
			    uint8_t digest[CAPTURE_DIGEST_SIZE],
			    struct error *error);
/* Blocks for one small write; only after finished said 1. */
int capture_writer_sign(struct capture_writer *writer,
			const uint8_t signature[CAPTURE_SIGNATURE_SIZE],
			uint8_t file_digest[CAPTURE_DIGEST_SIZE],
			uint64_t *file_size, struct error *error);

/*
 * Unfinished is allowed: the file then ends at its last frame. What was added
 * is still written, and fd closed, by the pool: capture_pool_free() waits.
 */
void capture_writer_free(struct capture_writer *writer);

#endif
