/*
 * Packets of a sound channel become 48 kHz stereo.
 *
 * Raw packets are S16LE, interleaved, at the channel's own rate; an Opus
 * packet is one frame of the codec without a container; CELT 0.5.1 (servers
 * before 0.14.91) is decoded where libavcodec was built with a decoder for
 * it. One channel is heard on both sides at full strength; more than two are
 * mixed down by libswresample's weights.
 */
#ifndef RECORDER_AUDIO_DECODER_H
#define RECORDER_AUDIO_DECODER_H

#include <stdint.h>

#include "recorder/bytes.h"
#include "recorder/error.h"

#define AUDIO_RATE 48000
#define AUDIO_CHANNELS 2
#define AUDIO_SOURCE_CHANNELS_MAX 8u
#define AUDIO_SOURCE_RATE_MIN 4000u
#define AUDIO_SOURCE_RATE_MAX 384000u

/* SPICE_AUDIO_DATA_MODE_* */
enum audio_mode {
	AUDIO_RAW = 1,
	AUDIO_CELT,
	AUDIO_OPUS,
};

struct audio_decoder;

int audio_decoder_new(struct audio_decoder **decoder, struct error *error);
void audio_decoder_free(struct audio_decoder *decoder);
/*
 * What follows is of this form and has nothing to do with what came before.
 * -EBADMSG: out of bounds.
 */
int audio_decoder_start(struct audio_decoder *decoder, uint32_t channels,
			uint32_t rate, struct error *error);
/*
 * One packet: *frames interleaved stereo frames at *samples, borrowed until
 * the next call, to be changed at will; perhaps 0. -ENOTSUP: there is no
 * decoder for this mode.
 */
int audio_decoder_decode(struct audio_decoder *decoder, uint16_t mode,
			 struct bytes packet, int16_t **samples,
			 unsigned *frames, struct error *error);
/* What the resampler still holds when no more comes. */
int audio_decoder_drain(struct audio_decoder *decoder, int16_t **samples,
			unsigned *frames, struct error *error);

#endif
