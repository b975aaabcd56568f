/* What each channel's messages do to the session's picture and sound. */
#include "recorder/decoder_parts.h"

#define MAIN_INIT 103
#define MAIN_MOUSE_MODE 105
#define MOUSE_MODE_CLIENT 2
#define INPUTS_MOUSE_POSITION 112
#define PLAYBACK_START 103
#define RECORD_CLIENT_DATA 101

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
	c->display->use = &d->use;
	d->displays[c->id] = c->display;
	return 0;
}

static int begin_cursor(struct decoder *d, struct channel *c,
			struct error *error)
{
	int r = 0;

	if (c->cursor)
		cursor_restart(c->cursor);
	else
		r = cursor_new(&c->cursor, error);
	if (r)
		return r;
	c->cursor->client_mode = d->client_mouse;
	d->cursors[c->id] = c->cursor;
	return 0;
}

int decoder_channel_begin(struct decoder *d, struct channel *c,
			  struct error *error)
{
	if (c->type == CHANNEL_DISPLAY)
		forget_caches(d);
	else if (c->type == CHANNEL_PLAYBACK && d->playback && !c->id)
		playback_restart(d->playback);
	else if (c->type == CHANNEL_RECORD && d->microphone && !c->id)
		playback_restart(d->microphone);
	if (c->type == CHANNEL_DISPLAY)
		return begin_display(d, c, error);
	return c->type == CHANNEL_CURSOR ? begin_cursor(d, c, error) : 0;
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

static void main_message(struct decoder *d, uint16_t type, struct bytes body)
{
	if (type == MAIN_INIT)
		bytes_seek(&body, 12);
	else if (type == MAIN_MOUSE_MODE)
		bytes_seek(&body, 2);
	else
		return;
	set_mouse_mode(d, bytes_le16(&body));
}

/* Sizes are followed to the end; what is drawn has a limit. */
static int draw(struct decoder *d, struct display *display, uint16_t type,
		struct bytes body, struct error *error)
{
	uint64_t before = image_pixels_made() + display->drawn;
	int r;

	if (d->work > d->work_allowed && !display_follows_layout(type))
		return error_set(
			error, EBADMSG,
			"the session draws more pixels than any screen "
			"could show; these are left out");
	r = display_message(display, type, body, error);
	d->work += image_pixels_made() + display->drawn - before;
	return r;
}

static int display_own(struct decoder *d, struct channel *c, uint16_t type,
		       struct bytes body, struct error *error)
{
	int r = 0;

	if (!c->display)
		return 0;
	if (type == DISPLAY_MESSAGE_inval_all_pixmaps && !d->forced)
		r = decoder_queue_wait(d, c, body, error);
	return r ? r : draw(d, c->display, type, body, error);
}

int decoder_channel_message(struct decoder *d, struct channel *c,
			    const struct message *m, uint16_t type,
			    struct bytes body, struct error *error)
{
	switch (c->type) {
	case CHANNEL_MAIN:
		main_message(d, type, body);
		return 0;
	case CHANNEL_DISPLAY:
		return display_own(d, c, type, body, error);
	case CHANNEL_CURSOR:
		return c->cursor ? cursor_message(c->cursor, type, body, error)
				 : 0;
	case CHANNEL_PLAYBACK:
		d->had_sound |= type == PLAYBACK_START && !c->id;
		if (d->playback && !c->id)
			return playback_message(d->playback, type, body,
						m->time, error);
		return 0;
	case CHANNEL_RECORD:
		if (d->microphone && !c->id)
			return playback_record_message(d->microphone, type,
						       body, error);
		return 0;
	}
	return 0;
}

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

int decoder_client_message(struct decoder *d, struct channel *c,
			   const struct message *m, struct error *error)
{
	struct bytes body = bytes_of(m->data, m->size);

	if (c->type == CHANNEL_INPUTS && m->type == INPUTS_MOUSE_POSITION)
		pointer_position(d, body);
	if (c->type != CHANNEL_RECORD || c->id)
		return 0;
	d->had_microphone |= m->type == RECORD_CLIENT_DATA;
	if (!d->microphone)
		return 0;
	return playback_record_client(d->microphone, m->type, body, m->time,
				      error);
}
