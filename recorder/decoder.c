/* Routes messages to their channels; makes channels wait for each other. */
#include "recorder/decoder.h"

#include <stdio.h>
#include <stdlib.h>

/* SPICE_CHANNEL_* */
enum {
	CHANNEL_MAIN = 1,
	CHANNEL_DISPLAY,
	CHANNEL_INPUTS,
	CHANNEL_CURSOR,
	CHANNEL_PLAYBACK,
};

/* Messages that every channel has: SPICE_MSG_* */
#define MESSAGE_WAIT_FOR_CHANNELS 5
#define MESSAGE_LIST 8
#define MESSAGE_FIRST_OWN 101 /* below are those of every channel */

#define MAIN_INIT 103
#define MAIN_MOUSE_MODE 105
#define MOUSE_MODE_CLIENT 2
#define INPUTS_MOUSE_POSITION 112
#define PLAYBACK_START 103

#define NAMED_CHANNELS 12 /* channel types that are followed */

struct message {
	struct message *next;
	uint64_t time, serial, offset;
	uint16_t type;
	uint32_t sub_list;
	unsigned subs_done;  /* sub-messages done at an earlier try */
	const uint8_t *data; /* behind the struct when it was queued */
	size_t size;
};

/* A channel by type and id; an instance that reconnects takes its place. */
struct channel {
	uint8_t type, id;
	int number; /* the instance in the capture */
	bool open;
	uint64_t serial;               /* of the last message that is done */
	struct message *first, **last; /* waiting */
	struct display *display;
	struct cursor *cursor;
	struct channel *next;
};

struct decoder {
	struct decoder_options options;
	struct decoder_trouble trouble;
	struct image_cache *images;
	struct glz_window *window;
	struct channel *channels;
	struct display *displays[DECODER_DISPLAYS];
	struct cursor *cursors[DECODER_DISPLAYS];
	struct playback *playback;
	size_t queued; /* bytes */
	bool had_sound;
	bool client_mouse;
	bool forced;              /* nothing is waited for any more */
	unsigned pointer_display; /* where the client's pointer is */
};

int decoder_new(struct decoder **decoder, const struct decoder_options *o,
		struct error *error)
{
	struct decoder *d = calloc(1, sizeof(*d));
	int r;

	*decoder = NULL;
	if (!d)
		return error_set(error, ENOMEM, "no memory for a decoder");
	d->options = *o;
	r = image_cache_new(&d->images, error);
	if (!r)
		r = glz_window_new(&d->window, error);
	if (!r && o->sound.samples)
		r = playback_new(&d->playback, o->sound, error);
	if (r)
		decoder_free(d);
	else
		*decoder = d;
	return r;
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

static void channel_free(struct decoder *d, struct channel *c)
{
	while (c->first)
		dequeue(d, c);
	display_free(c->display);
	cursor_free(c->cursor);
	free(c);
}

void decoder_free(struct decoder *d)
{
	struct channel *c;

	if (!d)
		return;
	while ((c = d->channels)) {
		d->channels = c->next;
		channel_free(d, c);
	}
	playback_free(d->playback);
	image_cache_free(d->images);
	glz_window_free(d->window);
	free(d);
}

struct display *decoder_display(const struct decoder *d, unsigned id)
{
	return id < DECODER_DISPLAYS ? d->displays[id] : NULL;
}

struct cursor *decoder_cursor(const struct decoder *d, unsigned id)
{
	struct cursor *c = id < DECODER_DISPLAYS ? d->cursors[id] : NULL;

	if (!c || !c->visible || !c->shape ||
	    (d->client_mouse && id != d->pointer_display))
		return NULL;
	return c;
}

const struct playback_state *decoder_sound(const struct decoder *d)
{
	return d->playback ? playback_state(d->playback) : NULL;
}

const struct decoder_trouble *decoder_trouble(const struct decoder *d)
{
	return &d->trouble;
}

bool decoder_had_sound(const struct decoder *d)
{
	return d->had_sound;
}

static struct channel *find_channel(const struct decoder *d, unsigned type,
				    unsigned id)
{
	for (struct channel *c = d->channels; c; c = c->next)
		if (c->type == type && c->id == id)
			return c;
	return NULL;
}

/* What the last client left in caches is of no use to the next. */
static void forget_caches(struct decoder *d)
{
	for (struct channel *c = d->channels; c; c = c->next)
		if (c->type == CHANNEL_DISPLAY && c->open)
			return;
	image_cache_clear(d->images);
	glz_window_clear(d->window);
}

static int begin_display(struct decoder *d, struct channel *c,
			 struct error *error)
{
	int r = 0;

