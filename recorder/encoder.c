/*
 * Video on a thread of its own, fed through a short queue; sound, which is
 * little work, on the caller's.
 */
#include "recorder/encoder.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/encoder_file.h"
#include "recorder/encoder_track.h"

#define CANVASES 4
#define JOBS CANVASES

struct canvas {
	struct encoder_canvas base;
	AVFrame *frame;
	pixman_region32_t changed; /* from the frame before */
	bool busy;
};

struct job {
	struct canvas *canvas; /* NULL: the end */
	int64_t time;
	bool key;
};

struct encoder {
	struct encoder_options options;
	struct encoder_log *log;
	/* The video's, then the sounds'; without gaps. */
	struct encoder_track *tracks[ENCODER_LOG_TRACKS];
	unsigned track_count;
	unsigned sounds[ENCODER_SOUNDS]; /* their tracks; 0 = has none */
	uint64_t kept;                   /* frames that need not be given */
	int out_fd;
	struct canvas canvases[CANVASES];

	pthread_t thread;
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t more, less; /* jobs; room or canvases */
	struct job jobs[JOBS];
	unsigned first, count;
	struct error failure; /* of the thread */
};

static int do_job(struct encoder *e, struct job *job, struct error *error)
{
	AVFrame *frame = job->canvas->frame;

	frame->pts = job->time;
	frame->pict_type = job->key ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
	return encoder_track_frame(e->tracks[0], frame, &job->canvas->changed,
				   error);
}

static void *run(void *user)
{
	struct encoder *e = user;

	pthread_mutex_lock(&e->lock);
	for (;;) {
		struct error error = {0};
		struct job job;

		while (!e->count)
			pthread_cond_wait(&e->more, &e->lock);
		job = e->jobs[e->first];
		e->first = (e->first + 1) % JOBS;
		e->count--;
		if (!job.canvas)
			break;
		if (!e->failure.code) {
			pthread_mutex_unlock(&e->lock);
			do_job(e, &job, &error);
			pthread_mutex_lock(&e->lock);
		}
		if (error.code && !e->failure.code)
			e->failure = error;
		job.canvas->busy = false;
		pthread_cond_broadcast(&e->less);
	}
	pthread_mutex_unlock(&e->lock);
	return NULL;
}

/* Hands a job over, or fails with what the thread failed with. */
static int put_job(struct encoder *e, const struct job *job,
		   struct error *error)
{
	int r = 0;

	pthread_mutex_lock(&e->lock);
	while (e->count == JOBS)
		pthread_cond_wait(&e->less, &e->lock);
	if (e->failure.code && error) {
		*error = e->failure;
		r = e->failure.code;
	} else {
		e->jobs[(e->first + e->count++) % JOBS] = *job;
		pthread_cond_signal(&e->more);
	}
	pthread_mutex_unlock(&e->lock);
	return r;
}

static void stop(struct encoder *e)
{
	struct job end = {0};

	if (!e->running)
		return;
	put_job(e, &end, NULL);
	pthread_join(e->thread, NULL);
	e->running = false;
}

/* Without memory for a region all is stale. */
static void add_stale(const struct encoder *e, pixman_region32_t *stale,
		      pixman_region32_t *changed)
{
	if (pixman_region32_union(stale, stale, changed))
		return;
	pixman_region32_fini(stale);
	pixman_region32_init_rect(stale, 0, 0, e->options.width,
				  e->options.height);
}

