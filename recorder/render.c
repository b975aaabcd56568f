/* Reader to decoder to screen to encoder, on the capture's clock. */
#include "recorder/render.h"

#include <libavutil/log.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/decoder.h"
#include "recorder/encoder.h"
#include "recorder/screen.h"
#include "recorder/survey.h"
#include "recorder/yuv.h"

#define SECOND 1000000000u
#define SOUND_LAG (2u * SECOND)     /* silence is filled in that late */
#define SOUND_OVERLAP (SECOND / 20) /* less is put up with */
#define PROGRESS_ITEMS 256

struct render {
	struct render_options options;
	struct survey survey;
	struct render_result *result;
	struct decoder *decoder;
	struct screen *screen;
	struct encoder *encoder;
	pixman_region32_t changed;
	/* The rest in ns from the beginning. */
	uint64_t now;         /* of the item being read */
	uint64_t dirty_since; /* valid when dirty */
	bool dirty;
	uint64_t last_frame, last_key; /* valid when there are frames */
	uint64_t last_key_frame;       /* its number */
	uint64_t sound_end;            /* frames of sound given, 48 kHz */
	uint64_t sound_frames;         /* of them real */
};

static void fill_in(struct render_options *o)
{
	o->fps = o->fps ? o->fps : 30;
	o->crf = o->crf ? o->crf : 23;
	o->preset = o->preset ? o->preset : "veryfast";
	o->threads = o->threads ? o->threads : 2;
	o->key_seconds = o->key_seconds ? o->key_seconds : 10;
	o->sound_bitrate = o->sound_bitrate ? o->sound_bitrate : 128000;
}

static uint64_t sound_position(uint64_t ns)
{
	return ns / 1000 * (ENCODER_RATE / 1000) / 1000;
}

static int silence_until(struct render *r, uint64_t position,
			 struct error *error)
{
	static const int16_t silence[4800 * ENCODER_CHANNELS];
	int bad = 0;

	while (r->survey.sound && !bad && r->sound_end < position) {
		uint64_t n = position - r->sound_end;

		n = n < 4800 ? n : 4800;
		bad = encoder_sound(r->encoder, silence, (unsigned)n, error);
		r->sound_end += n;
	}
	return bad;
}

/* What begins before the end of what was given is cut, if it is much. */
static int take_sound(void *user, uint64_t at, const int16_t *samples,
		      unsigned frames, struct error *error)
{
	struct render *r = user;
	uint64_t begin = at < r->survey.first_time
				 ? 0
				 : sound_position(at - r->survey.first_time);
	uint64_t cut = 0;
	int bad = silence_until(r, begin, error);

	if (bad)
		return bad;
	if (r->sound_end > begin + sound_position(SOUND_OVERLAP))
		cut = r->sound_end - begin;
	if (cut >= frames)
		return 0;
	r->sound_end += frames - cut;
	r->sound_frames += frames - cut;
	return encoder_sound(r->encoder, samples + cut * ENCODER_CHANNELS,
			     (unsigned)(frames - cut), error);
}

/*
 * Key frames cost most where little changes, and there a player comes from
 * one to any moment in few frames; so they are rarer there.
 */
static bool wants_key(const struct render *r, uint64_t time)
{
	uint64_t distance = (uint64_t)r->options.key_seconds * SECOND;

	if (!r->result->frames)
		return true;
	if (r->result->frames - r->last_key_frame < 2 * r->options.fps)
		distance *= 6;
	return time - r->last_key >= distance;
}

static int emit(struct render *r, uint64_t time, struct error *error)
{
	bool key = wants_key(r, time);
	struct encoder_canvas *canvas;
	int bad;

	screen_update(r->screen, &r->changed);
	canvas = encoder_take(r->encoder, &r->changed, error);
	if (!canvas)
		return error->code;
	pixman_region32_fini(&r->changed);
	pixman_region32_init(&r->changed);
	yuv_convert(canvas->format, r->screen, &canvas->stale, canvas->planes,
		    canvas->strides);
	bad = encoder_frame(r->encoder, canvas, time, key, error);
	r->last_frame = time;
	if (key) {
		r->last_key = time;
		r->last_key_frame = r->result->frames;
	}
	r->result->frames++;
	r->dirty = false;
	if (!bad && time > SOUND_LAG)
		bad = silence_until(r, sound_position(time - SOUND_LAG), error);
	return bad;
}

