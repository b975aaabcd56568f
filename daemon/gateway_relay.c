/*
 * What passes between viewer and guest on one channel: cut into messages,
 * filtered, recorded, sent on. A message is passed in the pieces it comes in;
 * only the few kinds that the policy looks into are collected.
 *
 * Nothing of a message goes on before its header is whole. Pieces that follow
 * each other in memory are written as one run. To a viewer a run ends with its
 * message, and so does its last TLS record: spice-gtk waits for the socket
 * even when OpenSSL still holds bytes, so that a message behind another one in
 * a record would wait for the next to come, and its answer, too.
 */
#include "daemon/gateway_session.h"

#include <spice/enums.h>

#define MESSAGE_MAX (256u << 20) /* of any body, bytes */
#define COMPLETE_MAX (1u << 20)  /* zeros sent to complete a message */

void relay_start(struct channel *ch, bool mini)
{
	for (int i = 0; i < 2; i++) {
		framer_init(&ch->directions[i].framer, mini, MESSAGE_MAX);
		ch->directions[i].body.limit = FILTER_COLLECT_MAX;
	}
	filter_init(&ch->filter, &ch->session->rules, ch->mess.channel_type);
}

void relay_clear(struct channel *ch)
{
	for (int i = 0; i < 2; i++) {
		buffer_free(&ch->directions[i].body);
		buffer_free(&ch->directions[i].inject);
	}
	filter_clear(&ch->filter);
}

static struct stream *sink_of(struct channel *ch,
			      enum capture_direction direction)
{
	return direction == CAPTURE_TO_GUEST ? &ch->guest : &ch->client;
}

static int write_run(struct channel *ch, enum capture_direction direction)
{
	struct direction *d = &ch->directions[direction];
	size_t n = d->run_size;

	d->run_size = 0;
	return n ? stream_write(sink_of(ch, direction), d->run, n) : 0;
}

static int send_on(struct channel *ch, enum capture_direction direction,
		   const uint8_t *data, size_t size)
{
	struct direction *d = &ch->directions[direction];

	ch->session->bytes[direction] += size;
	if (d->run_size && d->run + d->run_size == data) {
		d->run_size += size;
		return 0;
	}
	if (write_run(ch, direction) < 0)
		return -1;
	d->run = data;
	d->run_size = size;
	return 0;
}

static int record(struct channel *ch, enum capture_direction direction,
		  const void *head, size_t head_size, const void *data,
		  size_t size)
{
	return session_record(ch->session, ch, direction,
			      ch->directions[direction].time, head, head_size,
			      data, size);
}

static size_t put_header(const struct direction *d, uint16_t type,
			 uint32_t size, uint8_t header[FRAMER_HEADER_FULL])
{
	if (d->framer.mini) {
		bytes_put_le16(header, type);
		bytes_put_le32(header + 2, size);
		return FRAMER_HEADER_MINI;
	}
	bytes_put_le64(header, d->framer.serial);
	bytes_put_le16(header + 8, type);
	bytes_put_le32(header + 10, size);
	bytes_put_le32(header + 14, 0);
	return FRAMER_HEADER_FULL;
}

/* A whole message, recorded and written from memory that goes away. */
static int send_message(struct channel *ch, enum capture_direction direction,
			uint16_t type, const uint8_t *body,
			const uint8_t *stored, size_t size)
{
	struct direction *d = &ch->directions[direction];
	uint8_t header[FRAMER_HEADER_FULL];
	size_t n = put_header(d, type, (uint32_t)size, header);

	if (record(ch, direction, header, n, stored, size) < 0 ||
	    send_on(ch, direction, header, n) < 0 ||
	    write_run(ch, direction) < 0 ||
	    send_on(ch, direction, body, size) < 0)
		return -1;
	return write_run(ch, direction);
}

