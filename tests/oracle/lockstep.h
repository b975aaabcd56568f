/*
 * Our decoder and spice-client-glib, given the same messages one by one.
 *
 * After each message that draws, the surface it drew on must be equal in
 * both, bit for bit; the pad byte of xRGB and the top bit of 555 mean nothing
 * and are left out. Frames of MJPEG as well; those of other codecs must be
 * within LOCKSTEP_FRAME_MEAN (colour conversion and upsampling differ) of
 * one of our last frames, because a decoder may keep some back. Afterwards
 * the client takes over our pixels, so that what follows is exact again.
 *
 * The client gives away only its primary surface. An off-screen surface is
 * laid on the primary by messages that only the client gets, and what the
 * primary showed is put back.
 */
#ifndef TESTS_ORACLE_LOCKSTEP_H
#define TESTS_ORACLE_LOCKSTEP_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/capture_reader.h"
#include "recorder/display.h"
#include "recorder/error.h"

/* Of a component of a pixel of a video frame: the mean of a frame. */
#define LOCKSTEP_FRAME_MEAN 3.0

struct lockstep;

struct lockstep_counts {
	uint64_t messages[DISPLAY_MESSAGE_MAX];
	uint64_t images[IMAGE_TYPE_MAX];
	uint64_t compared;  /* primaries */
	uint64_t offscreen; /* other surfaces compared */
	uint64_t cursors;   /* pointer shapes compared */
	uint64_t frames, frames_shown;
	unsigned frame_worst; /* largest difference of a component */
	double frame_mean;    /* of the worst frame */
	uint64_t differences;
};

/*
 * keep_going: a difference is printed, our decoder takes over the client's
 * pixels, and only then goes on; otherwise the first one ends it.
 */
int lockstep_new(struct lockstep **step, bool keep_going, struct error *error);
void lockstep_free(struct lockstep *step);

/* -ERANGE when there is a difference, which the error describes. */
int lockstep_feed(struct lockstep *step, const struct capture_item *item,
		  struct error *error);
int lockstep_finish(struct lockstep *step, struct error *error);
const struct lockstep_counts *lockstep_counts(struct lockstep *step);

#endif
