/* Packets with checksums, appended; cut back to a key frame when reopened. */
#include "recorder/encoder_log.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <zlib.h>

#define MAGIC "mediavm packets1"
#define WINDOW (64u << 10)
#define PACKET_MAX (256u << 20)
#define END 255 /* the track of the last record */

struct header {
	char magic[16];
	uint8_t id[ENCODER_LOG_ID];
};

struct record {
	uint32_t crc; /* of what follows, and of the packet */
	uint32_t size;
	int64_t pts, dts, duration;
	uint32_t track;
	uint16_t key;
	uint16_t discard; /* samples of the packet that are not to be heard */
};

/* A place in the file, and what was read around it. */
struct cursor {
	uint64_t at;
	uint8_t window[WINDOW];
	uint64_t window_at;
	size_t window_size;
};

struct encoder_log {
	int fd;
	pthread_mutex_t lock; /* of the end */
	uint64_t end;         /* where the next record goes */
	struct encoder_log_kept kept[ENCODER_LOG_TRACKS];
	int64_t seam;
	bool whole;
	struct cursor *cursors[ENCODER_LOG_TRACKS];
	uint64_t read;
};

static uint32_t checksum(const struct record *r, const uint8_t *data)
{
	uLong crc = crc32(0, (const Bytef *)r + sizeof(r->crc),
			  sizeof(*r) - sizeof(r->crc));

	return (uint32_t)crc32(crc, data, r->size);
}

static int read_bytes(const struct encoder_log *log, uint64_t at, void *to,
		      size_t size, struct error *error)
{
	uint8_t *out = to;

	while (size) {
		ssize_t n = pread(log->fd, out, size, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_errno(error, n ? errno : EIO,
					   "cannot read what was encoded");
		out += n;
		at += (uint64_t)n;
		size -= (size_t)n;
	}
	return 0;
}

/* The same through the cursor's window. */
static int look(const struct encoder_log *log, struct cursor *c, void *to,
		size_t size, struct error *error)
{
	uint64_t in;
	int r;

	if (size > WINDOW)
		return read_bytes(log, c->at, to, size, error);
	if (c->at < c->window_at ||
	    c->at + size > c->window_at + c->window_size) {
		uint64_t left = log->end - c->at;

		c->window_at = c->at;
		c->window_size = left < WINDOW ? left : WINDOW;
		r = read_bytes(log, c->at, c->window, c->window_size, error);
		if (r) {
			c->window_size = 0;
			return r;
		}
	}
	in = c->at - c->window_at;
	memcpy(to, c->window + in, size);
	return 0;
}

/* 1: a record that may be one, 0: the end of what is readable. */
static int look_record(const struct encoder_log *log, struct cursor *c,
		       struct record *r, struct error *error)
{
	int bad;

	if (log->end - c->at < sizeof(*r))
		return 0;
	bad = look(log, c, r, sizeof(*r), error);
	if (bad)
		return bad;
	return r->size <= PACKET_MAX &&
	       r->size <= log->end - c->at - sizeof(*r) &&
	       (r->track < ENCODER_LOG_TRACKS || r->track == END);
}

/* 1: its packet is what was written, 0: it is not. */
static int check_packet(const struct encoder_log *log, struct cursor *c,
			const struct record *r, struct error *error)
{
	uint8_t *data = malloc(r->size + 1);
	int bad;

	if (!data)
		return error_set(error, ENOMEM, "no memory for a packet");
	c->at += sizeof(*r);
	bad = look(log, c, data, r->size, error);
	c->at += r->size;
	if (!bad)
		bad = checksum(r, data) == r->crc;
	free(data);
	return bad;
}

/* Keeps what goes before the last key frame, or everything. */
static int scan(struct encoder_log *log, struct error *error)
{
	struct encoder_log_kept kept[ENCODER_LOG_TRACKS] = {{0}};
	struct cursor *c = log->cursors[0];
	uint64_t end = sizeof(struct header);
	struct record r;
	int good;

	c->at = end;
	for (;;) {
		uint64_t at = c->at;

		good = look_record(log, c, &r, error);
		if (good == 1)
			good = check_packet(log, c, &r, error);
		if (good != 1)
			break;
		if (r.track == END) {
			end = c->at;
			memcpy(log->kept, kept, sizeof(kept));
			log->whole = true;
			break;
		}
		if (r.track == 0 && r.key &&
		    kept[0].packets >= ENCODER_LOG_FRAMES_LEAST) {
			end = at;
			memcpy(log->kept, kept, sizeof(kept));
			log->seam = r.pts;
		}
		kept[r.track].packets++;
		kept[r.track].end = r.pts + r.duration;
	}
	c->at = sizeof(struct header);
	c->window_size = 0;
	log->end = end;
	if (good < 0)
		return good;
	return ftruncate(log->fd, (off_t)end)
		       ? error_errno(error, errno, "cannot cut a partial video")
		       : 0;
}

static int begin(struct encoder_log *log, const struct header *header,
		 struct error *error)
{
	log->end = sizeof(*header);
	if (ftruncate(log->fd, 0) ||
	    pwrite(log->fd, header, sizeof(*header), 0) != sizeof(*header))
		return error_errno(error, errno,
				   "cannot begin a partial video");
	return 0;
}

static int take_up(struct encoder_log *log, const uint8_t *id,
		   struct error *error)
{
	struct header header = {.magic = MAGIC}, found;
	struct stat st;
	int r;

	memcpy(header.id, id, sizeof(header.id));
	if (fstat(log->fd, &st))
		return error_errno(error, errno, "cannot read a partial video");
	if ((size_t)st.st_size < sizeof(found))
		return begin(log, &header, error);
	log->end = (uint64_t)st.st_size;
	r = read_bytes(log, 0, &found, sizeof(found), error);
	if (r)
		return r;
	if (memcmp(&found, &header, sizeof(header)))
		return begin(log, &header, error);
	return scan(log, error);
}

int encoder_log_open(struct encoder_log **log, int fd,
		     const uint8_t id[ENCODER_LOG_ID], struct error *error)
{
	struct encoder_log *l = calloc(1, sizeof(*l));
	int r = l ? 0 : -ENOMEM;

	*log = NULL;
	if (l)
		pthread_mutex_init(&l->lock, NULL);
	for (unsigned i = 0; !r && i < ENCODER_LOG_TRACKS; i++) {
		l->cursors[i] = calloc(1, sizeof(*l->cursors[i]));
		if (!l->cursors[i])
			r = -ENOMEM;
		else
			l->cursors[i]->at = sizeof(struct header);
	}
	if (r) {
		error_set(error, ENOMEM, "no memory for a partial video");
	} else {
		l->fd = fd;
		r = take_up(l, id, error);
	}
	if (r)
		encoder_log_free(l);
	else
		*log = l;
	return r;
}

void encoder_log_free(struct encoder_log *log)
{
	if (!log)
		return;
	for (unsigned i = 0; i < ENCODER_LOG_TRACKS; i++)
		free(log->cursors[i]);
	pthread_mutex_destroy(&log->lock);
	free(log);
}

const struct encoder_log_kept *encoder_log_kept(const struct encoder_log *log,
						unsigned track)
{
	return &log->kept[track];
}

int64_t encoder_log_seam(const struct encoder_log *log)
{
	return log->seam;
}

bool encoder_log_is_whole(const struct encoder_log *log)
{
	return log->whole;
}

static int append(struct encoder_log *log, struct record *r,
		  const uint8_t *data, struct error *error)
{
	const struct iovec parts[] = {{r, sizeof(*r)}, {(void *)data, r->size}};
	ssize_t n;

	r->crc = checksum(r, data);
	do
		n = pwritev(log->fd, parts, 2, (off_t)log->end);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)(sizeof(*r) + r->size))
		return error_errno(error, n < 0 ? errno : ENOSPC,
				   "cannot write what was encoded");
	log->end += (uint64_t)n;
	return 0;
}

