/* Segments to link PDUs and messages; see capture_cut.h. */
#include "recorder/capture_cut.h"

#include <spice/protocol.h>
#include <stdio.h>

#include "recorder/message.h"

#define KEEP_ROOM (8u << 20) /* of all buffers; beyond it they go back */

/* " in display:0, message 341 draw_copy", the last one that began there. */
static void say_where(const struct capture_reader *r, char *text, size_t size)
{
	const struct capture_channel *c =
		r->instance ? &r->instance->channel : NULL;
	const struct stream *s;
	const char *name;
	int n;

	text[0] = 0;
	if (!c || !c->linked)
		return;
	name = message_channel_name(c->mess.channel_type);
	n = snprintf(text, size, " in %s:%u", name ? name : "unknown",
		     c->mess.channel_id);
	s = &r->instance->streams[r->segment.direction];
	if (s->stage == STAGE_MESSAGES)
		snprintf(text + n, size - (size_t)n, ", message %llu %s",
			 (unsigned long long)s->framer.serial,
			 message_name(c->mess.channel_type,
				      r->segment.direction, s->framer.type));
}

int capture_cut_damaged(const struct capture_reader *r, struct error *error,
			const char *what)
{
	char where[128];

	say_where(r, where, sizeof(where));
	return error_set(error, EBADMSG,
			 "the recording is damaged at offset %llu of its "
			 "pcapng%s: %s",
			 (unsigned long long)r->offset, where, what);
}

void capture_cut_give(struct capture_reader *r, struct capture_item *item,
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
		return capture_cut_damaged(
			r, error, "unfinished messages of more than 256 MiB");
	r->room -= s->parts.room;
	buffer_put(&s->parts, data, size);
	r->room += s->parts.room;
	if (s->parts.failed)
		return error_errno(error, ENOMEM, "cannot read the recording");
	r->parts += size;
	return 0;
}

/* What the last call gave from a stream's parts is no longer wanted. */
void capture_cut_drop(struct capture_reader *r)
{
	struct stream *s = r->done;

	if (!s)
		return;
	r->parts -= s->parts.size;
	s->parts.size = 0;
	if (r->room > KEEP_ROOM) {
		r->room -= s->parts.room;
		buffer_free(&s->parts);
	}
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

	capture_cut_give(r, item, CAPTURE_AUTH, pdu, size);
	item->begin = s->begin;
	switch (s->stage) {
	case STAGE_HEADER:
		if (link_header_parse(pdu, &body, &link_error, error) < 0)
			return capture_cut_damaged(r, error,
						   "a channel without a link");
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
	return capture_cut_damaged(r, error,
				   "a channel goes on before its link is made");
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
	capture_cut_give(r, item, CAPTURE_MESSAGE, data, size);
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
			return capture_cut_damaged(
				r, error, "a message of more than 256 MiB");
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
int capture_cut_next(struct capture_reader *r, struct capture_item *item,
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
		capture_cut_give(r, item, CAPTURE_CLOSE, NULL, 0);
		return 1;
	}
	r->instance = NULL;
	return 0;
}
