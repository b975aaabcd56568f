/* VP8, VP9, H.264 and H.265 streams by libavcodec; pixels by libswscale. */
#include "recorder/video_decoder.h"

#include <libavcodec/avcodec.h>
#include <libavutil/imgutils.h>
#include <libswscale/swscale.h>
#include <stdlib.h>

struct video_decoder {
	AVCodecContext *codec;
	AVPacket *packet;
	AVFrame *frame;
	struct SwsContext *scaler;
	uint64_t *frame_bytes; /* of all decoders */
};

#define ALIGNMENT 64 /* of rows, bytes: what vectors want */

/* A frame's memory, and where it is counted. */
struct held {
	uint8_t *memory;
	int size;
	uint64_t *frame_bytes;
};

static void release(void *user, uint8_t *data)
{
	struct held *held = user;

	(void)data;
	*held->frame_bytes -= (uint64_t)held->size;
	av_free(held->memory);
	free(held);
}

static struct held *hold(uint64_t *frame_bytes, int size)
{
	struct held *held;

	held = malloc(sizeof(*held));
	if (!held)
		return NULL;
	held->memory = av_mallocz((size_t)size); /* damage leaves parts */
	if (!held->memory) {
		free(held);
		return NULL;
	}
	held->size = size;
	held->frame_bytes = frame_bytes;
	*frame_bytes += (uint64_t)size;
	return held;
}

/*
 * libavcodec's memory for a frame. Its own pools never shrink, and a stream
 * may ask for many large frames.
 */
static int get_buffer(AVCodecContext *codec, AVFrame *frame, int flags)
{
	struct video_decoder *d = codec->opaque;
	int aligned[AV_NUM_DATA_POINTERS];
	int width = frame->width, height = frame->height, size;
	struct held *held;
	uint8_t *begin;

	(void)flags;
	avcodec_align_dimensions2(codec, &width, &height, aligned);
	/* So are rows of chroma. */
	width = FFALIGN(width, 2 * ALIGNMENT);
	size = av_image_get_buffer_size(frame->format, width, height,
					ALIGNMENT);
	if (size < 0 || size > INT32_MAX - 4 * ALIGNMENT)
		return AVERROR(EINVAL);
	if (*d->frame_bytes + (uint64_t)size > VIDEO_FRAME_BYTES_MAX)
		return AVERROR(EINVAL);
	held = hold(d->frame_bytes, size + 4 * ALIGNMENT);
	if (!held)
		return AVERROR(ENOMEM);
	frame->buf[0] = av_buffer_create(held->memory, (size_t)held->size,
					 release, held, 0);
	if (!frame->buf[0]) {
		release(held, NULL);
		return AVERROR(ENOMEM);
	}
	begin = (uint8_t *)FFALIGN((uintptr_t)held->memory, ALIGNMENT);
	av_image_fill_arrays(frame->data, frame->linesize, begin, frame->format,
			     width, height, ALIGNMENT);
	frame->extended_data = frame->data;
	return 0;
}

static enum AVCodecID codec_id(uint8_t codec)
{
	switch (codec) {
	case VIDEO_CODEC_VP8:
		return AV_CODEC_ID_VP8;
	case VIDEO_CODEC_H264:
		return AV_CODEC_ID_H264;
	case VIDEO_CODEC_VP9:
		return AV_CODEC_ID_VP9;
	case VIDEO_CODEC_H265:
		return AV_CODEC_ID_HEVC;
	}
	return AV_CODEC_ID_NONE;
}

int video_decoder_new(struct video_decoder **decoder, uint8_t number,
		      uint64_t *frame_bytes, struct error *error)
{
	const AVCodec *codec = avcodec_find_decoder(codec_id(number));
	struct video_decoder *d;

	*decoder = NULL;
	if (!codec)
		return error_set(error, ENOTSUP,
				 "video codec %u can't be decoded", number);
	d = calloc(1, sizeof(*d));
	if (!d)
		return error_set(error, ENOMEM, "no memory for a stream");
	d->frame_bytes = frame_bytes;
	d->codec = avcodec_alloc_context3(codec);
	d->packet = av_packet_alloc();
	d->frame = av_frame_alloc();
	if (d->codec && d->packet && d->frame) {
		d->codec->thread_count = 1;
		d->codec->thread_type = FF_THREAD_SLICE;
		d->codec->opaque = d;
		d->codec->get_buffer2 = get_buffer;
		d->codec->flags |=
			AV_CODEC_FLAG_LOW_DELAY | AV_CODEC_FLAG_BITEXACT;
		d->codec->max_pixels = IMAGE_PIXELS_MAX;
		if (!avcodec_open2(d->codec, codec, NULL)) {
			*decoder = d;
			return 0;
		}
	}
	video_decoder_free(d);
	return error_set(error, ENOMEM, "no memory for a stream");
}

