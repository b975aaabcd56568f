/* Reader to decoder to screen to encoder, on the capture's clock. */
#include "recorder/render.h"

#include <libavutil/log.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/mman.h>
#include <unistd.h>

#include "recorder/decoder.h"
#include "recorder/encoder.h"
#include "recorder/render_sound.h"
#include "recorder/screen.h"
#include "recorder/survey.h"
#include "recorder/thumbs.h"
#include "recorder/yuv.h"

#define SECOND 1000000000u
#define SOUND_LAG (2u * SECOND) /* silence is filled in that late */
#define PROGRESS_ITEMS 256
#define ENCODED 0.97 /* of all that is to do; the rest is writing */
#define FPS_MAX 120
#define KEY_SECONDS_MAX 3600
#define THREADS_MAX 64
#define THREADS_USUAL_MAX 8

struct render {
	struct render_options options;
	render_progress_fn *progress;
	void *user;
	struct survey survey;
	struct render_result *result;
	struct decoder *decoder;
	struct screen *screen;
	struct encoder *encoder;
	struct thumbs *thumbs;
	pixman_region32_t changed;
	struct render_sound sounds[ENCODER_SOUNDS];
	/* The rest in ns from the beginning. */
	uint64_t now;         /* of the item being read */
	uint64_t dirty_since; /* valid when dirty */
	bool dirty;
	uint64_t last_frame, last_key; /* valid when there are frames */
	uint64_t last_key_frame;       /* its number */
};

/* Some more than processors, as they wait for each other. */
static unsigned usual_threads(void)
{
	unsigned n = (unsigned)get_nprocs() * 3 / 2;

	return n < THREADS_USUAL_MAX ? n : THREADS_USUAL_MAX;
}

static void fill_in(struct render_options *o)
{
	o->fps = o->fps ? o->fps : 30;
	o->threads = o->threads ? o->threads : usual_threads();
	o->key_seconds = o->key_seconds ? o->key_seconds : 10;
	o->sound_bitrate = o->sound_bitrate ? o->sound_bitrate : 128000;
}

static struct encoder_options encoder_options(const struct render_options *o)
{
	struct encoder_options options = {
		.format = o->format,
		.video = o->video,
		.audio = o->audio,
		.lossless = o->lossless,
		.fps = o->fps,
		.crf = o->crf,
		.preset = o->preset,
		.threads = o->threads,
		.keyframe_frames = o->key_seconds * o->fps,
		.sound_bitrate = o->sound_bitrate,
	};

	encoder_codec_choose(&options);
	return options;
}

int render_check(const struct render_options *options, struct error *error)
{
	struct render_options filled = *options;
	struct encoder_options encode;

	fill_in(&filled);
	if (filled.fps > FPS_MAX)
		return error_set(error, EINVAL, "fps is %u; at most %u",
				 filled.fps, FPS_MAX);
	if (filled.key_seconds > KEY_SECONDS_MAX)
		return error_set(error, EINVAL,
				 "key frames are %u s apart; at most %u",
				 filled.key_seconds, KEY_SECONDS_MAX);
	if (filled.threads > THREADS_MAX)
		return error_set(error, EINVAL, "%u threads; at most %u",
				 filled.threads, THREADS_MAX);
	if (filled.monitor > DISPLAY_HEADS)
		return error_set(error, EINVAL, "there is no monitor %u",
				 filled.monitor);
	encode = encoder_options(&filled);
	encode.sounds[ENCODER_GUEST] = !options->no_sound;
	return encoder_codec_check(&encode, error);
}

static int all_silent_until(struct render *r, uint64_t time,
			    struct error *error)
{
	int bad = 0;

	for (unsigned i = 0; !bad && i < ENCODER_SOUNDS; i++)
		bad = render_sound_until(&r->sounds[i], time, error);
	return bad;
}

/*
 * Key frames cost most where little changes, and there a player comes from
 * one to any moment in few frames; so they are rarer there.
 */
static bool wants_key(const struct render *r, uint64_t time)
{
	uint64_t distance = (uint64_t)r->options.key_seconds * SECOND;
	uint64_t least =
		(uint64_t)r->options.fps *
		(r->options.key_seconds < 4 ? r->options.key_seconds : 4) / 2;

	if (!r->result->frames)
		return true;
	if (r->result->frames - r->last_key_frame < least)
		distance *= 6;
	return time - r->last_key >= distance;
}

static int encode_frame(struct render *r, uint64_t time, bool key,
			struct error *error)
{
	struct encoder_canvas *canvas;