/* When the next frame is due, if nothing more happens until then. */
static uint64_t next_frame(const struct render *r)
{
	uint64_t due, soonest = r->last_frame + SECOND / r->options.fps;

	if (!r->result->frames)
		return 0;
	if (!r->dirty)
		return r->last_frame + RENDER_REPEAT;
	due = r->dirty_since + RENDER_SETTLE;
	return due > soonest ? due : soonest;
}

/* Makes the frames that are due before `time`. */
static int advance(struct render *r, uint64_t time, struct error *error)
{
	int bad = 0;

	while (!bad && next_frame(r) < time)
		bad = emit(r, next_frame(r), error);
	return bad;
}

static int take_item(struct render *r, const struct capture_item *item,
		     struct error *error)
{
	int bad;

	r->now = item->time - r->survey.first_time;
	bad = advance(r, r->now, error);
	if (!bad)
		bad = decoder_feed(r->decoder, item, error);
	if (!bad && !r->dirty && screen_is_dirty(r->screen)) {
		r->dirty = true;
		r->dirty_since = r->now;
	}
	return bad;
}

static int tell(const struct render *r, render_progress_fn *progress,
		void *user, struct error *error)
{
	uint64_t all = r->survey.last_time - r->survey.first_time;
	double done = all ? (double)r->now / (double)all : 1;

	if (progress && progress(user, done))
		return error_set(error, ECANCELED, "rendering was cancelled");
	return 0;
}

static int read_items(struct render *r, struct capture_reader *reader,
		      render_progress_fn *progress, void *user,
		      struct error *error)
{
	struct capture_item item;
	unsigned n = 0;
	int more, bad = 0;

	while ((more = capture_reader_next(reader, &item, error)) == 1) {
		if (item.time < r->survey.first_time ||
		    item.time > r->survey.last_time)
			break;
		bad = take_item(r, &item, error);
		if (!bad && !(n++ % PROGRESS_ITEMS))
			bad = tell(r, progress, user, error);
		if (bad)
			return bad;
	}
	return more < 0 && more != -EBADMSG ? more : 0;
}

/* The end of the picture and of the sound. */
static int finish(struct render *r, struct error *error)
{
	uint64_t end = r->survey.last_time - r->survey.first_time;
	uint64_t soonest = r->last_frame + SECOND / r->options.fps;
	int bad = decoder_finish(r->decoder, error);

	if (!bad)
		bad = advance(r, end, error);
	end = end > soonest ? end : soonest;
	if (!bad)
		bad = emit(r, end, error);
	if (!bad)
		bad = silence_until(r, sound_position(end), error);
	r->result->duration = end;
	return bad ? bad : encoder_finish(r->encoder, error);
}

static int start(struct render *r, int out_fd, struct error *error)
{
	struct render_result *result = r->result;
	struct decoder_options decode = {0};
	struct encoder_options encode = {
		.fps = r->options.fps,
		.crf = (int)r->options.crf,
		.preset = r->options.preset,
		.threads = r->options.threads,
		.keyframe_frames = r->options.key_seconds * r->options.fps,
		.sound = r->survey.sound,
		.sound_bitrate = r->options.sound_bitrate,
	};
	int bad;

	result->width = (r->survey.width + 1) & ~1u;
	result->height = (r->survey.height + 1) & ~1u;
	if (result->width > IMAGE_SIDE_MAX)
		result->width = IMAGE_SIDE_MAX;
	if ((uint64_t)result->width * result->height > ENCODER_PIXELS_MAX)
		result->height = ENCODER_PIXELS_MAX / result->width & ~1u;
	encode.width = result->width;
	encode.height = result->height;
	if (r->survey.sound)
		decode.sound = (struct playback_sink){.samples = take_sound,
						      .user = r};
	bad = decoder_new(&r->decoder, &decode, error);
	if (!bad)
		bad = screen_new(&r->screen, r->decoder, result->width,
				 result->height, !r->options.no_cursor, error);
	return bad ? bad : encoder_new(&r->encoder, out_fd, &encode, error);
}

