/* Messages of playback and record channels; the clock of their sound. */
#include "recorder/playback.h"

#include <stdlib.h>

/* SPICE_MSG_PLAYBACK_* */
enum {
	PLAYBACK_DATA = 101,
	PLAYBACK_MODE,
	PLAYBACK_START,
	PLAYBACK_STOP,
	PLAYBACK_VOLUME,
	PLAYBACK_MUTE,
	PLAYBACK_LATENCY,
};

/* SPICE_MSG_RECORD_* */
enum {
	RECORD_START = 101,
	RECORD_STOP,
	RECORD_VOLUME,
	RECORD_MUTE,
};

/* SPICE_MSGC_RECORD_* */
enum {
	CLIENT_DATA = 101,
	CLIENT_MODE,
	CLIENT_START_MARK,
};

#define FORMAT_S16 1 /* SPICE_AUDIO_FMT_S16 */
#define MS INT64_C(1000000)
#define FRAMES_PER_MS (PLAYBACK_RATE / 1000)
#define DRIFT_WINDOW_MS 1000    /* of stamps against samples */
#define ARRIVAL_WINDOW_MS 10000 /* of arrival against stamps */

/* The least and the most of something since a moment. */
struct window {
	int64_t since; /* ms of the run */
	int64_t least, most;
};

struct playback {
	struct playback_sink sink;
	struct playback_state state;
	struct audio_decoder *audio;
	uint16_t mode;
	bool ready;   /* the form of the sound is known */
	bool running; /* and a run has begun */

	uint64_t start;  /* capture's time of the run's first stamp */
	int64_t elapsed; /* ms from there to the newest stamp */
	uint32_t stamp;  /* the newest */
	int64_t played;  /* frames since `start` */
	unsigned packet; /* frames of the newest */
	struct window late, lag;
};

int playback_new(struct playback **playback, struct playback_sink sink,
		 struct error *error)
{
	struct playback *p = calloc(1, sizeof(*p));
	int r;

	*playback = NULL;
	if (!p)
		return error_set(error, ENOMEM, "no memory for sound");
	r = audio_decoder_new(&p->audio, error);
	if (r) {
		free(p);
		return r;
	}
	p->sink = sink;
	p->mode = AUDIO_RAW;
	*playback = p;
	return 0;
}

void playback_free(struct playback *p)
{
	if (!p)
		return;
	audio_decoder_free(p->audio);
	free(p);
}

void playback_restart(struct playback *p)
{
	p->mode = AUDIO_RAW;
	p->ready = p->running = false;
}

const struct playback_state *playback_state(const struct playback *p)
{
	return &p->state;
}

/* 65536 is full. */
static uint32_t gain(const struct playback_state *s, unsigned side)
{
	uint64_t v;

	if (s->mute)
		return 0;
	if (!s->volume_channels)
		return 65536;
	v = s->volume[side < s->volume_channels ? side : 0];
	v += v >> 15;
	return (uint32_t)(v * v * v >> 32);
}

static void apply_volume(const struct playback_state *s, int16_t *samples,
			 unsigned frames)
{
	int64_t gains[PLAYBACK_CHANNELS];

	for (unsigned side = 0; side < PLAYBACK_CHANNELS; side++)
		gains[side] = gain(s, side);
	for (unsigned i = 0; i < frames * PLAYBACK_CHANNELS; i++)
		samples[i] = (int16_t)(samples[i] *
				       gains[i % PLAYBACK_CHANNELS] / 65536);
}

/* The capture's time of a frame of this run. */
static uint64_t time_of(const struct playback *p, int64_t frame)
{
	int64_t second = 1000 * MS;

	return p->start + frame / PLAYBACK_RATE * second +
	       frame % PLAYBACK_RATE * second / PLAYBACK_RATE;
}

static int give(struct playback *p, int16_t *samples, unsigned frames,
		struct error *error)
{
	uint64_t at = time_of(p, p->played);

	p->played += frames;
	if (!frames)
		return 0;
	if (p->sink.as_heard)
		apply_volume(&p->state, samples, frames);
	return p->sink.samples(p->sink.user, at, samples, frames, error);
}

static void window_open(struct window *w, int64_t since)
{
	*w = (struct window){since, INT64_MAX, INT64_MIN};
}

/* True when it is full. */
static bool window_add(struct window *w, int64_t value, int64_t now, int64_t ms)
{
	w->least = value < w->least ? value : w->least;
	w->most = value > w->most ? value : w->most;
	return now - w->since >= ms;
}

static void begin_run(struct playback *p, uint64_t start, uint32_t stamp)
{
	p->start = start;
	p->stamp = stamp;
	p->elapsed = 0;
	p->played = 0;
	p->packet = 0;
	window_open(&p->late, 0);
	window_open(&p->lag, 0);
}

/* Keeps stamps to arrival. False when the stamp's clock has jumped. */
static bool follow_arrival(struct playback *p, uint64_t time)
{
	int64_t lag = (int64_t)(time - p->start) / MS - p->elapsed;

	if (lag < -PLAYBACK_JUMP_MS || lag > PLAYBACK_JUMP_MS)
		return false;
	if (lag < -PLAYBACK_EARLY_MS)
		p->start += lag * MS;
	else if (!window_add(&p->lag, lag, p->elapsed, ARRIVAL_WINDOW_MS))
		return true;
	else if (p->lag.least > PLAYBACK_DRIFT_MS)
		p->start += p->lag.least * MS;
	window_open(&p->lag, p->elapsed);
	return true;
}

/*
 * Keeps samples to stamps. A hole moves what follows at once. Less may be a
 * delay that a burst of packets makes good, so it counts only when no packet
 * of a whole second was nearer to the clock.
 */