	screen_update(r->screen, &r->changed);
	if (encoder_has_frame(r->encoder)) {
		encoder_skip(r->encoder, time);
		r->result->kept++;
		return 0;
	}
	canvas = encoder_take(r->encoder, &r->changed, error);
	if (!canvas)
		return error->code;
	pixman_region32_fini(&r->changed);
	pixman_region32_init(&r->changed);
	yuv_convert(canvas->format, r->screen, &canvas->stale, canvas->planes,
		    canvas->strides);
	return encoder_frame(r->encoder, canvas, time, key, error);
}

static int emit(struct render *r, uint64_t time, struct error *error)
{
	bool key = wants_key(r, time);
	int bad = encode_frame(r, time, key, error);

	r->last_frame = time;
	if (key) {
		r->last_key = time;
		r->last_key_frame = r->result->frames;
	}
	r->result->frames++;
	r->dirty = false;
	if (!bad && time > SOUND_LAG)
		bad = all_silent_until(r, time - SOUND_LAG, error);
	return bad;
}

/* Thumbnails that are due before `time`. */
static void take_thumbs(struct render *r, uint64_t time)
{
	if (!r->thumbs || thumbs_next(r->thumbs) >= time)
		return;
	screen_update(r->screen, &r->changed);
	while (thumbs_next(r->thumbs) < time)
		thumbs_take(r->thumbs, r->screen);
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
	take_thumbs(r, r->now);
	if (!bad)
		bad = decoder_feed(r->decoder, item, error);
	if (!bad && !r->dirty && screen_is_dirty(r->screen)) {
		r->dirty = true;
		r->dirty_since = r->now;
	}
	return bad;
}

static int tell(const struct render *r, double done, struct error *error)
{
	if (r->progress && r->progress(r->user, done))
		return error_set(error, ECANCELED, "rendering was cancelled");
	return 0;
}

static int read_items(struct render *r, struct capture_reader *reader,
		      struct error *error)
{
	uint64_t all = r->survey.last_time - r->survey.first_time;
	struct capture_item item;
	unsigned n = 0;
	int more, bad = 0;

	while ((more = capture_reader_next(reader, &item, error)) == 1) {
		if (item.time < r->survey.first_time ||
		    item.time > r->survey.last_time)
			break;
		bad = take_item(r, &item, error);
		if (!bad && !(n++ % PROGRESS_ITEMS) && all)
			bad = tell(r, ENCODED * (double)r->now / (double)all,
				   error);
		if (bad)
			return bad;
	}
	return more < 0 && more != -EBADMSG ? more : 0;
}

static int tell_written(void *user, double done)
{
	const struct render *r = user;

	return r->progress
		       ? r->progress(r->user, ENCODED + (1 - ENCODED) * done)
		       : 0;
}

static int ask(void *user)
{
	const struct render *r = user;

	return r->progress ? r->progress(r->user, 0) : 0;
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
		bad = all_silent_until(r, end, error);
	r->result->duration = end;
	take_thumbs(r, UINT64_MAX);
	if (!bad && r->thumbs)
		bad = thumbs_write(r->thumbs, r->options.thumbs_fd,
				   r->options.vtt_fd, error);
	return bad ? bad : encoder_finish(r->encoder, tell_written, r, error);
}

static void choose_size(struct render *r)
{
	struct render_result *result = r->result;

	result->width = (r->survey.width + 1) & ~1u;
	result->height = (r->survey.height + 1) & ~1u;
	if (result->width > IMAGE_SIDE_MAX)
		result->width = IMAGE_SIDE_MAX;
	if ((uint64_t)result->width * result->height > ENCODER_PIXELS_MAX)
		result->height = ENCODER_PIXELS_MAX / result->width & ~1u;
}

static struct playback_sink sink(struct render *r, enum encoder_sound track,
				 bool there)
{
	struct render_sound *sound = &r->sounds[track];

	*sound = (struct render_sound){.track = track,
				       .there = there && !r->options.no_sound,
				       .first = r->survey.first_time};
	return render_sound_sink(sound, r->options.as_heard);
}

/* What decides on the frames, beside what the encoder knows itself. */
static int identify(const struct render *r, uint8_t id[ENCODER_LOG_ID],
		    struct error *error)
{
	const uint64_t facts[] = {
		r->options.monitor,     r->options.no_cursor,
		r->options.no_sound,    r->options.as_heard,
		r->options.key_seconds, RENDER_SETTLE,
		RENDER_REPEAT,          r->survey.first_time,
		r->survey.last_time,
	};
	uint8_t text[sizeof(facts) + sizeof(r->survey.digest)];

	memcpy(text, facts, sizeof(facts));
	memcpy(text + sizeof(facts), r->survey.digest,
	       sizeof(r->survey.digest));
	return EVP_Digest(text, sizeof(text), id, NULL, EVP_sha256(), NULL)
		       ? 0
		       : error_set(error, ENOMEM, "no memory for a digest");
}

