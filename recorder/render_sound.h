/*
 * One track of a video's sound: samples where they belong, silence elsewhere.
 *
 * For render.c. What begins before the end of what was given already is put
 * up with for 10 ms and cut beyond that, so that a track never runs late.
 */
#ifndef RECORDER_RENDER_SOUND_H
#define RECORDER_RENDER_SOUND_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/encoder.h"
#include "recorder/error.h"
#include "recorder/playback.h"

struct render_sound {
	struct encoder *encoder; /* there before the first samples are */
	enum encoder_sound track;
	bool there;
	uint64_t first; /* ns, the capture's time of the video's beginning */
	/* Frames of 48 kHz. */
	uint64_t end;  /* of what was given */
	uint64_t real; /* of it not silence */
};

/* Where a decoder gives this track's samples; takes none if it isn't there. */
struct playback_sink render_sound_sink(struct render_sound *sound,
				       bool as_heard);
/* Silence up to a time, ns from the video's beginning. */
int render_sound_until(struct render_sound *sound, uint64_t time,
		       struct error *error);
/* ns of sound that was no silence. */
uint64_t render_sound_real(const struct render_sound *sound);

#endif
