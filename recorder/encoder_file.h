/* The finished file: the packets of an encoder's log, by libavformat. */
#ifndef RECORDER_ENCODER_FILE_H
#define RECORDER_ENCODER_FILE_H

#include "recorder/encoder_codec.h"
#include "recorder/encoder_log.h"
#include "recorder/encoder_track.h"
#include "recorder/error.h"

/*
 * Writes all of the log to fd, the tracks' packets in the order of their
 * times. Video is the first track, then come the sounds there are.
 * -ECANCELED when `progress` (may be NULL) says so.
 */
int encoder_file_write(int fd, const struct encoder_options *options,
		       struct encoder_track *const *tracks,
		       struct encoder_log *log,
		       int (*progress)(void *user, double done), void *user,
		       struct error *error);

/* Text of a libav error number. */
int encoder_error(struct error *error, int averror, const char *what);

#endif
