/* Codecs on a thread of their own, fed through a short queue. */
#include "recorder/encoder.h"

#include <libavutil/channel_layout.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/encoder_file.h"

#define CANVASES 4
#define JOBS 64

struct canvas {
	struct encoder_canvas base;
	AVFrame *frame;
	bool busy;
};

struct job {
	struct canvas *canvas; /* a frame, or */
	int16_t *samples;      /* sound, owned, or neither: the end */
	unsigned frames;
	int64_t time;
	bool key;
};

/* One codec and its track. */
struct track {
	AVCodecContext *codec;
	AVPacket *packet;
	int index;
};

struct encoder {
	struct encoder_options options;
	struct encoder_file *file;
	struct track video, sound;
	struct canvas canvases[CANVASES];
	AVFrame *sound_frame;
	int sound_fill;     /* frames in it */
	int64_t sound_time; /* frames encoded */

	pthread_t thread;
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t more, less; /* jobs; room or canvases */
	struct job jobs[JOBS];
	unsigned first, count;
	struct error failure; /* of the thread */
};

static int write_packets(struct encoder *e, struct track *t,
			 struct error *error)
{
	int r;

	while (!(r = avcodec_receive_packet(t->codec, t->packet))) {
		r = encoder_file_write(e->file, t->index, t->codec->time_base,
				       t->packet, error);
		if (r)
			return r;
	}
	return r == AVERROR(EAGAIN) || r == AVERROR_EOF
		       ? 0
		       : encoder_error(error, r, "encode");
}

static int encode(struct encoder *e, struct track *t, AVFrame *frame,
		  struct error *error)
{
	int r = avcodec_send_frame(t->codec, frame);

	if (r < 0)
		return encoder_error(error, r, "encode");
	return write_packets(e, t, error);
}

static int encode_sound_frame(struct encoder *e, struct error *error)
{
	AVFrame *f = e->sound_frame;
	int r;

	f->nb_samples = e->sound_fill;
	f->pts = e->sound_time;
	e->sound_time += e->sound_fill;
	e->sound_fill = 0;
	r = encode(e, &e->sound, f, error);
	if (!r && av_frame_make_writable(f) < 0)
		r = error_set(error, ENOMEM, "no memory for sound");
	return r;
}

static int encode_sound(struct encoder *e, const int16_t *samples,
			unsigned frames, struct error *error)
{
	float *left = (float *)e->sound_frame->data[0];
	float *right = (float *)e->sound_frame->data[1];
	int r = 0;

	for (; frames && !r; frames--, samples += 2) {
		left[e->sound_fill] = (float)samples[0] / 32768;
		right[e->sound_fill] = (float)samples[1] / 32768;
		if (++e->sound_fill == e->sound.codec->frame_size) {
			r = encode_sound_frame(e, error);
			left = (float *)e->sound_frame->data[0];
			right = (float *)e->sound_frame->data[1];
		}
	}
	return r;
}