	if (c->display)
		display_restart(c->display);
	else
		r = display_new(&c->display, d->images, d->window, error);
	if (r)
		return r;
	c->display->layout_only = d->options.layout_only;
	d->displays[c->id] = c->display;
	return 0;
}

/* A channel instance begins, perhaps in the place of an earlier one. */
static int begin_channel(struct decoder *d, const struct capture_channel *cc,
			 struct error *error)
{
	unsigned type = cc->mess.channel_type, id = cc->mess.channel_id;
	struct channel *c = find_channel(d, type, id);
	int r = 0;

	if (type >= NAMED_CHANNELS)
		return 0;
	if (type == CHANNEL_DISPLAY)
		forget_caches(d);
	if (!c) {
		c = calloc(1, sizeof(*c));
		if (!c)
			return error_set(error, ENOMEM,
					 "no memory for a channel");
		c->type = type;
		c->id = id;
		c->last = &c->first;
		c->next = d->channels;
		d->channels = c;
	}
	for (; c->first; d->trouble.missing++)
		dequeue(d, c);
	c->number = cc->number;
	c->open = true;
	c->serial = 0;
	if (id >= DECODER_DISPLAYS)
		return 0;
	if (type == CHANNEL_DISPLAY)
		r = begin_display(d, c, error);
	else if (type == CHANNEL_CURSOR && !c->cursor)
		r = cursor_new(&c->cursor, error);
	if (r || type != CHANNEL_CURSOR)
		return r;
	c->cursor->client_mode = d->client_mouse;
	d->cursors[id] = c->cursor;
	return 0;
}

static void note(struct decoder *d, const struct channel *c,
		 const struct message *m, const struct error *error)
{
	const char *name = NULL;

	if (c->type == CHANNEL_DISPLAY)
		name = display_message_name(m->type);
	if (!d->trouble.first[0])
		snprintf(d->trouble.first, sizeof(d->trouble.first),
			 "channel %u.%u, message %u%s%s at offset %llu: %s",
			 c->type, c->id, m->type, name ? " " : "",
			 name ? name : "", (unsigned long long)m->offset,
			 error->text);
}

/* A list of {u8 type, u8 id, u64 serial}: 0 or -EAGAIN. */
static int wait_for(struct decoder *d, struct bytes in, struct error *error)
{
	unsigned n = bytes_u8(&in);

	for (unsigned i = 0; i < n; i++) {
		unsigned type = bytes_u8(&in), id = bytes_u8(&in);
		uint64_t serial = bytes_le64(&in);
		const struct channel *c = find_channel(d, type, id);

		if (in.bad)
			return error_set(error, EBADMSG,
					 "a list of channels to wait for is "
					 "cut short");
		if (c && c->open && c->serial < serial)
			return error_set(error, EAGAIN,
					 "it waits for channel %u.%u", type,
					 id);
	}
	return 0;
}

static void set_mouse_mode(struct decoder *d, unsigned mode)
{
	d->client_mouse = mode == MOUSE_MODE_CLIENT;
	for (unsigned i = 0; i < DECODER_DISPLAYS; i++)
		if (d->cursors[i]) {
			d->cursors[i]->client_mode = d->client_mouse;
			d->cursors[i]->changes++;
		}
}

static int do_own(struct decoder *d, struct channel *c, const struct message *m,
		  uint16_t type, struct bytes body, struct error *error)
{
	switch (c->type) {
	case CHANNEL_DISPLAY:
		if (!c->display)
			return 0;
		if (type == DISPLAY_MESSAGE_inval_all_pixmaps && !d->forced) {
			int r = wait_for(d, body, error);

			if (r)
				return r;
		}
		return display_message(c->display, type, body, error);
	case CHANNEL_CURSOR:
		return c->cursor ? cursor_message(c->cursor, type, body, error)
				 : 0;
	case CHANNEL_PLAYBACK:
		d->had_sound |= type == PLAYBACK_START;
		return d->playback ? playback_message(d->playback, type, body,
						      m->time, error)
				   : 0;
	case CHANNEL_MAIN:
		if (type == MAIN_INIT)
			bytes_seek(&body, 12);
		else if (type == MAIN_MOUSE_MODE)
			bytes_seek(&body, 2);
		else
			return 0;
		set_mouse_mode(d, bytes_le16(&body));
		return 0;
	}
	return 0;
}

static int do_one(struct decoder *d, struct channel *c, const struct message *m,
		  uint16_t type, struct bytes body, struct error *error)
{
	if (type == MESSAGE_WAIT_FOR_CHANNELS)
		return d->forced ? 0 : wait_for(d, body, error);
	if (type < MESSAGE_FIRST_OWN)
		return 0;
	return do_own(d, c, m, type, body, error);
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
		if (r)
			return r;
		m->subs_done = i + 1;
	}
	return 0;
}

