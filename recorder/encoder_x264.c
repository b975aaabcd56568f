/* Settings, pictures and packets of libx264. */
#include "recorder/encoder_x264.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <x264.h>

#define MACROBLOCK 16 /* px */

/* Behind crf, the quantiser of the fast presets; key frames' is less. */
#define FAST_QP 2

struct encoder_x264 {
	x264_t *x264;
	x264_param_t param;
	unsigned columns, rows;   /* of macroblocks */
	pixman_region32_t before; /* what the last frame changed */
};

/* All that libx264 fails for once its settings were taken. */
static int out_of_memory(struct error *error)
{
	return error_set(error, ENOMEM, "no memory for libx264");
}

static bool is_fast(const char *preset)
{
	for (unsigned i = 0; x264_preset_names[i]; i++) {
		if (!strcmp(preset, x264_preset_names[i]))
			return true;
		if (!strcmp("veryfast", x264_preset_names[i]))
			break;
	}
	return false;
}

/*
 * What stands still is skipped at once when the quantiser never changes and
 * nothing looks ahead; with a rate control that follows the picture, what
 * stands still is encoded once more.
 */
static void set_quality(x264_param_t *p, const struct encoder_options *o)
{
	p->rc.f_rf_constant = (float)o->crf;
	if (!o->lossless && !is_fast(o->preset))
		return;
	p->rc.i_rc_method = X264_RC_CQP;
	p->rc.i_qp_constant = o->lossless ? 0 : (int)o->crf + FAST_QP;
	if (p->rc.i_qp_constant > 51)
		p->rc.i_qp_constant = 51;
	p->i_bframe = 0;
	if (o->lossless)
		return;
	p->i_scenecut_threshold = 0;
	p->analyse.i_weighted_pred = X264_WEIGHTP_NONE;
	p->rc.i_lookahead = 0;
	p->rc.b_mb_tree = 0;
}

static int set_param(x264_param_t *p, const AVCodecContext *c,
		     const struct encoder_options *o, struct error *error)
{
	if (x264_param_default_preset(p, o->preset, NULL))
		return error_set(error, EINVAL, "libx264 has no preset %s",
				 o->preset);
	p->i_log_level = X264_LOG_NONE;
	p->i_width = c->width;
	p->i_height = c->height;
	p->i_csp = o->lossless ? X264_CSP_BGRA : X264_CSP_I420;
	p->i_fps_num = (uint32_t)c->framerate.num;
	p->i_fps_den = (uint32_t)c->framerate.den;
	p->i_timebase_num = (uint32_t)c->time_base.num;
	p->i_timebase_den = (uint32_t)c->time_base.den;
	p->i_keyint_max = c->gop_size;
	p->i_threads = c->thread_count;
	p->b_repeat_headers = 0;
	p->vui.b_fullrange = c->color_range == AVCOL_RANGE_JPEG;
	p->vui.i_colorprim = c->color_primaries;
	p->vui.i_transfer = c->color_trc;
	p->vui.i_colmatrix = c->colorspace;
	p->analyse.b_mb_info = 1;
	set_quality(p, o);
	return 0;
}

/* What the file needs before any packet. */
static int set_headers(struct encoder_x264 *x, AVCodecContext *c,
		       struct error *error)
{
	x264_nal_t *nals;
	int count, size = x264_encoder_headers(x->x264, &nals, &count);

	if (size < 0)
		return out_of_memory(error);
	c->extradata = av_mallocz((size_t)size + AV_INPUT_BUFFER_PADDING_SIZE);
	if (!c->extradata)
		return error_set(error, ENOMEM, "no memory for an encoder");
	memcpy(c->extradata, nals[0].p_payload, (size_t)size);
	c->extradata_size = size;
	x264_encoder_parameters(x->x264, &x->param);
	c->has_b_frames =
		x->param.i_bframe ? 1 + (x->param.i_bframe_pyramid > 0) : 0;
	return 0;
}

int encoder_x264_new(struct encoder_x264 **x264, AVCodecContext *codec,
		     const struct encoder_options *options, struct error *error)
{
	struct encoder_x264 *x = calloc(1, sizeof(*x));
	int r;

	*x264 = NULL;
	if (!x)
		return error_set(error, ENOMEM, "no memory for an encoder");
	pixman_region32_init(&x->before);
	r = set_param(&x->param, codec, options, error);
	x->columns = ((unsigned)codec->width + MACROBLOCK - 1) / MACROBLOCK;
	x->rows = ((unsigned)codec->height + MACROBLOCK - 1) / MACROBLOCK;
	if (!r) {
		x->x264 = x264_encoder_open(&x->param);
		r = x->x264 ? set_headers(x, codec, error)
			    : out_of_memory(error);
	}
	if (r)
		encoder_x264_free(x);
	else
		*x264 = x;
	return r;
}

