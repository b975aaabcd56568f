/* A client that records; see viewer.h. */
#include "tests/oracle/viewer.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "recorder/capture_writer.h"
#include "recorder/decoder.h"
#include "tests/spice_peer.h"

#define CHANNELS 8
#define BODY_MAX (64u << 20)

/* A channel, its place in the capture, and the acknowledgements it owes. */
struct line {
	struct peer peer;
	struct capture_channel channel;
	int number;
	uint64_t serial;
	unsigned window, count;
};

struct viewer {
	struct line lines[CHANNELS];
	unsigned count;
	struct capture_pool *pool;
	struct capture_writer *writer;
	struct decoder *decoder; /* under the lock */
	pthread_mutex_t lock;
	pthread_t thread;
	bool ready, damaged;
	struct viewer_options options;
	uint8_t *body;
};

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void record(struct viewer *v, struct line *line,
		   enum capture_direction direction, const void *data,
		   size_t size)
{
	int r;

	while ((r = capture_writer_add(v->writer, line->number, direction,
				       now(), data, size, NULL)) == -EAGAIN)
		usleep(500);
	v->damaged |= r < 0;
}

/* The decoder learns what the capture's reader would tell it. */
static void feed(struct viewer *v, struct line *line, enum capture_kind kind,
		 uint16_t type, const void *data, size_t size)
{
	struct capture_item item = {.kind = kind,
				    .channel = &line->channel,
				    .direction = CAPTURE_TO_CLIENT,
				    .serial = line->serial,
				    .type = type,
				    .data = data,
				    .size = size};

	pthread_mutex_lock(&v->lock);
	v->damaged |= decoder_feed(v->decoder, &item, NULL) < 0;
	pthread_mutex_unlock(&v->lock);
}

static int dial(int port)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&at, sizeof(at)))
		abort();
	return fd;
}

static void set_caps(const struct viewer *v, struct link_mess *mess)
{
	static const unsigned display[] = {
		SPICE_DISPLAY_CAP_SIZED_STREAM,
		SPICE_DISPLAY_CAP_MONITORS_CONFIG,
		SPICE_DISPLAY_CAP_COMPOSITE,
		SPICE_DISPLAY_CAP_A8_SURFACE,
		SPICE_DISPLAY_CAP_LZ4_COMPRESSION,
		SPICE_DISPLAY_CAP_MULTI_CODEC,
	};

	if (mess->channel_type != SPICE_CHANNEL_DISPLAY)
		return;
	for (unsigned i = 0; i < sizeof(display) / sizeof(display[0]); i++)
		link_caps_set(&mess->channel, display[i], true);
	if (v->options.codec)
		link_caps_set(&mess->channel, v->options.codec, true);
}

/* The link as it stands in the capture: one PDU at a time, no ticket. */
static void record_link(struct viewer *v, struct line *line,
			const struct link_mess *mess)
{
	struct link_reply reply = {0};
	struct buffer b = {0};
	uint8_t zero[LINK_TICKET_SIZE] = {0}, le[4] = {1};

	line->number = capture_writer_open_channel(v->writer, now(), NULL);
	link_mess_build(&b, mess);
	record(v, line, CAPTURE_TO_GUEST, b.data, b.size);
	buffer_free(&b);
	b = (struct buffer){0};
	reply.common = mess->common;
	link_reply_build(&b, &reply);
	record(v, line, CAPTURE_TO_CLIENT, b.data, b.size);
	buffer_free(&b);
	record(v, line, CAPTURE_TO_GUEST, le, sizeof(le));
	record(v, line, CAPTURE_TO_GUEST, zero, sizeof(zero));
	record(v, line, CAPTURE_TO_CLIENT, zero, 4);
	line->channel.number = line->number;
	line->channel.mess = *mess;
	feed(v, line, CAPTURE_RESULT, 0, zero, 4);
}

static struct line *open_line(struct viewer *v, uint32_t session, uint8_t type,
			      uint8_t id)
{
	struct line *line = &v->lines[v->count];
	struct link_mess mess = peer_mess(type, id, session, true);

	set_caps(v, &mess);
	line->peer = (struct peer){.fd = dial(v->options.port)};
	if (peer_link(&line->peer, &mess, ""))
		abort();
	record_link(v, line, &mess);
	v->count++;
	return line;
}

