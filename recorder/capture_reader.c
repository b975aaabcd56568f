/*
 * Capture file to SPICE messages; see capture_reader.h.
 *
 * Each direction of a channel instance is a stream: segments come in order
 * and are cut, first into the PDUs of the link, then into messages. What
 * lies whole in one segment is given without a copy; the rest is put together
 * in the stream's buffer. All buffers together hold no more than one message
 * of the largest size.
 */
#include "recorder/capture_reader.h"

#include <stdlib.h>
#include <spice/protocol.h>

#include "recorder/capture_source.h"
#include "recorder/framer.h"
#include "recorder/pcapng.h"

#define KEEP_ROOM (1u << 20) /* larger buffers go back when done */

enum stage {
	STAGE_HEADER, /* link header */
	STAGE_BODY,   /* link message or reply */
	STAGE_AUTH,   /* mechanism; to guest only */
	STAGE_TICKET, /* to guest only */
	STAGE_RESULT, /* to client only */
	STAGE_MESSAGES,
};

struct stream {
	uint32_t seq; /* of the next byte */
	bool synced;  /* seq is known */
	enum stage stage;
	size_t need;         /* bytes of the link's PDU */
	struct buffer parts; /* PDU or body not yet whole */
	uint64_t begin;      /* time of its first byte */
	struct framer framer;
};

struct instance {
	struct capture_channel channel; /* first: what the caller sees */
	struct stream streams[2];
	bool has_mess, has_reply;
	bool closed;
};

struct capture_reader {
	struct capture_source *source;
	struct capture_summary summary;
	struct instance **instances;
	uint32_t instance_room;
	bool has_section, has_interface;
	size_t parts; /* bytes in all streams' parts */
	/* The segment being cut. */
	struct pcapng_segment segment;
	uint64_t offset;
	struct instance *instance; /* NULL: none */
	struct stream *done;       /* whose parts were given by the last call */
	int failure;
	struct error error;
};

int capture_reader_new(struct capture_reader **reader, int fd,
		       struct error *error)
{
	struct capture_reader *r = calloc(1, sizeof(*r));
	int e;

	*reader = NULL;
	if (!r)
		return error_errno(error, ENOMEM, "cannot read the recording");
	e = capture_source_new(&r->source, fd, error);
	if (e < 0) {
		free(r);
		return e;
	}
	*reader = r;
	return 0;
}

void capture_reader_free(struct capture_reader *r)
{
	if (!r)
		return;
	for (uint32_t i = 0; i < r->instance_room; i++) {
		if (!r->instances[i])
			continue;
		buffer_free(&r->instances[i]->streams[0].parts);
		buffer_free(&r->instances[i]->streams[1].parts);
		free(r->instances[i]);
	}
	free(r->instances);
	capture_source_free(r->source);
	free(r);
}

static int damaged(const struct capture_reader *r, struct error *error,
		   const char *what)
{
	return error_set(error, EBADMSG,
			 "the recording is damaged at offset %llu of its "
			 "pcapng: %s",
			 (unsigned long long)r->offset, what);
}

static struct instance *find_instance(const struct capture_reader *r,
				      uint32_t number)
{
	return number < r->instance_room ? r->instances[number] : NULL;
}

static int new_instance(struct capture_reader *r, uint32_t number,
			struct error *error)
{
	uint32_t room = r->instance_room;
	struct instance **instances = r->instances;

	if (number >= room) {
		while (room <= number)
			room = room ? 2 * room : 16;
		instances = reallocarray(instances, room, sizeof(*instances));
		if (!instances)
			return error_errno(error, ENOMEM,
					   "cannot read the recording");
		for (uint32_t i = r->instance_room; i < room; i++)
			instances[i] = NULL;
		r->instances = instances;
		r->instance_room = room;
	}
	instances[number] = calloc(1, sizeof(*instances[number]));
	if (!instances[number])
		return error_errno(error, ENOMEM, "cannot read the recording");
	instances[number]->channel.number = (int)number;
	instances[number]->streams[0].need = LINK_HEADER_SIZE;
	instances[number]->streams[1].need = LINK_HEADER_SIZE;
	r->summary.channels++;
	return 0;
}

