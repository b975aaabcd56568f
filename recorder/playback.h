/*
 * A playback channel: the guest's sound as samples on the capture's clock.
 *
 * A run of sound begins with START at the time that message arrived; within
 * the run packets follow each other without a gap, and are kept to their own
 * time stamps (ms of the server's clock): a hole of PLAYBACK_HOLE_MS or a
 * difference that stays over PLAYBACK_DRIFT_MS moves what follows. Whatever the
 * guest plays is given out as 48 kHz stereo. Volume and mute are settings of
 * the viewer's loudspeaker: they are noted, the samples stay as they are.
 */
#ifndef RECORDER_PLAYBACK_H
#define RECORDER_PLAYBACK_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/bytes.h"
#include "recorder/error.h"

#define PLAYBACK_RATE 48000
#define PLAYBACK_CHANNELS 2
#define PLAYBACK_HOLE_MS 400
#define PLAYBACK_DRIFT_MS 60
#define PLAYBACK_PACKET_MAX (1u << 20) /* bytes of one DATA message */

struct playback;

struct playback_state {
	uint16_t volume[8]; /* by channel, 65535 = full */
	unsigned volume_channels;
	bool mute;
	uint64_t started; /* runs */
	uint64_t packets;
};

struct playback_sink {
	/* Interleaved stereo that sounds at `at`, ns of the capture. */
	int (*samples)(void *user, uint64_t at, const int16_t *samples,
		       unsigned frames, struct error *error);
	void *user;
};

int playback_new(struct playback **playback, struct playback_sink sink,
		 struct error *error);
void playback_free(struct playback *playback);
/*
 * A message of type 101 and up, arrived at `time`. Errors are damaged
 * messages, left out, or what `samples` returned.
 */
int playback_message(struct playback *playback, uint16_t type,
		     struct bytes body, uint64_t time, struct error *error);
const struct playback_state *playback_state(const struct playback *playback);

#endif