static void acknowledge(struct line *line, uint16_t type, const uint8_t *body)
{
	if (type == SPICE_MSG_SET_ACK) {
		line->window = bytes_get_le32(body + 4);
		line->count = 0;
		peer_send(&line->peer, SPICE_MSGC_ACK_SYNC, body, 4);
	} else if (line->window && ++line->count == line->window) {
		line->count = 0;
		peer_send(&line->peer, SPICE_MSGC_ACK, NULL, 0);
	}
}

static bool read_message(struct viewer *v, struct line *line)
{
	uint16_t type;
	uint8_t header[6];
	ssize_t size = peer_receive(&line->peer, &type, v->body, BODY_MAX);

	if (size < 0)
		return false;
	line->serial++;
	acknowledge(line, type, v->body);
	bytes_put_le16(header, type);
	bytes_put_le32(header + 2, (uint32_t)size);
	record(v, line, CAPTURE_TO_CLIENT, header, sizeof(header));
	record(v, line, CAPTURE_TO_CLIENT, v->body, (size_t)size);
	feed(v, line, CAPTURE_MESSAGE, type, v->body, (size_t)size);
	return true;
}

/* Caches of the size that was asked for; all displays share them. */
static void init_display(const struct viewer *v, struct line *line)
{
	uint8_t init[14] = {1};

	bytes_put_le32(init + 1, v->options.cache);
	init[9] = 1;
	bytes_put_le32(init + 10, v->options.window);
	peer_send(&line->peer, SPICE_MSGC_DISPLAY_INIT, init, sizeof(init));
}

static void open_all(struct viewer *v)
{
	struct line *line = open_line(v, 0, SPICE_CHANNEL_MAIN, 0);
	uint32_t session;

	if (!read_message(v, line))
		abort();
	session = bytes_get_le32(v->body);
	for (unsigned id = 0; id < v->options.displays; id++) {
		line = open_line(v, session, SPICE_CHANNEL_DISPLAY, id);
		init_display(v, line);
		open_line(v, session, SPICE_CHANNEL_CURSOR, id);
	}
}

static void *run(void *data)
{
	struct viewer *v = data;
	struct pollfd fds[CHANNELS];
	bool alive = true;

	open_all(v);
	__atomic_store_n(&v->ready, true, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < v->count; i++)
		fds[i] = (struct pollfd){v->lines[i].peer.fd, POLLIN, 0};
	while (alive) {
		poll(fds, v->count, 100);
		capture_writer_tick(v->writer, now(), NULL);
		for (unsigned i = 0; i < v->count && alive; i++)
			if (fds[i].revents)
				alive = read_message(v, &v->lines[i]);
	}
	return NULL;
}

struct viewer *viewer_new(const struct viewer_options *options)
{
	struct capture_session session = {.id = "oracle", .vault = "oracle"};
	struct decoder_options decoder = {0};
	struct viewer *v = calloc(1, sizeof(*v));
	int fd = open(options->capture, O_RDWR | O_CREAT | O_TRUNC, 0644);

	if (!v || fd < 0)
		abort();
	v->options = *options;
	v->body = malloc(BODY_MAX);
	pthread_mutex_init(&v->lock, NULL);
	if (!v->body || decoder_new(&v->decoder, &decoder, NULL) ||
	    capture_pool_new(&v->pool, 1, NULL) ||
	    capture_writer_new(&v->writer, v->pool, fd, &session, NULL) ||
	    pthread_create(&v->thread, NULL, run, v))
		abort();
	while (!__atomic_load_n(&v->ready, __ATOMIC_SEQ_CST))
		device_run();
	return v;
}

static bool complete(struct viewer *v)
{
	uint8_t digest[CAPTURE_DIGEST_SIZE];
	int r = capture_writer_finish(v->writer, NULL);

	while (!r && !(r = capture_writer_finished(v->writer, digest, NULL)))
		usleep(1000);
	return r > 0 && !v->damaged;
}