static uint16_t discarded(const AVPacket *packet)
{
	size_t size;
	const uint8_t *skip = av_packet_get_side_data(
		packet, AV_PKT_DATA_SKIP_SAMPLES, &size);
	uint32_t at_end = 0;

	if (skip && size >= 10)
		at_end = skip[4] | skip[5] << 8 | skip[6] << 16 |
			 (uint32_t)skip[7] << 24;
	return at_end > UINT16_MAX ? 0 : (uint16_t)at_end;
}

int encoder_log_add(struct encoder_log *log, unsigned track,
		    const AVPacket *packet, struct error *error)
{
	struct record r = {.size = (uint32_t)packet->size,
			   .pts = packet->pts,
			   .dts = packet->dts,
			   .duration = packet->duration,
			   .track = track,
			   .key = packet->flags & AV_PKT_FLAG_KEY ? 1 : 0,
			   .discard = discarded(packet)};
	int bad;

	pthread_mutex_lock(&log->lock);
	bad = append(log, &r, packet->data, error);
	pthread_mutex_unlock(&log->lock);
	if (!bad && track == 0 && r.key && fdatasync(log->fd) &&
	    errno != EINVAL)
		bad = error_errno(error, errno, "cannot keep what was encoded");
	return bad;
}

int encoder_log_end(struct encoder_log *log, struct error *error)
{
	struct record r = {.track = END};
	int bad = log->whole ? 0 : append(log, &r, (const uint8_t *)"", error);

	log->whole = true;
	return bad;
}

/* The last samples of a sound are of its last packet's making. */
static int set_discard(AVPacket *packet, uint16_t samples)
{
	uint8_t *skip;

	if (!samples)
		return 0;
	skip = av_packet_new_side_data(packet, AV_PKT_DATA_SKIP_SAMPLES, 10);
	if (!skip)
		return -ENOMEM;
	memset(skip, 0, 10);
	skip[4] = (uint8_t)samples;
	skip[5] = (uint8_t)(samples >> 8);
	return 0;
}

static int read_packet(struct encoder_log *log, struct cursor *c,
		       const struct record *r, AVPacket *packet,
		       struct error *error)
{
	int bad;

	if (av_new_packet(packet, (int)r->size) < 0 ||
	    set_discard(packet, r->discard))
		return error_set(error, ENOMEM, "no memory for a packet");
	bad = look(log, c, packet->data, r->size, error);
	if (bad)
		return bad;
	packet->pts = r->pts;
	packet->dts = r->dts;
	packet->duration = r->duration;
	packet->flags = r->key ? AV_PKT_FLAG_KEY : 0;
	log->read += sizeof(*r) + r->size;
	return 1;
}

int encoder_log_next(struct encoder_log *log, unsigned track, AVPacket *packet,
		     struct error *error)
{
	struct cursor *c = log->cursors[track];
	struct record r;
	int more;

	while ((more = look_record(log, c, &r, error)) == 1) {
		if (r.track == END)
			return 0;
		c->at += sizeof(r);
		if (r.track == track)
			more = read_packet(log, c, &r, packet, error);
		c->at += r.size;
		if (r.track == track)
			return more;
	}
	return more;
}

void encoder_log_size(const struct encoder_log *log, uint64_t *all,
		      uint64_t *read)
{
	*all = log->end;
	*read = log->read;
}