static void count(struct render_count *counts, unsigned *kinds,
		  const char *name, uint64_t n, uint64_t undrawn)
{
	unsigned i;

	for (i = 0; i < *kinds && strcmp(counts[i].name, name); i++)
		;
	if (!n || i == RENDER_COUNTS_MAX)
		return;
	if (i == *kinds)
		counts[(*kinds)++] = (struct render_count){.name = name};
	counts[i].count += n;
	counts[i].undrawn += undrawn;
}

static void count_display(const struct display *d, struct render_result *result)
{
	for (unsigned type = 0; type < DISPLAY_MESSAGE_MAX; type++)
		if (d->seen[type])
			count(result->messages, &result->message_kinds,
			      display_message_name(type), d->seen[type],
			      d->undrawn[type]);
#define IMAGE_COUNT(number, name, text) \
	count(result->images, &result->image_kinds, text, \
	      d->reader.seen[number], 0);
	IMAGE_TYPES(IMAGE_COUNT)
#undef IMAGE_COUNT
}

static void sum_up(struct render *r)
{
	const struct decoder_trouble *trouble = decoder_trouble(r->decoder);
	const struct playback_state *sound = decoder_sound(r->decoder);
	struct render_result *result = r->result;

	for (unsigned id = 0; id < DECODER_DISPLAYS; id++)
		if (decoder_display(r->decoder, id))
			count_display(decoder_display(r->decoder, id), result);
	result->undrawn = trouble->undrawn;
	result->damaged = trouble->damaged;
	result->missing = trouble->missing;
	result->complete = r->survey.complete;
	result->sound = r->sound_frames * SECOND / ENCODER_RATE;
	if (sound)
		result->playback = *sound;
	snprintf(result->damage, sizeof(result->damage), "%s",
		 r->survey.damage[0] ? r->survey.damage : trouble->first);
}

static int run(struct render *r, int capture_fd, int out_fd,
	       render_progress_fn *progress, void *user, struct error *error)
{
	struct capture_reader *reader;
	int bad = capture_reader_new(&reader, capture_fd, error);

	if (bad)
		return bad;
	bad = start(r, out_fd, error);
	if (!bad)
		bad = read_items(r, reader, progress, user, error);
	if (!bad)
		bad = finish(r, error);
	if (!bad)
		sum_up(r);
	capture_reader_free(reader);
	return bad;
}

int render(int capture_fd, int out_fd, const struct render_options *options,
	   render_progress_fn *progress, void *user,
	   struct render_result *result, struct error *error)
{
	struct render r = {.options = *options, .result = result};
	struct error mine = {0};
	int bad;

	error = error ? error : &mine;
	*result = (struct render_result){0};
	fill_in(&r.options);
	av_log_set_level(AV_LOG_QUIET);
	bad = survey_capture(capture_fd, &r.survey, error);
	if (bad)
		return bad;
	if (!r.survey.width)
		return error_set(error, ENODATA,
				 "the session never showed a picture");
	if (r.survey.last_time - r.survey.first_time >
	    (uint64_t)RENDER_DURATION_MAX * SECOND)
		r.survey.last_time = r.survey.first_time +
				     (uint64_t)RENDER_DURATION_MAX * SECOND;
	pixman_region32_init(&r.changed);
	bad = run(&r, capture_fd, out_fd, progress, user, error);
	pixman_region32_fini(&r.changed);
	encoder_free(r.encoder);
	screen_free(r.screen);
	decoder_free(r.decoder);
	return bad;
}
