/*
 * A playback channel (what the guest plays) or a record channel (the
 * viewer's microphone): sound as samples on the capture's clock.
 *
 * Picture and sound share that clock, and both come in the order in which
 * they arrived. A server stamps sound and video frames with one clock of its
 * own and sends both at once; a live client shows and plays both some 0.4 s
 * later, each at its stamp. So no offset is applied to either: a frame is
 * drawn at its arrival, and a packet of sound sounds at the arrival of its
 * run's START plus the difference of their stamps, which takes out how
 * unevenly packets arrive.
 *
 * Within a run packets follow each other without a gap. They are moved by
 * - a hole of PLAYBACK_HOLE_MS between stamps, or a difference between
 *   stamps and samples of PLAYBACK_DRIFT_MS that stays for a second, or
 *   samples that are PLAYBACK_JUMP_MS ahead of their stamps;
 * - a packet that arrives PLAYBACK_EARLY_MS before its moment (START was
 *   late), or packets PLAYBACK_DRIFT_MS late for ten seconds (the two clocks
 *   drift apart);
 * - a clock that jumps by more than PLAYBACK_JUMP_MS: its new time counts
 *   from there on. It may wrap at any moment.
 *
 * Whatever is played is given out as 48 kHz stereo (audio_decoder.h). Volume
 * and mute are settings of the viewer's loudspeaker: they are noted, and the
 * samples stay as they are unless the sink wants them as they were heard.
 *
 * Messages are SPICE_MSG_PLAYBACK_*, SPICE_MSG_RECORD_* and
 * SPICE_MSGC_RECORD_* of spice-protocol's enums.h.
 */
#ifndef RECORDER_PLAYBACK_H
#define RECORDER_PLAYBACK_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/audio_decoder.h"
#include "recorder/bytes.h"
#include "recorder/error.h"

#define PLAYBACK_RATE AUDIO_RATE
#define PLAYBACK_CHANNELS AUDIO_CHANNELS
#define PLAYBACK_HOLE_MS 400
#define PLAYBACK_DRIFT_MS 60
#define PLAYBACK_EARLY_MS 20
#define PLAYBACK_JUMP_MS 10000
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
	/*
	 * Interleaved stereo that sounds at `at`, ns of the capture; a little
	 * earlier than the end of the last samples when the clock was
	 * corrected. An error ends the decoding; it is none of those of
	 * damage (-EBADMSG, -ENOTSUP).
	 */
	int (*samples)(void *user, uint64_t at, const int16_t *samples,
		       unsigned frames, struct error *error);
	void *user;
	/*
	 * Volume and mute are applied, as spice-gtk's players do it: 65535 is
	 * full, and loudness goes with the third power.
	 */
	bool as_heard;
};

int playback_new(struct playback **playback, struct playback_sink sink,
		 struct error *error);
void playback_free(struct playback *playback);
/* The channel connects anew: nothing plays until it says so. */
void playback_restart(struct playback *playback);

/*
 * A message of a playback channel, type 101 and up, arrived at `time`.
 * -EBADMSG: damaged, left out; -ENOTSUP: sound of a kind that can't be
 * decoded; others are -ENOMEM or what `samples` returned.
 */
int playback_message(struct playback *playback, uint16_t type,
		     struct bytes body, uint64_t time, struct error *error);
/* The same for a record channel: the server's and the client's messages. */
int playback_record_message(struct playback *playback, uint16_t type,
			    struct bytes body, struct error *error);
int playback_record_client(struct playback *playback, uint16_t type,
			   struct bytes body, uint64_t time,
			   struct error *error);

const struct playback_state *playback_state(const struct playback *playback);

#endif
