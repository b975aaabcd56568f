/* One connection of a wire replay; see replay_channel.h. */
#include "recorder/replay_channel.h"

#include <spice/enums.h>
#include <spice/protocol.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000)
#define AHEAD_NS (10 * SECOND) /* a channel is listed this long before */
#define OUT_MAX (256u << 10)   /* bytes queued before reading on */
#define WORK_AT_ONCE 2000      /* items, and pages of them, read in one go */
#define CLIENT_MESSAGE_MAX (64u << 20) /* swallowed, never kept */

uint64_t replay_monotonic(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

uint64_t replay_now(const struct replay_shared *s)
{
	double passed;

	if (!s->running)
		return s->base;
	passed = (double)(replay_monotonic() - s->started) * s->speed;
	return s->base + (uint64_t)passed;
}

int replay_channel_new(struct replay_channel **channel,
		       struct replay_shared *shared, int fd,
		       struct error *error)
{
	struct replay_channel *c = calloc(1, sizeof(*c));
	int r;

	*channel = NULL;
	if (!c) {
		close(fd);
		return error_errno(error, ENOMEM, "cannot replay");
	}
	c->shared = shared;
	c->fd = fd;
	c->need = LINK_HEADER_SIZE;
	r = capture_reader_new(&c->reader, shared->fd, error);
	if (r < 0) {
		replay_channel_free(c);
		return r;
	}
	*channel = c;
	return 0;
}

void replay_channel_free(struct replay_channel *c)
{
	if (!c)
		return;
	close(c->fd);
	capture_reader_free(c->reader);
	buffer_free(&c->in);
	buffer_free(&c->out);
	free(c);
}

void replay_channel_die(struct replay_channel *c)
{
	c->state = REPLAY_DEAD;
}

void replay_channel_flush(struct replay_channel *c)
{
	while (c->sent < c->out.size) {
		ssize_t n = send(c->fd, c->out.data + c->sent,
				 c->out.size - c->sent,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (errno != EAGAIN)
				replay_channel_die(c);
			return;
		}
		c->sent += (size_t)n;
	}
	c->sent = 0;
	c->out.size = 0;
	if (c->out.room > 4 * OUT_MAX)
		buffer_free(&c->out);
}

bool replay_channel_is_served(uint8_t type)
{
	return type == SPICE_CHANNEL_MAIN || type == SPICE_CHANNEL_DISPLAY ||
	       type == SPICE_CHANNEL_INPUTS || type == SPICE_CHANNEL_CURSOR ||
	       type == SPICE_CHANNEL_PLAYBACK;
}

/* Queues one message in the header form of this connection. */
void replay_channel_put(struct replay_channel *c, uint16_t type,
			uint32_t sub_list, const void *body, size_t size)
{
	c->serial++;
	if (!c->mini)
		buffer_put_le64(&c->out, c->serial);
	buffer_put_le16(&c->out, type);
	buffer_put_le32(&c->out, (uint32_t)size);
	if (!c->mini)
		buffer_put_le32(&c->out, sub_list);
	buffer_put(&c->out, body, size);
}

void replay_channel_tell_time(struct replay_channel *c)
{
	struct replay_shared *s = c->shared;
	int64_t passed = (int64_t)(s->base - s->mm_time) / 1000000;
	uint8_t body[4];

	if (!s->mm_known || c->state != REPLAY_UP)
		return;
	s->mm_origin = s->mm_value + (uint32_t)passed;
	bytes_put_le32(body, s->mm_origin);
	replay_channel_put(c, SPICE_MSG_MAIN_MULTI_MEDIA_TIME, 0, body,
			   sizeof(body));
}

static bool is_of(const struct replay_channel *c,
		  const struct capture_channel *recorded)
{
	return recorded->mess.channel_type == c->mess.channel_type &&
	       recorded->mess.channel_id == c->mess.channel_id;
}

static void add_pair(struct replay_pairs *pairs, uint8_t type, uint8_t id)
{
	for (unsigned i = 0; i < pairs->count; i++)
		if (pairs->pairs[i].type == type && pairs->pairs[i].id == id)
			return;
	if (pairs->count < REPLAY_CHANNELS_MAX)
		pairs->pairs[pairs->count++] = (struct replay_pair){type, id};
}

/* Which channels the recording has up to a time. */
static void find_recorded(int fd, uint64_t until, struct replay_pairs *pairs)
{
	struct capture_reader *reader;
	struct capture_item item;

	if (capture_reader_new(&reader, fd, NULL) < 0)
		return;
	while (capture_reader_next(reader, &item, NULL) > 0 &&
	       item.time <= until) {
		const struct capture_channel *r = item.channel;

		if (item.kind == CAPTURE_RESULT &&
		    bytes_get_le32(item.data) == SPICE_LINK_ERR_OK &&
		    replay_channel_is_served(r->mess.channel_type))
			add_pair(pairs, r->mess.channel_type,
				 r->mess.channel_id);
	}
	capture_reader_free(reader);
}

/* Lists what the recording has of the recorded list. */
static void put_channels(struct replay_channel *c)
{
	struct replay_shared *s = c->shared;
	struct bytes b = bytes_of(c->item.data, c->item.size);
	uint32_t count = bytes_le32(&b), listed = 0;
	struct replay_pairs have = {0};
	struct buffer body = {0};

	find_recorded(s->fd, c->item.time + AHEAD_NS, &have);
	buffer_put_le32(&body, 0);
	for (uint32_t i = 0; i < count && !b.bad; i++) {
		uint8_t type = bytes_u8(&b), id = bytes_u8(&b);

		for (unsigned j = 0; j < have.count && !b.bad; j++) {
			if (have.pairs[j].type != type ||
			    have.pairs[j].id != id)
				continue;
			buffer_put_u8(&body, type);
			buffer_put_u8(&body, id);
			listed++;
			if (!s->listed)
				add_pair(&s->wanted, type, id);
		}
	}
	if (body.failed) {
		replay_channel_die(c);
	} else {
		bytes_put_le32(body.data, listed);
		replay_channel_put(c, SPICE_MSG_MAIN_CHANNELS_LIST, 0,
				   body.data, body.size);
	}
	buffer_free(&body);
	s->listed = true;
}

static void note_clock(struct replay_channel *c, size_t at)
{
	struct replay_shared *s = c->shared;
	struct bytes b = bytes_of(c->item.data, c->item.size);

	bytes_seek(&b, at);
	s->mm_value = bytes_le32(&b);
	s->mm_time = c->item.time;
	s->mm_known = !b.bad;
}

/* INIT says that no agent is there: its messages are left out. */
static void put_init(struct replay_channel *c)
{
	uint8_t body[32];

	if (c->item.size != sizeof(body)) {
		replay_channel_die(c);
		return;
	}
	memcpy(body, c->item.data, sizeof(body));
	bytes_put_le32(body + 16, 0); /* agent_connected */
	replay_channel_put(c, SPICE_MSG_MAIN_INIT, 0, body, sizeof(body));
	note_clock(c, 24);
}

/*
 * Queues a message with a multimedia time in it. The client's clock goes on
 * at its own speed; so at another one the times are moved together or apart.
 */
static void put_timed(struct replay_channel *c, size_t at)
{
	const struct capture_item *item = &c->item;
	const struct replay_shared *s = c->shared;
	uint8_t *time;
	double passed;

	replay_channel_put(c, item->type, item->sub_list, item->data,
			   item->size);
	if (c->out.failed || item->size < at + 4 || s->speed == 1)
		return;
	time = c->out.data + c->out.size - item->size + at;
	passed = (int32_t)(bytes_get_le32(time) - s->mm_origin) / s->speed;
	bytes_put_le32(time, s->mm_origin + (uint32_t)(int64_t)passed);
}

/* True when the message was dealt with, perhaps by leaving it out. */
static bool put_main(struct replay_channel *c)
{
	switch (c->item.type) {
	case SPICE_MSG_MAIN_INIT:
		put_init(c);
		return true;
	case SPICE_MSG_MAIN_CHANNELS_LIST:
		put_channels(c);
		return true;
	case SPICE_MSG_MAIN_MULTI_MEDIA_TIME:
		note_clock(c, 0);
		if (c->shared->running)
			put_timed(c, 0);
		return c->shared->running;
	case SPICE_MSG_MAIN_AGENT_CONNECTED:
	case SPICE_MSG_MAIN_AGENT_DISCONNECTED:
	case SPICE_MSG_MAIN_AGENT_DATA:
	case SPICE_MSG_MAIN_AGENT_TOKEN:
	case SPICE_MSG_MAIN_AGENT_CONNECTED_TOKENS:
	case SPICE_MSG_MAIN_MIGRATE_BEGIN:
	case SPICE_MSG_MAIN_MIGRATE_CANCEL:
	case SPICE_MSG_MAIN_MIGRATE_SWITCH_HOST:
	case SPICE_MSG_MAIN_MIGRATE_END:
	case SPICE_MSG_MAIN_MIGRATE_BEGIN_SEAMLESS:
	case SPICE_MSG_MAIN_MIGRATE_DST_SEAMLESS_ACK:
	case SPICE_MSG_MAIN_MIGRATE_DST_SEAMLESS_NACK:
		return true;
	default:
		return false;
	}
}

static bool put_display(struct replay_channel *c)
{
	if (c->item.type != SPICE_MSG_DISPLAY_STREAM_DATA &&
	    c->item.type != SPICE_MSG_DISPLAY_STREAM_DATA_SIZED)
		return false;
	put_timed(c, 4);
	return true;
}

/* Sound at another speed is none. */
static bool put_playback(const struct replay_channel *c)
{
	return c->shared->speed != 1 &&
	       (c->item.type == SPICE_MSG_PLAYBACK_START ||
		c->item.type == SPICE_MSG_PLAYBACK_DATA);
}

/* True when the message was dealt with, perhaps by leaving it out. */
static bool put_special(struct replay_channel *c)
{
	switch (c->mess.channel_type) {
	case SPICE_CHANNEL_MAIN:
		return put_main(c);
	case SPICE_CHANNEL_DISPLAY:
		return put_display(c);
	case SPICE_CHANNEL_PLAYBACK:
		return put_playback(c);
	case SPICE_CHANNEL_INPUTS:
		/* Ours go to the client in their place. */
		return c->item.type == SPICE_MSG_INPUTS_MOUSE_MOTION_ACK;
	default:
		return false;
	}
}

static void put_item(struct replay_channel *c)
{
	const struct capture_item *item = &c->item;

	if (item->type == SPICE_MSG_MIGRATE ||
	    item->type == SPICE_MSG_MIGRATE_DATA ||
	    item->type == SPICE_MSG_DISCONNECTING)
		return;
	if (put_special(c))
		return;
	replay_channel_put(c, item->type, item->sub_list, item->data,
			   item->size);
}

/* A channel that the recording does not have by now is not waited for. */
static bool is_too_far(const struct replay_channel *c)
{
	return c->state == REPLAY_FIND &&
	       c->mess.channel_type != SPICE_CHANNEL_MAIN &&
	       c->item.time > replay_now(c->shared) + AHEAD_NS;
}

/* Reads the next item that matters to this connection; false at the end. */
static bool read_item(struct replay_channel *c, int *budget)
{
	while (!c->has_item && !c->ended && *budget > 0) {
		int r = capture_reader_next(c->reader, &c->item, &c->damage);

		if (r > 0)
			*budget -= 1 + (int)(c->item.size >> 12);
		if (r <= 0 || is_too_far(c))
			c->ended = true;
		else if (c->item.kind == CAPTURE_LINK_REPLY)
			c->has_item = c->item.channel->linked &&
				      c->item.channel->reply.error == 0 &&
				      is_of(c, c->item.channel);
		else if (c->item.kind == CAPTURE_MESSAGE)
			c->has_item = c->item.channel == c->instance &&
				      c->item.direction == CAPTURE_TO_CLIENT;
	}
	return c->has_item;
}

/* How far main may go before the other channels are there. */
static bool is_due(struct replay_channel *c)
{
	struct replay_shared *s = c->shared;

	if (!s->running && !s->listed &&
	    c->mess.channel_type == SPICE_CHANNEL_MAIN) {
		if (!s->base)
			s->base = c->item.time;
		if (c->item.time - s->base > AHEAD_NS)
			s->listed = true; /* it never lists any */
		else
			s->base = c->item.time;
	}
	return c->item.time <= replay_now(s);
}

/* False when it waits for the clock or there is nothing. */
static bool step(struct replay_channel *c, int *budget)
{
	if (!read_item(c, budget))
		return false;
	if (c->state == REPLAY_FIND) {
		c->instance = c->item.channel;
		c->has_item = false;
		replay_channel_answer(c);
		return false;
	}
	if (!is_due(c))
		return false;
	/* The recorded client linked again: what follows takes its place. */
	if (c->item.kind == CAPTURE_LINK_REPLY)
		c->instance = c->item.channel;
	else
		put_item(c);
	c->has_item = false;
	return true;
}

/* Other channels come after the list of main. */
static bool is_started(const struct replay_channel *c)
{
	return (c->state == REPLAY_UP || c->state == REPLAY_FIND) &&
	       (c->shared->listed ||
		c->mess.channel_type == SPICE_CHANNEL_MAIN);
}

bool replay_channel_send(struct replay_channel *c, uint64_t *due)
{
	const struct replay_shared *s = c->shared;
	int budget = WORK_AT_ONCE;

	if (is_started(c))
		while (c->out.size - c->sent < OUT_MAX && step(c, &budget))
			;
	if (c->out.failed || (c->state == REPLAY_FIND && c->ended))
		replay_channel_die(c);
	replay_channel_flush(c);
	if (c->state == REPLAY_DEAD)
		return false;
	if (c->state == REPLAY_UP && c->has_item && s->running &&
	    c->item.time > replay_now(s)) {
		double wait = (double)(c->item.time - s->base) / s->speed;
		uint64_t at = s->started + (uint64_t)wait;

		if (at < *due)
			*due = at;
	}
	return budget <= 0;
}

bool replay_channel_waits_to_write(const struct replay_channel *c)
{
	return c->sent < c->out.size;
}
