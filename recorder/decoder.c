/* A decoder's life; the capture's items find their channels. */
#include "recorder/decoder_parts.h"

#include <stdlib.h>

#include "recorder/message.h"

int decoder_new(struct decoder **decoder, const struct decoder_options *o,
		struct error *error)
{
	struct decoder *d = calloc(1, sizeof(*d));
	int r;

	*decoder = NULL;
	if (!d)
		return error_set(error, ENOMEM, "no memory for a decoder");
	d->options = *o;
	d->work_allowed = DECODER_WORK_BURST;
	r = image_cache_new(&d->images, IMAGE_CACHE_PIXELS, error);
	if (!r)
		r = glz_window_new(&d->window, error);
	if (!r && o->sound.samples)
		r = playback_new(&d->playback, o->sound, error);
	if (!r && o->microphone.samples)
		r = playback_new(&d->microphone, o->microphone, error);
	if (r)
		decoder_free(d);
	else
		*decoder = d;
	return r;
}

static void channel_free(struct decoder *d, struct channel *c)
{
	decoder_queue_drop(d, c);
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
	playback_free(d->microphone);
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

	if (!c || !c->visible || !c->shape || !c->placed ||
	    (d->client_mouse && id != d->pointer_display))
		return NULL;
	return c;
}

const struct playback_state *decoder_sound(const struct decoder *d)
{
	return d->playback ? playback_state(d->playback) : NULL;
}

const struct playback_state *decoder_microphone(const struct decoder *d)
{
	return d->microphone ? playback_state(d->microphone) : NULL;
}

const struct decoder_trouble *decoder_trouble(const struct decoder *d)
{
	return &d->trouble;
}

bool decoder_had_sound(const struct decoder *d)
{
	return d->had_sound;
}

bool decoder_had_microphone(const struct decoder *d)
{
	return d->had_microphone;
}

struct channel *decoder_find(const struct decoder *d, unsigned type,
			     unsigned id)
{
	for (struct channel *c = d->channels; c; c = c->next)
		if (c->type == type && c->id == id)
			return c;
	return NULL;
}

/*
 * Another client's main channel: the server drops all that the last one had,
 * and what they still say in the capture is nobody's.
 */
static void end_client(struct decoder *d)
{
	for (struct channel *c = d->channels; c; c = c->next) {
		d->trouble.missing += decoder_queue_drop(d, c);
		c->number = -1;
		c->open = false;
	}
}

static int begin_channel(struct decoder *d, const struct capture_channel *cc,
			 struct error *error)
{
	unsigned type = cc->mess.channel_type, id = cc->mess.channel_id;
	struct channel *c = decoder_find(d, type, id);
	int r;

	if (!message_channel_name(type) || id >= DECODER_DISPLAYS)
		return 0;
	if (c && type == CHANNEL_MAIN)
		end_client(d);
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
	c->open = false;
	d->trouble.missing += decoder_queue_drop(d, c);
	c->number = cc->number;
	c->serial = 0;
	r = decoder_channel_begin(d, c, error);
	c->open = true;
	return r;
}

int decoder_finish(struct decoder *d, struct error *error)
{
	return decoder_queue_force(d, error);
}

static int take_message(struct decoder *d, struct channel *c,
			const struct capture_item *item, struct error *error)
{
	struct message m = {.time = item->time,
			    .serial = item->serial,
			    .offset = item->offset,
			    .direction = item->direction,
			    .type = item->type,
			    .sub_list = item->sub_list,
			    .data = item->data,
			    .size = item->size};

	if (item->direction == CAPTURE_TO_CLIENT)
		return decoder_queue_take(d, c, &m, error);
	return decoder_queue_client(d, c, &m, error);
}

/* A bucket that fills while the session goes on, and may be full. */
static void allow_work(struct decoder *d, uint64_t time)
{
	uint64_t most = d->work + DECODER_WORK_BURST;
	uint64_t ms = time > d->time ? (time - d->time) / 1000000 : 0;

	if (!ms)
		return;
	d->time = time;
	if (ms > 1000 * DECODER_WORK_BURST / DECODER_WORK_PER_SECOND)
		d->work_allowed = most;
	else
		d->work_allowed += ms * (DECODER_WORK_PER_SECOND / 1000);
	if (d->work_allowed > most)
		d->work_allowed = most;
}

int decoder_feed(struct decoder *d, const struct capture_item *item,
		 struct error *error)
{
	const struct link_mess *mess = &item->channel->mess;
	struct channel *c;

	allow_work(d, item->time);

	if (item->kind == CAPTURE_RESULT) {
		if (item->size < 4 || bytes_get_le32(item->data))
			return 0;
		return begin_channel(d, item->channel, error);
	}
	c = decoder_find(d, mess->channel_type, mess->channel_id);
	if (!c || c->number != item->channel->number)
		return 0;
	if (item->kind == CAPTURE_MESSAGE)
		return take_message(d, c, item, error);
	if (item->kind != CAPTURE_CLOSE)
		return 0;
	c->open = false;
	return d->queued ? decoder_queue_drain(d, error) : 0;
}