/* An item of the segment at hand. */
static void give(struct capture_reader *r, struct capture_item *item,
		 enum capture_kind kind, const uint8_t *data, size_t size)
{
	*item = (struct capture_item){
		.kind = kind,
		.channel = &r->instance->channel,
		.direction = r->segment.direction,
		.time = r->segment.time,
		.begin = r->segment.time,
		.data = data,
		.size = size,
		.offset = r->offset,
	};
}

/* Sequence number, SYN and FIN of the segment; 1 when they are an item. */
static int begin_segment(struct capture_reader *r, struct capture_item *item,
			 struct error *error)
{
	struct pcapng_segment *s = &r->segment;
	struct instance *i = find_instance(r, s->channel);
	struct stream *stream;
	int e;

	if (s->flags == PCAPNG_SYN) {
		if (i || s->direction != CAPTURE_TO_GUEST)
			return damaged(r, error, "a channel begins twice");
		e = new_instance(r, s->channel, error);
		if (e < 0)
			return e;
		i = r->instances[s->channel];
	} else if (!i) {
		return damaged(r, error,
			       "bytes of a channel that has not begun");
	}
	r->instance = i;
	stream = &i->streams[s->direction];
	if (s->flags & PCAPNG_SYN) {
		if (stream->synced || s->size)
			return damaged(r, error, "a channel begins twice");
		stream->synced = true;
		stream->seq = s->seq + 1;
		give(r, item, CAPTURE_OPEN, NULL, 0);
		return s->flags == PCAPNG_SYN;
	}
	if (!stream->synced || s->seq != stream->seq)
		return error_set(error, EBADMSG,
				 "the recording is damaged at offset %llu of "
				 "its pcapng: channel instance %u lacks %u "
				 "bytes",
				 (unsigned long long)r->offset, s->channel,
				 s->seq - stream->seq);
	if (s->size && i->closed)
		return damaged(r, error, "bytes behind a channel's end");
	stream->seq += (uint32_t)s->size + (s->flags & PCAPNG_FIN ? 1 : 0);
	if (s->direction == CAPTURE_TO_GUEST)
		r->summary.bytes_to_guest += s->size;
	else
		r->summary.bytes_to_client += s->size;
	return 0;
}

/* Reads blocks up to the next segment; 1, or 0 at the end. */
static int next_segment(struct capture_reader *r, struct error *error)
{
	struct capture_block b;
	int e;

	while ((e = capture_source_next(r->source, &b, error)) > 0) {
		r->offset = b.offset;
		if (!r->has_section && b.type != PCAPNG_SECTION)
			return damaged(r, error, "no pcapng section begins");
		if (b.type == PCAPNG_SECTION) {
			if (r->has_section)
				return damaged(r, error, "a second section");
			r->has_section = true;
			e = pcapng_get_section(b.data, b.size,
					       &r->summary.session, error);
		} else if (b.type == PCAPNG_INTERFACE) {
			if (r->has_interface)
				return damaged(r, error, "a second interface");
			r->has_interface = true;
			e = pcapng_get_interface(b.data, b.size, error);
		} else if (b.type == PCAPNG_PACKET) {
			if (!r->has_interface)
				return damaged(r, error,
					       "a packet of no interface");
			e = pcapng_get_segment(b.data, b.size, &r->segment,
					       error);
			if (e == 0)
				return 1;
		}
		if (e < 0) {
			error_prefix(error,
				     "the recording is damaged at offset %llu "
				     "of its pcapng",
				     (unsigned long long)b.offset);
			return e;
		}
	}
	return e;
}

/* Takes n bytes off the segment. */
static const uint8_t *eat(struct capture_reader *r, size_t n)
{
	const uint8_t *p = r->segment.data;

	r->segment.data += n;
	r->segment.size -= n;
	return p;
}

