/*
 * MP4 or WebM by libavformat on an open fd.
 *
 * To put the index first, libavformat opens the file a second time and reads
 * while it writes further on; that second handle is the same fd, read with
 * pread, so that no path is needed.
 */
#include "recorder/encoder_file.h"

#include <errno.h>
#include <libavcodec/bsf.h>
#include <libavformat/avformat.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define IO_SIZE (256 * 1024)
#define PROGRESS_PACKETS 1024

struct handle {
	int fd;
	int64_t at;
};

struct file {
	AVFormatContext *format;
	AVIOContext *io;
	struct handle handle;
	struct encoder_log *log;
	AVPacket *heads[ENCODER_LOG_TRACKS]; /* the next of each track */
	bool more[ENCODER_LOG_TRACKS];
	AVRational bases[ENCODER_LOG_TRACKS]; /* of the log's times */
	unsigned count;
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
	struct file *f = format->opaque;
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

static void close_file(struct file *f)
{
	for (unsigned i = 0; i < ENCODER_LOG_TRACKS; i++)
		av_packet_free(&f->heads[i]);
	avformat_free_context(f->format);
	close_io(f->io);
}

static int open_file(struct file *f, const struct encoder_options *o,
		     struct error *error)
{
	f->io = open_io(&f->handle, 1);
	avformat_alloc_output_context2(
		&f->format, NULL, o->format == ENCODER_WEBM ? "webm" : "mp4",
		"");
	if (!f->io || !f->format)
		return error_set(error, ENOMEM, "no memory for a video file");
	f->format->pb = f->io;
	f->format->opaque = f;
	f->format->io_open = open_again;
	f->format->io_close2 = close_again;
	f->format->flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_BITEXACT;
	return 0;
}

static int add_track(struct file *f, const AVCodecContext *codec,
		     const char *title, struct error *error)
{
	AVStream *stream = avformat_new_stream(f->format, NULL);
	unsigned i = f->count++;

	f->heads[i] = av_packet_alloc();
	f->bases[i] = codec->time_base;
	if (!stream || !f->heads[i] ||
	    avcodec_parameters_from_context(stream->codecpar, codec) < 0)
		return error_set(error, ENOMEM, "no memory for a track");
	stream->time_base = codec->time_base;
	stream->avg_frame_rate = codec->framerate;
	/* The second is what MP4 has for a title. */
	if (av_dict_set(&stream->metadata, "title", title, 0) < 0 ||
	    av_dict_set(&stream->metadata, "handler_name", title, 0) < 0)
		return error_set(error, ENOMEM, "no memory for a track");
	return 0;
}

static int add_tracks(struct file *f, const struct encoder_options *o,
		      struct encoder_track *const *tracks, struct error *error)
{
	static const char *const titles[ENCODER_SOUNDS] = {
		[ENCODER_GUEST] = "guest",
		[ENCODER_MICROPHONE] = "microphone",
	};
	int r = add_track(f, encoder_track_codec(tracks[0]), "screen", error);