static int send_injected(struct channel *ch, enum capture_direction direction)
{
	struct direction *d = &ch->directions[direction];
	struct buffer b = d->inject;
	int r;

	if (d->midway || b.size == 0)
		return 0;
	d->inject = (struct buffer){0};
	r = record(ch, direction, NULL, 0, b.data, b.size);
	if (r == 0)
		r = send_on(ch, direction, b.data, b.size);
	if (r == 0)
		r = write_run(ch, direction);
	buffer_free(&b);
	return r;
}

int relay_inject(struct channel *ch, enum capture_direction direction,
		 uint16_t type, const void *body, uint32_t size)
{
	struct direction *d = &ch->directions[direction];
	uint8_t header[FRAMER_HEADER_FULL];
	size_t n = put_header(d, type, size, header);

	d->time = gateway_realtime();
	buffer_put(&d->inject, header, n);
	buffer_put(&d->inject, body, size);
	if (d->inject.failed)
		return -1;
	return send_injected(ch, direction);
}

int relay_complete(struct channel *ch)
{
	static const uint8_t zeros[4096];
	struct direction *d = &ch->directions[CAPTURE_TO_CLIENT];
	uint32_t left = d->midway ? d->framer.left : 0;

	if (left > COMPLETE_MAX)
		return -1;
	while (left) {
		uint32_t n = left < sizeof(zeros) ? left : sizeof(zeros);

		record(ch, CAPTURE_TO_CLIENT, NULL, 0, zeros, n);
		if (stream_write(&ch->client, zeros, n) < 0)
			return -1;
		left -= n;
	}
	d->midway = false;
	return 0;
}

static int collected(struct channel *ch, enum capture_direction direction)
{
	struct direction *d = &ch->directions[direction];
	struct filter_verdict v;
	int r = 0;

	if (filter_message(&ch->filter, direction, d->framer.type, d->body.data,
			   d->body.size, &v) < 0)
		r = -1;
	d->body.size = 0;
	if (d->body.room > 4096)
		buffer_free(&d->body);
	if (r == 0 && !v.drop)
		r = send_message(ch, direction, d->framer.type, v.body,
				 v.stored, v.size);
	if (r == 0 && v.reply_type)
		r = relay_inject(ch, v.reply_direction, v.reply_type,
				 v.reply_body, v.reply_size);
	return r;
}

/* The header of a message is whole. */
static int begin_message(struct channel *ch, enum capture_direction direction)
{
	struct direction *d = &ch->directions[direction];
	struct framer *f = &d->framer;

	if (direction == CAPTURE_TO_GUEST && f->type > 100 &&
	    ch->mess.channel_type == SPICE_CHANNEL_INPUTS)
		ch->session->last_input = ch->worker->loop.now;
	d->action = filter_begin(&ch->filter, direction, f->type, f->size);
	if (d->action == FILTER_REFUSE) {
		session_end(ch->session, IPC_END_PROTOCOL,
			    "a message of type %u has %u bytes, more than can "
			    "be",
			    f->type, f->size);
		return -1;
	}
	/* Freed again by collected(); a filtered body begins empty. */
	d->body.size = 0;
	return 0;
}

/*
 * A piece that goes on as it is. The header is recorded together with the
 * first piece of its body; if it came in parts, it is sent from the framer.
 */
static int pass(struct channel *ch, enum capture_direction direction,
		const struct framer_piece *p, const uint8_t *bytes)
{
	struct direction *d = &ch->directions[direction];
	size_t n = d->framer.mini ? FRAMER_HEADER_MINI : FRAMER_HEADER_FULL;
	const uint8_t *head = d->framer.header;
	bool whole;

	if (p->header && !p->ends)
		return 0; /* waits for the body */
	if (d->midway) {
		if (record(ch, direction, NULL, 0, p->data, p->size) < 0 ||
		    send_on(ch, direction, p->data, p->size) < 0)
			return -1;
		d->midway = !p->ends;
		return 0;
	}
	/* First of a body, or a message without one. */
	whole = p->header ? p->begins : (size_t)(p->data - bytes) >= n;
	if (whole)
		head = p->header ? p->data : p->data - n;
	if (record(ch, direction, head, n, p->header ? NULL : p->data,
		   p->header ? 0 : p->size) < 0 ||
	    send_on(ch, direction, head, n) < 0)
		return -1;
	if (!whole && write_run(ch, direction) < 0)
		return -1; /* the framer's copy is about to change */
	d->midway = !p->ends;
	return p->header ? 0 : send_on(ch, direction, p->data, p->size);
}

