/*
 * A recorded session's screens and sound, from its messages.
 *
 * Channels of one session depend on each other: an image may refer to one
 * that another display channel brings, and a message may have to wait until
 * another channel has come to a certain point. A channel that waits keeps
 * its messages (at most DECODER_QUEUE_MAX bytes in all) until the others
 * have delivered; when they can't any more, what is missing stays undrawn
 * and is reported.
 *
 * Deterministic: no clock, no threads, nothing but the bytes.
 *
 * Memory: surfaces 256 MiB, image cache 256 MiB, GLZ window 128 MiB, queues
 * 64 MiB, pointers 16 MiB a channel, frames of streams 256 MiB, and while
 * a message is done the images it carries, each at most 128 MiB and a copy of
 * it. An image of up to 16 MiB may lie in memory of twice its size.
 *
 * Time: a few bytes can ask for millions of pixels. What is drawn and decoded
 * in any span of a session is at most DECODER_WORK_BURST pixels and
 * DECODER_WORK_PER_SECOND for each of its seconds, the time stamps' (four
 * screens of 1080p, all new 120 times a second, are as much); a message more
 * is left out as damaged.
 */
#ifndef RECORDER_DECODER_H
#define RECORDER_DECODER_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/capture_reader.h"
#include "recorder/cursor.h"
#include "recorder/display.h"
#include "recorder/error.h"
#include "recorder/playback.h"

#define DECODER_DISPLAYS 16u
#define DECODER_QUEUE_MAX (64u << 20)
#define DECODER_WORK_BURST (UINT64_C(32) << 30)     /* px */
#define DECODER_WORK_PER_SECOND (UINT64_C(1) << 30) /* px */

struct decoder_options {
	bool layout_only; /* follow sizes and heads, draw nothing */
	/* samples may be NULL: not decoded */
	struct playback_sink sound;      /* what the guest plays */
	struct playback_sink microphone; /* what the viewer says to it */
};

/*
 * What did not go as it should, since the beginning. The texts say where:
 * "display:0, message 341 draw_copy at offset 81234: why"; the message's
 * number is its serial, the offset that in the capture's pcapng.
 */
struct decoder_trouble {
	uint64_t damaged; /* messages that made no sense */
	uint64_t missing; /* messages whose images never came */
	uint64_t undrawn; /* messages of a kind that is not drawn or heard */
	char first[640];  /* the first of the damaged or missing ones */
	char first_undrawn[640];
};

struct decoder;

int decoder_new(struct decoder **decoder, const struct decoder_options *o,
		struct error *error);
void decoder_free(struct decoder *decoder);

/*
 * Takes the next item of a capture; a channel begins with a link's result.
 * Damaged messages are left out and counted; an error is only -ENOMEM or what
 * a sink returned.
 */
int decoder_feed(struct decoder *decoder, const struct capture_item *item,
		 struct error *error);
/* No more items come: what still waits is done without what it waits for. */
int decoder_finish(struct decoder *decoder, struct error *error);

/* By channel id; NULL when there is no such channel. */
struct display *decoder_display(const struct decoder *decoder, unsigned id);
/* The pointer over that display, or NULL when it shows none. */
struct cursor *decoder_cursor(const struct decoder *decoder, unsigned id);
/* NULL when it is not decoded. */
const struct playback_state *decoder_sound(const struct decoder *decoder);
const struct playback_state *decoder_microphone(const struct decoder *decoder);

const struct decoder_trouble *decoder_trouble(const struct decoder *decoder);
/* Something was played; the viewer's microphone was heard. */
bool decoder_had_sound(const struct decoder *decoder);
bool decoder_had_microphone(const struct decoder *decoder);

#endif