	for (unsigned i = 0; !r && i < ENCODER_SOUNDS; i++)
		if (o->sounds[i])
			r = add_track(f, encoder_track_codec(tracks[f->count]),
				      titles[i], error);
	if (r)
		return r;
	for (unsigned i = 0; i < f->count && i < 2; i++)
		f->format->streams[i]->disposition |= AV_DISPOSITION_DEFAULT;
	return 0;
}

static int next_packet(struct file *f, unsigned track, struct error *error)
{
	int r = encoder_log_next(f->log, track, f->heads[track], error);

	f->more[track] = r == 1;
	return r < 0 ? r : 0;
}

static int copy_extradata(AVCodecParameters *to, const AVPacket *from)
{
	size_t size;
	const uint8_t *data =
		av_packet_get_side_data(from, AV_PKT_DATA_NEW_EXTRADATA, &size);

	if (!data)
		return 0;
	to->extradata = av_mallocz(size + AV_INPUT_BUFFER_PADDING_SIZE);
	if (!to->extradata)
		return AVERROR(ENOMEM);
	memcpy(to->extradata, data, size);
	to->extradata_size = (int)size;
	return 0;
}

/* An AV1 encoder tells what belongs into the file's head in a packet only. */
static int extract_extradata(struct file *f, struct error *error)
{
	AVCodecParameters *par = f->format->streams[0]->codecpar;
	AVPacket *copy = NULL;
	AVBSFContext *filter = NULL;
	int r;

	if (par->codec_id != AV_CODEC_ID_AV1 || par->extradata_size ||
	    !f->more[0])
		return 0;
	r = av_bsf_list_parse_str("extract_extradata", &filter);
	if (r >= 0)
		r = avcodec_parameters_copy(filter->par_in, par);
	if (r >= 0)
		r = av_bsf_init(filter);
	if (r >= 0 && !(copy = av_packet_clone(f->heads[0])))
		r = AVERROR(ENOMEM);
	if (r >= 0)
		r = av_bsf_send_packet(filter, copy);
	if (r >= 0)
		r = av_bsf_receive_packet(filter, copy);
	if (r >= 0)
		r = copy_extradata(par, copy);
	av_packet_free(&copy);
	av_bsf_free(&filter);
	return r < 0 ? encoder_error(error, r, "begin the video file") : 0;
}

static int begin(struct file *f, struct error *error)
{
	AVDictionary *options = NULL;
	/* Each muxer knows one of them. */
	int r = av_dict_set(&options, "movflags", "+faststart", 0);

	if (r >= 0)
		r = av_dict_set(&options, "cues_to_front", "1", 0);
	if (r >= 0)
		r = avformat_write_header(f->format, &options);
	av_dict_free(&options);
	return r < 0 ? encoder_error(error, r, "begin the video file") : 0;
}

/* The track whose next packet is due; -1 at the end. */
static int first_track(const struct file *f)
{
	int first = -1;

	for (unsigned i = 0; i < f->count; i++)
		if (f->more[i] &&
		    (first < 0 ||
		     av_compare_ts(f->heads[i]->dts, f->bases[i],
				   f->heads[first]->dts, f->bases[first]) < 0))
			first = (int)i;
	return first;
}

static int write_packet(struct file *f, unsigned track, struct error *error)
{
	AVPacket *packet = f->heads[track];
	int r;

	packet->stream_index = (int)track;
	av_packet_rescale_ts(packet, f->bases[track],
			     f->format->streams[track]->time_base);
	r = av_write_frame(f->format, packet);
	av_packet_unref(packet);
	return r < 0 ? encoder_error(error, r, "write the video file")
		     : next_packet(f, track, error);
}

static int write_packets(struct file *f,
			 int (*progress)(void *user, double done), void *user,
			 struct error *error)
{
	uint64_t all, read;
	int r = 0, track;

	for (unsigned n = 0; !r && (track = first_track(f)) >= 0; n++) {
		encoder_log_size(f->log, &all, &read);
		if (progress && n % PROGRESS_PACKETS == 0 &&
		    progress(user, (double)read / (double)all))
			return error_set(error, ECANCELED,
					 "rendering was cancelled");
		r = write_packet(f, (unsigned)track, error);
	}
	return r;
}

static int end(struct file *f, struct error *error)
{
	int r = av_write_trailer(f->format);

	avio_flush(f->io);
	if (r >= 0 && f->io->error < 0)
		r = f->io->error;
	return r < 0 ? encoder_error(error, r, "finish the video file") : 0;
}

int encoder_file_write(int fd, const struct encoder_options *options,
		       struct encoder_track *const *tracks,
		       struct encoder_log *log,
		       int (*progress)(void *user, double done), void *user,
		       struct error *error)
{
	struct file f = {.handle.fd = fd, .log = log};
	int r = open_file(&f, options, error);

	if (!r)
		r = add_tracks(&f, options, tracks, error);
	for (unsigned i = 0; !r && i < f.count; i++)
		r = next_packet(&f, i, error);
	if (!r)
		r = extract_extradata(&f, error);
	if (!r)
		r = begin(&f, error);
	if (!r)
		r = write_packets(&f, progress, user, error);
	if (!r)
		r = end(&f, error);
	close_file(&f);
	return r;
}
