/* Messages in their order, sub-messages first; what waits for what. */
#include "recorder/decoder_parts.h"
#include "recorder/message.h"

#include <stdio.h>
#include <stdlib.h>

/* Messages that every channel has: SPICE_MSG_* */
#define MESSAGE_WAIT_FOR_CHANNELS 5
#define MESSAGE_LIST 8

/* Where it was, for the first of its kind. */
static void note(char *text, size_t size, const struct channel *c,
		 const struct message *m, const struct error *error)
{
	if (!text[0])
		snprintf(text, size,
			 "%s:%u, message %llu %s at offset %llu: %s",
			 message_channel_name(c->type), c->id,
			 (unsigned long long)m->serial,
			 message_name(c->type, m->direction, m->type),
			 (unsigned long long)m->offset, error->text);
}

int decoder_queue_wait(const struct decoder *d, struct channel *waiting,
		       struct bytes in, struct error *error)
{
	unsigned n = bytes_u8(&in);

	for (unsigned i = 0; i < n; i++) {
		unsigned type = bytes_u8(&in), id = bytes_u8(&in);
		uint64_t serial = bytes_le64(&in);
		const struct channel *c = decoder_find(d, type, id);

		if (in.bad)
			return error_set(error, EBADMSG,
					 "a list of channels to wait for is "
					 "cut short");
		if (!c || !c->open || c->serial >= serial)
			continue;
		waiting->awaited = c;
		waiting->awaited_serial = serial;
		return error_set(error, EAGAIN,
				 "it waits for message %llu of %s:%u",
				 (unsigned long long)serial,
				 message_channel_name(c->type), id);
	}
	return 0;
}

/*
 * Trying costs as much as doing, so it is done only when what a channel waits
 * for has come: a certain message, or an image that a display brings.
 */
static bool can_go_on(const struct decoder *d, const struct channel *c)
{
	if (d->forced)
		return true;
	if (c->awaited)
		return !c->awaited->open ||
		       c->awaited->serial >= c->awaited_serial;
	return c->displayed != d->displayed;
}

static int do_one(struct decoder *d, struct channel *c, const struct message *m,
		  uint16_t type, struct bytes body, struct error *error)
{
	if (type == MESSAGE_WAIT_FOR_CHANNELS)
		return d->forced ? 0 : decoder_queue_wait(d, c, body, error);
	if (type < MESSAGE_FIRST_OWN)
		return 0;
	return decoder_channel_message(d, c, m, type, body, error);
}

/*
 * Sub-messages: u16 count, u32 offsets; at each u16 type, u32 size, body.
 * The size is not to be trusted (libspice-server writes a larger one), so a
 * sub-message ends where its fields do.
 */
static int do_list(struct decoder *d, struct channel *c, struct message *m,
		   uint32_t at, struct error *error)
{
	struct bytes list = bytes_of(m->data, m->size);
	unsigned n;

	bytes_seek(&list, at);
	n = bytes_le16(&list);
	for (unsigned i = 0; i < n; i++) {
		struct bytes sub = list;
		uint16_t type;
		int r;

		bytes_seek(&sub, bytes_le32(&list));
		type = bytes_le16(&sub);
		bytes_le32(&sub);
		if (list.bad || sub.bad)
			return error_set(error, EBADMSG,
					 "a list of sub-messages is damaged");
		if (i < m->subs_done)
			continue;
		if (type == MESSAGE_LIST)
			return error_set(error, EBADMSG,
					 "a list of sub-messages is in one");
		r = do_one(d, c, m, type,
			   bytes_of(sub.data + sub.at, bytes_left(&sub)),
			   error);
		if (r) {
			error_prefix(error, "%s in its list",
				     message_name(c->type, m->direction, type));
			return r;
		}
		m->subs_done = i + 1;
	}
	return 0;
}

/* Counts what became of a message; errors that end the decoding stay. */
static int settle(struct decoder *d, const struct channel *c,
		  const struct message *m, int r, const struct error *why,
		  struct error *error)
{
	bool sound = c->type == CHANNEL_PLAYBACK || c->type == CHANNEL_RECORD;