static int put_parts(struct capture_reader *r, struct stream *s,
		     const uint8_t *data, size_t size, struct error *error)
{
	if (size > CAPTURE_READER_MESSAGE_MAX - r->parts)
		return damaged(r, error,
			       "unfinished messages of more than 256 MiB");
	buffer_put(&s->parts, data, size);
	if (s->parts.failed)
		return error_errno(error, ENOMEM, "cannot read the recording");
	r->parts += size;
	return 0;
}

/* What the last call gave from a stream's parts is no longer wanted. */
static void drop_parts(struct capture_reader *r)
{
	struct stream *s = r->done;

	if (!s)
		return;
	r->parts -= s->parts.size;
	s->parts.size = 0;
	if (s->parts.room > KEEP_ROOM)
		buffer_free(&s->parts);
	r->done = NULL;
}

static void begin_messages(struct instance *i, struct stream *s)
{
	s->stage = STAGE_MESSAGES;
	framer_init(&s->framer, i->channel.mini, CAPTURE_READER_MESSAGE_MAX);
}

static bool both(const struct instance *i, unsigned bit)
{
	return link_caps_test(&i->channel.mess.common, bit) &&
	       link_caps_test(&i->channel.reply.common, bit);
}

/* A link body is whole, its header before it. */
static int take_body(struct capture_reader *r, struct stream *s,
		     const uint8_t *pdu, size_t size, struct capture_item *item,
		     struct error *error)
{
	struct instance *i = r->instance;
	const uint8_t *body = pdu + LINK_HEADER_SIZE;
	int e;

	size -= LINK_HEADER_SIZE;
	if (r->segment.direction == CAPTURE_TO_GUEST) {
		e = link_mess_parse(body, size, &i->channel.mess, error);
		i->has_mess = true;
		item->kind = CAPTURE_LINK_MESS;
		s->stage = STAGE_AUTH;
		s->need = 4;
	} else {
		e = link_reply_parse(body, size, &i->channel.reply, error);
		i->has_reply = true;
		item->kind = CAPTURE_LINK_REPLY;
		s->stage = STAGE_RESULT;
		s->need = 4;
	}
	if (e < 0) {
		error_prefix(error,
			     "the recording is damaged at offset %llu of its "
			     "pcapng",
			     (unsigned long long)r->offset);
		return -EBADMSG;
	}
	i->channel.linked = i->has_mess && i->has_reply;
	i->channel.mini = both(i, SPICE_COMMON_CAP_MINI_HEADER);
	return 1;
}

/* A PDU of the link is whole: 1 and the item, 0 to go on, or negative. */
static int take_pdu(struct capture_reader *r, struct stream *s,
		    const uint8_t *pdu, size_t size, struct capture_item *item,
		    struct error *error)
{
	uint32_t link_error;
	size_t body;

	give(r, item, CAPTURE_AUTH, pdu, size);
	item->begin = s->begin;
	switch (s->stage) {
	case STAGE_HEADER:
		if (link_header_parse(pdu, &body, &link_error, error) < 0)
			return damaged(r, error, "a channel without a link");
		s->stage = STAGE_BODY;
		s->need = LINK_HEADER_SIZE + body;
		return 0;
	case STAGE_BODY:
		return take_body(r, s, pdu, size, item, error);
	case STAGE_AUTH:
		s->stage = STAGE_TICKET;
		s->need = LINK_TICKET_SIZE;
		return 1;
	case STAGE_TICKET:
		begin_messages(r->instance, s);
		return 1;
	case STAGE_RESULT:
		item->kind = CAPTURE_RESULT;
		begin_messages(r->instance, s);
		return 1;
	case STAGE_MESSAGES:
		break;
	}
	return 0;
}

/* Behind the link body the other side's is needed to go on. */
static int check_order(struct capture_reader *r, struct stream *s,
		       struct error *error)
{
	if (s->stage <= STAGE_BODY || r->instance->channel.linked) {
		if (s->stage == STAGE_AUTH && s->parts.size == 0 &&
		    !both(r->instance,
			  SPICE_COMMON_CAP_PROTOCOL_AUTH_SELECTION)) {
			s->stage = STAGE_TICKET;
			s->need = LINK_TICKET_SIZE;
		}
		return 0;
	}
	return damaged(r, error, "a channel goes on before its link is made");
}

