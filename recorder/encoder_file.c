/*
 * MP4 by libavformat on an open fd.
 *
 * To put the index first, libavformat opens the file a second time and reads
 * while it writes further on; that second handle is the same fd, read with
 * pread, so that no path is needed.
 */
#include "recorder/encoder_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define IO_SIZE (64 * 1024)

struct handle {
	int fd;
	int64_t at;
};

struct encoder_file {
	AVFormatContext *format;
	AVIOContext *io;
	struct handle handle;
	bool begun;
};

int encoder_error(struct error *error, int averror, const char *what)
{
	char text[AV_ERROR_MAX_STRING_SIZE] = "";

	av_strerror(averror, text, sizeof(text));
	return error_set(error,
			 averror == AVERROR(ENOSPC)   ? ENOSPC
			 : averror == AVERROR(ENOMEM) ? ENOMEM
						      : EIO,
			 "cannot %s: %s", what, text);
}

static int read_at(void *opaque, uint8_t *data, int size)
{
	struct handle *h = opaque;
	ssize_t n = pread(h->fd, data, size, h->at);

	if (n < 0)
		return AVERROR(errno);
	h->at += n;
	return n ? (int)n : AVERROR_EOF;
}

static int write_at(void *opaque, uint8_t *data, int size)
{
	struct handle *h = opaque;
	int done = 0;

	while (done < size) {
		ssize_t n = pwrite(h->fd, data + done, size - done, h->at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return AVERROR(errno);
		done += (int)n;
		h->at += n;
	}
	return done;
}

static int64_t seek(void *opaque, int64_t offset, int whence)
{
	struct handle *h = opaque;
	struct stat st;

	switch (whence & ~AVSEEK_FORCE) {
	case SEEK_SET:
		h->at = offset;
		break;
	case SEEK_CUR:
		h->at += offset;
		break;
	case SEEK_END:
	case AVSEEK_SIZE:
		if (fstat(h->fd, &st))
			return AVERROR(errno);
		if (whence & AVSEEK_SIZE)
			return st.st_size;
		h->at = st.st_size + offset;
		break;
	}
	return h->at;
}

static AVIOContext *open_io(struct handle *h, int writing)
{
	uint8_t *space = av_malloc(IO_SIZE);
	AVIOContext *io;

	if (!space)
		return NULL;
	io = avio_alloc_context(space, IO_SIZE, writing, h,
				writing ? NULL : read_at,
				writing ? write_at : NULL, seek);
	if (!io)
		av_free(space);
	return io;
}

static void close_io(AVIOContext *io)
{
	if (!io)
		return;
	av_freep(&io->buffer);
	avio_context_free(&io);
}

/* libavformat wants to read what it has written. */
static int open_again(AVFormatContext *format, AVIOContext **io,
		      const char *url, int flags, AVDictionary **options)
{
	struct encoder_file *f = format->opaque;
	struct handle *h;

	(void)url;
	(void)options;
	if (flags & AVIO_FLAG_WRITE)
		return AVERROR(ENOSYS);
	h = calloc(1, sizeof(*h));
	if (!h)
		return AVERROR(ENOMEM);
	h->fd = f->handle.fd;
	*io = open_io(h, 0);
	if (!*io) {
		free(h);
		return AVERROR(ENOMEM);
	}
	return 0;
}

static int close_again(AVFormatContext *format, AVIOContext *io)
{
	(void)format;
	if (io)
		free(io->opaque);
	close_io(io);
	return 0;
}

int encoder_file_new(struct encoder_file **file, int fd, struct error *error)
{
	struct encoder_file *f = calloc(1, sizeof(*f));

	*file = NULL;
	if (f) {
		f->handle.fd = fd;
		f->io = open_io(&f->handle, 1);
		avformat_alloc_output_context2(&f->format, NULL, "mp4", "");
	}
	if (!f || !f->io || !f->format) {
		encoder_file_free(f);
		return error_set(error, ENOMEM, "no memory for an MP4 file");
	}
	f->format->pb = f->io;
	f->format->opaque = f;
	f->format->io_open = open_again;
	f->format->io_close2 = close_again;
	f->format->flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_BITEXACT;
	*file = f;
	return 0;
}

void encoder_file_free(struct encoder_file *f)
{
	if (!f)
		return;
	avformat_free_context(f->format);
	close_io(f->io);
	free(f);
}

int encoder_file_track(struct encoder_file *f, const AVCodecContext *codec,
		       struct error *error)
{
	AVStream *stream = avformat_new_stream(f->format, NULL);

	if (!stream ||
	    avcodec_parameters_from_context(stream->codecpar, codec) < 0)
		return error_set(error, ENOMEM, "no memory for a track");
	stream->time_base = codec->time_base;
	stream->avg_frame_rate = codec->framerate;
	return stream->index;
}

int encoder_file_begin(struct encoder_file *f, struct error *error)
{
	AVDictionary *options = NULL;
	int r;

	av_dict_set(&options, "movflags", "+faststart", 0);
	r = avformat_write_header(f->format, &options);
	av_dict_free(&options);
	if (r < 0)
		return encoder_error(error, r, "begin the MP4 file");
	f->begun = true;
	return 0;
}

int encoder_file_write(struct encoder_file *f, int track, AVRational base,
		       AVPacket *packet, struct error *error)
{
	int r;

	packet->stream_index = track;
	av_packet_rescale_ts(packet, base,
			     f->format->streams[track]->time_base);
	r = av_interleaved_write_frame(f->format, packet);
	return r < 0 ? encoder_error(error, r, "write the MP4 file") : 0;
}

int encoder_file_end(struct encoder_file *f, struct error *error)
{
	int r;

	if (!f->begun)
		return 0;
	r = av_write_trailer(f->format);
	avio_flush(f->io);
	if (r >= 0 && f->io->error < 0)
		r = f->io->error;
	return r < 0 ? encoder_error(error, r, "finish the MP4 file") : 0;
}
