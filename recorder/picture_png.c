/* A picture as PNG, by libavcodec: RGB of 8 bits, nothing is lost. */
#include "recorder/picture.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <unistd.h>

static int encode(AVCodecContext *codec, AVFrame *frame, AVPacket *packet,
		  struct error *error)
{
	int r = avcodec_send_frame(codec, frame);

	if (r >= 0)
		r = avcodec_receive_packet(codec, packet);
	if (r < 0)
		return error_set(error, r == AVERROR(ENOMEM) ? ENOMEM : EIO,
				 "cannot make a PNG: %s", av_err2str(r));
	return 0;
}

static int open_codec(AVCodecContext **codec, const struct picture *p,
		      struct error *error)
{
	const AVCodec *png = avcodec_find_encoder(AV_CODEC_ID_PNG);
	int r;

	if (!png)
		return error_set(error, ENOTSUP,
				 "this libavcodec has no encoder for PNG");
	*codec = avcodec_alloc_context3(png);
	if (!*codec)
		return error_set(error, ENOMEM, "no memory for a PNG");
	(*codec)->width = (int)p->width;
	(*codec)->height = (int)p->height;
	(*codec)->pix_fmt = AV_PIX_FMT_RGB24;
	(*codec)->time_base = (AVRational){1, 1};
	(*codec)->compression_level = 6;
	(*codec)->thread_count = 1;
	r = avcodec_open2(*codec, png, NULL);
	return r < 0 ? error_set(error, EIO, "cannot make a PNG: %s",
				 av_err2str(r))
		     : 0;
}

static int write_all(int fd, const uint8_t *data, size_t size,
		     struct error *error)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = write(fd, data + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(error, errno,
					   "cannot write a picture");
		done += (size_t)n;
	}
	return 0;
}

int picture_write_png(const struct picture *p, int fd, struct error *error)
{
	AVPacket *packet = av_packet_alloc();
	AVFrame *frame = av_frame_alloc();
	AVCodecContext *codec = NULL;
	int r;

	if (!packet || !frame) {
		r = error_set(error, ENOMEM, "no memory for a PNG");
		goto out;
	}
	frame->format = AV_PIX_FMT_RGB24;
	frame->width = (int)p->width;
	frame->height = (int)p->height;
	frame->data[0] = p->rgb;
	frame->linesize[0] = (int)p->width * 3;
	r = open_codec(&codec, p, error);
	if (!r)
		r = encode(codec, frame, packet, error);
	if (!r)
		r = write_all(fd, packet->data, (size_t)packet->size, error);
out:
	avcodec_free_context(&codec);
	av_frame_free(&frame);
	av_packet_free(&packet);
	return r;
}