bool viewer_free(struct viewer *v)
{
	bool whole;

	for (unsigned i = 0; i < v->count; i++)
		shutdown(v->lines[i].peer.fd, SHUT_RDWR);
	pthread_join(v->thread, NULL);
	whole = complete(v);
	for (unsigned i = 0; i < v->count; i++)
		peer_close(&v->lines[i].peer);
	while (device_open_channels() > 0)
		device_run();
	capture_writer_free(v->writer);
	capture_pool_free(v->pool);
	decoder_free(v->decoder);
	pthread_mutex_destroy(&v->lock);
	free(v->body);
	free(v);
	return whole;
}

static const struct surface *surface_of(struct viewer *v, unsigned display,
					uint32_t id)
{
	const struct display *d = decoder_display(v->decoder, display);

	return d && id < DISPLAY_SURFACES ? d->surfaces[id] : NULL;
}

bool viewer_pixel(struct viewer *v, unsigned display, uint32_t x, uint32_t y,
		  uint32_t *pixel)
{
	const struct surface *s;
	bool there;

	pthread_mutex_lock(&v->lock);
	s = surface_of(v, display, 0);
	there = s && x < s->width && y < s->height;
	if (there)
		*pixel = surface_row(s, (int32_t)y)[x];
	pthread_mutex_unlock(&v->lock);
	return there;
}

uint64_t viewer_seen(struct viewer *v, unsigned display, uint16_t type)
{
	const struct display *d;
	uint64_t n;

	pthread_mutex_lock(&v->lock);
	d = decoder_display(v->decoder, display);
	n = d ? d->seen[type] : 0;
	pthread_mutex_unlock(&v->lock);
	return n;
}

/* A pixel of the server's own memory, and the bits of it that count. */
static uint32_t canvas_pixel(const struct canvas *c, uint32_t x, uint32_t y,
			     uint32_t *mask)
{
	const uint8_t *row = c->data + (size_t)y * (size_t)c->stride;

	switch (c->format) {
	case SPICE_SURFACE_FMT_1_A:
		*mask = 1;
		return row[x / 8] >> (x & 7) & 1;
	case SPICE_SURFACE_FMT_8_A:
		*mask = 0xff;
		return row[x];
	case SPICE_SURFACE_FMT_16_555:
	case SPICE_SURFACE_FMT_16_565:
		*mask = c->format == SPICE_SURFACE_FMT_16_555 ? 0x7fff : 0xffff;
		return row[2 * x] | (uint32_t)row[2 * x + 1] << 8;
	}
	*mask = c->format == SPICE_SURFACE_FMT_32_ARGB ? ~0u : 0xffffff;
	return bytes_get_le32(row + 4 * (size_t)x);
}

static bool compare(const struct surface *s, const struct canvas *c,
		    struct viewer_difference *d)
{
	for (uint32_t y = 0; y < c->height; y++)
		for (uint32_t x = 0; x < c->width; x++) {
			uint32_t mask, theirs = canvas_pixel(c, x, y, &mask);
			uint32_t ours = surface_row(s, (int32_t)y)[x];

			if (!((ours ^ theirs) & mask))
				continue;
			*d = (struct viewer_difference){x, y, ours & mask,
							theirs & mask};
			return true;
		}
	return false;
}

bool viewer_differs(struct viewer *v, unsigned display,
		    const struct canvas *canvas, struct viewer_difference *d)
{
	const struct surface *s;
	bool differs;

	pthread_mutex_lock(&v->lock);
	s = surface_of(v, display, canvas->id);
	*d = (struct viewer_difference){0};
	differs = !s || s->width != canvas->width ||
		  s->height != canvas->height || s->format != canvas->format ||
		  compare(s, canvas, d);
	pthread_mutex_unlock(&v->lock);
	return differs;
}

const char *viewer_trouble(struct viewer *v)
{
	const struct decoder_trouble *t = decoder_trouble(v->decoder);

	if (!t->damaged && !t->missing && !t->undrawn)
		return "";
	return t->first[0] ? t->first : t->first_undrawn;
}