static int cut_link(struct capture_reader *r, struct stream *s,
		    struct capture_item *item, struct error *error)
{
	size_t have = s->parts.size, n;
	int e = check_order(r, s, error);

	if (e < 0)
		return e;
	if (have == 0)
		s->begin = r->segment.time;
	n = s->need - have;
	if (n > r->segment.size)
		n = r->segment.size;
	e = put_parts(r, s, r->segment.data, n, error);
	if (e < 0)
		return e;
	eat(r, n);
	if (s->parts.size < s->need)
		return 0;
	e = take_pdu(r, s, s->parts.data, s->parts.size, item, error);
	if (e > 0)
		r->done = s;
	return e;
}

/* A piece that ends a message: the item's body. */
static int give_message(struct capture_reader *r, struct stream *s,
			const struct framer_piece *piece,
			struct capture_item *item, struct error *error)
{
	const uint8_t *data = piece->header ? NULL : piece->data;
	size_t size = s->framer.size;

	if (s->parts.size) {
		int e = put_parts(r, s, piece->data, piece->size, error);

		if (e < 0)
			return e;
		data = s->parts.data;
		r->done = s;
	}
	give(r, item, CAPTURE_MESSAGE, data, size);
	item->begin = s->begin;
	item->serial = s->framer.serial;
	item->type = s->framer.type;
	item->sub_list = s->framer.sub_list;
	return 1;
}

static int cut_message(struct capture_reader *r, struct stream *s,
		       struct capture_item *item, struct error *error)
{
	struct framer_piece piece;
	int n;

	while (r->segment.size) {
		n = framer_next(&s->framer, r->segment.data, r->segment.size,
				&piece, error);
		if (n < 0)
			return damaged(r, error,
				       "a message of more than 256 MiB");
		eat(r, (size_t)n);
		if (piece.begins)
			s->begin = r->segment.time;
		if (piece.ends)
			return give_message(r, s, &piece, item, error);
		if (!piece.header) {
			int e = put_parts(r, s, piece.data, piece.size, error);

			if (e < 0)
				return e;
		}
	}
	return 0;
}

/* The next item of the segment; 0 when nothing of it is left. */
static int cut(struct capture_reader *r, struct capture_item *item,
	       struct error *error)
{
	struct stream *s = &r->instance->streams[r->segment.direction];
	int e = 0;

	while (r->segment.size && e == 0)
		e = s->stage == STAGE_MESSAGES ? cut_message(r, s, item, error)
					       : cut_link(r, s, item, error);
	if (e)
		return e;
	if (r->segment.flags & PCAPNG_FIN && !r->instance->closed) {
		r->instance->closed = true;
		give(r, item, CAPTURE_CLOSE, NULL, 0);
		return 1;
	}
	r->instance = NULL;
	return 0;
}

static void note_time(struct capture_summary *s, uint64_t time)
{
	if (!s->first_time)
		s->first_time = time;
	if (time > s->last_time)
		s->last_time = time;
}

static int next_item(struct capture_reader *r, struct capture_item *item,
		     struct error *error)
{
	int e;

	drop_parts(r);
	for (;;) {
		if (r->instance) {
			e = cut(r, item, error);
			if (e)
				return e;
		}
		e = next_segment(r, error);
		if (e <= 0)
			return e;
		note_time(&r->summary, r->segment.time);
		e = begin_segment(r, item, error);
		if (e)
			return e;
	}
}

int capture_reader_next(struct capture_reader *r, struct capture_item *item,
			struct error *error)
{
	int e;

	if (r->failure) {
		if (error)
			*error = r->error;
		return r->failure;
	}
	e = next_item(r, item, &r->error);
	if (e < 0) {
		r->failure = e;
		if (error)
			*error = r->error;
	}
	return e;
}

void capture_reader_summary(const struct capture_reader *r,
			    struct capture_summary *summary)
{
	struct capture_source_end end;

	capture_source_end(r->source, &end);
	*summary = r->summary;
	summary->complete = end.complete;
	summary->is_signed = end.is_signed;
	summary->good_bytes = end.good_bytes;
}