static int start(struct render *r, int out_fd, int partial_fd,
		 struct error *error)
{
	struct encoder_options encode = encoder_options(&r->options);
	struct decoder_options decode = {0};
	uint8_t id[ENCODER_LOG_ID];
	int bad;

	choose_size(r);
	encode.width = r->result->width;
	encode.height = r->result->height;
	decode.sound = sink(r, ENCODER_GUEST, r->survey.sound);
	decode.microphone = sink(r, ENCODER_MICROPHONE, r->survey.microphone);
	for (unsigned i = 0; i < ENCODER_SOUNDS; i++)
		encode.sounds[i] = r->sounds[i].there;
	bad = identify(r, id, error);
	if (!bad)
		bad = decoder_new(&r->decoder, &decode, error);
	if (!bad)
		bad = screen_new(&r->screen, r->decoder, encode.width,
				 encode.height, !r->options.no_cursor, error);
	if (bad)
		return bad;
	screen_set_monitor(r->screen, r->options.monitor);
	if (r->options.thumbs_fd && r->options.vtt_fd)
		bad = thumbs_new(&r->thumbs, encode.width, encode.height,
				 r->survey.last_time - r->survey.first_time,
				 error);
	if (!bad)
		bad = encoder_new(&r->encoder, out_fd, partial_fd, id, &encode,
				  error);
	for (unsigned i = 0; i < ENCODER_SOUNDS; i++)
		r->sounds[i].encoder = r->encoder;
	return bad;
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
	result->sound = render_sound_real(&r->sounds[ENCODER_GUEST]);
	result->microphone = render_sound_real(&r->sounds[ENCODER_MICROPHONE]);
	if (sound)
		result->playback = *sound;
	snprintf(result->damage, sizeof(result->damage), "%s",
		 r->survey.damage[0] ? r->survey.damage : trouble->first);
	snprintf(result->left_out, sizeof(result->left_out), "%s",
		 trouble->first_undrawn);
}

static int run(struct render *r, int capture_fd, int out_fd, int partial_fd,
	       struct error *error)
{
	struct capture_reader *reader;
	int bad = capture_reader_new(&reader, capture_fd, error);

	if (bad)
		return bad;
	pixman_region32_init(&r->changed);
	bad = start(r, out_fd, partial_fd, error);
	if (!bad)
		bad = read_items(r, reader, error);
	if (!bad)
		bad = finish(r, error);
	if (!bad)
		sum_up(r);
	pixman_region32_fini(&r->changed);
	encoder_free(r->encoder);
	thumbs_free(r->thumbs);
	screen_free(r->screen);
	decoder_free(r->decoder);
	capture_reader_free(reader);
	return bad;
}

/* With a partial file that turns out to be of another video, anew. */
static int run_or_again(const struct render *fresh, int capture_fd, int out_fd,
			int partial_fd, struct error *error)
{
	struct render r = *fresh;
	int bad = run(&r, capture_fd, out_fd, partial_fd, error);

	if (bad != -ESTALE || ftruncate(partial_fd, 0))
		return bad;
	error_clear(error);
	*r.result = (struct render_result){0};
	r = *fresh;
	return run(&r, capture_fd, out_fd, partial_fd, error);
}

static int survey(struct render *r, int capture_fd, struct error *error)
{
	const uint64_t most = (uint64_t)RENDER_DURATION_MAX * SECOND;
	struct survey *s = &r->survey;
	int bad = survey_capture(capture_fd, r->options.monitor, s, ask, r,
				 error);

	if (bad)
		return bad;
	if (!s->pictures)
		return error_set(error, ENODATA,
				 "the session never showed a picture");
	if (!s->width)
		return error_set(error, ENODATA,
				 "the session never had a monitor %u",
				 r->options.monitor);
	if (s->last_time - s->first_time > most)
		s->last_time = s->first_time + most;
	return 0;
}

int render(int capture_fd, int out_fd, const struct render_options *options,
	   render_progress_fn *progress, void *user,
	   struct render_result *result, struct error *error)
{
	struct render r = {.options = *options,
			   .result = result,
			   .progress = progress,
			   .user = user};
	struct error mine = {0};
	int partial_fd = options->partial_fd, bad;

	error = error ? error : &mine;
	*result = (struct render_result){0};
	bad = render_check(options, error);
	fill_in(&r.options);
	av_log_set_level(AV_LOG_QUIET);
	if (!bad)
		bad = survey(&r, capture_fd, error);
	if (bad)
		return bad;
	if (!partial_fd)
		partial_fd = memfd_create("partial", MFD_CLOEXEC);
	if (partial_fd < 0)
		return error_errno(error, errno, "no memory for a video");
	bad = run_or_again(&r, capture_fd, out_fd, partial_fd, error);
	if (!options->partial_fd)
		close(partial_fd);
	return bad;
}
