/* Samples and silence, counted in frames of the encoder's rate. */
#include "recorder/render_sound.h"

#define OVERLAP 10000000u /* ns; less is put up with */
#define SECOND 1000000000u
#define SILENCE 4800 /* frames at a time */

static uint64_t position(uint64_t ns)
{
	return ns / 1000 * (ENCODER_RATE / 1000) / 1000;
}

static int silence(struct render_sound *sound, uint64_t until,
		   struct error *error)
{
	static const int16_t nothing[SILENCE * ENCODER_CHANNELS];
	int bad = 0;

	while (sound->there && !bad && sound->end < until) {
		uint64_t n = until - sound->end;

		n = n < SILENCE ? n : SILENCE;
		bad = encoder_sound(sound->encoder, sound->track, nothing,
				    (unsigned)n, error);
		sound->end += n;
	}
	return bad;
}

static int take(void *user, uint64_t at, const int16_t *samples,
		unsigned frames, struct error *error)
{
	struct render_sound *sound = user;
	uint64_t begin = at < sound->first ? 0 : position(at - sound->first);
	uint64_t cut = 0;
	int bad = silence(sound, begin, error);

	if (bad)
		return bad;
	if (sound->end > begin + position(OVERLAP))
		cut = sound->end - begin;
	if (cut >= frames)
		return 0;
	sound->end += frames - cut;
	sound->real += frames - cut;
	return encoder_sound(sound->encoder, sound->track,
			     samples + cut * ENCODER_CHANNELS,
			     (unsigned)(frames - cut), error);
}

struct playback_sink render_sound_sink(struct render_sound *sound,
				       bool as_heard)
{
	return (struct playback_sink){.samples = sound->there ? take : NULL,
				      .user = sound,
				      .as_heard = as_heard};
}

int render_sound_until(struct render_sound *sound, uint64_t time,
		       struct error *error)
{
	return silence(sound, position(time), error);
}

uint64_t render_sound_real(const struct render_sound *sound)
{
	return sound->real * SECOND / ENCODER_RATE;
}