static int do_job(struct encoder *e, struct job *job, struct error *error)
{
	AVFrame *frame;

	if (job->samples)
		return encode_sound(e, job->samples, job->frames, error);
	frame = job->canvas->frame;
	frame->pts = job->time;
	frame->pict_type = job->key ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
	return encode(e, &e->video, frame, error);
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
		if (!job.samples && !job.canvas)
			break;
		if (!e->failure.code) {
			pthread_mutex_unlock(&e->lock);
			do_job(e, &job, &error);
			pthread_mutex_lock(&e->lock);
		}
		if (error.code && !e->failure.code)
			e->failure = error;
		if (job.canvas)
			job.canvas->busy = false;
		free(job.samples);
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

struct encoder_canvas *
encoder_take(struct encoder *e, pixman_region32_t *changed, struct error *error)
{
	struct canvas *found = NULL;

	for (unsigned i = 0; i < CANVASES; i++)
		pixman_region32_union(&e->canvases[i].base.stale,
				      &e->canvases[i].base.stale, changed);
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
	for (unsigned i = 0; found && i < 3; i++)
		found->base.planes[i] = found->frame->data[i];
	return found ? &found->base : NULL;
}

int encoder_frame(struct encoder *e, struct encoder_canvas *canvas,
		  uint64_t time, bool key, struct error *error)
{
	struct job job = {.canvas = (struct canvas *)canvas, .key = key};

	pixman_region32_fini(&canvas->stale);
	pixman_region32_init(&canvas->stale);
	job.time = (int64_t)(time / 1000 * ENCODER_TIME_BASE / 1000000);
	job.canvas->busy = true;
	return put_job(e, &job, error);
}

int encoder_sound(struct encoder *e, const int16_t *samples, unsigned frames,
		  struct error *error)
{
	size_t size = (size_t)frames * ENCODER_CHANNELS * sizeof(*samples);
	struct job job = {.frames = frames};
	int r;

	if (!frames || !e->sound.codec)
		return 0;
	job.samples = malloc(size);
	if (!job.samples)
		return error_set(error, ENOMEM, "no memory for sound");
	memcpy(job.samples, samples, size);
	r = put_job(e, &job, error);
	if (r)
		free(job.samples);
	return r;
}

int encoder_finish(struct encoder *e, struct error *error)
{
	int r = 0;

	stop(e);
	if (e->failure.code) {
		*error = e->failure;
		return e->failure.code;
	}
	if (e->sound_fill)
		r = encode_sound_frame(e, error);
	if (!r && e->sound.codec)
		r = encode(e, &e->sound, NULL, error);
	if (!r)
		r = encode(e, &e->video, NULL, error);
	return r ? r : encoder_file_end(e->file, error);
}

static int open_sound(struct encoder *e, struct error *error)
{
	AVCodecContext *c;
	int r = encoder_codec_audio(&e->sound.codec, &e->options, error);

	if (r)
		return r;
	c = e->sound.codec;
	e->sound_frame = av_frame_alloc();
	if (!e->sound_frame)
		return error_set(error, ENOMEM, "no memory for sound");
	e->sound_frame->format = c->sample_fmt;
	e->sound_frame->nb_samples = c->frame_size;
	e->sound_frame->sample_rate = ENCODER_RATE;
	av_channel_layout_default(&e->sound_frame->ch_layout, ENCODER_CHANNELS);
	r = av_frame_get_buffer(e->sound_frame, 0);
	return r < 0 ? encoder_error(error, r, "get memory for sound") : 0;
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
	for (unsigned i = 0; i < CANVASES; i++) {
		struct canvas *c = &e->canvases[i];

		pixman_region32_init_rect(&c->base.stale, 0, 0,
					  e->options.width, e->options.height);
		c->frame = av_frame_alloc();
		if (!c->frame)
			return error_set(error, ENOMEM, "no memory for video");
		c->base.format = canvas_format(e->video.codec->pix_fmt);
		c->frame->format = e->video.codec->pix_fmt;
		c->frame->width = (int)e->options.width;
		c->frame->height = (int)e->options.height;
		c->frame->colorspace = e->video.codec->colorspace;
		c->frame->color_range = e->video.codec->color_range;
		if (av_frame_get_buffer(c->frame, 0) < 0)
			return error_set(error, ENOMEM, "no memory for video");
		memcpy(c->base.strides, c->frame->linesize,
		       sizeof(c->base.strides));
	}
	return 0;
}

static int add_track(struct encoder *e, struct track *t, struct error *error)
{
	int r;

	t->packet = av_packet_alloc();
	if (!t->packet)
		return error_set(error, ENOMEM, "no memory for an encoder");
	r = encoder_file_track(e->file, t->codec, error);
	if (r < 0)
		return r;
	t->index = r;
	return 0;
}

static int start(struct encoder *e, int out_fd, struct error *error)
{
	int r = encoder_file_new(&e->file, out_fd, error);

	if (!r)
		r = encoder_codec_video(&e->video.codec, &e->options, error);
	if (!r)
		r = add_track(e, &e->video, error);
	if (!r && e->options.sound)
		r = open_sound(e, error);
	if (!r && e->options.sound)
		r = add_track(e, &e->sound, error);
	if (!r)
		r = make_canvases(e, error);
	if (!r)
		r = encoder_file_begin(e->file, error);
	if (r)
		return r;
	r = pthread_create(&e->thread, NULL, run, e);
	if (r)
		return error_errno(error, r, "cannot start a thread");
	e->running = true;
	return 0;
}

int encoder_new(struct encoder **encoder, int out_fd,
		const struct encoder_options *options, struct error *error)
{
	struct encoder *e = calloc(1, sizeof(*e));
	int r;

	*encoder = NULL;
	if (!e)
		return error_set(error, ENOMEM, "no memory for an encoder");
	e->options = *options;
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->more, NULL);
	pthread_cond_init(&e->less, NULL);
	r = start(e, out_fd, error);
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
	avcodec_free_context(&e->video.codec);
	avcodec_free_context(&e->sound.codec);
	av_packet_free(&e->video.packet);
	av_packet_free(&e->sound.packet);
	av_frame_free(&e->sound_frame);
	for (unsigned i = 0; i < CANVASES; i++) {
		av_frame_free(&e->canvases[i].frame);
		pixman_region32_fini(&e->canvases[i].base.stale);
	}
	encoder_file_free(e->file);
	pthread_mutex_destroy(&e->lock);
	pthread_cond_destroy(&e->more);
	pthread_cond_destroy(&e->less);
	free(e);
}