/* 0, or -EAGAIN when it has to wait; other errors end the decoding. */
static int do_message(struct decoder *d, struct channel *c, struct message *m,
		      struct error *error)
{
	struct error why = {0};
	int r = 0;

	if (m->type == MESSAGE_LIST)
		r = do_list(d, c, m, 0, &why);
	else if (m->sub_list)
		r = do_list(d, c, m, m->sub_list, &why);
	if (!r || (r != -EAGAIN && m->type != MESSAGE_LIST))
		r = do_one(d, c, m, m->type, bytes_of(m->data, m->size), &why);
	if (r == -EAGAIN && !d->forced)
		return r;
	if (r == -ENOMEM || r == -ECANCELED) {
		*error = why;
		return r;
	}
	if (r == -ENOTSUP)
		d->trouble.undrawn++;
	else if (r == -EAGAIN)
		d->trouble.missing++;
	else if (r)
		d->trouble.damaged++;
	if (r && r != -ENOTSUP)
		note(d, c, m, &why);
	c->serial = m->serial;
	return 0;
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

/* Does what a channel has waiting, as far as it goes: 1 when it went on. */
static int drain(struct decoder *d, struct channel *c, struct error *error)
{
	int moved = 0;

	while (c->first) {
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
static int drain_all(struct decoder *d, struct error *error)
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

int decoder_finish(struct decoder *d, struct error *error)
{
	int r;

	d->forced = true;
	r = drain_all(d, error);
	d->forced = false;
	return r;
}

static int to_client(struct decoder *d, const struct capture_item *item,
		     struct error *error)
{
	struct message m = {.time = item->time,
			    .serial = item->serial,
			    .offset = item->offset,
			    .type = item->type,
			    .sub_list = item->sub_list,
			    .data = item->data,
			    .size = item->size};
	struct channel *c = find_channel(d, item->channel->mess.channel_type,
					 item->channel->mess.channel_id);
	int r;

	if (!c || c->number != item->channel->number)
		return 0;
	r = -EAGAIN;
	if (!c->first)
		r = do_message(d, c, &m, error);
	if (r == -EAGAIN) {
		r = enqueue(d, c, &m, error);
		if (!r && d->queued > DECODER_QUEUE_MAX)
			r = decoder_finish(d, error);
		return r;
	}
	return r ? r : d->queued ? drain_all(d, error) : 0;
}

/* The only thing the client says that can be seen. */
static void pointer_position(struct decoder *d, struct bytes in)
{
	uint32_t x = bytes_le32(&in), y = bytes_le32(&in);
	unsigned id;

	bytes_le16(&in);
	id = bytes_u8(&in);
	if (in.bad || x > IMAGE_SIDE_MAX || y > IMAGE_SIDE_MAX ||
	    id >= DECODER_DISPLAYS)
		return;
	if (d->pointer_display < DECODER_DISPLAYS &&
	    d->cursors[d->pointer_display] && d->pointer_display != id)
		d->cursors[d->pointer_display]->changes++;
	d->pointer_display = id;
	if (d->cursors[id] && d->client_mouse)
		cursor_place(d->cursors[id], (int32_t)x, (int32_t)y);
}

int decoder_feed(struct decoder *d, const struct capture_item *item,
		 struct error *error)
{
	const struct link_mess *mess = &item->channel->mess;
	struct channel *c;

	switch (item->kind) {
	case CAPTURE_RESULT:
		if (item->size < 4 || bytes_get_le32(item->data))
			return 0;
		return begin_channel(d, item->channel, error);
	case CAPTURE_CLOSE:
		c = find_channel(d, mess->channel_type, mess->channel_id);
		if (c && c->number == item->channel->number)
			c->open = false;
		return d->queued ? drain_all(d, error) : 0;
	case CAPTURE_MESSAGE:
		if (item->direction == CAPTURE_TO_CLIENT)
			return to_client(d, item, error);
		if (mess->channel_type == CHANNEL_INPUTS &&
		    item->type == INPUTS_MOUSE_POSITION)
			pointer_position(d, bytes_of(item->data, item->size));
		return 0;
	default:
		return 0;
	}
}