	if (!r)
		return 0;
	if (r == -ENOTSUP) {
		struct decoder_trouble *t = &d->trouble;

		t->undrawn++;
		note(t->first_undrawn, sizeof(t->first_undrawn), c, m, why);
		return 0;
	}
	/* A sink's errors are not the message's. */
	if (r == -ENOMEM || (sound && r != -EBADMSG)) {
		if (error)
			*error = *why;
		return r;
	}
	if (r == -EAGAIN)
		d->trouble.missing++;
	else
		d->trouble.damaged++;
	note(d->trouble.first, sizeof(d->trouble.first), c, m, why);
	return 0;
}

/* 0, or -EAGAIN when it has to wait; other errors end the decoding. */
static int do_message(struct decoder *d, struct channel *c, struct message *m,
		      struct error *error)
{
	struct error why = {0};
	bool is_list = m->type == MESSAGE_LIST;
	int r = 0;

	c->awaited = NULL;
	c->displayed = d->displayed;
	if (is_list || m->sub_list)
		r = do_list(d, c, m, is_list ? 0 : m->sub_list, &why);
	if (r == -EAGAIN && !d->forced)
		return r;
	r = settle(d, c, m, r, &why, error);
	if (!r && !is_list) {
		r = do_one(d, c, m, m->type, bytes_of(m->data, m->size), &why);
		if (r == -EAGAIN && !d->forced)
			return r;
		r = settle(d, c, m, r, &why, error);
	}
	if (r)
		return r;
	c->serial = m->serial;
	d->displayed += c->type == CHANNEL_DISPLAY;
	return 0;
}

int decoder_queue_client(struct decoder *d, struct channel *c,
			 const struct message *m, struct error *error)
{
	struct error why = {0};
	int r = decoder_client_message(d, c, m, &why);

	return settle(d, c, m, r, &why, error);
}

static int enqueue(struct decoder *d, struct channel *c,
		   const struct message *m, struct error *error)
{
	struct message *copy = malloc(sizeof(*copy) + m->size);

	if (!copy)
		return error_set(error, ENOMEM,
				 "no memory for waiting messages");
	*copy = *m;
	copy->next = NULL;
	copy->data = (const uint8_t *)(copy + 1);
	memcpy(copy + 1, m->data, m->size);
	*c->last = copy;
	c->last = &copy->next;
	d->queued += sizeof(*copy) + m->size;
	return 0;
}

/* Takes the first waiting message away. */
static void dequeue(struct decoder *d, struct channel *c)
{
	struct message *m = c->first;

	c->first = m->next;
	if (!c->first)
		c->last = &c->first;
	d->queued -= sizeof(*m) + m->size;
	free(m);
}

unsigned decoder_queue_drop(struct decoder *d, struct channel *c)
{
	unsigned n = 0;

	for (; c->first; n++)
		dequeue(d, c);
	return n;
}

/* Does what a channel has waiting, as far as it goes: 1 when it went on. */
static int drain(struct decoder *d, struct channel *c, struct error *error)
{
	int moved = 0;

	while (c->first && (moved || can_go_on(d, c))) {
		struct message *m = c->first;
		int r = do_message(d, c, m, error);

		if (r == -EAGAIN)
			break;
		if (r)
			return r;
		dequeue(d, c);
		moved = 1;
	}
	return moved;
}

/* One channel went on; others may now as well. */
int decoder_queue_drain(struct decoder *d, struct error *error)
{
	int moved;

	do {
		moved = 0;
		for (struct channel *c = d->channels; c; c = c->next) {
			int r = c->first ? drain(d, c, error) : 0;

			if (r < 0)
				return r;
			moved |= r;
		}
	} while (moved);
	return 0;
}

int decoder_queue_force(struct decoder *d, struct error *error)
{
	int r;

	d->forced = true;
	r = decoder_queue_drain(d, error);
	d->forced = false;
	return r;
}

int decoder_queue_take(struct decoder *d, struct channel *c, struct message *m,
		       struct error *error)
{
	int r = -EAGAIN;

	if (!c->first)
		r = do_message(d, c, m, error);
	if (r == -EAGAIN) {
		r = enqueue(d, c, m, error);
		if (!r && d->queued > DECODER_QUEUE_MAX)
			r = decoder_queue_force(d, error);
		return r;
	}
	return r ? r : d->queued ? decoder_queue_drain(d, error) : 0;
}