struct encoder_canvas *
encoder_take(struct encoder *e, pixman_region32_t *changed, struct error *error)
{
	struct canvas *found = NULL;

	for (unsigned i = 0; i < CANVASES; i++)
		add_stale(e, &e->canvases[i].base.stale, changed);
	pthread_mutex_lock(&e->lock);
	while (!found && !e->failure.code) {
		for (unsigned i = 0; i < CANVASES && !found; i++)
			if (!e->canvases[i].busy)
				found = &e->canvases[i];
		if (!found)
			pthread_cond_wait(&e->less, &e->lock);
	}
	if (e->failure.code) {
		*error = e->failure;
		found = NULL;
	}
	pthread_mutex_unlock(&e->lock);
	if (found && av_frame_make_writable(found->frame) < 0) {
		error_set(error, ENOMEM, "no memory for a frame");
		return NULL;
	}
	if (found) {
		pixman_region32_fini(&found->changed);
		pixman_region32_init(&found->changed);
		add_stale(e, &found->changed, changed);
	}
	for (unsigned i = 0; found && i < 3; i++)
		found->base.planes[i] = found->frame->data[i];
	return found ? &found->base : NULL;
}

static int64_t track_time(uint64_t time)
{
	return (int64_t)(time / 1000 * ENCODER_TIME_BASE / 1000000);
}

int encoder_frame(struct encoder *e, struct encoder_canvas *canvas,
		  uint64_t time, bool key, struct error *error)
{
	struct job job = {.canvas = (struct canvas *)canvas, .key = key};

	pixman_region32_fini(&canvas->stale);
	pixman_region32_init(&canvas->stale);
	job.time = track_time(time);
	job.canvas->busy = true;
	return put_job(e, &job, error);
}

bool encoder_has_frame(const struct encoder *e)
{
	return e->kept > 0;
}

void encoder_skip(struct encoder *e, uint64_t time)
{
	encoder_track_skip(e->tracks[0], track_time(time));
	e->kept--;
}

int encoder_sound(struct encoder *e, enum encoder_sound sound,
		  const int16_t *samples, unsigned frames, struct error *error)
{
	unsigned track = e->sounds[sound];

	if (!track || encoder_log_is_whole(e->log))
		return 0;
	return encoder_track_samples(e->tracks[track], samples, frames, error);
}

int encoder_finish(struct encoder *e, int (*progress)(void *user, double done),
		   void *user, struct error *error)
{
	int r = 0;

	stop(e);
	if (e->failure.code) {
		*error = e->failure;
		return e->failure.code;
	}
	if (!encoder_log_is_whole(e->log)) {
		for (unsigned i = 0; !r && i < e->track_count; i++)
			r = encoder_track_end(e->tracks[i], error);
		if (!r)
			r = encoder_log_end(e->log, error);
	}
	return r ? r
		 : encoder_file_write(e->out_fd, &e->options, e->tracks, e->log,
				      progress, user, error);
}

static enum yuv_format canvas_format(enum AVPixelFormat format)
{
	switch (format) {
	case AV_PIX_FMT_YUV444P:
		return YUV_444;
	case AV_PIX_FMT_GBRP:
		return YUV_GBR;
	case AV_PIX_FMT_BGR0:
		return YUV_BGR0;
	default:
		return YUV_420;
	}
}

static int make_canvases(struct encoder *e, struct error *error)
{
	const AVCodecContext *codec = encoder_track_codec(e->tracks[0]);

	for (unsigned i = 0; i < CANVASES; i++) {
		struct canvas *c = &e->canvases[i];

		pixman_region32_init(&c->changed);
		pixman_region32_init_rect(&c->base.stale, 0, 0,
					  e->options.width, e->options.height);
		c->frame = av_frame_alloc();
		if (!c->frame)
			return error_set(error, ENOMEM, "no memory for video");
		c->base.format = canvas_format(codec->pix_fmt);
		c->frame->format = codec->pix_fmt;
		c->frame->width = (int)e->options.width;
		c->frame->height = (int)e->options.height;
		c->frame->colorspace = codec->colorspace;
		c->frame->color_range = codec->color_range;
		if (av_frame_get_buffer(c->frame, 0) < 0)
			return error_set(error, ENOMEM, "no memory for video");
		memcpy(c->base.strides, c->frame->linesize,
		       sizeof(c->base.strides));
	}
	return 0;
}