static void follow_stamps(struct playback *p)
{
	int64_t late = p->elapsed * FRAMES_PER_MS - p->played;

	if (late <= PLAYBACK_HOLE_MS * FRAMES_PER_MS &&
	    late >= -PLAYBACK_JUMP_MS * FRAMES_PER_MS) {
		if (!window_add(&p->late, late, p->elapsed, DRIFT_WINDOW_MS))
			return;
		if (p->late.least > PLAYBACK_DRIFT_MS * FRAMES_PER_MS)
			late = p->late.least;
		else if (p->late.most < -PLAYBACK_DRIFT_MS * FRAMES_PER_MS)
			late = p->late.most;
		else
			late = 0;
	}
	p->played += late;
	window_open(&p->late, p->elapsed);
}

static void follow_clock(struct playback *p, uint32_t stamp, uint64_t time)
{
	p->elapsed += (int32_t)(stamp - p->stamp); /* also when it wraps */
	p->stamp = stamp;
	if (follow_arrival(p, time)) {
		follow_stamps(p);
	} else {
		uint64_t end = time_of(p, p->played);
		int64_t hole = (int64_t)(time - end) / MS;

		if (hole < -PLAYBACK_HOLE_MS || hole > PLAYBACK_HOLE_MS)
			end = time;
		begin_run(p, end, stamp);
	}
}

static int data(struct playback *p, struct bytes *in, uint64_t time,
		struct error *error)
{
	uint32_t stamp = bytes_le32(in);
	unsigned frames;
	int16_t *samples;
	int r;

	if (in->bad || bytes_left(in) > PLAYBACK_PACKET_MAX)
		return error_set(error, EBADMSG,
				 "a packet of sound is out of bounds");
	if (!p->running)
		return error_set(error, EBADMSG, "sound before its start");
	p->state.packets++;
	follow_clock(p, stamp, time);
	r = audio_decoder_decode(p->audio, p->mode, *in, &samples, &frames,
				 error);
	if (r)
		p->played += p->packet; /* as long as the one before it */
	else
		p->packet = frames;
	return r ? r : give(p, samples, frames, error);
}

/* Channels, format, rate. */
static int read_form(struct playback *p, struct bytes *in, struct error *error)
{
	uint32_t channels = bytes_le32(in);
	uint16_t format = bytes_le16(in);
	uint32_t rate = bytes_le32(in);
	int r;

	p->ready = p->running = false;
	if (in->bad || format != FORMAT_S16)
		return error_set(error, EBADMSG,
				 "sound of format %u is unknown", format);
	r = audio_decoder_start(p->audio, channels, rate, error);
	if (!r)
		p->ready = true;
	return r;
}

static int start(struct playback *p, uint64_t time, uint32_t stamp)
{
	begin_run(p, time, stamp);
	p->running = true;
	p->state.started++;
	return 0;
}

static int stop(struct playback *p, struct error *error)
{
	unsigned frames;
	int16_t *samples;
	int r;

	p->ready = false;
	if (!p->running)
		return 0;
	p->running = false;
	r = audio_decoder_drain(p->audio, &samples, &frames, error);
	return r ? r : give(p, samples, frames, error);
}

static int mode(struct playback *p, struct bytes *in)
{
	bytes_le32(in); /* time */
	p->mode = bytes_le16(in);
	return 0;
}

static int volume(struct playback *p, struct bytes *in, struct error *error)
{
	unsigned n = bytes_u8(in);

	p->state.volume_channels = n < 8 ? n : 8;
	for (unsigned i = 0; i < p->state.volume_channels; i++)
		p->state.volume[i] = bytes_le16(in);
	return in->bad ? error_set(error, EBADMSG, "a volume is cut short") : 0;
}

int playback_message(struct playback *p, uint16_t type, struct bytes in,
		     uint64_t time, struct error *error)
{
	int r;

	switch (type) {
	case PLAYBACK_DATA:
		return data(p, &in, time, error);
	case PLAYBACK_MODE:
		return mode(p, &in);
	case PLAYBACK_START:
		r = stop(p, error);
		if (!r)
			r = read_form(p, &in, error);
		return r ? r : start(p, time, bytes_le32(&in));
	case PLAYBACK_STOP:
		return stop(p, error);
	case PLAYBACK_VOLUME:
		return volume(p, &in, error);
	case PLAYBACK_MUTE:
		p->state.mute = bytes_u8(&in) != 0;
		return 0;
	case PLAYBACK_LATENCY:
		return 0;
	}
	return error_set(error, EBADMSG, "playback message %u is unknown",
			 type);
}

int playback_record_message(struct playback *p, uint16_t type, struct bytes in,
			    struct error *error)
{
	int r;

	switch (type) {
	case RECORD_START:
		r = stop(p, error);
		return r ? r : read_form(p, &in, error);
	case RECORD_STOP:
		return stop(p, error);
	case RECORD_VOLUME:
		return volume(p, &in, error);
	case RECORD_MUTE:
		p->state.mute = bytes_u8(&in) != 0;
		return 0;
	}
	return error_set(error, EBADMSG, "record message %u is unknown", type);
}

int playback_record_client(struct playback *p, uint16_t type, struct bytes in,
			   uint64_t time, struct error *error)
{
	struct bytes stamp = in;

	switch (type) {
	case CLIENT_DATA:
		if (!p->ready)
			return 0; /* was on its way when the guest stopped */
		if (!p->running)
			start(p, time, bytes_le32(&stamp));
		return data(p, &in, time, error);
	case CLIENT_MODE:
		return mode(p, &in);
	case CLIENT_START_MARK:
		return p->ready ? start(p, time, bytes_le32(&stamp)) : 0;
	}
	return 0;
}