static int handle(struct channel *ch, enum capture_direction direction,
		  const struct framer_piece *p, const uint8_t *bytes)
{
	struct direction *d = &ch->directions[direction];

	if (p->header && !p->header_done)
		return 0;
	if (p->header && begin_message(ch, direction) < 0)
		return -1;
	switch (d->action) {
	case FILTER_PASS:
		return pass(ch, direction, p, bytes);
	case FILTER_COLLECT:
		if (!p->header)
			buffer_put(&d->body, p->data, p->size);
		if (d->body.failed)
			return -1;
		return p->ends ? collected(ch, direction) : 0;
	default:
		return 0;
	}
}

static int feed(struct channel *ch, enum capture_direction direction,
		const uint8_t *bytes, size_t size)
{
	struct direction *d = &ch->directions[direction];
	struct framer_piece piece;
	struct error error;
	size_t at = 0;
	int r = 0;

	d->time = gateway_realtime();
	while (r == 0 && at < size) {
		int n = framer_next(&d->framer, bytes + at, size - at, &piece,
				    &error);

		if (n < 0) {
			session_end(ch->session, IPC_END_PROTOCOL, "%s",
				    error.text);
			r = -1;
			break;
		}
		r = handle(ch, direction, &piece, bytes);
		if (r == 0 && piece.ends && direction == CAPTURE_TO_CLIENT)
			r = write_run(ch, direction);
		if (r == 0 && piece.ends)
			r = send_injected(ch, direction);
		at += (size_t)n;
	}
	/* What was recorded goes on even if the next message must not. */
	return write_run(ch, direction) < 0 ? -1 : r;
}

/* Has the sink, and the recording, room for a batch? */
static bool has_room(struct channel *ch, struct stream *sink)
{
	struct session *s = ch->session;

	if (stream_flush(sink) < 0 || stream_is_blocked(sink))
		return false;
	if (s->writer && !s->is_behind)
		s->is_behind = capture_writer_is_behind(s->writer);
	return !s->is_behind;
}

static int flush(struct channel *ch, int r)
{
	if (stream_flush(&ch->client) < 0 || stream_flush(&ch->guest) < 0)
		return -1;
	return r;
}

int relay_to_client(struct channel *ch)
{
	ssize_t n;

	if (!has_room(ch, &ch->client))
		return ch->client.broken ? -1 : 0;
	n = stream_read(&ch->guest, ch->worker->loop.plain, GATEWAY_READ_SIZE);
	if (n <= 0)
		return (int)n;
	session_moved(ch->session);
	if (feed(ch, CAPTURE_TO_CLIENT, ch->worker->loop.plain, (size_t)n) < 0)
		return flush(ch, -1);
	return flush(ch, 1);
}

int relay_to_guest(struct channel *ch)
{
	uint8_t *plain = ch->worker->loop.plain;
	ssize_t n, m;

	if (!has_room(ch, &ch->guest))
		return ch->guest.broken ? -1 : 0;
	n = stream_receive(&ch->client, GATEWAY_READ_SIZE);
	if (n <= 0 && !ch->early)
		return (int)n;
	ch->early = false;
	while ((m = stream_read(&ch->client, plain, GATEWAY_READ_SIZE)) > 0) {
		session_moved(ch->session);
		if (feed(ch, CAPTURE_TO_GUEST, plain, (size_t)m) < 0)
			return flush(ch, -1);
	}
	/* What TLS could not make use of is the end of a broken stream. */
	ch->client.window_size = 0;
	return flush(ch, m < 0 || n < 0 ? -1 : n > 0);
}
