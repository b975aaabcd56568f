/*
 * What was encoded so far, in a file beside the one that is to be: so that an
 * encoder that was killed goes on where it was.
 *
 * A header says what it is a part of; records follow, each a packet of one
 * track with its times and a checksum. Every key frame is a place to go on
 * from: what went before it is complete, and is on the disk before the
 * packets of the frames after it (fdatasync). On opening, what follows the
 * last key frame is cut off, and what is damaged or part of something else is
 * cut off before. Bytes are in this machine's order: the file is for the
 * same program on the same machine.
 *
 * It is as large as the video and its sound together, and there until the
 * finished file is: at the end both take place on the disk.
 */
#ifndef RECORDER_ENCODER_LOG_H
#define RECORDER_ENCODER_LOG_H

#include <libavcodec/avcodec.h>
#include <stdbool.h>
#include <stdint.h>

#include "recorder/error.h"

#define ENCODER_LOG_TRACKS 3 /* the first is the video */
#define ENCODER_LOG_ID 32    /* bytes */
/* Frames before a place to go on from; an encoder reorders fewer. */
#define ENCODER_LOG_FRAMES_LEAST 16

struct encoder_log;

/* What an earlier encoder left of a track. */
struct encoder_log_kept {
	uint64_t packets;
	int64_t end; /* of the last packet, in the track's time base */
};

/*
 * fd stays the caller's; readable, writable, seekable. An empty file is
 * begun, one with another id is begun again.
 */
int encoder_log_open(struct encoder_log **log, int fd,
		     const uint8_t id[ENCODER_LOG_ID], struct error *error);
void encoder_log_free(struct encoder_log *log);

const struct encoder_log_kept *encoder_log_kept(const struct encoder_log *log,
						unsigned track);
/* Time of the video packet that was cut off: where to go on. */
int64_t encoder_log_seam(const struct encoder_log *log);
/* Nothing is left to encode. */
bool encoder_log_is_whole(const struct encoder_log *log);

/* May be called by several threads at a time, one for each track. */
int encoder_log_add(struct encoder_log *log, unsigned track,
		    const AVPacket *packet, struct error *error);
/* All tracks are whole. */
int encoder_log_end(struct encoder_log *log, struct error *error);

/*
 * The next packet of one track, from its first on; each track is read on its
 * own. 1 and a packet, 0 at the end.
 */
int encoder_log_next(struct encoder_log *log, unsigned track, AVPacket *packet,
		     struct error *error);
/* Bytes of it, and of it that were read as a packet. */
void encoder_log_size(const struct encoder_log *log, uint64_t *all,
		      uint64_t *read);

#endif