static int open_tracks(struct encoder *e, struct error *error)
{
	int r = encoder_track_new(&e->tracks[e->track_count++], true,
				  &e->options, error);

	for (unsigned i = 0; !r && i < ENCODER_SOUNDS; i++)
		if (e->options.sounds[i]) {
			e->sounds[i] = e->track_count++;
			r = encoder_track_new(&e->tracks[e->sounds[i]], false,
					      &e->options, error);
		}
	return r;
}

/* What a log must be of: this content, made by these codecs. */
static int make_id(const struct encoder *e, const uint8_t content[32],
		   uint8_t id[ENCODER_LOG_ID], struct error *error)
{
	const struct encoder_options *o = &e->options;
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	char text[256];
	int n, ok;

	n = snprintf(
		text, sizeof(text), "%u %d %d %d %d %u %u %u %d %s %u %u %u",
		avcodec_version(), o->format, o->video, o->audio, o->lossless,
		o->width, o->height, o->fps, o->crf, o->preset, o->threads,
		o->keyframe_frames, o->sound_bitrate);
	ok = hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) &&
	     EVP_DigestUpdate(hash, content, ENCODER_LOG_ID) &&
	     EVP_DigestUpdate(hash, text, (size_t)n);
	for (unsigned i = 0; ok && i < e->track_count; i++) {
		const AVCodecContext *c = encoder_track_codec(e->tracks[i]);

		ok = EVP_DigestUpdate(hash, c->codec->name,
				      strlen(c->codec->name) + 1) &&
		     EVP_DigestUpdate(hash, c->extradata,
				      (size_t)c->extradata_size);
	}
	ok = ok && EVP_DigestFinal_ex(hash, id, NULL);
	EVP_MD_CTX_free(hash);
	return ok ? 0 : error_set(error, ENOMEM, "no memory for a digest");
}

static int start(struct encoder *e, int log_fd, const uint8_t content[32],
		 struct error *error)
{
	uint8_t id[ENCODER_LOG_ID];
	int r = open_tracks(e, error);

	if (!r)
		r = make_id(e, content, id, error);
	if (!r)
		r = encoder_log_open(&e->log, log_fd, id, error);
	if (!r)
		r = make_canvases(e, error);
	if (r)
		return r;
	for (unsigned i = 0; i < e->track_count; i++)
		encoder_track_begin(e->tracks[i], e->log, i);
	e->kept = encoder_log_is_whole(e->log)
			  ? UINT64_MAX
			  : encoder_log_kept(e->log, 0)->packets;
	r = pthread_create(&e->thread, NULL, run, e);
	if (r)
		return error_errno(error, r, "cannot start a thread");
	e->running = true;
	return 0;
}

int encoder_new(struct encoder **encoder, int out_fd, int log_fd,
		const uint8_t id[ENCODER_LOG_ID],
		const struct encoder_options *options, struct error *error)
{
	struct encoder *e = calloc(1, sizeof(*e));
	int r;

	*encoder = NULL;
	if (!e)
		return error_set(error, ENOMEM, "no memory for an encoder");
	e->options = *options;
	e->out_fd = out_fd;
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->more, NULL);
	pthread_cond_init(&e->less, NULL);
	r = start(e, log_fd, id, error);
	if (r)
		encoder_free(e);
	else
		*encoder = e;
	return r;
}

void encoder_free(struct encoder *e)
{
	if (!e)
		return;
	stop(e);
	for (unsigned i = 0; i < ENCODER_LOG_TRACKS; i++)
		encoder_track_free(e->tracks[i]);
	for (unsigned i = 0; i < CANVASES; i++) {
		av_frame_free(&e->canvases[i].frame);
		pixman_region32_fini(&e->canvases[i].base.stale);
		pixman_region32_fini(&e->canvases[i].changed);
	}
	encoder_log_free(e->log);
	pthread_mutex_destroy(&e->lock);
	pthread_cond_destroy(&e->more);
	pthread_cond_destroy(&e->less);
	free(e);
}