void video_decoder_free(struct video_decoder *d)
{
	if (!d)
		return;
	avcodec_free_context(&d->codec);
	av_packet_free(&d->packet);
	av_frame_free(&d->frame);
	sws_freeContext(d->scaler);
	free(d);
}

/*
 * A stream that says nothing of its colours has those that GStreamer assumes
 * (gst-plugins-base, video-info.c), with which servers encode and viewers
 * decode: ITU-R BT.601 up to 576 lines, BT.2020 from 2160 on, else BT.709.
 */
static int matrix_by_height(int height)
{
	if (height >= 2160)
		return SWS_CS_BT2020;
	return height > 576 ? SWS_CS_ITU709 : SWS_CS_ITU601;
}

static int matrix_of(const AVFrame *f, enum AVCodecID codec)
{
	/* VP8 has a single value for it, which its encoders do not mean. */
	switch (codec == AV_CODEC_ID_VP8 ? AVCOL_SPC_UNSPECIFIED
					 : f->colorspace) {
	case AVCOL_SPC_BT709:
		return SWS_CS_ITU709;
	case AVCOL_SPC_FCC:
		return SWS_CS_FCC;
	case AVCOL_SPC_BT470BG:
	case AVCOL_SPC_SMPTE170M:
		return SWS_CS_ITU601;
	case AVCOL_SPC_SMPTE240M:
		return SWS_CS_SMPTE240M;
	case AVCOL_SPC_BT2020_NCL:
	case AVCOL_SPC_BT2020_CL:
		return SWS_CS_BT2020;
	default:
		return matrix_by_height(f->height);
	}
}

static void set_colours(struct video_decoder *d)
{
	const AVFrame *f = d->frame;
	int matrix = matrix_of(f, d->codec->codec_id);

	sws_setColorspaceDetails(d->scaler, sws_getCoefficients(matrix),
				 f->color_range == AVCOL_RANGE_JPEG,
				 sws_getCoefficients(SWS_CS_DEFAULT), 1, 0,
				 1 << 16, 1 << 16);
}

static int to_image(struct video_decoder *d, struct image **image,
		    struct error *error)
{
	const AVFrame *f = d->frame;
	uint8_t *planes[4] = {NULL};
	int strides[4] = {0};
	int r;

	r = image_new(image, f->width, f->height, IMAGE_XRGB, error);
	if (r)
		return r;
	d->scaler = sws_getCachedContext(
		d->scaler, f->width, f->height, f->format, f->width, f->height,
		AV_PIX_FMT_BGR0, SWS_POINT | SWS_ACCURATE_RND | SWS_BITEXACT,
		NULL, NULL, NULL);
	if (!d->scaler) {
		image_unref(*image);
		*image = NULL;
		if (sws_isSupportedInput(f->format))
			return error_set(error, ENOMEM,
					 "no memory for a frame");
		return error_set(error, EBADMSG,
				 "a stream's pixel format %d is unknown",
				 f->format);
	}
	set_colours(d);
	planes[0] = (uint8_t *)(*image)->pixels;
	strides[0] = (int)(*image)->stride * 4;
	sws_scale(d->scaler, (const uint8_t *const *)f->data, f->linesize, 0,
		  f->height, planes, strides);
	return 0;
}

int video_decoder_decode(struct video_decoder *d, struct bytes frame,
			 struct image **image, struct error *error)
{
	int r;

	*image = NULL;
	if (av_new_packet(d->packet, (int)bytes_left(&frame)))
		return error_set(error, ENOMEM, "no memory for a frame");
	memcpy(d->packet->data, frame.data + frame.at, bytes_left(&frame));
	r = avcodec_send_packet(d->codec, d->packet);
	av_packet_unref(d->packet);
	while (!r && !(r = avcodec_receive_frame(d->codec, d->frame))) {
		image_unref(*image);
		r = to_image(d, image, error);
		av_frame_unref(d->frame);
		if (r)
			return r;
	}
	if (r == AVERROR(EAGAIN) || (*image && r != AVERROR(ENOMEM)))
		return 0;
	image_unref(*image);
	*image = NULL;
	if (r == AVERROR(ENOMEM))
		return error_set(error, ENOMEM, "no memory for a frame");
	return error_set(error, EBADMSG, "a video frame is damaged");
}