void encoder_x264_free(struct encoder_x264 *x)
{
	if (!x)
		return;
	if (x->x264)
		x264_encoder_close(x->x264);
	pixman_region32_fini(&x->before);
	free(x);
}

/* A box and the macroblocks around it are not constant. */
static void mark(const struct encoder_x264 *x, uint8_t *info,
		 const pixman_box32_t *box)
{
	unsigned left = (unsigned)box->x1 / MACROBLOCK;
	unsigned top = (unsigned)box->y1 / MACROBLOCK;
	unsigned right = ((unsigned)box->x2 - 1) / MACROBLOCK + 2;
	unsigned end = ((unsigned)box->y2 - 1) / MACROBLOCK + 2;

	left -= left > 0;
	top -= top > 0;
	right = right < x->columns ? right : x->columns;
	end = end < x->rows ? end : x->rows;
	for (unsigned row = top; row < end; row++)
		memset(info + (size_t)row * x->columns + left, 0, right - left);
}

static void mark_all(const struct encoder_x264 *x, uint8_t *info,
		     pixman_region32_t *region)
{
	int n;
	const pixman_box32_t *boxes = pixman_region32_rectangles(region, &n);

	for (int i = 0; i < n; i++)
		mark(x, info, &boxes[i]);
}

/*
 * A byte for each macroblock: need it not be looked at? The deblocking filter
 * changes pixels beside what was encoded, so that those are looked at, too,
 * and once more in the next frame. NULL without memory.
 */
static uint8_t *constant_blocks(struct encoder_x264 *x,
				pixman_region32_t *changed)
{
	size_t size = (size_t)x->columns * x->rows;
	uint8_t *info = malloc(size);

	if (!info)
		return NULL;
	memset(info, X264_MBINFO_CONSTANT, size);
	mark_all(x, info, changed);
	mark_all(x, info, &x->before);
	if (pixman_region32_copy(&x->before, changed))
		return info;
	pixman_region32_fini(&x->before);
	pixman_region32_init_rect(&x->before, 0, 0, x->columns * MACROBLOCK,
				  x->rows * MACROBLOCK);
	return info;
}

static int take_packet(const x264_nal_t *nals, int size,
		       const x264_picture_t *out, AVPacket *packet,
		       struct error *error)
{
	if (size <= 0)
		return size ? out_of_memory(error) : 0;
	if (av_new_packet(packet, size) < 0)
		return error_set(error, ENOMEM, "no memory for a packet");
	memcpy(packet->data, nals[0].p_payload, (size_t)size);
	packet->pts = out->i_pts;
	packet->dts = out->i_dts;
	packet->flags = out->b_keyframe ? AV_PKT_FLAG_KEY : 0;
	return 1;
}

static void fill_picture(struct encoder_x264 *x, const AVFrame *frame,
			 pixman_region32_t *changed, x264_picture_t *picture)
{
	x264_picture_init(picture);
	picture->i_pts = frame->pts;
	picture->i_type = frame->pict_type == AV_PICTURE_TYPE_I
				  ? X264_TYPE_IDR
				  : X264_TYPE_AUTO;
	picture->img.i_csp = x->param.i_csp;
	picture->img.i_plane = x->param.i_csp == X264_CSP_I420 ? 3 : 1;
	for (int i = 0; i < picture->img.i_plane; i++) {
		picture->img.plane[i] = frame->data[i];
		picture->img.i_stride[i] = frame->linesize[i];
	}
	picture->prop.mb_info = constant_blocks(x, changed);
	picture->prop.mb_info_free = free;
}

int encoder_x264_encode(struct encoder_x264 *x, const AVFrame *frame,
			pixman_region32_t *changed, AVPacket *packet,
			struct error *error)
{
	x264_picture_t in, out = {0};
	x264_nal_t *nals = NULL;
	int count, size = 0;

	if (frame) {
		fill_picture(x, frame, changed, &in);
		size = x264_encoder_encode(x->x264, &nals, &count, &in, &out);
	}
	while (!frame && !size && x264_encoder_delayed_frames(x->x264))
		size = x264_encoder_encode(x->x264, &nals, &count, NULL, &out);
	return take_packet(nals, size, &out, packet, error);
}
